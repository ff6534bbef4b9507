"""The journal of one project: each write before it is sent, and its outcome after.

`.deployer/journal.jsonl` is only ever appended to. A line is a JSON object with a `format` and an `event`:
an `intent` before each write request, and an `outcome` after it, which refers to its intent by `run` and
`number`. Each line is written at once and is on the disk before the request is sent, so after a crash the file
shows what may have been executed.

With a shared state (`deployer.state`) each apply has such a file there, too. While the apply is underway, that
file begins with a `planned` line for each step that it may send, as the state is not written before each request.
It ends with `end`; that of a run that died has `taken-over`, and the outcomes that a later run found.

It contains names, ids and messages, never the spec of a job.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from deployer.apply import provenance
from deployer.clock import Clock
from deployer.errors import DeployerError
from deployer.model import Change, Identity, Result, Step
from deployer.secrets import redact
from deployer.state.takeover import FORMAT, TAKEN_OVER

FILE = "journal.jsonl"

# The results of requests of a run that died, as a later run found the job.
FOUND = "found"
NOT_FOUND = "not found"

# Recorded as `call` when a stop should have created a savepoint, but created none.
SAVEPOINT = "savepoint"

MAX_TEXT = 2000
MAX_READ = 16 * 1024 * 1024  # of the end of the file; the rest is kept, but not read
MAX_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that was about to be sent, and its outcome: `result` is empty if none is recorded.

    `author` is a user or a CI job. `run` is one per apply. `is_planned`: it may have been sent, in a run that died.
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
    is_planned: bool = False

    @property
    def settled(self) -> bool:
        """Return whether the outcome is known."""
        return self.result not in {"", Result.UNKNOWN}


@dataclass(frozen=True, slots=True)
class History:
    """The content of a journal, newest last. `broken` counts unreadable lines, `cut` the skipped bytes.

    `taken_over` has the runs that died.
    """

    intents: tuple[Intent, ...] = ()
    broken: int = 0
    cut: int = 0
    taken_over: Mapping[str, Takeover] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Takeover:
    """The takeover of a lock `by` a run; UNLOCK if a user has removed it."""

    by: str
    time: datetime


class Entry:
    """An intent in the journal that has no outcome yet."""

    def __init__(self, journal: Journal, number: int) -> None:
        self._journal = journal
        self._number = number

    def record_outcome(
        self,
        result: str,
        id: str = "",  # noqa: A002
        message: str = "",
        request_id: str = "",
    ) -> None:
        """Write the outcome. Does not raise if that fails: the outcome then remains unknown."""
        self._journal.record_outcome(self._number, str(result), id, message, request_id)


class Journal:
    """The writer of one apply's journal, for any number of threads. A context manager."""

    def __init__(
        self,
        descriptor: int,
        folder: Path,
        target: str,
        project_id: str,
        scrub: Callable[[str], str],
        environment: Mapping[str, str],
        clock: Clock,
        *,
        is_shared: bool = False,
    ) -> None:
        self._is_shared = is_shared
        self._descriptor = descriptor
        self._folder = folder
        self._target = target
        self._project_id = project_id
        self._scrub = scrub
        self._environment = environment
        self._clock = clock
        self._lock = threading.Lock()
        self._number = 0
        self._lines: list[bytes] = []
        self._planned: dict[tuple[Identity, str], bytes] = {}
        self._numbered: set[tuple[Identity, str]] = set()
        # The requests without a known outcome that must not be sent twice.
        self._in_doubt: set[int] = set()
        self.run = uuid.uuid4().hex[:12]
        # Lets a shared state be written soon.
        self.publish: Callable[[], object] = lambda: None

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
        is_shared: bool = False,
    ) -> Journal:
        """Open or create the journal in the project's state folder; raises DeployerError.

        `scrub` removes secrets from all text that is written. `is_shared`: keep the lines, for `content`.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        path = folder / FILE
        try:
            descriptor = os.open(path, flags, 0o600)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise DeployerError(f"journal {path} is not a regular file; no request was sent")
                os.fchmod(descriptor, 0o600)
                _sync(folder)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise DeployerError(
                f"cannot open journal {path}: {error.strerror}; no request was sent"
            ) from None
        given = os.environ if environment is None else environment
        return cls(
            descriptor, folder, target, project_id, scrub, given, clock or Clock(), is_shared=is_shared
        )

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def intent(self, change: Change, call: str, id: str = "") -> Entry:  # noqa: A002
        """Record that `call` is about to be sent for `change`. Raises DeployerError: then do not send it."""
        with self._lock:
            self._number += 1
            number = self._number
            record = self._request("intent", number, change, call, id)
            try:
                self._write(record)
                self._keep(record)
                self._planned.pop((change.job.identity, call), None)
                if call in {Step.CREATE, Step.START}:
                    self._in_doubt.add(number)
            except OSError as error:
                where = self._folder / FILE
                raise DeployerError(
                    f"cannot write journal {where}: {error.strerror}; the request was not sent"
                ) from None
        if call == SAVEPOINT:
            self.publish()  # no request follows before which it would be
        return Entry(self, number)

    def record_outcome(self, number: int, result: str, id: str, message: str, request_id: str) -> None:  # noqa: A002
        """Write the outcome of the intent `number`, if possible."""
        record = {
            "format": FORMAT,
            "event": "outcome",
            "run": self.run,
            "number": number,
            "time": self._now(),
            "result": result,
            "id": self._clean(id),
            "request_id": self._clean(request_id),
            "message": self._clean(message),
        }
        with self._lock:
            if result != Result.UNKNOWN:
                self._in_doubt.discard(number)
            self._keep(record)
            try:
                self._write(record)
            except OSError:
                return

    def plan(self, changes: Iterable[Change]) -> bool:
        """Record the steps that may be sent, for a shared state; return whether there is a new one among them."""
        with self._lock:
            before = len(self._numbered)
            for change in changes:
                for step in change.steps:
                    key = (change.job.identity, str(step))
                    if key not in self._numbered:
                        self._numbered.add(key)
                        live = change.live.id if change.live else ""
                        number = -len(self._numbered)
                        self._planned[key] = _line(self._request("planned", number, change, step, live))
            return len(self._numbered) > before

    def content(self) -> bytes:
        """Return the lines of this run for a shared state, while it is underway."""
        with self._lock:
            return b"".join((*self._planned.values(), *self._lines))

    @property
    def in_doubt(self) -> bool:
        """Whether a job may still be created or started: a request has no outcome, or an unknown one."""
        with self._lock:
            return bool(self._in_doubt)

    def end(self) -> None:
        """Record that no more requests will be sent: the planned ones that were not are forgotten."""
        with self._lock:
            self._planned.clear()
            if self._lines:
                record = {"format": FORMAT, "event": "end", "run": self.run, "time": self._now()}
                self._lines.append(_line(record))

    def _request(self, event: str, number: int, change: Change, call: str, id: str) -> Mapping[str, object]:  # noqa: A002
        identity = change.job.identity
        return {
            "format": FORMAT,
            "event": event,
            "run": self.run,
            "number": number,
            "time": self._now(),
            "target": self._target,
            "project": self._project_id,
            "revision": self._revision,
            "author": self.author,
            "action": str(change.action),
            "call": call,
            "kind": identity.kind,
            "place": identity.place,
            "name": identity.name,
            "source": str(change.job.source),
            "reason": self._clean(change.reason),
            "id": self._clean(id),
        }

    @cached_property
    def _revision(self) -> str:
        return provenance.revision(self._folder.absolute().parent, self._environment)

    @cached_property
    def author(self) -> str:
        """The user or the CI job."""
        return self._clean(provenance.author(self._environment))

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.utc(), UTC).isoformat(timespec="milliseconds")

    def _clean(self, text: str) -> str:
        """Remove secrets from a text, and shorten it."""
        return redact.redacted(self._scrub(text))[:MAX_TEXT]

    def _keep(self, record: Mapping[str, object]) -> None:
        if self._is_shared:
            self._lines.append(_line(record))

    def _write(self, record: Mapping[str, object]) -> None:
        """Append a line in one write; starts a new line after one that a crash has cut off."""
        line = _line(record)
        if os.lseek(self._descriptor, 0, os.SEEK_END):
            os.lseek(self._descriptor, -1, os.SEEK_END)
            if os.read(self._descriptor, 1) != b"\n":
                line = b"\n" + line
        if os.write(self._descriptor, line) < len(line):
            raise OSError(0, "the disk is full")
        os.fsync(self._descriptor)


def _line(record: Mapping[str, object]) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _sync(folder: Path) -> None:
    """Synchronise the folder too, where the system allows it, so that the name of a new file persists."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path, most: int = MAX_READ, before: Iterable[bytes] = ()) -> History:
    """Read the journal in `folder`; an empty history if there is none. Raises DeployerError.

    Only the last `most` bytes of a long journal are read. `before` are the contents of other journals.
    """
    path = folder / FILE
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise DeployerError(f"journal {path} is not a regular file")
        with path.open("rb") as file:
            cut = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(cut)
            raw = file.read(most)
    except FileNotFoundError:
        return parse(before)
    except OSError as error:
        raise DeployerError(f"cannot read journal {path}: {error.strerror}") from None
    if cut:
        cut += raw.find(b"\n") + 1
        raw = raw[raw.find(b"\n") + 1 :]
    return replace(parse([*before, raw]), cut=cut)


