"""Comparing live text with text that contains secret references, without the values."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.secrets.compare import align_references
from deployer.secrets.references import CLOSE, OPEN, SEP, deferred_reference
from testing.secret_values import PLAIN, A, B

SHORT = st.text("ab", max_size=4)


def nested(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    filters = st.sampled_from(["b64encode", "sha256", "urlencode"])
    return st.builds(
        deferred_reference, filters, st.builds(lambda *pieces: "".join(pieces), SHORT, inside, SHORT)
    )


MARK = st.recursive(st.sampled_from([A, B]), nested, max_leaves=4)


@settings(deadline=None)
@given(st.lists(st.tuples(PLAIN, MARK, PLAIN), min_size=1), PLAIN)
def test_live_text_matches_whatever_fills_the_marks(pieces: list[tuple[str, str, str]], last: str) -> None:
    desired = "".join(literal + hole for literal, hole, _ in pieces) + last
    live = "".join(literal + filling for literal, _, filling in pieces) + last
    assert align_references(live, desired) == live
    assert align_references([{"x": live}], [{"x": desired}]) == [{"x": live}]


@settings(deadline=None)
@given(st.lists(SHORT, min_size=2, max_size=5), st.text("ab", max_size=12), MARK)
def test_nothing_else_matches(literals: list[str], live: str, hole: str) -> None:
    desired = hole.join(literals)
    fits = re.fullmatch(".*".join(literals), live)
    assert align_references(live, desired) == (live if fits else desired)


@pytest.mark.parametrize(
    ("live", "desired", "result"),
    [
        ("x", "y", "y"),
        ("xay", f"x{A}z", f"x{A}z"),
        ("x", f"x{A}x", f"x{A}x"),
        (None, A, A),
        (5, A, A),
        ({"a": "1"}, {"a": A, "b": A}, {"a": "1", "b": A}),
        ({"a": "1", "c": "2"}, {"a": A}, {"a": "1"}),
        (["1", "2"], [A], ["1"]),
        (["1"], ["0", A], ["0", A]),
        (["0", "1", "2"], ["0", f"{A}1"], ["0", "1"]),
        ("anything", f"x{CLOSE}", f"x{CLOSE}"),
        ("anything", OPEN, OPEN),
        ("anything", f"{OPEN}b64encode{SEP}{A}", f"{OPEN}b64encode{SEP}{A}"),
    ],
)
def test_what_does_not_match_stays_desired(live: Any, desired: Any, result: Any) -> None:
    assert align_references(live, desired) == result


@pytest.mark.parametrize(
    ("live", "desired", "result"),
    [
        (["y", "x1"], [f"x{A}", "y"], ["x1", "y"]),
        # what a literal item wants is not taken, but a second one like it is
        (["y"], [A, "y"], [A, "y"]),
        (["y", "y"], [A, "y"], ["y", "y"]),
        # whoever chooses first does not take what only another can have
        (["ab", "z"], [A, f"a{A}"], ["z", "ab"]),
        (["ab", "zb"], [f"{A}b", f"a{A}"], ["zb", "ab"]),
        (["x1"], [f"x{A}", f"x{B}"], ["x1", f"x{B}"]),
        ([{"n": "b", "v": "2"}, {"n": "a", "v": "1"}], [{"n": "a", "v": A}], [{"n": "a", "v": "1"}]),
        ([{"n": "a", "v": "1", "w": 0}], [{"n": "a", "v": A}], [{"n": "a", "v": A}]),
    ],
)
def test_unordered_items_find_each_other(live: list[Any], desired: list[Any], result: list[Any]) -> None:
    assert align_references(live, desired, unordered=True) == result


@settings(deadline=None)
@given(st.data(), st.lists(st.tuples(SHORT, st.booleans(), SHORT), max_size=6))
def test_order_does_not_matter(data: st.DataObject, items: list[tuple[str, bool, str]]) -> None:
    desired = [literal + (A if holds else "") for literal, holds, _ in items]
    live = data.draw(st.permutations([text + (filling if holds else "") for text, holds, filling in items]))
    assert sorted(align_references(live, desired, unordered=True)) == sorted(live)


def test_long_lists_and_texts_are_no_trouble() -> None:
    many = [f"{number}{A}" for number in range(1000)]
    assert align_references(["x"] * 1000, many, unordered=True) == many
    holes = 1000
    assert align_references("ab" * 500_000, f"ab{A}" * holes + "c") == f"ab{A}" * holes + "c"
    assert align_references("a" * 1_000_000, f"{A}b" * holes) == f"{A}b" * holes
    assert align_references([str(number) for number in range(300)], [A] * 300, unordered=True) != [A] * 300
    assert align_references(["x"] * 299, [A] * 300, unordered=True).count(A) == 1
