"""Equal values are not compared: what is skipped is never a difference, whatever the table says of the field."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.tables import JSON_TYPES, Row
from deployer.planning.diff import normal_forms
from deployer.planning.same import is_same
from deployer.secrets.references import reference
from testing.entries import ENTRIES, FULL, row

REFERENCE = reference("A")


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        (1, True),
        (1, 1.0),
        ({"a": 1}, {"a": True}),
        ({"a": 1.0}, {"a": 1}),
        ([1], [True]),
        ({"a": None}, {"a": None}),
        ([{"a": "1"}], [{"a": "1"}]),
        (None, ""),
        ("", []),
        ("2G", "2048M"),
        (float("nan"), float("nan")),
        (["a", "b"], ["b", "a"]),
    ],
)
def test_what_may_be_written_in_two_ways_is_compared(live: Any, desired: Any) -> None:
    assert not is_same(live, desired)


@pytest.mark.parametrize("value", [None, "", "a", 0, 1.5, False, [], {}, ["a", "b"], {"a": "b"}])
def test_equal_plain_values_are_the_same(value: Any) -> None:
    assert is_same(value, value)


TEXTS = st.sampled_from(["", "a", "b", "2G", "4096M", "true", "1", "*", REFERENCE, f"x{REFERENCE}y", "xby"])
SCALARS = st.one_of(st.none(), TEXTS, st.booleans(), st.integers(-3, 3), st.floats(-3, 3))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(TEXTS, max_size=6), st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)
DEFAULTS = st.one_of(SCALARS, st.lists(TEXTS, max_size=2))


@st.composite
def rows(draw: st.DrawFn) -> Row:
    flags = {name: draw(st.booleans()) for name in ("unordered", "memory", "filled")}
    columns: dict[str, Any] = {name: True for name, is_set in flags.items() if is_set}
    if draw(st.booleans()):
        columns["default"] = draw(DEFAULTS)
    if draw(st.booleans()):
        columns["fields"] = [{"name": "a", "type": "String", "since": "D1", "description": "A."}]
    return row(draw(st.sampled_from(sorted(JSON_TYPES))), **columns)


def in_other_types(value: Any) -> Any:
    """An equal value: numbers instead of booleans, and the other way round."""
    match value:
        case dict():
            return {key: in_other_types(item) for key, item in value.items()}
        case list():
            return [*map(in_other_types, value)]
        case bool():
            return int(value)
        case 0 | 1:
            return bool(value)
        case int():
            return float(value)
    return value


@settings(max_examples=500, derandomize=True, deadline=None)
@given(rows(), VALUES, st.sampled_from([copy.deepcopy, in_other_types]))
def test_what_is_the_same_has_the_same_normal_form(
    field: Row, live: Any, equal: Callable[[Any], Any]
) -> None:
    desired = equal(live)
    if is_same(live, desired):
        assert len({repr(form) for form in normal_forms(field, live, desired)}) == 1


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, derandomize=True, deadline=None)
@given(data=st.data())
def test_the_fields_of_an_entry_that_are_the_same_have_the_same_normal_form(
    kind: str, data: st.DataObject
) -> None:
    entry = data.draw(st.sampled_from([ENTRIES[kind], FULL[kind]]))
    live = KINDS[kind].observe(entry)
    assert live.spec
    for field in KINDS[kind].rows:
        listed = live.spec.get(field.name)
        for desired in (copy.deepcopy(listed), data.draw(VALUES)):
            if is_same(listed, desired):
                live_value, desired_value = normal_forms(field, listed, desired)
                assert live_value == desired_value
