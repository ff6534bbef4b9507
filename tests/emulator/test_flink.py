"""Flink jobs of the emulator: create, run, show and list."""

import json
from typing import Any

import pytest

from .conftest import Api, Clock

STREAMING = "/v1.0/330e068af1334c9782f4226acc00a2e2/streaming"
JOBS = f"{STREAMING}/jobs"


def create(api: Api, name: str = "orders", **fields: Any) -> int:
    answer = api.post(f"{STREAMING}/flink-jobs", {"name": name, **fields})
    number = answer["job"]["job_id"]
    assert isinstance(number, int)
    return number


def show(api: Api, job: int) -> Any:
    answer = api.get(f"{JOBS}/{job}")
    assert answer["is_success"] == "true"
    return answer["job_detail"]


def listed(api: Api, **query: Any) -> list[Any]:
    answer = api.get(JOBS, **query)
    assert answer["is_success"] == "true"
    entries: list[Any] = answer["job_list"]["jobs"]
    return entries


def run(api: Api, *jobs: int) -> list[str]:
    return [result["is_success"] for result in api.post(f"{JOBS}/run", {"job_ids": jobs})]


def test_creating_leaves_a_draft(api: Api, clock: Clock) -> None:
    answer = api.post(f"{STREAMING}/flink-jobs", {"name": "orders"})
    job = answer["job"]["job_id"]
    assert answer == {
        "is_success": "true",
        "message": "A Flink job is created successfully.",
        "job": {"job_id": job, "status_name": "job_init", "status_desc": ""},
    }
    clock.now += 1000
    assert show(api, job)["status"] == "job_init"


RECORDED: list[dict[str, Any]] = [
    {
        "name": "test",
        "desc": "job for test",
        "queue_name": "testQueue",
        "manager_cu_number": 1,
        "cu_number": 2,
        "parallel_number": 1,
        "tm_cus": 1,
        "tm_slot_num": 1,
        "log_enabled": True,
        "obs_bucket": "bucketName",
        "smn_topic": "topic",
        "main_class": "org.apache.flink.examples.streaming.JavaQueueStream",
        "restart_when_exception": False,
        "entrypoint": "javaQueueStream.jar",
        "entrypoint_args": "-windowSize 2000 -rate 3",
        "dependency_jars": ["myGroup/test.jar", "myGroup/test1.jar"],
        "execution_agency_urn": "myAgencyName",
        "dependency_files": ["myGroup/test.csv", "myGroup/test1.csv"],
    },
    {
        "name": "resources_v2",
        "queue_name": "general",
        "cu_number": 2,
        "log_enabled": True,
        "obs_bucket": "bucket",
        "entrypoint": "acc/WordCount.jar",
        "feature": "basic",
        "flink_version": "1.15",
        "resume_max_num": -1,
        "checkpoint_enabled": True,
        "checkpoint_interval": 60,
        "resource_config_version": "v2",
        "resource_config": {
            "max_slot": 4,
            "parallel_number": 3,
            "jobmanager_resource_spec": {"cpu": 1, "memory": "8G"},
            "taskmanager_resource_spec": {"cpu": 0.5, "memory": "6G"},
        },
    },
]
TOP = ("name", "desc", "queue_name", "main_class", "entrypoint_args")


@pytest.mark.parametrize("body", RECORDED, ids=lambda body: body["name"])
def test_the_detail_holds_what_was_asked_for(api: Api, body: dict[str, Any]) -> None:
    detail = show(api, create(api, **body))
    for name, value in body.items():
        assert (detail if name in TOP else detail["job_config"])[name] == value


def test_defaults_are_filled_in(api: Api, clock: Clock) -> None:
    job = create(api)
    detail = show(api, job)
    config = detail.pop("job_config")
    for name, value in {
        "cu_number": 2,
        "manager_cu_number": 1,
        "parallel_number": 1,
        "tm_cus": 1,
        "tm_slot_num": 1,
        "checkpoint_enabled": False,
        "checkpoint_interval": 10,
        "checkpoint_mode": "exactly_once",
        "log_enabled": False,
        "restart_when_exception": False,
        "resume_checkpoint": False,
        "resume_max_num": -1,
        "obs_bucket": None,
        "smn_topic": None,
        "entrypoint": None,
        "dependency_jars": None,
        "runtime_config": None,
        "feature": "basic",
        "resource_config_version": "v1",
        "resource_config": None,
        "root_id": -1,
    }.items():
        assert (name, config[name]) == (name, value)
    assert not {"name", "tags", "main_class"} & set(config)
    assert detail == {
        "job_id": job,
        "user_id": "emulator",
        "queue_name": "",
        "project_id": "330e068af1334c9782f4226acc00a2e2",
        "name": "orders",
        "desc": "",
        "sql_body": "",
        "run_mode": "exclusive_cluster",
        "job_type": "flink_jar_job",
        "main_class": None,
        "entrypoint_args": None,
        "execution_graph": None,
        "status": "job_init",
        "status_desc": "",
        "create_time": clock.ms,
        "update_time": clock.ms,
        "start_time": None,
        "savepoint_path": None,
        "has_savepoint": False,
        "restart_times": 0,
        "edge_group_ids": None,
        "graph_editor_enabled": False,
    }


