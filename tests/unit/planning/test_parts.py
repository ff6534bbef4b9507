"""What is said without a search is what DeepDiff says."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.planning.parts import by_search, parts

ONE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
KEY = st.text(max_size=3) | st.sampled_from(["__a", "a.b", "['a']", '"', ""])
VALUE = st.recursive(
    ONE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3), max_leaves=6
)


@settings(deadline=None, max_examples=300)
@given(VALUE, VALUE)
def test_the_parts_are_those_that_a_search_finds(live: Any, desired: Any) -> None:
    if live != desired:
        assert sorted(map(repr, parts(live, desired))) == sorted(map(repr, by_search(live, desired)))


@settings(deadline=None)
@given(VALUE, st.sampled_from([None, {}, []]))
def test_the_parts_of_a_value_against_nothing(value: Any, nothing: Any) -> None:
    for live, desired in ((value, nothing), (nothing, value)):
        if live != desired:
            assert sorted(map(repr, parts(live, desired))) == sorted(map(repr, by_search(live, desired)))


def test_the_items_of_a_new_list_are_in_its_order() -> None:
    assert [part.path for part in parts([], list("abcdefghijklm"))] == [(index,) for index in range(13)]
