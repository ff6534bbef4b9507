"""Tables: aligned, and never wider than the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.report.table import Column, columns_of, cut, table

COLUMNS = (
    Column("KIND"),
    Column("NAME", least=6),
    Column("SINCE", is_redundant=True),
    Column("ID", least=4),
    Column("MANIFEST", least=5, omit=1),
)
ROW = ("SparkBatch", "daily-orders", "2024-07-03", "0f9c2c48-7658", "spark/daily.yaml:1")

texts = st.text(st.sampled_from("abc- \u4e2d\u0301\u202e\n\U0001f600"), max_size=30)


def test_everything_is_shown_where_there_is_no_limit() -> None:
    assert table(COLUMNS, [ROW], None) == [
        "KIND        NAME          SINCE       ID             MANIFEST",
        "SparkBatch  daily-orders  2024-07-03  0f9c2c48-7658  spark/daily.yaml:1",
    ]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (71, "SparkBatch  daily-orders  2024-07-03  0f9c2c48-7658  spark/daily.yaml:1"),
        (70, "SparkBatch  daily-orders  0f9c2c48-7658  spark/daily.yaml:1"),
        (50, "SparkBatch  daily-orders  0f9c2c48-7…  spark/dail…"),
        (31, "SparkBatch  daily…  0f9…  spar…"),
        (30, "SparkBatch  daily-or…  0f9c2c…"),
        (20, "SparkBatch  daily… …"),
        (1, "…"),
    ],
)
def test_a_narrow_terminal_gets_less(width: int, line: str) -> None:
    shown = table(COLUMNS, [ROW], width)[1]
    assert columns_of(shown) <= width
    assert shown == line


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    name = "\u65e5\u62a5"  # daily report
    lines = table((Column("NAME"), Column("ID")), [(name, "1"), ("abcd", "2"), ("e\u0301tat", "3")], None)
    assert [columns_of(line) for line in lines[1:]] == [7, 7, 7]
    assert cut(name, 3) == "\u65e5…"
    assert cut(name, 2) == "…"


@given(st.lists(st.tuples(*[texts] * len(COLUMNS)), max_size=5), st.integers(1, 90))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, ...]], width: int) -> None:
    lines = table(COLUMNS, rows, width)
    assert len(lines) == len(rows) + 1
    for line in lines:
        assert columns_of(line) <= width
        assert "\n" not in line
        assert not any(unicodedata.category(char) in {"Cc", "Cf"} for char in line)


@given(st.lists(st.tuples(*[texts] * len(COLUMNS)), max_size=5))
def test_a_column_that_may_be_left_out_is_so_only_if_the_others_do_not_fit(
    rows: list[tuple[str, ...]],
) -> None:
    whole = table(COLUMNS, rows, None)
    assert table(COLUMNS, rows, max(map(columns_of, whole)) + 40) == whole


def test_a_very_long_cell_is_cut_at_once() -> None:
    [_, line] = table(COLUMNS, [("SparkBatch", "n" * 1_000_000, "-", "1", "-")], 60)
    assert columns_of(line) <= 60
