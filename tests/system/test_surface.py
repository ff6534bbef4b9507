"""Every operation of the API has a table, and responses of the emulator and the recorded services fit it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from deployer.emulator import Emulator
from deployer.emulator.routes import ROUTES
from deployer.kinds.tables import Row, json_type, load_table, operations
from deployer.schema.manifest import rows_schema
from testing.workspace import SHARED, TOKEN, Clock, needs_shared

BATCHES = "/v2.0/{project_id}/batches"
SESSIONS = "/v2.0/{project_id}/sessions"
FLINK = "/v1.0/{project_id}/streaming"
TAGS = "/v3/{project_id}/{resource_type}/{resource_id}/tags"
MRS = "/v2/{project_id}/clusters/{cluster_id}/job-executions"

# Every operation of the four kinds: create, list, get, update, run, stop, cancel, kill and delete, where the
# API has them, and what goes with them.
SURFACE = {
    "dli.batches.create": f"POST {BATCHES}",
    "dli.batches.list": f"GET {BATCHES}",
    "dli.batches.get": f"GET {BATCHES}/{{batch_id}}",
    "dli.batches.state": f"GET {BATCHES}/{{batch_id}}/state",
    "dli.batches.log": f"GET {BATCHES}/{{batch_id}}/log",
    "dli.batches.cancel": f"DELETE {BATCHES}/{{batch_id}}",
    "dli.sessions.create": f"POST {SESSIONS}",
    "dli.sessions.list": f"GET {SESSIONS}",
    "dli.sessions.get": f"GET {SESSIONS}/{{session_id}}",
    "dli.sessions.state": f"GET {SESSIONS}/{{session_id}}/state",
    "dli.sessions.log": f"GET {SESSIONS}/{{session_id}}/log",
    "dli.sessions.delete": f"DELETE {SESSIONS}/{{session_id}}",
    "dli.flink-jar.create": f"POST {FLINK}/flink-jobs",
    "dli.flink-jar.update": f"PUT {FLINK}/flink-jobs/{{job_id}}",
    "dli.flink.list": f"GET {FLINK}/jobs",
    "dli.flink.get": f"GET {FLINK}/jobs/{{job_id}}",
    "dli.flink.run": f"POST {FLINK}/jobs/run",
    "dli.flink.stop": f"POST {FLINK}/jobs/stop",
    "dli.flink.savepoint": f"POST {FLINK}/jobs/{{job_id}}/savepoint",
    "dli.flink.delete": f"DELETE {FLINK}/jobs/{{job_id}}",
    "dli.flink.batch-delete": f"POST {FLINK}/jobs/delete",
    "dli.flink-tags.list": f"GET {TAGS}",
    "dli.flink-tags.create": f"POST {TAGS}/create",
    "dli.flink-tags.delete": f"POST {TAGS}/delete",
    "mrs.job-executions.submit": f"POST {MRS}",
    "mrs.job-executions.list": f"GET {MRS}",
    "mrs.job-executions.get": f"GET {MRS}/{{job_execution_id}}",
    "mrs.job-executions.kill": f"POST {MRS}/{{job_execution_id}}/kill",
    "mrs.job-executions.batch-delete": f"POST {MRS}/batch-delete",
    "mrs.job-executions.sql-result": f"GET {MRS}/{{job_execution_id}}/sql-result",
}

# Operations whose answer is an array; their tables hold the fields of one element.
ARRAYS = {"dli.flink.run", "dli.flink.stop", "dli.flink.batch-delete"}
HEADERS = {"X-Auth-Token", "Content-Type"}


def placeholders(call: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", call)


def bare(call: str) -> str:
    """A call without the names of its placeholders, which the emulator chooses for itself."""
    return re.sub(r"\{\w+\}", "{}", call)


# --- the tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", SURFACE)
def test_every_operation_has_its_table(operation: str) -> None:
    table = load_table(operation)
    assert table.operation == operation
    assert table.call == SURFACE[operation]
    rows = {row.name: row for row in table.request}
    for name in placeholders(table.call):
        assert rows[name].required, name
        assert rows[name].location in {"path", "target"}, name


def test_every_table_belongs_to_an_operation_of_its_own() -> None:
    assert {*operations()} == {*SURFACE}
    assert len({bare(call) for call in SURFACE.values()}) == len(SURFACE)


@pytest.mark.parametrize("operation", SURFACE)
def test_every_row_is_there_once_and_says_since_when(operation: str) -> None:
    table = load_table(operation)
    levels = [table.request, table.response]
    while levels:
        rows = levels.pop()
        assert len({row.name for row in rows}) == len(rows)
        for row in rows:
            assert re.fullmatch(r"D[0-9]{2}|S", row.since), row.name
            assert row.description.endswith("."), row.name
        levels += [row.fields for row in rows]


def rows_at(operation: str, path: str) -> Sequence[Row]:
    """The rows of an answer below a dotted path."""
    rows: Sequence[Row] = load_table(operation).response
    for name in filter(None, path.split(".")):
        (row,) = (row for row in rows if row.name == name)
        rows = row.fields
    return rows


# Where one and the same job stands, in several answers.
SAME_JOB = [
    (("dli.batches.get", ""), ("dli.batches.list", "sessions")),
    (("dli.batches.get", ""), ("dli.batches.create", "")),
    (("dli.batches.get", ""), ("dli.batches.state", "")),
    (("dli.sessions.get", ""), ("dli.sessions.list", "sessions")),
    (("dli.sessions.get", ""), ("dli.sessions.create", "")),
    (("dli.sessions.get", ""), ("dli.sessions.state", "")),
    (("dli.flink.get", "job_detail"), ("dli.flink.list", "job_list.jobs")),
    (("mrs.job-executions.get", "job_detail"), ("mrs.job-executions.list", "job_list")),
]


@pytest.mark.parametrize(("first", "other"), SAME_JOB, ids=str)
def test_a_job_is_of_the_same_types_wherever_it_stands(
    first: tuple[str, str], other: tuple[str, str]
) -> None:
    shared = [*same_names(rows_at(*first), rows_at(*other))]
    assert len(shared) >= 2
    for row, twin in shared:
        assert json_type(row.type) == json_type(twin.type), row.name


def same_names(rows: Sequence[Row], others: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """The rows of two tables that have the same name, at all depths."""
    twins = {row.name: row for row in others}
    for row in rows:
        if row.name in twins:
            yield row, twins[row.name]
            yield from same_names(row.fields, twins[row.name].fields)


@pytest.mark.parametrize("kind", ["batches", "sessions"])
def test_a_listing_says_no_more_of_a_job_than_the_job_does(kind: str) -> None:
    listed = {row.name for row in rows_at(f"dli.{kind}.list", "sessions")}
    assert listed <= {row.name for row in rows_at(f"dli.{kind}.get", "")}


def test_an_update_takes_what_a_create_takes() -> None:
    create = [row for row in load_table("dli.flink-jar.create").spec_rows() if row.name != "tags"]
    update = [*load_table("dli.flink-jar.update").spec_rows()]
    assert {row.name for row in create} == {row.name for row in update}
    for row, twin in same_names(create, update):
        limits = {key: value for key, value in row.limits.items() if key != "default"}
        # A default would overwrite what an update leaves out.
        assert (json_type(row.type), limits, row.excluded) == (
            json_type(twin.type),
            twin.limits,
            twin.excluded,
        ), row.name
        assert not twin.required, row.name


# --- does an answer fit its table? ------------------------------------------------------------------------


TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def misfits(operation: str, answer: Any) -> list[str]:
    """What in an answer has no row, or another type than its row. Any field may be missing or null."""
    elements = answer if operation in ARRAYS else [answer]
    assert isinstance(elements, list)
    found = [fault for element in elements for fault in _object(load_table(operation).response, element, "")]
    return sorted({*found})


def _object(rows: Sequence[Row], value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path.rstrip('.')}: no object"
        return
    known = {row.name: row for row in rows}
    for name, inner in value.items():
        if name not in known:
            yield f"{path}{name}: no row"
        elif inner is not None:
            yield from _value(known[name], inner, f"{path}{name}")


def _value(row: Row, value: Any, path: str) -> Iterator[str]:
    schema = json_type(row.type)
    if not _is(schema, value):
        yield f"{path}: {type(value).__name__} instead of {row.type}"
    elif schema["type"] == "array":
        for element in value:
            if row.fields:
                yield from _object(row.fields, element, f"{path}.")
            elif not _is(schema["items"], element):
                yield f"{path}: {type(element).__name__} in {row.type}"
    elif row.fields:
        yield from _object(row.fields, value, f"{path}.")


def _is(schema: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, bool):
        return bool(schema["type"] == "boolean")
    return isinstance(value, TYPES[schema["type"]])


@pytest.mark.parametrize(
    ("operation", "answer", "expected"),
    [
        ("dli.batches.state", {"id": "1", "state": None}, []),
        ("dli.batches.state", {"id": "1", "status": "dead"}, ["status: no row"]),
        ("dli.batches.get", {"create_time": "1"}, ["create_time: str instead of Long"]),
        ("dli.batches.get", {"create_time": True}, ["create_time: bool instead of Long"]),
        ("dli.batches.get", {"create_time": 1.5}, ["create_time: float instead of Long"]),
        (
            "dli.batches.get",
            {"log": ["a", 1, None]},
            ["log: NoneType in Array of Strings", "log: int in Array of Strings"],
        ),
        ("dli.batches.list", {"sessions": [{"id": 1}]}, ["sessions.id: int instead of String"]),
        ("dli.batches.list", {"sessions": ["1"]}, ["sessions: no object"]),
        ("dli.flink.get", {"job_detail": {"job_config": {"x": 1}}}, ["job_detail.job_config.x: no row"]),
        ("dli.flink.run", [{"is_success": "true"}, {"job_id": 1}], ["job_id: no row"]),
        ("mrs.job-executions.get", {"job_detail": {"job_progress": 100}}, []),
        ("mrs.job-executions.get", {"job_detail": []}, ["job_detail: list instead of JobQueryBean object"]),
    ],
)
def test_what_does_not_fit_a_table_is_found(operation: str, answer: Any, expected: list[str]) -> None:
    assert misfits(operation, answer) == expected


# --- the emulator -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """How to make and see jobs of a kind: `number` takes the id from an answer, for `ident` in calls."""

    create: str
    ident: str
    number: Callable[[Any], str | int]
    end: tuple[str, ...]
    least: Mapping[str, Any]
    most: Mapping[str, Any]
    reads: Sequence[tuple[str, Mapping[str, Any]]]
    start: str | None = None
    path: Mapping[str, str] = field(default_factory=dict)


_SPARK: dict[str, Any] = {
    "sc_type": "B",
    "jars": ["obs://b/a.jar"],
    "pyFiles": ["obs://b/a.py"],
    "files": ["obs://b/a.csv"],
    "modules": ["sys.datasource.rds"],
    "resources": [{"name": "g/a.jar", "type": "jar"}],
    "groups": [{"name": "g", "resources": [{"name": "a.jar", "type": "jar"}]}],
    "conf": {"spark.dli.metaAccess.enable": "true"},
    "name": "job",
    "driverMemory": "2G",
    "driverCores": 1,
    "executorMemory": "4G",
    "executorCores": 1,
    "numExecutors": 2,
}
_MACHINE = {"cpu": 1.5, "memory": "4G"}

SUBJECTS = {
    "SparkBatch": Subject(
        create="dli.batches.create",
        ident="batch_id",
        number=lambda answer: answer["id"],
        end=("dead",),
        least={"file": "obs://b/a.jar", "queue": "q"},
        most={
            **_SPARK,
            "file": "obs://b/a.jar",
            "className": "com.example.A",
            "cluster_name": "q",
            "args": ["--date", "2024-07-04"],
            "feature": "custom",
            "spark_version": "3.3.1",
            "image": "team/spark:1",
            "obs_bucket": "b",
            "auto_recovery": True,
            "max_retry_times": 3,
            "minRecoveryDelayTime": 1000,
            "execution_agency_urn": "agency",
            "catalog_name": "dli",
        },
        reads=[("dli.batches.get", {}), ("dli.batches.state", {}), ("dli.batches.list", {})],
    ),
    "SparkSession": Subject(
        create="dli.sessions.create",
        ident="session_id",
        number=lambda answer: answer["id"],
        end=("error",),
        least={"kind": "spark", "cluster_name": "q"},
        most={**_SPARK, "kind": "spark", "queue": "q", "heartbeatTimeoutInSecond": 60},
        reads=[("dli.sessions.get", {}), ("dli.sessions.state", {}), ("dli.sessions.list", {})],
    ),
    "FlinkJar": Subject(
        create="dli.flink-jar.create",
        ident="job_id",
        number=lambda answer: answer["job"]["job_id"],
        end=("job_running_exception",),
        start="dli.flink.run",
        least={"name": "job"},
        most={
            "name": "job",
            "desc": "Counts clicks",
            "queue_name": "q",
            "cu_number": 4,
            "manager_cu_number": 1,
            "parallel_number": 2,
            "tm_cus": 1,
            "tm_slot_num": 2,
            "log_enabled": True,
            "obs_bucket": "b",
            "smn_topic": "alarms",
            "main_class": "com.example.A",
            "entrypoint": "obs://b/a.jar",
            "entrypoint_args": "--window 60",
            "restart_when_exception": True,
            "dependency_jars": ["obs://b/b.jar"],
            "dependency_files": ["obs://b/b.csv"],
            "feature": "custom",
            "flink_version": "1.15",
            "image": "team/flink:1",
            "resume_checkpoint": True,
            "resume_max_num": 3,
            "checkpoint_path": "b/checkpoints",
            "checkpoint_enabled": True,
            "checkpoint_mode": 2,
            "checkpoint_interval": 60,
            "runtime_config": '[{"key":"a","value":"b"}]',
            "flink_log_config": '{"root_logger_level":"INFO"}',
            "execution_agency_urn": "agency",
            "resource_config_version": "v2",
            "resource_config": {
                "max_slot": 2,
                "parallel_number": 2,
                "jobmanager_resource_spec": {"cpu": 1, "memory": "4G"},
                "taskmanager_resource_spec": _MACHINE,
            },
            "tags": [{"key": "team", "value": "clicks"}],
        },
        reads=[
            ("dli.flink.get", {}),
            ("dli.flink.list", {"show_detail": "false"}),
            ("dli.flink.list", {"show_detail": "true"}),
        ],
    ),
    "MrsJob": Subject(
        create="mrs.job-executions.submit",
        ident="job_execution_id",
        number=lambda answer: answer["job_submit_result"]["job_id"],
        end=("FINISHED", "FAILED"),
        path={"cluster_id": "c"},
        least={"job_type": "HiveSql", "job_name": "job"},
        most={
            "job_type": "SparkPython",
            "job_name": "job",
            "arguments": ["--master", "yarn", "obs://b/a.py"],
            "properties": {"fs.obs.endpoint": "obs.example.com"},
        },
        reads=[("mrs.job-executions.get", {}), ("mrs.job-executions.list", {})],
    ),
}


def nothing(_: Any) -> None:
    """No body."""


# After how many seconds a job is looked at, and whether it is ended first.
PHASES = {
    "fresh": (0, False),
    "started": (0, False),
    "running": (5, False),
    "over": (100, False),
    "ended": (5, True),
}


@dataclass(frozen=True)
class Service:
    """Sends an operation's call as its table says."""

    url: str

    def answer(
        self,
        operation: str,
        body: Any = None,
        query: Any = None,
        *,
        path: Mapping[str, Any],
        status: int = 200,
    ) -> Any:
        method, _, target = load_table(operation).call.partition(" ")
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(
                method,
                self.url + target.format(project_id="pid", **path),
                params=query,
                json=body,
                headers={"X-Auth-Token": TOKEN},
                timeout=10,
            )
        assert response.status_code == status, response.text
        return response.json() if response.content else None


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("size", ["least", "most"])
@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_the_emulator_answers_fits_the_tables(
    emulator: Emulator, clock: Clock, kind: str, size: str, phase: str
) -> None:
    subject = SUBJECTS[kind]
    service = Service(emulator.url)
    created = service.answer(subject.create, getattr(subject, size), path=subject.path)
    assert misfits(subject.create, created) == []
    number = subject.number(created)

    seconds, ended = PHASES[phase]
    if subject.start and phase != "fresh":
        # The second time it is refused, with the same fields.
        for _ in range(2):
            assert misfits(subject.start, service.answer(subject.start, {"job_ids": [number]}, path={})) == []
    clock.forward(seconds)
    if ended:
        emulator.store.end(number, *subject.end)

    for operation, query in subject.reads:
        answer = service.answer(operation, query=query, path={**subject.path, subject.ident: number})
        assert answer
        assert misfits(operation, answer) == [], operation


