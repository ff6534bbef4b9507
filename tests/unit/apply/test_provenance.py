"""Provenance: who applies, and from which revision."""

from __future__ import annotations

import subprocess
from pathlib import Path

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
