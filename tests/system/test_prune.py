"""`apply --prune` removes what this project deployed and has no manifest, if that is proved; and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import Answer, Call, FaultProxy, fill, hangs_up, interrupts, listed, says
from testing.git_server import Remote, bare_repository, checkout, git, publish, without_settings
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest

STATE = {"SparkBatch": "state", "SparkSession": "state", "FlinkJar": "status", "MrsJob": "job_state"}
NAME = {"SparkBatch": "name", "SparkSession": "name", "FlinkJar": "name", "MrsJob": "job_name"}
ENDED = {
    "SparkBatch": "dead",
    "SparkSession": "success",
    "FlinkJar": "job_cancel_success",
    "MrsJob": "KILLED",
}
CLUSTERS = {"reports": "c-1"}
# A manifest of each kind that stays, so that no prune is one of all jobs of a kind.
KEPT = [manifest(kind, f"kept-{kind.lower()}", spec) for kind, spec in SPECS.items()]


def states(emulator: Emulator, kind: str) -> dict[str, str]:
    return {job[NAME[kind]]: job[STATE[kind]] for job in listed(emulator.url, kind)}


def commit(workspace: Workspace, message: str = "a change") -> str:
    """Commits everything, and returns the commit."""
    if not (workspace.folder / ".git").exists():
        git(workspace.folder, "init", "-q", "-b", "main")
        workspace.write(".gitignore", ".deployer/\n")
    git(workspace.folder, "add", "-A")
    git(workspace.folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(workspace.folder, "rev-parse", "HEAD").strip()


def tagged(emulator: Emulator, identifier: int, action: str, tags: list[dict[str, str]]) -> None:
    """Somebody else adds or removes tags of a stream."""
    path = f"/v3/pid/dli_flink_job/{identifier}/tags/{action}"
    headers = {"X-Auth-Token": TOKEN, "Content-Type": "application/json"}
    call = Call("POST", path, headers, json.dumps({"tags": tags}).encode(), emulator.url, lambda: None)
    assert call.forward().status in {200, 204}


def forget(workspace: Workspace) -> None:
    """A fresh checkout: without the journal."""
    shutil.rmtree(workspace.folder / ".deployer", ignore_errors=True)


def deploy(workspace: Workspace, clock: Clock, *kinds: str, names: tuple[str, ...] = ("gone",)) -> None:
    """Deploys jobs of some kinds beside those that stay, and removes their manifests."""
    workspace.write_project(clusters=CLUSTERS)
    workspace.write("kept.yaml", KEPT)
    workspace.write("gone.yaml", [manifest(kind, name, SPECS[kind]) for kind in kinds for name in names])
    commit(workspace)
    ran = workspace.apply()
    assert ran.code == 0, ran.out + ran.err
    clock.forward(5)
    clock.tick = 0.2
    (workspace.folder / "gone.yaml").unlink()
    commit(workspace, "without them")


def orphans(workspace: Workspace) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each["name"]): each for each in workspace.plan()["orphans"]}


@pytest.mark.parametrize("kind", list(SPECS))
def test_what_runs_is_ended_and_that_once(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str
) -> None:
    deploy(workspace, clock, kind)
    before = states(emulator, kind)
    [orphan] = orphans(workspace).values()
    words = "stops it with a savepoint" if kind == "FlinkJar" else "cancels it"
    assert (orphan["proof"], orphan["ending"]) == ("the journal has its id", f"'apply --prune' {words}")
    assert workspace.apply().code == 0
    assert states(emulator, kind) == before  # never by default

    ran = workspace.apply("--prune")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Apply complete: 1 applied."), ran.err
    assert states(emulator, kind)["gone"] == ENDED[kind]
    assert states(emulator, kind)[f"kept-{kind.lower()}"] == before[f"kept-{kind.lower()}"]
    if kind == "FlinkJar":
        [gone] = [job for job in listed(emulator.url, kind) if job["name"] == "gone"]
        assert gone["has_savepoint"]
    again = workspace.apply("--prune")
    assert (again.code, again.out.splitlines()[-1]) == (0, "Apply complete: 0 applied.")


def test_a_definition_is_deleted_once_it_does_not_run(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "FlinkJar")
    first = workspace.apply("--prune=delete")
    assert (first.code, states(emulator, "FlinkJar")["gone"]) == (0, "job_cancel_success"), first.err
    [orphan] = orphans(workspace).values()
    assert orphan["ending"] == "'apply --prune=delete' deletes its definition"
    assert workspace.apply("--prune").code == 0
    assert "gone" in states(emulator, "FlinkJar")
    second = workspace.apply("--prune=delete")
    assert second.code == 0
    assert "- delete    FlinkJar gone  no manifest" in second.out
    assert [*states(emulator, "FlinkJar")] == ["kept-flinkjar"]
    assert workspace.apply("--prune=delete").out.splitlines()[-1] == "Apply complete: 0 applied."


def test_every_run_of_a_job_is_cancelled(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    again = manifest(
        "SparkBatch", "gone", {**SPECS["SparkBatch"], "args": ["2"]}, lifecycle={"onChange": "submit"}
    )
    workspace.write("gone.yaml", again)
    commit(workspace)
    assert workspace.apply().code == 0
    clock.forward(5)
    (workspace.folder / "gone.yaml").unlink()
    commit(workspace)
    ran = workspace.apply("--prune", "--limit", "delete=1")
    assert (ran.code, "limits.delete is 1, but the plan has 2 to delete, cancel or prune" in ran.err) == (
        5,
        True,
    )
    assert workspace.apply("--prune", "--limit", "changes=1").code == 5
    ran = workspace.apply("--prune")
    assert (ran.code, "will cancel 2 runs (" in ran.out) == (0, True), ran.out + ran.err
    assert "Impact: 2 batches are cancelled.\nPlan for test: 2 to cancel, 4 unchanged." in ran.out
    assert ran.out.splitlines()[-1] == "Apply complete: 2 applied."
    found = [job["state"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "gone"]
    assert found == ["dead", "dead"]


def test_a_plan_knows_those_of_a_kind_without_manifests(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "MrsJob", "SparkSession")
    workspace.write("kept.yaml", [each for each in KEPT if each["kind"] == "FlinkJar"])
    fill(emulator.url, "MrsJob", ["stranger"])
    proved = {key for key, each in orphans(workspace).items() if each["proof"]}
    assert proved == {
        ("MrsJob", "gone"),
        ("MrsJob", "kept-mrsjob"),
        ("SparkBatch", "kept-sparkbatch"),
        ("SparkSession", "gone"),
        ("SparkSession", "kept-sparksession"),
    }


def test_a_list_has_the_orphans_of_a_cluster_that_only_the_journal_names(
    workspace: Workspace, proxy: FaultProxy, clock: Clock
) -> None:
    deploy(workspace, clock, "MrsJob")
    workspace.write("kept.yaml", [each for each in KEPT if each["kind"] == "FlinkJar"])
    workspace.write_project()
    planned = {identity for identity in orphans(workspace) if identity[0] == "MrsJob"}
    ran = workspace.run("list", "--orphans", "--kind", "MrsJob", "--format", "json")
    assert (
        {(job["kind"], job["name"]) for job in ran.json["jobs"]}
        == planned
        == {
            ("MrsJob", "gone"),
            ("MrsJob", "kept-mrsjob"),
        }
    )
    assert (ran.code, "MRS jobs are listed for 1 cluster: c-1" in ran.err) == (0, True), ran.err
    assert "c-1" not in workspace.run("list", "--kind", "MrsJob").err
    proxy.rule("GET", "/clusters/c-1/", says(404, {"error_code": "12000004", "error_msg": "no such cluster"}))
    gone = workspace.run("list", "--orphans", "--kind", "MrsJob")
    assert (gone.code, "its jobs are not known: " in gone.err) == (0, True), gone.err
    # A cluster of deployer.yaml must be there.
    workspace.write_project(clusters=CLUSTERS)
    assert workspace.run("list", "--orphans", "--kind", "MrsJob").code == 1


# --- what proves it


def test_a_batch_proves_itself_by_its_commit(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, *SPECS)
    forget(workspace)
    found = orphans(workspace)
    assert found["SparkBatch", "gone"]["proof"].startswith("deployed from commit ")
    # Those without ownership metadata are not known at all.
    assert [*found] == [("FlinkJar", "gone"), ("SparkBatch", "gone")]
    assert found["FlinkJar", "gone"]["proof"] is None
    shown = workspace.run("plan").out
    _, ours, maybe = re.split(r"^(?:Maybe orphaned|Orphaned) \(", shown, flags=re.MULTILINE)
    assert ours.startswith(
        "deployed by this project, but no longer in a manifest; left unchanged):\n  SparkBatch gone"
    )
    assert maybe.startswith("named as jobs of this project, not proved; left unchanged):\n  FlinkJar gone")
    assert (
        "Maybe orphaned: named as jobs of this project" in workspace.run("plan", "--format", "markdown").out
    )
    page = workspace.folder.parent / "plan.html"
    assert workspace.run("plan", "--report", f"html={page}").code == 0
    assert "<h2>Maybe orphaned <" in page.read_text()
    identifier = found["FlinkJar", "gone"]["id"]
    assert found["FlinkJar", "gone"]["ending"] == (
        "not proved to be this project's: its tag names only the project, and the journal does not have its id; to end "
        f"it: deployer cancel -t test --kind FlinkJar --id {identifier}"
    )
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "SparkBatch")["gone"] == "dead"
    assert states(emulator, "FlinkJar")["gone"] == "job_running"
    assert states(emulator, "SparkSession")["gone"] == "idle"
    assert states(emulator, "MrsJob")["gone"] == "RUNNING"


def test_the_name_of_the_project_can_be_confirmed(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "FlinkJar")
    forget(workspace)
    wrong = workspace.apply("--prune", "--confirm-project", "test")
    assert (wrong.code, "does not match the project 'tests'" in wrong.err) == (3, True)
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "FlinkJar")["gone"] == "job_running"
    ran = workspace.apply("--prune", "--confirm-project", "tests")
    assert (ran.code, states(emulator, "FlinkJar")["gone"]) == (0, "job_cancel_success")


def test_a_shallow_clone_proves_nothing(
    workspace: Workspace, emulator: Emulator, clock: Clock, tmp_path: Path
) -> None:
    deploy(workspace, clock, "SparkBatch")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{workspace.folder}", str(shallow))
    workspace.folder = shallow
    [orphan] = orphans(workspace).values()
    assert "the checkout is a shallow clone without its commit" in orphan["ending"]
    assert "fetch-depth: 0" in orphan["ending"]
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "SparkBatch")["gone"] == "running"
    git(shallow, "fetch", "-q", "--unshallow")
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "SparkBatch")["gone"] == "dead"


def test_another_repository_may_have_the_same_name(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, *SPECS)
    forget(workspace)
    shutil.rmtree(workspace.folder / ".git")
    (workspace.folder / "kept.yaml").unlink()
    commit(workspace, "the first of another repository")
    found = orphans(workspace)
    assert all(each["proof"] is None for each in found.values())
    assert "is not in the history of this checkout" in found["SparkBatch", "gone"]["ending"]
    before = {kind: states(emulator, kind) for kind in SPECS}
    assert workspace.apply("--prune=delete").code == 0
    assert {kind: states(emulator, kind) for kind in SPECS} == before


def test_another_folder_of_the_repository_may_have_the_same_name(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "SparkBatch")
    workspace.write("other/deployer.yaml", (workspace.folder / "deployer.yaml").read_text())
    commit(workspace)
    [orphan] = orphans(workspace).values()
    assert "other/deployer.yaml is a project of the same name" in orphan["ending"]
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "SparkBatch")["gone"] == "running"


def test_without_git_a_batch_has_no_proof(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    forget(workspace)
    shutil.rmtree(workspace.folder / ".git")
    [orphan] = orphans(workspace).values()
    assert "the history of the project cannot be read with git" in orphan["ending"]
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "SparkBatch")["gone"] == "running"


def test_the_journal_of_another_place_proves_nothing(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "MrsJob")
    journal = workspace.folder / ".deployer" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for change in ({"project": "another"}, {"target": "another"}, {"name": "another"}):
        changed = [{**line, **change} if line["event"] == "intent" else line for line in lines]
        journal.write_text("".join(json.dumps(line) + "\n" for line in changed))
        assert workspace.apply("--prune").code == 0
        assert states(emulator, "MrsJob")["gone"] == "RUNNING", change


def test_a_copy_of_a_project_does_not_own_its_jobs(
    workspace: Workspace, emulator: Emulator, clock: Clock, tmp_path: Path
) -> None:
    deploy(workspace, clock, *SPECS)
    before = {kind: states(emulator, kind) for kind in SPECS}
    shutil.copytree(workspace.folder, tmp_path / "copy")
    workspace.folder = tmp_path / "copy"
    workspace.project = {"metadata": {"name": "another"}}
    workspace.write_project(clusters=CLUSTERS)
    for file in ("kept.yaml", "stays.yaml"):
        (workspace.folder / file).unlink(missing_ok=True)
    commit(workspace, "another project")
    assert all(not orphan["proof"] for orphan in orphans(workspace).values())
    assert "this project" not in workspace.run("list", "--orphans").out
    ran = workspace.apply("--prune=delete", "--confirm-project", "another")
    assert (ran.code, {kind: states(emulator, kind) for kind in SPECS}) == (0, before), ran.out


def test_a_journal_that_does_not_name_its_project_proves_nothing(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "MrsJob")
    journal = workspace.folder / ".deployer" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert {line.pop("project_name") for line in lines if line["event"] == "intent"} == {"tests"}
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "MrsJob")["gone"] == "RUNNING"


def test_an_old_checkout_does_not_remove_newer_jobs(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    workspace.write_project(clusters=CLUSTERS)
    workspace.write("kept.yaml", KEPT)
    old = commit(workspace)
    workspace.write("new.yaml", [manifest(kind, "new", SPECS[kind]) for kind in SPECS])
    new = commit(workspace)
    assert workspace.apply().code == 0
    clock.forward(5)
    clock.tick = 0.2
    before = {kind: states(emulator, kind) for kind in SPECS}
    git(workspace.folder, "checkout", "-q", old)
    found = orphans(workspace)
    words = (
        f"deployed from commit {new[:12]}, which is not in the history of this checkout; check out the newest"
    )
    assert [(orphan["proof"], words in orphan["ending"]) for orphan in found.values()] == [(None, True)] * 4
    ran = workspace.apply("--prune=delete", "--confirm-project", "tests", "--limit", "delete=9")
    assert (ran.code, {kind: states(emulator, kind) for kind in SPECS}) == (0, before), ran.out
    # Changes that were not committed count as those of the commit.
    git(workspace.folder, "checkout", "-q", "main")
    other = {
        "SparkBatch": "className",
        "SparkSession": "sc_type",
        "FlinkJar": "main_class",
        "MrsJob": "arguments",
    }
    values = {"arguments": ["other.jar"], "sc_type": "C"}
    workspace.write(
        "new.yaml",
        [
            manifest(kind, "newer", {**SPECS[kind], field: values.get(field, "com.example.Other")})
            for kind, field in other.items()
        ],
    )
    assert workspace.apply().code == 0
    (workspace.folder / "new.yaml").unlink()
    assert {orphan["proof"] for orphan in orphans(workspace).values()} == {"the journal has its id"}


def test_without_git_the_journal_is_enough(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    workspace.write_project(clusters=CLUSTERS)
    workspace.write("kept.yaml", KEPT)
    workspace.write("gone.yaml", manifest("MrsJob", "gone", SPECS["MrsJob"]))
    assert workspace.apply().code == 0
    clock.forward(5)
    clock.tick = 0.2
    (workspace.folder / "gone.yaml").unlink()
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "MrsJob")["gone"] == "KILLED"


@pytest.mark.parametrize("result", ["unknown", "found", "failed", None])
def test_what_was_only_found_by_its_name_proves_nothing(
    workspace: Workspace, emulator: Emulator, clock: Clock, result: str | None
) -> None:
    deploy(workspace, clock, "MrsJob")
    journal = workspace.folder / ".deployer" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    outcomes = [{**line, "result": result} if line["event"] == "outcome" else line for line in lines]
    kept = [line for line in outcomes if result or line["event"] != "outcome"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in kept))
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "MrsJob")["gone"] == "RUNNING"


def test_a_stream_that_lost_its_tag_is_left(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "FlinkJar")
    [gone] = [job for job in listed(emulator.url, "FlinkJar") if job["name"] == "gone"]
    tagged(emulator, gone["job_id"], "delete", [{"key": "deployer"}])
    ran = workspace.apply("--prune")
    assert (ran.code, "not proved to be this project's: it has no ownership tags" in ran.out) == (0, True)
    assert states(emulator, "FlinkJar")["gone"] == "job_running"


def test_a_stream_that_another_project_took_over_is_left(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "FlinkJar")
    [gone] = [job for job in listed(emulator.url, "FlinkJar") if job["name"] == "gone"]
    tagged(emulator, gone["job_id"], "create", [{"key": "deployer", "value": "another"}])
    for confirmed in ([], ["--confirm-project", "tests"]):
        ran = workspace.apply("--prune", *confirmed)
        assert (ran.code, ran.out.splitlines()[-1]) == (0, "Apply complete: 0 applied.")
    assert states(emulator, "FlinkJar")["gone"] == "job_running"


def test_a_project_that_is_split_in_two(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, tmp_path: Path
) -> None:
    """The steps of docs/removal.md."""
    workspace.write_project(clusters=CLUSTERS)
    workspace.write("kept.yaml", KEPT)
    moved = [manifest(kind, "moved", SPECS[kind]) for kind in SPECS]
    workspace.write("moved.yaml", moved)
    commit(workspace)
    assert workspace.apply().code == 0
    clock.forward(5)
    clock.tick = 0.2
    before = {kind: states(emulator, kind) for kind in SPECS}

    new = Workspace(
        tmp_path / "new", workspace.capture, workspace.url, project={"metadata": {"name": "split"}}
    )
    new.write_project(clusters=CLUSTERS)
    new.write("moved.yaml", [{**each, "lifecycle": {"adopt": True}} for each in moved])
    [change] = new.plan()["changes"]
    assert (change["kind"], change["action"], change["impact"]) == ("FlinkJar", "update", "in-place")
    assert change["reason"].endswith("takes it over from project 'tests': writes the ownership tags")
    assert "takes it over from project 'tests'" in new.run("plan").out
    proxy.clear()
    ran = new.apply()
    assert (ran.code, "ownership tags written" in ran.out) == (0, True), ran.out + ran.err
    assert [call.path.rpartition("/")[2] for call in proxy.calls if call.method != "GET"] == ["create"]
    assert "FlinkJar moved" in new.run("history").out
    assert new.plan()["changes"] == []

    (workspace.folder / "moved.yaml").unlink()
    commit(workspace, "moved to another project")
    assert workspace.apply().code == 0
    assert {kind: states(emulator, kind) for kind in SPECS} == before
    proved = {kind for (kind, name), each in orphans(workspace).items() if each["proof"]}
    assert proved == {"MrsJob", "SparkBatch", "SparkSession"}
    ran = workspace.apply("--prune=delete", "--confirm-project", "tests")
    assert (ran.code, states(emulator, "FlinkJar")) == (0, before["FlinkJar"]), ran.err
    new.write("moved.yaml", [each for each in moved if each["kind"] == "FlinkJar"])
    assert new.plan()["changes"] == []


def test_tags_that_cannot_be_written_are_a_failure(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    fill(emulator.url, "FlinkJar", ["nobodys"])
    workspace.write(
        "one.yaml",
        manifest("FlinkJar", "nobodys", SPECS["FlinkJar"], lifecycle={"adopt": True, "state": "stopped"}),
    )
    proxy.rule("POST", "tags/create", says(403, {"error_code": "DLI.0003", "error_msg": "Permission denied"}))
    ran = workspace.apply()
    assert (ran.code, "takes it over: writes the ownership tags" in ran.out) == (1, True), ran.out
    assert "Permission denied" in ran.out + ran.err


def test_strangers_are_left(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    for kind in SPECS:
        fill(emulator.url, kind, ["stranger", "gone"])
    clock.forward(5)
    assert workspace.apply("--prune").code == 0
    found = [(job["name"], job["state"]) for job in listed(emulator.url, "SparkBatch")]
    assert sorted(found) == [
        ("gone", "dead"),
        ("gone", "running"),
        ("kept-sparkbatch", "running"),
        ("stranger", "running"),
    ]


# --- what refuses it


def test_a_disabled_manifest_is_a_manifest(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, *SPECS)
    for queue in ("q", "another"):
        specs = {kind: {**spec, "queue": queue} if "queue" in spec else spec for kind, spec in SPECS.items()}
        workspace.write(
            "gone.yaml", [manifest(kind, "gone", spec, enabled=False) for kind, spec in specs.items()]
        )
        commit(workspace)
        before = {kind: states(emulator, kind) for kind in SPECS}
        assert workspace.apply("--prune=delete").code == 0
        assert {kind: states(emulator, kind)["gone"] for kind in ("SparkBatch", "FlinkJar")} == {
            kind: before[kind]["gone"] for kind in ("SparkBatch", "FlinkJar")
        }


@pytest.mark.parametrize(
    "selection", [["--select", "name=kept-*"], ["."], ["kept.yaml"], ["--changed-since", "HEAD"]]
)
@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_not_with_a_selection(
    workspace: Workspace, emulator: Emulator, clock: Clock, verb: str, selection: list[str]
) -> None:
    deploy(workspace, clock, "SparkBatch")
    yes = ["--yes"] if verb == "apply" else []
    ran = workspace.run(verb, *yes, "--prune=runs", *selection)
    assert (ran.code, "--prune cannot be combined with PATH, --select or" in ran.err) == (3, True)
    ran = workspace.run(verb, *yes, "--prune", "kept.yaml")
    assert (ran.code, "it cannot be combined with PATH" in ran.err) == (3, True)
    assert states(emulator, "SparkBatch")["gone"] == "running"


@pytest.mark.parametrize("kind", list(SPECS))
def test_a_listing_that_fails_refuses_it(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, kind: str
) -> None:
    deploy(workspace, clock, "SparkBatch", "SparkSession")
    (workspace.folder / "kept.yaml").unlink()
    workspace.write("kept.yaml", [each for each in KEPT if each["kind"] != kind])
    workspace.write("more.yaml", manifest("SparkBatch", "more", SPECS["SparkBatch"]))
    commit(workspace)
    path = {
        "SparkBatch": "/batches",
        "SparkSession": "/sessions",
        "FlinkJar": "/streaming/jobs",
        "MrsJob": "/job-executions",
    }[kind]
    proxy.rule("GET", path, says(403, {"error_code": "DLI.0003", "error_msg": "Permission denied"}))
    ran = workspace.apply("--prune")
    assert (ran.code, "No changes were applied." in ran.err) == (5, True), ran.out + ran.err
    assert "cannot be listed" in ran.out or kind == "SparkBatch"
    proxy.clear()
    assert "more" not in states(emulator, "SparkBatch")
    assert states(emulator, "SparkBatch")["gone"] == "running"


def test_an_invalid_manifest_refuses_it(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    workspace.write("broken.yaml", "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: broken}\n")
    assert workspace.apply("--prune").code == 4
    assert states(emulator, "SparkBatch")["gone"] == "running"


def test_more_than_five_need_consent(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch", "FlinkJar", names=("a", "b", "c"))
    ran = workspace.apply("--prune")
    assert "To allow it, override with --limit delete=N, or raise the limits in deployer.yaml." in ran.err
    assert (ran.code, "limits.delete is 5, but the plan has 6 to delete, cancel or prune" in ran.err) == (
        5,
        True,
    )
    assert "No changes were applied." in ran.err
    assert "apply would fail: limits.delete is 5" in workspace.run("plan", "--prune").err
    assert states(emulator, "SparkBatch")["a"] == "running"
    workspace.write_project(clusters=CLUSTERS, limits={"delete": 0})
    commit(workspace)
    assert workspace.apply("--prune").code == 5
    assert workspace.apply("--prune", "--limit", "delete=6").code == 0
    assert {states(emulator, "SparkBatch")[name] for name in "abc"} == {"dead"}


def test_all_jobs_of_a_kind_need_consent(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "MrsJob")
    workspace.write("kept.yaml", [each for each in KEPT if each["kind"] != "MrsJob"])
    commit(workspace)
    ran = workspace.apply("--prune")
    words = "this prune ends all live jobs of a kind that the project has: MrsJob (2 jobs); to allow it, use"
    assert (ran.code, f"{words} --prune-all MrsJob" in ran.err) == (5, True), ran.err
    assert states(emulator, "MrsJob")["gone"] == "RUNNING"
    wrong = workspace.apply("--prune", "--prune-all", "MrsJobs")
    assert (wrong.code, "unknown kind; did you mean 'MrsJob'?" in wrong.err) == (3, True), wrong.err
    assert workspace.apply("--prune", "--prune-all", "MrsJob").code == 0
    assert set(states(emulator, "MrsJob").values()) == {"KILLED"}


def test_without_a_terminal_it_wants_yes(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    ran = workspace.run("apply", "--prune")
    assert (ran.code, "use --yes" in ran.err) == (3, True)
    assert states(emulator, "SparkBatch")["gone"] == "running"


@pytest.mark.parametrize("option", [["--confirm-project", "tests"], ["--prune-all", "MrsJob"]])
def test_its_options_need_it(workspace: Workspace, option: list[str]) -> None:
    ran = workspace.apply(*option)
    assert (ran.code, f"{option[0]} requires --prune" in ran.err) == (3, True)


# --- its place in the plan


def test_it_is_approved_as_other_changes(
    workspace: Workspace, emulator: Emulator, clock: Clock, tmp_path: Path
) -> None:
    deploy(workspace, clock, "SparkBatch")
    without = workspace.plan()["digest"]
    data = workspace.plan("--prune")
    [change] = data["changes"]
    assert (change["action"], change["impact"], change["source"]) == ("cancel", "cancels", "no manifest")
    assert (change["prune"], data["orphans"], data["conditions"]["changes"]) == (True, [], 1)
    assert workspace.apply("--prune", "--expect", without).code == 6
    assert states(emulator, "SparkBatch")["gone"] == "running"
    saved = tmp_path / "plan.json"
    ran = workspace.run("plan", "--prune", "--out", str(saved))
    assert "--prune" in ran.err.splitlines()[-1]
    other = workspace.apply("--plan", str(saved))
    assert (other.code, "--prune is (not set), but the plan was created with runs" in other.err) == (3, True)
    assert states(emulator, "SparkBatch")["gone"] == "running"
    assert workspace.apply("--prune", "--plan", str(saved)).code == 0
    assert states(emulator, "SparkBatch")["gone"] == "dead"


def test_a_saved_plan_cannot_narrow_it(
    workspace: Workspace, emulator: Emulator, clock: Clock, tmp_path: Path
) -> None:
    deploy(workspace, clock, "SparkBatch")
    saved = tmp_path / "plan.json"
    workspace.run("plan", "--prune", "--out", str(saved))
    content = json.loads(saved.read_text())
    content["inputs"]["select"] = ["kind=FlinkJar"]
    saved.write_text(json.dumps(content))
    ran = workspace.apply("--prune", "--plan", str(saved))
    assert (ran.code, "--prune requires a plan of the whole project" in ran.err) == (3, True)
    assert states(emulator, "SparkBatch")["gone"] == "running"


def test_a_renamed_stream_is_not_stopped_for_a_new_one_that_is_blocked(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "FlinkJar")
    gone = states(emulator, "FlinkJar")["gone"]
    workspace.write("new.yaml", manifest("FlinkJar", "new", SPECS["FlinkJar"]))
    commit(workspace)
    ran = workspace.apply("--prune")
    assert (ran.code, "set metadata.renamedFrom: gone" in ran.out) == (5, True)
    assert "not pruned: 1 other change was not applied" in ran.out
    assert states(emulator, "FlinkJar")["gone"] == gone


def test_it_comes_last_and_only_after_success(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "SparkBatch")
    workspace.write("new.yaml", manifest("FlinkJar", "new", SPECS["FlinkJar"]))
    commit(workspace)
    proxy.rule("POST", "/flink-jobs", says(500, {"error_code": "DLI.0999", "error_msg": "Server error"}))
    ran = workspace.apply("--prune")
    assert ran.code in {1, 7, 8}
    assert "not pruned: 1 other change was not applied" in ran.out
    assert states(emulator, "SparkBatch")["gone"] == "running"
    proxy.clear()
    assert workspace.apply("--prune").code == 0
    assert states(emulator, "SparkBatch")["gone"] == "dead"


def test_the_journal_has_it(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    deploy(workspace, clock, "SparkBatch")
    workspace.apply("--prune")
    last = workspace.run("history", "--format", "json").json["requests"][-1]
    assert (last["call"], last["name"], last["result"]) == ("cancel", "gone", "done"), last


# --- other machines, and what goes wrong on the way


@pytest.fixture
def shared(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A remote for the workspace, which has a shared state there."""
    without_settings(tmp_path / "home", monkeypatch)
    monkeypatch.setenv("HW_AUTH_TOKEN", TOKEN)
    workspace.project = {"state": "git"}
    workspace.write_project(clusters=CLUSTERS)
    return bare_repository(tmp_path / "host" / "project.git")


