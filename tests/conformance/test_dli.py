"""Calls every method of the DLI SDK for batches, Flink jobs and their tags."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.workspace import Clock

from .conftest import AK, SK, Connect

sdk: Any = pytest.importorskip("huaweicloudsdkdli.v1")
pytestmark = pytest.mark.slow

from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException  # noqa: E402


@pytest.fixture
def dli(connect: Connect) -> Any:
    return connect(sdk.DliClient)


def code(refusal: pytest.ExceptionInfo[Any]) -> tuple[int, str]:
    return refusal.value.status_code, refusal.value.error_code


# --- batches ----------------------------------------------------------------------------------------------


def create_batch(dli: Any, name: str = "daily", **fields: Any) -> Any:
    body = sdk.CreateSparkJobRequestBody(
        **{"file": "obs://b/a.jar", "class_name": "com.example.Job", "queue": "q", "name": name, **fields}
    )
    return dli.create_spark_job(sdk.CreateSparkJobRequest(body=body))


def test_a_batch_from_beginning_to_end(dli: Any, clock: Clock) -> None:
    created = create_batch(
        dli,
        args=["--date", "2024-07-04"],
        conf={"spark.x": "1"},
        sc_type="B",
        driver_cores=2,
        py_files=["obs://b/a.py"],
        resources=[sdk.JobResource(name="a.jar", type="jar")],
        groups=[sdk.JobResourcesGroup(name="g", resources=[sdk.JobResource(name="b.jar", type="jar")])],
        auto_recovery=True,
        max_retry_times=3,
        feature="basic",
        spark_version="3.3.1",
        execution_agency_urn="agency",
        catalog_name="dli",
        obs_bucket="b",
    )
    assert (created.status_code, created.state, created.name, created.queue) == (
        200,
        "starting",
        "daily",
        "q",
    )
    assert (created.sc_type, created.cluster_name, created.owner) == ("CUSTOMIZED", "q", "emulator")

    clock.forward(5)
    shown = dli.show_spark_job(sdk.ShowSparkJobRequest(batch_id=created.id))
    assert (shown.id, shown.state, shown.feature, shown.spark_version) == (
        created.id,
        "running",
        "basic",
        "3.3.1",
    )
    assert (shown.create_time, shown.kind) == (created.create_time, "spark")
    echo = json.loads(shown.req_body)
    assert (echo["className"], echo["args"], echo["conf"]) == (
        "com.example.Job",
        ["--date", "2024-07-04"],
        {"spark.x": "1"},
    )
    assert (echo["autoRecovery"], echo["maxRetryTimes"], echo["driverCores"]) == (True, 3, 2)
    assert echo["groups"] == [{"name": "g", "resources": [{"name": "b.jar", "type": "jar"}]}]

    state = dli.show_spark_job_status(sdk.ShowSparkJobStatusRequest(batch_id=created.id))
    assert (state.id, state.state) == (created.id, "running")
    log = dli.show_spark_job_log(
        sdk.ShowSparkJobLogRequest(batch_id=created.id, size=2, type="driver", index=0)
    )
    assert (log.id, log.total, len(log.log)) == (created.id, 6, 2)

    assert dli.cancel_spark_job(sdk.CancelSparkJobRequest(batch_id=created.id)).msg == "deleted"
    clock.forward(5)
    state = dli.show_spark_job_status(sdk.ShowSparkJobStatusRequest(batch_id=created.id))
    assert state.state == "dead"


def test_batches_are_listed(dli: Any) -> None:
    for name in "abc":
        create_batch(dli, name)
    create_batch(dli, "d", queue="other")
    listed = dli.list_spark_jobs(
        sdk.ListSparkJobsRequest(_from=1, size=2, queue_name="q", order="CREATE_TIME_ASC")
    )
    assert (getattr(listed, "_from", None), listed.total) == (1, 3)
    assert [job.name for job in listed.sessions] == ["b", "c"]
    assert all(json.loads(job.req_body)["queue"] == "q" for job in listed.sessions)
    named = dli.list_spark_jobs(sdk.ListSparkJobsRequest(job_name="d", state="starting"))
    assert [(job.name, job.queue, job.duration) for job in named.sessions] == [("d", "other", 0)]
    by_id = dli.list_spark_jobs(sdk.ListSparkJobsRequest(job_id=named.sessions[0].id))
    assert by_id.total == 1


def test_what_a_batch_call_can_be_refused_with(dli: Any) -> None:
    with pytest.raises(ClientRequestException) as refusal:
        dli.show_spark_job(sdk.ShowSparkJobRequest(batch_id="none"))
    assert code(refusal) == (400, "DLI.0002")
    with pytest.raises(ClientRequestException) as refusal:
        create_batch(dli, driver_memory="2")
    assert code(refusal) == (400, "DLI.0001")
    assert "driverMemory" in refusal.value.error_msg


# --- signing ----------------------------------------------------------------------------------------------


def test_a_wrong_secret_is_refused_and_then_locks_the_key(connect: Connect, clock: Clock) -> None:
    wrong = connect(sdk.DliClient, sk="guess")
    for _ in range(5):
        with pytest.raises(ClientRequestException) as refusal:
            wrong.list_spark_jobs(sdk.ListSparkJobsRequest(job_name="a b~c/ü", size=1))
        assert code(refusal) == (401, "APIGW.0301")
        assert "verify aksk signature fail" in refusal.value.error_msg
    right = connect(sdk.DliClient)
    with pytest.raises(ClientRequestException) as refusal:
        right.list_spark_jobs(sdk.ListSparkJobsRequest())
    assert "AK access failed to reach the limit" in refusal.value.error_msg
    clock.forward(300)
    assert right.list_spark_jobs(sdk.ListSparkJobsRequest(job_name="a b~c/ü", size=1)).total == 0


def test_clocks_that_differ(dli: Any, clock: Clock) -> None:
    clock.forward(1000)
    with pytest.raises(ClientRequestException, match="signature expired"):
        dli.list_spark_jobs(sdk.ListSparkJobsRequest())


def test_the_project_is_looked_up(emulator: Emulator) -> None:
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.region.region import Region

    key = BasicCredentials(AK, SK).with_iam_endpoint(emulator.url)
    client = sdk.DliClient.new_builder().with_credentials(key)
    client = client.with_region(Region("cn-north-4", emulator.url)).build()
    assert create_batch(client).state == "starting"
    assert len(key.project_id) == 32


def test_a_temporary_key(emulator: Emulator, clock: Clock, tmp_path: Any) -> None:
    from huaweicloudsdkcore.auth.credentials import BasicCredentials

    with Emulator(tmp_path / "own.db", ak=AK, sk=SK, security_token="temporary", clock=clock) as server:  # noqa: S106

        def client(token: str) -> Any:
            key = BasicCredentials(AK, SK, "pid").with_security_token(token)
            return sdk.DliClient.new_builder().with_credentials(key).with_endpoint(server.url).build()

        assert create_batch(client("temporary")).state == "starting"
        with pytest.raises(ClientRequestException, match="security token"):
            create_batch(client("another"))


# --- Flink ------------------------------------------------------------------------------------------------


def create_flink(dli: Any, name: str = "clicks", **fields: Any) -> int:
    body = sdk.CreateFlinkJarJobRequestBody(name=name, **fields)
    created = dli.create_flink_jar_job(sdk.CreateFlinkJarJobRequest(body=body))
    assert (created.is_success, created.job.status_name) == ("true", "job_init")
    assert isinstance(created.job.job_id, int)
    number: int = created.job.job_id
    return number


def show(dli: Any, job: int) -> Any:
    answer = dli.show_flink_job(sdk.ShowFlinkJobRequest(job_id=job))
    assert answer.is_success == "true"
    return answer.job_detail


def run(dli: Any, job: int, *, resume: bool = False) -> None:
    body = sdk.BatchRunFlinkJobsRequestBody(job_ids=[job], resume_savepoint=resume)
    answer = dli.batch_run_flink_jobs(sdk.BatchRunFlinkJobsRequest(body=body))
    assert [result.is_success for result in answer.body] == ["true"]


def stop(dli: Any, job: int, *, trigger: bool = False) -> None:
    body = sdk.StopFlinkJobsRequestBody(job_ids=[job], trigger_savepoint=trigger)
    answer = dli.batch_stop_flink_jobs(sdk.BatchStopFlinkJobsRequest(body=body))
    assert [result.is_success for result in answer.body] == ["true"]


def test_a_flink_job_from_beginning_to_end(dli: Any, clock: Clock) -> None:
    spec = sdk.ResourceSpec(cpu=1.5, memory="4G")
    job = create_flink(
        dli,
        desc="Counts clicks",
        queue_name="q",
        entrypoint="obs://b/a.jar",
        entrypoint_args="--window 60",
        main_class="com.example.Clicks",
        dependency_jars=["obs://b/b.jar"],
        cu_number=4,
        checkpoint_enabled=True,
        checkpoint_mode=2,
        checkpoint_interval=60,
        runtime_config='[{"key":"a","value":"b"}]',
        resource_config_version="v2",
        resource_config=sdk.ResourceConfig(max_slot=2, taskmanager_resource_spec=spec),
        tags=[sdk.Tag(key="team", value="web")],
    )
    detail = show(dli, job)
    config = detail.job_config
    assert (detail.status, detail.queue_name, detail.desc) == ("job_init", "q", "Counts clicks")
    assert (detail.main_class, detail.entrypoint_args) == ("com.example.Clicks", "--window 60")
    assert (config.checkpoint_mode, config.checkpoint_interval, config.cu_number) == ("at_least_once", 60, 4)
    assert config.entrypoint == "obs://b/a.jar"
    assert config.dependency_jars == ["obs://b/b.jar"]
    assert (config.resource_config.max_slot, config.resource_config.taskmanager_resource_spec.memory) == (
        2,
        "4G",
    )
    assert float(config.resource_config.taskmanager_resource_spec.cpu) == 1.5

    body = sdk.UpdateFlinkJarJobRequestBody(desc="after", parallel_number=2)
    updated = dli.update_flink_jar_job(sdk.UpdateFlinkJarJobRequest(job_id=job, body=body))
    assert (updated.is_success, updated.job.update_time) == ("true", int(clock() * 1000))
    assert (show(dli, job).desc, show(dli, job).job_config.parallel_number) == ("after", 2)

    run(dli, job)
    assert show(dli, job).status == "job_submitting"
    clock.forward(10)
    graph = dli.show_flink_job_execution_graph(sdk.ShowFlinkJobExecutionGraphRequest(job_id=job))
    assert (graph.execute_graph.state, graph.execute_graph.duration) == ("RUNNING", 10_000)
    metrics = sdk.ShowFlinkMetricRequest(body=sdk.ShowFlinkMetricRequestBody(job_ids=[job]))
    assert dli.show_flink_metric(metrics).metrics.jobs[0].job_id == job

    hot = sdk.UpdateFlinkJarJobRequestBody(smn_topic="alarms")
    dli.update_flink_jar_job(sdk.UpdateFlinkJarJobRequest(job_id=job, body=hot))
    with pytest.raises(ClientRequestException) as refusal:
        dli.update_flink_jar_job(sdk.UpdateFlinkJarJobRequest(job_id=job, body=body))
    assert code(refusal) == (400, "DLI.0007")

    save = sdk.ExecuteFlinkJobSavepointRequestBody(action="TRIGGER", savepoint_path="b/saved/")
    saved = dli.execute_flink_job_savepoint(sdk.ExecuteFlinkJobSavepointRequest(job_id=str(job), body=save))
    assert saved.is_success == "true"
    clock.forward(5)
    stop(dli, job, trigger=True)
    clock.forward(5)
    detail = show(dli, job)
    assert (detail.status, detail.has_savepoint) == ("job_cancel_success", True)
    path = sdk.ImportFlinkJobSavepointRequestBody(job_id=job, savepoint_path="obs://b/other/")
    dli.import_flink_job_savepoint(sdk.ImportFlinkJobSavepointRequest(job_id=str(job), body=path))
    assert show(dli, job).savepoint_path == "obs://b/other/"
    run(dli, job, resume=True)
    assert show(dli, job).status_desc == "Restored from obs://b/other/"

    assert dli.delete_flink_job(sdk.DeleteFlinkJobRequest(job_id=job)).is_success == "true"
    with pytest.raises(ClientRequestException) as refusal:
        show(dli, job)
    assert code(refusal) == (400, "DLI.16001")


def test_flink_jobs_are_listed(dli: Any) -> None:
    jobs = [create_flink(dli, name, queue_name="q", tags=[sdk.Tag(key="n", value=name)]) for name in "abc"]
    run(dli, jobs[0])
    listed = dli.list_flink_jobs(
        sdk.ListFlinkJobsRequest(job_type="flink_jar_job", limit=2, offset=1, order="asc")
    )
    assert (listed.is_success, listed.job_list.total_count) == ("true", 3)
    assert [job.name for job in listed.job_list.jobs] == ["b", "c"]
    assert [(job.job_id, job.status, job.user_name) for job in listed.job_list.jobs] == [
        (jobs[1], "job_init", "emulator"),
        (jobs[2], "job_init", "emulator"),
    ]
    request = sdk.ListFlinkJobsRequest(show_detail=True, status="job_submitting", queue_name="q", tags="n=a")
    (full,) = dli.list_flink_jobs(request).job_list.jobs
    assert (full.name, full.job_config.cu_number) == ("a", 2)


def test_flink_jobs_are_deleted_together(dli: Any) -> None:
    jobs = [create_flink(dli, name) for name in "ab"]
    body = sdk.BatchDeleteFlinkJobsRequestBody(job_ids=[*jobs, 999])
    answer = dli.batch_delete_flink_jobs(sdk.BatchDeleteFlinkJobsRequest(body=body))
    assert [result.is_success for result in answer.body] == ["true", "true", "false"]


def test_flink_sql_jobs(dli: Any) -> None:
    body = sdk.CreateFlinkSqlJobRequestBody(name="sql", sql_body="select 1", run_mode="exclusive_cluster")
    job = dli.create_flink_sql_job(sdk.CreateFlinkSqlJobRequest(body=body)).job.job_id
    change = sdk.UpdateFlinkSqlJobRequestBody(sql_body="select 2")
    dli.update_flink_sql_job(sdk.UpdateFlinkSqlJobRequest(job_id=job, body=change))
    detail = show(dli, job)
    assert (detail.job_type, detail.sql_body) == ("flink_opensource_sql_job", "select 2")
    draw = sdk.CreateFlinkSqlJobGraphRequestBody(sql_body="select 2", graph_type="simple_graph")
    graph = dli.create_flink_sql_job_graph(sdk.CreateFlinkSqlJobGraphRequest(job_id=str(job), body=draw))
    assert (graph.is_success, json.loads(graph.stream_graph)["nodes"][0]["contents"]) == (True, "select 2")


def test_flink_jobs_go_to_a_file_and_come_back(dli: Any) -> None:
    job = create_flink(dli)
    body = sdk.ExportFlinkJobsRequestBody(obs_dir="b/dir", is_selected=True, job_selected=[job])
    (file,) = dli.export_flink_jobs(sdk.ExportFlinkJobsRequest(body=body)).zip_file
    back = sdk.ImportFlinkJobsRequestBody(zip_file=file, is_cover=True)
    (mapped,) = dli.import_flink_jobs(sdk.ImportFlinkJobsRequest(body=back)).job_mapping
    assert (mapped.old_job_id, mapped.new_job_id) == (job, job)
    buckets = sdk.RegisterBucketRequest(body=sdk.RegisterBucketRequestBody(obs_buckets=["b"]))
    assert dli.register_bucket(buckets).is_success is True


def test_tags(dli: Any) -> None:
    job, kind = str(create_flink(dli)), "dli_flink_job"
    two = [sdk.Tag(key="team", value="web"), sdk.Tag(key="x", value="y")]
    body = sdk.BatchCreateResourceTagsRequestBody(tags=two)
    request = sdk.BatchCreateResourceTagsRequest(resource_type=kind, resource_id=job, body=body)
    assert dli.batch_create_resource_tags(request).status_code == 204
    show_tags = sdk.ShowResourceTagsRequest(resource_type=kind, resource_id=job)
    shown = dli.show_resource_tags(show_tags)
    assert (shown.count, [(tag.key, tag.value) for tag in shown.tags]) == (2, [("team", "web"), ("x", "y")])

    wanted = [sdk.TagWithValues(key="team", values=["web"])]
    search = sdk.ListResourcesByTagsRequestBody(tags=wanted)
    found = dli.list_resources_by_tags(sdk.ListResourcesByTagsRequest(resource_type=kind, body=search))
    assert (found.total_count, found.resources[0].resource_id) == (1, job)
    how_many = sdk.CountResourcesByTagsRequestBody(tags=wanted)
    counted = dli.count_resources_by_tags(sdk.CountResourcesByTagsRequest(resource_type=kind, body=how_many))
    assert counted.total_count == 1
    every = dli.list_resources_tags(sdk.ListResourcesTagsRequest(resource_type=kind))
    assert [(tag.key, tag.values) for tag in every.tags] == [("team", ["web"]), ("x", ["y"])]

    gone = sdk.BatchDeleteResourceTagsRequestBody(tags=two[:1])
    request = sdk.BatchDeleteResourceTagsRequest(resource_type=kind, resource_id=job, body=gone)
    assert dli.batch_delete_resource_tags(request).status_code == 204
    assert [tag.key for tag in dli.show_resource_tags(show_tags).tags] == ["x"]
