"""What a listing entry says of a live job, and how that is compared with the desired one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from conftest import SHARED, needs_shared
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.diff import canonical, compare
from deployer.kinds import KINDS
from deployer.kinds.kind import dig, milliseconds
from deployer.kinds.mrs_job import java_list, java_map
from deployer.model import FieldChange, LiveJob, Phase
from deployer.tables import Row, parse_row

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


def observed(kind: str, **change: Any) -> LiveJob:
    return KINDS[kind].observe(ENTRIES[kind] | change)


def differences(kind: str, desired: dict[str, Any], **change: Any) -> dict[str, tuple[Any, Any]]:
    """What plan would show, by pointer: live and desired."""
    live = observed(kind, **change)
    assert live.spec is not None
    changes = compare(KINDS[kind].rows, live.spec, KINDS[kind].expect(desired), live.unlisted)
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
        compare(KINDS[kind].rows, live.spec, KINDS[kind].expect({}), live.unlisted)


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
    recorded = json.loads((SHARED / "recorded" / "responses.json").read_text("utf-8"))
    family = KINDS[kind].listing.table.rpartition(".")[0]
    entries = []
    for answer in recorded:
        if answer["status"] != 200:
            continue
        if answer["api"] == f"{family}.list":
            entries += dig(answer["body"], KINDS[kind].listing.items)
        elif answer["api"] == f"{family}.get":
            entries.append(answer["body"].get("job_detail", answer["body"]))
    found = [KINDS[kind].observe(entry) for entry in entries]
    assert [live.phase.value for live in found] == RECORDED[kind].split()
    for entry, live in zip(entries, found, strict=True):
        assert live.id == str(entry.get("id", entry.get("job_id", "")))
        if live.spec is not None:
            compare(KINDS[kind].rows, live.spec, {}, live.unlisted)


# --- batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoded", [str, json.dumps, json.loads])
def test_an_echo_is_read_however_often_it_is_encoded(encoded: Any) -> None:
    live = observed("SparkBatch", req_body=encoded(BATCH["req_body"]))
    assert live.spec == {"file": "a.py", "queue": "q", "auto_recovery": True, "sc_type": "A"}


@pytest.mark.parametrize("echo", [None, "", "{", "[]", '"text"', "7", '"\\"{}\\""', 7, [], "[" * 9999])
def test_a_batch_without_a_readable_echo_cannot_be_compared(echo: Any) -> None:
    assert observed("SparkBatch", req_body=echo).spec is None


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


def test_tags_are_not_in_the_listing() -> None:
    assert flink({"tags": [{"key": "a", "value": "b"}]}) == {}


# --- MRS jobs ---------------------------------------------------------------------------------------------


def test_an_mrs_job_without_its_arguments_cannot_be_compared() -> None:
    assert KINDS["MrsJob"].observe({"job_id": "m-1", "job_name": "job"}).spec is None


def test_an_mrs_job_without_its_properties_is_compared_by_the_rest() -> None:
    entry = {key: value for key, value in MRS.items() if key != "properties"}
    live = KINDS["MrsJob"].observe(entry)
    assert live.spec == {"job_type": "SparkSubmit", "arguments": ["a", "b"]}
    assert "properties" in live.unlisted


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
    assert canonical(row("String"), unset) is None


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


texts = st.text(st.characters(codec="utf-8"), max_size=3) | st.sampled_from(
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
