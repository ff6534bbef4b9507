"""The real command against the emulator over HTTP: plan, apply, and plan again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from filelock import FileLock

from deployer.cli.execute import exit_code, unreported
from deployer.emulator import Emulator
from deployer.errors import Exit
from deployer.model import Action, Change, Identity, Job, Outcome, Result, Source
from testing.faults import listed
from testing.workspace import SPECS, Clock, Workspace, manifest

Make = Callable[..., dict[str, Any]]

# A field that a listing of the kind shows, and another value for it.
OTHER: dict[str, dict[str, Any]] = {
    "SparkBatch": {"className": "com.example.Other"},
    "SparkSession": {"sc_type": "B"},
    "FlinkJar": {"parallel_number": 2},
    "MrsJob": {"arguments": ["obs://b/mr.jar", "sort"]},
}
# State, and the result that MRS has beside it.
SUCCEEDED = {
    "SparkBatch": ("success", ""),
    "SparkSession": ("success", ""),
    "FlinkJar": ("job_finish", ""),
    "MrsJob": ("FINISHED", "SUCCEEDED"),
}
FAILED = {
    "SparkBatch": ("dead", ""),
    "SparkSession": ("error", ""),
    "FlinkJar": ("job_running_exception", ""),
    "MrsJob": ("FINISHED", "FAILED"),
}
RUN_ONCE = ["SparkBatch", "SparkSession", "MrsJob"]


def write(workspace: Workspace, kind: str, name: str = "alpha", **more: Any) -> None:
    """A manifest in a file of its own; `spec` holds what is other than usual."""
    spec = {**SPECS[kind], **more.pop("spec", {})}
    workspace.write(f"{name}.yaml", manifest(kind, name, spec, **more))


def status(workspace: Workspace) -> dict[str, Any]:
    """The rows of `status`, by name."""
    return {row["name"]: row for row in workspace.run("status", "--format", "json").json["jobs"]}


def actions(plan: Any) -> dict[str, str]:
    return {change["name"]: change["action"] for change in plan["changes"]}


def end(emulator: Emulator, workspace: Workspace, state: str, result: str = "") -> None:
    """Ends the live job `alpha`."""
    row = status(workspace)["alpha"]
    emulator.store.end(int(row["id"]) if row["kind"] == "FlinkJar" else row["id"], state, result)


# --- the story of one job ---------------------------------------------------------------------------------


def test_plan_apply_and_plan_again(
    workspace: Workspace, any_kind: Make, clock: Clock, emulator: Emulator
) -> None:
    workspace.write("one.yaml", any_kind("alpha"))
    planned = workspace.plan()
    assert actions(planned) == {"alpha": "create"}

    applied = workspace.apply()
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "Apply complete: 1 applied.")

    kind = planned["changes"][0]["kind"]
    for seconds in (0, 10, 1000):
        clock.forward(seconds)
        again = workspace.plan("--detailed-exitcode")
        assert (again["changes"], again["warnings"], again["errors"]) == ([], [], [])
        assert workspace.apply().out.endswith("Apply complete: 0 applied.\n")
    assert len(listed(emulator.url, kind)) == 1


def test_every_kind_in_one_apply(workspace: Workspace, clock: Clock) -> None:
    workspace.write("all.yaml", [manifest(kind, "same-name", spec) for kind, spec in SPECS.items()])
    assert workspace.plan()["summary"]["create"] == len(SPECS)
    applied = workspace.apply()
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "Apply complete: 4 applied.")
    clock.forward(10)
    assert workspace.plan()["changes"] == []


@pytest.mark.parametrize(("state", "live"), [("running", "job_running"), ("stopped", "job_init")])
def test_flink_is_created_and_then_run(workspace: Workspace, clock: Clock, state: str, live: str) -> None:
    write(workspace, "FlinkJar", lifecycle={"state": state})
    assert workspace.apply().code == 0
    clock.forward(10)
    assert status(workspace)["alpha"]["state"] == live
    assert workspace.plan()["changes"] == []


def test_a_draft_is_started_and_nothing_is_created(
    workspace: Workspace, clock: Clock, emulator: Emulator
) -> None:
    write(workspace, "FlinkJar", lifecycle={"state": "stopped"})
    assert workspace.apply().code == 0
    write(workspace, "FlinkJar")
    assert actions(workspace.plan()) == {"alpha": "start"}
    assert workspace.apply().code == 0
    clock.forward(10)
    assert [job["status"] for job in listed(emulator.url, "FlinkJar")] == ["job_running"]
    assert workspace.plan()["changes"] == []


def test_a_stream_that_ran_to_its_end(workspace: Workspace, clock: Clock, emulator: Emulator) -> None:
    write(workspace, "FlinkJar")
    workspace.apply()
    end(emulator, workspace, *SUCCEEDED["FlinkJar"])
    assert workspace.plan()["changes"] == []
    clock.forward(100)
    write(workspace, "FlinkJar", lifecycle={"rerun": "2024-07-03T09:47:00Z"})
    assert actions(workspace.plan()) == {"alpha": "start"}
    assert workspace.apply().code == 0
    assert workspace.plan()["changes"] == []


@pytest.mark.parametrize("kind", RUN_ONCE)
def test_a_change_after_the_end_is_submitted_again(
    workspace: Workspace, clock: Clock, emulator: Emulator, kind: str
) -> None:
    write(workspace, kind)
    workspace.apply()
    clock.forward(1000)
    end(emulator, workspace, *SUCCEEDED[kind])
    write(workspace, kind, spec=OTHER[kind])
    [change] = workspace.plan()["changes"]
    assert (change["action"], change["impact"]) == ("resubmit", "reruns")
    assert [field["path"].split("/")[1] for field in change["fields"]] == list(OTHER[kind])
    assert workspace.apply().code == 0
    assert len(listed(emulator.url, kind)) == 2
    assert workspace.plan()["changes"] == []


@pytest.mark.parametrize(
    ("on_change", "action", "code", "jobs"),
    [
        ("block", "blocked", 5, 1),
        ("submit", "submit", 0, 2),
        ("replace", "replace", 0, 2),
        ("keep", None, 0, 1),
    ],
)
def test_a_change_while_it_is_active(
    workspace: Workspace, clock: Clock, emulator: Emulator, on_change: str, action: str, code: int, jobs: int
) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    clock.forward(10)
    write(workspace, "SparkBatch", spec=OTHER["SparkBatch"], lifecycle={"onChange": on_change})
    assert actions(workspace.plan()).get("alpha") == action
    clock.tick = 0.5
    assert workspace.apply().code == code
    assert len(listed(emulator.url, "SparkBatch")) == jobs


def test_a_changed_stream_is_restarted_from_its_savepoint(
    workspace: Workspace, clock: Clock, emulator: Emulator
) -> None:
    write(workspace, "FlinkJar")
    workspace.apply()
    clock.forward(10)
    clock.tick = 0.5
    write(workspace, "FlinkJar", spec=OTHER["FlinkJar"])
    applied = workspace.apply()
    assert applied.code == 0, applied.out + applied.err
    assert "stopped with a savepoint, updated parallel_number, started from its savepoint" in applied.out
    job = listed(emulator.url, "FlinkJar")[0]
    assert job["status"] == "job_running"
    assert "no changes" in workspace.run("plan").out


@pytest.mark.parametrize(
    ("state", "action", "notes"),
    [
        ("job_submitting", None, 0),
        ("job_running", None, 0),
        ("job_canceling", None, 0),
        ("job_savepointing", None, 0),
        ("job_arrearage_recovering", None, 0),
        ("job_finish", None, 0),
        ("job_cancel_fail", None, 0),
        ("job_cancel_success", "blocked", 0),
        ("job_submit_fail", None, 1),
        ("job_running_exception", None, 1),
        ("job_arrearage_stopped", None, 1),
        ("job_idle", None, 1),
    ],
)
def test_the_states_of_a_stream(
    workspace: Workspace, emulator: Emulator, state: str, action: str | None, notes: int
) -> None:
    write(workspace, "FlinkJar")
    workspace.apply()
    end(emulator, workspace, state)
    plan = workspace.plan()
    assert (actions(plan).get("alpha"), len(plan["warnings"])) == (action, notes)
    assert workspace.apply().code == (5 if action else 0)


@pytest.mark.parametrize("kind", list(FAILED))
def test_a_failure_needs_attention(workspace: Workspace, emulator: Emulator, kind: str) -> None:
    write(workspace, kind)
    workspace.apply()
    end(emulator, workspace, *FAILED[kind])
    plan = workspace.plan()
    assert plan["changes"] == []
    assert [(note["name"], "onFailure is keep" in note["message"]) for note in plan["warnings"]] == [
        ("alpha", True)
    ]
    applied = workspace.apply()
    assert (applied.code, "Warnings:" in applied.out) == (0, True)


@pytest.mark.parametrize("kind", RUN_ONCE)
def test_a_failure_is_submitted_again_when_asked(workspace: Workspace, emulator: Emulator, kind: str) -> None:
    write(workspace, kind, lifecycle={"onFailure": "resubmit"})
    workspace.apply()
    end(emulator, workspace, *FAILED[kind])
    assert actions(workspace.plan()) == {"alpha": "resubmit"}
    assert workspace.apply().code == 0
    assert workspace.plan()["changes"] == []


def test_what_a_user_killed_stays_so(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "MrsJob", lifecycle={"onFailure": "resubmit"})
    workspace.apply()
    end(emulator, workspace, "KILLED", "KILLED")
    plan = workspace.plan()
    assert (plan["changes"], len(plan["warnings"])) == ([], 1)


def test_a_state_of_tomorrow_is_left_alone(workspace: Workspace, any_kind: Make, emulator: Emulator) -> None:
    workspace.write("one.yaml", any_kind("alpha"))
    workspace.apply()
    end(emulator, workspace, "hibernating")
    plan = workspace.plan()
    assert plan["changes"] == []
    assert ["hibernating" in note["message"] for note in plan["warnings"]] == [True]
    assert workspace.apply().code == 0


@pytest.mark.parametrize(
    ("rerun", "code", "jobs"),
    [("2024-07-03T09:46:40Z", 0, 1), ("2024-07-03T09:50:00Z", 0, 2), ("2034-01-01T00:00:00Z", 1, 1)],
)
def test_rerun(
    workspace: Workspace, clock: Clock, emulator: Emulator, rerun: str, code: int, jobs: int
) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    clock.forward(1000)
    write(workspace, "SparkBatch", lifecycle={"rerun": rerun})
    for _ in range(2):
        assert workspace.apply().code == code
        clock.forward(100)
    assert len(listed(emulator.url, "SparkBatch")) == jobs


# --- dependencies, selection, counts, codes ---------------------------------------------------------------


def chain(workspace: Workspace, until: str = "submitted") -> None:
    """first <- second <- third, and beside them free."""
    write(workspace, "SparkBatch", "first")
    for name, before in (("second", "first"), ("third", "second")):
        write(workspace, "SparkBatch", name, dependsOn=[{"name": before, "until": until}])
    write(workspace, "SparkBatch", "free")


def test_dependencies_are_sent_first(workspace: Workspace) -> None:
    chain(workspace)
    applied = workspace.apply()
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "Apply complete: 4 applied.")
    done = [line.split()[3] for line in applied.out.splitlines() if line.startswith("accepted")]
    assert done.index("first") < done.index("second") < done.index("third")


def test_what_is_to_succeed_first_is_waited_for(workspace: Workspace, clock: Clock) -> None:
    clock.tick = 1
    chain(workspace, until="succeeded")
    applied = workspace.apply()
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "Apply complete: 4 applied.")
    waits = [line for line in applied.err.splitlines() if "waiting until" in line]
    assert len(waits) == 2
    assert "no changes" in workspace.run("plan").out


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--select", "name=a*"], ["alpha", "archive"]),
        (["--select", "name=a*,kind=MrsJob"], ["archive"]),
        (["--select", "name=alpha", "--select", "kind=FlinkJar"], ["alpha", "stream"]),
        (["--select", "label.team=x"], ["stream"]),
        (["nightly"], ["archive"]),
        (["nightly", "alpha.yaml"], ["alpha", "archive"]),
        (["nightly", "--select", "kind=MrsJob"], ["archive"]),
        ([], ["alpha", "archive", "stream"]),
    ],
)
def test_only_what_is_selected_is_sent(workspace: Workspace, arguments: list[str], names: list[str]) -> None:
    write(workspace, "SparkBatch")
    workspace.write("nightly/archive.yaml", manifest("MrsJob", "archive", SPECS["MrsJob"]))
    stream = manifest("FlinkJar", "stream", SPECS["FlinkJar"])
    stream["metadata"]["labels"] = {"team": "x"}
    workspace.write("stream.yaml", stream)
    assert workspace.apply(*arguments).code == 0
    assert sorted(name for name, row in status(workspace).items() if row["id"]) == names


def test_a_dependency_that_is_not_selected_is_not_sent(workspace: Workspace) -> None:
    chain(workspace)
    applied = workspace.apply("--select", "name=second")
    assert applied.code == 5
    assert "dependency 'first' is not deployed, and not selected by PATH or --select" in applied.out
    workspace.apply("--select", "name=first")
    assert workspace.apply("--select", "name=second").code == 0
    assert {name for name, row in status(workspace).items() if row["id"]} == {"first", "second"}


def test_expect(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "SparkBatch")
    digest = workspace.plan()["digest"]
    write(workspace, "SparkBatch", "late")
    refused = workspace.apply("--expect", digest)
    assert refused.code == 6
    assert f"expected digest {digest}, got {workspace.plan()['digest']}" in refused.err
    assert listed(emulator.url, "SparkBatch") == []
    assert workspace.apply("--expect", workspace.plan()["digest"]).code == 0
    # Its second use is no harm either: there is nothing left to do, and another digest.
    assert workspace.apply("--expect", digest).code == 6


@pytest.mark.parametrize("verb", ["plan", "apply", "status", "render", "validate"])
def test_invalid_manifests_stop_everything(workspace: Workspace, emulator: Emulator, verb: str) -> None:
    write(workspace, "SparkBatch")
    write(workspace, "SparkBatch", "wrong", spec={"clasName": "typo"})
    ran = workspace.run(verb, *(["--yes"] if verb == "apply" else []))
    assert ran.code == 4
    assert "wrong.yaml:" in ran.err
    assert "clasName" in ran.err
    assert listed(emulator.url, "SparkBatch") == []


def test_without_a_terminal_apply_wants_yes(bare: Workspace) -> None:
    write(bare, "SparkBatch")
    refused = bare.run("apply")
    # A call to this target would have ended with 1: nothing listens there.
    assert (refused.code, refused.out) == (3, "")
    assert "use --yes to apply without confirmation" in refused.err


def test_plan_and_detailed_exitcode(workspace: Workspace, clock: Clock) -> None:
    write(workspace, "SparkBatch")
    assert workspace.run("plan").code == 0
    assert workspace.run("plan", "--detailed-exitcode").code == 2
    workspace.apply()
    assert workspace.run("plan", "--detailed-exitcode").code == 0
    clock.forward(10)
    write(workspace, "SparkBatch", spec=OTHER["SparkBatch"])
    assert actions(workspace.plan()) == {"alpha": "blocked"}
    assert workspace.run("plan", "--detailed-exitcode").code == 2


def test_an_empty_project_is_fine(workspace: Workspace) -> None:
    assert workspace.apply().out.endswith("Apply complete: 0 applied.\n")


def outcome(result: Result, action: Action = Action.CREATE, identifier: str = "") -> Outcome:
    job = Job(Identity("FlinkJar", "", "alpha"), Source("one.yaml", 1), {})
    return Outcome(Change(action, job, ""), result, "", identifier)


DONE = outcome(Result.DONE, identifier="1")
FAILURE, UNKNOWN, SKIPPED = map(outcome, (Result.FAILED, Result.UNKNOWN, Result.SKIPPED))
DRAFT = outcome(Result.FAILED, identifier="1")
NOT_STARTED = outcome(Result.FAILED, Action.START, "1")


@pytest.mark.parametrize(
    ("ended", "blocked", "errors", "code"),
    [
        ([], 0, 0, Exit.DONE),
        ([DONE], 0, 0, Exit.DONE),
        ([DONE], 1, 0, Exit.BLOCKED),
        ([], 1, 0, Exit.BLOCKED),
        ([], 0, 1, Exit.ERROR),
        ([], 1, 1, Exit.ERROR),
        ([FAILURE], 0, 0, Exit.ERROR),
        ([FAILURE, SKIPPED], 1, 0, Exit.ERROR),
        ([NOT_STARTED], 0, 0, Exit.ERROR),
        ([DRAFT], 0, 0, Exit.PARTLY),
        ([DONE], 0, 1, Exit.PARTLY),
        ([DONE, FAILURE], 1, 0, Exit.PARTLY),
        ([DONE, SKIPPED], 0, 0, Exit.PARTLY),
        ([UNKNOWN], 0, 0, Exit.UNKNOWN),
        ([DONE, FAILURE, UNKNOWN], 1, 1, Exit.UNKNOWN),
    ],
)
def test_seven_before_eight_before_five(ended: list[Outcome], blocked: int, errors: int, code: Exit) -> None:
    assert exit_code(ended, blocked=blocked, errors=errors) is code


@pytest.mark.parametrize(("most", "code", "jobs"), [(1, 5, 0), (2, 0, 2)])
def test_a_plan_beyond_the_limits_is_printed_and_refused(
    workspace: Workspace, emulator: Emulator, most: int, code: int, jobs: int
) -> None:
    workspace.write_project(limits={"changes": most, "delete": 0})
    workspace.write("a.yaml", [manifest("SparkBatch", name, SPECS["SparkBatch"]) for name in ("a", "b")])
    ran = workspace.apply()
    assert (ran.code, len(listed(emulator.url, "SparkBatch"))) == (code, jobs)
    assert "2 to create" in ran.out
    assert ("limits.changes is 1, but the plan has 2 in all" in ran.err) == bool(code)


def test_one_apply_at_a_time(workspace: Workspace, emulator: Emulator) -> None:
    """The lock is the file's, so it ends with the process that held it."""
    workspace.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    folder = workspace.folder / ".deployer"
    folder.mkdir()
    with FileLock(folder / "test.lock"):
        refused = workspace.apply()
        assert workspace.run("plan").code == Exit.DONE
    assert refused.code == Exit.ERROR
    assert "another apply of this project to target 'test' is running" in refused.err
    assert listed(emulator.url, "SparkBatch") == []
    assert workspace.apply().code == Exit.DONE


