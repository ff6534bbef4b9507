"""Keeps two emulators off one database: each would show the other's jobs under its own clock, limits and faults."""

from __future__ import annotations

import os
from contextlib import suppress
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
        self._file = Path(f"{database}.lock")
        self._descriptor = -1
        if not fcntl:
            return
        database.parent.mkdir(parents=True, exist_ok=True)
        while not self._is_in_place():
            self._open(fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def _open(self, mode: int) -> None:
        self._close()
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise OSError("another emulator uses this database") from None
        except BaseException:
            self._close()
            raise

    def _is_in_place(self) -> bool:
        """Return whether the locked file is the one of that name: its last holder removes it."""
        try:
            return self._descriptor >= 0 and os.path.samestat(os.fstat(self._descriptor), self._file.lstat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """End the lock; the last holder removes the file. May be called twice."""
        if self._descriptor < 0:
            return
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_in_place():
                self._file.unlink()
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
