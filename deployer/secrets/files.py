"""Opens a file only if it is a regular one below a folder, wherever links lead."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def resolve_below(folder: Path, file: str) -> Path:
    """Return the real path of a regular file below `folder`, to which `file` is relative.

    Raises ValueError with the reason, OSError if it does not exist.
    """
    real = Path(os.path.realpath(folder / file))
    root = Path(os.path.realpath(folder))
    if real == root or not real.is_relative_to(root):
        raise ValueError(f"is outside {folder}")
    if not stat.S_ISREG(real.lstat().st_mode):
        raise ValueError("is not a file")
    return real


def read_below(folder: Path, file: str, limit: int) -> bytes:
    """Read a regular file below `folder` of at most `limit` bytes. Raises OSError, ValueError with the reason."""
    real = resolve_below(folder, file)
    # Opened once: a link that somebody puts there meanwhile is not followed, nor waited for if it is a pipe.
    flags = (
        os.O_RDONLY
        | getattr(os, "O_NOFOLLOW", 0)
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_CLOEXEC", 0)
    )
    with os.fdopen(os.open(real, flags), "rb") as opened:
        status = os.fstat(opened.fileno())
        # A folder of the path may have been replaced by a link, too.
        if not stat.S_ISREG(status.st_mode) or not os.path.samestat(
            status, resolve_below(folder, file).lstat()
        ):
            raise ValueError("is not a file")
        content = opened.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"is longer than {limit // 1024} KiB")
    return content
