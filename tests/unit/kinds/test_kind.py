"""What a listing entry says of a live job, and how that is compared with the desired one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.coerce import ConversionError, value_of
from deployer.kinds.kind import get_path, milliseconds
from deployer.kinds.mrs_job import java_list, java_map
from deployer.kinds.tables import Row, json_type, parse_row
from deployer.model import FieldChange, LiveJob, Phase
from deployer.planning.diff import compare, normalize
from testing.workspace import SHARED, needs_shared

# --- entries ----------------------------------------------------------------------------------------------

BATCH = {
    "id": "b-1",
    "name": "job",
    "queue": "q",
    "cluster_name": "old",
    "state": "running",
    "sc_type": "A",
    "create_time": 1_720_000_000_000,
    "req_body": '{"file": "a.py", "queue": "q", "autoRecovery": true}',
}
SESSION = {"id": "s-1", "name": "job", "cluster_name": "q", "kind": "spark", "state": "idle", "sc_type": "A"}
FLINK: dict[str, Any] = {
    "job_id": 138,
    "name": "job",
    "status": "job_running",
    "start_time": 0,
    "create_time": 1_578_466_221_525,
    "desc": "",
    "job_config": {"cu_number": 2, "feature": "basic", "checkpoint_mode": "exactly_once"},
}
MRS = {
    "job_id": "m-1",
    "job_name": "job",
    "job_state": "RUNNING",
    "job_result": "UNDEFINED",
    "job_type": "SparkSubmit",
    "submitted_time": "1564626561541",
    "arguments": "[a, b]",
    "properties": "{k=v}",
}
ENTRIES: dict[str, dict[str, Any]] = {
    "SparkBatch": BATCH,
    "SparkSession": SESSION,
    "FlinkJar": FLINK,
    "MrsJob": MRS,
}


# An entry of each kind with all that it may hold.
FULL: dict[str, dict[str, Any]] = {
    "SparkBatch": {
        **BATCH,
        "req_body": json.dumps(
            {
                "file": "a.jar",
                "className": "A",
                "queue": "q",
                "name": "job",
                "args": ["a", "b"],
                "conf": {"a": "1"},
                "jars": ["a.jar"],
                "modules": [],
                "archives": [],
                "modelFiles": [],
                "resources": [{"name": "a", "type": "jar"}],
                "groups": [{"name": "g", "resources": []}],
                "driverMemory": "1G",
                "driverCores": 1,
                "numExecutors": 2,
                "autoRecovery": True,
                "maxRetryTimes": 20,
                "minRecoveryDelayTime": 10000,
                "sc_type": "B",
                "feature": "basic",
            }
        ),
    },
    "SparkSession": {**SESSION, "queue": "q", "appInfo": {"sparkUiUrl": None}, "log": ["a"]},
    "FlinkJar": {
        **FLINK,
        "has_savepoint": True,
        "savepoint_path": "obs://b/s",
        "main_class": "A",
        "entrypoint_args": "-a b",
        "queue_name": "q",
        "tags": [{"key": "a", "value": "b"}],
        "image": None,
        "job_config": {
            **FLINK["job_config"],
            "runtime_config": '[{"key": "a", "value": "1"}]',
            "flink_log_config": '{"a": "INFO"}',
            "dependency_jars": ["a.jar"],
            "log_enabled": False,
            "resume_max_num": -1,
            "tm_cus": 1,
            "resource_config_version": "v2",
            "resource_config": {"max_slot": 1, "jobmanager_resource_spec": {"cpu": 1.0, "memory": "4 GB"}},
        },
    },
    "MrsJob": {**MRS, "finished_time": 1, "job_progress": 1.5, "queue": "default"},
}


def observed(kind: str, **change: Any) -> LiveJob:
    return KINDS[kind].observe(ENTRIES[kind] | change)


def differences(kind: str, desired: dict[str, Any], **change: Any) -> dict[str, tuple[Any, Any]]:
    """What plan would show, by pointer: live and desired."""
    live = observed(kind, **change)
    assert live.spec is not None
    changes = compare(KINDS[kind].rows, live.spec, KINDS[kind].expect(desired), live.unobserved)
    return {change.path: (change.live, change.desired) for change in changes}


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
    ("result", "phase"),
    [
        ("SUCCEEDED", Phase.SUCCEEDED),
        ("FAILED", Phase.FAILED),
        ("KILLED", Phase.STOPPED),
        ("UNDEFINED", Phase.UNKNOWN),
        (None, Phase.UNKNOWN),
    ],
)
def test_the_result_tells_how_a_finished_mrs_job_ended(result: str | None, phase: Phase) -> None:
    live = observed("MrsJob", job_state="FINISHED", job_result=result)
    assert live.phase is phase
    assert live.state == ("FINISHED" if phase is Phase.UNKNOWN else f"FINISHED {result}")


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


@pytest.mark.parametrize(("state", "result"), [("Finished", "Succeeded"), (" FINISHED ", "succeeded")])
def test_a_result_in_any_case(state: str, result: str) -> None:
    assert observed("MrsJob", job_state=state, job_result=result).phase is Phase.SUCCEEDED


def test_an_mrs_job_tells_when_it_ended() -> None:
    assert [observed("MrsJob", finished_time=time).finished for time in (0, None, 5, "5")] == [0, 0, 5, 5]


@pytest.mark.parametrize(
    ("entry", "savepoint"),
    [
        ({}, ""),
        ({"has_savepoint": False, "savepoint_path": None}, ""),
        ({"has_savepoint": True}, "yes"),
        ({"has_savepoint": "true", "savepoint_path": ""}, "yes"),
        ({"has_savepoint": "false"}, ""),
        ({"has_savepoint": True, "savepoint_path": "obs://b/s"}, "obs://b/s"),
        ({"savepoint_path": "obs://b/s"}, "obs://b/s"),
        ({"has_savepoint": {}, "savepoint_path": ["obs://b/s"]}, ""),
    ],
)
def test_a_flink_job_tells_where_it_left_its_state(entry: dict[str, Any], savepoint: str) -> None:
    assert observed("FlinkJar", **entry).savepoint == savepoint


@pytest.mark.parametrize("start", [0, "0", None, ""])
def test_a_flink_job_that_never_started_began_when_it_was_created(start: Any) -> None:
    assert observed("FlinkJar", start_time=start).submitted == FLINK["create_time"]
    assert observed("FlinkJar", start_time="9").submitted == 9


# --- values, as a service says them -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "said", "value"),
    [
        ("Int", "20", 20),
        ("Int", 20.0, 20),
        ("Int", " -1 ", -1),
        ("Int", "", None),
        ("Double", "0.5", 0.5),
        ("Double", "1.0", 1),
        ("Boolean", "False", False),
        ("Boolean", "true", True),
        ("String", "", ""),
        ("List of String", ["a", 1, True], ["a", "1", "true"]),
        ("List of String", '["a"]', ["a"]),
        ("List of String", "", None),
        ("Map of key=val", {"a": 1, "b": True, "c": 1.5}, {"a": "1", "b": "true", "c": "1.5"}),
        ("Map of key=val", {"a": None}, {"a": None}),
        ("Map of key=val", '{"a": "1"}', {"a": "1"}),
        ("Map of key=val", [], "?"),
        ("Map of key=val", {"a": {}}, "?"),
        ("Int", "20 s", "?"),
        ("Int", 1.5, "?"),
        ("Int", True, "?"),
        ("Int", "9" * 5000, "?"),
        ("Double", float("inf"), "?"),
        ("Boolean", 1, "?"),
        ("Boolean", "yes", "?"),
        ("String", 3.1, "?"),
        ("String", ["a"], "?"),
        ("List of String", "a.jar,b.jar", "?"),
        ("List of String", [None], "?"),
        ("List of String", [["a"]], "?"),
        ("List of JSON", ["a"], "?"),
        ("List of JSON", {"a": 1}, "?"),
    ],
)  # fmt: skip
def test_a_value_is_in_the_type_of_its_row_or_not_understood(printed: str, said: Any, value: Any) -> None:
    if value != "?":
        assert value_of(row(printed), said) == value
        return
    with pytest.raises(ConversionError):
        value_of(row(printed), said)


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
STRANGE = [
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


# --- batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoded", [str, json.dumps, json.loads])
def test_an_echo_is_read_however_often_it_is_encoded(encoded: Any) -> None:
    live = observed("SparkBatch", req_body=encoded(BATCH["req_body"]))
    assert live.spec == {"file": "a.py", "queue": "q", "auto_recovery": True, "sc_type": "A"}


@pytest.mark.parametrize("echo", [None, "", "{", "[]", '"text"', "7", '"\\"{}\\""', 7, [], "[" * 9999])
def test_a_batch_without_a_readable_echo_cannot_be_compared(echo: Any) -> None:
    assert observed("SparkBatch", req_body=echo).spec is None


@pytest.mark.parametrize(
    "echo",
    [
        {},
        {"queue": "q"},
        {"file": None},
        {"file": ""},
        {"file": 7},
        {"file": "a.py", "args": "a b"},
        {"file": "a.py", "conf": ["a=1"]},
        {"file": "a.py", "maxRetryTimes": "many"},
        {"file": "a.py", "resources": ["a.jar"]},
    ],
)
def test_an_echo_that_no_request_can_be_cannot_be_compared(echo: dict[str, Any]) -> None:
    assert observed("SparkBatch", req_body=json.dumps(echo)).spec is None


def test_an_echo_may_be_cut_off() -> None:
    whole = str(FULL["SparkBatch"]["req_body"])
    assert observed("SparkBatch", req_body=whole).spec
    assert {observed("SparkBatch", req_body=whole[:end]).spec is None for end in range(len(whole))} == {True}


def test_an_echo_may_have_its_quotes_escaped() -> None:
    """As the vendor's SDK shows it."""
    text = str(BATCH["req_body"]).replace('"', '\\"')
    assert observed("SparkBatch", req_body=text).spec == observed("SparkBatch").spec


