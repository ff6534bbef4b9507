"""Keeps two emulators off one database: each would show the other's jobs under its own clock, limits and faults."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class DatabaseLock:
    """A lock in a file next to the database, which ends with the process. Raises OSError if it is taken.

    Not on the database itself: closing it would release the locks of SQLite. The emulators inside of commands share
    it, as a plan may run beside an apply; one that serves alone does not.
    """

    def __init__(self, database: Path, *, shared: bool) -> None:
        database.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(f"{database}.lock", flags, 0o600)
        try:
            if fcntl:
                fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise OSError("another emulator uses this database") from None
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """End the lock. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
