"""Formatting keeps values, comments and anchors, and formatting twice changes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.documents.parse import PlainText, parse
from deployer.formatting.expressions import LeftAlone
from deployer.formatting.format import formatted
from deployer.formatting.layout import ENVELOPE, PROJECT, is_plain, noted

FILE = "f.yaml"
SLOW_TO_MAKE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


def fmt(text: str, order: Sequence[str] = ENVELOPE, *, is_template: bool = True) -> str:
    """The formatted text, which formatting leaves as it is."""
    result = formatted(FILE, text, order=order, is_template=is_template)
    assert isinstance(result, str), result
    assert formatted(FILE, result, order=order, is_template=is_template) == result
    return result


def values(text: str) -> list[Any]:
    documents, problems = parse(PlainText(FILE, text))
    assert not problems
    return [document.value for document in documents]


def test_the_envelope_is_put_in_order_with_its_comments() -> None:
    before = """\
# About the file.

kind: SparkBatch
spec:
    file: x
    # the end of spec

# How it is deployed.
lifecycle: {state: present}
# Who it is.
metadata:
    name: a   # a name
apiVersion: deployer/v1
# The end.
"""
    assert (
        fmt(before)
        == """\
# About the file.

apiVersion: deployer/v1
kind: SparkBatch
# Who it is.
metadata:
  name: a   # a name
spec:
  file: x
  # the end of spec

