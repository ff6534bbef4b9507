"""`apply --plan` and `--expect`, repeated: what was applied already is no stale plan, everything else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.emulator import Emulator
from deployer.errors import Exit
from testing.faults import Call, listed
from testing.git_server import git, without_settings
from testing.workspace import SPECS, TOKEN, Clock, Ran, Workspace, manifest

BATCH = SPECS["SparkBatch"]
SIGNED = {"X-Auth-Token": TOKEN}
APPLIED = "This plan has already been applied, by run "


def write(workspace: Workspace, *names: str, **spec: object) -> None:
    for name in names:
        workspace.write(f"{name}.yaml", manifest("SparkBatch", name, BATCH | spec))


def commit(workspace: Workspace) -> None:
    git(workspace.folder, "add", ".")
    git(workspace.folder, "commit", "--quiet", "--allow-empty", "--message=A commit")


@pytest.fixture
def shop(
    workspace: Workspace, emulator: Emulator, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    """A committed project with two jobs, and a saved plan that creates them."""
    assert emulator
    without_settings(tmp_path / "home", monkeypatch)
    clock.tick = 0.1
    git(workspace.folder, "init", "--quiet", "--initial-branch=main", ".")
    workspace.write(".gitignore", "*.json\n*.md\n.deployer/\n")
    write(workspace, "alpha", "beta")
    commit(workspace)
    assert workspace.run("plan", "--out", "plan.json").code == Exit.DONE
    return workspace


def digest(workspace: Workspace) -> str:
    found: str = json.loads((workspace.folder / "plan.json").read_text("utf-8"))["digest"]
    return found


def again(workspace: Workspace, *arguments: str) -> Ran:
    return workspace.run("apply", "--yes", "--plan", "plan.json", *arguments)


def stale(ran: Ran) -> Ran:
    assert (ran.code, "No changes were applied." in ran.err) == (Exit.STALE, True), ran
    assert APPLIED not in ran.out + ran.err
    return ran


@pytest.mark.parametrize("by", ["plan", "expect", "both"])
def test_what_was_applied_is_no_stale_plan(shop: Workspace, emulator: Emulator, by: str) -> None:
    options = {"plan": ["--plan", "plan.json"], "expect": ["--expect", digest(shop)]}
    given = options.get(by) or [*options["plan"], *options["expect"]]
    assert shop.apply(*given).code == Exit.DONE
    ran = shop.apply(*given, "--report", "json=apply.json", "--report", "markdown=apply.md")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert f"{APPLIED}" in ran.out
    assert "and nothing is left to do. No changes were applied.\n" in ran.out
    assert len(listed(emulator.url, "SparkBatch")) == 2
    made = json.loads((shop.folder / "apply.json").read_text("utf-8"))
    assert (made["result"], made["exit_code"], made["messages"][0].startswith(APPLIED)) == (
        "no changes",
        0,
        True,
    )
    # And so it stays, however often.
    assert again(shop).code == Exit.DONE


def test_half_done(shop: Workspace, emulator: Emulator) -> None:
    refused = {"error_code": "DLI.1", "error_msg": "refused"}
    emulator.faults.add({"method": "POST", "path": "/batches$", "nth": 2, "status": 400, "body": refused})
    assert again(shop, "--parallelism=1").code == Exit.PARTLY
    ran = stale(again(shop))
    assert "note: 1 of 2 changes of the expected plan was applied, last by run " in ran.err
    assert "to apply it, run apply without --expect and --plan\n" in ran.err
    assert shop.apply().code == Exit.DONE
    # The rest was applied by another plan, which the saved one does not prove to be the same.
    ran = stale(again(shop))
    assert "according to the current plan, nothing is left to do\n" in ran.err
    assert len(listed(emulator.url, "SparkBatch")) == 2


def changes_a_job(workspace: Workspace) -> None:
    write(workspace, "alpha", className="com.example.Other")
    commit(workspace)


def adds_a_job(workspace: Workspace) -> None:
    write(workspace, "gamma")
    commit(workspace)


def makes_a_commit(workspace: Workspace) -> None:
    commit(workspace)


def removes_a_job(workspace: Workspace) -> None:
    (workspace.folder / "beta.yaml").unlink()
    commit(workspace)


def leaves_files_uncommitted(workspace: Workspace) -> None:
    workspace.write("notes.txt", "x")


def loses_the_journal(workspace: Workspace) -> None:
    (workspace.folder / ".deployer/journal.jsonl").unlink()


def has_no_git(workspace: Workspace) -> None:
    (workspace.folder / ".git").rename(workspace.folder.parent / "gone")


def leaves_a_doubt(workspace: Workspace) -> None:
    journal = workspace.folder / ".deployer/journal.jsonl"
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"number": 2' not in line or "intent" in line))


def forgets_a_request(workspace: Workspace) -> None:
    journal = workspace.folder / ".deployer/journal.jsonl"
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"number": 2' not in line))


@pytest.mark.parametrize(
    "differs",
    [
        changes_a_job,
        adds_a_job,
        makes_a_commit,
        removes_a_job,
        leaves_files_uncommitted,
        loses_the_journal,
        has_no_git,
        leaves_a_doubt,
        forgets_a_request,
    ],
)
def test_whatever_else_differs_is_stale(shop: Workspace, differs: Callable[[Workspace], None]) -> None:
    expected = digest(shop)
    assert again(shop).code == Exit.DONE
    differs(shop)
    stale(again(shop))
    stale(shop.apply("--expect", expected))


def test_a_run_that_has_ended_since_and_a_list_that_cannot_be_read(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    assert again(shop).code == Exit.DONE
    clock.forward(3600)
    assert again(shop).code == Exit.DONE
    emulator.faults.add({"method": "GET", "path": "/batches", "status": 500})
    stale(again(shop))


def test_another_target_another_project_and_another_digest(shop: Workspace) -> None:
    assert again(shop).code == Exit.DONE
    stale(shop.apply("--expect", "0" * 64))
    stale(shop.apply("--expect", ""))
    stale(again(shop, "--expect", "0" * 64))
    journal = shop.folder / ".deployer/journal.jsonl"
    text = journal.read_text("utf-8")
    for name, value in (("target", "test"), ("project", "pid"), ("project_name", "tests")):
        journal.write_text(text.replace(f'"{name}": "{value}"', f'"{name}": "other"'))
        stale(again(shop))
    journal.write_text(text)
    assert again(shop).code == Exit.DONE


def test_an_order_of_a_change_that_is_not_done(shop: Workspace) -> None:
    """A plan with the same digest that asks for the same again, as with --rerun, has something left to do."""
    assert again(shop).code == Exit.DONE
    ran = shop.apply("--expect", digest(shop), "--rerun", "name=alpha")
    stale(ran)


def test_what_a_later_commit_has_changed_back_is_not_applied_again(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """The job of an older merge is repeated in CI: its plan is the reviewed one again, as the stream keeps its id."""

    def change(number: int) -> None:
        shop.write("clicks.yaml", manifest("FlinkJar", "clicks", {**SPECS["FlinkJar"], "cu_number": number}))
        commit(shop)

    def units() -> object:
        clock.forward(600)
        [stream] = listed(emulator.url, "FlinkJar")
        found = Call(
            "GET", f"/v1.0/pid/streaming/jobs/{stream['job_id']}", SIGNED, b"", emulator.url, lambda: None
        )
        return found.forward().json["job_detail"]["job_config"]["cu_number"]

    change(4)
    assert shop.apply().code == Exit.DONE
    units()
    change(6)
    older = git(shop.folder, "rev-parse", "HEAD").strip()
    shop.run("plan", "--out", "plan.json")
    assert again(shop).code == Exit.DONE
    assert units() == 6
    change(4)
    assert shop.apply().code == Exit.DONE
    assert units() == 4
    git(shop.folder, "checkout", "--quiet", older)
    ran = stale(again(shop))
    assert "error: the expected plan was applied before, by run " in ran.err
    assert units() == 4
    # Without a plan to compare with, somebody wants it so.
    assert shop.apply().code == Exit.DONE
    assert units() == 6
