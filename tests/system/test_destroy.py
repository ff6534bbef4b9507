"""`deployer destroy` removes what it names, `cancel --orphans` and `cancel --id` end what has no manifest."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import FaultProxy, fill, listed, says
from testing.git_server import git
from testing.workspace import SPECS, Clock, Workspace, manifest

from .test_prune import ENDED, KEPT, NAME, STATE, commit, deploy, forget, orphans, states

WHOLE = [argument for kind in SPECS for argument in ("--prune-all", kind)]

ID = {"SparkBatch": "id", "SparkSession": "id", "FlinkJar": "job_id", "MrsJob": "job_id"}


def write(workspace: Workspace, *kinds: str, names: tuple[str, ...] = ("alpha",), **more: Any) -> None:
    for kind in kinds:
        for name in names:
            workspace.write(f"{kind}/{name}.yaml", manifest(kind, name, SPECS[kind], **more))


@pytest.fixture
def running(workspace: Workspace, clock: Clock) -> Workspace:
    """A workspace with the jobs alpha and beta of each kind, which run."""
    write(workspace, *SPECS, names=("alpha", "beta"))
    commit(workspace)
    assert workspace.apply().code == 0
    clock.forward(5)
    clock.tick = 0.2
    return workspace


def every(emulator: Emulator) -> dict[str, dict[str, str]]:
    return {kind: states(emulator, kind) for kind in SPECS}


def ids(emulator: Emulator, kind: str) -> dict[str, str]:
    return {job[NAME[kind]]: str(job[ID[kind]]) for job in listed(emulator.url, kind)}


@pytest.mark.parametrize("selection", [["alpha"], ["--select", "name=alpha"], ["--all"]])
def test_what_is_named_is_removed(running: Workspace, emulator: Emulator, selection: list[str]) -> None:
    before = every(emulator)
    more = [*WHOLE, "--limit", "delete=8"] if selection == ["--all"] else []
    ran = running.run("destroy", "--yes", *selection, *more)
    assert ran.code == 0, ran.out + ran.err
    after = every(emulator)
    for kind in SPECS:
        expected = before[kind] | {"alpha": ENDED[kind]}
        if selection == ["--all"]:
            expected |= {"beta": ENDED[kind]}
        if kind == "FlinkJar":
            expected = {} if selection == ["--all"] else {"beta": before[kind]["beta"]}
        assert after[kind] == expected
    assert "the manifests are unchanged: remove them" in ran.err
    again = running.run("destroy", "--yes", *selection)
    assert (again.code, again.out.splitlines()[-1]) == (0, "Destroy complete: 0 destroyed.")


def test_a_path_and_a_name(running: Workspace, emulator: Emulator) -> None:
    ran = running.run("destroy", "--yes", "MrsJob/alpha.yaml", "beta", "--select", "kind=MrsJob")
    assert (ran.code, set(states(emulator, "MrsJob").values())) == (0, {"KILLED"})
    assert set(states(emulator, "SparkBatch").values()) == {"running"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prune-all", "MrsJob", "alpha"], "--prune-all requires --all"),
        (["--all", "--prune-all", "MrsJop"], "unknown kind; did you mean 'MrsJob'?"),
        ([], "no jobs selected: give PATH, NAME or --select, or --all"),
        (["--all", "alpha"], "--all cannot be combined with PATH, NAME or --select"),
        (["alhpa"], "alhpa: no such file or folder, and no manifest has this name; did you mean 'alpha'?"),
        (["--select", "name=alhpa"], "--select matches no jobs"),
        (["--select", "kind=MrsJob", "SparkBatch"], "PATH, NAME and --select match no jobs"),
        (["alpha", "--confirm-project", "other"], "does not match the project 'tests'"),
        (["--all", "--confirm-project", "other"], "does not match the project 'tests'"),
    ],
)
def test_it_wants_names(running: Workspace, emulator: Emulator, arguments: list[str], words: str) -> None:
    before = every(emulator)
    ran = running.run("destroy", "--yes", *arguments)
    assert (ran.code, words in ran.err) == (3, True), ran.err
    assert every(emulator) == before


def test_a_disabled_job_is_not_named(running: Workspace, emulator: Emulator) -> None:
    write(running, "SparkBatch", names=("off",), enabled=False)
    ran = running.run("destroy", "--yes", "off")
    assert (ran.code, "off: its manifest is disabled (enabled: false)" in ran.err) == (3, True)


def test_what_is_protected_stays(running: Workspace, emulator: Emulator) -> None:
    write(running, *SPECS, lifecycle={"protect": True})
    before = every(emulator)
    ran = running.run("destroy", "--yes", "alpha")
    assert (ran.code, every(emulator)) == (5, before)
    assert ran.out.splitlines()[-1] == "Destroy complete: 0 destroyed, 4 blocked."


def test_dependents_first(workspace: Workspace, clock: Clock) -> None:
    write(workspace, "SparkBatch", names=("one",))
    for name, needed in (("two", "one"), ("three", "two")):
        write(workspace, "SparkBatch", names=(name,), dependsOn=[needed])
    assert workspace.apply().code == 0
    clock.forward(5)
    clock.tick = 0.2
    ran = workspace.run("destroy", "--yes", "one", "two")
    assert "SparkBatch three in q depends on SparkBatch two in q and is not selected" in ran.err
    ended = [line.split()[3] for line in ran.out.splitlines() if line.startswith("done")]
    assert (ran.code, ended) == (0, ["two", "one"])


def test_limits_and_consent(running: Workspace, emulator: Emulator) -> None:
    before = every(emulator)
    ran = running.run("destroy", "alpha")
    assert (ran.code, "use --yes to destroy without confirmation" in ran.err) == (3, True)
    running.write_project(limits={"delete": 0}, protected=True)
    assert running.run("destroy", "--yes", "alpha").code == 3
    ran = running.run("destroy", "--confirm", "test", "alpha")
    assert (ran.code, "No jobs were destroyed." in ran.err) == (5, True)
    assert every(emulator) == before


def test_all_takes_the_orphans_that_are_proved(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, *SPECS)
    fill(emulator.url, "SparkBatch", ["stranger"])
    forget(workspace)
    ran = workspace.run("destroy", "--yes", "--all", *WHOLE)
    assert ran.code == 5, ran.out + ran.err
    after = every(emulator)
    assert after["SparkBatch"] == {"kept-sparkbatch": "dead", "gone": "dead", "stranger": "running"}
    assert after["FlinkJar"] == {"gone": "job_running", "kept-flinkjar": "job_running"}
    assert (after["MrsJob"]["gone"], after["SparkSession"]["gone"]) == ("RUNNING", "idle")
    assert "if no other project has the name 'tests', use --confirm-project tests" in ran.out
    ran = workspace.run("destroy", "--yes", "--all", *WHOLE, "--confirm-project", "tests")
    assert (ran.code, states(emulator, "FlinkJar")) == (0, {})


@pytest.mark.parametrize("selection", [["--all", *WHOLE, "--limit", "delete=8"], ["alpha"]])
def test_a_copy_of_the_manifests_deletes_no_stream(
    running: Workspace, emulator: Emulator, tmp_path: Path, selection: list[str]
) -> None:
    """Of another repository with the same project name, and without the journal."""
    before = states(emulator, "FlinkJar")
    shutil.copytree(running.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".git", ".deployer"))
    running.folder = tmp_path / "copy"
    commit(running, "the first of another repository")
    ran = running.run("destroy", "--yes", *selection)
    assert (ran.code, states(emulator, "FlinkJar")) == (5, before), ran.out
    assert "its tag names only the project, and the journal does not have its id" in ran.out


def test_an_old_checkout_deletes_no_stream(running: Workspace, emulator: Emulator) -> None:
    before = states(emulator, "FlinkJar")
    git(running.folder, "commit", "-q", "--amend", "-m", "another history")
    ran = running.run("destroy", "--yes", "alpha", "--select", "kind=FlinkJar", "--confirm-project", "tests")
    assert (ran.code, states(emulator, "FlinkJar")) == (5, before), ran.out
    assert "which is not in the history of this checkout" in ran.out
    assert "to remove it all the same, set lifecycle.state to absent and apply" in ran.out


def test_all_has_a_limit_and_wants_each_kind(running: Workspace, emulator: Emulator) -> None:
    before = every(emulator)
    ran = running.run("destroy", "--yes", "--all")
    assert (ran.code, "limits.delete is 5, but the plan has 8 to delete or cancel" in ran.err) == (5, True)
    assert "No jobs were destroyed. To allow it, override with --limit delete=N, or raise" in ran.err
    assert "--select" not in ran.err
    ran = running.run("destroy", "--yes", "--all", "--limit", "delete=8")
    words = (
        "this destroy ends all live jobs of a kind that the project has: FlinkJar (2 jobs), MrsJob (2 jobs)"
    )
    assert (ran.code, words in ran.err) == (5, True), ran.err
    assert "to allow it, use --prune-all FlinkJar --prune-all MrsJob" in ran.err
    assert every(emulator) == before


def test_a_preview_locks_and_changes_nothing(running: Workspace, emulator: Emulator) -> None:
    before = every(emulator)
    ran = running.run("destroy", "alpha")
    assert (ran.code, "- delete    FlinkJar alpha" in ran.out) == (3, True), ran.out
    assert ran.err.splitlines()[-1].endswith("use --yes to destroy without confirmation")
    assert every(emulator) == before


# --- cancel --orphans


def test_orphans_are_ended(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, *SPECS)
    before = every(emulator)
    ran = workspace.run("cancel", "--yes", "--orphans")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Cancel complete: 4 cancelled."), ran.err
    assert every(emulator) == {kind: before[kind] | {"gone": ENDED[kind]} for kind in SPECS}
    again = workspace.run("cancel", "--yes", "--orphans")
    assert (again.code, again.out.splitlines()[-1]) == (0, "Cancel complete: 0 cancelled.")


def test_orphans_without_proof_go_on(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, *SPECS)
    forget(workspace)
    shutil.rmtree(workspace.folder / ".git")
    before = every(emulator)
    ran = workspace.run("cancel", "--yes", "--orphans")
    assert (ran.code, every(emulator)) == (0, before)
    assert "not proved to be this project's" in ran.out


def test_a_job_that_moved_is_no_orphan(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    moved = {**SPECS["SparkBatch"], "queue": "another"}
    workspace.write("moved.yaml", manifest("SparkBatch", "gone", moved))
    commit(workspace)
    assert workspace.run("cancel", "--yes", "--orphans").code == 0
    assert workspace.apply("--prune").code == 5  # blocked, as ever
    assert states(emulator, "SparkBatch")["gone"] == "running"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--orphans", "--all"], "--orphans cannot be combined with --all"),
        (["--orphans", "kept.yaml"], "--orphans cannot be combined with PATH or --select"),
        (["--id", "1", "--orphans"], "--id cannot be combined with --orphans"),
        (["--id", "1", "--id", "2"], "--id cancels exactly one job; use it once"),
        (["--kind", "SparkBatch", "--all"], "--kind requires --id"),
        (["--kind", "SparkBach", "--id", "1"], "unknown kind; did you mean 'SparkBatch'?"),
        (["--confirm-project", "tests", "--all"], "--confirm-project requires --orphans"),
        (["--prune-all", "MrsJob", "--all"], "--prune-all requires --orphans"),
    ],
)
def test_one_selection(
    workspace: Workspace, emulator: Emulator, clock: Clock, arguments: list[str], words: str
) -> None:
    deploy(workspace, clock, "SparkBatch")
    before = every(emulator)
    ran = workspace.run("cancel", "--yes", *arguments)
    assert (ran.code, words in ran.err) == (3, True), ran.err
    assert every(emulator) == before


def test_orphans_have_a_limit(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, *SPECS, names=("a", "b"))
    before = every(emulator)
    ran = workspace.run("cancel", "--yes", "--orphans")
    assert (ran.code, "limits.delete is 5" in ran.err, every(emulator)) == (5, True, before)


def test_orphans_that_are_all_of_a_kind(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "MrsJob", "SparkBatch")
    workspace.write("kept.yaml", [each for each in KEPT if each["kind"] != "MrsJob"])
    commit(workspace)
    before = every(emulator)
    ran = workspace.run("cancel", "--yes", "--orphans")
    words = "this cancel ends all live jobs of a kind that the project has: MrsJob (2 jobs); to allow it, use"
    assert (ran.code, words in ran.err, every(emulator)) == (5, True, before), ran.err
    ran = workspace.run("cancel", "--yes", "--orphans", "--prune-all", "MrsJob")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Cancel complete: 3 cancelled."), ran.err


# --- cancel --id


@pytest.mark.parametrize("kind", list(SPECS))
def test_one_job_by_its_id(running: Workspace, emulator: Emulator, kind: str) -> None:
    fill(emulator.url, kind, ["stranger"])
    before = every(emulator)
    # A stream is not running yet.
    name = "alpha" if kind == "FlinkJar" else "stranger"
    ran = running.run("cancel", "--yes", "--id", ids(emulator, kind)[name])
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Cancel complete: 1 cancelled."), ran.out + ran.err
    assert every(emulator) == before | {kind: before[kind] | {name: ENDED[kind]}}
    assert "since 2024-07-03 09:46 UTC; owner: " in ran.out
    assert ("not proved to be this project's: " in ran.out) == (name == "stranger")


def test_the_owner_of_one_job(running: Workspace, emulator: Emulator) -> None:
    identifier = ids(emulator, "SparkBatch")["alpha"]
    running.project = {"metadata": {"name": "another"}}
    running.write_project()
    shutil.rmtree(running.folder / "SparkBatch")
    ran = running.run("cancel", "--id", identifier)
    assert (ran.code, "use --yes to cancel" in ran.err) == (3, True)
    assert states(emulator, "SparkBatch")["alpha"] == "running"
    ran = running.run("cancel", "--yes", "--id", identifier)
    assert (
        "owner: project 'tests'; manifest: none; not proved to be this project's: project 'tests'" in ran.out
    )
    assert (ran.code, states(emulator, "SparkBatch")["alpha"]) == (0, "dead")
    again = running.run("cancel", "--yes", "--id", identifier)
    assert (again.code, "only its record is left" in again.out) == (0, True)


def test_protect_holds_for_one_job(running: Workspace, emulator: Emulator) -> None:
    write(running, "SparkBatch", lifecycle={"protect": True})
    ran = running.run("cancel", "--yes", "--id", ids(emulator, "SparkBatch")["alpha"])
    assert (ran.code, "prevented by lifecycle.protect" in ran.out) == (5, True)
    assert states(emulator, "SparkBatch")["alpha"] == "running"


def test_one_job_that_is_not_there(running: Workspace) -> None:
    ran = running.run("cancel", "--yes", "--id", "none")
    assert (ran.code, "no live job has the id 'none'" in ran.err) == (1, True)
    other = running.run("cancel", "--yes", "--kind", "MrsJob", "--id", "1")
    assert (other.code, "no live job has the id '1' (kinds that were read: MrsJob)" in other.err) == (1, True)


def test_one_job_if_others_cannot_be_read(running: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    identifier = ids(emulator, "SparkBatch")["alpha"]
    proxy.rule("GET", "/sessions", says(403, {"error_code": "DLI.0003", "error_msg": "Permission denied"}))
    ran = running.run("cancel", "--yes", "--id", identifier)
    assert (ran.code, "if you know its kind, add --kind" in ran.err) == (1, True)
    assert states(emulator, "SparkBatch")["alpha"] == "running"
    assert running.run("cancel", "--yes", "--kind", "SparkBatch", "--id", identifier).code == 0
    assert states(emulator, "SparkBatch") == {"alpha": "dead", "beta": "running"}


def test_one_of_several_runs(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    fill(emulator.url, "SparkBatch", ["twin", "twin"])
    clock.forward(5)
    clock.tick = 0.2
    workspace.write("one.yaml", manifest("MrsJob", "one", SPECS["MrsJob"]))
    first, second = (str(job["id"]) for job in listed(emulator.url, "SparkBatch"))
    assert workspace.run("cancel", "--yes", "--id", first).code == 0
    found = {str(job["id"]): job[STATE["SparkBatch"]] for job in listed(emulator.url, "SparkBatch")}
    assert found == {first: "dead", second: "running"}
    assert orphans(workspace) == {}
