"""The generated schemas, and the findings of `validate` for manifests that do not match them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from deployer.emulator import Emulator
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.tables import Row, json_type, schema_folder
from deployer.schema import files as schema
from testing.workspace import SHARED, SPECS, TOKEN, Workspace, findings, manifest, needs_shared

BOTH_QUEUES = "exactly one of 'queue' and 'cluster_name' is required [one-spelling]"

FILE = "job.yaml"


def errors(workspace: Workspace, content: Any) -> list[str]:
    """What `validate` says of one file: `line:column: what is wrong`."""
    workspace.write(FILE, content)
    ran = workspace.run("validate")
    found = [line.removeprefix(f"{FILE}:") for line in findings(ran.err) if ": error: " in line]
    assert ran.code == (4 if found else 0), ran
    return [line.replace(" error: ", " ") for line in found]


def messages(workspace: Workspace, content: Any) -> list[str]:
    return [line.split(": ", 1)[1] for line in errors(workspace, content)]


# --- the stored files -------------------------------------------------------------------------------------


def test_the_stored_schemas_are_what_the_tables_say_now(bare: Workspace) -> None:
    assert schema.stale() == []
    assert bare.run("schema", "check").code == 0


@pytest.mark.parametrize("name", schema.generate())
def test_each_stored_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((schema_folder() / name).read_text("utf-8")))


def stored(kind: Kind) -> Any:
    return json.loads((schema_folder() / f"{kind.name}.schema.json").read_text("utf-8"))["properties"]


def rows_and_schemas() -> Iterator[tuple[str, Row, Any]]:
    """Every row of every kind, those inside others too, with its schema as it is stored."""
    for kind in KINDS.values():
        properties = stored(kind)
        yield f"{kind.name}.name", kind.name_row, properties["metadata"]["properties"]["name"]
        pending = [(kind.name, row, properties["spec"]["properties"][row.name]) for row in kind.rows]
        while pending:
            path, row, described = pending.pop()
            yield f"{path}.{row.name}", row, described
            inner = described.get("items", described).get("properties", {})
            pending += [(f"{path}.{row.name}", field, inner[field.name]) for field in row.fields]


@pytest.mark.parametrize(
    ("row", "described"),
    [pytest.param(row, described, id=name) for name, row, described in rows_and_schemas()],
)
def test_what_a_row_says_is_in_the_schema(row: Row, described: Any) -> None:
    assert described["type"] == json_type(row.type)["type"]
    assert described["description"] == row.description
    assert {key: described[key] for key in row.limits} == row.limits
    assert described.get("examples", [None]) == [row.example]
    excluded = [value for rule in described.get("allOf", ()) for value in rule.get("not", {}).get("enum", ())]
    assert excluded == [*row.excluded]


# --- what is refused, and where ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_specs_are_valid(kind: str, bare: Workspace) -> None:
    assert errors(bare, manifest(kind, "job", SPECS[kind])) == []


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        ("SparkBatch", {"sc_type": "D"}, "'sc_type' must be one of A, B, C, got 'D'"),
        (
            "MrsJob",
            {"job_type": "hiveSql"},
            "'job_type' must be one of MapReduce, SparkSubmit, SparkPython, HiveScript, HiveSql, DistCp, "
            "SparkScript, SparkSql, Flink, got 'hiveSql'; did you mean 'HiveSql'?",
        ),
        ("SparkBatch", {"file": ""}, "'file' must have at least 1 characters, got 0"),
        ("FlinkJar", {"desc": "d" * 513}, "'desc' must have at most 512 characters, got 513"),
        ("SparkBatch", {"max_retry_times": 101}, "'max_retry_times' must be at most 100, got 101"),
        ("SparkBatch", {"numExecutors": -1}, "'numExecutors' must be at least 0, got -1"),
        ("FlinkJar", {"resume_max_num": 0}, "'resume_max_num' must not be 0"),
        (
            "SparkBatch",
            {"driverMemory": "2"},
            "'driverMemory': a memory size needs a unit, such as 4G; got '2' [memory-unit]",
        ),
        ("SparkBatch", {"driverCores": "2"}, "'driverCores' must be an integer, got '2'"),
        ("SparkBatch", {"args": [7]}, "spec.args[0] must be a string, got the number 7 (quote it)"),
        ("SparkBatch", {"resources": [{"type": "jar"}]}, "missing required field 'name' in spec.resources[0]"),
        ("SparkBatch", {"conf": {"a": None}}, "'a' must be a string or a number or true or false, got null"),
        ("SparkBatch", {"conf": {"a": ["b"]}}, "'a' must be a string or a number or true or false, got a list"),
        ("FlinkJar", {"resource_config": {"max_slot": 0}}, "'max_slot' must be at least 1, got 0"),
        (
            "MrsJob",
            {"cluster_id": ".."},
            "'cluster_id' must match [^.], for example 0f9c2c48-7658-4f48-8148-0c7db940d640; got '..'",
        ),
        (
            "MrsJob",
            {"argumets": []},
            "unknown field 'argumets' in spec; did you mean 'arguments'? [unknown-field]",
        ),
        ("MrsJob", {"arg": []}, "unknown field 'arg' in spec; did you mean 'arguments'? [unknown-field]"),
        ("SparkBatch", {"name": "job"}, "'name' is set from metadata.name; remove it from spec"),
        ("MrsJob", {"job_name": "job"}, "'job_name' is set from metadata.name; remove it from spec"),
        (
            "SparkBatch",
            {"className": "A", "class_name": "A"},
            "only one of 'className' and 'class_name' is allowed (they are synonyms) [one-spelling]",
        ),
        ("SparkBatch", {"cluster_name": "q"}, BOTH_QUEUES),
        ("SparkSession", {"cluster_name": "q"}, BOTH_QUEUES),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(kind: str, change: Any, expected: str, bare: Workspace) -> None:
    assert messages(bare, manifest(kind, "job", SPECS[kind] | change)) == [expected]


@pytest.mark.parametrize("kind", ["SparkBatch", "SparkSession"])
def test_a_queue_is_asked_for_under_either_of_its_names(kind: str, bare: Workspace) -> None:
    spec = {key: value for key, value in SPECS[kind].items() if key != "queue"}
    assert messages(bare, manifest(kind, "job", spec)) == [BOTH_QUEUES]
    assert messages(bare, manifest(kind, "job", {**spec, "cluster_name": "q"})) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [("MrsJob", "a b"), ("MrsJob", "a" * 65), ("FlinkJar", "a.b"), ("SparkBatch", "a" * 129)],
)
def test_a_name_has_the_limits_of_its_api(kind: str, name: str, bare: Workspace) -> None:
    (message,) = messages(bare, manifest(kind, name, SPECS[kind]))
    assert message.startswith("'name' must ")


@pytest.mark.parametrize(("kind", "field"), [("FlinkJar", "name"), ("SparkBatch", "driverMemory")])
def test_a_newline_at_the_end_does_not_match_a_pattern(kind: str, field: str, bare: Workspace) -> None:
    name, spec = ("a\n", {}) if field == "name" else ("a", {field: "2G\n"})
    assert len(errors(bare, manifest(kind, name, SPECS[kind] | spec))) == 1


def test_a_spec_that_is_no_mapping_is_said_once(bare: Workspace) -> None:
    content = manifest("SparkBatch", "job", {}) | {"spec": ["a"]}
    assert messages(bare, content) == ["'spec' must be a mapping, got a list"]


PLACES = """\
apiVersion: deployer/v1
kind: MrsJob
metadata: {name: job}
spec:
  cluster_id: 7
  job_type: Spark
  argumets: [a]
  arguments:
    - a
    - 1.5
  properties: {a: ~,
    b: [c]}
