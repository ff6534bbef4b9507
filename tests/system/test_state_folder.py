"""Runs the real command in a checkout whose `.deployer/` came with it, or whose journal is not of this time."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployer.cli import run
from testing.workspace import SPECS, Workspace, manifest

READS_STATE = [
    ["plan"],
    ["apply", "--yes"],
    ["cancel", "--yes", "--all"],
    ["status"],
    ["history"],
]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def project(workspace: Workspace) -> Workspace:
    workspace.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    return workspace


@pytest.mark.parametrize("command", READS_STATE, ids=lambda command: command[0])
def test_a_tracked_folder_is_refused(project: Workspace, command: list[str]) -> None:
    git(project.folder, "init")
    project.write(".deployer/journal.jsonl", "")
    git(project.folder, "add", "--force", ".deployer")
    ran = project.run(*command)
    assert ran.code == 1
    assert ran.err.startswith(f"error: {project.folder / '.deployer'} is tracked by git")
    assert ran.err.endswith(f"with: git -C {project.folder} rm -r --cached .deployer\n")


def test_the_command_that_stops_tracking_works_from_any_folder(
    project: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "it's a checkout"
    shutil.copytree(project.folder, folder)
    git(folder, "init")
    (folder / ".deployer").mkdir()
    (folder / ".deployer" / "journal.jsonl").touch()
    git(folder, "add", "--force", ".deployer")
    monkeypatch.chdir(tmp_path)
    assert project.capture
    project.capture.readouterr()
    assert run(["plan", "-C", folder.name]) == 1
    command = project.capture.readouterr().err.rpartition("with: ")[2]
    subprocess.run(command, shell=True, check=True, capture_output=True, cwd="/")  # noqa: S602 - as a user does
    monkeypatch.chdir(tmp_path)
    assert run(["plan", "-C", folder.name]) == 0


def test_a_tracked_folder_above_the_project_is_none_of_it(project: Workspace) -> None:
    project.write("other/.deployer/journal.jsonl", "")
    git(project.folder, "init")
    git(project.folder, "add", "--force", "other")
    assert project.run("plan").code == 0


@pytest.mark.parametrize("name", ["journal.jsonl", "test.lock", "test.lock.json", "test.db", "anything"])
@pytest.mark.parametrize("command", READS_STATE, ids=lambda command: command[0])
def test_a_link_in_the_folder_is_refused(project: Workspace, command: list[str], name: str) -> None:
    outside = project.folder.parent / "outside"
    outside.write_text("")
    (project.folder / ".deployer").mkdir()
    (project.folder / ".deployer" / name).symlink_to(outside)
    ran = project.run(*command)
    assert ran.code == 1
    assert ran.err == (f"error: {project.folder / '.deployer' / name} must be a file, not a symbolic link\n")
    assert outside.read_text() == ""


@pytest.mark.parametrize("command", READS_STATE, ids=lambda command: command[0])
def test_a_linked_folder_is_refused(project: Workspace, command: list[str]) -> None:
    (project.folder.parent / "outside").mkdir()
    (project.folder / ".deployer").symlink_to("../outside")
    ran = project.run(*command)
    assert ran.code == 1
    assert "must be a folder in the project, not a symbolic link" in ran.err


# --- times ------------------------------------------------------------------------------------------------


def to_the_future(record: dict[str, Any]) -> None:
    record["time"] = (datetime.now(UTC) + timedelta(days=365)).isoformat()


def without_outcome(record: dict[str, Any]) -> None:
    to_the_future(record)
    if record["event"] == "outcome":
        record["event"] = "none"


@pytest.mark.parametrize("change", [to_the_future, without_outcome])
def test_a_time_in_the_future_makes_nothing_wait(
    project: Workspace, change: Callable[[dict[str, Any]], None]
) -> None:
    assert project.apply().code == 0
    journal = project.folder / ".deployer" / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    for record in records:
        change(record)
        if record["event"] == "outcome":
            record["id"] = "never-listed"
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))
    project.write_project(polling={"interval": "0s", "consistencyDelay": "10m"})
    began = time.monotonic()
    ran = project.run("plan")
    assert ran.code == 0, ran.err
    assert "not listed yet" not in ran.err
    ran = project.apply()
    assert ran.code == 0, ran.err
    assert "waiting" not in ran.err
    assert time.monotonic() - began < 300
