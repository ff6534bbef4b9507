"""`deployer wait` and `apply --wait`. The emulator's clock moves at each request, so no test sleeps."""

from __future__ import annotations

import os
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import interrupts, listed, proxied, says
from testing.workspace import SPECS, Clock, Workspace, manifest


def write(workspace: Workspace, kind: str, name: str = "alpha", **more: Any) -> None:
    workspace.write(f"{name}.yaml", manifest(kind, name, SPECS[kind], **more))


def ids(emulator: Emulator, kind: str = "SparkBatch") -> dict[str, str]:
    return {job["name"]: job["id"] for job in listed(emulator.url, kind)}


# --- apply --wait -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "state"),
    [("--wait", "running"), ("--wait=running", "running"), ("--wait=succeeded", "success")],
)
def test_apply_waits(workspace: Workspace, emulator: Emulator, clock: Clock, option: str, state: str) -> None:
    clock.tick = 0.5 if state == "running" else 10
    write(workspace, "SparkBatch")
    ran = workspace.apply(option)
    identifier = ids(emulator)["alpha"]
    assert ran.code == 0
    assert f"accepted create SparkBatch alpha in q (id {identifier}): submitted; {state}\n" in ran.out


def test_apply_does_not_wait_unless_it_is_asked_to(workspace: Workspace, clock: Clock) -> None:
    clock.tick = 0.5
    write(workspace, "SparkBatch")
    assert workspace.apply().out.splitlines()[-2].endswith(" submitted")


def test_ids_are_printed_before_the_wait(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    clock.tick = 5
    write(workspace, "SparkBatch")
    ran = workspace.apply("--wait=succeeded")
    assert ran.err == f"note: SparkBatch alpha in q: waiting until {ids(emulator)['alpha']} has succeeded\n"


def test_a_wait_that_ends_in_time_out_does_not_fail_the_job(workspace: Workspace, emulator: Emulator) -> None:
    workspace.write_project(polling={"interval": "1s", "consistencyDelay": "0s"})
    write(workspace, "SparkBatch", lifecycle={"timeout": "1s"})
    ran = workspace.apply("--wait=succeeded")
    assert ran.code == 8
    assert "submitted; still starting after 1s; it was not cancelled\n" in ran.out
    # Nothing is submitted again for that.
    again = workspace.apply("--wait=succeeded")
    assert (again.code, again.out.splitlines()[-1]) == (0, "Apply complete: 0 applied.")
    assert len(listed(emulator.url, "SparkBatch")) == 1


def test_a_job_that_fails_while_apply_waits_shows_the_end_of_its_log(
    workspace: Workspace, emulator: Emulator
) -> None:
    write(workspace, "SparkBatch")
    with proxied(workspace, emulator.url) as proxy:

        def dies(call: Any) -> Any:
            [job] = listed(emulator.url, "SparkBatch")
            emulator.store.end(job["id"], "dead")
            return call.forward()

        proxy.rule("GET", r"/batches/[^/]+$", dies, nth=2)  # the first one is the reading back
        proxy.rule("GET", r"/log\?", says(200, {"total": 2, "log": ["boom", "password=hunter2"]}))
        ran = workspace.apply("--wait")
    # Something is there now: the run that failed.
    assert ran.code in {1, 8}
    assert "failed   create SparkBatch alpha" in ran.out
    assert ran.out.count("submitted, but the job has failed (dead)\n    | boom\n    | password=") == 1
    assert "hunter2" not in ran.out + ran.err


# --- deployer wait ----------------------------------------------------------------------------------------


def test_run_once_jobs_are_waited_for_until_they_succeed_and_streams_until_they_run(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(workspace, "SparkBatch")
    write(workspace, "FlinkJar", "stream")
    write(workspace, "MrsJob", "report")
    workspace.apply()
    clock.tick = 5
    ran = workspace.run("wait")
    stream, report = (listed(emulator.url, kind)[0]["job_id"] for kind in ("FlinkJar", "MrsJob"))
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"done      FlinkJar stream (id {stream}): job_running",
        f"done      MrsJob report in c-1 (id {report}): FINISHED SUCCEEDED",
        f"done      SparkBatch alpha in q (id {ids(emulator)['alpha']}): success",
    ]


def test_until_running_does_not_wait_for_the_end(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    clock.tick = 0.5
    ran = workspace.run("wait", "--until", "running")
    assert (ran.code, ran.out.endswith("): running\n")) == (0, True)
    assert ran.err == f"note: SparkBatch alpha in q: waiting until {ids(emulator)['alpha']} is running\n"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ({"alpha": "success", "beta": "success"}, 0),
        ({"alpha": "dead", "beta": "success"}, 8),
        ({"alpha": "dead", "beta": "dead"}, 1),
        ({"alpha": "success", "beta": ""}, 8),
        ({"alpha": "dead", "beta": ""}, 1),
    ],
)
def test_what_failed_or_is_not_there(
    workspace: Workspace, emulator: Emulator, states: dict[str, str], code: int
) -> None:
    for name, state in states.items():
        write(workspace, "SparkBatch", name)
        if state:
            workspace.apply(f"{name}.yaml")
            emulator.store.end(ids(emulator)[name], state)
    ran = workspace.run("wait")
    assert ran.code == code
    for name, state in states.items():
        [line] = [line for line in ran.out.splitlines() if f" {name} " in line]
        assert line.startswith("done " if state == "success" else "failed ")
        assert line.endswith(f"): {state}" if state else ": not deployed")