SPELLED = {
    "class_name": "A",
    "PyFiles": ["a.py"],
    "driver_memory": "1G",
    "driverCores": 1,
    "executor_memory": "2048M",
    "executorCores": "2",
    "num_executors": 3,
    "auto_recovery": True,
    "maxRetryTimes": 5,
    "min_recovery_delay_time": 7,
    "obsBucket": "b",
    "sparkVersion": "3.3.1",
    "executionAgencyUrn": "agency",
    "catalogName": "dli",
    "scType": "B",
    "file": "a.jar",
    "clusterName": "q",
}
SENT = {
    "className": "A",
    "pyFiles": ["a.py"],
    "driverMemory": "1G",
    "driverCores": 1,
    "executorMemory": "2G",
    "executorCores": 2,
    "numExecutors": 3,
    "auto_recovery": True,
    "max_retry_times": 5,
    "minRecoveryDelayTime": 7,
    "obs_bucket": "b",
    "spark_version": "3.3.1",
    "execution_agency_urn": "agency",
    "catalog_name": "dli",
    "sc_type": "B",
    "file": "a.jar",
    "queue": "q",
}


def test_an_echo_may_spell_its_keys_in_any_mix() -> None:
    assert differences("SparkBatch", SENT, req_body=json.dumps(SPELLED)) == {}
    for name in SENT.keys() - {"queue", "file", "spark_version"}:
        left_out = {key: value for key, value in SENT.items() if key != name}
        assert set(differences("SparkBatch", left_out, req_body=json.dumps(SPELLED))) in (
            {f"/{name}"},
            {f"/{name}/0"},
        )


