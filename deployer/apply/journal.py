"""The journal of one project: what was sent, before it was sent, and what came of it.

`.deployer/journal.jsonl` is only ever appended to. A line is a JSON object with a `format` and an `event`:
an `intent` before each call that writes, and an `outcome` after it, which names its intent by `run` and
`number`. Each line is one write, and on the disk before the call is sent, so that after a crash the file
tells what may have been carried out.

It holds names, ids and messages, and never what a job is made of.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from deployer.apply import provenance as origin
from deployer.clock import Clock
from deployer.errors import DeployerError
from deployer.model import Change, Identity, Result, Step
from deployer.secrets import redact

FILE = "journal.jsonl"

# What stands in the place of a call where a stop was to leave a savepoint, and left none.
SAVEPOINT = "savepoint"

FORMAT = 1
MAX_TEXT = 2000
MAX_READ = 16 * 1024 * 1024  # of the end of the file; the rest is kept, and left out
MAX_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Intent:
    """A request about to be sent, and its outcome: `result` is empty if none is recorded.

    `author` is a user or a CI job. `run` is one per apply.
    """

    run: str
    number: int
    time: datetime
    target: str
    project_id: str
    revision: str
    author: str
    action: str
    call: str
    identity: Identity
    source: str
    reason: str
    id: str = ""
    result: str = ""
    ended: datetime | None = None
    message: str = ""
    request_id: str = ""

    @property
    def settled(self) -> bool:
        """Returns whether it is known what came of it."""
        return self.result not in {"", Result.UNKNOWN}


@dataclass(frozen=True, slots=True)
class History:
    """The content of a journal, newest last. `broken` counts unreadable lines, `cut` skipped bytes."""

    intents: tuple[Intent, ...] = ()
    broken: int = 0
    cut: int = 0


class Entry:
    """An intent that stands in the journal; `ended` writes its outcome."""

    def __init__(self, journal: Journal, number: int) -> None:
        self._journal = journal
        self._number = number

    def ended(self, result: str, id: str = "", message: str = "", request_id: str = "") -> None:  # noqa: A002
        """Writes the outcome. Where it cannot it does not raise: then the call counts as unknown."""
        self._journal.outcome(self._number, str(result), id, message, request_id)


class Journal:
    """A writer of the journal of one apply, for any number of threads. A context manager."""

    def __init__(
        self,
        descriptor: int,
        folder: Path,
        target: str,
        project_id: str,
        scrub: Callable[[str], str],
        environment: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._descriptor = descriptor
        self._folder = folder
        self._target = target
        self._project_id = project_id
        self._scrub = scrub
        self._environment = environment
        self._clock = clock
        self._lock = threading.Lock()
        self._number = 0
        self.run = uuid.uuid4().hex[:12]

    @classmethod
    def open(
        cls,
        folder: Path,
        target: str,
        project_id: str,
        *,
        scrub: Callable[[str], str] = str,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> Journal:
        """Opens the journal in the project's state folder, or begins it; raises DeployerError.

        `scrub` takes secrets out of whatever is written.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        path = folder / FILE
        try:
            descriptor = os.open(path, flags, 0o600)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise DeployerError(f"the journal {path} is not a plain file; nothing was sent")
                os.fchmod(descriptor, 0o600)
                _sync(folder)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise DeployerError(
                f"the journal {path} cannot be opened: {error.strerror}; nothing was sent"
            ) from None
        given = os.environ if environment is None else environment
        return cls(descriptor, folder, target, project_id, scrub, given, clock or Clock())

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def intent(self, change: Change, call: str, id: str = "") -> Entry:  # noqa: A002
        """Writes that `call` is about to be sent for `change`. Raises DeployerError: then do not send it."""
        identity = change.job.identity
        with self._lock:
            self._number += 1
            number = self._number
            try:
                self._write(
                    {
                        "format": FORMAT,
                        "event": "intent",
                        "run": self.run,
                        "number": number,
                        "time": self._now(),
                        "target": self._target,
                        "project": self._project_id,
                        "revision": self._revision,
                        "author": self._author,
                        "action": str(change.action),
                        "call": call,
                        "kind": identity.kind,
                        "place": identity.place,
                        "name": identity.name,
                        "source": str(change.job.source),
                        "reason": self._words(change.reason),
                        "id": self._words(id),
                    }
                )
            except OSError as error:
                where = self._folder / FILE
                raise DeployerError(
                    f"the journal {where} cannot be written: {error.strerror}; the call was not sent"
                ) from None
        return Entry(self, number)

    def outcome(self, number: int, result: str, id: str, message: str, request_id: str) -> None:  # noqa: A002
        """Writes what came of the intent `number`, if it can be written."""
        record = {
            "format": FORMAT,
            "event": "outcome",
            "run": self.run,
            "number": number,
            "time": self._now(),
            "result": result,
            "id": self._words(id),
            "request_id": self._words(request_id),
            "message": self._words(message),
        }
        with self._lock:
            try:
                self._write(record)
            except OSError:
                return

    @cached_property
    def _revision(self) -> str:
        return origin.revision(self._folder.absolute().parent, self._environment)

    @cached_property
    def _author(self) -> str:
        return self._words(origin.author(self._environment))

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.utc(), UTC).isoformat(timespec="milliseconds")

    def _words(self, text: str) -> str:
        return redact.text(self._scrub(text))[:MAX_TEXT]

    def _write(self, record: Mapping[str, object]) -> None:
        """Writes a line at once; on a new line after a torn one or another target's."""
        line = json.dumps(record).encode() + b"\n"
        if os.lseek(self._descriptor, 0, os.SEEK_END):
            os.lseek(self._descriptor, -1, os.SEEK_END)
            if os.read(self._descriptor, 1) != b"\n":
                line = b"\n" + line
        if os.write(self._descriptor, line) < len(line):
            raise OSError(0, "the disk is full")
        os.fsync(self._descriptor)


