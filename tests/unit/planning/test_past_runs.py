"""The listed runs of a job with parameters: their values, and what differs from the present definition."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.kinds.ownership import Owner, extract_ownership, with_ownership
from deployer.model import Identity, Job, LiveJob, Parameter, ParameterType, Source
from deployer.parameters.references import Use, reference
from deployer.parameters.runs import with_values
from deployer.planning.past_runs import past_runs
from deployer.planning.run_keys import with_run_keys
from deployer.secrets import references as secret_references
from deployer.secrets.store import Secrets, SecretSource
from testing.work import calls

SECRETS = Secrets({"S": SecretSource("S")}, {"DEPLOYER_SECRET_S": "opensesame"}, Path())
PARAMETERS = {
    "date": Parameter("date", ParameterType.DATE),
    "region": Parameter("region", ParameterType.VALUES, ("north", "south"), default="north"),
}
SPEC = {
    "file": "a.py",
    "queue": "q",
    "args": ["--date", reference("date"), f"--out={reference('region')}/{Use('date', '%Y%m%d').mark}"],
    "conf": {"spark.password": secret_references.reference("S")},
    "numExecutors": 4,
}
JOB = Job(Identity("SparkBatch", "q", "daily"), Source("a.yaml", 1), SPEC, parameters=PARAMETERS)
NORTH = {"date": "2024-07-04", "region": "north"}


def batch(number: int, body: Any) -> LiveJob:
    """A run whose listing echoes this body."""
    entry = {"id": f"b{number}", "name": "daily", "queue": "q", "state": "success", "create_time": number}
    kind = KINDS["SparkBatch"]
    return extract_ownership(kind, kind.observe({**entry, "req_body": json.dumps(body)}))


def sent(job: Job, *, marks: bool = False) -> Any:
    """The body that a run sends, with or without ownership metadata."""
    kind = KINDS["SparkBatch"]
    spec = with_ownership(kind, job, Owner("shop", "abc"), []) if marks else job.spec
    return kind.body(job.name, SECRETS.filled(spec))


def test_runs_with_their_values_the_newest_first() -> None:
    south = {"date": "2024-07-05", "region": "south"}
    bodies = [sent(with_values(JOB, NORTH)), {**sent(with_values(JOB, south)), "numExecutors": 2}]
    masked = sent(with_values(JOB, NORTH))
    masked["args"] = ["--password", "hunter2", "*"]
    hidden = {**sent(with_values(JOB, NORTH)), "args": ["--date", "*"]}
    runs = [batch(number, body) for number, body in enumerate([*bodies, masked, hidden, None], start=1)]
    found = [(run.live.id, run.values, run.reason, run.differs) for run in past_runs(JOB, runs)]
    assert found == [
        ("b5", None, "the listing does not show what was sent", None),
        ("b4", None, "/args/1 is '*'", None),
        ("b3", None, "/args/1 is '***'", None),
        ("b2", south, "", ("/numExecutors",)),
        ("b1", NORTH, "", ()),
    ]


def test_a_fingerprint_is_that_of_the_values() -> None:
    """The service may change what is listed, and the run is still of the present definition; of one date only."""
    body = sent(with_values(JOB, NORTH), marks=True)
    (run,) = past_runs(JOB, [batch(1, {**body, "numExecutors": 5})])
    assert (run.values, run.differs) == (NORTH, ())
    other = sent(with_values(JOB, {**NORTH, "date": "2024-07-05"}), marks=True)
    (run,) = past_runs(JOB, [batch(1, {**body, "conf": other["conf"], "numExecutors": 5})])
    assert (run.values, run.differs) == (NORTH, ("/numExecutors",))


CLEAR = replace(JOB, spec={name: value for name, value in SPEC.items() if name != "conf"})
# What the service adds to what was sent.
ADDED = {"jars": [], "autoRecovery": False, "maxRetryTimes": 20}
MARKS = "its marks say date=2024-07-04,region=north, but what was sent says otherwise"


@pytest.mark.parametrize(
    "args",
    [
        ["--date", "2024-07-05", "--out=north/20240705"],
        ["--date", "2024-07-05"],
        ["--date", "2024-07-04", "--out=north/20240704", "--date=2024-07-05"],
        ["BETWEEN '2024-07-06' AND '2024-07-07'"],
        [],
    ],
)
def test_an_edited_copy_of_a_run_has_the_marks_of_the_first(args: list[str]) -> None:
    """The console submits it with the conf as it was: neither the marks nor the text are believed."""
    body = {**sent(with_values(CLEAR, NORTH), marks=True), **ADDED}
    runs = past_runs(CLEAR, [batch(1, body), batch(2, {**body, "args": args})], Owner("shop"))
    assert [(run.values, run.reason) for run in runs] == [(None, MARKS), (NORTH, "")]


def test_an_edited_copy_of_a_run_with_marks_of_an_earlier_version_is_read() -> None:
    body = {**sent(with_values(CLEAR, NORTH), marks=True), **ADDED}
    body["conf"] = {key: value for key, value in body["conf"].items() if key != "spark.deployer.sent"}
    copy = {**body, "args": ["--date", "2024-07-05", "--out=north/20240705"]}
    runs = past_runs(CLEAR, [batch(1, body), batch(2, copy)], Owner("shop"))
    assert [(run.values, run.reason) for run in runs] == [(None, MARKS), (NORTH, "")]


def test_the_marks_of_an_older_definition_with_another_offset_are_believed() -> None:
    """It sent just this text, as another mark proves, whatever the service adds to the request."""
    was = replace(CLEAR, spec={**CLEAR.spec, "args": ["--date", Use("date", "%Y-%m-%d", -1).mark, "x"]})
    listed = batch(1, {**sent(with_values(was, NORTH), marks=True), **ADDED})
    (run,) = past_runs(CLEAR, [listed], Owner("shop"))
    assert (run.values, run.differs) == (NORTH, ("/args/1", "/args/2"))


def test_a_run_of_an_mrs_job() -> None:
    sql = f"INSERT OVERWRITE t PARTITION (dt='{reference('date')}') SELECT a, b FROM raw"  # noqa: S608
    spec = {"cluster_id": "c", "job_type": "HiveSql", "arguments": [sql], "properties": {}}
    parameters = {"date": PARAMETERS["date"]}
    job = Job(Identity("MrsJob", "c", "load"), Source("a.yaml", 1), spec, parameters=parameters)
    entry = {
        "job_id": "1",
        "job_name": "load",
        "job_type": "HiveSql",
        "job_state": "FINISHED",
        "properties": "{}",
    }
    printed = "[INSERT OVERWRITE t PARTITION (dt='2024-07-04') SELECT a, b, c FROM raw]"
    live = KINDS["MrsJob"].observe({**entry, "arguments": printed})
    (run,) = past_runs(job, [live])
    assert (run.values, run.differs) == ({"date": "2024-07-04"}, ("/arguments/0",))


def test_the_work_grows_with_the_number_of_runs_and_no_faster() -> None:
    bodies = [
        sent(with_values(JOB, {**NORTH, "date": f"2024-{1 + n // 28:02}-{1 + n % 28:02}"}))
        for n in range(240)
    ]
    runs = [batch(number, body) for number, body in enumerate(bodies, start=1)]

    def work(number: int) -> int:
        return calls(lambda: past_runs(JOB, with_run_keys(runs[:number], [JOB], None)))

    work(1)
    assert work(240) < 2.1 * work(120)
    # So many for each run: 2,000 of them take about a second.
    assert work(240) / 240 < 1500
