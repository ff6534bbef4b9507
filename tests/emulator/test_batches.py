"""Spark batches of the emulator: create, list, show, delete, states and logs."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Api, Clock

BATCHES = "/v2.0/48cc2c48765f481480c7db940d6409d1/batches"
SMALL = {"file": "obs://b/a.jar", "queue": "q"}
FILLED = {
    "jars": [],
    "pyFiles": [],
    "files": [],
    "modelFiles": [],
    "resources": [],
    "modules": [],
    "groups": [],
    "archives": [],
    "name": "",
    "conf": {},
    "args": [],
    "className": "",
    "autoRecovery": False,
    "minRecoveryDelayTime": 10000,
    "maxRetryTimes": 20,
}


def create(api: Api, **fields: Any) -> Any:
    return api.post(BATCHES, {**SMALL, **fields})


def listed(api: Api, **query: Any) -> list[Any]:
    answer = api.get(BATCHES, **query)
    entries: list[Any] = answer["sessions"]
    return entries


def echo(api: Api, **fields: Any) -> Any:
    return json.loads(api.get(f"{BATCHES}/{create(api, **fields)['id']}")["req_body"])


def test_a_created_batch_starts_at_once(api: Api, clock: Clock) -> None:
    answer = create(api, name="daily", sc_type="B", image="org/name:tag")
    assert {**answer, "id": "", "log": []} == {
        "id": "",
        "appId": "",
        "name": "daily",
        "owner": "emulator",
        "proxyUser": "",
        "state": "starting",
        "kind": "spark",
        "log": [],
        "sc_type": "B",
        "cluster_name": "q",
        "queue": "q",
        "image": "org/name:tag",
        "create_time": clock.ms,
        "update_time": clock.ms,
        "duration": 0,
    }


def test_states_follow_the_clock(api: Api, clock: Clock) -> None:
    path = f"{BATCHES}/{create(api)['id']}"
    seen = []
    for seconds in (0, 1.9, 0.2, 57, 1, 100):
        clock.now += seconds
        entry = api.get(path)
        seen.append((entry["state"], entry["duration"]))
        assert api.get(f"{path}/state") == {"id": entry["id"], "state": entry["state"]}
    assert seen == [
        ("starting", 0),
        ("starting", 1900),
        ("running", 2100),
        ("running", 59100),
        ("success", 60000),
        ("success", 60000),
    ]


def test_a_test_can_end_a_batch(api: Api, clock: Clock) -> None:
    batch = create(api)["id"]
    clock.now += 10
    api.server.store.end(batch, "dead")
    clock.now += 1000
    entry = api.get(f"{BATCHES}/{batch}")
    assert (entry["state"], entry["duration"]) == ("dead", 10_000)
    assert entry["update_time"] == entry["create_time"] + 10_000
    with pytest.raises(KeyError):
        api.server.store.end("nobody", "dead")


RECORDED: list[dict[str, Any]] = [
    {
        "file": "batchTest/spark-examples_2.11-2.1.0.luxor.jar",
        "className": "org.apache.spark.examples.SparkPi",
        "sc_type": "A",
        "jars": ["demo-1.0.0.jar"],
        "files": ["count.txt"],
        "resources": [{"name": "groupTest/testJar.jar", "type": "jar"}],
        "groups": [{"name": "groupTestJar", "resources": [{"name": "a.jar", "type": "jar"}]}, {"name": "g"}],
        "queue": " test",
        "name": "TestDemo4",
        "execution_agency_urn": "myAgencyName",
    },
    {
        "sc_type": "A",
        "jars": ["spark-examples_2.11-2.1.0.luxor.jar"],
        "driverMemory": "1G",
        "driverCores": 1,
        "executorMemory": "2 GB",
        "executorCores": 1,
        "numExecutors": 1,
        "queue": "cce_general",
        "file": "spark-examples_2.11-2.1.0.luxor.jar",
        "className": "org.apache.spark.examples.SparkPi",
        "minRecoveryDelayTime": 10000,
        "maxRetryTimes": 3,
    },
    {
        "file": "obs://bucket/test.py",
        "conf": {"spark.rpc.message.maxSize": "1024", "spark.dli.metaAccess.enable": "true"},
        "name": "ds_test",
        "modules": ["sys.datasource.dli-inner-table"],
        "feature": "basic",
        "queue": "tid_dii_flink_queue01",
        "catalog_name": "dli",
        "spark_version": "3.1.1",
        "obs_bucket": "rain3",
        "autoRecovery": True,
    },
]


@pytest.mark.parametrize("body", RECORDED)
def test_req_body_is_the_request_with_its_gaps_filled(api: Api, body: dict[str, Any]) -> None:
    api.post(BATCHES, body)
    text = listed(api)[0]["req_body"]
    assert isinstance(text, str)
    assert json.loads(text) == {**FILLED, **body}


def test_old_spellings_come_back_in_the_new_one(api: Api) -> None:
    old = {
        "class_name": "Main",
        "python_files": ["a.py"],
        "driver_memory": "1g",
        "driver_cores": 1,
        "executor_memory": "2048M",
        "executor_cores": 2,
        "num_executors": 3,
        "auto_recovery": True,
        "max_retry_times": 5,
    }
    assert echo(api, **old) == {
        **FILLED,
        **SMALL,
        "className": "Main",
        "pyFiles": ["a.py"],
        "driverMemory": "1g",
        "driverCores": 1,
        "executorMemory": "2048M",
        "executorCores": 2,
        "numExecutors": 3,
        "autoRecovery": True,
        "maxRetryTimes": 5,
    }


def test_cluster_name_is_the_queue(api: Api) -> None:
    answer = api.post(BATCHES, {"file": "a.py", "cluster_name": "old"})
    assert (answer["queue"], answer["cluster_name"]) == ("old", "old")
    (entry,) = listed(api, queue_name="old")
    assert json.loads(entry["req_body"]) == {**FILLED, "file": "a.py", "queue": "old"}


def test_text_of_any_language_and_raw_variables_survive(api: Api) -> None:
    args = ["日期 {{date}}", 'quote " and \\', "\u0000", ""]
    assert echo(api, args=args)["args"] == args


@pytest.mark.parametrize(
    ("fields", "sc_type"),
    [({}, "A"), ({"sc_type": "C"}, "C"), ({"sc_type": "C", "driverCores": 4}, "CUSTOMIZED")],
)
def test_sc_type(api: Api, fields: dict[str, Any], sc_type: str) -> None:
    assert create(api, **fields)["sc_type"] == sc_type
    assert listed(api)[0]["sc_type"] == sc_type


@pytest.mark.parametrize(
    "body",
    [
        {"queue": "q"},
        {"file": "", "queue": "q"},
        {"file": "a.py"},
        {**SMALL, "cluster_name": "q"},
        {**SMALL, "queue": ""},
        {**SMALL, "name": "n" * 129},
        {**SMALL, "driverMemory": "2"},
        {**SMALL, "executor_memory": "two G"},
        {**SMALL, "args": "a b"},
        {**SMALL, "args": [1]},
        {**SMALL, "conf": ["a=b"]},
        {**SMALL, "conf": {"spark.x": True}},
        {**SMALL, "resources": ["a.jar"]},
        {**SMALL, "resources": [{"type": "jar"}]},
        {**SMALL, "groups": [{"name": "g", "resources": [{"name": "a", "kind": "jar"}]}]},
        {**SMALL, "sc_type": "D"},
        {**SMALL, "feature": ["basic"]},
        {**SMALL, "numExecutors": "1"},
        {**SMALL, "numExecutors": True},
        {**SMALL, "numExecutors": 1.5},
        {**SMALL, "numExecutors": -1},
        {**SMALL, "maxRetryTimes": 101},
        {**SMALL, "autoRecovery": "true"},
        {**SMALL, "image": None},
        {**SMALL, "className": "A", "class_name": "A"},
        {**SMALL, "tags": []},
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, body: Any) -> None:
    assert api.refusal("POST", BATCHES, json=body) == (400, "DLI.0001")
    assert listed(api) == []


@pytest.mark.parametrize("path", ["/none", "/none/state", "/1"])
def test_an_unknown_batch_is_a_wrong_request(api: Api, path: str) -> None:
    create(api)
    assert api.refusal("GET", BATCHES + path) == (400, "DLI.0002")


def test_a_batch_belongs_to_its_project(api: Api) -> None:
    batch = create(api)["id"]
    assert api.get("/v2.0/other/batches") == {"from": 0, "total": 0, "sessions": [], "create_time": 0}
    assert api.refusal("GET", f"/v2.0/other/batches/{batch}") == (400, "DLI.0002")


def test_paging_goes_by_record_and_newest_first(api: Api, clock: Clock) -> None:
    for index in range(5):
        clock.now += index % 2
        create(api, name=f"job{index}")
    pages = [api.get(BATCHES, **{"from": start, "size": 2}) for start in (0, 2, 4, 6)]
    assert [[entry["name"] for entry in page["sessions"]] for page in pages] == [
        ["job4", "job3"],
        ["job2", "job1"],
        ["job0"],
        [],
    ]
    assert {page["total"] for page in pages} == {5}
    assert [page["from"] for page in pages] == [0, 2, 4, 6]
    assert pages[0]["create_time"] == clock.ms


def test_a_hundred_are_listed_unless_asked(api: Api) -> None:
    for _ in range(101):
        create(api)
    assert len(listed(api)) == 100
    assert len(listed(api, size=1000)) == 101


def test_filters(api: Api, clock: Clock) -> None:
    first = create(api, name="load")
    clock.now += 61
    second = create(api, name="load-all", queue="other")

    def names(**query: Any) -> list[str]:
        return [entry["name"] for entry in listed(api, **query)]

    assert names() == names(owner="emulator") == names(cluster_name="") == ["load-all", "load"]
    assert names(job_name="load") == ["load"]
    assert names(**{"job-id": second["id"]}) == ["load-all"]
    assert names(job_id=second["id"]) == ["load-all", "load"], "the page's word has a hyphen"
    assert names(queue_name="q") == names(cluster_name="q") == names(state="success") == ["load"]
    assert names(state="starting") == names(start=clock.ms) == ["load-all"]
    assert names(end=first["create_time"]) == ["load"]
    assert names(owner="somebody") == names(state="dead") == []


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("CREATE_TIME_ASC", "abc"),
        ("CREATE_TIME_DESC", "cba"),
        ("DURATION_ASC", "bac"),
        ("DURATION_DESC", "cab"),
    ],
)
def test_order(api: Api, clock: Clock, order: str, names: str) -> None:
    ids = [create(api, name=name)["id"] for name in "abc"]
    clock.now += 5
    api.server.store.end(ids[1], "dead")
    clock.now += 5
    api.server.store.end(ids[0], "dead")
    clock.now += 5
    assert "".join(entry["name"] for entry in listed(api, order=order)) == names


@pytest.mark.parametrize(
    "query",
    [{"from": -1}, {"size": "ten"}, {"size": "9" * 30}, {"state": "done"}, {"order": "up"}, {"start": 1.5}],
)
def test_a_wrong_query_is_refused(api: Api, query: dict[str, Any]) -> None:
    assert api.refusal("GET", BATCHES, params=query) == (400, "DLI.0001")


def test_versions_are_only_in_the_detail(api: Api) -> None:
    batch = create(api, feature="basic", spark_version="3.3.1")
    detail = api.get(f"{BATCHES}/{batch['id']}")
    assert (detail["feature"], detail["spark_version"]) == ("basic", "3.3.1")
    assert not {"feature", "spark_version"} & set(listed(api)[0])


def test_cancelling_takes_a_while_and_leaves_the_record(api: Api, clock: Clock) -> None:
    batch = create(api, name="daily")
    path = f"{BATCHES}/{batch['id']}"
    # It would be a success by itself before it is dead.
    clock.now += 59
    assert api.delete(path) == {"msg": "deleted"}
    states = []
    for seconds in (0, 1, 1, 1000):
        clock.now += seconds
        states.append(api.get(f"{path}/state")["state"])
    assert states == ["running", "running", "dead", "dead"]
    (entry,) = listed(api, state="dead")
    assert (entry["id"], entry["duration"]) == (batch["id"], 61_000)


def test_what_has_ended_cannot_be_cancelled(api: Api, clock: Clock) -> None:
    path = f"{BATCHES}/{create(api)['id']}"
    clock.now += 60
    assert api.refusal("DELETE", path) == (400, "DLI.0007")
    assert api.get(f"{path}/state")["state"] == "success"
    assert api.refusal("DELETE", f"{BATCHES}/none") == (400, "DLI.0002")


def test_the_log_grows_while_the_batch_runs(api: Api, clock: Clock) -> None:
    batch = create(api)["id"]
    path = f"{BATCHES}/{batch}/log"
    assert api.get(path) == {
        "id": batch,
        "from": 0,
        "total": 3,
        "log": ["stdout: ", "stderr: ", "YARN Diagnostics: "],
    }
    clock.now += 4
    assert api.get(path, type="driver", index=0)["log"][:3] == [
        "stdout: ",
        "2024-07-03 09:46:42 INFO Emulated: still running",
        "2024-07-03 09:46:43 INFO Emulated: still running",
    ]
    clock.now += 1000
    assert api.get(path)["total"] == 61


def test_pages_of_a_log(api: Api, clock: Clock) -> None:
    path = f"{BATCHES}/{create(api)['id']}/log"
    clock.now += 12
    pages = [api.get(path, **{"from": start, "size": 5}) for start in (0, 5, 10, 15)]
    assert [page["from"] for page in pages] == [0, 5, 10, 15]
    assert [line for page in pages for line in page["log"]] == api.get(path)["log"]
    assert {page["total"] for page in pages} == {13}
    for query in ({"type": "executor"}, {"index": 1}, {"from": -1}):
        assert api.refusal("GET", path, params=query) == (400, "DLI.0001")


def test_of_a_long_log_the_end_is_shown(start: Callable[..., Api], clock: Clock) -> None:
    api = start()
    session = api.post("/v2.0/p/sessions", {"kind": "spark", "queue": "q"})["id"]
    clock.now += 300
    page = api.get(f"/v2.0/p/sessions/{session}/log")
    assert (page["from"], page["total"], len(page["log"])) == (201, 301, 100)
    assert page["log"][-1] == "YARN Diagnostics: "


def test_ended_batches_are_forgotten_when_the_service_does_that(
    start: Callable[..., Api], clock: Clock
) -> None:
    api = start(retention=3600)
    old = create(api, name="old")["id"]
    clock.now += 60 + 3600
    assert [entry["name"] for entry in listed(api)] == ["old"]
    clock.now += 1
    create(api, name="new")
    assert [entry["name"] for entry in listed(api)] == ["new"]
    assert api.get(BATCHES)["total"] == 1
    assert api.refusal("GET", f"{BATCHES}/{old}") == (400, "DLI.0002")