def parse(contents: Iterable[bytes]) -> History:
    """Return the history of several files; what a later one has of a request supplements an earlier one."""
    intents: dict[tuple[str, int], Intent] = {}
    ended: set[str] = set()
    taken_over: dict[str, Takeover] = {}
    broken = 0
    for content in contents:
        for line in filter(None, content.split(b"\n")):
            try:
                _add(line, intents, ended, taken_over)
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                broken += 1
    kept = _without_repeated(
        [intent for intent in intents.values() if not (intent.is_planned and intent.run in ended)]
    )
    begun: dict[str, datetime] = {}
    for intent in kept:
        begun[intent.run] = min(intent.time, begun.get(intent.run, intent.time))
    in_order = tuple(sorted(kept, key=lambda intent: begun[intent.run]))
    died = {run: by for run, by in taken_over.items() if run not in ended}
    return History(in_order, broken, taken_over=died)


def _without_repeated(intents: Sequence[Intent]) -> list[Intent]:
    """Return the requests without the planned ones that were sent, whose outcome may be known by now."""
    sent = {(intent.run, intent.identity, intent.call) for intent in intents if not intent.is_planned}
    planned = {
        key: intent
        for intent in intents
        if intent.is_planned and (key := (intent.run, intent.identity, intent.call)) in sent
    }
    kept = []
    for intent in intents:
        other = planned.get((intent.run, intent.identity, intent.call))
        if other is None:
            kept.append(intent)
        elif not intent.is_planned:
            is_found = other.settled and not intent.settled
            found = replace(
                intent, result=other.result, id=other.id, message=other.message, ended=other.ended
            )
            kept.append(found if is_found else intent)
    return kept


