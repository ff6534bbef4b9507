"""MRS job executions of the emulator."""

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Api, Clock

JOBS = "/v2/p/clusters/0f9c2c48-7658-4f48-8148-0c7db940d640/job-executions"
SMALL = {"job_type": "MapReduce", "job_name": "count"}
TYPES = [
    "MapReduce",
    "SparkSubmit",
    "SparkPython",
    "HiveScript",
    "HiveSql",
    "DistCp",
    "SparkScript",
    "SparkSql",
    "Flink",
]


def submit(api: Api, path: str = JOBS, **fields: Any) -> str:
    result = api.post(path, {**SMALL, **fields})["job_submit_result"]
    assert result["state"] == "COMPLETE"
    job_id: str = result["job_id"]
    return job_id


def show(api: Api, job_id: str) -> Any:
    return api.get(f"{JOBS}/{job_id}")["job_detail"]


def names(api: Api, **query: Any) -> list[str]:
    return [bean["job_name"] for bean in api.get(JOBS, **query)["job_list"]]


def test_submit_show_and_list(api: Api, clock: Clock) -> None:
    job_id = submit(
        api,
        job_name="SparkSubmitTest",
        job_type="SparkSubmit",
        arguments=["--master", "yarn", "--conf", "a=b, c", "obs://obs-test/pi.py", ""],
        properties={"fs.obs.access.key": "xxx", "fs.obs.secret.key": "yyy"},
    )
    bean = show(api, job_id)
    assert bean == {
        "job_id": job_id,
        "user": "emulator",
        "job_name": "SparkSubmitTest",
        "job_result": "UNDEFINED",
        "job_state": "ACCEPTED",
        "job_progress": 0,
        "job_type": "SparkSubmit",
        "started_time": 0,
        "submitted_time": clock.ms,
        "finished_time": 0,
        "elapsed_time": 0,
        "queue": "default",
        "arguments": "[--master, yarn, --conf, a=b, c, obs://obs-test/pi.py, ]",
        "launcher_id": f"application_{clock.ms}_0001",
        "properties": "{fs.obs.access.key=xxx, fs.obs.secret.key=yyy}",
    }
    assert api.get(JOBS) == {"total_record": 1, "job_list": [bean]}


def test_what_is_left_out_comes_back_empty(api: Api) -> None:
    bean = show(api, submit(api))
    assert (bean["arguments"], bean["properties"]) == ("[]", "{}")


def test_properties_come_back_in_another_order(api: Api) -> None:
    bean = show(api, submit(api, properties={"fs.obs.endpoint": "x", "a": "1", "b": ""}))
    assert bean["properties"] == "{a=1, b=, fs.obs.endpoint=x}"


def test_states_follow_the_clock(api: Api, clock: Clock) -> None:
    job_id = submit(api)
    seen = []
    for seconds in (1, 2, 57):
        clock.now += seconds
        bean = show(api, job_id)
        seen.append((bean["job_state"], bean["job_result"], bean["job_progress"], bean["elapsed_time"]))
    assert seen == [
        ("ACCEPTED", "UNDEFINED", 0, 0),
        ("RUNNING", "UNDEFINED", 0, 1000),
        ("FINISHED", "SUCCEEDED", 100, 58_000),
    ]
    assert bean["started_time"] == bean["submitted_time"] + 2000
    assert bean["finished_time"] == bean["submitted_time"] + 60_000
    assert bean["app_id"].startswith("application_")


@pytest.mark.parametrize(
    ("state", "result"), [("FINISHED", "FAILED"), ("FAILED", "FAILED"), ("KILLED", "KILLED")]
)
def test_a_test_can_end_a_job(api: Api, clock: Clock, state: str, result: str) -> None:
    job_id = submit(api)
    clock.now += 1
    api.server.store.end(job_id, state, result)
    clock.now += 500
    bean = show(api, job_id)
    assert (bean["job_state"], bean["job_result"]) == (state, result)
    assert bean["started_time"] == bean["finished_time"] == bean["submitted_time"] + 1000
    assert names(api, job_state=state, job_result=result) == ["count"]
    assert names(api, job_result="SUCCEEDED") == []


