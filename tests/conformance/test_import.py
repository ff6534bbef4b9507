"""`import` of jobs that the vendor's SDK made: in one round everything is in a manifest, and nothing is planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from testing.faults import FaultProxy
from testing.live import call, start
from testing.workspace import TOKEN, Clock, Workspace

from .conftest import Connect

dli_sdk: Any = pytest.importorskip("huaweicloudsdkdli.v1")
mrs_sdk: Any = pytest.importorskip("huaweicloudsdkmrs.v2")
pytestmark = pytest.mark.slow

BATCHES: list[dict[str, Any]] = [
    {"class_name": "com.example.A"},
    {"class_name": "A", "args": ["--date", "2024-07-04", "", " x "], "sc_type": "B"},
    {"class_name": "A", "conf": {"spark.a": "true", "b": "1.10", "c": ""}, "num_executors": 3},
    {"class_name": "A", "jars": ["obs://b/x.jar"], "files": ["obs://b/f"], "modules": ["sys.datasource.rds"]},
    {"class_name": "A", "resources": [dli_sdk.JobResource(name="a.jar", type="jar")]},
    {
        "class_name": "A",
        "groups": [
            dli_sdk.JobResourcesGroup(name="g", resources=[dli_sdk.JobResource(name="b", type="jar")])
        ],
    },
    {
        "class_name": "A",
        "driver_memory": "2048M",
        "driver_cores": 1,
        "executor_memory": "4 GB",
        "executor_cores": 2,
    },
    {"class_name": "A", "auto_recovery": True, "max_retry_times": 3},
    {"class_name": "A", "feature": "custom", "image": "team/spark:3.3.1"},
    {"class_name": "A", "spark_version": "3.3.1", "execution_agency_urn": "agency", "catalog_name": "dli"},
    {"file": "obs://b/a.py", "py_files": ["obs://b/h.py"], "obs_bucket": "b"},
    {
        "class_name": "A",
        "args": ["--password", "very-secret-1", "{{day}}"],
        "conf": {"my.token": "very-secret-2"},
    },
]
STREAMS: list[dict[str, Any]] = [
    {},
    {
        "main_class": "A",
        "entrypoint_args": "--a 1 --password very-secret-3",
        "cu_number": 4,
        "parallel_number": 2,
    },
    {"checkpoint_enabled": True, "checkpoint_mode": 2, "checkpoint_interval": 30, "checkpoint_path": "b/p"},
    {"runtime_config": '[{"key":"a","value":"b"}]', "restart_when_exception": True, "resume_max_num": 5},
    {"feature": "basic", "flink_version": "1.15", "log_enabled": True, "obs_bucket": "b", "smn_topic": "t"},
    {"tags": [dli_sdk.Tag(key="team", value="x")]},
    {"dependency_jars": ["obs://b/x.jar"], "dependency_files": ["obs://b/f"], "resume_checkpoint": True},
]
RUNS: list[dict[str, Any]] = [
    {"job_type": "MapReduce", "arguments": ["obs://b/mr.jar", "wordcount", "in", "out"]},
    {
        "job_type": "SparkSubmit",
        "arguments": ["--class", "A", "obs://b/a.jar"],
        "properties": {"a": "1", "b": "x y"},
    },
    {"job_type": "SparkPython", "arguments": ["--master", "yarn", "obs://b/a.py"]},
    {"job_type": "HiveSql", "arguments": ["SELECT a, b, c FROM t WHERE d = 'x, y'"]},
    {"job_type": "SparkSql", "arguments": ["op", "val", "SELECT a,\n  b FROM t"]},
    {"job_type": "DistCp", "arguments": ["obs://b/in", "hdfs:///out"]},
    {"job_type": "Flink", "arguments": ["run", "-c", "A", "obs://b/a.jar", "--password", "very-secret-4"]},
    {"job_type": "HiveScript", "arguments": ["obs://b/a.sql"]},
]


@pytest.fixture
def jobs(workspace: Workspace, connect: Connect, clock: Clock) -> int:
    """All of them, made by the SDK, some of the streams started; returns their number."""
    dli, mrs = connect(dli_sdk.DliClient), connect(mrs_sdk.MrsClient)
    for number, fields in enumerate(BATCHES):
        body = dli_sdk.CreateSparkJobRequestBody(
            **{"file": "obs://b/a.jar", "queue": "q", "name": f"batch {number}", **fields}
        )
        dli.create_spark_job(dli_sdk.CreateSparkJobRequest(body=body))
    for number, fields in enumerate(STREAMS):
        body = dli_sdk.CreateFlinkJarJobRequestBody(
            name=f"stream-{number}", queue_name="q", entrypoint="obs://b/s.jar", **fields
        )
        made = dli.create_flink_jar_job(dli_sdk.CreateFlinkJarJobRequest(body=body))
        if number % 2:
            start(workspace.url, made.job.job_id)
    for number, fields in enumerate(RUNS):
        body = mrs_sdk.JobExecution(job_name=f"run-{number}", **fields)
        mrs.create_execute_job(mrs_sdk.CreateExecuteJobRequest(cluster_id="c-1", body=body))
    call(workspace.url, "POST", "/v2.0/pid/sessions", {"kind": "spark", "queue": "q", "name": "session"})
    clock.forward(120)
    return len(BATCHES) + len(STREAMS) + len(RUNS) + 1


@pytest.fixture
def proxy(workspace: Workspace, jobs: int) -> Iterator[FaultProxy]:
    from testing.faults import proxied

    with proxied(workspace, workspace.url) as server:
        workspace.write_project(clusters={"reports": "c-1"})
        yield server


def test_all_jobs_of_the_sdk_in_one_round(workspace: Workspace, proxy: FaultProxy, jobs: int) -> None:
    assert jobs > 25
    ran = workspace.run("import", "--all")
    assert (ran.code, f"{jobs} jobs imported." in ran.out) == (0, True), ran.err
    written = sorted((workspace.folder / "imported").glob("*.yaml"))
    assert len(written) == jobs
    every = "".join([ran.out, ran.err, *(path.read_text() for path in written)])
    assert ("very-secret" in every, TOKEN in every) == (False, False)
    plan = workspace.plan()
    assert (plan["changes"], plan["errors"], plan["summary"]["unchanged"]) == ([], [], jobs)
    proxy.clear()
    assert workspace.apply().code == 0
    assert {sent.method for sent in proxy.calls} == {"GET"}

    # Any part of them, as when a pull request is merged in steps.
    for step in (2, 3):
        for path in written[::step]:
            path.unlink(missing_ok=True)
        proxy.clear()
        assert workspace.apply().code == 0
        assert {sent.method for sent in proxy.calls} == {"GET"}
