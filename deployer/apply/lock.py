"""One apply at a time for a project and target: a lock that ends with the process that holds it.

A second file says who holds it, and is only believed while the lock is held. The lock's own file is no place
for that: whoever tries to take it empties it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from deployer.apply import provenance
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
def hold(folder: Path, target: str, command: str) -> Iterator[None]:
    """Hold the lock of `target` in the project's state folder. Raises DeployerError when another has it."""
    lock = FileLock(folder / f"{target}.lock", timeout=0)
    owner_file = folder / f"{target}.lock.json"
    try:
        lock.acquire()
    except Timeout:
        owner = _owner(owner_file)
        raise DeployerError(
            f"another apply of this project to target '{target}' is under way"
            f"{f': {owner}' if owner else ''}; nothing was done"
        ) from None
    except OSError as error:
        raise DeployerError(f"{lock.lock_file} cannot be locked: {error.strerror}") from None
    try:
        _write(owner_file, Owner(provenance.user(), os.getpid(), _now(), command))
        yield
    finally:
        # While the lock is still ours: after it the file may be the next one's.
        with suppress(OSError):
            owner_file.unlink()
        lock.release()


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _write(file: Path, owner: Owner) -> None:
    """Replace what a killed process may have left. It is only for a message, so it may fail."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
        with file.open("x", encoding="utf-8") as fresh:
            json.dump(asdict(owner), fresh)


def _owner(file: Path) -> Owner | None:
    """Read who holds the lock; None where the file does not say, or names a process that has ended."""
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
        return True  # it is another user's
    return True
