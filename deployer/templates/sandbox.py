"""Renders templates in a separate process: they are untrusted, and may use excessive time and memory.

The process has no environment and no credentials, and is started for the first text with a template. It
renders ahead while its responses are processed.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deployer
from deployer.documents.budget import Budget
from deployer.documents.parse import PlainText, YamlText
from deployer.errors import Code, DeployerError, Problem
from deployer.model import Location
from deployer.templates import protocol
from deployer.templates.rendered import RenderedText

WALL_SECONDS = 10.0
START_SECONDS = 60.0
MAX_STOPS = 3
AHEAD = 32
AHEAD_CHARACTERS = 4 * 2**20

_SYNTAX = re.compile(r"\{[{%#]")
_BOOT = "import sys; sys.path += sys.argv[1:]; from deployer.templates.worker import main; main()"
# Variables that Python may need to start.
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


@dataclass(frozen=True, slots=True)
class Task:
    """A text to render. `each` has additional values; `via` is the include path of the text."""

    file: str
    text: str
    each: Mapping[str, Any] | None = None
    via: tuple[str, ...] = ()


Result = YamlText | tuple[Problem, ...]


@dataclass(slots=True)
class _Pending:
    task: Task
    result: Result | None = None

    @property
    def start(self) -> Location:
        return Location(self.task.file, 1, 1, self.task.via)

    def refuse(self, message: str) -> None:
        self.result = (Problem(self.start, message, Code.TEMPLATE_LIMIT),)


class Sandbox:
    """A renderer with fixed values and secret names. A context manager that ends the process.

    A text that exceeds the limits is an error of its file only. After `MAX_STOPS` of them rendering stops, as
    each takes its time; and at once when the `budget` of the run is exceeded. `wall_seconds` is the maximum time
    to wait for a response.
    """

    def __init__(
        self,
        folder: Path,
        values: Mapping[str, Any],
        secrets: frozenset[str],
        *,
        wall_seconds: float = WALL_SECONDS,
        budget: Budget | None = None,
    ) -> None:
        self._common = {"folder": str(folder.absolute()), "values": values, "names": sorted(secrets)}
        self._wall_seconds = wall_seconds
        self._budget = budget or Budget()
        self._child: _Child | None = None
        self._sent: deque[_Pending] = deque()
        self._stops = 0

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_child()

    def render(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield the result of each task in order: a text, or all of its problems."""
        source = iter(tasks)
        ahead: deque[_Pending] = deque()
        characters = 0
        while True:
            while len(ahead) < AHEAD and characters < AHEAD_CHARACTERS and (task := next(source, None)):
                ahead.append(self._start(task))
                characters += len(task.text)
            if not ahead:
                return
            pending = ahead.popleft()
            characters -= len(pending.task.text)
            while pending.result is None:
                self._receive()
            yield pending.result

    def _start(self, task: Task) -> _Pending:
        pending = _Pending(task)
        if _SYNTAX.search(task.text):
            self._send(pending)
        else:
            pending.result = PlainText(task.file, task.text, task.via)
            if exceeded := self._budget.spend(pending.start, size=len(task.text)):
                pending.result = (exceeded,)
        return pending

    def _send(self, pending: _Pending) -> None:
        if self._stops >= MAX_STOPS:
            pending.refuse(f"not rendered: {MAX_STOPS} earlier templates exceeded time or memory limits")
            return
        task = pending.task
        message = protocol.encoded({"file": task.file, "text": task.text, "each": task.each})
        if exceeded := self._budget.spend(pending.start, size=len(message)):
            pending.result = (exceeded,)
            return
        self._child = self._child or _Child(self._common)
        self._child.send(message)
        self._sent.append(pending)

    def _receive(self) -> None:
        """Receive the next response, which is that of the oldest pending task."""
        child, pending = self._child, self._sent.popleft()
        response = child.receive(self._wall_seconds) if child else None
        try:
            data = protocol.decoded(response or b"")
            seconds = float(data["seconds"])
            pending.result, costly = _result(data, pending.task.via)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            pending.refuse(self._end_child())
            costly, seconds = True, protocol.SECONDS
        size, seconds = len(response or b""), max(0.0, seconds)
        if exceeded := self._budget.spend(pending.start, size=size, seconds=seconds):
            pending.result = (exceeded,)
        if not costly:
            return
        self._stops += 1
        if not self._child or self._stops >= MAX_STOPS:
            self._end_child()
            rest = list(self._sent)
            self._sent.clear()
            for unsent in rest:
                self._send(unsent)

    def _end_child(self) -> str:
        """End the process, and return the reason."""
        child, self._child = self._child, None
        return child.end() if child else ""


