"""Listings that lag behind requests, and error responses to requests that were executed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import Answer, Call, Fault, FaultProxy, changed, fill, listed, proxied, says
from testing.workspace import SPECS, Clock, Workspace, manifest

BROKEN = {"error_code": "DLI.0999", "error_msg": "Service unavailable."}
ONE = "/jobs/1$"
LAGGING = {"interval": "0s", "consistencyDelay": "1s"}


@pytest.fixture
def proxy(workspace: Workspace, emulator: Emulator, clock: Clock) -> Iterator[FaultProxy]:
    clock.tick = 0.5
    with proxied(workspace, emulator.url, polling=LAGGING) as running:
        yield running


@pytest.fixture
def running(workspace: Workspace, proxy: FaultProxy, clock: Clock) -> Workspace:
    """A stream that runs."""
    stream(workspace)
    workspace.write_project()  # without a delay, so that the create need not wait for it
    assert workspace.apply().code == 0
    workspace.write_project(polling=LAGGING)
    clock.forward(10)
    proxy.clear()
    return workspace


def stream(workspace: Workspace, lifecycle: dict[str, Any] | None = None, **spec: Any) -> None:
    body = {**SPECS["FlinkJar"], **spec}
    workspace.write("a.yaml", manifest("FlinkJar", "alpha", body, lifecycle=lifecycle or {}))


def batch(workspace: Workspace, lifecycle: dict[str, Any] | None = None, **spec: Any) -> None:
    body = {**SPECS["SparkBatch"], **spec}
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", body, lifecycle=lifecycle or {}))


def then_twice(proxy: FaultProxy, path: str, shown: Fault) -> Fault:
    """The call is carried out; the next two looks at `path` meet `shown`."""

    def fault(call: Call) -> Answer:
        left = [shown, shown]
        proxy.rule("GET", path, lambda request: (left.pop() if left else Call.forward)(request))
        return call.forward()

    return fault


@pytest.mark.parametrize(("step", "state"), [("stop", "job_running"), ("run", "job_cancel_success")])
def test_a_restart_that_is_shown_late(
    running: Workspace, proxy: FaultProxy, emulator: Emulator, step: str, state: str
) -> None:
    def as_before(answer: Any) -> None:
        answer["job_detail"]["status"] = state

    stream(running, parallel_number=2)
    proxy.rule("POST", f"/jobs/{step}$", then_twice(proxy, ONE, changed(as_before)))
    applied = running.apply()
    assert applied.code == 0, applied
    assert "updated parallel_number, started from its savepoint" in applied.out
    assert listed(emulator.url, "FlinkJar")[0]["status"] == "job_running"


@pytest.mark.parametrize(("method", "step"), [("POST", "stop"), ("PUT", "flink-jobs/1"), ("POST", "run")])
def test_a_step_of_a_restart_that_is_done_although_the_service_says_no(
    running: Workspace, proxy: FaultProxy, method: str, step: str
) -> None:
    stream(running, parallel_number=2)
    proxy.rule(method, f"/{step}$", says(500, BROKEN, after=True))
    applied = running.apply()
    assert applied.code == 0, applied
    assert proxy.count(method, step) == 1
    proxy.clear()
    assert "no changes" in running.run("plan").out


def test_a_delete_that_is_done_although_the_service_says_no(running: Workspace, proxy: FaultProxy) -> None:
    stream(running, {"state": "absent"})
    proxy.rule("DELETE", "", says(500, BROKEN, after=True))
    applied = running.apply()
    assert applied.code == 0, applied
    assert "deleted (confirmed by reading the job, although the service reported: " in applied.out


@pytest.mark.parametrize("kind", ["SparkBatch", "FlinkJar"])
def test_a_job_that_is_not_shown_yet_is_not_gone(workspace: Workspace, proxy: FaultProxy, kind: str) -> None:
    """Neither for who waits for it, nor for what depends on it."""
    missing = says(400, {"error_code": "DLI.0002", "error_msg": "No such object"})
    first = manifest(kind, "alpha", SPECS[kind])
    after = {"kind": kind, "name": "alpha", "until": "running"}
    second = manifest("MrsJob", "beta", SPECS["MrsJob"], dependsOn=[after])
    workspace.write("a.yaml", [first, second])
    path = "(jobs|batches)/[0-9a-f-]+$"
    proxy.rule("POST", "(batches|jobs/run)$", then_twice(proxy, path, missing))
    applied = workspace.apply("--wait")
    assert applied.code == 0, applied
    assert applied.out.endswith("Apply complete: 2 applied.\n")


def test_what_appears_while_a_replaced_run_ends_is_not_submitted_beside(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    batch(workspace)
    assert workspace.apply().code == 0
    clock.forward(10)
    batch(workspace, {"onChange": "replace"}, className="com.B")

    def meanwhile(call: Call) -> Answer:
        answer = call.forward()
        fill(emulator.url, "SparkBatch", ["alpha"])
        return answer

    proxy.rule("DELETE", "", meanwhile)
    sent = proxy.count("POST")
    applied = workspace.apply()
    assert (applied.code, proxy.count("POST")) == (5, sent), applied
    assert "was created since the plan; run plan again" in applied.out
