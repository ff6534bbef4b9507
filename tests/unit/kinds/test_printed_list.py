"""Lists as Java prints them, aligned with those of a manifest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds.mrs_job import java_list
from deployer.kinds.printed_list import MAX_PIECES, align, printed

SQL = "SELECT a, b FROM t"


@pytest.mark.parametrize(
    ("sent", "desired", "live"),
    [
        # the items that were sent, those of the manifest, and what is shown of the live ones
        ([SQL], ["SELECT a, c FROM t"], [SQL]),
        (["SELECT a, b, c FROM t"], [SQL], ["SELECT a, b, c FROM t"]),
        (["SELECT a FROM t"], [SQL], ["SELECT a FROM t"]),
        (["-e", SQL, "x"], ["-e", "SELECT a, z FROM t", "x"], ["-e", SQL, "x"]),
        (["-e", SQL, "x"], ["-e", "DELETE a, z", "x"], ["-e", SQL, "x"]),
        (["-e", SQL, "x"], ["-e", SQL, "y"], ["-e", SQL, "x"]),
        (["-e", SQL, "x"], ["-f", "SELECT a, z FROM t", "x"], ["-e", SQL, "x"]),
        (["-e", "x"], ["-e", SQL, "x"], ["-e", "x"]),
        (["-e", "-v", "x", SQL], ["-e", "x", SQL], ["-e", "-v", "x", SQL]),
        (["x", "y"], ["x"], ["x", "y"]),
        # one item or two?
        (["-e", SQL, "x"], ["-f", "SELECT a, z FROM t", "y"], "[-e, SELECT a, b FROM t, x]"),
        ([SQL, "x"], [SQL], "[SELECT a, b FROM t, x]"),
        ([SQL, "x", "y"], [SQL, "z"], "[SELECT a, b FROM t, x, y]"),
        (["x, y", "z"], ["a, b", "c, d"], "[x, y, z]"),
    ],
)
def test_live_items_are_joined_like_those_of_the_manifest(
    sent: list[str], desired: list[str], live: list[str] | str
) -> None:
    aligned = align(java_list(printed(sent)), desired)
    assert aligned == (live, printed(desired) if isinstance(live, str) else desired)


pieces = st.sampled_from(["", "a", "b", ", ", "a, b", ","])


items = st.lists(st.lists(pieces, max_size=4).map("".join), max_size=4)


@settings(derandomize=True, deadline=None)
@given(items, items)
def test_aligned_lists_are_equal_exactly_if_they_are_printed_alike(
    sent: list[str], desired: list[str]
) -> None:
    live, wanted = align(java_list(printed(sent)), desired)
    assert (live == wanted) is (printed(sent) == printed(desired))
    assert (live if isinstance(live, str) else printed(live)) == printed(sent)


def test_very_long_lists_are_compared_piece_by_piece() -> None:
    many = ["a"] * (MAX_PIECES + 1)
    assert align(many, ["x, y"]) == (many, ["x", "y"])
