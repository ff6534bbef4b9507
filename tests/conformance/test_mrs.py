"""Calls every method of the MRS SDK for job executions."""

from __future__ import annotations

from typing import Any

import pytest

from testing.workspace import Clock

from .conftest import Connect

sdk: Any = pytest.importorskip("huaweicloudsdkmrs.v2")
pytestmark = pytest.mark.slow

from huaweicloudsdkcore.exceptions.exceptions import (  # noqa: E402
    ClientRequestException,
    ServerResponseException,
)

CLUSTER = "0f9c2c48-7658-4f48-8148-0c7db940d640"


@pytest.fixture
def mrs(connect: Connect) -> Any:
    return connect(sdk.MrsClient)


def submit(mrs: Any, name: str = "load", kind: str = "SparkPython", **fields: Any) -> str:
    body = sdk.JobExecution(job_name=name, job_type=kind, **fields)
    answer = mrs.create_execute_job(sdk.CreateExecuteJobRequest(cluster_id=CLUSTER, body=body))
    assert (answer.status_code, answer.job_submit_result.state) == (200, "COMPLETE")
    identity: str = answer.job_submit_result.job_id
    return identity


def show(mrs: Any, job: str) -> Any:
    return mrs.show_single_job_exe(
        sdk.ShowSingleJobExeRequest(cluster_id=CLUSTER, job_execution_id=job)
    ).job_detail


def test_a_job_from_beginning_to_end(mrs: Any, clock: Clock) -> None:
    job = submit(mrs, arguments=["--master", "yarn", "obs://b/a.py"], properties={"a": "b"})
    bean = show(mrs, job)
    assert (bean.job_name, bean.job_type, bean.job_state, bean.job_result) == (
        "load",
        "SparkSubmit",
        "ACCEPTED",
        "UNDEFINED",
    )
    assert (bean.arguments, bean.properties) == ("[--master, yarn, obs://b/a.py]", "{a=b}")
    assert (bean.submitted_time, bean.user, bean.queue) == (int(clock() * 1000), "emulator", "default")
    clock.forward(10)
    killed = mrs.stop_job(sdk.StopJobRequest(cluster_id=CLUSTER, job_execution_id=job))
    assert killed.status_code == 202
    clock.forward(5)
    bean = show(mrs, job)
    assert (bean.job_state, bean.job_result, float(bean.job_progress)) == ("KILLED", "KILLED", 100)
    body = sdk.JobBatchDelete(job_id_list=[job])
    deleted = mrs.batch_delete_jobs(sdk.BatchDeleteJobsRequest(cluster_id=CLUSTER, body=body))
    assert deleted.status_code == 202
    with pytest.raises(ServerResponseException) as refusal:
        show(mrs, job)
    assert (refusal.value.status_code, refusal.value.error_code) == (500, "0176")


def test_jobs_are_listed(mrs: Any) -> None:
    for name in ("load", "reload", "other"):
        submit(mrs, name)

    def listed(**query: Any) -> Any:
        return mrs.show_job_exe_list_new(sdk.ShowJobExeListNewRequest(cluster_id=CLUSTER, **query))

    page = listed(limit="2", offset="2", sort_by="asc")
    assert (page.total_record, [bean.job_name for bean in page.job_list]) == (3, ["other"])
    named = listed(job_name="load", job_type="SparkSubmit", job_state="ACCEPTED", job_result="UNDEFINED")
    assert [bean.job_name for bean in named.job_list] == ["reload", "load"]
    assert listed(submitted_time_end=1).total_record == 0
    with pytest.raises(ClientRequestException) as refusal:
        listed(offset="0")
    assert (refusal.value.status_code, refusal.value.error_code) == (400, "MRS.0002")


def test_the_result_of_sql(mrs: Any, clock: Clock) -> None:
    job = submit(mrs, kind="SparkSql", arguments=["show databases;show tables"])
    clock.forward(60)
    request = sdk.ShowSqlResultWithJobRequest(cluster_id=CLUSTER, job_execution_id=job)
    result = mrs.show_sql_result_with_job(request)
    assert result.sql_results == {"0": [{"result": "succeed"}], "1": [{"result": "succeed"}]}
