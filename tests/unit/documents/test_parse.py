"""Strict YAML: values, errors, and the line and column of both."""

from __future__ import annotations

import math
import tracemalloc
from functools import partial
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.documents.parse import (
    MAX_DEPTH,
    MAX_DOCUMENTS,
    MAX_FILE_NODES,
    MAX_NODES,
    PlainText,
    decode,
    parse,
    resolve,
)
from deployer.errors import Problem
from deployer.model import Document
from testing.work import calls


def read(text: str) -> tuple[list[Document], list[str]]:
    documents, problems = parse(PlainText("f", text))
    return documents, [
        f"{problem.location.line}:{problem.location.column}: {problem.message}" for problem in problems
    ]


def value_of(text: str) -> Any:
    documents, problems = read(text)
    assert not problems
    assert len(documents) == 1
    return documents[0].value


def problem_of(text: str) -> str:
    documents, problems = read(text)
    assert not documents
    assert len(problems) == 1, problems
    return problems[0]


# --- scalars ----------------------------------------------------------------------------------------------

STAYS_TEXT = """
    no yes on off y n No YES Off 2024-01-01 2024-07-05T09:00:00Z 1:30 190:20:30 0123 00 0x1f 0o17 0b1 1_000
    .inf -.inf .nan NaN nan inf Infinity 1e400 -1E999 nULL tRUE = << 1.2.3 1e .e5 +-1 1e1.5 ١٢ 1,5 é 😀
"""


@pytest.mark.parametrize("text", STAYS_TEXT.split())
def test_what_could_surprise_stays_text(text: str) -> None:
    assert value_of(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("-12", -12),
        ("-" + "9" * 40, -int("9" * 40)),
        ("1.10", 1.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e-3", -0.0015),
        ("1e3", 1000.0),
        ('"1"', "1"),
        ("'true'", "true"),
        ('""', ""),
        ('"\\u00e9\\x41\\0"', "éA\0"),
        ("a  b", "a  b"),
        ("|\n  x\n  y", "x\ny"),
        (">-\n  x\n  y\n", "x y"),
    ],
)
def test_core_scalars(text: str, value: Any) -> None:
    found = value_of(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("digits", [41, 5000, 1_000_000])
@pytest.mark.parametrize("end", ["", ".0", "e1"])
def test_a_number_of_many_digits_stays_text(digits: int, end: str) -> None:
    assert value_of("1" * digits + end) == "1" * digits + end


# --- structure --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x {k: 1}\nb: *x", {"a": {"k": 1}, "b": {"k": 1}}),
        ("a: &x 1\nb: [*x, *x]", {"a": 1, "b": [1, 1]}),
        ("&x a: *x", {"a": "a"}),
        ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
        ("a: &x {k: 1, l: 1}\nb: {<<: *x, l: 2}", {"a": {"k": 1, "l": 1}, "b": {"l": 2, "k": 1}}),
        ("b: {l: 2, <<: {k: 1, l: 1}}", {"b": {"l": 2, "k": 1}}),
        ("<<: [{k: 1}, {k: 2, l: 3}]", {"k": 1, "l": 3}),
        ("'<<': {k: 1}", {"<<": {"k": 1}}),
        ("? a\n: 1", {"a": 1}),
        ("{a, b: }", {"a": None, "b": None}),
        ("'': 1", {"": 1}),
        ("on: 1\nno: 2\n1:2: 3", {"on": 1, "no": 2, "1:2": 3}),
        ("[]", []),
        ("just text", "just text"),
        ("\ufeffa: 1".removeprefix("\ufeff"), {"a": 1}),
        ("a: 1\r\nb: |\r\n  x\r\n  y\r\n", {"a": 1, "b": "x\ny\n"}),
        ("a:\t1 \t# c", {"a": 1}),
        ("%YAML 1.2\n---\na: 1", {"a": 1}),
        ("# c\n\n---\na: 1\n...\n", {"a": 1}),
        ("a: '--- b'\nc: |\n  --- d", {"a": "--- b", "c": "--- d"}),
    ],
)
def test_structure(text: str, value: Any) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment\n", "---\n", "--- \n---\n# c\n---\n...\n", "~"]
)
def test_empty_documents_are_left_out(text: str) -> None:
    assert read(text) == ([], [])


