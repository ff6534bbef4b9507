"""Renders templates in a separate process: they are untrusted, and may use excessive time and memory.

The process has no environment and no credentials, and is started for the first text with a template. It
renders ahead while its responses are processed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from deployer.documents.budget import Budget
from deployer.documents.parse import PlainText, YamlText
from deployer.errors import Code, Problem
from deployer.model import Location
from deployer.templates import protocol
from deployer.templates.holes import Holes, Question, Questions, groups
from deployer.templates.process import Child
from deployer.templates.rendered import RenderedText

WALL_SECONDS = 10.0
MAX_STOPS = 3
AHEAD = 128
AHEAD_CHARACTERS = 4 * 2**20
# Questions in one message.
BATCH = 48
COSTLY_SECONDS = 0.4 * protocol.SECONDS

TEMPLATE = re.compile(r"\{[{%#]")
_INVALID = (ValueError, TypeError, KeyError, IndexError, RecursionError)


@dataclass(frozen=True, slots=True)
class Task:
    """A text to render. `each` has additional values; `via` is the include path of the text.

    `overlay` is the number of the values that its folder has on top of those of the project; 0 for none.
    """

    file: str
    text: str
    each: Mapping[str, Any] | None = None
    via: tuple[str, ...] = ()
    overlay: int = 0


Result = YamlText | tuple[Problem, ...]


@dataclass(slots=True)
class _Pending:
    """A task until it has its result. With `holes`, it waits for the answers to their questions."""

    task: Task
    result: Result | None = None
    holes: Holes | None = None

    @property
    def start(self) -> Location:
        return Location(self.task.file, 1, 1, self.task.via)

    def waits(self) -> bool:
        """Return whether questions are not answered yet."""
        return bool(self.holes and self.holes.are_open())

    def refuse(self, message: str) -> None:
        self.result = (Problem(self.start, message, Code.TEMPLATE_LIMIT),)


class _Batch(NamedTuple):
    """Questions in one message; `start` is that of the task that needed them."""

    questions: list[Question]
    start: Location


class Sandbox:
    """A renderer with fixed values and secret names. A context manager that ends the process.

    The texts of a folder can have an overlay: values in place of those of the same name. `overlays` has them from the
    number 1 on.

    A text that exceeds the limits is an error of its file only. After `MAX_STOPS` of them rendering stops, as
    each takes its time; and at once when the `budget` of the run is exceeded. `wall_seconds` is the maximum time
    to wait for a response.

    Simple texts are filled with answers to questions, which are sent in batches (`deployer.templates.holes`). A
    batch that exceeds the limits is the last one: from then on, each text is rendered whole.
    """

    def __init__(
        self,
        folder: Path,
        values: Mapping[str, Any],
        secrets: frozenset[str],
        *,
        overlays: Sequence[Mapping[str, Any]] = (),
        wall_seconds: float = WALL_SECONDS,
        budget: Budget | None = None,
    ) -> None:
        self._common = {
            "folder": str(folder.absolute()),
            "values": values,
            "names": sorted(secrets),
            "overlays": overlays,
        }
        self._wall_seconds = wall_seconds
        self._budget = budget or Budget()
        self._child: Child | None = None
        self._sent: deque[_Pending | _Batch] = deque()
        self._waiting: deque[_Pending] = deque()
        self._questions = Questions(overlays)
        self._has_batches = True
        self._stops = 0

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_child()

    def start(self) -> None:
        """Start the process, without waiting for it."""
        self._child = self._child or Child(self._common)

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
                if pending.waits() and self._questions.unsent:
                    self._send_questions(pending.start)
                else:
                    self._receive()
            yield pending.result

    def _start(self, task: Task) -> _Pending:
        pending = _Pending(task)
        if not TEMPLATE.search(task.text):
            pending.result = PlainText(task.file, task.text, task.via)
            if exceeded := self._budget.spend(pending.start, size=len(task.text)):
                pending.result = (exceeded,)
            return pending
        if self._has_batches and self._stops < MAX_STOPS:
            pending.holes = self._questions.of(task.text, task.each, task.overlay)
        if not pending.holes:
            self._send(pending)
            return pending
        self._waiting.append(pending)
        self._settle()
        if len(self._questions.unsent) >= BATCH:
            self._send_questions(pending.start)
        return pending

    # --- texts that are rendered whole

    def _send(self, pending: _Pending) -> None:
        if self._stops >= MAX_STOPS:
            pending.refuse(f"not rendered: {MAX_STOPS} earlier templates exceeded time or memory limits")
            return
        task = pending.task
        message = protocol.encoded(
            {"file": task.file, "text": task.text, "each": task.each, "overlay": task.overlay}
        )
        if exceeded := self._budget.spend(pending.start, size=len(message)):
            pending.result = (exceeded,)
            return
        self._post(message, pending)

    def _post(self, message: bytes, sent: _Pending | _Batch) -> None:
        self.start()
        if self._child:
            self._child.send(message)
        self._sent.append(sent)

    def _receive(self) -> None:
        """Receive the next response, which is that of the oldest message."""
        child, sent = self._child, self._sent.popleft()
        response = (child.receive(self._wall_seconds) if child else None) or b""
        if isinstance(sent, _Batch):
            self._take_answers(sent, response)
        else:
            self._take_text(sent, response)

    def _take_text(self, pending: _Pending, response: bytes) -> None:
        try:
            data = protocol.decoded(response)
            seconds = float(data["seconds"])
            pending.result, costly = _result(data, pending.task.via)
        except _INVALID:
            pending.refuse(self._end_child())
            costly, seconds = True, protocol.SECONDS
        if exceeded := self._budget.spend(pending.start, size=len(response), seconds=max(0.0, seconds)):
            pending.result = (exceeded,)
        if not costly:
            return
        self._stops += 1
        if not self._child or self._stops >= MAX_STOPS:
            self._end_child()
            self._send_again()

    def _send_again(self) -> None:
        """Send what the ended process has not answered to the next one."""
        unanswered = list(self._sent)
        self._sent.clear()
        for sent in unanswered:
            if isinstance(sent, _Pending):
                self._send(sent)
            elif self._has_batches:
                self._send_batch(sent)

    # --- texts with holes

    def _send_questions(self, start: Location) -> None:
        """Send the questions that were not sent yet."""
        unsent = self._questions.unsent
        if self._common["overlays"]:
            unsent.sort(key=lambda question: question.overlay)  # those of one overlay are rendered together
        for first in range(0, len(unsent), BATCH):
            self._send_batch(_Batch(unsent[first : first + BATCH], start))
        unsent.clear()

    def _send_batch(self, batch: _Batch) -> None:
        data = [
            (group[0].each, group[0].overlay, [question.text for question in group])
            for group in groups(batch.questions)
        ]
        message = protocol.encoded({"groups": data})
        if self._budget.spend(batch.start, size=len(message)):
            self._end_batches()
        else:
            self._post(message, batch)

    def _take_answers(self, batch: _Batch, response: bytes) -> None:
        try:
            data = protocol.decoded(response)
            answers, seconds = data["answers"], float(data["seconds"])
            for question, answer in zip(batch.questions, answers, strict=True):
                question.close(answer)
            is_costly = seconds > COSTLY_SECONDS and None in answers
        except _INVALID:
            self._end_child()
            is_costly, seconds = True, protocol.SECONDS
        self._budget.spend(batch.start, size=len(response), seconds=max(0.0, seconds))
        if is_costly:
            self._end_batches()
        if not self._child:
            self._send_again()
        self._settle()

    def _end_batches(self) -> None:
        """Render all texts whole that wait for answers, and all later ones."""
        self._has_batches = False
        self._settle()

    def _settle(self) -> None:
        """Fill the texts whose questions are answered, the oldest first; send those whole that cannot be filled."""
        while self._waiting and not (self._has_batches and self._waiting[0].waits()):
            pending = self._waiting.popleft()
            holes, pending.holes = pending.holes, None
            text = holes.filled(pending.task.file, pending.task.via) if holes and self._has_batches else None
            if not holes or text is None:
                self._send(pending)
                continue
            pending.result = text
            if exceeded := self._budget.spend(pending.start, size=len(text.text) + holes.size):
                pending.result = (exceeded,)

    def _end_child(self) -> str:
        """End the process, and return the reason."""
        child, self._child = self._child, None
        return child.end() if child else ""


def _result(data: Any, via: tuple[str, ...]) -> tuple[Result, bool]:
    """Return the result in a response, and whether a failure was costly. Raises for an invalid response."""
    if "rendered" in data:
        return RenderedText.from_json(data["rendered"], via), False
    return tuple(protocol.to_problem(problem, via) for problem in data["problems"]), bool(data["costly"])
