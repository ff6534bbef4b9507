"""The quick reader answers as the careful one does, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.documents import values
from deployer.documents.budget import Budget
from deployer.documents.parse import PlainText, Reader, YamlText, parse, parts
from deployer.errors import Problem
from deployer.model import Document, Path, usual_text
from deployer.templates.rendered import Placeholder, RenderedText, Segment
from testing.workspace import ROOT
from unit.documents.test_parse import DATA, PLACED, STAYS_TEXT, same

DEEP = yaml.safe_load("[" * 40 + "]" * 40)
FILES = [
    text
    for path in sorted([*ROOT.glob("tests/cases/**/*.yaml"), *ROOT.glob("jobs/**/*.yaml")])
    if (content := path.read_bytes()) and len(content) < 4000
    if (text := content.decode("utf-8", "replace"))
]
SPECIAL = [
    *(
        "&a ",
        "*a",
        "!!str ",
        "! ",
        "<<: ",
        "a: ",
        "'a': ",
        "? ",
        "- ",
        ": ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "# c\n",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        '"',
        "|\n",
        ">-\n  ",
        "\n",
        "\r\n",
        "\r",
        "  ",
        "\t",
        "\\",
        '"\\ue000"',
        "\0",
    ),
    *("\x85", "\u2028", "\ufeff", "\ue000", "\ue0000\ue001", "\ue0001\ue001", "\ue003", "é", "😀", "@", "`"),
    *("1.10", "True", "null", "~", "1e3", "-0", "007", "1" * 41, "x" * 200),
]


def rendered(text: str, contents: list[Any]) -> RenderedText:
    """Return a text with placeholders; each line is a line of the author's file, ten further down."""
    lines = range(text.count("\n") + 1)
    segments = [[Segment(0, 0, line + 11, 3)] for line in lines]
    return RenderedText(
        text, [("f", ("x",))], segments, [Placeholder(value, None, 0, 1, 1, ("n",)) for value in contents]
    )


def at(value: Any, path: Path) -> Any:
    return reduce(lambda inner, step: inner[step], path, value)


def in_order(value: Any) -> Iterator[Any]:
    """Yield the keys of all mappings."""
    for key, item in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield key
        yield from in_order(item)


def assert_agree(source: YamlText) -> bool:
    """Compare what both readers make of `source`, if the quick one answers; return whether it does."""
    quick = values.read(source, 7, source.text)
    if quick is None:
        return False
    careful = Reader(source, 7)
    (document,) = careful.documents(source.text)
    assert careful.problems == []
    assert same(document.value, quick.value)
    assert [*in_order(document.value)] == [*in_order(quick.value)]
    assert (document.start, careful.size) == (quick.start, quick.size)
    scalars = {path: at(document.value, path) for path in document.texts}
    for path, scalar in scalars.items():
        if isinstance(scalar, int | float):
            assert document.texts[path] == usual_text(scalar)
    for path in [(), *document.values][:40]:
        for asked in (path, (*path, "missing"), (*path, 9)):
            for of_key in (False, True):
                found = values.locate(source, 7, source.text, asked, of_key=of_key)
                assert found == document.location(asked, of_key=of_key)
    return True


def assert_all_agree(source: YamlText) -> None:
    """Compare the documents of `source`, and what they cost, with what the careful reader makes of each part."""
    budget, size = Budget(), 0
    expected: list[Document] = []
    expected_problems: list[Problem] = []
    for part in parts(source.text):
        careful = Reader(source, part.line)
        expected += careful.documents(source.text[part.start : part.end])
        expected_problems += careful.problems
        size += careful.size
    documents, problems = parse(source, budget)
    assert problems == expected_problems
    assert len(documents) == len(expected)
    for document, other in zip(documents, expected, strict=True):
        assert same(document.value, other.value)
        assert document.start == other.start
        assert document.places.tables == other.places.tables
    assert (budget.documents, budget.values, budget.problems) == (len(documents), size, len(problems))


# --- what is read quickly, and what is not ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "# c\n---\n# c\n\na: {b: [c, 'd', \"e\\n\"]}\nf: |\n  g\n",
        "a: true\nb: 64\nc: 0.5\nd: null\ne: ~\nf:\n",
        "- é\n- 😀",
        "text",
        "a: b\r\nc: d\r\n",
        "'<<': 1\n'': 2\n",
        "a: 1\n...\n",
        "[" * values.MAX_DEPTH + "]" * values.MAX_DEPTH,
        "x" * 9000,
        *STAYS_TEXT.split(),
    ],
)
def test_what_is_usual_is_read_quickly(text: str) -> None:
    assert assert_agree(PlainText("f", text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "# c", "---\n", "~", "null"),
        *("a: &x 1", "&x [1]", "&x a: 1", "a: *x", "<<: {a: 1}", "{<<: [{}]}"),
        *("!!str a", "a: !x {}", "! a", "!a b: 1", "%YAML 1.2\n---\na", "%TAG ! x\n---\na"),
        *("a: 1\na: 2", "{a: 1, 'a': 2}", "1: a", "true: a", "~: a", "[a]: b", "{a: 1}: b", "? [a]"),
        *("a: [", "a: b: c", "a: '", "\ta: 1", "a: @", "a: 1\n b: 2"),
        *("a: \x07", "a: \x85", "\ufeffa: 1", "a: \ue000", '"\\ue005"', "\ue001: 1", "a: \ud800"),
        *("a: 1\n...\nb: 2", "a\n--- b"),
        *("1.10", "a: True", "- FALSE", "+1", "-0", "1e3", ".5", "1."),
        "[" * (values.MAX_DEPTH + 1) + "]" * (values.MAX_DEPTH + 1),
        "[" + "a," * values.MAX_NODES + "]",
        "x" * (values.MAX_TEXT + 1),
    ],
)
def test_what_is_special_is_not(text: str) -> None:
    assert values.read(PlainText("f", text), 0, text) is None