def found_line(intent: Intent, result: str, id: str, message: str, by: str) -> bytes:  # noqa: A002
    """Return the outcome of another run's request as the run `by` found it, a line for the journal of that run."""
    record = {
        "format": FORMAT,
        "event": "outcome",
        "run": intent.run,
        "number": intent.number,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "result": result,
        "id": id,
        "request_id": "",
        "message": message,
        "by": by,
    }
    return _line(record)


def unsettled(history: History, target: str) -> tuple[Intent, ...]:
    """Return the requests to `target` whose outcome is unknown, newest last.

    Those of a job are dropped if a later run sent a request for the same job with a known outcome.
    """
    open_calls: dict[Identity, list[Intent]] = {}
    for intent in history.intents:
        if intent.target != target:
            continue
        if not intent.settled:
            open_calls.setdefault(intent.identity, []).append(intent)
        elif earlier := open_calls.get(intent.identity):
            open_calls[intent.identity] = [call for call in earlier if call.run == intent.run]
    unknown = {id(call) for calls in open_calls.values() for call in calls}
    return tuple(intent for intent in history.intents if id(intent) in unknown)


def submitted(
    history: History, target: str, since: datetime, until: datetime | None = None
) -> Mapping[str, Identity]:
    """Return the known ids of the jobs that were submitted to `target` from `since` until `until`.

    A delayed listing may not show them yet. A time in the future is not that of a submission. Those that were
    deleted since are left out.
    """
    deleted = deleted_ids(history, target)
    return {
        intent.id: intent.identity
        for intent in history.intents
        if intent.target == target
        and intent.call == Step.CREATE
        and intent.id
        and intent.id not in deleted
        and (intent.settled or not intent.is_planned)
        and (intent.ended or intent.time) >= since
        and (until is None or (intent.ended or intent.time) <= until)
    }


