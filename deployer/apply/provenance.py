"""The origin of an apply: the revision of the project's folder, and the user or CI job behind it."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deployer.secrets import redact

GIT_SECONDS = 5
_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

# A folder in a pull request can look like a bare repository whose configuration names programs to run.
_SAFE = (
    *("-c", "safe.bareRepository=explicit"),
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
)
_CI_REVISIONS = ("GITHUB_SHA", "CI_COMMIT_SHA")


def revision(folder: Path, environment: Mapping[str, str]) -> str:
    """Return the commit that is checked out in `folder`, with ` dirty` if its files differ from it.

    Without git it is the commit in the variables of the CI; empty if there is none.
    """
    head = _git(folder, "rev-parse", "HEAD").strip()
    if _REVISION.fullmatch(head):
        changed = _git(folder, "--no-optional-locks", "status", "--porcelain", "--", ".")
        return f"{head} dirty" if changed else head
    named = (environment.get(name, "").strip() for name in _CI_REVISIONS)
    return next((value for value in named if _REVISION.fullmatch(value)), "")


def is_tracked(path: Path) -> bool:
    """Return whether a file or folder, or anything in it, is in the index of git; False without git."""
    # No --error-unmatch: a failure of git itself would look the same.
    return bool(_git(path.parent, "ls-files", "--cached", "--", f":(literal){path.name}"))


def _git(folder: Path, *arguments: str) -> str:
    """Return the output of git; empty if it fails. It receives neither our secrets nor the GIT_DIR of a hook."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - the arguments contain no untrusted text
            ["git", *_SAFE, *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


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
