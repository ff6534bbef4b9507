"""Data that is written as YAML is read as the same data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.documents.dump import dump
from deployer.documents.parse import PlainText, parse

NASTY = [
    "no",
    "0123",
    "1:30",
    "<<",
    "=",
    "~",
    "1e3",
    "0x1f",
    "null",
    "",
    "...",
    "---",
    "- a",
    "a: b",
    "#x",
    "!x",
]
NASTY += [
    " x",
    "x ",
    "\t",
    "a\n",
    "\n\na",
    "a\n b\n",
    "\ufeffa",
    "a\x85b",
    "a\u2028b",
    "1" * 50,
    "-.5",
    "'",
    '"',
    "\0",
]
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(0xE000, 0xE008))))
)
TEXTS = TEXT | st.sampled_from(NASTY) | st.text(" \n\tab:#-\"'", max_size=12)
NUMBERS = st.integers(-(10**39), 10**39) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    TEXTS | NUMBERS | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None)
@given(VALUES, st.booleans())
def test_it_is_read_as_it_was(value: Any, allow_unicode: bool) -> None:
    (document,), problems = parse(PlainText("f", dump({"value": value}, allow_unicode=allow_unicode)))
    assert not problems
    assert repr(document.value) == repr({"value": value})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x\n"),
        ("no", "'no'\n"),
        ({"a": [1, {"b": "x..."}]}, "a:\n- 1\n- b: x...\n"),
        ([[1, 2]] * 2, "- - 1\n  - 2\n- - 1\n  - 2\n"),
        ("é", "é\n"),
    ],
)
def test_how_it_looks(value: Any, text: str) -> None:
    assert dump(value) == text