def test_one_that_fails_does_not_end_the_wait_for_the_others(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    for name in ("alpha", "beta"):
        write(workspace, "SparkBatch", name)
    workspace.apply()
    emulator.store.end(ids(emulator)["alpha"], "dead")
    clock.tick = 5
    ran = workspace.run("wait")
    assert (ran.code, [line.split()[0] for line in ran.out.splitlines()]) == (8, ["failed", "done"])


def test_time_out(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    ran = workspace.run("wait", "--timeout", "0s")
    assert ran.code == 8
    identifier = ids(emulator)["alpha"]
    words = "still starting after 0s; it was not cancelled"
    assert ran.out == f"timed out SparkBatch alpha in q (id {identifier}): {words}\n"


def test_the_manifest_says_how_long(workspace: Workspace) -> None:
    workspace.write_project(polling={"interval": "1s", "consistencyDelay": "0s"})
    write(workspace, "SparkBatch", lifecycle={"timeout": "1s"})
    workspace.apply()
    assert "still starting after 1s; it was not cancelled" in workspace.run("wait").out


@pytest.mark.parametrize("timeout", ["", "10", "1d", "-1s", "1.5h"])
def test_a_timeout_that_is_none(bare: Workspace, timeout: str) -> None:
    ran = bare.run("wait", "--timeout", timeout)
    assert (ran.code, "expected a duration such as 90s, 30m or 2h" in ran.err) == (3, True)


def test_a_draft_is_not_waited_for(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "FlinkJar", lifecycle={"state": "stopped"})
    workspace.apply()
    ran = workspace.run("wait")
    assert (ran.code, ran.out) == (0, "")
    assert "skipped (its manifest sets state: stopped)" in ran.err
    write(workspace, "FlinkJar")
    ran = workspace.run("wait")
    assert (ran.code, "): job_init: a draft, never started" in ran.out) == (1, True)


def test_several_are_looked_at_once_in_each_pass(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    for name in ("alpha", "beta", "gamma"):
        write(workspace, "SparkBatch", name)
    workspace.apply()
    clock.tick = 1
    with proxied(workspace, emulator.url) as proxy:
        assert workspace.run("wait").code == 0
        looks = [call.path.rpartition("/")[2] for call in proxy.calls if "/batches/" in call.path]
    passes = [looks[at : at + 3] for at in range(0, len(looks) - len(looks) % 3, 3)]
    assert len(passes) > 3
    assert all(set(seen) == set(ids(emulator).values()) for seen in passes[:-1])


def test_a_look_that_goes_wrong(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    for name in ("alpha", "beta"):
        write(workspace, "SparkBatch", name)
    workspace.apply()
    clock.tick = 5
    with proxied(workspace, emulator.url) as proxy:
        refused = {"error_code": "DLI.0999", "error_msg": "broken"}
        proxy.rule("GET", ids(emulator)["alpha"], says(500, refused))
        ran = workspace.run("wait")
    assert ran.code == 8
    assert "cannot read the state: " in ran.out.splitlines()[0]
    assert ran.out.splitlines()[1].startswith("done ")


def test_a_listing_that_goes_wrong(bare: Workspace) -> None:
    write(bare, "SparkBatch")
    ran = bare.run("wait")
    assert (ran.code, ran.out, ran.err.startswith("error: SparkBatch alpha in q: ")) == (1, "", True)


def test_only_what_is_selected_is_waited_for(workspace: Workspace, clock: Clock) -> None:
    write(workspace, "SparkBatch")
    write(workspace, "SparkBatch", "beta", dependsOn=["alpha"])
    workspace.apply()
    clock.forward(100)
    ran = workspace.run("wait", "beta.yaml")
    assert (ran.code, len(ran.out.splitlines()), ran.err) == (0, 1, "")


def test_ctrl_c_ends_the_wait(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("GET", r"/batches/[^/]+$", interrupts(os.getpid, after=False))
        ran = workspace.run("wait")
    assert (ran.code, ran.err.split()[-1]) == (130, "interrupted")
    assert [job["state"] for job in listed(emulator.url, "SparkBatch")] == ["starting"]