# What happens to a job after its start, and with which status; the body, when there is one, holds its id.
LIVES: Mapping[str, Sequence[tuple[str, int, Callable[[Any], Any]]]] = {
    "SparkBatch": [("dli.batches.log", 200, nothing), ("dli.batches.cancel", 200, nothing)],
    "SparkSession": [("dli.sessions.log", 200, nothing), ("dli.sessions.delete", 200, nothing)],
    "FlinkJar": [
        ("dli.flink-jar.update", 200, lambda _: {"smn_topic": "alarms"}),
        ("dli.flink-tags.create", 204, lambda _: {"tags": [{"key": "a", "value": "b"}]}),
        ("dli.flink-tags.list", 200, nothing),
        ("dli.flink-tags.delete", 204, lambda _: {"tags": [{"key": "a", "value": "b"}]}),
        ("dli.flink.savepoint", 200, lambda _: {"action": "TRIGGER", "savepoint_path": "b/saved/"}),
        ("dli.flink.stop", 200, lambda job: {"job_ids": [job], "trigger_savepoint": True}),
        ("dli.flink.batch-delete", 200, lambda job: {"job_ids": [job]}),
    ],
    "MrsJob": [
        ("mrs.job-executions.kill", 202, nothing),
        ("mrs.job-executions.batch-delete", 202, lambda job: {"job_id_list": [job]}),
    ],
}