def test_of_two_spellings_the_one_that_says_something_counts() -> None:
    echo = {"file": "a.py", "class_name": None, "className": "A", "autoRecovery": None, "auto_recovery": True}
    spec = observed("SparkBatch", req_body=json.dumps(echo)).spec or {}
    assert (spec["className"], spec["auto_recovery"]) == ("A", True)


def test_what_the_service_adds_to_an_echo_is_no_change() -> None:
    echo = {name: [] for name in ("jars", "pyFiles", "files", "modelFiles", "resources", "modules", "groups")}
    echo |= {"archives": [], "args": [], "conf": {}, "className": "", "image": None, "feature": "basic"}
    echo |= {"autoRecovery": False, "minRecoveryDelayTime": 10000, "maxRetryTimes": 20, "name": "job"}
    small = {"file": "a.py", "queue": "q"}
    assert differences("SparkBatch", small, req_body=json.dumps(small | echo)) == {}


def test_an_old_entry_is_named_by_its_echo() -> None:
    entry = {"id": "b-1", "state": "dead", "req_body": '{"file": "a.py", "cluster_name": "q", "name": "job"}'}
    assert KINDS["SparkBatch"].observe(entry).identity == ("SparkBatch", "q", "job")
    assert observed("SparkBatch", req_body='{"file": "a.py"}').spec == {
        "file": "a.py",
        "queue": "q",
        "sc_type": "A",
    }


