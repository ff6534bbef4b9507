"""Tests the additional Flink routes in `conformance/routes` over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator
from emulator.conftest import Api, Clock
from emulator.test_flink import JOBS, STREAMING, create, listed, run, show
from emulator.test_flink_runs import refused, running, stop
from emulator.test_flink_tags import V3

from .routes import routes

__all__ = ["running"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(tmp_path: Path, clock: Clock) -> Iterator[Api]:
    server = Emulator(tmp_path / "emulator.db", clock=clock, more_routes=routes())
    with server, requests.Session() as session:
        session.trust_env = False
        yield Api(server, session)


def test_a_savepoint_from_elsewhere(api: Api, clock: Clock, running: int) -> None:
    path, body = f"{JOBS}/{running}/import-savepoint", {"job_id": running, "savepoint_path": "obs://x/y/"}
    assert api.refusal("POST", path, json=body) == (400, "DLI.0007")
    stop(api, running)
    clock.now += 2
    assert api.post(path, body)["is_success"] == "true"
    assert show(api, running)["savepoint_path"] == "obs://x/y/"
    api.post(f"{JOBS}/run", {"job_ids": [running], "resume_savepoint": True})
    assert show(api, running)["status_desc"] == "Restored from obs://x/y/"


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


# --- tags --------------------------------------------------------------------------------------------------


def test_jobs_by_their_tags(api: Api) -> None:
    create(api, "plain")
    create(api, "one", tags=[{"key": "team", "value": "a"}])
    create(api, "two", tags=[{"key": "team", "value": "b"}, {"key": "x", "value": "y"}])

    def found(**body: Any) -> str:
        answer = api.post(f"{V3}/resource-instances/filter", body)
        count = api.post(f"{V3}/resource-instances/count", body)
        assert answer["total_count"] == count["total_count"]
        return " ".join(resource["resource_name"] for resource in answer["resources"])

    assert found() == "two one plain"
    assert found(without_any_tag=True) == "plain"
    assert found(tags=[{"key": "team", "values": ["a"]}]) == "one"
    assert found(tags=[{"key": "team", "values": ["a", "b"]}]) == found(tags=[{"key": "team", "values": []}])
    assert found(tags=[{"key": "team", "values": []}, {"key": "x", "values": ["y"]}]) == "two"
    assert found(matches=[{"key": "resource_name", "value": "one"}]) == "one"
    assert api.get(f"{V3}/tags") == {
        "tags": [{"key": "team", "values": ["a", "b"]}, {"key": "x", "values": ["y"]}],
        "count": 2,
    }