# How it is deployed.
lifecycle: {state: present}
# The end.
"""
    )


def test_for_each_comes_first() -> None:
    """Its lines are a template of their own, which begins at the start of a line."""
    before = "apiVersion: v\nkind: A\n# The regions.\nforEach:\n- {{ a }}\n- b\nspec: {}\n"
    assert fmt(before) == "# The regions.\nforEach:\n  - {{ a }}\n  - b\napiVersion: v\nkind: A\nspec: {}\n"


def test_the_order_of_spec_is_that_of_the_author() -> None:
    text = "apiVersion: deployer/v1\nkind: A\nspec:\n  z: 1\n  a: 2\n"
    assert fmt(text) == text


def test_an_unknown_key_keeps_the_order_of_a_manifest() -> None:
    text = "spec: {}\nkind: A\nother: 1\n"
    assert fmt(text) == text
    text = "spec: {}\n{{ key }}: A\n"
    assert fmt(text) == text


def test_a_project_file_begins_with_its_envelope() -> None:
    text = "targets: {}\nkind: Project\nvalues: []\napiVersion: v1\n"
    assert fmt(text, PROJECT) == "apiVersion: v1\nkind: Project\ntargets: {}\nvalues: []\n"


def test_an_alias_does_not_come_before_its_anchor() -> None:
    text = "spec: &a {x: 1}\nmetadata: *a\n"
    assert fmt(text) == text
    # The rest is formatted all the same.
    assert fmt("spec: &a\n    x: 1\nmetadata: *a\n") == "spec: &a\n  x: 1\nmetadata: *a\n"


def test_each_document_is_put_in_order() -> None:
    before = "kind: A\napiVersion: v\n---\n# b\nspec: {}\n\nkind: B\n---\nkind: C\nspec: {}\n"
    assert fmt(before) == "apiVersion: v\nkind: A\n---\n# b\nkind: B\nspec: {}\n---\nkind: C\nspec: {}\n"


SAME = [
    "a: on\nb: yes\nc: 012\nd: 1_000\ne: 2024-01-01\nf: ~\ng:\nh: 1.10\ni: 0x1F\nj: null\nk: .inf\n",
    'a: "on"\nb: "012"\nc: "1.10"\nd: ""\ne: "~"\nf: "2024-01-01"\ng: "a: b"\nh: "a #b"\ni: " a"\nj: "-"\n',
    f"a: {'word ' * 60}end\nb: >-\n  {'word ' * 60}end\n",
    "a: 'x \"y\" z'\nb: 'C:\\dir'\n",
    "a: {b: 1,   c: [x,y]}   # kept\n",
    "a: [\n  1,  # one\n  2\n]\n",
    "a: |\n  text",
    "a: |",
    "a: >+\n",
    "a: |-\nb: |+\n\n\n",
    "a: |+\n  text\n\n\n",
    "a: |+\n\n\nb: 1\n",
    "a: |2\n    text\n   less\n",
    "a: |-\n  # no comment\n\n  text  \nb: >+\n  x\n\n\n# c\nc: 1\n",
    "# only\n# comments\n",
    "a: 1\n---\n# nothing\n---\nb: 1\n...\n# after\n",
    "%YAML 1.2\n---\na: 1\n",
    "--- |\n  text\n--- plain\n",
    "a: &x 1\nb: *x\nc: &y\n  <<: {d: 1}\ne:\n  <<: *y\n",
    'ключ: "значение"\nb: 数据  # 注释\n',
    "a: {{ b }}\nc: '{{ d }}'\ne: \"{{ f['g'] }}\"\nh: pre-{{ i }}-{{ j }}\n{{ k }}: [{{ l }}, '{{ m }}']\n",
    "a: {{ b |\n    default(1) }}   \n".rstrip(" \n") + "\n",
    "a: 1  # {{ b }}\n",
    "- a\n-\n  b: 1\n- - c\n  - d\n- e: 1\n  f: 2\n",
    "a:\n  -\n  - # c\n  - b\nc:\nd:\n",
    'a: one\n  two\n\n  three\nb: "one\n  two \\\n  three"\n',
    "a: 'one\n\n  two'\n",
    "",
]


@pytest.mark.parametrize("text", SAME)
def test_what_is_formatted_stays(text: str) -> None:
    assert fmt(text) == text
    assert fmt(text.replace("\n", "\r\n")) == text.replace("\n", "\r\n")


CHANGED = [
    ("a:\n    b:\n        c: 1\n", "a:\n  b:\n    c: 1\n"),
    ("  a: 1\n  b: 2\n", "a: 1\nb: 2\n"),
    ("a:\n- b\n# about c\nc: 1\n", "a:\n  - b\n# about c\nc: 1\n"),
    ("a:\n# first\n- b\n-   c: 1\n    d: 2\n", "a:\n  # first\n  - b\n  - c: 1\n    d: 2\n"),
    ("a:\n-   - b\n    - c\n", "a:\n  - - b\n    - c\n"),
    ("a: 1   \n\n   \nb: 2\n\n\n", "a: 1\n\n\nb: 2\n"),
    ("a: 1", "a: 1\n"),
    ("a: 'b'\n'c': \"d e\"\n\"on\": 'on'\n", 'a: b\nc: d e\n"on": "on"\n'),
    ("a: 'it''s'\n", 'a: "it\'s"\n'),
    ("a: ['b', \"c\", {'d': 'it''s'}]\ne:\n  - '012'\n", 'a: ["b", "c", {"d": "it\'s"}]\ne:\n  - "012"\n'),
    (
        "a:   1\nb :  2  # c\nc:  |\n  x\nd:   &x  y\ne: {f:   1}\n",
        "a: 1\nb: 2  # c\nc: |\n  x\nd: &x  y\ne: {f:   1}\n",
    ),
    (
        "a:   {{ b }}\nc:\n  -   '{{ d }}'\n  - e:    '{{ f }}'\n",
        "a: {{ b }}\nc:\n  - '{{ d }}'\n  - e: '{{ f }}'\n",
    ),
    ("a:   'x\n  y'\nb:    one\n  two\n", "a: 'x\n  y'\nb: one\n  two\n"),
    ("a:\n    b: |\n        c\n          d\n\n        e\n", "a:\n  b: |\n    c\n      d\n\n    e\n"),
    ("a:\n    b: |2\n          c\n        d\n", "a:\n  b: |2\n        c\n      d\n"),
    ("a: |\n    b\n      \n    \n    c\n", "a: |\n  b\n    \n\n  c\n"),
    (
        "a:\n    b: {{ c |\n        d }}\n    e: '{{ f }}'\n",
        "a:\n  b: {{ c |\n        d }}\n  e: '{{ f }}'\n",
    ),
    (
        "a:\n    b: [\n        1,\n        # two\n        2\n    ]\n",
        "a:\n  b: [\n      1,\n      # two\n      2\n  ]\n",
    ),
    ("a:\n      b\n", "a:\n  b\n"),
    ("a:\n    b: 1\n    # end of a\nc: 1\n", "a:\n  b: 1\n  # end of a\nc: 1\n"),
    ("a: &x\n    b: 1\nc:\n    &y\n    d: 1\n", "a: &x\n  b: 1\nc:\n  &y\n  d: 1\n"),
    ('a: "b\r\n  c"\r\nd:\r\n    e: 1  \r\n', 'a: "b\r\n  c"\r\nd:\r\n  e: 1\r\n'),
    ("\n \n", ""),
    ("a: |+\n  b\n\n  ", "a: |+\n  b\n\n"),
    ("a: 1\t \r\nb: |\r\n  c\r\n", "a: 1\r\nb: |\r\n  c\r\n"),
    ("a: 1\r\nb: 2\n", "a: 1\nb: 2\n"),
]


@pytest.mark.parametrize(("before", "after"), CHANGED)
def test_what_is_not_formatted_changes(before: str, after: str) -> None:
    assert fmt(before) == after


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("a: 1\n{% if b %}\nc: 2\n{% endif %}\n", "a statement", 2),
        ("a: 1 {# b #}\n", "a comment of the template", 1),
        ("a: 1\nb: {{- c }}\n", "removes or keeps the spaces", 2),
        ("a: 1\n? b\n: 2\n", "written with '?'", 2),
        ("a: 1\rb: 2\n", "not a newline", 1),
        ("# x\n" * 2**17, "larger than 256 KiB", 0),
        ("a: 1\nb: x\u2028y\n", "not a newline", 2),
        ("a: 1\nb:\t2\n", "second reader", 0),
        ("a: 1\t\nb: |\n  2\t\n", "could not be shown", 0),
    ],
)
def test_what_is_not_understood_is_left_alone(text: str, reason: str, line: int) -> None:
    result = formatted(FILE, text, order=ENVELOPE, is_template=True)
    assert isinstance(result, LeftAlone)
    assert reason in result.reason
    assert result.line == line


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\na: 2\n", "2:1"),
        ("a: [1\n", "1:4"),
        ("a:\n\tb: 1\n", "2:1"),
        ("a: {{ b }} c\nd: !x 1\n", "2:4"),
        ("a: {{ b }} x: {{ c }}\n", "1:13"),
        ("a: \ue000\n", "1:4"),
        ("a: {{ b\n", "1:4"),
    ],
)
def test_what_cannot_be_read_has_its_location(text: str, where: str) -> None:
    result = formatted(FILE, text, order=ENVELOPE, is_template=True)
    assert isinstance(result, tuple)
    assert [str(problem.location) for problem in result] == [f"{FILE}:{where}"]


def test_values_files_have_no_expressions() -> None:
    text = "a: '{{ b }}'\nc: '{% d %}'\n"
    assert fmt(text, (), is_template=False) == 'a: "{{ b }}"\nc: "{% d %}"\n'


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=12) | st.from_regex(r"[a-z0-9.:/ _#-]{1,12}", fullmatch=True))
def test_a_string_without_quotes_is_one_for_every_reader(text: str) -> None:
    if is_plain(text):
        for loader in (yaml.SafeLoader, yaml.CSafeLoader):
            assert yaml.load(f"a: {text}\n{text}: 1\n", loader) == {"a": text, text: 1}  # noqa: S506
        assert values(f"a: {text}\n") == [{"a": text}]


# Texts as people write them, with indentation, quotes and comments by chance.
WORDS = st.sampled_from(
    ["a", "b c", "on", "012", "1.10", "2024-01-01", "x: y", "it's", 'say "x"', "-", "", "~", "#", "obs://b/c"]
)
PLAIN = st.sampled_from(
    [
        "1",
        "1.10",
        "true",
        "~",
        "word",
        "two words",
        "on",
        "012",
        "{{ x }}",
        "a-{{ y }}",
        "[a,  {b: c}]",
        "*base",
        "{}",
    ]
)


@dataclass
class Author:
    """Writes a document by chance."""

    draw: Any
    lines: list[str] = field(default_factory=list)
    count: int = 0

    def chance(self) -> bool:
        return bool(self.draw(st.integers(0, 3)) == 3)

    def comment(self) -> str:
        self.count += 1
        return f"# c{self.count}"

    def between(self, indent: int) -> None:
        """Writes empty lines and comments."""
        while self.chance():
            self.lines.append(
                self.draw(st.sampled_from(["", "  ", " " * indent + self.comment(), self.comment()]))
            )

    def end(self) -> str:
        return str(self.draw(st.sampled_from(["", "", "  ", f"  {self.comment()}"])))

    def value(self, head: str, indent: int, depth: int) -> None:
        """Writes a value after `head`, in a collection at the column `indent`."""
        shape = self.draw(
            st.sampled_from(
                ["plain", "quoted", "block", "map", "list", "map", "list", "empty", "flow", "long"]
            )
        )
        inner = indent + self.draw(st.integers(1, 5))
        if depth > 3 and shape in ("map", "list"):
            shape = "plain"
        match shape:
            case "plain":
                self.lines.append(f"{head} {self.draw(PLAIN)}{self.end()}")
            case "quoted":
                word, quote = self.draw(WORDS), self.draw(st.sampled_from("'\""))
                escaped = word.replace("'", "''") if quote == "'" else word.replace('"', '\\"')
                self.lines.append(f"{head} {quote}{escaped}{quote}{self.end()}")
            case "block":
                style = self.draw(st.sampled_from(["|", ">", "|-", ">-", "|+", ">+"]))
                self.lines.append(f"{head} {style}{self.end()}")
                for _ in range(self.draw(st.integers(1, 3))):
                    more = "" if self.lines[-1].startswith(head) else self.draw(st.sampled_from(["", "  "]))
                    self.lines.append(
                        " " * inner
                        + more
                        + self.draw(st.sampled_from(["text", "# text", "{{ z }}  ", "- x"]))
                    )
                    self.lines += self.draw(st.sampled_from([[], [""], [" "], [" " * (inner + 1)]]))
            case "flow":
                self.lines.append(f"{head} [a,{self.end()}")
                self.lines.append(" " * inner + f"{{b: '1'}}]{self.end()}")
            case "long":
                self.lines.append(f'{head} "one  ')
                self.lines.append(" " * inner + f'two"{self.end()}')
            case "empty":
                self.lines.append(f"{head}{self.end()}")
            case "map":
                self.lines.append(
                    f"{head}{self.draw(st.sampled_from(['', ' &m' + str(self.count)]))}{self.end()}"
                )
                self.count += 1
                self.mapping(inner, depth + 1)
            case _:
                self.lines.append(f"{head}{self.end()}")
                # A list below a key may stand at its column, but not a list in a list.
                self.sequence(inner if head.lstrip().startswith("-") or self.chance() else indent, depth + 1)

    def mapping(self, indent: int, depth: int, first: str = "") -> None:
        keys = self.draw(
            st.lists(
                st.sampled_from(["k", "'l'", '"m"', "n o", "{{ p }}", "'on'", "q"]),
                min_size=1,
                max_size=3,
                unique=True,
            )
        )
        for number, key in enumerate(keys):
            head = " " * indent
            if number or not first:
                self.between(indent)
            else:
                head = first
            colon = self.draw(st.sampled_from([":", ":", " :", ":   "]))
            self.value(f"{head}{key}{colon}", indent, depth)

    def sequence(self, indent: int, depth: int) -> None:
        for _ in range(self.draw(st.integers(1, 3))):
            self.between(indent)
            gap = self.draw(st.integers(1, 3))
            head = " " * indent + "-"
            if depth < 3 and self.chance():
                self.mapping(indent + 1 + gap, depth + 1, head + " " * gap)
            else:
                self.value(head, indent, depth)


@st.composite
def texts(draw: Any) -> str:
    author = Author(draw)
    for number in range(draw(st.integers(1, 2))):
        if number:
            author.lines.append(f"---{author.end()}")
        author.between(0)
        # With a key that is not of the envelope, the order stays.
        first = draw(st.sampled_from(["kind", "base"]))
        author.lines.append(f"{first}: &base 1")
        others = [key for key in ENVELOPE if key != first]
        keys = draw(st.lists(st.sampled_from(others), unique=True, max_size=4))
        for key in keys:
            author.between(0)
            author.value(f"{key}:", 0, 0)
        author.between(0)
    return "\n".join([*author.lines, *draw(st.sampled_from([[], [""], ["", ""]]))])


def as_data(text: str) -> list[Any]:
    """The documents as PyYAML reads them, with words in place of expressions; strings stay apart from all else."""
    hidden = re.sub(r"\{\{ (\w) \}\}", r"expr-\1", text)
    return list(yaml.load_all(hidden, yaml.CBaseLoader))


@settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=SLOW_TO_MAKE)
@given(texts())
def test_values_and_comments_stay_and_twice_is_once(text: str) -> None:
    before = formatted(FILE, text, order=ENVELOPE, is_template=True)
    assert isinstance(before, str), before
    assert as_data(before) == as_data(text)
    found, expected = (sorted(re.findall(r"# c\d+", each)) for each in (before, text))
    assert found == expected
    assert sorted(re.findall(r"\{\{ . \}\}", before)) == sorted(re.findall(r"\{\{ . \}\}", text))
    assert formatted(FILE, before, order=ENVELOPE, is_template=True) == before


def test_comments_in_quotes_and_blocks_are_none() -> None:
    assert noted("a: '# no'  # yes\nb: |  # header\n  # no\n# last\n") == ["# yes", "# header", "# last"]


# Pieces that YAML gives a meaning, in an order by chance; much of it is no YAML.
PIECES = [
    "a", "b: ", "- ", "-", ":", "? ", "#", " # c", "\n", "\n", "\n  ", "\n    ", "\n ", " ", "\t", "|", ">-\n  ",
    "|+\n", "|2\n",
    "'", '"', "{", "}", "[", "]", ",", "&x ", "*x", "!t ", "<<: ", "---\n", "...\n", "%YAML 1.2\n", "{{ e }}", "\\",
    "\r\n", "on", "k: v\n", "k: 'v'\n", "l:\n- m\n", "é", "\ufeff", "\u2028",
]  # fmt: skip


@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=SLOW_TO_MAKE)
@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_no_text_breaks_it(text: str) -> None:
    result = formatted(FILE, text, order=ENVELOPE, is_template=True)
    if isinstance(result, str) and result != text:
        assert as_data(result) == as_data(text)
        assert formatted(FILE, result, order=ENVELOPE, is_template=True) == result