@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_the_emulator_answers_in_a_jobs_life_fits_the_tables(
    emulator: Emulator, clock: Clock, kind: str
) -> None:
    subject, service = SUBJECTS[kind], Service(emulator.url)
    number = subject.number(service.answer(subject.create, subject.least, path=subject.path))
    path = {"resource_type": "dli_flink_job", "resource_id": number, subject.ident: number, **subject.path}
    if subject.start:
        service.answer(subject.start, {"job_ids": [number]}, path={})
    for operation, status, body in LIVES[kind]:
        clock.forward(5)
        answer = service.answer(operation, body(number), path=path, status=status)
        assert answer is None or misfits(operation, answer) == [], operation


def test_what_else_the_emulator_answers_fits_the_tables(emulator: Emulator, clock: Clock) -> None:
    service = Service(emulator.url)
    flink = service.answer("dli.flink-jar.create", {"name": "job"}, path={})["job"]["job_id"]
    answer = service.answer("dli.flink.delete", path={"job_id": flink})
    assert misfits("dli.flink.delete", answer) == []
    sql = {"job_type": "SparkSql", "job_name": "job", "arguments": ["show tables"]}
    submitted = service.answer("mrs.job-executions.submit", sql, path={"cluster_id": "c"})
    clock.forward(100)
    job, result = submitted["job_submit_result"]["job_id"], "mrs.job-executions.sql-result"
    answer = service.answer(result, path={"cluster_id": "c", "job_execution_id": job})
    assert misfits(result, answer) == []


