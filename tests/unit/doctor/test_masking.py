"""What stands in a public report for a value: nothing that the value can be read from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.doctor.masking import code, pattern, private_values, shape, word

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "boolean"),
        (1_720_000_000_000, "integer (13 digits)"),
        (1.5, "number"),
        ("", "empty string"),
        ("2024-07-03", "string (length 10, pattern 9{4}-9{2}-9{2})"),
        ("acme_Payroll", "string (length 12, pattern a{4}_a{7})"),
        ('{"key": "secret"}', "string (JSON, length 17)"),
        (["a", 1, None], "array of integer or null or string"),
        ([], "empty array"),
        ({"secret": 1}, "object (1 fields)"),
    ],
)
def test_shapes(value: Any, shown: str) -> None:
    assert shape(value) == shown


@given(JSON_VALUES)
def test_a_shape_is_one_short_line_of_plain_signs(value: Any) -> None:
    shown = shape(value)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) < 120
    assert not {*"|<>`*$&;#\\"} & {*shown}


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=2, max_size=30))
def test_texts_with_the_same_signs_look_the_same(text: str) -> None:
    other = "".join("7" if char.isdigit() else "q" for char in text)
    assert pattern(text) == pattern(other)


def test_a_huge_value_has_a_short_pattern() -> None:
    assert shape("ab-9" * 1_000_000).endswith("...)")
    assert len(shape("ab-9" * 1_000_000)) < 100
    assert shape(10**4000) == "integer (more than 30 digits)"


@pytest.mark.parametrize(
    "name", ["priority", "job_config", "appId", "spark-version", "level2", "FINISHED", "job_idle"]
)
def test_names_of_fields_and_states_are_shown(name: str) -> None:
    assert word(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "10.0.0.1",
        "host.acme.internal",
        "0a324461-d9d9-45da",
        "a" * 60,
        "x\x1b[2J",
        "::error::",
        "a b",
        "acme",
        7,
        None,
    ],
)
def test_other_names_are_masked(name: Any) -> None:
    assert word(name, frozenset({"acme"})).startswith("(masked: ")


@pytest.mark.parametrize(
    ("given_code", "shown"), [("APIGW.0301", True), ("0192", True), ("", True), ("acme-code", False)]
)
def test_codes(given_code: str, *, shown: bool) -> None:
    assert (code(given_code) == given_code) is shown


@given(JSON_VALUES)
def test_the_private_values_are_the_texts(value: Any) -> None:
    found = private_values([value], frozenset())
    json.dumps(sorted(found))
    assert all(text == text.casefold() for text in found)


def test_words_of_the_service_are_not_private() -> None:
    value = {"state": "running", "name": "Acme", "inner": [{"queue": "q-1"}]}
    assert private_values([value], frozenset({"state"})) == {"acme", "q-1"}
