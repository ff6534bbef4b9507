"""`deployer cancel` ends active runs, follows the rules of `apply`, and changes nothing else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from filelock import FileLock

from deployer.emulator import Emulator
from testing.faults import changed, fill, hangs_up, listed, proxied, says
from testing.workspace import SPECS, Clock, Workspace, manifest

Make = Callable[..., dict[str, Any]]
STATE = {"SparkBatch": "state", "SparkSession": "state", "FlinkJar": "status", "MrsJob": "job_state"}
NAME = {"SparkBatch": "name", "SparkSession": "name", "FlinkJar": "name", "MrsJob": "job_name"}
ENDED = {
    "SparkBatch": "dead",
    "SparkSession": "success",
    "FlinkJar": "job_cancel_success",
    "MrsJob": "KILLED",
}


def write(workspace: Workspace, kind: str, name: str = "alpha", **more: Any) -> None:
    workspace.write(f"{name}.yaml", manifest(kind, name, SPECS[kind], **more))


def states(emulator: Emulator, kind: str = "SparkBatch") -> dict[str, str]:
    return {job[NAME[kind]]: job[STATE[kind]] for job in listed(emulator.url, kind)}


@pytest.fixture
def running(workspace: Workspace, clock: Clock) -> Workspace:
    """A workspace with the batches alpha and beta, which run; from now on time goes by itself."""
    for name in ("alpha", "beta"):
        write(workspace, "SparkBatch", name)
    workspace.apply()
    clock.forward(5)
    clock.tick = 0.2
    return workspace


@pytest.mark.parametrize("kind", list(SPECS))
def test_what_runs_is_ended(workspace: Workspace, emulator: Emulator, clock: Clock, kind: str) -> None:
    write(workspace, kind)
    workspace.apply()
    clock.forward(5)
    clock.tick = 0.5
    ran = workspace.run("cancel", "--yes", "--all")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Cancel complete: 1 cancelled.")
    assert states(emulator, kind) == {"alpha": ENDED[kind]}
    again = workspace.run("cancel", "--yes", "--all")
    assert (again.code, again.out.splitlines()[-1]) == (0, "Cancel complete: 0 cancelled.")


@pytest.mark.parametrize("savepoint", [True, False])
def test_a_stream_leaves_a_savepoint(
    workspace: Workspace, emulator: Emulator, clock: Clock, savepoint: bool
) -> None:
    write(workspace, "FlinkJar", lifecycle={"savepoint": savepoint})
    workspace.apply()
    clock.forward(5)
    clock.tick = 0.5
    ran = workspace.run("cancel", "--yes", "alpha.yaml")
    [job] = listed(emulator.url, "FlinkJar")
    assert (ran.code, job["has_savepoint"]) == (0, savepoint)
    assert f"stopped with{'' if savepoint else 'out'} a savepoint" in ran.out


@pytest.mark.parametrize("selection", [["alpha.yaml"], ["--select", "name=alpha"]])
def test_the_others_go_on(running: Workspace, emulator: Emulator, selection: list[str]) -> None:
    assert running.run("cancel", "--yes", *selection).code == 0
    assert states(emulator) == {"alpha": "dead", "beta": "running"}


def test_live_jobs_without_a_manifest_go_on(running: Workspace, emulator: Emulator) -> None:
    fill(emulator.url, "SparkBatch", ["stranger"])
    running.run("cancel", "--yes", "--all")
    assert states(emulator) == {"alpha": "dead", "beta": "dead", "stranger": "running"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no jobs selected: give PATH or --select, --all, --orphans or --id"),
        (["--all", "alpha.yaml"], "--all cannot be combined with PATH or --select"),
        (["--all", "--select", "name=alpha"], "--all cannot be combined with PATH or --select"),
    ],
)
def test_a_selection_is_required(
    running: Workspace, emulator: Emulator, arguments: list[str], words: str
) -> None:
    ran = running.run("cancel", "--yes", *arguments)
    assert (ran.code, ran.out) == (3, "")
    assert words in ran.err
    assert set(states(emulator).values()) == {"running"}


def test_a_selection_of_nothing(running: Workspace, emulator: Emulator) -> None:
    assert running.run("cancel", "--yes", "--select", "name=alhpa").code == 3
    assert set(states(emulator).values()) == {"running"}


def test_without_a_terminal_it_wants_yes(bare: Workspace) -> None:
    write(bare, "SparkBatch")
    ran = bare.run("cancel", "--all")
    assert (ran.code, ran.out, "use --yes to cancel without confirmation" in ran.err) == (3, "", True)


def test_a_protected_target_must_be_named(running: Workspace, emulator: Emulator) -> None:
    running.write_project(protected=True)
    ran = running.run("cancel", "--yes", "--all")
    assert (ran.code, "use --confirm test instead of --yes" in ran.err) == (3, True)
    assert set(states(emulator).values()) == {"running"}
    assert running.run("cancel", "--confirm", "test", "--all").code == 0
    assert set(states(emulator).values()) == {"dead"}


def test_what_is_protected_goes_on(running: Workspace, emulator: Emulator) -> None:
    write(running, "SparkBatch", lifecycle={"protect": True})
    ran = running.run("cancel", "--yes", "--all")
    assert (ran.code, ran.out.splitlines()[-1]) == (5, "Cancel complete: 1 cancelled, 1 blocked.")
    assert "cancel prevented by lifecycle.protect: " in ran.out
    assert states(emulator) == {"alpha": "running", "beta": "dead"}


@pytest.mark.parametrize("limits", [{"delete": 1}, {"changes": 1}])
def test_limits(running: Workspace, emulator: Emulator, limits: dict[str, int]) -> None:
    running.write_project(limits=limits)
    ran = running.run("cancel", "--yes", "--all")
    assert (ran.code, "No jobs were cancelled." in ran.err) == (5, True)
    assert "Plan for test: 2 to cancel." in ran.out
    assert set(states(emulator).values()) == {"running"}
    more = ",".join(limits)
    assert running.run("cancel", "--yes", "--all", "--limit", f"{more}=2").code == 0
    assert set(states(emulator).values()) == {"dead"}


def test_one_at_a_time(running: Workspace, emulator: Emulator) -> None:
    with FileLock(running.folder / ".deployer" / "test.lock"):
        ran = running.run("cancel", "--yes", "--all")
    assert (ran.code, "to target 'test' is running" in ran.err) == (1, True)
    assert set(states(emulator).values()) == {"running"}


def test_the_journal_tells_of_it(running: Workspace) -> None:
    running.run("cancel", "--yes", "alpha.yaml")
    newest = json.loads(running.run("history", "--format", "json").out)["requests"][-1]
    recorded = (newest["call"], newest["action"], newest["name"], newest["result"])
    assert recorded == ("cancel", "cancel", "alpha", "done")


def test_what_ended_by_itself_meanwhile(running: Workspace, emulator: Emulator) -> None:
    with proxied(running, emulator.url) as proxy:
        [beta] = [job["id"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "beta"]

        def ends(call: Any) -> Any:
            answer = call.forward()
            emulator.store.end(beta, "success")
            return answer

        proxy.rule("GET", "/batches", ends, nth=1)
        ran = running.run("cancel", "--yes", "beta.yaml")
        assert proxy.count("DELETE") == 0
    assert (ran.code, "had already ended (success)" in ran.out) == (0, True)
    assert states(emulator) == {"alpha": "running", "beta": "success"}


def test_a_lost_answer_is_looked_up(running: Workspace, emulator: Emulator) -> None:
    with proxied(running, emulator.url) as proxy:
        proxy.rule("DELETE", "/batches", hangs_up(after=True), nth=1)
        assert running.run("cancel", "--yes", "alpha.yaml").code == 0
    assert states(emulator) == {"alpha": "dead", "beta": "running"}


@pytest.mark.parametrize(
    ("error", "code", "end"), [("DLI.0007", 8, "1 failed"), ("DLI.0999", 7, "1 outcome unknown")]
)
def test_one_that_is_refused_does_not_stop_the_others(
    running: Workspace, emulator: Emulator, error: str, code: int, end: str
) -> None:
    with proxied(running, emulator.url) as proxy:
        [alpha] = [job["id"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "alpha"]
        proxy.rule("DELETE", alpha, says(400, {"error_code": error, "error_msg": "no"}))
        ran = running.run("cancel", "--yes", "--all")
        assert proxy.count("DELETE", alpha) == 1
    assert (ran.code, ran.out.splitlines()[-1]) == (code, f"Cancel incomplete: 1 cancelled, {end}.")
    assert states(emulator) == {"alpha": "running", "beta": "dead"}


def test_ctrl_c_starts_nothing_new(running: Workspace, emulator: Emulator) -> None:
    more = [manifest("SparkBatch", f"more-{number}", SPECS["SparkBatch"]) for number in range(10)]
    running.write("more.yaml", more)
    running.apply("more.yaml")
    with proxied(running, emulator.url) as proxy:

        def interrupts(call: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return call.forward()

        proxy.rule("DELETE", "/batches", interrupts, nth=1)
        ran = running.run("cancel", "--yes", "--all")
        deleted = proxy.count("DELETE")
    assert (ran.code, " not started." in ran.out) == (130, True)
    assert 1 <= deleted < 12


def test_dependencies_and_rerun_do_not_matter(running: Workspace, emulator: Emulator) -> None:
    """What beta waits for is cancelled before it: it must not be waited for."""
    write(
        running,
        "SparkBatch",
        "beta",
        dependsOn=[{"name": "alpha", "until": "succeeded"}],
        lifecycle={"rerun": "2034-01-01T00:00:00Z"},
    )
    ran = running.run("cancel", "--yes", "--all")
    assert (ran.code, ran.out.splitlines()[-1], ran.err.count("waiting until")) == (
        0,
        "Cancel complete: 2 cancelled.",
        0,
    )
    assert set(states(emulator).values()) == {"dead"}


def test_secrets_are_not_needed(running: Workspace, emulator: Emulator) -> None:
    running.write("deployer.yaml", _with_secret(running))
    spec = {**SPECS["SparkBatch"], "conf": {"spark.key": '{{ secret("NOWHERE") }}'}}
    running.write("alpha.yaml", manifest("SparkBatch", "alpha", spec))
    assert running.run("cancel", "--yes", "alpha.yaml").code == 0
    assert states(emulator)["alpha"] == "dead"


def _with_secret(workspace: Workspace) -> str:
    return (workspace.folder / "deployer.yaml").read_text("utf-8") + "secrets: {NOWHERE: {}}\n"


def test_a_session_that_is_listed_without_a_name_is_pointed_out(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(workspace, "SparkSession")
    workspace.apply()
    clock.forward(5)
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("GET", "/sessions", changed(lambda answer: answer["sessions"][0].pop("name") and None))
        ran = workspace.run("cancel", "--yes", "--all")
        assert proxy.count("DELETE") == 0
    [session] = listed(emulator.url, "SparkSession")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Cancel complete: 0 cancelled.")
    assert f"an unnamed active job in queue 'q' may be this job: {session['id']}" in ran.out
    assert "Warnings:" in ran.out


def test_all_runs_of_a_job_are_ended(running: Workspace, emulator: Emulator) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])
    write(running, "SparkBatch", lifecycle={"adopt": True})
    ran = running.run("cancel", "--yes", "alpha.yaml")
    assert ran.code == 0
    assert "several runs are active; all of them will be cancelled" in ran.out
    assert sorted(job["state"] for job in listed(emulator.url, "SparkBatch")) == ["dead", "dead", "running"]


def test_a_stream_in_transition_is_left(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    write(workspace, "FlinkJar")
    workspace.apply()
    ran = workspace.run("cancel", "--yes", "--all")
    assert (ran.code, "in transition (job_submitting); try again later" in ran.out) == (5, True)
    clock.forward(1)
    assert states(emulator, "FlinkJar") == {"alpha": "job_submitting"}


def test_a_cancel_of_a_job_in_a_state_of_tomorrow_is_blocked(running: Workspace, emulator: Emulator) -> None:
    [alpha] = [job["id"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "alpha"]
    emulator.store.end(alpha, "hibernating")
    ran = running.run("cancel", "--yes", "alpha.yaml")
    assert (ran.code, ran.out.splitlines()[-1]) == (5, "Cancel complete: 0 cancelled, 1 blocked.")
    assert "! blocked   SparkBatch alpha" in ran.out
    assert "state 'hibernating', which deployer does not handle; check it in the console" in ran.out


def test_what_differs_from_the_manifest_does_not_matter(running: Workspace, emulator: Emulator) -> None:
    spec = {**SPECS["SparkBatch"], "className": "com.example.Other"}
    running.write("alpha.yaml", manifest("SparkBatch", "alpha", spec))
    ran = running.run("cancel", "--yes", "alpha.yaml")
    assert (ran.code, "className" in ran.out) == (0, False)
    assert states(emulator)["alpha"] == "dead"


def test_all_runs_of_a_job_that_moved_are_ended(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 0.5
    moved = {"onChange": "submit"}
    for queue in ("q1", "q2"):
        spec = {**SPECS["SparkBatch"], "queue": queue}
        workspace.write("a.yaml", manifest("SparkBatch", "alpha", spec, lifecycle=moved))
        assert workspace.apply().code == 0
        clock.forward(5)
    spec = {**SPECS["SparkBatch"], "queue": "q3"}
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", spec, lifecycle={"state": "absent"}))
    planned = workspace.plan()
    assert [len(change["other_runs"]) for change in planned["changes"]] == [1]
    assert "several runs are active; all of them will be cancelled" in planned["warnings"][0]["message"]
    assert workspace.apply().code == 0
    assert {job["state"] for job in listed(emulator.url, "SparkBatch")} == {"dead"}
