"""The origin of an apply: the revision of the project's folder, the user or CI job, and whether it is a fork's."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployer.secrets import redact
from deployer.state.git import SAFE, git_program

GIT_SECONDS = 5
MAX_EVENT_BYTES = 26_214_400  # the maximum of GitHub for a payload
_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

_CI_REVISIONS = ("GITHUB_SHA", "CI_COMMIT_SHA")


def revision(folder: Path, environment: Mapping[str, str]) -> str:
    """Return the commit that is checked out in `folder`, with ` dirty` if its files differ from it.

    Without git it is the commit in the variables of the CI; empty if there is none.
    """
    head = git_output(folder, "rev-parse", "HEAD").strip()
    if _REVISION.fullmatch(head):
        changed = git_output(folder, "--no-optional-locks", "status", "--porcelain", "--", ".")
        return f"{head} dirty" if changed else head
    named = (environment.get(name, "").strip() for name in _CI_REVISIONS)
    return next((value for value in named if _REVISION.fullmatch(value)), "")


def is_tracked(path: Path) -> bool:
    """Return whether a file or folder, or anything in it, is in the index of git; False without git."""
    # No --error-unmatch: a failure of git itself would look the same.
    return bool(git_output(path.parent, "ls-files", "--cached", "--", f":(literal){path.name}"))


def lineage_problem(folder: Path, commit: str) -> str:
    """Return why a commit is not known to be in the history of what is checked out; empty if it certainly is."""
    if not _REVISION.fullmatch(commit):
        return "it does not record the commit that it was deployed from"
    # Objects in the repository can replace others, and a partial clone would ask its remote.
    asked = ("--no-replace-objects", "merge-base", "--is-ancestor", commit, "HEAD")
    done = _git(folder, asked, {"GIT_NO_LAZY_FETCH": "1"})
    if done is None or not has_history(folder):
        return "the history of the project cannot be read with git"
    if done.returncode == 0:
        return ""
    if git_output(folder, "rev-parse", "--is-shallow-repository").strip() == "true":
        what = f"the checkout is a shallow clone without its commit {commit[:12]}"
        return f"{what}; fetch the whole history (fetch-depth: 0)"
    where = f"deployed from commit {commit[:12]}, which is not in the history of this checkout"
    return f"{where}; check out the newest commit"


def has_history(folder: Path) -> bool:
    """Return whether git has a commit of the folder."""
    return bool(git_output(folder, "rev-parse", "--verify", "HEAD"))


def git_output(folder: Path, *arguments: str) -> str:
    """Return the output of git; empty if it fails. It receives neither our secrets nor the GIT_DIR of a hook."""
    done = _git(folder, arguments)
    return done.stdout.decode(errors="replace") if done and done.returncode == 0 else ""


def _git(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[bytes] | None:
    """Run git; None if that is not possible."""
    program = git_program(os.environ)
    if not program:
        return None
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    try:
        return subprocess.run(  # noqa: S603 - the arguments contain no untrusted text
            [program, *SAFE, *arguments],
            cwd=folder,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None


def author(environment: Mapping[str, str]) -> str:
    """Return the user and job in CI, otherwise the logged-in user and the host."""
    if run := environment.get("GITHUB_RUN_ID"):
        server, repository = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
        url = f"{server}/{repository}/actions/runs/{run}" if server and repository else f"GitHub run {run}"
        return _joined(environment.get("GITHUB_ACTOR"), url)
    if url := environment.get("CI_JOB_URL", ""):
        return _joined(environment.get("GITLAB_USER_LOGIN"), url)
    return user()


def user() -> str:
    """Return the logged-in user and the host: `user@host`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def _joined(*parts: str | None) -> str:
    return redact.redacted(", ".join(filter(None, parts)))


def is_fork(environment: Mapping[str, str]) -> bool:
    """Return whether this is the CI job of a pull request from a fork; also if that cannot be told.

    An event that does not name the source of its pull request, such as a comment, is not recognised.
    """
    # GitLab leaves the source out if its project is gone.
    if project := environment.get("CI_MERGE_REQUEST_PROJECT_ID"):
        return environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != project
    # Gitea and Forgejo set the variables of GitHub.
    event = environment.get("GITHUB_EVENT_NAME", "")
    if event == "workflow_run":
        source: tuple[str, ...] = ("workflow_run", "head_repository", "full_name")
    elif event.startswith("pull_request"):
        source = ("pull_request", "head", "repo", "full_name")
    else:
        return False
    value = _event(environment)
    for key in source:
        value = value.get(key) if isinstance(value, dict) else None
    repository = environment.get("GITHUB_REPOSITORY", "")
    return not isinstance(value, str) or not value or value.casefold() != repository.casefold()


def _event(environment: Mapping[str, str]) -> Any:
    """Return the payload of the event that started the CI job; None if it cannot be read."""
    path = Path(environment.get("GITHUB_EVENT_PATH", ""))
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            content = stream.read(MAX_EVENT_BYTES + 1)
        return json.loads(content) if len(content) <= MAX_EVENT_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