def _sync(folder: Path) -> None:
    """Makes a new file's name last, too, where folders can be synchronised."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path, most: int = MAX_READ) -> History:
    """Reads the journal in `folder`; empty if there is none. Raises DeployerError.

    Of a long one only the last `most` bytes are read.
    """
    path = folder / FILE
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise DeployerError(f"the journal {path} is not a plain file")
        with path.open("rb") as file:
            cut = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(cut)
            raw = file.read(most)
    except FileNotFoundError:
        return History()
    except OSError as error:
        raise DeployerError(f"the journal {path} cannot be read: {error.strerror}") from None
    if cut:
        cut += raw.find(b"\n") + 1
        raw = raw[raw.find(b"\n") + 1 :]
    intents: dict[tuple[str, int], Intent] = {}
    broken = 0
    for line in filter(None, raw.split(b"\n")):
        try:
            _take(line, intents)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            broken += 1
    return History(tuple(intents.values()), broken, cut)


def unsettled(history: History, target: str) -> tuple[Intent, ...]:
    """Returns the calls to `target` of which it is not known what came of them, newest last.

    Those of a job are forgotten when a later run sent something for the same job and knows what came of it.
    """
    open_calls: list[Intent] = []
    for intent in history.intents:
        if intent.target != target:
            continue
        if intent.settled:
            open_calls = [
                call for call in open_calls if call.identity != intent.identity or call.run == intent.run
            ]
        else:
            open_calls.append(intent)
    return tuple(open_calls)


def submitted(history: History, target: str, since: datetime) -> Mapping[str, Identity]:
    """Returns the ids of jobs that were submitted to `target` since then, where they are known.

    A listing that lags behind may not show them yet.
    """
    return {
        intent.id: intent.identity
        for intent in history.intents
        if intent.target == target
        and intent.call == Step.CREATE
        and intent.id
        and (intent.ended or intent.time) >= since
    }


def without_savepoint(history: History, target: str) -> frozenset[Identity]:
    """Returns the jobs whose last stop left no savepoint, and that were not started since."""
    lost: set[Identity] = set()
    for intent in history.intents:
        if intent.target == target and intent.call == SAVEPOINT:
            lost.add(intent.identity)
        elif intent.target == target and intent.call == Step.START and intent.result == Result.DONE:
            lost.discard(intent.identity)
    return frozenset(lost)


def _take(line: bytes, intents: dict[tuple[str, int], Intent]) -> None:
    """Adds what a line says to `intents`. Raises what a line can raise that is not as we write it."""
    if len(line) > MAX_LINE:
        raise ValueError
    record = json.loads(line)
    if record["format"] != FORMAT:
        raise ValueError
    number = record["number"]
    if type(number) is not int:
        raise TypeError
    texts = _Texts(record)
    key = (texts["run"], number)
    time = datetime.fromisoformat(texts["time"])
    if time.tzinfo is None:
        raise ValueError
    if record["event"] == "intent":
        intents[key] = Intent(
            run=key[0],
            number=number,
            time=time.astimezone(UTC),
            target=texts["target"],
            project_id=texts["project"],
            revision=texts["revision"],
            author=texts["author"],
            action=texts["action"],
            call=texts["call"],
            identity=Identity(texts["kind"], texts["place"], texts["name"]),
            source=texts["source"],
            reason=texts["reason"],
            id=texts["id"],
        )
    elif record["event"] == "outcome":
        # One whose intent was in the part that is left out belongs to nothing.
        before = intents.get(key)
        if before is not None:
            intents[key] = replace(
                before,
                result=texts["result"],
                ended=time.astimezone(UTC),
                id=texts["id"] or before.id,
                message=texts["message"],
                request_id=texts["request_id"],
            )
    else:
        raise ValueError


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts of a line; raises TypeError for what is none."""

    record: Mapping[str, Any]

    def __getitem__(self, name: str) -> str:
        value = self.record[name]
        if not isinstance(value, str):
            raise TypeError(name)
        return value
