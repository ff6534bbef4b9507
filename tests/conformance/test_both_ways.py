"""`plan` lists the jobs that the SDK creates, and the SDK lists the jobs that `apply` creates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testing.workspace import Workspace, manifest

from .conftest import Connect

dli_sdk: Any = pytest.importorskip("huaweicloudsdkdli.v1")
mrs_sdk: Any = pytest.importorskip("huaweicloudsdkmrs.v2")
pytestmark = pytest.mark.slow

BATCH = {
    "file": "obs://b/a.jar",
    "className": "com.example.Job",
    "queue": "q",
    "args": ["--date", "2024-07-04"],
    "conf": {"spark.x": "1"},
    "numExecutors": 2,
    "auto_recovery": True,
}
FLINK = {
    "queue_name": "q",
    "entrypoint": "obs://b/a.jar",
    "main_class": "com.example.Clicks",
    "checkpoint_mode": 2,
    "runtime_config": '[{"key":"a","value":"b"}]',
}
MRS = {
    "cluster_id": "c-1",
    "job_type": "SparkPython",
    "arguments": ["--master", "yarn", "obs://b/a.py"],
    "properties": {"b": "1", "a": "2"},
}


@pytest.fixture
def dli(connect: Connect) -> Any:
    return connect(dli_sdk.DliClient)


@pytest.fixture
def mrs(connect: Connect) -> Any:
    return connect(mrs_sdk.MrsClient)


def body_of(model: Any, fields: dict[str, Any]) -> Any:
    """The SDK's model of a body, whose attributes have names of Python's kind."""
    names = {name: attribute for attribute, name in model.attribute_map.items()}
    return model(**{names[name]: value for name, value in fields.items()})


def planned(workspace: Workspace, kind: str, spec: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The action of each change that is planned for one manifest, and the fields that differ."""
    workspace.write("job.yaml", manifest(kind, "job", spec))
    changes = workspace.plan()["changes"]
    return [(change["action"], [field["path"] for field in change["fields"]]) for change in changes]


def test_a_batch_of_the_sdk_is_seen_by_plan(workspace: Workspace, dli: Any) -> None:
    body = body_of(dli_sdk.CreateSparkJobRequestBody, {**BATCH, "name": "job"})
    dli.create_spark_job(dli_sdk.CreateSparkJobRequest(body=body))
    assert planned(workspace, "SparkBatch", BATCH) == []
    assert planned(workspace, "SparkBatch", {**BATCH, "numExecutors": 3}) == [("blocked", ["/numExecutors"])]


def test_a_flink_job_of_the_sdk_is_seen_by_plan(workspace: Workspace, dli: Any) -> None:
    body = body_of(dli_sdk.CreateFlinkJarJobRequestBody, {**FLINK, "name": "job"})
    dli.create_flink_jar_job(dli_sdk.CreateFlinkJarJobRequest(body=body))
    assert planned(workspace, "FlinkJar", FLINK) == [("start", [])]
    assert planned(workspace, "FlinkJar", {**FLINK, "checkpoint_mode": 1})[0][1] == ["/checkpoint_mode"]


def test_an_mrs_job_of_the_sdk_is_seen_by_plan(workspace: Workspace, mrs: Any) -> None:
    fields = {name: value for name, value in MRS.items() if name != "cluster_id"}
    body = body_of(mrs_sdk.JobExecution, {**fields, "job_name": "job"})
    mrs.create_execute_job(mrs_sdk.CreateExecuteJobRequest(cluster_id="c-1", body=body))
    assert planned(workspace, "MrsJob", MRS) == []
    assert planned(workspace, "MrsJob", {**MRS, "properties": {"b": "1", "a": "3"}}) == [
        ("blocked", ["/properties/a"])
    ]


def test_what_apply_creates_is_seen_by_the_sdk(workspace: Workspace, dli: Any, mrs: Any) -> None:
    kinds: dict[str, dict[str, Any]] = {"SparkBatch": BATCH, "FlinkJar": FLINK, "MrsJob": MRS}
    workspace.write("jobs.yaml", [manifest(kind, "job", spec) for kind, spec in kinds.items()])
    assert workspace.apply().code == 0

    (batch,) = dli.list_spark_jobs(dli_sdk.ListSparkJobsRequest(job_name="job")).sessions
    assert (batch.name, batch.queue, batch.state) == ("job", "q", "starting")
    echo = json.loads(batch.req_body)
    assert (echo["args"], echo["autoRecovery"], echo["numExecutors"]) == (BATCH["args"], True, 2)

    request = dli_sdk.ListFlinkJobsRequest(name="job", show_detail=True)
    (flink,) = dli.list_flink_jobs(request).job_list.jobs
    assert (flink.name, flink.status, flink.main_class) == ("job", "job_submitting", "com.example.Clicks")
    assert flink.job_config.checkpoint_mode == "at_least_once"

    (job,) = mrs.show_job_exe_list_new(mrs_sdk.ShowJobExeListNewRequest(cluster_id="c-1")).job_list
    assert (job.job_name, job.job_type) == ("job", "SparkSubmit")
    assert job.arguments == "[--master, yarn, obs://b/a.py]"