def test_the_shared_journal_proves_it_elsewhere(
    workspace: Workspace, shared: Remote, emulator: Emulator, clock: Clock, tmp_path: Path
) -> None:
    workspace.write("kept.yaml", KEPT)
    workspace.write("gone.yaml", [manifest(kind, "gone", spec) for kind, spec in SPECS.items()])
    publish(workspace, shared)
    ran = workspace.apply()
    assert ran.code == 0, ran.err
    clock.forward(5)
    clock.tick = 0.2
    (workspace.folder / "gone.yaml").unlink()
    git(workspace.folder, "add", "-A")
    git(workspace.folder, "commit", "-q", "-m", "without them")
    git(workspace.folder, "push", "-q", "origin", "main")
    second = checkout(workspace, shared.url, tmp_path / "second", "--depth=1")
    assert all("fetch-depth: 0" in each["ending"] for each in orphans(second).values())
    git(second.folder, "fetch", "-q", "--unshallow")
    assert {each["proof"] for each in orphans(second).values()} == {"the journal has its id"}

    # While the journal cannot be read, nothing is sent.
    git(second.folder, "remote", "set-url", "origin", str(tmp_path / "none"))
    ran = second.apply("--prune")
    assert (ran.code, states(emulator, "SparkBatch")["gone"]) == (1, "running"), ran.err
    git(second.folder, "remote", "set-url", "origin", shared.url)

    ran = second.apply("--prune")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Apply complete: 4 applied."), ran.err
    assert {kind: states(emulator, kind)["gone"] for kind in SPECS} == ENDED
    again = workspace.apply("--prune")
    assert (again.code, again.out.splitlines()[-1]) == (0, "Apply complete: 0 applied.")


