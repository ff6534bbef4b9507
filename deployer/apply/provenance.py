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

# A folder of a pull request can look like a bare repository whose configuration names programs to run.
_SAFE = ("-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false")
_CI_REVISIONS = ("GITHUB_SHA", "CI_COMMIT_SHA")


def revision(folder: Path, environment: Mapping[str, str]) -> str:
    """Return the commit that is checked out in `folder`, and `dirty` where its files differ from it.

    Without git it is what the CI's variables say; empty where nothing tells.
    """
    head = _git(folder, "rev-parse", "HEAD").strip()
    if _REVISION.fullmatch(head):
        changed = _git(folder, "--no-optional-locks", "status", "--porcelain", "--", ".")
        return f"{head} dirty" if changed else head
    named = (environment.get(name, "").strip() for name in _CI_REVISIONS)
    return next((value for value in named if _REVISION.fullmatch(value)), "")


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints; empty where it fails. It gets neither our secrets nor the GIT_DIR of a hook."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - no text of anybody's is in the arguments
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
    """Return the CI's user and job where there is one, or else who is logged in, and where."""
    if run := environment.get("GITHUB_RUN_ID"):
        server, repository = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
        url = f"{server}/{repository}/actions/runs/{run}" if server and repository else f"GitHub run {run}"
        return _joined(environment.get("GITHUB_ACTOR"), url)
    if url := environment.get("CI_JOB_URL", ""):
        return _joined(environment.get("GITLAB_USER_LOGIN"), url)
    return user()


def user() -> str:
    """Return who is logged in, and on which machine: `user@machine`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def _joined(*parts: str | None) -> str:
    return redact.text(", ".join(filter(None, parts)))