def test_several_documents() -> None:
    documents, problems = read("a: 1\n---\n# c\nb: 2\n---\n---\n\n  - c\n... \n--- |\n x\n--- d")
    assert not problems
    assert [(document.value, document.start[1:3]) for document in documents] == [
        ({"a": 1}, (1, 1)),
        ({"b": 2}, (4, 1)),
        (["c"], (8, 3)),
        ("x\n", (10, 5)),
        ("d", (12, 5)),
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3", "3:1", "duplicate key 'a', first defined at 1:1"),
        ("x: {a: 1, 'a': {}}", "1:11", "duplicate key 'a', first defined at 1:5"),
        ("a: {x: 1}\na: {x: 2}", "2:1", "duplicate key 'a'"),
        ("<<: {a: 1}\n<<: {b: 1}", "2:1", "duplicate key '<<'"),
        ("a: !!str 1", "1:4", "YAML tag"),
        ("a: ! 1", "1:4", "YAML tag"),
        ("a: !!python/object/apply:os.system [x]", "1:4", "YAML tag"),
        ("!!map {a: 1}", "1:1", "YAML tag"),
        ("a: !!binary aGk=", "1:4", "YAML tag"),
        ("1: x", "1:1", "mapping keys must be strings; quote the key"),
        ("a: {true: x}", "1:5", "mapping keys must be strings"),
        ("~: x", "1:1", "mapping keys must be strings"),
        ("a: 1\nb:\n  - [\n\n", "3:5", "did not find expected node content"),
        ("1.5: x", "1:1", "mapping keys must be strings"),
        ("? [a]\n: 1", "1:3", "mapping keys must be strings"),
        ("? {a: 1}\n: 1", "1:3", "mapping keys must be strings"),
        ("a: &x b\n*x : 1", "2:1", "mapping keys must be strings"),
        ("<<: 3", "1:5", "'<<' requires a mapping or a list of mappings"),
        ("<<: [{a: 1}, 2]", "1:5", "'<<' requires a mapping"),
        ("a: *x", "1:4", "alias '*x' has no preceding anchor"),
        ("a: &x {b: *x}", "1:11", "alias '*x' is inside its own anchor"),
        ("&x [*x]", "1:5", "is inside its own anchor"),
        ("a: 1\n\tb: 2", "2:1", "a tab character"),
        ("a:\n\t- b", "2:1", "a tab character"),
        ("a: @b", "1:4", "cannot start any token"),
        ("a: b: c", "1:5", "mapping values are not allowed"),
        ("a: 1\n b: 2", "2:3", "mapping values are not allowed"),
        ("- a\nb: 1", "2:1", "did not find expected '-' indicator"),
        ("a: 1\nb: [1, 2\nc: 3\n\n", "3:2", "while parsing a flow sequence that begins at line 2"),
        ("a: 1\nb: [1, 2\n\n", "2:4", "while parsing a flow sequence"),
        ("a: 1\nb: 'x\n\n\n", "2:4", "unexpected end of stream"),
        ("a: 1\nb\n", "2:1", "could not find expected ':'"),
        ('a: "\\q"', "1:5", "unknown escape"),
        ('a: "\\ud800"', "1:7", "invalid Unicode character escape"),
    ],
)
def test_refused(text: str, place: str, words: str) -> None:
    problem = problem_of(text)
    assert problem.startswith(f"{place}: ")
    assert words in problem


@pytest.mark.parametrize(
    "char", "\0\7\b\x0b\x0c\x1b\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800\udcff"
)
@pytest.mark.parametrize("text", ["a: 1\nbc: {}", "a: 1\n# x {}", "a: 1\n'y ' {}"])
def test_characters_that_are_no_text(char: str, text: str) -> None:
    assert problem_of(text.format(char)).startswith(f"2:{text.index('{') - 4}: character '\\")


