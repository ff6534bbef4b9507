"""The folder `.deployer/` of a project, with the lock, the journal and the emulator's jobs of this checkout.

What is in it decides what is submitted, so it must be the checkout's own: not one that came with the repository, nor a
link to another place.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from deployer.errors import DeployerError
from deployer.project.load import STATE_FOLDER


def state_folder(project: Path) -> Path:
    """Return `.deployer/` of a project; create it if missing, and exclude it from Git. Raises DeployerError."""
    folder = project / STATE_FOLDER
    _require_no_links(folder)
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise DeployerError(f"cannot write {folder}: {error.strerror}") from None
    return folder


def require_own_state(project: Path) -> None:
    """Refuse a `.deployer/` that came with the repository: its journal would say what was submitted.

    Raises DeployerError.
    """
    from deployer.apply.provenance import is_tracked

    folder = project / STATE_FOLDER
    _require_no_links(folder)
    if folder.exists() and is_tracked(folder):
        command = shlex.join(["git", "-C", str(project.absolute()), "rm", "-r", "--cached", STATE_FOLDER])
        raise DeployerError(
            f"{folder} is tracked by git, but its files must not come from a repository: they record what "
            f"was submitted from this folder; remove it from git with: {command}"
        )


def _require_no_links(folder: Path) -> None:
    """Refuse links, which would redirect the files to a place outside the project. Raises DeployerError."""
    if folder.is_symlink():
        raise DeployerError(f"{folder} must be a folder in the project, not a symbolic link")
    try:
        links = sorted(entry.name for entry in os.scandir(folder) if entry.is_symlink())
    except FileNotFoundError:
        return
    except OSError as error:
        raise DeployerError(f"cannot read {folder}: {error.strerror}") from None
    if links:
        raise DeployerError(f"{folder / links[0]} must be a file, not a symbolic link")