@pytest.mark.parametrize("job_type", TYPES)
def test_all_types_and_the_one_that_is_listed_as_another(api: Api, job_type: str) -> None:
    listed_as = "SparkSubmit" if job_type == "SparkPython" else job_type
    assert show(api, submit(api, job_type=job_type))["job_type"] == listed_as
    assert names(api, job_type=listed_as) == ["count"]
    assert names(api, job_type="Flink" if job_type != "Flink" else "HiveSql") == []


def test_offset_is_a_page_number_from_one(api: Api) -> None:
    for index in range(12):
        submit(api, job_name=f"job{index}")
    assert names(api) == [f"job{index}" for index in range(11, 1, -1)]
    pages = [names(api, limit=5, offset=page, sort_by="asc") for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [5, 5, 2, 0]
    assert [name for page in pages for name in page] == [f"job{index}" for index in range(12)]
    assert api.get(JOBS, limit=5, offset=4)["total_record"] == 12


def test_offset_zero(api: Api) -> None:
    response = api.call("GET", JOBS, params={"offset": 0})
    assert response.status_code == 400
    assert response.json() == {"error_code": "MRS.0002", "error_msg": "the offset is invalid"}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": "x"}, {"sort_by": "up"}, {"job_state": "DONE"}, {"job_type": "Spark"}]
)
def test_a_wrong_query_is_refused(api: Api, query: dict[str, Any]) -> None:
    assert api.refusal("GET", JOBS, params=query) == (400, "MRS.0002")


def test_filters(api: Api, clock: Clock) -> None:
    first = submit(api, job_name="load")
    early = clock.ms
    clock.now += 3
    submit(api, job_name="reload-all")
    assert names(api, job_name="load") == ["reload-all", "load"], "the name is matched fuzzily"
    assert names(api, user="emulator", queue="default") == ["reload-all", "load"]
    assert names(api, job_name="reload") == names(api, submitted_time_begin=early + 1) == ["reload-all"]
    assert names(api, job_id=first) == names(api, submitted_time_end=early) == ["load"]
    assert names(api, job_state="RUNNING", job_result="UNDEFINED") == ["load"]
    assert names(api, user="somebody") == names(api, queue="other") == []


def test_a_job_belongs_to_its_cluster_and_project(api: Api) -> None:
    job_id = submit(api)
    for place in ("/v2/p/clusters/other/job-executions", JOBS.replace("/p/", "/other/")):
        assert api.get(place) == {"total_record": 0, "job_list": []}
        assert api.refusal("GET", f"{place}/{job_id}") == (500, "0176")


def test_names_can_repeat(api: Api) -> None:
    assert submit(api) != submit(api)
    assert names(api) == ["count", "count"]