def test_plan_says_what_apply_would_refuse(workspace: Workspace) -> None:
    workspace.write_project(limits={"changes": 0})
    workspace.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    ran = workspace.run("plan")
    assert ran.code == Exit.DONE
    assert ran.err == "note: apply would fail: limits.changes is 0, but the plan has 1 in all\n"


def test_an_interrupt_while_an_outcome_is_printed_loses_no_other() -> None:
    def outcomes() -> Generator[str]:
        try:
            yield "printed just now"
        except KeyboardInterrupt:
            yield "done meanwhile"
            yield "unknown"
            raise

    remaining = outcomes()
    assert next(remaining) == "printed just now"
    assert [*unreported(remaining)] == ["done meanwhile", "unknown"]
    assert [*unreported(remaining)] == []


def test_jobs_are_reported_in_natural_order_after_what_they_depend_on(workspace: Workspace) -> None:
    for name, before in (("part-10", ""), ("part-2", ""), ("part-1", "part-10")):
        depends = {"dependsOn": [{"name": before, "until": "submitted"}]} if before else {}
        write(workspace, "SparkBatch", name, **depends)
    lines = workspace.apply().out.split("\n")
    names = [line.split()[3] for line in lines if line.startswith("accepted ")]
    assert names == ["part-2", "part-10", "part-1"]