def test_a_batch_without_an_echo_cannot_be_compared() -> None:
    assert KINDS["SparkBatch"].observe({"id": "b-1", "state": "dead"}).spec is None


@pytest.mark.parametrize(
    ("listed", "echo", "asked", "shown"),
    [
        ("B", {}, {}, {"/sc_type": ("B", None)}),
        ("B", {}, {"sc_type": "B"}, {}),
        ("CUSTOMIZED", {}, {"sc_type": "B"}, {}),  # single sizes were given, and the preset is not told
        (["B"], {}, {"sc_type": "B"}, {}),
        ("CUSTOMIZED", {"sc_type": "B"}, {}, {"/sc_type": ("B", None)}),
    ],
)
def test_the_preset_of_a_batch_is_in_its_echo_or_in_its_entry(
    listed: Any, echo: dict[str, Any], asked: dict[str, Any], shown: dict[str, Any]
) -> None:
    small = {"file": "a.py", "queue": "q"}
    found = differences("SparkBatch", small | asked, req_body=json.dumps(small | echo), sc_type=listed)
    assert found == shown


def test_the_names_and_spellings_of_a_batch_are_compared_as_one() -> None:
    body = {"file": "a.py", "queue": "q", "class_name": "A", "max_retry_times": 3, "driverMemory": "2048 MB"}
    desired = {
        "file": "a.py",
        "cluster_name": "q",
        "className": "A",
        "max_retry_times": 3,
        "driverMemory": "2G",
    }
    assert differences("SparkBatch", desired, req_body=json.dumps(body)) == {}


# --- sessions ---------------------------------------------------------------------------------------------


def test_a_session_shows_its_preset_unless_sizes_were_given() -> None:
    desired = {"kind": "spark", "queue": "q", "jars": ["a.jar"], "sc_type": "B"}
    assert differences("SparkSession", desired) == {"/sc_type": (None, "B")}
    assert differences("SparkSession", desired, sc_type="CUSTOMIZED") == {}


@pytest.mark.parametrize("said", [{"kind": None}, {"sc_type": None}, {"kind": None, "sc_type": ""}])
def test_what_a_session_does_not_say_is_no_change(said: dict[str, Any]) -> None:
    live = KINDS["SparkSession"].observe(SESSION | {"sc_type": "B"} | said)
    desired = {"kind": "spark", "queue": "q", "sc_type": "B"}
    assert compare(KINDS["SparkSession"].rows, live.spec or {}, desired, live.unobserved) == ()


# --- Flink jobs -------------------------------------------------------------------------------------------


def flink(desired: dict[str, Any], **config: Any) -> dict[str, tuple[Any, Any]]:
    return differences("FlinkJar", desired, job_config={**FLINK["job_config"], **config})


def test_a_flink_job_without_its_definition_cannot_be_compared() -> None:
    for config in (None, {}, [], "text"):
        assert observed("FlinkJar", job_config=config).spec is None


@pytest.mark.parametrize(
    ("number", "word"), [(1, "exactly_once"), (2, "at_least_once"), (2, "AT_LEAST_ONCE")]
)
def test_a_checkpoint_mode_is_read_back_as_a_word(number: int, word: str) -> None:
    assert flink({"checkpoint_mode": number}, checkpoint_mode=word) == {}
    assert flink({"checkpoint_mode": 3 - number}, checkpoint_mode=word)["/checkpoint_mode"] != (None, None)
    assert flink({}, checkpoint_mode=None) == {}


def test_some_editions_show_the_image_beside_the_definition() -> None:
    config = {key: value for key, value in FLINK["job_config"].items() if key != "feature"}
    shown = differences("FlinkJar", {}, job_config=config, feature="custom", image="a/b:1")
    assert shown == {"/feature": ("custom", None), "/image": ("a/b:1", None)}


def test_the_place_that_says_something_counts() -> None:
    config = {
        **FLINK["job_config"],
        "feature": None,
        "flink_version": None,
        "main_class": "A",
        "image": "in:1",
    }
    shown = differences(
        "FlinkJar",
        {},
        job_config=config,
        feature="custom",
        image="a/b:1",
        flink_version="1.15",
        main_class=None,
    )
    assert shown == {
        "/feature": ("custom", None),
        "/image": ("in:1", None),
        "/main_class": ("A", None),
    }


def test_a_definition_may_be_text() -> None:
    assert observed("FlinkJar", job_config=json.dumps(FLINK["job_config"])).spec == observed("FlinkJar").spec