lifecycle: {onChange: never, timeout: 5}
"""


def test_each_error_has_its_place(bare: Workspace) -> None:
    places = [error.split(" ")[0] for error in errors(bare, PLACES)]
    assert places == ["5:15:", "6:13:", "7:3:", "10:7:", "11:19:", "12:8:", "13:23:", "13:39:"]


def test_something_missing_is_said_of_what_lacks_it(bare: Workspace) -> None:
    content = (
        "apiVersion: deployer/v1\nkind: FlinkJar\nmetadata:\n  labels: {a: b}\nspec:\n  tags: [{key: a}]\n"
    )
    assert errors(bare, content) == [
        "3:1: missing required field 'name' in metadata",
        "6:10: missing required field 'value' in spec.tags[0]",
    ]


# --- what is accepted, and how it is sent -----------------------------------------------------------------

ALIASES = [
    pytest.param(kind, row, alias, id=f"{kind.name}-{alias}")
    for kind in KINDS.values()
    for row in kind.rows
    for alias in row.aliases
]


@pytest.mark.parametrize(("kind", "row", "alias"), ALIASES)
def test_an_older_spelling_is_accepted_and_sent_as_the_reference_has_it(
    kind: Kind, row: Row, alias: str, bare: Workspace
) -> None:
    value = row.example or row.limits.get("maximum", False)
    assert errors(bare, manifest(kind.name, "job", SPECS[kind.name] | {row.name: value})) == []
    without = {key: item for key, item in SPECS[kind.name].items() if key != row.name}
    assert errors(bare, manifest(kind.name, "job", without | {alias: value})) == []
    assert kind.in_reference_spelling({alias: value}) == {row.name: value}


TEXTS = """\
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: job}
spec:
  file: obs://b/job.py
  queue: q
  conf:
    version: 1.10
    yes: true
    upper: TRUE
    hex: 0x1F
    octal: 010
    float: 1e3
    date: 2024-07-04
    quoted: "1.0"
    big: 123456789012345678901234567890
    anchor: &v 1.0
    again: *v
    <<: {in: 2.50}
"""
AS_WRITTEN = {
    "version": "1.10",
    "yes": "true",
    "upper": "TRUE",
    "hex": "0x1F",
    "octal": "010",
    "float": "1e3",
    "date": "2024-07-04",
    "quoted": "1.0",
    "big": "123456789012345678901234567890",
    "anchor": "1.0",
    "again": "1.0",
    "in": "2.50",
}


def test_unquoted_settings_are_sent_as_the_text_that_was_written(
    workspace: Workspace, emulator: Emulator
) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    workspace.write(FILE, TEXTS)
    assert workspace.apply().code == 0
    listing = requests.get(f"{emulator.url}/v2.0/pid/batches", headers={"X-Auth-Token": TOKEN}, timeout=10)
    (entry,) = listing.json()["sessions"]
    assert json.loads(entry["req_body"])["conf"] == AS_WRITTEN


# --- recorded bodies --------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_recorded_bodies_are_valid_manifests(kind: Kind, bare: Workspace) -> None:
    recorded = json.loads((SHARED / "recorded" / "requests.json").read_text("utf-8"))
    # Read from a docstring of the SDK, this is no request but what the service makes of one: it holds keys
    # that nothing can ask for.
    bodies = [
        request["body"]
        for request in recorded
        if request["api"] == kind.create.operation and request["origin"] != "from-sdk-docstring"
    ]
    assert bodies
    for number, body in enumerate(bodies):
        name = body.pop(kind.name_field, None) or "unnamed"
        spec = body | ({"cluster_id": "c-1"} if kind.name == "MrsJob" else {})
        assert errors(bare, manifest(kind.name, name, spec)) == [], number
