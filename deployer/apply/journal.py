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
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from deployer.apply import provenance
from deployer.clock import Clock
from deployer.errors import DeployerError
from deployer.model import Change, Identity, Result, Step
from deployer.secrets import redact
from deployer.secrets.scrub import clean_request_id
from deployer.state.takeover import FORMAT

FILE = "journal.jsonl"

# Recorded as `call` when a stop should have created a savepoint, but created none.
SAVEPOINT = "savepoint"

MAX_TEXT = 2000


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
        project_name: str = "",
        is_shared: bool = False,
    ) -> None:
        self._is_shared = is_shared
        self._project_name = project_name
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
        # The digest of the plan that is applied, and the number of its changes: the same apply is recognized later.
        self.plan_applied: tuple[str, int] | None = None
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
        project_name: str = "",
        is_shared: bool = False,
    ) -> Journal:
        """Open or create the journal in the project's state folder; raises DeployerError.

        `project_id` is the cloud project, and `project_name` that of deployer.yaml, without which no line proves that a
        job is the project's. `scrub` removes secrets from all text that is written. `is_shared`: keep the lines, for
        `content`.
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
            descriptor,
            folder,
            target,
            project_id,
            scrub,
            given,
            clock or Clock(),
            project_name=project_name,
            is_shared=is_shared,
        )

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            os.fsync(self._descriptor)
        os.close(self._descriptor)

    def intent(self, change: Change, call: str, id: str = "") -> Entry:  # noqa: A002
        """Record that `call` is about to be sent for `change`. Raises DeployerError: then do not send it."""
        with self._lock:
            self._number += 1
            number = self._number
            record = self._request("intent", number, change, call, id)
            try:
                self._write(record)
                os.fsync(self._descriptor)
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
        record = outcome_record(
            self.run,
            number,
            self._now(),
            result,
            self._clean(id),
            self._clean(message),
            clean_request_id(request_id, self._clean),
        )
        with self._lock:
            if result != Result.UNKNOWN:
                self._in_doubt.discard(number)
            self._keep(record)
            # Not synchronised: if the machine fails, the outcome counts as unknown.
            with suppress(OSError):
                self._write(record)

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
                        self._planned[key] = record_line(self._request("planned", number, change, step, live))
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
                self._lines.append(record_line(record))

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
            "project_name": self._project_name,
            "revision": self._revision,
            "author": self.author,
            "action": str(change.action),
            "call": call,
            "kind": identity.kind,
            "place": identity.place,
            "name": identity.name,
            **({"run_key": identity.run} if identity.run else {}),
            "source": str(change.job.source),
            "reason": self._clean(change.reason),
            "id": self._clean(id),
            **(
                dict(zip(("plan", "plan_changes"), self.plan_applied, strict=True))
                if self.plan_applied
                else {}
            ),
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
            self._lines.append(record_line(record))

    def _write(self, record: Mapping[str, object]) -> None:
        """Append a line in one write; starts a new line after one that a crash has cut off."""
        line = record_line(record)
        if os.lseek(self._descriptor, 0, os.SEEK_END):
            os.lseek(self._descriptor, -1, os.SEEK_END)
            if os.read(self._descriptor, 1) != b"\n":
                line = b"\n" + line
        if os.write(self._descriptor, line) < len(line):
            raise OSError(0, "the disk is full")


def outcome_record(
    run: str,
    number: int,
    time: str,
    result: str,
    id: str,  # noqa: A002
    message: str,
    request_id: str = "",
) -> Mapping[str, object]:
    """Return the record of the outcome of the request `number` of a run."""
    return {
        "format": FORMAT,
        "event": "outcome",
        "run": run,
        "number": number,
        "time": time,
        "result": result,
        "id": id,
        "request_id": request_id,
        "message": message,
    }


def record_line(record: Mapping[str, object]) -> bytes:
    """Return the line of a record."""
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