@pytest.mark.parametrize("kind", list(SPECS))
def test_a_response_that_is_lost(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, kind: str
) -> None:
    deploy(workspace, clock, kind)
    method, path = {
        "SparkBatch": ("DELETE", "/batches/"),
        "SparkSession": ("DELETE", "/sessions/"),
        "FlinkJar": ("POST", "/jobs/stop"),
        "MrsJob": ("POST", "/kill"),
    }[kind]
    proxy.rule(method, path, hangs_up(after=True), nth=1)
    ran = workspace.apply("--prune")
    assert (ran.code, states(emulator, kind)["gone"]) == (0, ENDED[kind]), ran.out
    assert proxy.count(method, path) >= 1
    assert workspace.apply("--prune").out.splitlines()[-1] == "Apply complete: 0 applied."


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_is_killed_between_intent_and_outcome(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, *, after: bool
) -> None:
    deploy(workspace, clock, "MrsJob", names=("a", "b"))
    command = [sys.executable, "-m", "deployer", "apply", "--yes", "--prune", "--parallelism", "1"]
    started: list[subprocess.Popen[bytes]] = []
    proxy.rule("POST", "/kill", interrupts(lambda: started[0].pid, signal.SIGKILL, after=after), nth=1)
    with subprocess.Popen(
        command, cwd=workspace.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        started.append(process)
        assert process.wait() == -signal.SIGKILL
    proxy.clear()
    found = states(emulator, "MrsJob")
    assert (found["b"], found["kept-mrsjob"]) == ("RUNNING", "RUNNING")
    ran = workspace.apply("--prune")
    assert ran.code == 0, ran.err
    found = states(emulator, "MrsJob")
    assert (found["a"], found["b"], found["kept-mrsjob"]) == ("KILLED", "KILLED", "RUNNING")


def test_a_stream_that_was_started_meanwhile_is_not_deleted(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    deploy(workspace, clock, "FlinkJar")
    assert workspace.apply("--prune").code == 0
    [gone] = [job for job in listed(emulator.url, "FlinkJar") if job["name"] == "gone"]
    body = json.dumps({"job_ids": [gone["job_id"]], "resume_savepoint": True}).encode()
    headers = {"X-Auth-Token": TOKEN, "Content-Type": "application/json"}

    def starts(call: Call) -> Answer:
        answer = call.forward()
        path = "/v1.0/pid/streaming/jobs/run"
        Call("POST", path, headers, body, emulator.url, lambda: None).forward()
        clock.forward(30)
        return answer

    # The last listing that the plan reads.
    proxy.rule("GET", f"/dli_flink_job/{gone['job_id']}/tags", starts, nth=2)
    ran = workspace.apply("--prune=delete")
    assert (ran.code, "refused" in ran.out) == (5, True), ran.out
    assert states(emulator, "FlinkJar")["gone"] == "job_running"