@pytest.mark.parametrize(
    "body",
    [
        {"job_type": "MapReduce"},
        {"job_name": "count"},
        {**SMALL, "job_type": "Spark"},
        {**SMALL, "job_type": None},
        {**SMALL, "job_name": ""},
        {**SMALL, "job_name": "n" * 65},
        {**SMALL, "job_name": "a b"},
        {**SMALL, "job_name": "line\n"},
        {**SMALL, "arg": ["a"]},
        {**SMALL, "arguments": "a b"},
        {**SMALL, "arguments": [{}]},
        {**SMALL, "properties": {"a": 1}},
        {**SMALL, "properties": []},
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, body: Any) -> None:
    assert api.refusal("POST", JOBS, json=body) == (400, "MRS.0002")


def test_a_submission_that_fails_says_so_inside_its_result(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(api.server.store, "add", fail)
    response = api.call("POST", JOBS, json=SMALL)
    assert response.status_code == 500
    assert response.json() == {
        "job_submit_result": {"error_msg": "Internal service error", "error_code": "0173"}
    }


def test_killing_is_accepted_and_takes_a_while(api: Api, clock: Clock) -> None:
    job_id = submit(api)
    clock.now += 59
    response = api.call("POST", f"{JOBS}/{job_id}/kill")
    assert (response.status_code, response.json()) == (202, {"result": "succeeded"})
    seen = []
    for seconds in (0, 1, 1):
        clock.now += seconds
        bean = show(api, job_id)
        seen.append((bean["job_state"], bean["job_result"]))
    assert seen == [("RUNNING", "UNDEFINED"), ("RUNNING", "UNDEFINED"), ("KILLED", "KILLED")]
    assert (bean["started_time"] - bean["submitted_time"], bean["elapsed_time"]) == (2000, 59_000)
    assert names(api, job_state="KILLED", job_result="KILLED") == ["count"]


def test_what_cannot_be_killed(api: Api, clock: Clock) -> None:
    sql, over = submit(api, job_type="SparkSql"), submit(api)
    assert api.refusal("POST", f"{JOBS}/{sql}/kill") == (500, "0160")
    clock.now += 60
    assert api.refusal("POST", f"{JOBS}/{over}/kill") == (500, "0175")
    assert api.refusal("POST", f"{JOBS}/none/kill") == (500, "0176")


def test_a_batch_of_jobs_is_deleted_or_none_of_it(api: Api, clock: Clock) -> None:
    old = [submit(api, job_name=name) for name in "ab"]
    clock.now += 60
    new = submit(api, job_name="c")

    def delete(*ids: str) -> Any:
        return api.call("POST", f"{JOBS}/batch-delete", json={"job_id_list": ids})

    for ids, code in (([*old, new], "0183"), ([*old, "none"], "0176")):
        response = delete(*ids)
        assert (response.status_code, response.json()["error_code"]) == (500, code)
    assert len(names(api)) == 3
    response = delete(*old)
    assert (response.status_code, response.content) == (202, b"")
    assert names(api) == ["c"]
    assert api.refusal("GET", f"{JOBS}/{old[0]}") == (500, "0176")
    wrong: list[dict[str, Any]] = [{}, {"job_id_list": []}, {"job_id_list": "a"}]
    for body in wrong:
        assert api.refusal("POST", f"{JOBS}/batch-delete", json=body) == (400, "MRS.0002")


def test_the_result_of_sql(api: Api, clock: Clock) -> None:
    sql = submit(api, job_type="SparkSql", arguments=["show databases; show tables;"])
    script = submit(api, job_type="SparkScript", arguments=["obs://b/a.sql"])
    other = submit(api, job_type="HiveSql", arguments=["show tables"])
    assert api.refusal("GET", f"{JOBS}/{sql}/sql-result") == (500, "0183")
    clock.now += 60
    row = [{"result": "succeed"}]
    assert api.get(f"{JOBS}/{sql}/sql-result") == {"sql_results": {"0": row, "1": row}}
    assert api.get(f"{JOBS}/{script}/sql-result") == {"sql_results": {"0": row}}
    assert api.refusal("GET", f"{JOBS}/{other}/sql-result") == (500, "0179")


@pytest.mark.parametrize(("most", "code"), [(10, "0177"), (3, "12000060")])
def test_a_cluster_can_be_full(start: Callable[..., Api], clock: Clock, most: int, code: str) -> None:
    api = start(running=most)
    for _ in range(most):
        submit(api)
    full = api.call("POST", JOBS, json=SMALL)
    assert full.status_code == 500
    assert full.json()["job_submit_result"] == {
        "error_msg": f"The number of running jobs per cluster cannot exceed {most}.",
        "error_code": code,
    }
    assert submit(api, "/v2/p/clusters/other/job-executions"), "another cluster has room"
    clock.now += 60
    assert submit(api)


def test_ended_jobs_are_forgotten_when_the_service_does_that(start: Callable[..., Api], clock: Clock) -> None:
    api = start(retention=60)
    submit(api, job_name="old")
    clock.now += 121
    submit(api, job_name="new")
    assert names(api) == ["new"]
