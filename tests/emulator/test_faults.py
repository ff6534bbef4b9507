"""Tests the faults that rules add to the emulator, and the emulator's control API."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator, ParameterError

from .conftest import Api, Clock

FAULTS = "/_emulator/faults"
BATCHES = "/v2.0/p/batches"
FLINK = "/v1.0/p/streaming"
MRS = "/v2/p/clusters/c/job-executions"
SMALL = {"file": "a.py", "queue": "q"}

Start = Callable[..., Api]


@pytest.fixture
def api(start: Start) -> Api:
    return start()


def arm(api: Api, **rule: Any) -> None:
    assert api.call("POST", FAULTS, json=rule).status_code == 201


def create(api: Api, name: str = "job") -> requests.Response:
    return api.call("POST", BATCHES, json={**SMALL, "name": name})


def names(api: Api, **query: Any) -> str:
    return "".join(entry["name"] for entry in api.get(BATCHES, **query)["sessions"])


def test_a_status_before_the_call_was_carried_out(api: Api) -> None:
    arm(api, method="POST", path="/batches$", status=503)
    response = create(api)
    assert response.status_code == 503
    assert response.json() == {"error_code": "DLI.0999", "error_msg": "A fault was asked for"}
    assert names(api) == ""


def test_a_status_after_it_was_carried_out(api: Api) -> None:
    arm(api, method="POST", path="/batches$", status=500, after=True, body={"error_code": "x"})
    response = create(api, "a")
    assert (response.status_code, response.json()) == (500, {"error_code": "x"})
    assert names(api) == "a"


def test_another_status_with_the_true_body(api: Api) -> None:
    """Older editions of MRS answer a listing with 202."""
    arm(api, method="GET", path="/job-executions", status=202, after=True)
    response = api.call("GET", MRS)
    assert (response.status_code, response.json()) == (202, {"total_record": 0, "job_list": []})


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (BATCHES, 400, {"error_code": "DLI.0001", "error_msg": "A fault was asked for"}),
        (f"{FLINK}/jobs", 500, {"error_code": "DLI.0999", "error_msg": "A fault was asked for"}),
        (MRS, 500, {"error_code": "0167", "error_msg": "A fault was asked for"}),
        ("/unknown", 500, None),
    ],
)
def test_a_service_words_its_fault_as_its_own(api: Api, path: str, status: int, body: Any) -> None:
    arm(api, status=status)
    response = api.call("GET", path)
    assert response.status_code == status
    assert (response.json() if response.content else None) == body


@pytest.mark.parametrize(
    ("status", "code"), [(401, "APIGW.0301"), (403, "APIGW.0302"), (429, "APIGW.0308"), (502, "APIGW.0201")]
)
def test_the_gateway_words_its_faults(api: Api, status: int, code: str) -> None:
    arm(api, status=status)
    response = api.call("GET", BATCHES)
    assert (response.status_code, response.json()["error_code"]) == (status, code)
    assert response.json()["request_id"] == response.headers["X-Request-Id"]


def test_throttled(api: Api) -> None:
    arm(api, path="batches", nth=1, status=429, headers={"Retry-After": "2"})
    assert api.call("GET", BATCHES).headers["Retry-After"] == "2"
    assert api.call("GET", BATCHES).status_code == 200


def test_success_with_a_failure_inside(api: Api) -> None:
    inner = {"is_success": "false", "message": "no resources"}
    arm(api, path="/flink-jobs", status=200, body=inner)
    assert api.post(f"{FLINK}/flink-jobs", {"name": "clicks"}) == inner
    assert api.get(f"{FLINK}/jobs")["job_list"]["jobs"] == []


def test_a_body_that_is_text_is_sent_as_it_is(api: Api) -> None:
    page = "<html>Bad Gateway</html>"
    arm(api, status=502, body=page, headers={"Content-Type": "text/html"})
    response = api.call("GET", BATCHES)
    assert (response.text, response.headers["Content-Type"]) == (page, "text/html")


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_that_breaks(api: Api, *, after: bool) -> None:
    arm(api, method="POST", drop=True, after=after)
    with pytest.raises(requests.ConnectionError):
        create(api, "a")
    assert names(api) == ("a" if after else "")


def test_a_connection_that_breaks_in_the_middle_of_the_answer(api: Api) -> None:
    arm(api, method="POST", truncate=True, drop=True)
    with pytest.raises(requests.RequestException):
        create(api, "a")
    assert names(api) == "a"


def test_half_an_answer_as_if_it_were_all(api: Api) -> None:
    whole = api.call("GET", BATCHES).text
    arm(api, method="GET", truncate=True)
    assert api.call("GET", BATCHES).text == whole[: len(whole) // 2]


@pytest.mark.parametrize("after", [False, True])
def test_a_delay(start: Start, *, after: bool) -> None:
    seen: list[tuple[float, int]] = []

    def wait(seconds: float) -> None:
        seen.append((seconds, slow.get(BATCHES)["total"]))

    slow = start(wait=wait)
    arm(slow, method="POST", path="batches", delay=30.5, after=after)
    assert requests.post(slow.server.url + BATCHES, json=SMALL, timeout=10).status_code == 200
    assert seen == [(30.5, 1 if after else 0)]


def test_a_delay_ends_with_the_server(tmp_path: Path) -> None:
    rules = [{"delay": 3600}]
    with Emulator(tmp_path / "e.db", faults=rules) as server:
        connection = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
        connection.sendall(f"GET {BATCHES} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while not server.faults.shown()[0]["met"]:
            pass
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    connection.close()


def test_which_call_of_them(api: Api) -> None:
    arm(api, method="POST", path="batches", nth=[2, 4], status=503)
    assert [create(api, name).status_code for name in "abcde"] == [200, 503, 200, 503, 200]
    assert names(api) == "eca"


def test_the_first_rule_counts_and_all_of_them_count(api: Api) -> None:
    arm(api, path="batches", nth=1, status=501)
    arm(api, path="batches", nth=[1, 2], status=502)
    arm(api, path="flink", status=503)
    assert [api.call("GET", BATCHES).status_code for _ in range(3)] == [501, 502, 200]
    assert [(fault["matched"], fault["met"]) for fault in api.get(FAULTS)["faults"]] == [
        (3, 1),
        (3, 1),
        (0, 0),
    ]


def test_a_path_is_searched_with_its_query(api: Api) -> None:
    arm(api, path=r"[?&]from=100", status=500)
    assert api.call("GET", f"{BATCHES}?size=100").status_code == 200
    assert api.call("GET", f"{BATCHES}?size=100&from=100").status_code == 500


def test_a_listing_of_some_time_ago(api: Api, clock: Clock) -> None:
    old = create(api, "a").json()
    clock.now += 100
    api.server.store.end(old["id"], "dead")
    create(api, "b")
    arm(api, method="GET", nth=1, stale=60)
    stale = api.get(BATCHES)
    assert [(entry["name"], entry["state"]) for entry in stale["sessions"]] == [("a", "running")]
    assert stale["total"] == 1
    assert names(api) == "ba"


def test_a_job_that_is_not_seen_yet_is_not_found(api: Api) -> None:
    arm(api, path="/state", nth=1, stale=1)
    path = f"{BATCHES}/{create(api).json()['id']}/state"
    assert api.refusal("GET", path) == (400, "DLI.0002")
    assert api.get(path)["state"] == "starting"


def test_a_flink_job_of_some_time_ago_is_a_draft(api: Api, clock: Clock) -> None:
    job = api.post(f"{FLINK}/flink-jobs", {"name": "clicks"})["job"]["job_id"]
    clock.now += 10
    api.post(f"{FLINK}/jobs/run", {"job_ids": [job]})
    arm(api, method="GET", nth=1, stale=5)
    states = [api.get(f"{FLINK}/jobs")["job_list"]["jobs"][0]["status"] for _ in range(2)]
    assert states == ["job_init", "job_submitting"]


@pytest.mark.parametrize(
    ("rule", "pages"),
    [
        ({"shift": -1}, ["ed", "dc", "ba"]),
        ({"shift": 1}, ["ed", "ba", ""]),
        ({"repeat": True}, ["ed", "ed", "cb"]),
        ({"repeat": True, "nth": 2}, ["ed", "ed", "a"]),
    ],
)
def test_pages_that_move(api: Api, clock: Clock, rule: dict[str, Any], pages: list[str]) -> None:
    for name in "abcde":
        create(api, name)
    arm(api, method="GET", path="batches", **rule)
    assert [names(api, **{"from": start, "size": 2}) for start in (0, 2, 4)] == pages


def test_pages_move_where_they_have_numbers_too(api: Api) -> None:
    for name in "abc":
        api.post(MRS, {"job_type": "Flink", "job_name": name})
    arm(api, path="job-executions", shift=-1)
    pages = [[job["job_name"] for job in api.get(MRS, limit=2, offset=page)["job_list"]] for page in (1, 2)]
    assert pages == [["c", "b"], ["b", "a"]]


def test_rules_can_be_seen_and_taken_back(api: Api) -> None:
    rule = {"method": "GET", "path": "batches", "status": 503}
    arm(api, **rule)
    assert api.get(FAULTS) == {"faults": [{**rule, "matched": 0, "met": 0}]}
    assert api.call("DELETE", FAULTS).status_code == 204
    assert api.get(FAULTS) == {"faults": []}
    assert api.call("GET", BATCHES).status_code == 200


def test_the_emulators_own_calls_meet_no_fault_but_need_credentials(start: Start) -> None:
    api = start(token="a-token", faults=[{"status": 500}])  # noqa: S106
    headers = {"X-Auth-Token": "a-token"}
    assert api.call("GET", FAULTS).status_code == 401
    assert api.call("GET", FAULTS, headers=headers).json()["faults"] == [
        {"status": 500, "matched": 0, "met": 0}
    ]
    assert api.call("GET", BATCHES, headers=headers).status_code == 500


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"path": "x"},
        {"status": 99},
        {"status": "503"},
        {"status": 500, "when": "after"},
        {"status": 500, "path": "("},
        {"status": 500, "nth": 0},
        {"status": 500, "nth": []},
        {"status": 500, "headers": {"A": "b\r\nC: d"}},
        {"delay": -1},
        {"drop": 1},
        {"shift": 0.5},
    ],
)
def test_what_is_no_rule(api: Api, rule: dict[str, Any]) -> None:
    assert api.refusal("POST", FAULTS, json=rule) == (400, "refused")
    with pytest.raises(ParameterError, match="fault 2: "):
        Emulator(Path("unused"), faults=[{"drop": True}, rule])


def test_a_job_can_be_ended(api: Api, clock: Clock) -> None:
    batch = create(api).json()["id"]
    assert api.call("POST", f"/_emulator/jobs/{batch}/end", json={"state": "dead"}).status_code == 204
    flink = api.post(f"{FLINK}/flink-jobs", {"name": "clicks"})["job"]["job_id"]
    end = f"/_emulator/jobs/{flink}/end"
    assert api.call("POST", end, json={"state": "job_running_exception"}).status_code == 204
    mrs = api.post(MRS, {"job_type": "Flink", "job_name": "a"})["job_submit_result"]["job_id"]
    failed = {"state": "FINISHED", "result": "FAILED"}
    assert api.call("POST", f"/_emulator/jobs/{mrs}/end", json=failed).status_code == 204
    clock.now += 1000
    assert api.get(f"{BATCHES}/{batch}/state")["state"] == "dead"
    assert api.get(f"{FLINK}/jobs/{flink}")["job_detail"]["status"] == "job_running_exception"
    assert api.get(f"{MRS}/{mrs}")["job_detail"]["job_result"] == "FAILED"
    assert api.refusal("POST", "/_emulator/jobs/none/end", json={"state": "dead"}) == (404, "unknown")
    assert api.refusal("POST", end, json={}) == (400, "refused")


def test_a_rule_keeps_json_of_all_sorts(api: Api) -> None:
    body = [{"is_success": "false", "message": "日期"}]
    arm(api, status=200, body=body)
    assert json.loads(api.call("GET", BATCHES).content) == body


# --- entries with fewer or more fields --------------------------------------------------------------------


def test_an_entry_without_some_fields(api: Api) -> None:
    arm(api, path="/batches", omit=["name", "queue", "req_body"])
    created = create(api, "a").json()
    [listed] = api.get(BATCHES)["sessions"]
    shown = api.get(f"{BATCHES}/{created['id']}")
    for entry in (created, listed, shown):
        assert entry["id"] == created["id"]
        assert not {"name", "queue", "req_body"} & {*entry}


def test_an_entry_with_more_than_was_sent(api: Api) -> None:
    create(api, "a")
    arm(api, path="/batches", fill={"req_body": {"conf": {"spark.x": "y"}}, "owner": "somebody"})
    [entry] = api.get(BATCHES)["sessions"]
    assert entry["owner"] == "somebody"
    assert json.loads(entry["req_body"])["conf"] == {"spark.x": "y"}
    assert json.loads(entry["req_body"])["file"] == SMALL["file"]


def test_a_stream_with_more_than_was_sent(api: Api) -> None:
    number = api.post(f"{FLINK}/flink-jobs", {"name": "clicks"})["job"]["job_id"]
    arm(api, path="/streaming/jobs", fill={"job_config": {"checkpoint_interval": 30}, "has_savepoint": True})
    [entry] = api.get(f"{FLINK}/jobs", show_detail="true")["job_list"]["jobs"]
    shown = api.get(f"{FLINK}/jobs/{number}")["job_detail"]
    for job in (entry, shown):
        assert (job["job_config"]["checkpoint_interval"], job["job_config"]["cu_number"]) == (30, 2)
        assert job["has_savepoint"] is True


@pytest.mark.parametrize(
    ("fill", "arguments", "properties"),
    [
        ({"arguments": ["c"], "properties": {"k": "v"}}, "[a, b, c]", "{k=v}"),
        ({"arguments": "[x]"}, "[x]", "{}"),
    ],
)
def test_an_mrs_job_with_more_than_was_sent(
    api: Api, fill: dict[str, Any], arguments: str, properties: str
) -> None:
    api.post(MRS, {"job_type": "MapReduce", "job_name": "j", "arguments": ["a", "b"]})
    arm(api, path="/job-executions", fill=fill)
    [entry] = api.get(MRS)["job_list"]
    assert (entry["arguments"], entry["properties"]) == (arguments, properties)


def test_an_error_has_no_entries(api: Api) -> None:
    arm(api, path="/batches", omit=["error_code"])
    assert api.call("GET", f"{BATCHES}/none").json()["error_code"] == "DLI.0002"


@pytest.mark.parametrize("rule", [{"omit": []}, {"omit": "name"}, {"fill": []}])
def test_an_invalid_change_of_entries(api: Api, rule: dict[str, Any]) -> None:
    assert api.call("POST", FAULTS, json=rule).status_code == 400
