"""Comparing specs: which differences count as changes, and how they are shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.tables import Row
from deployer.model import FieldChange
from deployer.planning.diff import compare, normalize
from testing.entries import row


def changes(field: Row, live: Any, desired: Any) -> tuple[FieldChange, ...]:
    return compare([field], {"it": live}, {"it": desired}, frozenset())


@pytest.mark.parametrize("unset", [None, "", [], {}])
def test_empty_is_unset(unset: Any) -> None:
    assert normalize(row("String"), unset) is None


@pytest.mark.parametrize(
    ("field", "value", "other"),
    [
        (row("Int", default=3), 3, None),
        (row("Boolean", default=False), False, None),
        (row("Double"), 1, 1.0),
        (row("Map of key=val"), {"a": 1, "b": True, "c": None}, {"b": "true", "a": "1"}),
        (row("Array of objects", unordered=True, fields=[]), [{"k": 1}, {"k": 2}], [{"k": 2}, {"k": 1}]),
        (row("String", memory=True), "2G", "2048 MB"),
        (row("String", memory=True), "1.5G", "1.5G"),
        (row("String", memory=True, default="4 GB"), "4G", None),
    ],
)  # fmt: skip
def test_equal_settings_are_equal(field: Row, value: Any, other: Any) -> None:
    assert changes(field, value, other) == changes(field, other, value) == ()


@pytest.mark.parametrize(
    ("field", "live", "desired"),
    [
        (row("Int", default=3), 0, None),
        (row("Boolean"), False, None),
        (row("Int"), 10**17, 10**17 + 1),
        (row("Double"), 1.0, 1.00000000000001),
        (row("String", memory=True), "2G", "2M"),
        (row("String"), "2G", "2048M"),
        (row("List of String"), ["a", "b"], ["b", "a"]),
        (row("List of String"), "[a]", ["a"]),
    ],
)
def test_different_settings_are_different(field: Row, live: Any, desired: Any) -> None:
    assert changes(field, live, desired)


@pytest.mark.parametrize(
    ("field", "live", "desired", "shown"),
    [
        (row("String"), "a", "b", {"/it": ("a", "b")}),
        (row("String"), None, "b", {"/it": (None, "b")}),
        (row("List of String"), ["a", "b"], ["a"], {"/it/1": ("b", None)}),
        (row("List of String"), None, ["a"], {"/it/0": (None, "a")}),
        (row("Map of key=val"), {"a/b~c": "1"}, {"a/b~c": "2"}, {"/it/a~1b~0c": ("1", "2")}),
        (row("Map of key=val"), {"__own": "1"}, {"__own": "2"}, {"/it/__own": ("1", "2")}),
        (row("Map of key=val"), {"": "1"}, None, {"/it/": ("1", None)}),
        (
            row("Map of key=val", sensitive=["*.key"]),
            {"a.KEY": "1", "b": "1"},
            {"a.KEY": "2", "b": "2"},
            {"/it/a.KEY": (None, None), "/it/b": ("1", "2")},
        ),
        (row("Map of key=val", sensitive=["*.key"]), "{a.key=1}", {"a.key": "1"}, {"/it": (None, None)}),
        (row("String", sensitive=True), "a", "b", {"/it": (None, None)}),
        (row("String"), "obs://AK:SK@host/a", "obs://AK:SK@host/b", {"/it": ("obs://***@host/a", "obs://***@host/b")}),
        (row("String"), "obs://AK:SK@host/a", "obs://AK:KS@host/a", {"/it": (None, None)}),
        (row("String"), "obs://host/a", "obs://AK:SK@evil/a", {"/it": ("obs://host/a", "obs://***@evil/a")}),
        (
            row("List of String"),
            ["-v", "--password", "x", "a"],
            ["--password", "y", "b"],
            {"/it/0": ("-v", None), "/it/1": (None, None), "/it/2": ("a", "b")},
        ),
        (row("List of String"), "[--password, x]", ["--password", "y"], {"/it": (None, None)}),
        (row("Object"), {}, {"a": [{"db.password": "x"}]}, {"/it/a": (None, [{"db.password": "***"}])}),
    ],
)  # fmt: skip
def test_a_change_is_shown_at_its_pointer(field: Row, live: Any, desired: Any, shown: dict[str, Any]) -> None:
    found = changes(field, live, desired)
    assert {change.path: (change.live, change.desired) for change in found} == shown
    assert [change.sensitive for change in found] == [values == (None, None) for values in shown.values()]


def test_what_is_not_listed_cannot_drift() -> None:
    assert compare([row("String")], {}, {"it": "a"}, frozenset({"it"})) == ()


@pytest.mark.parametrize(
    ("live", "desired", "shown"),
    [
        ({"a": "1"}, None, {}),
        ({"a": "1", "b": "2"}, {"a": "1"}, {}),
        ({"a": "1", "b": "2"}, {"a": "2"}, {"/it/a": ("1", "2")}),
        (None, {"a": "1"}, {"/it/a": (None, "1")}),
    ],
)
def test_what_was_filled_in_is_no_change(live: Any, desired: Any, shown: dict[str, Any]) -> None:
    found = changes(row("Map of key=val", filled=True), live, desired)
    assert {change.path: (change.live, change.desired) for change in found} == shown


# Not the private-use characters: secrets are marked with some of them.
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Co"]), max_size=3) | st.sampled_from(
    ["__a", "a/b", "~1", "a'b", 'a"b']
)


maps = st.dictionaries(texts, texts.filter(bool), max_size=4)


@settings(derandomize=True, deadline=None)
@given(maps, maps)
def test_the_changes_lead_from_the_live_map_to_the_desired_one(
    live: dict[str, str], desired: dict[str, str]
) -> None:
    changed = dict(live)
    for change in changes(row("Map of key=val"), live, desired):
        key = change.path.removeprefix("/it/").replace("~1", "/").replace("~0", "~")
        assert (change.live, change.desired) == (live.get(key), desired.get(key))
        changed |= {key: change.desired}
    assert {key: value for key, value in changed.items() if value is not None} == desired


lists = st.lists(st.sampled_from(["a", "b", "c", "a, b", "1"]), max_size=5)


@settings(derandomize=True, deadline=None)
@given(lists, lists)
def test_different_lists_always_show(live: list[str], desired: list[str]) -> None:
    found = changes(row("List of String"), live, desired)
    assert bool(found) is (live != desired)
    for change in found:
        index = int(change.path.removeprefix("/it/"))
        side, value = (live, change.live) if change.desired is None else (desired, change.desired)
        assert side[index] == value


def test_a_very_long_list_is_one_change() -> None:
    rows = KINDS["SparkBatch"].rows
    live, desired = ([str(n) for n in range(start, start + 3000)] for start in (0, 10_000))
    changes = compare(rows, {"args": live}, {"args": desired}, frozenset())
    assert [change.path for change in changes] == ["/args"]


# --- what only the live job has ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "live", "desired", "shown"),
    [
        (row("String"), "a", None, {"/it": True}),
        (row("String"), "a", "", {"/it": False}),
        (row("String"), "a", "b", {"/it": False}),
        (row("Int", default=3), 4, None, {"/it": True}),
        # The manifest gives the default: that is a value too.
        (row("Int", default=3), 4, 3, {"/it": False}),
        (row("Map of key=val"), {"a": "1", "b": "2"}, {"a": "1"}, {"/it/b": True}),
        (row("Map of key=val"), {"a": "1", "b": "2"}, {"a": "3"}, {"/it/a": False, "/it/b": True}),
        (row("Map of key=val"), {"a": "1"}, {"b": "1"}, {"/it/a": True, "/it/b": False}),
        (row("Map of key=val", sensitive=["*.key"]), {"a.key": "1"}, {}, {"/it/a.key": True}),
        (row("List of String"), ["a", "b"], None, {"/it/0": True, "/it/1": True}),
        (row("List of String"), ["x", "a", "y", "b"], ["a", "b"], {"/it/0": True, "/it/2": True}),
        (row("List of String"), ["a", "x"], ["b"], {"/it/0": False, "/it/1": False}),
        (row("List of String"), ["b", "a", "x"], ["a", "b"], {"/it/0": False, "/it/1": False, "/it/2": False}),
        (row("List of String"), ["a"] * 2001, ["a"], {"/it": True}),
        (row("List of String"), ["a"] * 2001, ["b"], {"/it": False}),
    ],
)  # fmt: skip
def test_what_only_the_live_job_has_is_additional(
    field: Row, live: Any, desired: Any, shown: dict[str, bool]
) -> None:
    assert {change.path: change.additional for change in changes(field, live, desired)} == shown


def test_a_default_inside_an_object_is_given() -> None:
    of = KINDS["FlinkJar"].rows
    live = {"resource_config": {"max_slot": 4, "parallel_number": 4}}
    found = compare(of, live, {"resource_config": {"max_slot": 1}}, frozenset())
    assert {change.path: change.additional for change in found} == {
        "/resource_config/max_slot": False,
        "/resource_config/parallel_number": True,
    }
