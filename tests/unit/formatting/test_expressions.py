"""The expressions that are hidden are those that Jinja sees."""

from __future__ import annotations

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.errors import Problem
from deployer.formatting.expressions import HiddenText, LeftAlone, hidden
from deployer.model import Location

PIECES = [
    "{{", "}}", "{", "}", "a", " ", "\n", "'", '"', "\\", "(", ")", "[", "]", ":", "'}}'", '"{{"', "{{ a }}", "|", ",",
]  # fmt: skip


def seen_by_jinja(text: str) -> list[str] | None:
    """The expressions of a text, or None if Jinja's lexer refuses it."""
    try:
        tokens = list(jinja2.Environment(autoescape=True).lex(text))
    except jinja2.TemplateSyntaxError:
        return None
    found: list[str] = []
    inside = False
    for _, kind, value in tokens:
        if kind == "variable_begin":
            inside = True
            found.append("")
        if inside:
            found[-1] += value
        if kind == "variable_end":
            inside = False
    return None if inside else found


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_the_expressions_are_those_that_jinja_sees(text: str) -> None:
    expected = seen_by_jinja(text)
    found = hidden("f.yaml", text, is_template=True)
    if expected is not None and isinstance(found, HiddenText):
        assert list(found.expressions) == list(dict.fromkeys(expected))
        assert found.restored(found.text) == text


@pytest.mark.parametrize(
    "expression",
    [
        "{{ a }}",
        "{{a}}",
        "{{ '}}' }}",
        '{{ "\\"}}" }}',
        "{{ {'a': {'b': 1}} }}",
        "{{ {'a': {'b': 1}}}}",
        "{{ [1, (2)] | join(',') }}",
        "{{ a\n  | default(1) }}",
    ],
)
def test_an_expression_is_hidden_whole(expression: str) -> None:
    assert seen_by_jinja(expression) == [expression]
    text = f"a: {expression}\nb: x{expression}\n"
    found = hidden("f.yaml", text, is_template=True)
    assert isinstance(found, HiddenText)
    assert found.expressions == (expression,)
    assert found.text == "a: \ue0000\ue001\nb: x\ue0000\ue001\n"
    assert found.restored(found.text) == text


@pytest.mark.parametrize(
    "text", ["a: {{ b", "a: {{ b }", "a: {{ 'b }}", "a: {{ (b }}", "a: {{ b) }}", "{{ [}] }}"]
)
def test_an_expression_without_an_end_is_a_problem(text: str) -> None:
    found = hidden("f.yaml", f"x: 1\n{text}\n", is_template=True)
    assert isinstance(found, Problem)
    assert found.location == Location("f.yaml", 2, text.index("{{") + 1)


@pytest.mark.parametrize("tag", ["{% if a %}", "{# a #}", "{{- a }}", "{{ a -}}", "{{+ a }}", "{{ a +}}"])
def test_other_tags_are_left_alone(tag: str) -> None:
    found = hidden("f.yaml", f"x: 1\ny: {tag}\n", is_template=True)
    assert isinstance(found, LeftAlone)
    assert found.line == 2


def test_a_location_is_that_in_the_text_of_the_author() -> None:
    text = "a: {{ one\n  }}\nb: {{ two }} c: d\n"
    found = hidden("f.yaml", text, is_template=True)
    assert isinstance(found, HiddenText)
    line, column = 1, found.text.split("\n")[1].index("c:")
    assert found.location(line, column) == Location("f.yaml", 3, 14)
    assert found.location(0, 3) == Location("f.yaml", 1, 4)
