"""The fast path of templates: a text with holes is filled with answers that the renderer gives once for all files.

It may only say that a text is plain data with simple tags, and put the renderer's answers into its holes; it
reports nothing, and a text about which there is any doubt, or an answer with any problem, is rendered whole.

A question is a small template: one expression such as `{{ env }}`; or, for a text with statements, all of
its tags with numbers in place of the data between them. The data of a file cannot change the answer, so
files that differ only in their data have the same one.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from deployer.templates.hole_text import HoleText
from deployer.templates.pieces import split
from deployer.templates.rendered import (
    MAX_TEXT,
    PLACEHOLDER_CLOSE,
    PLACEHOLDER_OPEN,
    Placeholder,
    placeholder_of,
)

# The tags of a text with statements are one question; without, each expression is one.
MAX_TAGS = 500
MAX_EXPRESSIONS = 50_000

# What could depend on more than the values and the other tags.
_DOUBTFUL = re.compile(r"\b(?:self|super|caller|varargs|kwargs|recursive|with\s+context)\b")
_SHOWN = re.compile(f"([0-9]{{1,9}})(?:;|:{PLACEHOLDER_OPEN}([0-9]{{1,9}}){PLACEHOLDER_CLOSE})")


class Answer(NamedTuple):
    """The values of a question. `order` has the pieces of a text with statements, as they are shown."""

    placeholders: Sequence[Placeholder]
    order: Sequence[int] | None
    size: int


class Question:
    """A template that is rendered for others; without an `answer`, those are rendered whole.

    `each` has the additional values that it uses; then it is asked for one text only. `overlay` is the number of the
    folder's values that it may use; with 0 it is the same in all folders.
    """

    __slots__ = ("answer", "each", "has_statements", "is_open", "overlay", "text")

    def __init__(
        self, text: str, each: Mapping[str, Any] | None, overlay: int = 0, *, has_statements: bool
    ) -> None:
        self.text = text
        self.each = each
        self.overlay = overlay
        self.has_statements = has_statements
        self.is_open = True
        self.answer: Answer | None = None

    def close(self, data: Any = None) -> None:
        """Take the renderer's answer; None if there is none. Raises for invalid data."""
        self.answer = self._answer(data)
        self.is_open = False

    def _answer(self, data: Any) -> Answer | None:
        if data is None:
            return None
        text = data["text"]
        placeholders = [_placeholder(*slot) for slot in data["slots"]]
        if self.has_statements:
            order = _order(text, len(placeholders))
            is_expected = order is not None
        else:
            order = None
            is_expected = len(placeholders) == 1 and text == placeholder_of(0)
        return Answer(placeholders, order, sum(map(_size, placeholders))) if is_expected else None


class Holes(NamedTuple):
    """A text with holes and its questions: one for each of its holes, or else one for all of its tags.

    `written` is the author's text, `pieces` are its data and tags in turn; `unanswered` are the questions that may be
    open.
    """

    written: str
    pieces: Sequence[str]
    questions: Sequence[Question]
    unanswered: list[Question]

    @classmethod
    def of(cls, written: str, pieces: Sequence[str], questions: Sequence[Question]) -> Holes:
        return cls(written, pieces, questions, [question for question in questions if question.is_open])

    def are_open(self) -> bool:
        """Return whether a question is not answered yet."""
        while self.unanswered and not self.unanswered[-1].is_open:
            self.unanswered.pop()
        return bool(self.unanswered)

    def filled(self, file: str, via: tuple[str, ...]) -> HoleText | None:
        """Return the text with its answers; None if it must be rendered whole."""
        answers = [question.answer for question in self.questions if question.answer]
        if len(answers) < len(self.questions):
            return None
        placeholders = [placeholder for answer in answers for placeholder in answer.placeholders]
        order = answers[0].order
        if order is None:
            pieces = list(self.pieces)
            pieces[1::2] = map(placeholder_of, range(len(placeholders)))
        else:
            shown = self._shown(order)
            if shown is None:
                return None
            pieces = shown
        return HoleText(
            "".join(pieces), placeholders, file, via, self.written, order, _unmoved(self.pieces, order)
        )

    @property
    def size(self) -> int:
        """The size of the values, as if they were written in the text."""
        return sum(question.answer.size for question in self.questions if question.answer)

    def _shown(self, order: Sequence[int]) -> list[str] | None:
        """Return the pieces that the statements show; None if these are too long, or not of this text."""
        if max(order, default=0) >= len(self.pieces):
            return None
        numbers = iter(range(len(order)))
        shown = [placeholder_of(next(numbers)) if at % 2 else self.pieces[at] for at in order]
        size = sum(map(len, shown))
        return shown if size <= MAX_TEXT or size <= sum(map(len, self.pieces)) else None


