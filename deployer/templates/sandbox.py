"""Renders templates in a separate process: they are untrusted, and may use excessive time and memory.

The process has no environment and no credentials, and is started for the first text with a template. It
renders ahead while its responses are processed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.documents.budget import Budget
from deployer.documents.parse import PlainText, YamlText
from deployer.errors import Code, Problem
from deployer.model import Location
from deployer.templates import protocol
from deployer.templates.process import Child
from deployer.templates.rendered import RenderedText

WALL_SECONDS = 10.0
MAX_STOPS = 3
AHEAD = 32
AHEAD_CHARACTERS = 4 * 2**20

_SYNTAX = re.compile(r"\{[{%#]")


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
        self._child: Child | None = None
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
        self._child = self._child or Child(self._common)
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
