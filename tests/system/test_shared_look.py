"""One look at a listing for many creates: what it saves, and what must not be lost by it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from deployer.apply.shared_look import FIRST_ONES, LEAST_JOBS, ONE_IN
from deployer.emulator import Emulator
from testing.faults import Answer, Call, FaultProxy, changed, fill, listed, says
from testing.workspace import SPECS, Clock, Workspace, manifest

JOBS = 2 * ONE_IN
PATHS = {
    "SparkBatch": "/batches",
    "SparkSession": "/sessions",
    "FlinkJar": "/streaming/(flink-)?jobs",
    "MrsJob": "/job-executions",
}
IDS = {"SparkBatch": "id", "SparkSession": "id", "FlinkJar": "job_id", "MrsJob": "job_id"}
NAMES = {"SparkBatch": "name", "SparkSession": "name", "FlinkJar": "name", "MrsJob": "job_name"}


@pytest.fixture(params=list(SPECS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(workspace: Workspace, kind: str, number: int = JOBS, **more: Any) -> None:
    jobs = [manifest(kind, f"job-{n:03}", SPECS[kind], **more) for n in range(number)]
    workspace.write("jobs.yaml", jobs)


def sent(call: Call, body: Any) -> Answer:
    """The answer to another body."""
    headers = {name: value for name, value in call.headers.items() if name.lower() != "content-length"}
    return replace(call, headers=headers, body=json.dumps(body).encode()).forward()


def reads(proxy: FaultProxy) -> list[str]:
    return [call.path for call in proxy.calls if call.method == "GET"]


def test_many_creates_need_few_other_requests(workspace: Workspace, proxy: FaultProxy, kind: str) -> None:
    write(workspace, kind)
    ran = workspace.apply("--parallelism", "4")
    assert ran.code == 0, ran.out[-900:]
    assert len(listed(proxy.url, kind)) == JOBS
    assert workspace.plan()["summary"]["unchanged"] == JOBS
    proxy.calls.clear()
    workspace.write("more.yaml", [manifest(kind, f"more-{n:03}", SPECS[kind]) for n in range(JOBS)])
    assert workspace.apply().code == 0
    looks = [path for path in reads(proxy) if "tags" not in path]
    # The plan, the look before, the jobs that are looked up by themselves, and the look afterwards, of two pages each.
    assert len(looks) <= JOBS // ONE_IN + len(FIRST_ONES) + 3 * 3 + (2 * JOBS if kind == "FlinkJar" else 0), (
        looks
    )


def test_few_creates_are_looked_up_one_by_one(workspace: Workspace, proxy: FaultProxy, kind: str) -> None:
    write(workspace, kind, LEAST_JOBS - 1)
    assert workspace.apply().code == 0
    assert len(reads(proxy)) > 2 * (LEAST_JOBS - 1)


def test_a_job_that_somebody_creates_before_the_look_is_refused(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str
) -> None:
    """From then on each of the others is looked up by itself, just before its create."""
    write(workspace, kind)

    def somebody_first(call: Call) -> Answer:
        fill(emulator.url, kind, ["job-010"])
        return call.forward()

    proxy.rule("GET", rf"{PATHS[kind]}\?", somebody_first, nth=2)
    ran = workspace.apply("--parallelism", "1")
    assert ran.code == 5, ran.out[-900:]
    assert re.search(rf"refused +create {kind} job-010\b.*was created since the plan", ran.out), ran.out[
        -900:
    ]
    assert len(listed(emulator.url, kind)) == JOBS
    assert len(reads(proxy)) > JOBS - 10


@pytest.mark.parametrize("kind", ["SparkBatch", "MrsJob"])
@pytest.mark.parametrize("begin", [0, 20])
def test_another_runner_is_noticed_by_a_job_that_is_looked_up_by_itself(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str, begin: int
) -> None:
    """It begins with this job after the look, and is then a few jobs ahead. Flink jobs have unique names."""
    write(workspace, kind)
    names = [f"job-{n:03}" for n in range(JOBS)]

    def other_runner(call: Call) -> Answer:
        at = names.index(call.json[NAMES[kind]])
        there = {job[NAMES[kind]] for job in listed(emulator.url, kind)}
        ahead = names[at + 1 : at + 4] if at >= begin else []
        fill(emulator.url, kind, [name for name in ahead if name not in there])
        return call.forward()

    proxy.rule("POST", PATHS[kind], other_runner)
    ran = workspace.apply("--parallelism", "1")
    held = Counter(job[NAMES[kind]] for job in listed(emulator.url, kind))
    twice = {name for name, count in held.items() if count > 1}
    assert len(twice) <= (2 if begin == 0 else ONE_IN)
    assert ran.code == (7 if twice else 5), ran.out[-900:]
    assert twice == set(re.findall(rf"unknown +create {kind} (\S+).*created at the same time", ran.out))


def test_a_job_that_waits_for_another_is_looked_up_when_it_may_start(
    workspace: Workspace, proxy: FaultProxy, clock: Clock
) -> None:
    workspace.write("root.yaml", manifest("SparkBatch", "root", SPECS["SparkBatch"]))
    assert workspace.apply().code == 0
    clock.forward(15)
    waits = [{"name": "root", "until": "running"}]
    write(workspace, "SparkBatch", LEAST_JOBS, dependsOn=waits)
    ran = workspace.apply()
    assert ran.code == 0, ran.out[-900:]
    assert proxy.count("GET", "job_name=job-") == LEAST_JOBS


def test_a_look_that_fails_is_not_tried_again_for_each_job(workspace: Workspace, proxy: FaultProxy) -> None:
    write(workspace, "SparkBatch")
    proxy.rule("GET", r"/batches\?(?!.*job_name)", says(403, {"error_code": "x", "error_msg": "no"}), nth=2)
    ran = workspace.apply("--parallelism", "1")
    assert ran.code == 8, ran.out[-900:]
    assert f"Apply incomplete: {JOBS - 1} applied, 1 failed." in ran.out
    assert proxy.count("GET", "job_name=job-") == JOBS - 1


@pytest.mark.parametrize("kind", ["SparkBatch", "FlinkJar", "MrsJob"])
def test_a_job_that_differs_from_its_request_is_found_in_the_listing(
    workspace: Workspace, proxy: FaultProxy, kind: str
) -> None:
    write(workspace, kind)
    field = {"SparkBatch": "file", "FlinkJar": "entrypoint", "MrsJob": "arguments"}[kind]

    def other_value(call: Call) -> Answer:
        body = call.json
        if body.get(NAMES[kind]) == "job-007":
            body[field] = ["other"] if kind == "MrsJob" else "obs://b/other.jar"
        return sent(call, body)

    proxy.rule("POST", PATHS[kind], other_value)
    ran = workspace.apply()
    assert ran.code == 8, ran.out[-900:]
    assert ran.out.count("but the deployed spec differs from the request") == 1, ran.out[-900:]
    assert re.search(rf"differs +create {kind} job-007", ran.out), ran.out


def test_the_id_of_another_job_is_no_success(workspace: Workspace, proxy: FaultProxy, kind: str) -> None:
    """The service returns the id of the first job again for another one."""
    write(workspace, kind)
    key = IDS[kind]
    first: list[Any] = []

    def same_id(body: Any) -> None:
        held = body["job"] if kind == "FlinkJar" else body.get("job_submit_result", body)
        first.append(held[key])
        if len(first) == 9:
            held[key] = first[0]

    proxy.rule("POST", PATHS[kind] + "(?!.*run)", changed(same_id))
    ran = workspace.apply("--parallelism", "1")
    assert ran.code == 0, ran.out[-900:]
    assert "job-008" in ran.out.split("response lost; found in the job list")[0].splitlines()[-1]
    assert workspace.plan()["summary"]["unchanged"] == JOBS


def test_streams_get_the_tags_that_their_create_could_not_know(
    workspace: Workspace, proxy: FaultProxy, clock: Clock
) -> None:
    write(workspace, "FlinkJar")
    assert workspace.apply().code == 0
    assert proxy.count("POST", "/tags/create") == JOBS
    clock.forward(60)
    spec = {**SPECS["FlinkJar"], "entrypoint": "obs://b/other.jar"}
    workspace.write("jobs.yaml", [manifest("FlinkJar", "job-003", spec)])
    (change,) = workspace.plan()["changes"]
    # Without the hash of the definition in its tag, the cause would be unknown.
    assert change["cause"] == "manifest"


def test_what_others_depend_on_is_read_back_before_they_are_created(
    workspace: Workspace, proxy: FaultProxy
) -> None:
    write(workspace, "SparkBatch")
    workspace.write("after.yaml", manifest("SparkBatch", "after", SPECS["SparkBatch"], dependsOn=["job-007"]))

    def other_class(call: Call) -> Answer:
        body = call.json
        body["className"] = "com.example.Other" if body["name"] == "job-007" else body["className"]
        return sent(call, body)

    proxy.rule("POST", "/batches", other_class)
    ran = workspace.apply()
    assert ran.code == 8, ran.out[-900:]
    assert "skipped" in ran.out
    assert not [call for call in proxy.calls if call.method == "POST" and call.json["name"] == "after"]