def test_checkpoint_mode_is_read_as_a_word(api: Api) -> None:
    assert show(api, create(api, checkpoint_mode=2))["job_config"]["checkpoint_mode"] == "at_least_once"


@pytest.mark.parametrize(
    ("fields", "slots"),
    [({"parallel_number": 6, "cu_number": 4, "tm_cus": 1}, 2), ({"parallel_number": 3, "cu_number": 5}, 1)],
)
def test_slots_follow_from_the_other_numbers(api: Api, fields: dict[str, Any], slots: int) -> None:
    assert show(api, create(api, **fields))["job_config"]["tm_slot_num"] == slots


def test_the_service_adds_to_runtime_config(api: Api) -> None:
    given = [{"key": "max_records_per_file", "value": "10"}]
    text = show(api, create(api, runtime_config=json.dumps(given)))["job_config"]["runtime_config"]
    entries = json.loads(text)
    assert entries[:1] == given
    assert len(entries) > 1


@pytest.mark.parametrize("given", ["a=b", '{"a": "b"}', ""])
def test_another_runtime_config_stays_as_it_is(api: Api, given: str) -> None:
    assert show(api, create(api, runtime_config=given))["job_config"]["runtime_config"] == given


def test_a_name_is_taken_once_in_a_project(api: Api) -> None:
    create(api)
    path = f"{STREAMING}/flink-jobs"
    assert api.refusal("POST", path, json={"name": "orders"}) == (400, "DLI.0006")
    api.post("/v1.0/other/streaming/flink-jobs", {"name": "orders"})
    assert len(listed(api)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "n" * 58},
        {"name": "a b"},
        {"desc": "d" * 513},
        {"queue_name": "q" * 129},
        {"cu_number": 1},
        {"cu_number": "2"},
        {"cu_number": 2, "manager_cu_number": 2},
        {"parallel_number": 2001},
        {"resume_max_num": 0},
        {"resume_max_num": -2},
        {"checkpoint_mode": "exactly_once"},
        {"checkpoint_mode": 3},
        {"checkpoint_mode": True},
        {"checkpoint_interval": 3601},
        {"runtime_config": [{"key": "a", "value": "b"}]},
        {"resource_config": {"max_slot": 1}},
        {"resource_config_version": "v2", "resource_config": {"taskmanager_resource_spec": {"cpu": 0.4}}},
        {"resource_config_version": "v2", "resource_config": {"taskmanager_resource_spec": {"cpu": "1"}}},
        {"resource_config_version": "v3"},
        {"feature": "ai"},
        {"tags": [{"key": "a"}]},
        {"tags": [{"key": str(index), "value": ""} for index in range(21)]},
        {"dependency_jars": "a.jar,b.jar"},
        {"file": "a.jar"},
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, fields: dict[str, Any]) -> None:
    body = {"name": "orders", **fields}
    assert api.refusal("POST", f"{STREAMING}/flink-jobs", json=body) == (400, "DLI.0001")
    assert listed(api) == []


def test_a_name_is_required(api: Api) -> None:
    assert api.refusal("POST", f"{STREAMING}/flink-jobs", json={"desc": ""}) == (400, "DLI.0001")


def test_run(api: Api, clock: Clock) -> None:
    job = create(api)
    clock.now += 100
    assert api.post(f"{JOBS}/run", {"job_ids": [job], "resume_savepoint": True}) == [
        {
            "is_success": "true",
            "message": "The request for submitting DLI jobs is successfully delivered.",
        }
    ]
    detail = show(api, job)
    assert (detail["status"], detail["start_time"]) == ("job_submitting", clock.ms)
    clock.now += 2
    assert show(api, job)["status"] == "job_running"
    clock.now += 10**6
    assert show(api, job)["status"] == "job_running"
    assert listed(api)[0]["duration"] == 1_000_002_000


