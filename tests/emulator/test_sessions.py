"""Spark sessions of the emulator."""

from typing import Any

import pytest

from .conftest import Api, Clock

SESSIONS = "/v2.0/p/sessions"
RECORDED = {
    "kind": "spark",
    "cluster_name": "test_cluster",
    "sc_type": "A",
    "jars": ["group.tesddws/gsjdbc4.jar"],
    "resources": [{"name": "group.tesddws/gsjdbc3.jar", "type": "jar"}],
    "groups": [{"name": "group.tesddws", "resources": [{"name": "gsjdbc2.jar", "type": "jar"}]}],
}
SMALL = {"kind": "spark", "queue": "q"}


def test_create(api: Api, clock: Clock) -> None:
    answer = api.post(SESSIONS, RECORDED)
    assert {**answer, "id": "", "log": []} == {
        "id": "",
        "appId": None,
        "name": None,
        "owner": None,
        "proxyUser": None,
        "state": "starting",
        "kind": "spark",
        "appInfo": {"driverLogUrl": None, "sparkUiUrl": None},
        "log": [],
        "sc_type": "A",
        "cluster_name": "test_cluster",
        "queue": "test_cluster",
        "create_time": clock.ms,
        "update_time": 0,
    }


def test_a_session_goes_idle_and_stays_so(api: Api, clock: Clock) -> None:
    session = api.post(
        SESSIONS, {**SMALL, "name": "shell", "numExecutors": 3, "heartbeatTimeoutInSecond": 60}
    )
    clock.now += 2
    state = f"{SESSIONS}/{session['id']}/state"
    assert api.get(state) == {"id": session["id"], "state": "idle"}
    clock.now += 10**6
    entry = api.get(f"{SESSIONS}/{session['id']}")
    assert (entry["state"], entry["name"], entry["sc_type"]) == ("idle", "shell", "CUSTOMIZED")
    assert entry["appId"]
    api.server.store.end(session["id"], "dead")
    assert api.get(state)["state"] == "dead"


def test_the_listing_says_nothing_of_the_request(api: Api) -> None:
    ids = [api.post(SESSIONS, {**SMALL, "queue": queue})["id"] for queue in ("q", "other", "q")]
    answer = api.get(SESSIONS, **{"from": 1, "size": 1})
    assert (answer["from"], answer["total"]) == (1, 3)
    (entry,) = answer["sessions"]
    assert entry["id"] == ids[1]
    assert not {"req_body", "appInfo", "conf"} & set(entry)
    for name in ("queue", "cluster_name"):
        assert [entry["id"] for entry in api.get(SESSIONS, **{name: "q"})["sessions"]] == [ids[2], ids[0]]


@pytest.mark.parametrize(
    "body",
    [
        {"queue": "q"},
        {"kind": "pyspark", "queue": "q"},
        {"kind": "spark"},
        {**SMALL, "cluster_name": "q"},
        {**SMALL, "heartbeatTimeoutInSecond": "60"},
        {**SMALL, "file": "a.jar"},
        {**SMALL, "name": 1},
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, body: Any) -> None:
    assert api.refusal("POST", SESSIONS, json=body) == (400, "DLI.0001")


def test_an_unknown_session(api: Api) -> None:
    assert api.refusal("GET", f"{SESSIONS}/none") == (400, "DLI.0002")


def test_batches_and_sessions_do_not_mix(api: Api) -> None:
    session = api.post(SESSIONS, SMALL)["id"]
    assert api.get("/v2.0/p/batches")["total"] == 0
    assert api.refusal("GET", f"/v2.0/p/batches/{session}") == (400, "DLI.0002")


def test_a_session_that_is_deleted_shuts_down(api: Api, clock: Clock) -> None:
    session = api.post(SESSIONS, SMALL)["id"]
    path = f"{SESSIONS}/{session}"
    clock.now += 10
    assert api.delete(path) == {"msg": "deleted"}
    assert api.delete(path) == {"msg": "deleted"}
    assert api.get(f"{path}/state")["state"] == "shutting_down"
    clock.now += 2
    assert api.get(f"{path}/state")["state"] == "success"
    assert api.delete(path) == {"msg": "deleted"}
    assert [entry["id"] for entry in api.get(SESSIONS)["sessions"]] == [session]
    assert api.refusal("DELETE", f"{SESSIONS}/none") == (400, "DLI.0002")


def test_log(api: Api, clock: Clock) -> None:
    session = api.post(SESSIONS, SMALL)["id"]
    clock.now += 4
    answer = api.get(f"{SESSIONS}/{session}/log", **{"from": 1, "size": 2})
    line = "INFO Emulated: still running"
    assert answer == {
        "id": session,
        "from": 1,
        "total": 5,
        "log": [f"2024-07-03 09:46:42 {line}", f"2024-07-03 09:46:43 {line}"],
    }
