"""The items of a SQL job's arguments, from the text in which they are listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.adoption.statements import joined


@pytest.mark.parametrize(
    "items",
    [
        ["--hivevar", "x=1", "select a, b from t; select 1;"],
        ["SELECT a, b, c FROM t WHERE d = 'x, y'"],
        ["op", "val", "SELECT a,\n  b FROM t, u"],
        ["--hiveconf=a=1", "-e", "with x as (select 1, 2) select * from x"],
        ["-- a note, with a comma\nselect a, b"],
        ["--note\nselect a, b"],
        ["/* a, b */ select 1"],
        ["(select a, b)"],
        ["set x=1;", "select a, b;", "select c, d"],
        ["select a, b", "--database", "sales"],
        ["--database", "export", "select a, -b, c"],
        ["--hivevar x=1", "insert into t values (1, 2)"],
        [],
        ["", "a"],
    ],
)
def test_joined(items: list[str]) -> None:
    text = ", ".join(items)
    assert joined(text.split(", ") if text else []) == items


@given(
    st.lists(st.sampled_from(["select a", "--x", "-e", "", "b;", "set", "--", "x=1", "--y z"]) | st.text())
)
def test_the_text_stays_the_same(pieces: list[str]) -> None:
    assert ", ".join(joined(pieces)) == ", ".join(pieces)