@pytest.mark.parametrize(
    ("content", "place"),
    [(b"a: 1\nb: \xff", "f:2:4"), ("é: ü".encode("latin-1"), "f:1:1"), (b"\xff\xfea", "f:1:1")],
)
def test_not_utf8(content: bytes, place: str) -> None:
    problem = decode("f", content)
    assert isinstance(problem, Problem)
    assert str(problem).startswith(f"{place}: error: not UTF-8: byte 0x")


def test_a_byte_order_mark_is_not_content() -> None:
    assert decode("f", "\ufeffa: 1".encode()) == "a: 1"


def test_a_broken_document_does_not_hide_the_others() -> None:
    text = (
        "a: 1\n---\nb: [1\n---\nc: 1\nc: 2\nd: !x\n---\ne: 1\n---\nf: *x\ng: 1\ng: 2\n---\nh: \7\n---\ni: 1\n"
    )
    documents, problems = read(text)
    assert [document.value for document in documents] == [{"a": 1}, {"e": 1}, {"i": 1}]
    assert [problem.split(" ")[0] for problem in problems] == ["3:4:", "6:1:", "7:4:", "11:4:", "15:4:"]


def test_an_anchor_ends_with_its_document() -> None:
    documents, problems = read("a: &x 1\n---\nb: *x\n")
    assert [document.value for document in documents] == [{"a": 1}]
    assert problems == ["3:4: alias '*x' has no preceding anchor"]


# --- limits -----------------------------------------------------------------------------------------------


def bomb(lines: int) -> str:
    return "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, lines)
    )


def merge_bomb(lines: int) -> str:
    return "a0: &a0 {x: [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n" + "".join(
        f"a{n}: &a{n} {{" + ", ".join(f"k{k}: {{<<: *a{n - 1}}}" for k in range(9)) + "}\n"
        for n in range(1, lines)
    )


@pytest.mark.parametrize("text", [bomb(30), merge_bomb(30)])
def test_an_alias_bomb_is_refused_with_little_work(text: str) -> None:
    def refuse() -> None:
        assert f"more than {MAX_NODES} values" in problem_of(text)

    assert calls(refuse) < MAX_NODES


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, True),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), False),
        ("[" * 10_000, False),
        ("{a: " * 10_000, False),
        ("- " * 10_000, False),
        ("? " * 10_000, False),
        ("\n".join(" " * n + "a:" for n in range(1000)), False),
    ],
)
def test_nesting(text: str, sound: bool) -> None:
    documents, problems = read(text)
    assert bool(documents) is sound
    assert bool(problems) is not sound


def test_an_alias_does_not_get_around_the_nesting_limit() -> None:
    levels = "[" * 30, "]" * 30
    text = f"a: &a0 {levels[0]}{levels[1]}\n" + "".join(
        f"a{n}: &a{n} {levels[0]}*a{n - 1}{levels[1]}\n" for n in range(1, 60)
    )
    assert problem_of(text).startswith(f"3:39: nested deeper than {MAX_DEPTH} levels after")


@pytest.mark.parametrize("end", ["]", " b: @]", "*b]", "&c *c]"])
def test_what_was_read_in_vain_counts_too(end: str) -> None:
    """Invalid documents, which are the last three, used to count as nothing."""
    document = f"[{'a, ' * 60_000}{end}\n---\n"
    _, problems = read(document * 20)
    assert (
        problems[-1] == f"14:1: the file has more than {MAX_DOCUMENTS} documents or {MAX_FILE_NODES} values"
    )


@pytest.mark.parametrize("line", ["\n", "#\n", " \r\n"])
def test_empty_lines_take_no_memory(line: str) -> None:
    text = line * 500_000
    tracemalloc.start()
    try:
        assert read(text) == ([], [])
        assert tracemalloc.get_traced_memory()[1] < 10 * len(text)
    finally:
        tracemalloc.stop()


def read_many(items: int) -> None:
    text = "items:\n" + "".join(f"  - {{name: n{n}, size: {n}, text: 'x y'}}\n" for n in range(items))
    assert len(value_of(text)["items"]) == items


def test_a_large_file() -> None:
    read_many(20_000)