def test_what_placeholders_hold_is_read_quickly() -> None:
    source = rendered(
        '\ue0002\ue001: \ue0000\ue001\nb: "\ue0001\ue001"\nc: \ue0000\ue001\nd: x\ue0001\ue001\n',
        [[1, {"k": "v" * 200}], "t\ue003", "a"],
    )
    assert assert_agree(source)
    (document,) = parse(source)[0]
    assert document.value == {
        "a": [1, {"k": "v" * 200}],
        "b": "t\ue003",
        "c": [1, {"k": "v" * 200}],
        "d": "xt\ue003",
    }
    assert document.value["a"] is not document.value["c"]
    assert document.names[("a",)] == ("n",)


def test_a_quoted_expression_has_its_type_when_it_is_asked_for() -> None:
    lines = ['a: "\ue0000\ue001"', "b: '\ue0001\ue001'", "c: \ue0000\ue001", 'd: "x\ue0000\ue001"']
    text = "\n".join([*lines, "e: ['\ue0002\ue001', '1']\n"])
    source = rendered(text, [3, "3", True])
    assert assert_agree(source)
    (document,) = parse(source)[0]
    assert document.value == {"a": "3", "b": "3", "c": 3, "d": "x3", "e": ["true", "1"]}
    assert document.typed == {("a",): 3, ("e", 0): True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\ue0000\ue001: 1", 1),
        ("a: x\ue0000\ue001", {}),
        ("a: \ue0000\ue001", DEEP),
        ("a: [" + "\ue0000\ue001, " * 60 + "]", [1] * 1000),
        ("a: \ue0000\ue001\n\ue0001\ue001: 1", "b"),
    ],
)
def test_what_is_special_in_a_placeholder_is_not(text: str, value: Any) -> None:
    assert values.read(rendered(text, [value, "a"]), 0, text) is None


def test_the_locations_are_found_when_asked_for() -> None:
    text = PLACED.replace("&c", "").replace("*c", "{}").replace("1.10", "1") + "---\n\nb: [x, y]\n"
    assert all(values.read(PlainText("f", part), 0, part) for part in text.split("---\n"))
    assert_all_agree(PlainText("f", text))
    documents, _ = parse(PlainText("f", text))
    assert documents[0].location(("spec", "conf", "y"))[1:3] == (8, 8)
    assert documents[1].location(("b", 1))[1:3] == (12, 8)


# --- any text -----------------------------------------------------------------------------------------------


@st.composite
def edited(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    text = draw(texts)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 5)))
        text = text[:start] + draw(st.sampled_from(SPECIAL) | st.text(max_size=2)) + text[end:]
    return text


@st.composite
def dumped(draw: st.DrawFn) -> str:
    """Any data in any of PyYAML's styles."""
    text: str = yaml.safe_dump(
        draw(DATA),
        default_style=draw(st.sampled_from([None, '"', "'", "|", ">"])),
        default_flow_style=draw(st.sampled_from([None, True, False])),
        width=draw(st.integers(10, 200)),
        indent=draw(st.integers(1, 6)),
        allow_unicode=draw(st.booleans()),
        line_break=draw(st.sampled_from(["\n", "\r\n"])),
        explicit_start=draw(st.booleans()),
        explicit_end=draw(st.booleans()),
    )
    return text


TEXTS = st.sampled_from(FILES) | dumped() | st.lists(st.sampled_from(SPECIAL), max_size=12).map("".join)


@settings(deadline=None)
@given(edited(TEXTS), st.lists(DATA | st.text("\ue000\ue001\ue0030a"), min_size=2, max_size=2), st.booleans())
def test_any_text(text: str, contents: list[Any], is_template: bool) -> None:
    source = rendered(text, contents) if is_template else PlainText("f", text)
    try:
        assert_agree(source)
    except IndexError:
        # A number of a placeholder that does not exist: templates do not make these.
        assert is_template


@settings(deadline=None)
@given(
    st.sampled_from(["{}", "a: {}", "[{}]", "{}: a", "? {}", "- {}\n- b", "a: {{b: {}}}"]),
    st.text("+-.0123456789eE~nulTrefasLU_xX", max_size=9),
)
def test_any_scalar(text: str, scalar: str) -> None:
    assert_agree(PlainText("f", text.format(scalar)))


@settings(deadline=None)
@given(st.lists(edited(TEXTS), max_size=4))
def test_the_documents_of_a_file(texts: list[str]) -> None:
    assert_all_agree(PlainText("f", "\n---\n".join(texts)))
