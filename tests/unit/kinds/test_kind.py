"""Reading the listing entries of all kinds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.kind import get_path, milliseconds
from deployer.kinds.tables import json_type
from deployer.model import Phase
from deployer.planning.diff import compare
from testing.entries import ENTRIES, FULL, observed
from testing.workspace import SHARED, needs_shared


@pytest.mark.parametrize(
    ("kind", "identity", "submitted"),
    [
        ("SparkBatch", ("b-1", "q", "job"), 1_720_000_000_000),
        ("SparkSession", ("s-1", "q", "job"), 0),
        ("FlinkJar", ("138", "", "job"), 1_578_466_221_525),
        ("MrsJob", ("m-1", "", "job"), 1_564_626_561_541),
    ],
)
def test_an_entry_tells_which_job_it_is_and_when_it_began(
    kind: str, identity: tuple[str, str, str], submitted: int
) -> None:
    live = observed(kind)
    assert (live.id, live.identity.place, live.identity.name) == identity
    assert (live.submitted, live.phase) == (submitted, Phase.ACTIVE)


@pytest.mark.parametrize(
    ("kind", "field", "phases"),
    [
        (
            "SparkBatch",
            "state",
            {
                Phase.ACTIVE: "starting running recovering",
                Phase.FAILED: "dead",
                Phase.SUCCEEDED: "success",
                Phase.UNKNOWN: "idle",
            },
        ),
        (
            "SparkSession",
            "state",
            {
                Phase.ACTIVE: "not_started starting recovering idle busy shutting_down",
                Phase.FAILED: "error dead",
                Phase.SUCCEEDED: "success",
                Phase.UNKNOWN: "running",
            },
        ),
        (
            "FlinkJar",
            "status",
            {
                Phase.DRAFT: "job_init",
                Phase.PENDING: "job_submitting job_downloading job_canceling job_savepointing "
                "job_arrearage_recovering",
                Phase.ACTIVE: "job_running job_cancel_fail",
                Phase.STOPPED: "job_cancel_success",
                Phase.SUCCEEDED: "job_finish",
                Phase.FAILED: "job_submit_fail job_running_exception",
                Phase.UNKNOWN: "job_idle job_arrearage_stopped running",
            },
        ),
        (
            "MrsJob",
            "job_state",
            {
                Phase.ACTIVE: "NEW NEW_SAVING SUBMITTED ACCEPTED RUNNING",
                Phase.FAILED: "FAILED",
                Phase.STOPPED: "KILLED",
                Phase.UNKNOWN: "FINISHED OTHER",
            },
        ),
    ],
)
def test_each_state_in_any_case_has_its_phase(kind: str, field: str, phases: dict[Phase, str]) -> None:
    expected = {state: phase for phase, states in phases.items() for state in states.split()}
    for spelled in (str, str.upper, str.capitalize):
        found = {state: observed(kind, **{field: spelled(state)}).phase for state in expected}
        assert found == expected
    assert observed(kind, **{field: None}).phase is Phase.UNKNOWN


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (5, 5),
        ("5", 5),
        (None, 0),
        ("", 0),
        ("soon", 0),
        ([], 0),
        (-1, 0),
        (10**20, 0),
        (float("inf"), 0),
        (True, 1),
    ],
)
def test_a_time_may_be_text_or_nothing(value: Any, time: int) -> None:
    assert milliseconds(value) == time


@pytest.mark.parametrize("value", ["1564626561541", "1564626561541.0", 1564626561541.0, " 1564626561541 "])
def test_a_time_may_be_written_in_many_ways(value: Any) -> None:
    assert milliseconds(value) == 1_564_626_561_541


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_state_is_kept_as_it_is(kind: str) -> None:
    field = {"MrsJob": "job_state", "FlinkJar": "status"}.get(kind, "state")
    for state in ("Hibernating", "job status: 7", "x" * 300):
        live = observed(kind, **{field: state})
        assert (live.state, live.phase) == (state, Phase.UNKNOWN)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("[" * 9999),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, derandomize=True, deadline=None)
@given(data=st.data())
def test_an_entry_may_hold_anything(kind: str, data: st.DataObject) -> None:
    entry = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(ENTRIES[kind], json_values)))
    if kind == "FlinkJar" and data.draw(st.booleans()):
        names = [row.name for row in KINDS[kind].rows]
        entry["job_config"] = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, json_values)))
    live = KINDS[kind].observe(entry)
    assert isinstance(live.id, str)
    if live.spec is not None:
        compare(KINDS[kind].rows, live.spec, KINDS[kind].expect({}), live.unobserved)


def recorded_entries(kind: str) -> list[dict[str, Any]]:
    """The entries of a kind in real and printed answers; where those are not at hand, none."""
    file = SHARED / "recorded" / "responses.json"
    answers = json.loads(file.read_text("utf-8")) if file.is_file() else []
    family = KINDS[kind].listing.table.rpartition(".")[0]
    entries: list[dict[str, Any]] = []
    for answer in answers:
        if answer["status"] == 200 and answer["api"] == f"{family}.list":
            entries += get_path(answer["body"], KINDS[kind].listing.items)
        elif answer["status"] == 200 and answer["api"] == f"{family}.get":
            entries.append(answer["body"].get("job_detail", answer["body"]))
    return entries


# What a service may put in the place of any value, however it is meant.
STRANGE: list[Any] = [
    *(None, "", " ", "null", "none", "[]", "{}", "[", "{", "{}{}", '"', "true", "0", "-1", "1e999", "NaN"),
    *("[a, b", "a, b]", "{k}", "k=v", "[[1], {}]", '[{"key": []}]', '{"a": {"b": []}}', "\ud800", "x" * 5000),
    *(0, -1, 10**30, 1.5, float("nan"), float("inf"), True, False),
    *([], [None], [[]], [{}], ["a", None], {}, {"": None}, {"a": {}}, {"key": "a"}, [{"key": None}]),
    *("[" * 9999, "[" * 400 + "]" * 400, '{"a":' * 400 + "1" + "}" * 400),
]


def in_text(value: Any) -> Any:
    """What JSON text holds; anything else as it is."""
    try:
        held = json.loads(value) if isinstance(value, str) and len(value) < 1000 else value
    except ValueError:
        return value
    return held if isinstance(held, dict | list) else value


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where anything stands in an entry, in the JSON text of its fields as well."""
    value = in_text(value)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above] * bool(above) + [place for key, item in inner for place in places(item, (*above, key))]