def test_ten_times_the_items_are_ten_times_the_work() -> None:
    little, much = (calls(partial(read_many, items)) for items in (200, 2_000))
    assert much < 15 * little


# --- positions --------------------------------------------------------------------------------------------

PLACED = """\
# comment
kind: A
"spec":
  args: ["é😀", b,
    {c: 'd'}]
  conf: &c
    x: 1.10
    y: "2"
more: *c
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), (2, 1), (2, 1)),
        (("kind",), (2, 1), (2, 7)),
        (("spec",), (3, 1), (4, 3)),
        (("spec", "args"), (4, 3), (4, 9)),
        (("spec", "args", 1), (4, 16), (4, 16)),
        (("spec", "args", 2), (5, 5), (5, 5)),
        (("spec", "args", 2, "c"), (5, 6), (5, 9)),
        (("spec", "conf"), (6, 3), (6, 9)),
        (("spec", "conf", "y"), (8, 5), (8, 8)),
        (("more",), (9, 1), (9, 7)),
        (("more", "x"), (7, 5), (7, 8)),
        (("spec", "nothing", 3), (3, 1), (4, 3)),
    ],
)
def test_positions(path: tuple[str | int, ...], key: tuple[int, int], value: tuple[int, int]) -> None:
    (document,), _ = read(PLACED)
    assert document.location(path, of_key=True)[1:3] == key
    assert document.location(path)[1:3] == value


def test_the_texts_of_unquoted_scalars_follow_aliases_and_merges() -> None:
    text = "a: &a {x: 1.10, y: '2'}\nb: *a\nc: {<<: *a, z: 0x1}\nd: {<<: [{x: 1e3}, *a]}\ne: &e 1.0\nf: *e"
    (document,), _ = read(text)
    assert document.texts == {
        ("a", "x"): "1.10",
        ("b", "x"): "1.10",
        ("c", "z"): "0x1",
        ("c", "x"): "1.10",
        ("d", "x"): "1e3",
        ("e",): "1.0",
        ("f",): "1.0",
    }


# --- any data, any text -----------------------------------------------------------------------------------

# Deployer's own marks are refused.
MARKS = [chr(code) for code in range(0xE000, 0xE008)]
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=MARKS), max_size=20
) | st.sampled_from(STAYS_TEXT.split())
# PyYAML writes 1e22 and 40 digits as numbers; beyond, our reader takes them for text.
NUMBERS = st.integers(-(10**39), 10**39) | st.floats(allow_nan=False, allow_infinity=False)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


class Dumper(yaml.SafeDumper):
    """PyYAML's, which writes YAML 1.1: of what it leaves unquoted, `1e3` and `-.5` are numbers in 1.2."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(resolve(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


Dumper.add_representer(str, _text)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=0, abs_tol=0)
    return type(left) is type(right) and left == right


@settings(deadline=None)
@given(DATA, st.booleans(), st.sampled_from([None, True, False]))
def test_what_pyyaml_writes_is_read_back(data: Any, unicode: bool, flow: bool | None) -> None:
    text = yaml.dump({"data": data}, Dumper=Dumper, default_flow_style=flow)
    # Unescaped, these are line breaks to libyaml, and are refused.
    if unicode and not any(escape in text for escape in ("\\N", "\\L", "\\P")):
        text = yaml.dump({"data": data}, Dumper=Dumper, default_flow_style=flow, allow_unicode=True)
    assert same(value_of(text), {"data": data})


@settings(deadline=None)
@given(st.text() | st.text(st.sampled_from("ab:-?[]{}&*!|>'\"%@`#,<~ \n\t\r.1e\\")))
def test_no_text_raises(text: str) -> None:
    documents, problems = read(text)
    assert all(document.value is not None for document in documents)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    assert all(1 <= int(problem.split(":")[0]) <= lines for problem in problems)


@settings(deadline=None)
@given(st.data())
def test_no_mutated_yaml_raises(data: st.DataObject) -> None:
    text = PLACED + "---\n" + PLACED
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 5)))
        text = text[:start] + data.draw(st.text("ax:-&*!|'\"[]{}<,# \n\t\0\ud800", max_size=3)) + text[end:]
    read(text)