def test_run_answers_for_each_id_in_order(api: Api) -> None:
    first, second = create(api, "a"), create(api, "b")
    assert run(api, first, 999, second, second) == ["true", "false", "true", "false"]
    assert run(api, first) == ["false"]


def test_run_knows_its_project_and_family(api: Api) -> None:
    job = create(api)
    api.post("/v2.0/p/batches", {"file": "a.py", "queue": "q"})
    answer = api.post("/v1.0/p/streaming/jobs/run", {"job_ids": [job, job + 1]})
    assert [result["is_success"] for result in answer] == ["false", "false"]


@pytest.mark.parametrize(
    ("state", "again"),
    [("job_running_exception", "true"), ("job_cancel_success", "true"), ("job_canceling", "false")],
)
def test_a_stopped_job_can_be_run_again(api: Api, clock: Clock, state: str, again: str) -> None:
    job = create(api)
    run(api, job)
    clock.now += 60
    api.server.store.end(job, state)
    clock.now += 60
    assert show(api, job)["status"] == state
    assert run(api, job) == [again]
    assert show(api, job)["status"] == ("job_submitting" if again == "true" else state)


def test_the_time_that_a_stopped_job_ran(api: Api, clock: Clock) -> None:
    job = create(api)
    run(api, job)
    clock.now += 7
    api.server.store.end(job, "job_finish")
    clock.now += 60
    assert listed(api)[0]["duration"] == 7000


@pytest.mark.parametrize(
    "body", [{}, {"job_ids": []}, {"job_ids": ["1"]}, {"job_ids": [1], "savepoint": True}]
)
def test_a_wrong_run_is_refused(api: Api, body: Any) -> None:
    assert api.refusal("POST", f"{JOBS}/run", json=body) == (400, "DLI.0001")


def test_an_unknown_job(api: Api) -> None:
    assert api.refusal("GET", f"{JOBS}/1") == (400, "DLI.16001")
    assert api.refusal("GET", f"{JOBS}/one") == (400, "DLI.0001")


def test_the_listing_is_brief_unless_asked(api: Api) -> None:
    create(api, main_class="Main", cu_number=4)
    (brief,) = listed(api)
    assert (brief["user_name"], brief["duration"], brief["root_id"], brief["start_time"]) == (
        "emulator",
        0,
        -1,
        0,
    )
    assert not {"job_config", "main_class"} & set(brief)
    assert listed(api, show_detail="false") == [brief]
    (full,) = listed(api, show_detail="true")
    assert (full["main_class"], full["job_config"]["cu_number"]) == ("Main", 4)
    assert not {"user_name", "duration", "root_id"} & set(full)


def test_offset_is_a_record_index(api: Api) -> None:
    for index in range(12):
        create(api, f"job{index}")
    assert len(listed(api)) == 10
    pages = [[job["name"] for job in listed(api, limit=5, offset=start)] for start in (0, 5, 10, 15)]
    assert [name for page in pages for name in page] == [f"job{index}" for index in range(11, -1, -1)]
    assert listed(api, order="asc", limit=1)[0]["name"] == "job0"
    assert api.get(JOBS, limit=0)["job_list"] == {"total_count": 12, "jobs": []}


def test_filters(api: Api) -> None:
    first = create(
        api, "load", queue_name="q", tags=[{"key": "team", "value": "a"}, {"key": "x", "value": "y"}]
    )
    create(api, "reload")
    run(api, first)

    def names(**query: Any) -> list[str]:
        return [job["name"] for job in listed(api, **query)]

    assert names(name="load", job_type="flink_jar_job", user_name="emulator") == ["reload", "load"]
    assert names(queue_name="q") == names(status="job_submitting") == names(tags="team=a,x=y") == ["load"]
    assert names(name="rel") == names(status="job_init") == ["reload"]
    assert names(job_type="flink_sql_job") == names(tags="team=b") == names(user_name="somebody") == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 101},
        {"limit": -1},
        {"offset": "x"},
        {"order": "up"},
        {"status": "running"},
        {"show_detail": 1},
    ],
)
def test_a_wrong_query_is_refused(api: Api, query: dict[str, Any]) -> None:
    assert api.refusal("GET", JOBS, params=query) == (400, "DLI.0001")