def with_value(value: Any, place: tuple[Any, ...], other: Any, *, gone: bool = False) -> Any:
    """`value` with something else at a place, or nothing there."""
    if not place:
        return other
    if isinstance(value, str):
        return json.dumps(with_value(json.loads(value), place, other, gone=gone))
    changed = value.copy()
    if gone and len(place) == 1:
        del changed[place[0]]
    else:
        changed[place[0]] = with_value(value[place[0]], place[1:], other, gone=gone)
    return changed


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, derandomize=True, deadline=None)
@given(data=st.data())
def test_whatever_is_wrong_in_an_entry_it_is_compared_or_not(kind: str, data: st.DataObject) -> None:
    """Never a crash, and what is not a value of its field is never taken for a change."""
    entry = data.draw(st.sampled_from([ENTRIES[kind], FULL[kind], *recorded_entries(kind)]))
    for _ in range(data.draw(st.integers(1, 3), label="how many")):
        if found := places(entry):
            place, other = data.draw(st.sampled_from(found)), data.draw(st.sampled_from(STRANGE))
            entry = with_value(entry, place, other, gone=data.draw(st.booleans(), label="gone"))
    live = KINDS[kind].observe(entry)
    assert (type(live.id), type(live.state), type(live.identity.name)) == (str, str, str)
    assert (type(live.submitted), type(live.finished), type(live.savepoint)) == (int, int, str)
    if live.spec is None:
        return
    rows = {row.name: row for row in KINDS[kind].rows}
    assert set(live.spec) <= set(rows)
    for name, value in live.spec.items():
        shape = json_type(rows[name].type)["type"]
        if name not in {"runtime_config", "flink_log_config"}:
            assert isinstance(value, JSON_CLASSES[shape]), name
    for desired in ({}, live.spec):
        compare(KINDS[kind].rows, live.spec, KINDS[kind].expect(desired), live.unobserved)
    assert compare(KINDS[kind].rows, live.spec, live.spec, live.unobserved) == ()


JSON_CLASSES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": int | float,
    "array": list,
    "object": dict,
}


# The phases of the recorded entries, in their order; what is unknown is an excerpt without a state.
RECORDED = {
    "SparkBatch": "active active failed",
    "SparkSession": "active active",
    "FlinkJar": "draft unknown draft",
    "MrsJob": "succeeded failed succeeded active active active unknown unknown",
}


@needs_shared
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_entries_can_be_read(kind: str) -> None:
    entries = recorded_entries(kind)
    found = [KINDS[kind].observe(entry) for entry in entries]
    assert [live.phase.value for live in found] == RECORDED[kind].split()
    for entry, live in zip(entries, found, strict=True):
        assert live.id == str(entry.get("id", entry.get("job_id", "")))
        if live.spec is not None:
            compare(KINDS[kind].rows, live.spec, {}, live.unobserved)