def test_every_call_that_the_emulator_serves_is_in_the_surface_and_checked() -> None:
    assert {bare(f"{route.method} {route.path}") for route in ROUTES} == {*map(bare, SURFACE.values())}
    checked = {operation for subject in SUBJECTS.values() for operation, _ in subject.reads}
    checked |= {subject.create for subject in SUBJECTS.values()}
    checked |= {subject.start for subject in SUBJECTS.values() if subject.start}
    checked |= {operation for life in LIVES.values() for operation, _, _ in life}
    checked |= {"dli.flink.delete", "mrs.job-executions.sql-result"}
    assert checked == {*SURFACE}


# --- the recorded services --------------------------------------------------------------------------------


def recorded(name: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((SHARED / "recorded" / f"{name}.json").read_text("utf-8"))
    return records


_NOT_QUOTED = "The page's example does not quote it; its later table and the vendor's SDK say text."
# Recorded answers that do not fit, and why the table stays as it is.
DEVIATIONS = {
    ("dli.flink-jar.create", "is_success: bool instead of String"): _NOT_QUOTED,
    ("dli.flink-jar.update", "is_success: bool instead of String"): _NOT_QUOTED,
}


@needs_shared
def test_every_recorded_answer_fits_its_table() -> None:
    answers = [record for record in recorded("responses") if record["status"] < 300]
    assert {record["api"] for record in answers} <= {*SURFACE}
    found = {(answer["api"], fault) for answer in answers for fault in misfits(answer["api"], answer["body"])}
    assert found == {*DEVIATIONS}


# Create and submit bodies are checked as manifests, elsewhere.
SENT = {
    "dli.flink-jar.update",
    "dli.flink.run",
    "dli.flink.stop",
    "dli.flink.batch-delete",
    "mrs.job-executions.batch-delete",
}


@needs_shared
def test_every_recorded_body_that_changes_a_job_fits_its_table() -> None:
    requests_ = [record for record in recorded("requests") if record["api"] in SENT]
    assert {record["api"] for record in requests_} == SENT
    for record in requests_:
        assert body_errors(record["api"], record["body"]) == [], record["source"]


def body_errors(operation: str, body: Any) -> list[str]:
    """What in a request body does not fit the rows of its table that do not go into the URL or a header."""
    table = load_table(operation)
    elsewhere = {*placeholders(table.call), *HEADERS}
    rows = [row for row in table.request if row.name not in elsewhere]
    return [error.message for error in Draft202012Validator(rows_schema(rows)).iter_errors(body)]


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("dli.flink.run", {}),
        ("dli.flink.stop", {"job_ids": ["1"]}),
        ("dli.flink.batch-delete", {"job_ids": [1], "trigger_savepoint": True}),
        ("dli.flink-jar.update", {"tags": []}),
        ("dli.flink-jar.update", {"resume_max_num": 0}),
        ("dli.flink-jar.update", {"job_type": "flink_sql_job"}),
        ("dli.flink.savepoint", {"action": "TRIGGER"}),
        ("dli.flink-tags.create", {"tags": [{"key": "team"}]}),
        ("mrs.job-executions.batch-delete", {}),
        ("mrs.job-executions.kill", {"job_id": "1"}),
    ],
)
def test_a_body_that_does_not_fit_is_found(operation: str, body: Any) -> None:
    assert len(body_errors(operation, body)) == 1


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("dli.flink-jar.update", {}),
        ("dli.flink.savepoint", {"action": "TRIGGER", "savepoint_path": "b/savepoints/"}),
        ("dli.flink-tags.create", {"tags": [{"key": "team", "value": ""}]}),
        ("mrs.job-executions.kill", {}),
    ],
)
def test_a_body_that_fits_is_taken(operation: str, body: Any) -> None:
    assert body_errors(operation, body) == []