def _result(data: Any, via: tuple[str, ...]) -> tuple[Result, bool]:
    """Return the result in a response, and whether a failure was costly. Raises for an invalid response."""
    if "rendered" in data:
        return RenderedText.from_json(data["rendered"], via), False
    return tuple(protocol.to_problem(problem, via) for problem in data["problems"]), bool(data["costly"])


class _Child:
    """The process, and the threads that serve its pipes: otherwise both sides could wait for each other."""

    def __init__(self, common: Mapping[str, Any]) -> None:
        self._process = _process()
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._responses: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._is_ready = False
        self._at_end = False
        self._is_late = False
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._write, self._read)]
        for thread in self._threads:
            thread.start()
        self.send(protocol.encoded(common))

    def send(self, message: bytes) -> None:
        self._messages.put(message)

    def receive(self, seconds: float) -> bytes | None:
        """Return the next response; None after a timeout."""
        if not self._is_ready:
            if self._next(START_SECONDS) != protocol.READY:
                self.end()
                raise DeployerError("cannot start the template renderer")
            self._is_ready = True
        return self._next(seconds)

    def end(self) -> str:
        """End the process; return the cause if it ended by itself."""
        died, late = self._at_end, self._is_late
        self._process.kill()  # without effect if it has ended by itself
        self._messages.put(None)
        while not self._at_end:
            self._next(None)
        for thread in self._threads:
            thread.join()
        code = self._process.wait()
        if late:
            return "the template renderer timed out"
        return _cause(code) if died else "the template renderer returned an invalid response"

    def _next(self, seconds: float | None) -> bytes | None:
        try:
            response = self._responses.get(timeout=seconds)
        except queue.Empty:
            self._is_late = True
            return None
        self._at_end = response is None
        return response

    def _write(self) -> None:
        stream = self._process.stdin
        with suppress(OSError):
            while stream and (message := self._messages.get()) is not None:
                protocol.write(stream, message)
        with suppress(OSError):
            if stream:
                stream.close()

    def _read(self) -> None:
        stream = self._process.stdout
        while stream and (response := protocol.read(stream, protocol.MAX_RESPONSE)) is not None:
            self._responses.put(response)
        self._responses.put(None)
        if stream:
            stream.close()


def _process() -> subprocess.Popen[bytes]:
    flags = ["-s", "-S", "-P", "-W", "ignore", *(["-B"] if sys.dont_write_bytecode else [])]
    if sys.pycache_prefix:
        flags += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    own = str(Path(deployer.__file__).parents[1])
    path = dict.fromkeys(str(Path(entry).absolute()) for entry in (own, *filter(None, sys.path)))
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, *flags, "-c", _BOOT, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, "PYTHONHASHSEED": "0"},  # sets have a deterministic order
            # Ctrl-C is handled by the parent.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        raise DeployerError(f"cannot start the template renderer: {error.strerror}") from None


def _cause(code: int) -> str:
    """Return the reason for which the process ended by itself."""
    if code in (protocol.OUT_OF_TIME, -getattr(signal, "SIGPROF", 0)):
        return f"the template exceeded {protocol.SECONDS:g} s of CPU time"
    if code == protocol.OUT_OF_MEMORY:
        return f"the template exceeded {protocol.MEMORY // 2**20} MiB of memory"
    return f"the template renderer exited with {code}"