@pytest.mark.parametrize("mode", [1, "1", "exactly_once", "Exactly_Once", None])
def test_a_checkpoint_mode_may_be_a_number(mode: Any) -> None:
    assert flink({"checkpoint_mode": 1}, checkpoint_mode=mode) == {}
    assert bool(flink({"checkpoint_mode": 2}, checkpoint_mode=mode))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checkpoint_mode", "at_most_once"),
        ("cu_number", "two"),
        ("dependency_jars", "a.jar,b.jar"),
        ("resource_config", "v2"),
        ("log_enabled", "on"),
        ("runtime_config", 7),
    ],
)
def test_a_definition_that_is_not_understood_cannot_be_compared(name: str, value: Any) -> None:
    assert observed("FlinkJar", job_config={**FLINK["job_config"], name: value}).spec is None


def test_numbers_and_flags_of_a_definition_may_be_text() -> None:
    desired = {"cu_number": 3, "log_enabled": True, "resource_config_version": "v2"}
    desired["resource_config"] = {"taskmanager_resource_spec": {"cpu": 1.5, "memory": "4 GB"}}
    machine = {"cpu": "1.5", "memory": "4G"}
    said = {"cu_number": "3", "log_enabled": "true", "resource_config_version": "v2"}
    assert flink(desired, **said, resource_config={"taskmanager_resource_spec": machine}) == {}
    assert flink(desired, **said, resource_config=json.dumps({"taskmanager_resource_spec": machine})) == {}


@pytest.mark.parametrize(
    "live",
    [
        '[{"key":"a","value":1},{"key":"b","value":true},{"key":"own","value":null}]',
        [{"key": "a", "value": "1"}, {"key": "b", "value": "true"}],
        '{"a": "1", "b": "true"}',
        {"a": "1", "b": "true"},
        "a=1\nb=true\nown=2\n",
    ],
)
def test_settings_are_the_same_in_all_the_ways_to_write_them(live: Any) -> None:
    for desired in ('[{"key": "b", "value": "true"}, {"key": "a", "value": "1"}]', "a = 1\n\nb=true"):
        assert flink({"runtime_config": desired}, runtime_config=live) == {}
        changed = desired.replace("1", "2")
        assert flink({"runtime_config": changed}, runtime_config=live) == {"/runtime_config/a": ("1", "2")}


SETTINGS = '[{"key": "a", "value": "1"}, {"key": "secret.key", "value": "s3cr3t"}]'


@pytest.mark.parametrize(
    ("desired", "live", "shown"),
    [
        (SETTINGS, SETTINGS.replace(" ", ""), {}),
        ('[{"key": "a", "value": "1"}]', SETTINGS, {}),
        ('[{"key": "a", "value": "2"}]', SETTINGS, {"/runtime_config/a": ("1", "2")}),
        ('[{"key": "b", "value": "2"}]', SETTINGS, {"/runtime_config/b": (None, "2")}),
        (SETTINGS.replace("s3", "S3"), SETTINGS, {"/runtime_config/secret.key": (None, None)}),
        (SETTINGS, None, {"/runtime_config": (None, None)}),
        ("other", SETTINGS, {"/runtime_config": (None, None)}),
        ("", SETTINGS, {}),
        ('[{"other": 1}]', '[{"other": 1}]', {}),
    ],
)
def test_settings_that_the_service_adds_are_no_change(
    desired: str, live: str | None, shown: dict[str, Any]
) -> None:
    assert flink({"runtime_config": desired}, runtime_config=live) == shown


def test_log_levels_are_compared_as_the_json_that_they_are() -> None:
    live = '{"root_logger_level":"INFO","loggers_level_of_class":{"a":"WARN","b":"INFO"}}'
    same = '{"loggers_level_of_class": {"b": "INFO", "a": "WARN"}, "root_logger_level": "INFO"}'
    assert flink({"flink_log_config": same}, flink_log_config=live) == {}
    shown = flink({"flink_log_config": same.replace("WARN", "ERROR")}, flink_log_config=live)
    assert shown == {"/flink_log_config/loggers_level_of_class/a": ("WARN", "ERROR")}


def test_the_sizes_of_version_1_do_not_count_with_version_2() -> None:
    sizes = {"cu_number": 7, "manager_cu_number": 2, "parallel_number": 9, "tm_cus": 3, "tm_slot_num": 5}
    assert flink({"resource_config_version": "v2"}, resource_config_version="v2", **sizes) == {}
    shown = flink({}, resource_config_version="v1", **sizes)
    assert set(shown) == {f"/{name}" for name in sizes} - {"/tm_slot_num"}  # the service works that one out


