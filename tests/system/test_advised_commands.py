"""A command that a message advises can be copied: into a shell, in the folder where the first one was started."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployer.cli import run
from testing.faults import FaultProxy, hangs_up
from testing.workspace import SPECS, Ran, Workspace, manifest

NAMES = [
    "daily",
    "two words",
    "$(touch pwned)`id`",
    'it\'s; rm -rf "x" && :',
    "-t",
    "day*",
    "d[a]y?",
    "a,b",
    " edge ",
    "a\u3164b",
]


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def command_from(folder: Path, workspace: Workspace, *arguments: str) -> Ran:
    """Run one command in a folder other than the project's."""
    assert workspace.capture
    workspace.capture.readouterr()
    with inside(folder):
        code = run(arguments)
    return Ran(int(code), *workspace.capture.readouterr())


def advised(text: str, before: str) -> list[str]:
    """Return the words of the command after `before`, as a shell splits them."""
    [command] = re.findall(rf"{before}: (deployer .*)$", text, re.MULTILINE)
    first, *words = shlex.split(command)
    assert first == "deployer"
    return words


@pytest.mark.parametrize("name", NAMES)
def test_the_command_after_an_unknown_outcome_shows_this_job(
    name: str, workspace: Workspace, proxy: FaultProxy, tmp_path: Path
) -> None:
    others = [
        manifest("SparkBatch", other, SPECS["SparkBatch"])
        for other in ("daily", "dayz", "day")
        if other != name
    ]
    workspace.write("jobs.yaml", others)
    assert workspace.apply().code == 0
    workspace.write("jobs.yaml", [*others, manifest("SparkBatch", name, SPECS["SparkBatch"])])
    proxy.rule("POST", "/batches", hangs_up(after=False))
    ran = command_from(tmp_path, workspace, "apply", "--yes", "-C", "project")
    assert ran.code == 7, ran
    words = advised(ran.out, "check with")
    assert words[:5] == ["plan", "-C", "project", "-t", "test"]
    proxy.clear()
    again = command_from(tmp_path, workspace, *words)
    assert again.code == 0, again.err
    planned = command_from(tmp_path, workspace, *words, "--format", "json").json
    assert [change["name"] for change in planned["changes"]] == [name]
    assert not (tmp_path / "pwned").exists()
    # Some names have no expression: then all jobs of the kind are shown.
    is_exact = sum(planned["summary"].values()) == 1
    assert is_exact == (name not in ("a,b", " edge ", "a\u3164b"))


def test_the_command_for_a_saved_plan_applies_it(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write(
        "jobs.yaml", manifest("SparkBatch", "daily", {**SPECS["SparkBatch"], "file": "{{ file }}"})
    )
    workspace.write("_values.yaml", {"file": "a.py"})
    workspace.write("folder/other.yaml", manifest("SparkBatch", "other", SPECS["SparkBatch"]))
    out = "the plan's.json"
    options = ("--values", "_values.yaml", "--out", f"../{out}", "--rerun", "name=d*")
    made = command_from(tmp_path, workspace, "-C", "project", "plan", *options)
    words = advised(made.err, "apply it with")
    assert words == [
        *("apply", "-C", "project", "-t", "test", "--values", "_values.yaml", "--plan", f"../{out}"),
        *("--rerun", "name=d*"),
    ]
    applied = command_from(tmp_path, workspace, *words, "--yes")
    assert applied.code == 0, applied.err


def test_a_command_from_a_folder_of_the_project_needs_no_folder(workspace: Workspace) -> None:
    workspace.write("folder/other.yaml", manifest("SparkBatch", "other", SPECS["SparkBatch"]))
    folder = workspace.folder / "folder"
    made = command_from(folder, workspace, "plan", "--out", "plan.json")
    words = advised(made.err, "apply it with")
    assert words == ["apply", "-t", "test", "--plan", "plan.json"]
    assert command_from(folder, workspace, *words, "--yes").code == 0


def test_a_project_that_only_a_path_names(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write("other.yaml", manifest("SparkBatch", "other", SPECS["SparkBatch"]))
    made = command_from(tmp_path, workspace, "plan", "project/other.yaml", "--out", "plan.json")
    words = advised(made.err, "apply it with")
    assert words == ["apply", "-C", "project", "-t", "test", "--plan", "../plan.json"]
    assert command_from(tmp_path, workspace, *words, "--yes").code == 0


def test_values_of_settings_are_not_in_a_command(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write("jobs.yaml", manifest("SparkBatch", "daily", SPECS["SparkBatch"]))
    made = command_from(
        tmp_path, workspace, "plan", "-C", "project", "--set", "x=hunter2", "--out", "plan.json"
    )
    assert "--set x=VALUE" in made.err
    assert "hunter2" not in made.err


@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.parametrize("is_split", [False, True])
def test_an_absolute_folder_stays_as_it_was_given(
    workspace: Workspace, tmp_path: Path, is_split: bool, is_link: bool
) -> None:
    workspace.write("folder/other.yaml", manifest("SparkBatch", "other", SPECS["SparkBatch"]))
    elsewhere = tmp_path / "else where"
    (elsewhere / "below").mkdir(parents=True)
    project = workspace.folder
    if is_link:
        project = elsewhere / "below" / "project"
        project.symlink_to(workspace.folder)
    folders = (
        ["-C", str(project.parent), "plan", "-C", "project"] if is_split else ["plan", "-C", str(project)]
    )
    made = command_from(elsewhere, workspace, *folders, "--out", "../plan.json")
    words = advised(made.err, "apply it with")
    assert words == ["apply", "-C", str(project), "-t", "test", "--plan", "../plan.json"]
    assert command_from(elsewhere / "below", workspace, *words, "--yes").code == 0


def test_an_absolute_folder_in_the_project_becomes_that_of_the_project(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.write("folder/other.yaml", manifest("SparkBatch", "other", SPECS["SparkBatch"]))
    folder = str(workspace.folder / "folder")
    made = command_from(tmp_path, workspace, "plan", "-C", folder, "--out", "plan.json")
    words = advised(made.err, "apply it with")
    assert words == ["apply", "-C", str(workspace.folder), "-t", "test", "--plan", "folder/plan.json"]
    assert command_from(tmp_path, workspace, *words, "--yes").code == 0