def deleted_ids(history: History, target: str) -> frozenset[str]:
    """Return the ids of the jobs that were deleted in `target`."""
    return frozenset(
        intent.id
        for intent in history.intents
        if intent.target == target and intent.call == Step.DELETE and intent.result == Result.DONE
    )


def without_savepoint(history: History, target: str) -> frozenset[Identity]:
    """Return the jobs whose last stop created no savepoint and that were not started since."""
    lost: set[Identity] = set()
    for intent in history.intents:
        if intent.target == target and intent.call == SAVEPOINT:
            lost.add(intent.identity)
        elif intent.target == target and intent.call == Step.START and intent.result == Result.DONE:
            lost.discard(intent.identity)
    return frozenset(lost)


def _add(
    line: bytes, intents: dict[tuple[str, int], Intent], ended: set[str], taken_over: dict[str, Takeover]
) -> None:
    """Add the record of a line to the others. Raises the errors that an invalid line can cause."""
    if len(line) > MAX_LINE:
        raise ValueError
    record = json.loads(line)
    if record["format"] != FORMAT:
        raise ValueError
    strings = _Strings(record)
    event, run = strings["event"], strings["run"]
    time = datetime.fromisoformat(strings["time"])
    if time.tzinfo is None:
        raise ValueError
    if event == "end":
        ended.add(run)
        return
    if event == TAKEN_OVER:
        taken_over[run] = Takeover(strings["by"], time.astimezone(UTC))
        return
    number = record["number"]
    if type(number) is not int:
        raise TypeError
    key = (run, number)
    if event in {"intent", "planned"}:
        intent = Intent(
            run=run,
            number=number,
            time=time.astimezone(UTC),
            target=strings["target"],
            project_id=strings["project"],
            revision=strings["revision"],
            author=strings["author"],
            action=strings["action"],
            call=strings["call"],
            identity=Identity(strings["kind"], strings["place"], strings["name"]),
            source=strings["source"],
            reason=strings["reason"],
            id=strings["id"],
            is_planned=event == "planned",
        )
        # A second copy of the journal may lack the outcome that the first has.
        intents.setdefault(key, intent)
    elif event == "outcome":
        # The intent of an outcome may be in the part that was skipped.
        before, result = intents.get(key), strings["result"]
        if before is not None and (result != Result.UNKNOWN or not before.result):
            intents[key] = replace(
                before,
                result=result,
                ended=time.astimezone(UTC),
                id=strings["id"] or before.id,
                message=strings["message"],
                request_id=strings["request_id"],
            )
    else:
        raise ValueError


@dataclass(frozen=True, slots=True)
class _Strings:
    """The strings of a record; raises TypeError for other types."""

    record: Mapping[str, Any]

    def __getitem__(self, name: str) -> str:
        value = self.record[name]
        if not isinstance(value, str):
            raise TypeError(name)
        return value
