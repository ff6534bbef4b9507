"""Texts of several lines, as the lines that differ."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.report.line_diff import has_lines, lines


@pytest.mark.parametrize(
    ("live", "desired", "several"),
    [
        ("a\nb", "a", True),
        ("a", "a\nb", True),
        ("a", "b", False),
        (None, "a\nb", False),
        (["a\nb"], "a\nb", False),
    ],
)
def test_which_values_have_lines(live: Any, desired: Any, *, several: bool) -> None:
    assert has_lines(live, desired) is several


def test_every_hunk_is_there_and_what_is_equal_is_left_out() -> None:
    before = [str(number) for number in range(100)]
    after = [*before[:10], "ten", *before[11:90], "ninety", *before[91:]]
    shown = [f"{sign}{text}" for sign, text in lines("\n".join(before), "\n".join(after))]
    assert shown == [
        *("@@-9,5 +9,5 @@", " 8", " 9", "-10", "+ten", " 11", " 12"),
        *("@@-89,5 +89,5 @@", " 88", " 89", "-90", "+ninety", " 91", " 92"),
    ]


@pytest.mark.parametrize(
    ("live", "desired", "shown"),
    [
        ("a\n", "a", [" a", "-"]),
        ("a\nb ", "a\nb", [" a", "-b\\u0020", "+b"]),
        ("::error::x\nb", "::error::x\nc", [" \\u003a:error::x", "-b", "+c"]),
        ("a\r\n--- x", "a\r\n+++ x", [" a\\r", "---- x", "++++ x"]),
        ("a\n\u202e##[b", "a\n##vso", [" a", "-\\u202e##\\u005bb", "+##vso"]),
    ],
)
def test_what_cannot_be_seen_is_shown(live: str, desired: str, shown: list[str]) -> None:
    assert [f"{sign}{text}" for sign, text in lines(live, desired)][1:] == shown