class Questions:
    """The questions of a run, each asked once, or once for each of the `overlays` that it may use.

    `unsent` are those that were not sent yet.
    """

    def __init__(self, overlays: Sequence[Iterable[str]] = ()) -> None:
        # By overlay, and by text or tag.
        self._shared: defaultdict[int, dict[str, Question]] = defaultdict(dict)
        self._overlays = overlays
        self.unsent: list[Question] = []

    def of(self, text: str, each: Mapping[str, Any] | None, overlay: int = 0) -> Holes | None:
        """Return the holes of a text; None if it must be rendered whole."""
        pieces = split(text)
        if pieces is None:
            return None
        tags = pieces[1::2]
        if all("{{" in tag for tag in tags):
            if len(tags) > MAX_EXPRESSIONS:
                return None
            known = {} if each else self._shared[overlay]
            return Holes.of(
                text, pieces, [known.get(tag) or self._expression(tag, each, overlay) for tag in tags]
            )
        if len(tags) > MAX_TAGS:
            return None
        question = self._question(_without_data(pieces), each, overlay, has_statements=True)
        return Holes.of(text, pieces, [question])

    def _expression(self, tag: str, each: Mapping[str, Any] | None, overlay: int) -> Question:
        # Spaces, and `-` that removes them around the tag, are not part of it.
        expression = tag.strip()[2:-2].removeprefix("-").removesuffix("-").strip()
        question = self._question(f"{{{{ {expression} }}}}", each, overlay)
        if not question.each:
            self._shared[overlay][tag] = question
        return question

    def _question(
        self, text: str, each: Mapping[str, Any] | None, overlay: int, *, has_statements: bool = False
    ) -> Question:
        if overlay and not self._may_use(text, overlay):
            overlay = 0
        if each and any(name in text for name in each):
            question = Question(text, each, overlay, has_statements=has_statements)
        elif known := self._shared[overlay].get(text):
            return known
        else:
            question = Question(text, None, overlay, has_statements=has_statements)
            self._shared[overlay][text] = question
        if _DOUBTFUL.search(text):
            question.close()
        else:
            self.unsent.append(question)
        return question

    def _may_use(self, text: str, overlay: int) -> bool:
        """Return whether a text may show another value with an overlay. What it imports sees the overlay too."""
        return "import" in text or any(name in text for name in self._overlays[overlay - 1])


def groups(questions: Iterable[Question]) -> Iterator[list[Question]]:
    """Yield the questions in groups that can be rendered together: expressions with the same values."""
    group: list[Question] = []
    for question in questions:
        if group and (
            question.has_statements
            or group[0].has_statements
            or group[0].each is not question.each
            or group[0].overlay != question.overlay
        ):
            yield group
            group = []
        group.append(question)
    if group:
        yield group


def _unmoved(pieces: Sequence[str], order: Sequence[int] | None) -> int:
    """Return the number of lines that end before the first tag: nothing in them has moved."""
    return pieces[0].count("\n") if order is None or (order and not order[0]) else 0


def _without_data(pieces: Sequence[str]) -> str:
    """Return the tags, with the number of each piece in place of its data, and before each expression."""
    written = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            written.append(f"{number};" if piece else "")
        elif "{{" in piece:
            written.append(f"{number}:{piece}")
        elif "{%" in piece:
            written.append(piece)
    return "".join(written)


def _order(text: str, holes: int) -> tuple[int, ...] | None:
    """Return the numbers of the pieces in an answer; None if it is no answer to `_without_data`."""
    order: list[int] = []
    end, filled = 0, 0
    for shown in _SHOWN.finditer(text):
        number, placeholder = int(shown[1]), shown[2]
        if shown.start() != end or (number % 2 == 1) != (placeholder == str(filled)):
            return None
        order.append(number)
        end, filled = shown.end(), filled + number % 2
    return tuple(order) if end == len(text) and filled == holes else None


def _placeholder(value: Any, text: Any, names: Any) -> Placeholder:
    if not (text is None or isinstance(text, str)) or not isinstance(names, list):
        raise TypeError("not a placeholder")
    if not all(isinstance(name, str) for name in names):
        raise TypeError("not names")
    return Placeholder(value, text, names=names)


def _size(placeholder: Placeholder) -> int:
    value, text = placeholder.value, placeholder.text or ""
    return len(text) + len(value if isinstance(value, str) else json.dumps(value))
