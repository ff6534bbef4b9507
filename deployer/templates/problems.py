"""Problems of templates: Python exceptions and frames -> message, and the author's file, line and column."""

from __future__ import annotations

import re
import sys
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import NamedTuple

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.exceptions import UndefinedError

from deployer.errors import Code, Problem
from deployer.model import Location
from deployer.templates.rendered import InvalidValue
from deployer.templates.source_map import MAX_VIA, Position

MAX_WORDS = 500

_TAG = re.compile(r"\{[{%#]")
_STATEMENT = re.compile(r"\{%[-+]?\s*(\w+)")
_LED_TO = {"include": "included", "import": "imported", "from": "imported", "extends": "extended"}
# Jinja's substitute for an unknown filter.
_OF_JINJA = re.compile("t_[0-9]+")
# May contain a `#` that starts no comment.
_QUOTED = re.compile(r"""(?<![^\s\[{,:(])("(?:\\.|[^"\\])*"|'(?:''|[^'])*')|\{#.*?#\}""")
_COMMENT = re.compile(r"(?:^|\s)#")
# Tags with an end tag.
_WITH_END = {"autoescape", "block", "call", "filter", "for", "if", "macro", "with"}
_COMMENT_HINT = "; Jinja also evaluates YAML comments; use {# ... #} to comment out a template"

Frames = Sequence[tuple[FrameType, int]]


class TimeLimitExceeded(BaseException):
    """A timeout raised from outside into a template; a template cannot catch it."""


