"""Flink jobs of the emulator: run, stop, savepoint, update and delete."""

from __future__ import annotations

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
