"""One apply at a time for a project and target: a lock that ends with the process that holds it.

A second file names the holder, and is valid only while the lock is held. The lock file itself cannot contain
the name: every attempt to acquire the lock truncates it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from deployer.apply import provenance
from deployer.clock import utc_text
from deployer.errors import DeployerError

MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Owner:
    """The holder of a lock. `command` is its verb and target, without values."""

    user: str
    pid: int
    time: str
    command: str

    def __str__(self) -> str:
        return f"started {self.time} by {self.user} (pid {self.pid}): {self.command}"


@contextmanager
def hold(
    folder: Path, target: str, command: str, timeout: float = 0, note: Callable[[str], object] = str
) -> Iterator[None]:
    """Hold the lock of `target` in the project's state folder.

    Raises DeployerError if another process still holds it after `timeout` seconds. `note` is told whom it waits for.
    """
    lock = FileLock(folder / f"{target}.lock", timeout=0)
    owner_file = folder / f"{target}.lock.json"
    try:
        try:
            lock.acquire()
        except Timeout:
            if timeout:
                note(f"waiting: {_running(target, owner_file)}")
            lock.acquire(timeout=timeout)
    except Timeout:
        raise DeployerError(f"{_running(target, owner_file)}; no changes made") from None
    except OSError as error:
        raise DeployerError(f"cannot lock {lock.lock_file}: {error.strerror}") from None
    try:
        _write(owner_file, Owner(provenance.user(), os.getpid(), utc_text(datetime.now(UTC)), command))
        yield
    finally:
        # While the lock is still held: later the file may belong to the next holder.
        with suppress(OSError):
            owner_file.unlink()
        lock.release()


def _running(target: str, owner_file: Path) -> str:
    owner = _owner(owner_file)
    words = f"another apply of this project to target '{target}' is running"
    return f"{words}: {owner}" if owner else words


def _write(file: Path, owner: Owner) -> None:
    """Replace the file that a killed process may have left. Errors are ignored: it is only used in a message."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
        with file.open("x", encoding="utf-8") as fresh:
            json.dump(asdict(owner), fresh)


def _owner(file: Path) -> Owner | None:
    """Read the holder of the lock; None if the file is invalid, or names a process that has ended."""
    try:
        record = json.loads(file.read_text(encoding="utf-8")[: 10 * MAX_TEXT])
        user, pid, time, command = (record[name] for name in ("user", "pid", "time", "command"))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    strings = (user, time, command)
    if type(pid) is not int or pid <= 0 or not all(isinstance(value, str) for value in strings):
        return None
    if user.endswith(f"@{socket.gethostname()}") and not _is_alive(pid):
        return None
    user, time, command = (value[:MAX_TEXT] for value in strings)
    return Owner(user, pid, time, command)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # a process of another user
    return True
