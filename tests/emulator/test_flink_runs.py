"""Flink jobs that are run, stopped, saved, changed and deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Api, Clock
from .test_flink import JOBS, STREAMING, create, listed, run, show

Step = dict[str, Any]


def stop(api: Api, *jobs: int, **options: Any) -> list[str]:
    answer = api.post(f"{JOBS}/stop", {"job_ids": jobs, **options})
    return [result["is_success"] for result in answer]


def update(api: Api, job: int, **changes: Any) -> Any:
    return api.put(f"{STREAMING}/flink-jobs/{job}", changes)


def refused(api: Api, job: int, **changes: Any) -> str:
    status, code = api.refusal("PUT", f"{STREAMING}/flink-jobs/{job}", json=changes)
    assert status == 400
    return code


@pytest.fixture
def running(api: Api, clock: Clock) -> int:
    job = create(api, "clicks", queue_name="q", obs_bucket="b", log_enabled=True)
    run(api, job)
    clock.now += 10
    return job


def test_a_stopped_job(api: Api, clock: Clock, running: int) -> None:
    assert api.post(f"{JOBS}/stop", {"job_ids": [running]}) == [
        {"is_success": "true", "message": "The request for stopping DLI jobs is successfully delivered."}
    ]
    seen = []
    for seconds in (0, 1, 1, 100):
        clock.now += seconds
        seen.append(show(api, running)["status"])
    assert seen == ["job_canceling", "job_canceling", "job_cancel_success", "job_cancel_success"]
    assert not show(api, running)["has_savepoint"]
    assert listed(api)[0]["duration"] == 12_000
    assert run(api, running) == ["true"]


def test_a_savepoint_at_the_end_is_where_the_next_run_begins(api: Api, clock: Clock, running: int) -> None:
    assert stop(api, running, trigger_savepoint=True) == ["true"]
    assert show(api, running)["status"] == "job_savepointing"
    clock.now += 2
    detail = show(api, running)
    path = detail["savepoint_path"]
    assert (detail["status"], detail["has_savepoint"]) == ("job_cancel_success", True)
    assert path.startswith(f"obs://b/savepoint/{running}/")
    assert (
        api.post(f"{JOBS}/run", {"job_ids": [running], "resume_savepoint": True})[0]["is_success"] == "true"
    )
    detail = show(api, running)
    assert detail["status_desc"] == f"Restored from {path}"
    assert (detail["has_savepoint"], detail["savepoint_path"]) == (False, None), "it goes with the start"


def test_a_start_without_the_savepoint_loses_it(api: Api, clock: Clock, running: int) -> None:
    stop(api, running, trigger_savepoint=True)
    clock.now += 2
    run(api, running)
    detail = show(api, running)
    assert (detail["status_desc"], detail["has_savepoint"]) == ("", False)


def test_a_job_that_is_being_submitted_has_nothing_to_save(api: Api, clock: Clock) -> None:
    job = create(api)
    run(api, job)
    stop(api, job, trigger_savepoint=True)
    assert show(api, job)["status"] == "job_canceling"
    clock.now += 2
    assert not show(api, job)["has_savepoint"]


def test_what_cannot_be_stopped(api: Api, clock: Clock, running: int) -> None:
    draft = create(api, "draft")
    path = f"{JOBS}/stop"
    assert api.refusal("POST", path, json={"job_ids": [draft]}) == (400, "DLI.0007")
    assert api.refusal("POST", path, json={"job_ids": [999]}) == (400, "DLI.16001")
    assert stop(api, draft, running, 999) == ["false", "true", "false"]
    assert api.refusal("POST", path, json={"job_ids": [running]}) == (400, "DLI.0007")
    assert api.refusal("POST", path, json={"job_ids": []}) == (400, "DLI.0001")
    assert api.refusal("POST", path, json={"job_ids": [running], "resume": True}) == (400, "DLI.0001")


def test_a_savepoint_while_the_job_runs(api: Api, clock: Clock, running: int) -> None:
    path = f"{JOBS}/{running}/savepoint"
    body = {"action": "TRIGGER", "savepoint_path": "b/saved/"}
    assert api.post(path, body)["is_success"] == "true"
    assert show(api, running)["status"] == "job_savepointing"
    assert api.refusal("POST", path, json=body) == (400, "DLI.0007")
    clock.now += 2
    detail = show(api, running)
    assert detail["status"] == "job_running"
    assert detail["savepoint_path"].startswith("b/saved/savepoint-")
    for wrong in ({"action": "TRIGGER"}, {**body, "action": "DELETE"}):
        assert api.refusal("POST", path, json=wrong) == (400, "DLI.0001")
    assert api.refusal("POST", f"{JOBS}/999/savepoint", json=body) == (400, "DLI.16001")


def test_a_savepoint_from_elsewhere(api: Api, clock: Clock, running: int) -> None:
    path, body = f"{JOBS}/{running}/import-savepoint", {"job_id": running, "savepoint_path": "obs://x/y/"}
    assert api.refusal("POST", path, json=body) == (400, "DLI.0007")
    stop(api, running)
    clock.now += 2
    assert api.post(path, body)["is_success"] == "true"
    assert show(api, running)["savepoint_path"] == "obs://x/y/"
    api.post(f"{JOBS}/run", {"job_ids": [running], "resume_savepoint": True})
    assert show(api, running)["status_desc"] == "Restored from obs://x/y/"


def test_an_update_changes_what_it_names(api: Api, clock: Clock) -> None:
    job = create(api, "old", desc="before", cu_number=4, tags=[{"key": "a", "value": "b"}])
    before = show(api, job)
    clock.now += 5
    answer = update(api, job, name="new", queue_name="q", main_class="Main", checkpoint_mode=2)
    assert answer == {
        "is_success": "true",
        "message": "The Flink job is updated successfully.",
        "job": {"update_time": clock.ms},
    }
    after = show(api, job)
    assert after == {
        **before,
        "name": "new",
        "queue_name": "q",
        "main_class": "Main",
        "update_time": clock.ms,
        "job_config": {**before["job_config"], "checkpoint_mode": "at_least_once"},
    }
    assert [entry["name"] for entry in listed(api, queue_name="q", tags="a=b")] == ["new"]
    create(api, "old")
    assert refused(api, job, name="old") == "DLI.0006"
    assert show(api, job)["name"] == "new"


def test_an_empty_value_is_a_value(api: Api) -> None:
    job = create(api, desc="before", main_class="Main", dependency_jars=["a.jar"])
    update(api, job, desc="", main_class="", dependency_jars=[], job_type="flink_jar_job")
    detail = show(api, job)
    assert (detail["desc"], detail["main_class"], detail["job_config"]["dependency_jars"]) == ("", "", [])


HOT: list[Step] = [
    {"smn_topic": "alarms"},
    {"restart_when_exception": True, "resume_checkpoint": True, "resume_max_num": 3},
    {"obs_bucket": "other"},
    {"checkpoint_path": "b/checkpoints"},
]


@pytest.mark.parametrize("changes", HOT)
def test_what_a_running_job_takes(api: Api, running: int, changes: Step) -> None:
    update(api, running, **changes)
    detail = show(api, running)
    assert {name: detail["job_config"][name] for name in changes} == changes
    assert detail["status"] == "job_running"


@pytest.mark.parametrize(
    "changes",
    [{"cu_number": 4}, {"name": "other"}, {"smn_topic": "a", "main_class": "Main"}, {"obs_bucket": "b"}],
)
def test_what_a_running_job_does_not_take(api: Api, running: int, changes: Step) -> None:
    before = show(api, running)
    assert refused(api, running, **changes) == "DLI.0007"
    assert show(api, running) == before


def test_a_job_in_between_takes_nothing(api: Api, clock: Clock, running: int) -> None:
    stop(api, running)
    assert refused(api, running, smn_topic="alarms") == "DLI.0007"
    clock.now += 2
    update(api, running, cu_number=4)
    assert show(api, running)["job_config"]["cu_number"] == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"cu_number": 1},
        {"manager_cu_number": 2},
        {"name": ""},
        {"tags": []},
        {"job_type": "flink_sql_job"},
        {"desc": "d" * 2049},
        {"resource_config": {"max_slot": 1}},
        {"sql_body": "select 1"},
    ],
)
def test_a_wrong_update_is_refused(api: Api, changes: Step) -> None:
    assert refused(api, create(api), **changes) == "DLI.0001"


def test_an_update_of_nothing(api: Api) -> None:
    assert refused(api, 1, desc="") == "DLI.16001"


def test_delete(api: Api, running: int) -> None:
    answer = api.delete(f"{JOBS}/{running}")
    assert answer == {"is_success": "true", "message": "The job is successfully deleted."}
    assert api.refusal("GET", f"{JOBS}/{running}") == (400, "DLI.16001")
    assert api.refusal("DELETE", f"{JOBS}/{running}") == (400, "DLI.16001")
    assert create(api, "clicks") > running, "the name is free, the number is not"


def test_delete_many(api: Api, running: int) -> None:
    draft = create(api, "draft")
    answer = api.post(f"{JOBS}/delete", {"job_ids": [draft, 999, running]})
    assert [result["is_success"] for result in answer] == ["true", "false", "true"]
    assert listed(api) == []
    assert api.refusal("POST", f"{JOBS}/delete", json={"job_ids": ["1"]}) == (400, "DLI.0001")


def test_what_a_job_does(api: Api, clock: Clock, running: int) -> None:
    graph = api.get(f"{JOBS}/{running}/execute-graph")["execute_graph"]
    assert (graph["state"], graph["duration"], graph["end-time"]) == ("RUNNING", 10_000, -1)
    stop(api, running)
    clock.now += 10
    graph = api.get(f"{JOBS}/{running}/execute-graph")["execute_graph"]
    assert (graph["state"], graph["duration"]) == ("FINISHED", 12_000)
    assert api.get(f"{JOBS}/{create(api, 'draft')}/execute-graph")["execute_graph"] is None
    metrics = api.post(f"{JOBS}/metrics", {"job_ids": [running]})["metrics"]["jobs"]
    assert [job["job_id"] for job in metrics] == [running]
    assert api.refusal("POST", f"{JOBS}/metrics", json={"job_ids": [999]}) == (400, "DLI.16001")


# --- SQL jobs ---------------------------------------------------------------------------------------------

SQL = f"{STREAMING}/sql-jobs"


def test_sql_jobs_live_among_the_others(api: Api, clock: Clock) -> None:
    create(api, "jar")
    body = {"name": "sql", "sql_body": "insert into a select * from b;", "cu_number": 4, "checkpoint_mode": 2}
    job = api.post(SQL, body)["job"]["job_id"]
    detail = show(api, job)
    assert (detail["job_type"], detail["run_mode"], detail["sql_body"]) == (
        "flink_sql_job",
        "shared_cluster",
        body["sql_body"],
    )
    assert (detail["job_config"]["cu_number"], detail["job_config"]["checkpoint_mode"]) == (
        4,
        "at_least_once",
    )
    assert [entry["name"] for entry in listed(api)] == ["sql", "jar"]
    assert [entry["name"] for entry in listed(api, job_type="flink_jar_job")] == ["jar"]
    assert [entry["name"] for entry in listed(api, job_type="flink_sql_job")] == ["sql"]
    assert run(api, job) == ["true"]
    assert api.refusal("POST", SQL, json={"name": "jar"}) == (400, "DLI.0006")


def test_sql_jobs_have_an_update_of_their_own(api: Api) -> None:
    jar, sql = (
        create(api, "jar"),
        api.post(SQL, {"name": "sql", "run_mode": "exclusive_cluster"})["job"]["job_id"],
    )
    assert show(api, sql)["job_type"] == "flink_opensource_sql_job"
    api.put(f"{SQL}/{sql}", {"sql_body": "select 1", "desc": "after"})
    assert (show(api, sql)["sql_body"], show(api, sql)["desc"]) == ("select 1", "after")
    assert refused(api, sql, desc="") == "DLI.0001"
    assert api.refusal("PUT", f"{SQL}/{jar}", json={"desc": ""}) == (400, "DLI.0001")
    assert api.refusal("POST", SQL, json={"name": "other", "entrypoint": "a.jar"}) == (400, "DLI.0001")


def test_a_graph_of_sql(api: Api) -> None:
    jar, sql = create(api, "jar"), api.post(SQL, {"name": "sql"})["job"]["job_id"]
    path = "/v3/330e068af1334c9782f4226acc00a2e2/streaming/jobs/{}/gen-graph"
    body = {"sql_body": "create table a; insert into a select 1;", "graph_type": "job_graph"}
    answer = api.post(path.format(sql), body)
    assert len(json.loads(answer["stream_graph"])["nodes"]) == 2
    assert api.refusal("POST", path.format(jar), json=body) == (400, "DLI.0001")


# --- files ------------------------------------------------------------------------------------------------


def test_jobs_go_to_a_file_and_come_back(api: Api, clock: Clock, running: int) -> None:
    draft = create(api, "draft", cu_number=8)
    body = {"obs_dir": "b/exported", "is_selected": True, "job_selected": [running, draft]}
    (file,) = api.post(f"{JOBS}/export", body)["zip_file"]
    assert file == f"b/exported/aggregate_{clock.ms}.zip"
    api.delete(f"{JOBS}/{draft}")

    mapping = api.post(f"{JOBS}/import", {"zip_file": file})["job_mapping"]
    assert [entry["old_job_id"] for entry in mapping] == [running, draft]
    new = mapping[1]["new_job_id"]
    assert (mapping[0]["new_job_id"], show(api, running)["status"]) == (-1, "job_running")
    assert show(api, new)["job_config"]["cu_number"] == 8

    mapping = api.post(f"{JOBS}/import", {"zip_file": "b/exported/", "is_cover": True})["job_mapping"]
    assert [entry["new_job_id"] for entry in mapping] == [running, new]
    assert show(api, running)["status"] == "job_init", "what is overwritten is a draft again"


def test_all_jobs_go_to_a_file(api: Api) -> None:
    create(api, "a")
    create(api, "b")
    (file,) = api.post(f"{JOBS}/export", {"obs_dir": "b", "is_selected": False})["zip_file"]
    assert len(api.post(f"{JOBS}/import", {"zip_file": file})["job_mapping"]) == 2


def test_files_that_are_none(api: Api) -> None:
    export = {"obs_dir": "b", "is_selected": True}
    assert api.refusal("POST", f"{JOBS}/export", json=export) == (400, "DLI.0001")
    missing = {**export, "job_selected": [999]}
    assert api.refusal("POST", f"{JOBS}/export", json=missing) == (400, "DLI.16001")
    assert api.refusal("POST", f"{JOBS}/import", json={"zip_file": "b/none.zip"}) == (400, "DLI.0002")


def test_every_bucket_is_authorized(api: Api) -> None:
    assert api.post("/v1.0/p/dli/obs-authorize", {"obs_buckets": ["b"]})["is_success"] is True