@pytest.mark.parametrize("spelled", ["4G", "4 GB", "4gb", "4", "4096M", "4096 MB", "4194304k"])
def test_sizes_that_are_left_out_are_the_defaults_in_any_spelling(spelled: str) -> None:
    machine = {"cpu": 1, "memory": spelled}
    echo = {
        "max_slot": 1,
        "jobmanager_resource_spec": machine,
        "taskmanager_resource_spec": machine,
        "own": 1,
    }
    shown = {"resource_config_version": "v2", "resource_config": echo}
    assert flink({"resource_config_version": "v2"}, **shown) == {}
    assert flink({"resource_config_version": "v2", "resource_config": {"max_slot": 1}}, **shown) == {}
    asked = {"resource_config_version": "v2", "resource_config": {"jobmanager_resource_spec": {"cpu": 2}}}
    assert flink(asked, **shown) == {"/resource_config/jobmanager_resource_spec": (None, {"cpu": 2})}


def test_a_size_that_is_written_another_way_is_not_shown_beside_one_that_changed() -> None:
    asked = {"resource_config": {"taskmanager_resource_spec": {"cpu": 2, "memory": "6G"}}}
    echo = {"taskmanager_resource_spec": {"cpu": 2.0, "memory": "8 GB"}}
    shown = flink(asked, resource_config=echo)
    assert shown == {"/resource_config/taskmanager_resource_spec/memory": ("8G", "6G")}


def test_tags_are_compared_where_the_entry_shows_them() -> None:
    desired = {"tags": [{"key": "a", "value": "b"}, {"key": "c", "value": ""}]}
    assert flink(desired) == {}
    assert differences("FlinkJar", desired, tags=desired["tags"][::-1]) == {}
    assert set(differences("FlinkJar", desired, tags=[])) == {"/tags/0", "/tags/1"}
    assert differences("FlinkJar", desired, tags="a=b") == {}


# --- MRS jobs ---------------------------------------------------------------------------------------------


def test_an_mrs_job_without_its_arguments_cannot_be_compared() -> None:
    assert KINDS["MrsJob"].observe({"job_id": "m-1", "job_name": "job"}).spec is None


@pytest.mark.parametrize("arguments", [None, "", "a, b", "[a", 7, {}, [["a"]], {"a": "b"}])
def test_arguments_that_are_not_understood_cannot_be_compared(arguments: Any) -> None:
    assert observed("MrsJob", arguments=arguments).spec is None


@pytest.mark.parametrize("properties", ["k=v", "{k=v", 7, [], ["k=v"], {"k": {}}])
def test_properties_that_are_not_understood_cannot_be_compared(properties: Any) -> None:
    assert observed("MrsJob", properties=properties).spec is None


@pytest.mark.parametrize("properties", [None, ""])
def test_properties_that_are_not_told_cannot_drift(properties: Any) -> None:
    assert (
        differences("MrsJob", {"job_type": "SparkSubmit", "arguments": ["a", "b"]}, properties=properties)
        == {}
    )


def test_real_arrays_and_objects_are_compared_as_their_text() -> None:
    desired = {"job_type": "SparkSubmit", "arguments": ["10", "true"], "properties": {"k": "false"}}
    assert differences("MrsJob", desired, arguments=[10, True], properties={"k": False}) == {}


def test_an_mrs_job_without_its_properties_is_compared_by_the_rest() -> None:
    entry = {key: value for key, value in MRS.items() if key != "properties"}
    live = KINDS["MrsJob"].observe(entry)
    assert live.spec == {"job_type": "SparkSubmit", "arguments": ["a", "b"]}
    assert "properties" in live.unobserved


@pytest.mark.parametrize(
    ("job_type", "shown"), [("SparkPython", {}), ("Flink", {"/job_type": ("SparkSubmit", "Flink")})]
)
def test_spark_python_is_listed_as_spark_submit(job_type: str, shown: dict[str, Any]) -> None:
    desired = {"job_type": job_type, "arguments": ["a", "b"], "properties": {"k": "v"}}
    assert differences("MrsJob", desired) == shown


