"""Flink Jar jobs through the real command: updated in place, restarted, stopped, started and deleted."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator
from testing.faults import ERROR, Answer, Call, FaultProxy, listed, proxied, says
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest

RUN, STOP = "/jobs/run", "/jobs/stop"


@pytest.fixture
def running(workspace: Workspace, clock: Clock) -> Workspace:
    """A stream that runs, with a clock that goes on."""
    write(workspace, tags=[{"key": "team", "value": "x"}])
    assert workspace.apply().code == 0
    clock.forward(10)
    clock.tick = 0.5
    return workspace


def write(workspace: Workspace, lifecycle: dict[str, Any] | None = None, **spec: Any) -> None:
    tags = {"tags": [{"key": "team", "value": "x"}]}
    body = {**SPECS["FlinkJar"], **tags, **spec}
    workspace.write("one.yaml", manifest("FlinkJar", "alpha", body, lifecycle=lifecycle or {}))


def call(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    """What somebody else does."""
    url = f"{emulator.url}{path}"
    answer = requests.request(method, url, json=body, headers={"X-Auth-Token": TOKEN}, timeout=10)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def live(emulator: Emulator) -> dict[str, Any]:
    [job] = listed(emulator.url, "FlinkJar")
    detail: dict[str, Any] = call(emulator, "GET", f"/v1.0/pid/streaming/jobs/{job['job_id']}")["job_detail"]
    return {**job, **detail}


def tags(emulator: Emulator) -> dict[str, str]:
    found = call(emulator, "GET", f"/v3/pid/dli_flink_job/{live(emulator)['job_id']}/tags")["tags"]
    return {tag["key"]: tag["value"] for tag in found}


def writes(proxy: FaultProxy) -> list[tuple[str, str]]:
    return [
        (request.method, request.path.rpartition("pid")[2])
        for request in proxy.calls
        if request.method != "GET"
    ]


@pytest.fixture
def proxy(running: Workspace, emulator: Emulator) -> Any:
    with proxied(running, emulator.url) as server:
        yield server


def is_done(workspace: Workspace) -> bool:
    return "no changes" in workspace.run("plan").out


def test_what_can_change_while_it_runs(running: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    """Only the changed keys are sent: the same bucket again would be an error."""
    new = [{"key": "team", "value": "y"}, {"key": "cost", "value": "1"}]
    write(running, smn_topic="alarms", restart_when_exception=True, tags=new)
    planned = running.plan()["changes"]
    assert [(change["action"], change["impact"]) for change in planned] == [("update", "in-place")]
    proxy.clear()
    assert running.apply().code == 0
    number = live(emulator)["job_id"]
    assert writes(proxy) == [
        ("PUT", f"/streaming/flink-jobs/{number}"),
        ("POST", f"/dli_flink_job/{number}/tags/create"),
        ("POST", f"/dli_flink_job/{number}/tags/create"),  # the fingerprint
    ]
    [put] = [request for request in proxy.calls if request.method == "PUT"]
    assert put.body == b'{"smn_topic": "alarms", "restart_when_exception": true}'
    fingerprint = tags(emulator)["deployer-fingerprint"]
    owned = {"deployer": "tests", "deployer-fingerprint": fingerprint}
    assert tags(emulator) == {"team": "y", "cost": "1", **owned}
    assert live(emulator)["status"] == "job_running"
    assert is_done(running)


def test_tags_that_are_gone(running: Workspace, emulator: Emulator) -> None:
    write(running, tags=[])
    assert [field["path"] for field in running.plan()["changes"][0]["fields"]] == ["/tags/0"]
    assert running.apply().code == 0
    assert [*tags(emulator)] == ["deployer", "deployer-fingerprint"]
    assert is_done(running)


def test_a_field_that_is_gone_is_left_alone(workspace: Workspace, clock: Clock, emulator: Emulator) -> None:
    """Without a fingerprint it cannot be told from one that the service filled in: it is no reason to restart."""
    workspace.project["marks"] = False
    workspace.write_project()
    write(workspace, smn_topic="alarms", parallel_number=3)
    assert workspace.apply().code == 0
    clock.forward(10)
    clock.tick = 0.5
    write(workspace)
    planned = workspace.plan()
    assert planned["changes"] == []
    [warning] = planned["warnings"]
    assert "has settings that the manifest does not have: parallel_number, smn_topic; " in warning["message"]
    assert workspace.apply().code == 0
    config = live(emulator)["job_config"]
    assert (config["smn_topic"], config["parallel_number"]) == ("alarms", 3)

    write(workspace, desc="new")
    assert [field["path"] for field in workspace.plan()["changes"][0]["fields"]] == ["/desc"]
    write(workspace, {"state": "stopped"}, desc="new")
    assert workspace.apply().code == 0
    config = live(emulator)["job_config"]
    assert (live(emulator)["desc"], config["smn_topic"], config["parallel_number"]) == ("new", "alarms", 3)
    assert is_done(workspace)


def filled_in(emulator: Emulator, **fill: Any) -> None:
    emulator.faults.add({"method": "GET", "path": "/streaming/jobs", "fill": fill})


@pytest.mark.parametrize(
    ("more", "action"),
    [({}, None), ({"restart_when_exception": True}, "update"), ({"parallel_number": 2}, "restart")],
)
def test_what_the_service_filled_in_never_restarts_a_stream(
    running: Workspace, proxy: FaultProxy, emulator: Emulator, more: dict[str, Any], action: str | None
) -> None:
    """The change of another field stays what it is, and does not send what the service filled in."""
    filled_in(emulator, job_config={"checkpoint_interval": 30, "tm_cus": 4, "smn_topic": "theirs"})
    if more:
        write(running, **more)
    planned = running.plan()
    assert [change["action"] for change in planned["changes"]] == ([action] if action else [])
    assert ["smn_topic, tm_cus;" in warning["message"] for warning in planned["warnings"]] == [True]
    applied = running.apply()
    assert applied.code == 0, applied.out
    [*sent] = [request.body for request in proxy.calls if request.method == "PUT"]
    assert [{*json.loads(body)} - {"job_type"} for body in sent] == ([{*more}] if more else [])
    assert is_done(running)


def test_a_restart_keeps_the_state(running: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    write(running, parallel_number=2)
    planned = running.plan()["changes"]
    assert [(change["action"], change["impact"]) for change in planned] == [("restart", "restart")]
    proxy.clear()
    assert running.apply().code == 0
    sent = {path: request.body for request in proxy.calls for path in (RUN, STOP) if path in request.path}
    assert b'"trigger_savepoint": true' in sent[STOP]
    assert b'"resume_savepoint": true' in sent[RUN]
    # The second but last is the fingerprint.
    assert [method for method, _ in writes(proxy)] == ["POST", "PUT", "POST", "POST"]
    assert (live(emulator)["status"], live(emulator)["job_config"]["parallel_number"]) == ("job_running", 2)
    assert is_done(running)


def test_a_restart_without_its_state_is_said(running: Workspace, proxy: FaultProxy) -> None:
    write(running, {"savepoint": False}, parallel_number=2)
    assert running.plan()["changes"][0]["impact"] == "state-lost"
    running.write_project(limits={"stateLoss": 0})
    refused = running.apply()
    assert refused.code == 5
    assert "limits.stateLoss is 0, but the plan has 1 losing state" in refused.err
    assert writes(proxy) == []
    assert running.apply("--limit", "stateLoss=1").code == 0
    assert [
        b'"resume_savepoint": false' in request.body for request in proxy.calls if RUN in request.path
    ] == [True]
    assert is_done(running)


def test_a_stop_without_a_savepoint_ends_the_restart(
    running: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    """It stays stopped, and is not started without its state, by this apply or the next."""

    def loses(request: Call) -> Any:
        call(emulator, "POST", "/v1.0/pid/streaming/jobs/stop", {"job_ids": [live(emulator)["job_id"]]})
        return says(200, [{"is_success": "true", "message": "ok"}])(request)

    proxy.rule("POST", STOP, loses)
    write(running, parallel_number=2)
    applied = running.apply()
    assert applied.code == 8
    assert "stopped, but no savepoint was created" in applied.out
    assert (live(emulator)["status"], proxy.count("PUT"), proxy.count("POST", RUN)) == (
        "job_cancel_success",
        0,
        0,
    )
    proxy.clear()
    again = running.apply()
    assert (again.code, writes(proxy)) == (5, [])
    assert "no savepoint exists, so starting it would lose the job state" in again.out
    write(running, {"savepoint": False}, parallel_number=2)
    assert running.apply().code == 0
    assert is_done(running)


def test_an_older_savepoint_is_not_the_state_of_the_run(
    running: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    """Somebody has made one by hand; a stop that leaves none must not bring that one back."""
    number = live(emulator)["job_id"]
    made = {"action": "TRIGGER", "savepoint_path": "bucket/by-hand"}
    call(emulator, "POST", f"/v1.0/pid/streaming/jobs/{number}/savepoint", made)

    def loses(_: Call) -> Any:
        call(emulator, "POST", "/v1.0/pid/streaming/jobs/stop", {"job_ids": [number]})
        return Answer(200, b'[{"is_success": "true", "message": "ok"}]')

    for _ in range(20):
        if live(emulator)["status"] == "job_running":
            break
    proxy.rule("POST", STOP, loses)
    write(running, parallel_number=2)
    assert "no savepoint was created" in running.apply().out
    assert live(emulator)["savepoint_path"].startswith("bucket/by-hand")
    proxy.clear()
    again = running.apply()
    assert (again.code, writes(proxy)) == (5, [])
    assert "no savepoint exists, so starting it would lose the job state" in again.out
    write(running, {"savepoint": False}, parallel_number=2)
    assert running.plan()["changes"][0]["impact"] == "state-lost"
    assert running.apply().code == 0
    assert [
        b'"resume_savepoint": false' in request.body for request in proxy.calls if RUN in request.path
    ] == [True]
    assert is_done(running)


@pytest.mark.parametrize("step", [STOP, "/flink-jobs/", RUN])
def test_a_restart_that_fails_in_the_middle_is_continued(
    running: Workspace, proxy: FaultProxy, emulator: Emulator, step: str
) -> None:
    proxy.rule("PUT" if "flink" in step else "POST", step, says(400, ERROR), nth=1)
    write(running, parallel_number=2)
    assert running.apply().code == (1 if step == STOP else 8)
    assert running.apply().code == 0
    resumed = [request.body for request in proxy.calls if RUN in request.path]
    assert all(b'"resume_savepoint": true' in body for body in resumed)
    assert (live(emulator)["status"], live(emulator)["job_config"]["parallel_number"]) == ("job_running", 2)
    assert is_done(running)


def test_stopped_and_started_again(running: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    write(running, {"state": "stopped"})
    assert running.apply().code == 0
    assert (live(emulator)["status"], live(emulator)["has_savepoint"]) == ("job_cancel_success", True)
    assert is_done(running)
    write(running)
    assert running.apply().code == 0
    assert [
        b'"resume_savepoint": true' in request.body for request in proxy.calls if RUN in request.path
    ] == [True]
    assert is_done(running)


def test_deleted_after_a_stop_with_a_savepoint(
    running: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    write(running, {"state": "absent"})
    running.write_project(limits={"delete": 0})
    assert running.apply().code == 5
    assert running.apply("--limit", "delete=1").code == 0
    assert [path.rpartition("/")[2] for _, path in writes(proxy)][:1] == ["stop"]
    assert [method for method, _ in writes(proxy)] == ["POST", "DELETE"]
    assert listed(emulator.url, "FlinkJar") == []
    assert is_done(running)


@pytest.mark.parametrize("state", ["job_arrearage_stopped", "job_idle"])
def test_what_does_not_run_need_not_be_stopped_to_be_deleted(
    running: Workspace, proxy: FaultProxy, emulator: Emulator, state: str
) -> None:
    emulator.store.end(live(emulator)["job_id"], state, "")
    write(running, {"state": "absent"})
    proxy.rule("POST", STOP, says(403, ERROR), nth=1)
    assert running.apply().code == 1
    assert len(listed(emulator.url, "FlinkJar")) == 1
    applied = running.apply()
    assert (applied.code, "not running, deleted" in applied.out) == (0, True)
    assert listed(emulator.url, "FlinkJar") == []


def test_protected_streams_go_on(running: Workspace, proxy: FaultProxy) -> None:
    for lifecycle, spec in (
        ({"state": "absent"}, {}),
        ({"state": "stopped"}, {}),
        ({}, {"parallel_number": 2}),
    ):
        write(running, {**lifecycle, "protect": True}, **spec)
        refused = running.apply()
        assert refused.code == 5
        assert " prevented by lifecycle.protect: " in refused.out
    assert writes(proxy) == []


def test_what_was_changed_since_the_plan_is_not_touched(
    running: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    def changes(request: Call) -> Any:
        path = f"/v1.0/pid/streaming/flink-jobs/{live(emulator)['job_id']}"
        call(emulator, "PUT", path, {"smn_topic": "theirs"})
        return request.forward()

    write(running, parallel_number=2)
    proxy.rule("GET", "name=alpha", changes)
    applied = running.apply()
    assert applied.code == 5
    assert "was modified since the plan was created (smn_topic); run plan again" in applied.out
    assert writes(proxy) == []


# --- savepoints of earlier runs ---------------------------------------------------------------------------

OLD = {"savepoint_path": "obs://b/last-month", "has_savepoint": True}


def in_a_fresh_checkout(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder / ".deployer")


def test_a_fresh_checkout_does_not_start_from_an_older_savepoint(
    running: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    """A stop has left no savepoint, and the job still shows the one of last month."""
    filled_in(emulator, **OLD)
    write(running, parallel_number=2)
    applied = running.apply()
    assert (applied.code, "stopped, but no savepoint was created" in applied.out) == (8, True)
    # What is known is recorded before the stop: this process may have been killed after it.
    assert [path.rpartition("/")[2] for _, path in writes(proxy)] == ["create", "stop"]
    in_a_fresh_checkout(running)
    proxy.clear()
    again = running.apply()
    assert (again.code, writes(proxy)) == (5, [])
    assert "no savepoint exists, so starting it would lose the job state" in again.out
    assert "savepoint obs://b/last-month is older than the end of the last run and is not used" in again.err
    hidden = running.run("plan", "--hide-live")
    assert "its savepoint is older than the end of the last run and is not used" in hidden.err
    assert "obs://" not in hidden.err
    other = Workspace(
        running.folder.with_name("theirs"),
        running.capture,
        running.url,
        project={"metadata": {"name": "theirs"}},
    )
    write(other, parallel_number=2)
    assert "obs://" not in other.run("plan").err
    emulator.faults.clear()
    filled_in(emulator, savepoint_path="obs://b/made-by-hand", has_savepoint=True)
    assert running.plan()["changes"][0]["impact"] == "in-place"


def test_a_savepoint_that_was_used_is_not_used_again(
    running: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    """The service keeps it, and the run that was started from it fails."""
    write(running, {"state": "stopped"})
    assert running.apply().code == 0
    filled_in(emulator, **OLD)
    write(running, {"onFailure": "resubmit"})
    assert running.apply().code == 0
    assert [
        b'"resume_savepoint": true' in request.body for request in proxy.calls if RUN in request.path
    ] == [True]
    emulator.store.end(live(emulator)["job_id"], "job_running_exception", "")
    in_a_fresh_checkout(running)
    again = running.apply()
    assert again.code == 5
    assert "no savepoint exists, so starting it would lose the job state" in again.out
    assert tags(emulator).keys() - {"team", "deployer-fingerprint"} == {"deployer", "deployer-savepoint"}


def test_the_tag_of_a_savepoint_is_no_drift(running: Workspace, emulator: Emulator) -> None:
    path = f"/v3/pid/dli_flink_job/{live(emulator)['job_id']}/tags/create"
    call(emulator, "POST", path, {"tags": [{"key": "deployer-savepoint", "value": "0"}]})
    assert is_done(running)
    write(running, tags=[{"key": "deployer-savepoint", "value": "0"}])
    assert "'deployer-savepoint' is reserved for ownership metadata" in running.run("validate").err


def test_a_savepoint_that_cannot_be_recorded_is_told(
    running: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    filled_in(emulator, **OLD)
    proxy.rule("POST", "/tags/create", says(400, ERROR))
    write(running, parallel_number=2)
    applied = running.apply()
    assert applied.code == 8
    assert "cannot record that its savepoint is an old one" in applied.err
