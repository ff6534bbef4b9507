"""The key `state` of deployer.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.errors import InvalidInput
from deployer.project import load as project
from deployer.project.state import StateSettings
from testing.workspace import Workspace, findings

PROJECT = """\
apiVersion: deployer/v1
kind: Project
metadata: {name: orders}
targets: {test: {emulator: true}}
state: """


def settings(bare: Workspace, text: str) -> StateSettings:
    bare.write("deployer.yaml", PROJECT + text + "\n")
    return project.load(bare.folder).state


def problems(bare: Workspace, text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        settings(bare, text)
    return [str(problem).removeprefix("deployer.yaml:") for problem in caught.value.problems]


def test_without_the_key_the_state_is_local(bare: Workspace) -> None:
    bare.write("deployer.yaml", PROJECT.removesuffix("state: "))
    assert project.load(bare.folder).state == StateSettings(uses_git=False, remote="origin", branch="")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local", StateSettings(uses_git=False)),
        ("git", StateSettings(uses_git=True, remote="origin", branch="")),
        ("{git: {}}", StateSettings(uses_git=True, remote="origin", branch="")),
        ("{git: {remote: upstream}}", StateSettings(uses_git=True, remote="upstream")),
        ("{git: {branch: deployer-state}}", StateSettings(uses_git=True, branch="deployer-state")),
        (
            "{git: {remote: a.b_c-1, branch: deployer/v1.x_y/z}}",
            StateSettings(True, "a.b_c-1", "deployer/v1.x_y/z"),
        ),
        ("{git: {branch: deployer}}", StateSettings(uses_git=True, branch="deployer")),
        ("{git: {branch: deployer.locks}}", StateSettings(uses_git=True, branch="deployer.locks")),
    ],
)
def test_the_settings(bare: Workspace, text: str, expected: StateSettings) -> None:
    assert settings(bare, text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gti", "5:8: error: 'state' must be one of local, git, got 'gti'; did you mean 'git'? [E035]"),
        ("obs", "5:8: error: 'state' must be one of local, git, got 'obs' [E035]"),
        ("true", "5:8: error: 'state' must be local, git, or a mapping with git [E035]"),
        ("", "5:7: error: 'state' must be local, git, or a mapping with git [E035]"),
        ("[git]", "5:8: error: 'state' must be local, git, or a mapping with git [E035]"),
        ("{}", "5:8: error: 'state' must not be empty [E035]"),
        ("{gti: {}}", "5:9: error: unknown field 'gti' in state; did you mean 'git'? [E032]"),
        ("{local: {}}", "5:9: error: unknown field 'local' in state; known: git [E032]"),
        ("{git: }", "5:14: error: 'git' must be a mapping, got null [E034]"),
        ("{git: origin}", "5:14: error: 'git' must be a mapping, got 'origin' [E034]"),
        (
            "{git: {remotes: x}}",
            "5:15: error: unknown field 'remotes' in state.git; did you mean 'remote'? [E032]",
        ),
        ("{git: {branch: 5}}", "5:23: error: 'branch' must be a string, got the number 5 (quote it) [E034]"),
        ("{git: {branch: main}}", "5:23: error: 'branch' must begin with 'deployer' [E035]"),
    ],
)
def test_problems_of_the_settings(bare: Workspace, text: str, problem: str) -> None:
    assert problems(bare, text) == [problem]


HOSTILE_REMOTES: list[str] = [
    "",
    "-x",
    "--upload-pack=touch x",
    ".",
    "..",
    ".git",
    "/srv/x",
    "a/b",
    "../x",
    "C:x",
    "https://user:hunter2@example.com/x.git",
    "git@example.com:x.git",
    "ext::sh -c id",
    "a b",
    "a\n",
    "a\0b",
    "órigin",
    "{{ secret('X') }}",
    "a" * 101,
]


@pytest.mark.parametrize("remote", HOSTILE_REMOTES)
def test_a_remote_is_a_name(bare: Workspace, remote: str) -> None:
    found = refused(bare, {"git": {"remote": remote}})
    assert all("'remote' must" in finding or "character" in finding for finding in found)
    assert not any("hunter2" in finding for finding in found)


HOSTILE_BRANCHES = [
    "",
    "main",
    "refs/heads/main",
    "Deployer",
    "-deployer",
    "../deployer",
    "deployer/../main",
    "deployer..main",
    "deployer//x",
    "deployer/",
    "deployer.",
    "deployer./x",
    "deployer/.x",
    "deployer.lock",
    "deployer/a.lock",
    "deployer.lock/a",
    "deployer:main",
    "deployer:refs/heads/main",
    "deployer x",
    "deployer\n",
    "deployer\t",
    "deployer~1",
    "deployer^",
    "deployer*",
    "deployer?",
    "deployer[",
    "deployer\\x",
    "deployer@{1}",
    "deployer%2F",
    "deployer\0",
    "deployer\x7f",
    "deployer-ü",
    "deployer{{ 1 }}",
    "deployer" + "x" * 93,
]


@pytest.mark.parametrize("branch", HOSTILE_BRANCHES)
def test_a_branch_is_one_of_deployer(bare: Workspace, branch: str) -> None:
    found = refused(bare, {"git": {"branch": branch}})
    assert all("'branch' must" in finding or "character" in finding for finding in found)


def refused(bare: Workspace, state: Any) -> list[str]:
    bare.project["state"] = state
    bare.write_project()
    ran = bare.run("validate")
    assert ran.code == 4
    found = findings(ran.err)
    assert found
    assert all(finding.startswith("deployer.yaml:") for finding in found)
    return found