class LocatedError(Exception):
    """An error at a position in a file, or else in the running template."""

    def __init__(self, message: str, code: Code, file: str = "", position: Position | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.file = file
        self.position = position


class UndefinedName(UndefinedError):
    """The use of an undefined value, with the frames of its origin: it may have been passed on since."""

    def __init__(self, message: str, frames: Frames) -> None:
        super().__init__(message)
        self.frames = frames


def running_frames() -> Frames:
    """Return the running templates, outermost first, and the lines of their code."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame:
        frames.append(frame)
        frame = frame.f_back
    return list(_of_templates((frame, frame.f_lineno) for frame in reversed(frames)))


def _of_templates(frames: Iterable[tuple[FrameType, int]]) -> Iterator[tuple[FrameType, int]]:
    return (
        (frame, line)
        for frame, line in frames
        if "__jinja_template__" in frame.f_globals and not _OF_JINJA.fullmatch(frame.f_code.co_name)
    )


class Tracer:
    """A finder of locations in files; `text_of` returns the text of a file."""

    def __init__(self, text_of: Callable[[str], str]) -> None:
        self._text_of = text_of

    def problem(self, error: BaseException, location: Location) -> Problem:
        code = _code_of(error)
        hint = "" if code == Code.RESERVED_CHARACTER else self._comment_hint(location)
        return Problem(location, _reason(error) + hint, code)

    def of_error(self, error: BaseException, file: str) -> Problem:
        """Return the problem that ended the rendering of `file`."""
        frames = list(_of_templates(traceback.walk_tb(error.__traceback__)))
        location = self.location(frames) or self._at(file, Position(1, 0))
        where: tuple[str, Position] | None = None
        if isinstance(error, LocatedError) and error.position:
            where = error.file, error.position
        elif isinstance(error, TemplateSyntaxError):
            where = error.filename or file, Position.of_number(error.lineno or 1)
        if where:
            # A file that could not be compiled; if rendering had started, a tag loaded it.
            via = self._led_to(location) if frames else ()
            location = self._at(*where)._replace(via=via)
        return self.problem(error, self.origin_of(error, location))

    def origin_of(self, error: BaseException, location: Location) -> Location:
        """Return the origin of a problem at `location`, if on another line."""
        origin = self.location(error.frames) if isinstance(error, UndefinedName) else None
        return location if not origin or origin[:2] == location[:2] else origin

    def location(self, frames: Frames) -> Location | None:
        """Return the location in the innermost template, and its include path."""
        location: Location | None = None
        roots: dict[str, tuple[str, ...]] = {}
        for frame, line in frames:
            template = frame.f_globals["__jinja_template__"]
            function = frame.f_code.co_name
            via = location.via if location else ()
            if function.startswith("block_"):
                via = roots.get(template.name, via)
            elif location and function == "macro":
                via = (f"called at {location}", *via)
            elif location and function == "root":
                via = self._led_to(location)
            if function == "root":
                roots[template.name] = via
            here = self._at(template.name, Position.of_number(template.get_corresponding_lineno(line)))
            location = here._replace(via=via[:MAX_VIA])
        return location

    def _led_to(self, tag: Location) -> tuple[str, ...]:
        """Return the include path of a file that is loaded by `tag`."""
        statement = _STATEMENT.match(self._line(tag), tag.column - 1)
        word = _LED_TO.get(statement[1] if statement else "", "included")
        return (f"{word} at {tag}", *tag.via)[:MAX_VIA]

    def _at(self, file: str, position: Position) -> Location:
        """Return a location in a file; if only the line is known, that of its first tag."""
        line = min(position.line, self._text_of(file).rstrip().count("\n") + 1)
        if position.column:
            return Location(file, line, position.column)
        written = self._line(Location(file, line))
        tag = _TAG.search(written) or re.search(r"\S", written)
        return Location(file, line, tag.start() + 1 if tag else 1)

    def _line(self, location: Location) -> str:
        lines = self._text_of(location.file).split("\n")
        return lines[location.line - 1] if location.line <= len(lines) else ""

    def _comment_hint(self, location: Location) -> str:
        line = _QUOTED.sub(lambda quoted: "." * len(quoted[0]), self._line(location))
        before = line[: location.column - 1]
        return _COMMENT_HINT if _COMMENT.search(before) else ""


def _code_of(error: BaseException) -> Code:
    match error:
        case InvalidValue() | LocatedError():
            return error.code
        case UndefinedError():
            return Code.UNDEFINED
        case TemplateSyntaxError() | SyntaxError():
            return Code.TEMPLATE_SYNTAX
        case OverflowError() | RecursionError() | MemoryError() | TimeLimitExceeded():
            return Code.TEMPLATE_LIMIT
    return Code.TEMPLATE_ERROR


def _reason(error: BaseException) -> str:
    match error:
        case TemplateError():
            words = error.message or type(error).__name__
        case SyntaxError():
            words = error.msg
        case RecursionError():
            words = "recursion or nesting too deep"
        case MemoryError():
            words = "template memory limit exceeded"
        case InvalidValue() | LocatedError() | TimeLimitExceeded():
            words = str(error)
        case _:
            words = f"{type(error).__name__}: {error}"
    return words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS]}..."


# --- a tag without its end tag; Jinja reports only the end of the file


class Tag(NamedTuple):
    """A tag with an end tag. `indent` is its column if it is the first text of its line, else 0."""

    word: str
    position: Position
    indent: int


def unclosed(source: str, tokens: Iterable[tuple[int, str, str]]) -> Tag | None:
    """Return the innermost tag that is open at the end of a template; None if all are closed.

    An end tag closes the innermost tag, although it may be intended for an outer one: if such an end tag is
    indented differently from its tag, that tag is the one without its end.
    """
    lines = [0, *(newline.end() for newline in re.finditer("\n", source))]
    opened: list[Tag] = []
    doubtful: list[Tag] = []
    words: list[str] = []
    position, indent, offset = Position(1, 1), 0, 0
    for _, kind, text in tokens:
        offset = source.index(text, offset)
        if kind == "block_begin":
            line = bisect_right(lines, offset)
            position = Position(line, offset - lines[line - 1] + 1)
            indent = 0 if source[lines[line - 1] : offset].strip() else position.column
            words = []
        elif kind in ("name", "operator"):
            words.append(text)
        elif kind == "block_end" and words:
            if words[0] in _WITH_END or _is_block_set(words):
                opened.append(Tag(words[0], position, indent))
            elif words[0].startswith("end") and opened:
                tag = opened.pop()
                if tag.indent and indent and tag.indent != indent:
                    doubtful.append(tag)
        offset += len(text)
    if not opened:
        return None
    return next((candidate for candidate in doubtful if candidate.word == opened[-1].word), opened[-1])


def _is_block_set(words: list[str]) -> bool:
    """Return whether these are the words of `{% set x %}` or `{% set x | filter %}`, which have an end tag."""
    rest = words[: words.index("|")] if "|" in words else words
    return words[0] == "set" and "=" not in rest