@pytest.mark.parametrize("arguments", ["[a, b, c]", ["a", "b, c"], ["a", "b", "c"]])
def test_arguments_are_compared_as_java_prints_them(arguments: Any) -> None:
    desired = {"job_type": "SparkSubmit", "arguments": ["a, b", "c"], "properties": {"k": "v"}}
    assert differences("MrsJob", desired, arguments=arguments) == {}


def test_a_secret_with_a_comma_stays_under_its_name() -> None:
    desired = {"job_type": "SparkSubmit", "arguments": ["a", "b"], "properties": {"db.password": "x, y"}}
    shown = differences("MrsJob", desired, properties="{db.password=x, z}")
    assert shown == {"/properties/db.password": (None, None)}


def test_an_object_and_its_text_are_the_same_properties() -> None:
    assert (
        java_map({"a": "1", "b": "x, y=z"}) == java_map("{y=z, b=x, a=1}") == {"a": "1", "b": "x", "y": "z"}
    )
    assert java_map("{}") == java_map({}) == {}
    assert java_map("{a=1, a=2, 3}") == {"a": "1, a=2, 3"}


pieces = st.sampled_from(["", "a", "b", ",", " ", ", ", "=", "[", "]", "a=b"])
short = st.lists(pieces, max_size=4).map("".join)


def printed_list(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def printed_map(pairs: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}={value}' for key, value in pairs.items())}}}"


@settings(derandomize=True, deadline=None)
@given(st.lists(short, max_size=3), st.lists(short, max_size=3))
def test_lists_are_equal_exactly_if_java_prints_them_alike(one: list[str], other: list[str]) -> None:
    same = printed_list(one) == printed_list(other)
    assert (java_list(printed_list(one)) == java_list(printed_list(other))) is same
    assert java_list(one) == java_list(printed_list(one))


# A key with a comma and a blank in it cannot be told from the end of another value.
short_maps = st.dictionaries(short.filter(lambda key: ", " not in key), short, max_size=3)


@settings(derandomize=True, deadline=None)
@given(short_maps, short_maps, st.randoms(use_true_random=False))
def test_maps_are_equal_exactly_if_java_prints_the_same_entries(
    one: dict[str, str], other: dict[str, str], chance: Any
) -> None:
    shuffled = dict(chance.sample(list(one.items()), len(one)))
    assert java_map(printed_map(one)) == java_map(printed_map(shuffled))
    if java_map(printed_map(one)) == java_map(printed_map(other)):
        # Not the same map, perhaps, but made of the same pieces.
        assert sorted(printed_map(one)[1:-1].split(", ")) == sorted(printed_map(other)[1:-1].split(", "))


# --- comparing --------------------------------------------------------------------------------------------


def row(printed: str, **columns: Any) -> Row:
    reasons = dict.fromkeys(columns, "So.")
    return parse_row(
        {"name": "it", "type": printed, "since": "D1", "description": "It.", "reasons": reasons, **columns},
        "here",
    )


def changes(it: Row, live: Any, desired: Any) -> tuple[FieldChange, ...]:
    return compare([it], {"it": live}, {"it": desired}, frozenset())


@pytest.mark.parametrize("unset", [None, "", [], {}])
def test_empty_is_unset(unset: Any) -> None:
    assert normalize(row("String"), unset) is None


@pytest.mark.parametrize(
    ("it", "one", "other"),
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
def test_equal_settings_are_equal(it: Row, one: Any, other: Any) -> None:
    assert changes(it, one, other) == changes(it, other, one) == ()


@pytest.mark.parametrize(
    ("it", "live", "desired"),
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
def test_different_settings_are_different(it: Row, live: Any, desired: Any) -> None:
    assert changes(it, live, desired)


@pytest.mark.parametrize(
    ("it", "live", "desired", "shown"),
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
        (row("String"), "obs://AK:SK@host/a", "obs://AK:SK@host/b", {"/it": (None, None)}),
        (
            row("List of String"),
            ["-v", "--password", "x", "a"],
            ["--password", "y", "b"],
            {"/it/0": ("-v", None), "/it/1": (None, None), "/it/2": ("a", "b")},
        ),
        (row("List of String"), "[--password, x]", ["--password", "y"], {"/it": (None, None)}),
        (row("Object"), {}, {"a": [{"db.password": "x"}]}, {"/it/a": (None, None)}),
    ],
)  # fmt: skip
def test_a_change_is_shown_at_its_pointer(it: Row, live: Any, desired: Any, shown: dict[str, Any]) -> None:
    found = changes(it, live, desired)
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
