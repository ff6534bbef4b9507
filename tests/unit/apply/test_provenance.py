"""Provenance: who applies, and from which revision."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deployer.apply import provenance
from unit.apply.test_journal import GITHUB, SHA


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.check_output(["git", *who, *arguments], cwd=folder, text=True).strip()


def test_the_revision_is_what_is_checked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, ci = tmp_path / "repository" / "project", {"GITHUB_SHA": SHA}
    project.mkdir(parents=True)
    assert provenance.revision(project, ci) == SHA
    assert provenance.revision(project, {}) == ""
    assert provenance.revision(project, {"CI_COMMIT_SHA": SHA}) == SHA
    assert provenance.revision(project, {"CI_COMMIT_SHA": "$(evil)"}) == ""
    git(project.parent, "init", "-q")
    (project / "a.yaml").write_text("a")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "one")
    head = git(project, "rev-parse", "HEAD")
    assert provenance.revision(project, ci) == head
    (project.parent / "elsewhere").write_text("")
    assert provenance.revision(project, ci) == head
    monkeypatch.setenv("GIT_DIR", str(tmp_path))  # as in a hook
    (project / "b.yaml").write_text("b")
    assert provenance.revision(project, ci) == f"{head} dirty"


def test_a_folder_that_looks_like_a_repository_runs_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "plain")
    git(tmp_path / "plain", "commit", "-q", "--allow-empty", "-m", "one")
    git(tmp_path, "clone", "-q", "--bare", "plain", "bare")
    evil = {"core.bare": "false", "core.worktree": ".", "core.fsmonitor": f"touch {tmp_path / 'ran'};:"}
    for key, value in evil.items():
        git(tmp_path / "bare", "config", key, value)
    assert provenance.revision(tmp_path / "bare", {}) == ""
    assert not (tmp_path / "ran").exists()


def test_who() -> None:
    where = {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "o/r"}
    assert provenance.author(GITHUB) == "ann, GitHub run 77"
    assert provenance.author(GITHUB | where) == "ann, https://github.example/o/r/actions/runs/77"
    gitlab = {"CI_JOB_URL": "https://u:pw@gitlab.example/1", "GITLAB_USER_LOGIN": "ben"}
    assert provenance.author(gitlab) == "ben, https://***@gitlab.example/1"
    assert provenance.author({}) == provenance.user()


# --- pull requests from forks -----------------------------------------------------------------------------


def github(folder: Path, event: str, payload: Any) -> dict[str, str]:
    """Return the variables of a GitHub job; a payload that is not data is written as it is."""
    path = folder / "event.json"
    path.write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return {
        "GITHUB_EVENT_NAME": event,
        "GITHUB_REPOSITORY": "shop/jobs",
        "GITHUB_EVENT_PATH": str(path),
    }


def pull_request(head: Any) -> Any:
    # As of a repository that is a fork itself: `fork` says nothing about the pull request.
    base = {"repo": {"full_name": "shop/jobs", "fork": True}}
    return {"action": "opened", "pull_request": {"head": head, "base": base}}


OWN = {"repo": {"full_name": "shop/jobs", "fork": True}}
FORK = {"repo": {"full_name": "mallory/jobs", "fork": True}}


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "pull_request_review"])
@pytest.mark.parametrize(
    ("head", "fork"),
    [
        (OWN, False),
        ({"repo": {"full_name": "Shop/Jobs"}}, False),
        (FORK, True),
        ({"repo": None}, True),
        ({}, True),
        (None, True),
        ({"repo": {"full_name": ["shop/jobs"]}}, True),
        ({"repo": {"full_name": ""}}, True),
        ({"repo": "shop/jobs"}, True),
    ],
)
def test_a_pull_request_of_github_from_a_fork(tmp_path: Path, event: str, head: Any, fork: bool) -> None:
    assert provenance.is_fork(github(tmp_path, event, pull_request(head))) is fork


@pytest.mark.parametrize(
    "event", ["push", "schedule", "workflow_dispatch", "merge_group", "issue_comment", ""]
)
def test_other_events_are_of_no_fork(tmp_path: Path, event: str) -> None:
    assert not provenance.is_fork(github(tmp_path, event, pull_request(FORK)))


def test_a_workflow_that_runs_after_that_of_a_fork(tmp_path: Path) -> None:
    for repository, fork in (("shop/jobs", False), ("mallory/jobs", True)):
        payload = {"workflow_run": {"head_repository": {"full_name": repository}}}
        assert provenance.is_fork(github(tmp_path, "workflow_run", payload)) is fork
    assert provenance.is_fork(github(tmp_path, "workflow_run", pull_request(OWN)))


def test_the_repository_must_be_known(tmp_path: Path) -> None:
    environment = github(tmp_path, "pull_request", pull_request({"repo": {"full_name": ""}}))
    assert provenance.is_fork(environment | {"GITHUB_REPOSITORY": ""})
    environment = github(tmp_path, "pull_request", pull_request(OWN))
    del environment["GITHUB_REPOSITORY"]
    assert provenance.is_fork(environment)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"[" * 200_000,
        b'{"pull_request": ' + b"1" * 5000 + b"}",
        b'{"pull_request": {"head": {"repo": {"full_name": "shop/jobs"}}}}'
        + b" " * provenance.MAX_EVENT_BYTES,
    ],
    ids=["empty", "cut", "not UTF-8", "list", "number", "deep", "long number", "too large"],
)
def test_a_pull_request_with_an_unreadable_payload_counts_as_a_fork(tmp_path: Path, payload: bytes) -> None:
    assert provenance.is_fork(github(tmp_path, "pull_request", payload))


def test_a_pull_request_without_a_payload_counts_as_a_fork(tmp_path: Path) -> None:
    environment = github(tmp_path, "pull_request", pull_request(OWN))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "pipe", "a\0b", "x" * 5000, ""):
        assert provenance.is_fork(environment | {"GITHUB_EVENT_PATH": str(path)}), path
    del environment["GITHUB_EVENT_PATH"]
    assert provenance.is_fork(environment)


@pytest.mark.parametrize(
    ("variables", "fork"),
    [
        ({"CI_MERGE_REQUEST_PROJECT_ID": "7", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7"}, False),
        ({"CI_MERGE_REQUEST_PROJECT_ID": "7", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}, True),
        ({"CI_MERGE_REQUEST_PROJECT_ID": "7", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": ""}, True),
        ({"CI_MERGE_REQUEST_PROJECT_ID": "7"}, True),
        ({"CI_PROJECT_ID": "7", "CI_COMMIT_BRANCH": "main"}, False),
        ({}, False),
    ],
)
def test_a_merge_request_of_gitlab_from_a_fork(variables: dict[str, str], fork: bool) -> None:
    assert provenance.is_fork(variables) is fork
