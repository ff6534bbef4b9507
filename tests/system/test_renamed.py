"""Jobs that were renamed or moved, with `metadata.renamedFrom`: none runs again, and no second stream is started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator
from testing.faults import Call, FaultProxy, fill, hangs_up, listed, proxied, says
from testing.processes import Commands, commands
from testing.workspace import SPECS, TOKEN, Clock, Workspace, findings, manifest

BATCH, STREAM = SPECS["SparkBatch"], SPECS["FlinkJar"]
RUN_ONCE = ("SparkBatch", "SparkSession", "MrsJob")
CHANGED: dict[str, dict[str, Any]] = {
    "SparkBatch": {"args": ["more"]},
    "SparkSession": {"sc_type": "B"},
    "MrsJob": {"arguments": ["obs://b/mr.jar", "more"]},
}
ACTIVE, ENDED = 10, 10_000


def write(
    workspace: Workspace,
    of: str,
    name: str,
    former: Any = None,
    lifecycle: dict[str, Any] | None = None,
    file: str = "one.yaml",
    **spec: Any,
) -> None:
    body = manifest(of, name, {**SPECS[of], **spec}, lifecycle=lifecycle or {})
    if former is not None:
        body["metadata"]["renamedFrom"] = former
    workspace.write(file, body)


def deploy(
    workspace: Workspace, clock: Clock, kind: str, name: str = "old", passed: float = ENDED, **spec: Any
) -> None:
    """Deploy a job under a name, and let time pass."""
    write(workspace, kind, name, file=f"{name}.yaml", **spec)
    assert workspace.apply().code == 0
    (workspace.folder / f"{name}.yaml").unlink()
    clock.forward(passed)


def deploy_as_others(
    workspace: Workspace, clock: Clock, kind: str, passed: float = ACTIVE, name: str = "old"
) -> None:
    workspace.project["metadata"] = {"name": "others"}
    workspace.write_project()
    deploy(workspace, clock, kind, name, passed)
    workspace.project["metadata"] = {"name": "tests"}
    workspace.write_project()


def only(planned: Any) -> Any:
    [change] = planned["changes"]
    return change


def is_done(workspace: Workspace) -> bool:
    planned = workspace.plan()
    return not planned["changes"] and not planned["orphans"] and not planned["unmanaged"]


def names(emulator: Emulator, kind: str, place: str = "c-1") -> list[str]:
    key = "job_name" if kind == "MrsJob" else "name"
    return sorted(job[key] for job in listed(emulator.url, kind))


# --- run once


@pytest.mark.parametrize("passed", [ACTIVE, ENDED])
@pytest.mark.parametrize("kind", RUN_ONCE)
def test_a_run_under_the_old_name_is_the_jobs_own(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str, passed: float
) -> None:
    deploy(workspace, clock, kind, passed=passed)
    before = listed(emulator.url, kind)
    write(workspace, kind, "new", "old")
    assert is_done(workspace)
    assert "submitted as 'old'" in workspace.run("plan", "--verbose").out
    assert workspace.apply().code == 0
    assert len(listed(emulator.url, kind)) == len(before) == 1
    (job,) = workspace.run("status", "--format", "json").json["jobs"]
    assert (job["name"], bool(job["id"])) == ("new", True)


@pytest.mark.parametrize(
    ("kind", "spec", "place"),
    [
        ("SparkBatch", {"queue": "other"}, "q"),
        ("SparkSession", {"queue": "other"}, "q"),
        ("MrsJob", {"cluster_id": "c-2"}, "c-1"),
        ("MrsJob", {"cluster_id": "second"}, "first"),
    ],
)
@pytest.mark.parametrize("passed", [ACTIVE, ENDED])
def test_a_job_that_moved_does_not_run_again(
    workspace: Workspace, clock: Clock, kind: str, spec: dict[str, Any], place: str, passed: float
) -> None:
    workspace.write_project(clusters={"first": "c-1", "second": "c-2"})
    deploy(workspace, clock, kind, "job", passed=passed)
    write(workspace, kind, "job", {"place": place}, **spec)
    assert is_done(workspace)
    where = {"SparkBatch": "queue 'q'", "SparkSession": "queue 'q'", "MrsJob": "cluster_id 'first'"}[kind]
    assert f"submitted as 'job' in {where}" in workspace.run("plan", "--verbose").out
    assert workspace.apply().code == 0
    assert is_done(workspace)


def test_two_renames_and_a_move(workspace: Workspace, clock: Clock) -> None:
    """A name and a place that stand alone are combined: which came first does not matter."""
    deploy(workspace, clock, "SparkBatch", "first")
    write(workspace, "SparkBatch", "third", ["second", "first", {"place": "q"}], queue="new")
    assert is_done(workspace)
    write(workspace, "SparkBatch", "third", [{"name": "first", "place": "q"}], queue="new")
    assert is_done(workspace)
    write(workspace, "SparkBatch", "third", [{"name": "first", "place": "elsewhere"}], queue="new")
    change = only(workspace.plan())
    assert (change["action"], change["impact"]) == ("create", "reruns")
    assert "ran already as first in q" in change["reason"]


@pytest.mark.parametrize("kind", ["SparkBatch", "MrsJob"])
def test_an_ended_run_that_differs_is_submitted_again_under_the_new_name(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str
) -> None:
    deploy(workspace, clock, kind)
    write(workspace, kind, "new", "old", **CHANGED[kind])
    change = only(workspace.plan())
    assert (change["action"], change["impact"]) == ("resubmit", "reruns")
    assert "submitted as 'old'" in change["reason"]
    assert workspace.apply().code == 0
    assert len(listed(emulator.url, kind)) == 2
    # Now the new one exists, and the line has no effect.
    clock.forward(ENDED)
    assert is_done(workspace)


@pytest.mark.parametrize(
    ("on_change", "action", "runs"),
    [("block", "blocked", 1), ("replace", "replace", 2), ("submit", "submit", 2), ("keep", None, 1)],
)
def test_an_active_batch_of_ours_that_differs(
    workspace: Workspace, emulator: Emulator, clock: Clock, on_change: str, action: str | None, runs: int
) -> None:
    deploy(workspace, clock, "SparkBatch", passed=ACTIVE)
    clock.tick = 0.5
    write(workspace, "SparkBatch", "new", "old", {"onChange": on_change}, args=["more"])
    assert [change["action"] for change in workspace.plan()["changes"]] == ([action] if action else [])
    workspace.apply()
    assert len(listed(emulator.url, "SparkBatch")) == runs
    states = sorted((job["name"], job["state"]) for job in listed(emulator.url, "SparkBatch"))
    assert (("old", "dead") in states) is (action == "replace")


@pytest.mark.parametrize("on_change", ["block", "replace", "submit"])
@pytest.mark.parametrize("kind", ["SparkSession", "MrsJob", "unmarked", "others"])
@pytest.mark.parametrize("adopt", [False, True])
def test_an_active_run_that_may_be_somebody_elses_is_never_cancelled(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str, on_change: str, *, adopt: bool
) -> None:
    if kind == "others":
        deploy_as_others(workspace, clock, "SparkBatch")
    elif kind == "unmarked":
        fill(emulator.url, "SparkBatch", ["old"])
    else:
        deploy(workspace, clock, kind, passed=ACTIVE)
    of = kind if kind in RUN_ONCE else "SparkBatch"
    write(workspace, of, "new", "old", {"onChange": on_change, "adopt": adopt}, **CHANGED[of])
    change = only(workspace.plan())
    assert change["action"] == "blocked"
    assert "submitted as 'old', is this project's" in change["reason"]
    assert workspace.apply().code != 0
    assert len(listed(emulator.url, of)) == 1
    # Nor when it is to be absent, nor by a cancel.
    write(workspace, of, "new", "old", {"state": "absent", "adopt": adopt})
    assert only(workspace.plan())["action"] == "blocked"
    write(workspace, of, "new", "old", {"adopt": adopt})
    assert "blocked" in workspace.run("cancel", "--yes", "--all").out
    assert {str(job.get("state") or job.get("job_state")).casefold() for job in listed(emulator.url, of)} <= {
        "starting", "running", "idle", "busy", "new", "accepted", "not_started",
    }  # fmt: skip


def test_cancel_finds_a_batch_under_its_old_name(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "SparkBatch", passed=ACTIVE)
    clock.tick = 0.5
    write(workspace, "SparkBatch", "new", "old")
    assert workspace.run("logs").code == 0
    ran = workspace.run("cancel", "--yes", "--all")
    assert (ran.code, [job["state"] for job in listed(emulator.url, "SparkBatch")]) == (0, ["dead"])


def test_the_newest_run_counts(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch", "new")
    deploy(workspace, clock, "SparkBatch", "old")
    write(workspace, "SparkBatch", "new", "old")
    assert "submitted as 'old'" in workspace.run("plan", "--verbose").out
    deploy(workspace, clock, "SparkBatch", "old2")
    write(workspace, "SparkBatch", "new", ["old", "old2"])
    assert "submitted as 'old2'" in workspace.run("plan", "--verbose").out
    assert is_done(workspace)


def test_a_dependency_under_its_old_name_counts(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    workspace.write_project(clusters={"first": "c-1", "second": "c-2"})
    deploy(workspace, clock, "MrsJob", "load")
    write(workspace, "MrsJob", "loaded", {"name": "load", "place": "first"}, cluster_id="second")
    after = manifest("SparkBatch", "after", BATCH, dependsOn=[{"name": "loaded", "until": "succeeded"}])
    workspace.write("two.yaml", after)
    ran = workspace.apply()
    assert ran.code == 0, ran.out + ran.err
    assert [job["name"] for job in listed(emulator.url, "SparkBatch")] == ["after"]
    # Alone, too: then its dependency is only read.
    write(workspace, "SparkBatch", "after2", file="three.yaml", args=["2"])
    chosen = workspace.run("plan", "--select", "name=after", "--format", "json")
    assert chosen.json["changes"] == []
    workspace.write("two.yaml", {**after, "dependsOn": ["load"]})
    assert findings(workspace.run("validate").err) == [
        "two.yaml:10:3: error: dependency not found: job 'load'; it was renamed to 'loaded'"
    ]


def test_a_former_cluster_that_cannot_be_read(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    """Without a run where the job is now, it may have run there; with one, that counts."""
    write(workspace, "MrsJob", "job", {"place": "c-9"})
    emulator.faults.add(
        {"method": "GET", "path": "/clusters/c-9/", "status": 404, "body": {"error_code": "MRS.1"}}
    )
    planned = workspace.plan()
    assert planned["changes"] == []
    assert "MrsJob job in c-9, which renamedFrom names, cannot be read" in planned["errors"][0]["message"]
    write(workspace, "MrsJob", "job")
    assert workspace.apply().code == 0
    write(workspace, "MrsJob", "job", {"place": "c-9"})
    planned = workspace.plan()
    assert (planned["changes"], planned["errors"]) == ([], [])
    assert "runs there are not seen" in planned["warnings"][0]["message"]
    # A change is submitted all the same.
    clock.forward(ENDED)
    write(workspace, "MrsJob", "job", {"place": "c-9"}, arguments=["obs://b/mr.jar", "more"])
    ran = workspace.apply()
    assert (ran.code, "Apply complete: 1 applied." in ran.out) == (0, True), ran.out + ran.err


@pytest.mark.parametrize("kind", RUN_ONCE)
@pytest.mark.parametrize("more", [{}, {"different": True}])
def test_an_active_run_under_the_old_name_in_another_place_blocks(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str, more: dict[str, Any]
) -> None:
    """It was renamed and moved, and renamedFrom has the name only."""
    place = "c-1" if kind == "MrsJob" else "q"
    there: dict[str, Any] = {"cluster_id": "c-2"} if kind == "MrsJob" else {"queue": "other"}
    there |= CHANGED[kind] if more else {}
    deploy(workspace, clock, kind, passed=ACTIVE)
    if kind == "MrsJob":  # so that the cluster is read
        deploy(workspace, clock, kind, "third", passed=ACTIVE, arguments=["obs://b/third.jar"])
        write(workspace, kind, "third", file="three.yaml", arguments=["obs://b/third.jar"])
    write(workspace, kind, "new", "old", **there)
    before = names(emulator, kind)
    for rerun in ((), ("--rerun", "name=new")):
        change = only(workspace.run("plan", "--format", "json", *rerun).json)
        words = f"active as 'old' in {'cluster_id' if kind == 'MrsJob' else 'queue'} '{place}' (id "
        assert (change["action"], words in change["reason"]) == ("blocked", True), change["reason"]
        advice = f"if it is this job, add its place to renamedFrom: {{name: old, place: {place}}}; otherwise"
        assert advice in change["reason"]
        assert workspace.apply(*rerun).code == 5
    assert names(emulator, kind) == before
    # A second run beside it can be had.
    write(workspace, kind, "new", "old", {"onChange": "submit"}, **there)
    assert only(workspace.plan())["action"] == "create"
    # And what is advised is the job's own run.
    write(workspace, kind, "new", {"name": "old", "place": place}, **there)
    assert [change["action"] for change in workspace.plan()["changes"]] == (["blocked"] if more else [])


@pytest.mark.parametrize("kind", ["SparkBatch", "MrsJob"])
@pytest.mark.parametrize("differs", [False, True])
def test_an_ended_run_under_the_old_name_in_another_place_is_pointed_out(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str, *, differs: bool
) -> None:
    there: dict[str, Any] = {"cluster_id": "c-2"} if kind == "MrsJob" else {"queue": "other"}
    deploy(workspace, clock, kind)
    if kind == "MrsJob":
        deploy(workspace, clock, kind, "third", arguments=["obs://b/third.jar"])
        write(workspace, kind, "third", file="three.yaml", arguments=["obs://b/third.jar"])
    write(workspace, kind, "new", "old", **there, **(CHANGED[kind] if differs else {}))
    planned = workspace.plan()
    change = only(planned)
    # A run with another content may be somebody else's, where there are no ownership tags.
    is_seen = kind == "SparkBatch" or not differs
    assert (change["action"], change["impact"]) == ("create", "reruns" if is_seen else "none")
    assert ("ran already as old in " in change["reason"]) is is_seen
    advised = [
        note["message"] for note in planned["warnings"] if "renamedFrom: {name: old" in note["message"]
    ]
    assert len(advised) == is_seen


def test_an_active_run_of_others_under_the_old_name_blocks_nothing(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy_as_others(workspace, clock, "SparkBatch")
    write(workspace, "SparkBatch", "new", "old", queue="other")
    assert only(workspace.plan())["action"] == "create"
    # Nor the one that another manifest has.
    write(workspace, "SparkBatch", "new", {"name": "old", "place": "third"}, queue="other")
    workspace.write("two.yaml", manifest("SparkBatch", "old", BATCH, lifecycle={"adopt": True}))
    assert {change["action"] for change in workspace.plan()["changes"]} == {"create"}


# --- without the line


def test_without_the_line_the_plan_says_how_to_write_it(workspace: Workspace, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    write(workspace, "SparkBatch", "new")
    planned = workspace.plan()
    assert (only(planned)["action"], only(planned)["impact"]) == ("create", "reruns")
    assert "renamedFrom" in planned["warnings"][0]["message"]


# --- streams


def streams(emulator: Emulator) -> list[tuple[Any, str, str]]:
    return [(job["job_id"], job["name"], job["status"]) for job in listed(emulator.url, "FlinkJar")]


def test_a_stream_that_does_not_run_is_renamed_in_place(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    stopped = {"state": "stopped"}
    write(workspace, "FlinkJar", "old", lifecycle=stopped)
    assert workspace.apply().code == 0
    [(number, _, _)] = streams(emulator)
    write(workspace, "FlinkJar", "new", "old", stopped)
    change = only(workspace.plan())
    assert (change["action"], change["impact"]) == ("update", "in-place")
    assert [(field["path"], field["live"], field["desired"]) for field in change["fields"]] == [
        ("/name", "old", "new")
    ]
    assert change["reason"].startswith("renamed from 'old'; ")
    ran = workspace.apply()
    assert (ran.code, streams(emulator)) == (0, [(number, "new", "job_init")]), ran.out
    assert is_done(workspace)


@pytest.mark.parametrize("more", [{}, {"parallel_number": 2}, {"smn_topic": "alarms"}])
def test_a_running_stream_is_renamed_by_a_restart_with_its_state(
    workspace: Workspace, emulator: Emulator, clock: Clock, more: dict[str, Any]
) -> None:
    deploy(workspace, clock, "FlinkJar")
    clock.tick = 0.5
    [(number, _, _)] = streams(emulator)
    write(workspace, "FlinkJar", "new", "old", **more)
    change = only(workspace.plan())
    assert (change["action"], change["impact"]) == ("restart", "restart")
    with proxied(workspace, emulator.url) as proxy:
        ran = workspace.apply()
        assert ran.code == 0, ran.out + ran.err
        sent = [(call.method, call.path.rpartition("pid")[2]) for call in proxy.calls if call.method != "GET"]
        bodies = {
            call.path.rpartition("/")[2]: call.json for call in proxy.calls if call.method in {"PUT", "POST"}
        }
    assert [path for _, path in sent if "/tags/" not in path] == [
        "/streaming/jobs/stop",
        f"/streaming/flink-jobs/{number}",
        "/streaming/jobs/run",
    ]
    assert bodies[str(number)] == {"name": "new", **more}
    assert bodies["stop"]["trigger_savepoint"] is True
    assert bodies["run"]["resume_savepoint"] is True
    assert streams(emulator) == [(number, "new", "job_running")]
    assert is_done(workspace)
    # Requests under either name are found under both.
    for name in ("old", "new"):
        calls = workspace.run("history", "--select", f"name={name}", "--format", "json").json["requests"]
        assert {call["name"] for call in calls} == {"old", "new"}, name


def test_a_rename_in_transition_is_not_done(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    """Whoever takes it for done, and renames the job again, has a stream without a manifest: no second one starts."""
    write(workspace, "FlinkJar", "old")
    assert workspace.apply().code == 0
    [(number, _, state)] = streams(emulator)
    assert state == "job_submitting"
    write(workspace, "FlinkJar", "new", "old")
    planned = workspace.plan()
    [note] = planned["warnings"]
    assert note["message"].startswith("not renamed yet: the job is in transition (job_submitting)")
    assert note["message"].endswith("it is still named 'old'; run apply again")
    assert "not renamed yet" in workspace.apply().out
    write(workspace, "FlinkJar", "newer", "new")
    change = only(workspace.plan())
    assert change["action"] == "blocked"
    assert "the same definition as old (id 1, job_submitting), which has no manifest" in change["reason"]
    assert workspace.apply().code == 5
    assert [name for _, name, _ in streams(emulator)] == ["old"]
    clock.forward(ACTIVE)
    clock.tick = 0.5
    write(workspace, "FlinkJar", "newer", ["new", "old"])
    assert workspace.apply().code == 0
    assert streams(emulator) == [(number, "newer", "job_running")]


def test_both_streams_exist(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    for number, name in enumerate(("old", "new"), start=1):
        deploy(workspace, clock, "FlinkJar", name, parallel_number=number)
    ids = {name: number for number, name, _ in streams(emulator)}
    write(workspace, "FlinkJar", "new", "old")
    change = only(workspace.plan())
    assert change["action"] == "blocked"
    assert (
        f"'new' (id {ids['new']}, job_running) and 'old' (id {ids['old']}, job_running)" in change["reason"]
    )
    assert workspace.plan()["orphans"] == []
    assert workspace.apply().code != 0
    assert len(streams(emulator)) == 2


@pytest.mark.parametrize("unmarked", [False, True])
def test_a_stream_that_is_not_ours_is_not_renamed(
    workspace: Workspace, emulator: Emulator, clock: Clock, *, unmarked: bool
) -> None:
    if unmarked:
        fill(emulator.url, "FlinkJar", ["old"])
    else:
        deploy_as_others(workspace, clock, "FlinkJar")
    before = streams(emulator)
    write(workspace, "FlinkJar", "new", "old")
    change = only(workspace.plan())
    assert (change["action"], "is this project's" in change["reason"]) == ("blocked", True)
    assert workspace.apply().code != 0
    assert streams(emulator) == before
    # The user may take it over, as any other job.
    write(workspace, "FlinkJar", "new", "old", {"adopt": True})
    clock.tick = 0.5
    assert workspace.apply().code == 0
    assert [(number, name) for number, name, _ in streams(emulator)] == [(before[0][0], "new")]


def test_the_stream_of_another_project_with_the_old_name_is_none_of_ours(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """The line stays, and somebody else may use the name."""
    deploy(workspace, clock, "FlinkJar", "new")
    deploy_as_others(workspace, clock, "FlinkJar")
    write(workspace, "FlinkJar", "new", "old")
    assert workspace.plan()["changes"] == []


def test_a_name_that_another_project_has(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "FlinkJar")
    deploy_as_others(workspace, clock, "FlinkJar", name="new")
    write(workspace, "FlinkJar", "new", "old")
    change = only(workspace.plan())
    assert change["action"] == "blocked"
    assert "the name 'new' is taken by job 2, which is running" in change["reason"]
    assert "project 'others' deployed the job" in change["reason"]
    assert workspace.apply().code != 0
    assert [name for _, name, _ in streams(emulator)] == ["new", "old"]


def test_a_name_that_is_taken_stops_nothing(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    """By a job of another type, which the listing of the kind does not show."""
    deploy(workspace, clock, "FlinkJar")
    body = {"name": "new", "sql_body": "x", "job_type": "flink_sql_job"}
    answer = {
        "job_list": {"total_count": 1, "jobs": [{"job_id": 77, **body, "status": "job_init"}]},
        "is_success": True,
    }
    write(workspace, "FlinkJar", "new", "old")

    class Taken(FaultProxy):
        def fault_for(self, call: Call) -> Any:
            is_asked = call.method == "GET" and "name=new" in call.path and "job_type" not in call.path
            return says(200, answer) if is_asked else super().fault_for(call)

    with Taken(emulator.url) as proxy:
        workspace.url = proxy.url
        workspace.write_project()
        ran = workspace.apply()
    assert "job 77 has the name 'new' already; no changes made" in ran.out + ran.err
    assert [(name, state) for _, name, state in streams(emulator)] == [("old", "job_running")]


def test_a_service_that_ignores_the_name_is_reported(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """The stream runs again with its state, under its old name."""
    deploy(workspace, clock, "FlinkJar")
    clock.tick = 0.5
    write(workspace, "FlinkJar", "new", "old")
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("PUT", "flink-jobs", says(200, {"is_success": "true", "message": "ok", "job": {}}))
        ran = workspace.apply()
    assert ran.code != 0
    assert "the deployed spec differs from the request (name)" in ran.out
    assert [(name, state) for _, name, state in streams(emulator)] == [("old", "job_running")]


def test_a_stream_under_its_old_name_is_stopped_and_deleted(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "FlinkJar")
    clock.tick = 0.5
    write(workspace, "FlinkJar", "new", "old")
    ran = workspace.run("cancel", "--yes", "--all")
    assert ran.code == 0
    assert "it is still named 'old'" in ran.out
    [(_, name, state)] = streams(emulator)
    assert (name, state) == ("old", "job_cancel_success")
    write(workspace, "FlinkJar", "new", "old", {"state": "absent"})
    assert workspace.apply().code == 0
    assert streams(emulator) == []


def steps() -> Iterator[Any]:
    for path, method in (("/jobs/stop", "POST"), ("/flink-jobs/", "PUT"), ("/jobs/run", "POST")):
        for when in ("before", "after", "error"):
            yield pytest.param(method, path, when, id=f"{path.strip('/').replace('/', '-')} {when}")


@pytest.mark.parametrize(("method", "path", "when"), list(steps()))
def test_an_apply_that_fails_in_between_goes_on(
    workspace: Workspace, emulator: Emulator, clock: Clock, method: str, path: str, when: str
) -> None:
    deploy(workspace, clock, "FlinkJar")
    clock.tick = 0.5
    [(number, _, _)] = streams(emulator)
    write(workspace, "FlinkJar", "new", "old")
    runs = []

    class Failing(FaultProxy):
        failed = False

        def fault_for(self, call: Call) -> Any:
            if call.method == "POST" and call.path.endswith("/jobs/run"):
                runs.append(call.json)
            if self.failed or call.method != method or path not in call.path:
                return super().fault_for(call)
            self.failed = True
            error = says(400, {"error_code": "DLI.0999", "error_msg": "No."})
            return error if when == "error" else hangs_up(after=when == "after")

    with Failing(emulator.url) as proxy:
        workspace.url = proxy.url
        workspace.write_project()
        for _ in range(3):
            assert len(streams(emulator)) == 1
            workspace.apply()
    assert streams(emulator) == [(number, "new", "job_running")]
    assert all(run["resume_savepoint"] for run in runs)
    assert is_done(workspace)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with commands(tmp_path_factory.mktemp("output")) as running:
        yield running


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("path", ["/jobs/stop", "/flink-jobs/", "/jobs/run"])
def test_an_apply_that_is_killed_in_between_goes_on(
    workspace: Workspace, emulator: Emulator, clock: Clock, runner: Commands, path: str, point: str
) -> None:
    """Between the stop, the update and the start: one stream, with its state, and never two."""
    deploy(workspace, clock, "FlinkJar")
    clock.tick = 0.2
    [(number, _, _)] = streams(emulator)
    write(workspace, "FlinkJar", "new", "old", parallel_number=2)
    starts: list[Any] = []

    class Killing(FaultProxy):
        killed = False

        def fault_for(self, call: Call) -> Any:
            if call.path.endswith("/jobs/run"):
                starts.append(call.json)
            if self.killed or call.method == "GET" or path not in call.path:
                return super().fault_for(call)
            self.killed = True
            return self.kills

        def kills(self, call: Call) -> None:
            if point == "after":
                call.forward()
            os.kill(runner.pid(), signal.SIGKILL)

    with Killing(emulator.url) as proxy:
        workspace.url = proxy.url
        workspace.write_project()
        assert runner.run(workspace.folder, "apply", "--yes").code == -signal.SIGKILL
        for _ in range(3):
            assert len(streams(emulator)) == 1
            clock.forward(60)
            runner.run(workspace.folder, "apply", "--yes")
    assert streams(emulator) == [(number, "new", "job_running")]
    assert starts
    assert all(start["resume_savepoint"] for start in starts)
    assert is_done(workspace)


def test_an_old_savepoint_is_remembered_under_the_new_name(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """Only the journal has it, under the name in the manifest; the job is still listed under the old one."""
    workspace.project["marks"] = False
    workspace.write_project()
    deploy(workspace, clock, "FlinkJar")
    clock.tick = 0.5
    [(number, _, _)] = streams(emulator)
    jobs = f"{emulator.url}/v1.0/pid/streaming/jobs"
    headers = {"X-Auth-Token": TOKEN}
    made = {"action": "TRIGGER", "savepoint_path": "bucket/by-hand"}
    assert requests.post(f"{jobs}/{number}/savepoint", json=made, headers=headers, timeout=10).ok
    clock.forward(60)

    def loses(_: Call) -> Any:
        assert requests.post(f"{jobs}/stop", json={"job_ids": [number]}, headers=headers, timeout=10).ok
        return says(200, [{"is_success": "true", "message": "ok"}])(_)

    write(workspace, "FlinkJar", "new", "old", {"adopt": True})
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("POST", "/jobs/stop", loses)
        ran = workspace.apply()
        assert "no savepoint was created" in ran.out, ran.out + ran.err
        assert [name for _, name, _ in streams(emulator)] == ["old"]
        change = only(workspace.plan())
    assert change["action"] == "blocked"
    assert "no savepoint exists, so starting it would lose the job state" in change["reason"]


# --- two runners, saved plans, listings


def test_a_runner_with_the_older_manifest_creates_it_meanwhile(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """The two look for the same job under both names."""
    write(workspace, "SparkBatch", "new", "old")

    class Beside(FaultProxy):
        looks = 0

        def fault_for(self, call: Call) -> Any:
            self.looks += call.method == "GET" and "/batches" in call.path
            if self.looks == 2 and call.method == "GET":
                self.looks += 1
                fill(emulator.url, "SparkBatch", ["old"])
            return super().fault_for(call)

    with Beside(emulator.url) as proxy:
        workspace.url = proxy.url
        workspace.write_project()
        ran = workspace.apply()
    assert "was created since the plan" in ran.out + ran.err
    assert [job["name"] for job in listed(emulator.url, "SparkBatch")] == ["old"]


def test_a_second_run_under_the_old_name_is_found_after_the_create(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(workspace, "SparkBatch", "new", "old")

    class After(FaultProxy):
        def fault_for(self, call: Call) -> Any:
            if call.method == "POST":
                fill(emulator.url, "SparkBatch", ["old"])
            return super().fault_for(call)

    with After(emulator.url) as proxy:
        workspace.url = proxy.url
        workspace.write_project()
        ran = workspace.apply()
    assert "another run of this job was created at the same time" in ran.out + ran.err


def test_a_saved_plan_of_a_rename(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "FlinkJar")
    clock.tick = 0.5
    write(workspace, "FlinkJar", "new", "old")
    assert workspace.run("plan", "--out", "plan.json").code == 0
    write(workspace, "FlinkJar", "newer", "old")
    refused = workspace.apply("--plan", "plan.json")
    assert (refused.code != 0, [name for _, name, _ in streams(emulator)]) == (True, ["old"])
    write(workspace, "FlinkJar", "new", "old")
    assert workspace.apply("--plan", "plan.json").code == 0
    assert [name for _, name, _ in streams(emulator)] == ["new"]


def test_list_knows_the_manifest_of_an_old_name(workspace: Workspace, clock: Clock) -> None:
    deploy(workspace, clock, "FlinkJar")
    write(workspace, "FlinkJar", "new", "old")
    assert workspace.run("list", "--orphans", "--format", "json").json["jobs"] == []
    [found] = workspace.run("list", "--format", "json").json["jobs"]
    assert (found["name"], found["source"]) == ("old", "one.yaml:1")


def test_a_submit_of_unknown_outcome_under_the_old_name(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(workspace, "SparkBatch", "old")
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("POST", "batches", hangs_up(after=False))
        assert workspace.apply().code != 0
    workspace.url = emulator.url
    workspace.write_project()
    write(workspace, "SparkBatch", "new", "old")
    assert "may have submitted it at" in only(workspace.plan())["reason"]


# --- validation
def test_what_contradicts_itself_is_an_error(workspace: Workspace) -> None:
    write(workspace, "SparkBatch", "same", "same", file="a.yaml")
    write(workspace, "SparkBatch", "moved", [{"place": "q"}], file="b.yaml")
    write(workspace, "SparkBatch", "gone", file="c.yaml")
    write(workspace, "SparkBatch", "new", ["older", "gone"], file="d.yaml")
    write(workspace, "SparkBatch", "second", "older", file="e.yaml")
    write(workspace, "FlinkJar", "stream", {"place": "q"}, file="f.yaml")
    write(workspace, "SparkBatch", "odd", [{"nmae": "x"}], file="g.yaml")
    write(workspace, "SparkBatch", "number", 3, file="h.yaml")
    write(workspace, "SparkBatch", "empty", {}, file="i.yaml")
    disabled = manifest("SparkBatch", "asleep", BATCH, enabled=False)
    workspace.write("k.yaml", disabled)
    write(workspace, "SparkBatch", "awake", "asleep", file="l.yaml")
    is_now = "error: 'renamedFrom' is what the job is now"
    own = (
        "remove that manifest if the job was renamed to this one, or this 'renamedFrom' if they are two jobs"
    )
    expected = "expected a former name, a mapping with a former name or place, or a list of these"
    assert findings(workspace.run("validate").err) == [
        f"a.yaml:5:16: {is_now}, its name 'same'; give what it was before, or remove it",
        f"b.yaml:6:5: {is_now}, its queue 'q'; give what it was before, or remove it",
        f"d.yaml:7:5: error: SparkBatch gone in q has a manifest of its own, at c.yaml:4:9; {own}",
        "e.yaml:5:16: error: SparkBatch older in q is a former identity of SparkBatch new in q too, at d.yaml:6:5; "
        "a job can be renamed to one other only",
        "f.yaml:6:5: error: expected a former name, or a list of these; the job is renamed and keeps its id and its "
        "state",
        "g.yaml:6:5: error: unknown field 'nmae' in metadata.renamedFrom[0]; did you mean 'name'?",
        f"h.yaml:5:16: error: {expected}: a run under one of them is the job's own",
        "i.yaml:5:16: error: 'renamedFrom' must not be empty",
        f"l.yaml:5:16: error: SparkBatch asleep in q has a manifest of its own, at k.yaml:4:9; {own}",
    ]
