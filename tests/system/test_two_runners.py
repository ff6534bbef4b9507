"""Two runners that share nothing but the service: fresh checkouts, whose listings lag behind."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import Answer, Call, FaultProxy, fill, listed, proxied
from testing.workspace import SPECS, Clock, Workspace, manifest

LISTING = "/(batches|sessions|streaming/jobs|job-executions)[?]"
RUN_ONCE = ["SparkBatch", "SparkSession", "MrsJob"]


@pytest.fixture(params=list(SPECS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def second(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Another checkout of the same project."""
    return Workspace(tmp_path / "second", workspace.capture, workspace.url)


def alpha(kind: str, **spec: Any) -> dict[str, Any]:
    return manifest(kind, "alpha", {**SPECS[kind], **spec})


def write(*workspaces: Workspace, kind: str, delay: str) -> None:
    for workspace in workspaces:
        workspace.write_project(polling={"interval": "0s", "consistencyDelay": delay})
        workspace.write("a.yaml", alpha(kind))


def test_a_job_that_is_listed_late_is_not_created_again(
    workspace: Workspace, second: Workspace, emulator: Emulator, kind: str
) -> None:
    """The apply that creates it does not end before it is listed."""
    late_looks = ["first", "second"]

    def lagging(call: Call) -> Answer:
        if proxy.count("POST") and late_looks:
            late_looks.pop()
            emulator.faults.add({"method": "GET", "path": LISTING, "stale": 3600})
        answer = call.forward()
        emulator.faults.clear()
        return answer

    with proxied(workspace, emulator.url) as proxy:
        write(workspace, second, kind=kind, delay="1s")
        proxy.rule("GET", LISTING, lagging)
        first = workspace.apply()
    assert (first.code, late_looks) == (0, []), first
    assert "waiting until 1 created job is listed" in first.err
    assert first.out.endswith("Apply complete: 1 applied.\n")
    again = second.apply()
    assert (again.code, "no changes" in again.out) == (0, True), again
    assert len(listed(emulator.url, kind)) == 1


def test_a_job_that_is_not_listed_in_time_is_no_success(
    workspace: Workspace, emulator: Emulator, kind: str
) -> None:
    write(workspace, kind=kind, delay="1s")
    emulator.faults.add({"method": "GET", "path": LISTING, "stale": 3600})
    ran = workspace.apply()
    emulator.faults.clear()
    (job,) = listed(emulator.url, kind)
    identifier = job["job_id" if kind in {"FlinkJar", "MrsJob"} else "id"]
    assert ran.code == 8, ran
    assert f"timed out create {kind} alpha" in ran.out
    assert f"(id {identifier})" in ran.out
    assert (
        "but the job list does not show it after 1 s; an apply before it is listed would create it again"
        in (ran.out)
    )


@pytest.mark.parametrize("kind", RUN_ONCE)
def test_a_run_that_was_created_at_the_same_time_is_no_success(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str
) -> None:
    """It was submitted between the last look before the create and the create itself."""

    def both(call: Call) -> Answer:
        fill(emulator.url, kind, ["alpha"])
        return call.forward()

    workspace.write("a.yaml", alpha(kind))
    proxy.rule("POST", "", both)
    ran = workspace.apply()
    assert ran.code == 7, ran
    ids = [str(job["job_id" if kind == "MrsJob" else "id"]) for job in listed(emulator.url, kind)]
    assert len(ids) == 2
    (line,) = [line for line in ran.out.splitlines() if "created at the same time" in line]
    assert "done " not in ran.out
    assert line.startswith(f"unknown  create {kind} alpha")
    assert all(identifier in line for identifier in ids)
    assert ran.out.endswith("Apply incomplete: 0 applied, 1 outcome unknown.\n"), ran.out


@pytest.mark.parametrize(
    ("conf", "code"),
    [
        ({"spark.deployer.fingerprint": ""}, 7),
        ({"spark.deployer.project": "other"}, 7),
        ({"spark.deployer.project": "tests"}, 0),
    ],
    ids=["unmarked", "another project's", "ours"],
)
def test_a_twin_of_somebody_else_is_not_taken_for_the_created_job(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, conf: dict[str, str], code: int
) -> None:
    """The create never arrived, and the same job was submitted elsewhere at the same time."""

    def twin(call: Call) -> None:
        body = json.dumps({**call.json, "conf": {**call.json["conf"], "spark.deployer.project": "", **conf}})
        headers = {**call.headers, "Content-Length": str(len(body))}
        replace(call, body=body.encode(), headers=headers).forward()

    workspace.write("a.yaml", alpha("SparkBatch"))
    proxy.rule("POST", "", twin)
    ran = workspace.apply()
    assert ran.code == code, ran
    [job] = listed(emulator.url, "SparkBatch")
    assert ("possible matches: " + job["id"] in ran.out) is (code == 7)


def test_jobs_of_the_same_name_that_were_known_before_are_none(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    fill(emulator.url, "SparkBatch", ["alpha", "alpha"])
    clock.forward(3600)
    workspace.write("a.yaml", alpha("SparkBatch", className="com.example.Other"))
    assert workspace.apply().code == 0


def test_the_job_list_is_looked_at_twice_before_the_first_create(
    workspace: Workspace, emulator: Emulator, kind: str
) -> None:
    """Another runner created the job just before: the first look does not show it."""
    fill(emulator.url, kind, ["alpha"])
    lag_ends: list[float] = []

    def lagging(call: Call) -> Answer:
        lag_ends.append(time.monotonic() + 0.9)
        if time.monotonic() < lag_ends[0]:
            emulator.faults.add({"method": "GET", "path": LISTING, "stale": 3600})
        answer = call.forward()
        emulator.faults.clear()
        return answer

    with proxied(workspace, emulator.url) as proxy:
        write(workspace, kind=kind, delay="1s")
        proxy.rule("GET", LISTING, lagging)
        ran = workspace.apply()
        assert (ran.code, proxy.count("POST")) == (5, 0), ran
    assert "before jobs are created: another run may have created them" in ran.err
    assert "was created since the plan; run plan again" in ran.out


def test_what_creates_no_job_does_not_wait(workspace: Workspace, emulator: Emulator) -> None:
    workspace.write("a.yaml", alpha("FlinkJar"))
    assert workspace.apply().code == 0
    write(workspace, kind="FlinkJar", delay="10m")
    workspace.write("a.yaml", alpha("FlinkJar", parallel_number=4))
    ran = workspace.apply()
    assert (ran.code, "waiting" in ran.err.replace("waiting for job", "")) == (0, False), ran
