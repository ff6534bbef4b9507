"""Markers that carry the author's locations through rendering: characters that authors cannot use.

A marker has the number of a file, a line and a column. `+` is the start of an include, `-` its end, and `^`
the point after which text can come from the extended template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from deployer.templates.rendered import PLACEHOLDER, PLACEHOLDER_OPEN, Placeholder, RenderedText, Segment

MAX_VIA = 8
MARKER_OPEN, MARKER_CLOSE = "\ue002", "\ue003"
RESERVED = re.compile(f"[{PLACEHOLDER_OPEN}-{MARKER_CLOSE}]")
INCLUDE_END = f"{MARKER_OPEN}-{MARKER_CLOSE}"

_MARKER = re.compile(f"{MARKER_OPEN}([-+^]?)(?:([0-9]+):([0-9]+):([0-9]+))?{MARKER_CLOSE}")


class Position(NamedTuple):
    """A line and a column of a template, from 1. The column is 0 if only the line is known."""

    line: int
    column: int

    @property
    def as_number(self) -> int:
        """Both as one line number for Jinja, so that the column survives compilation."""
        return self.line | self.column << 32

    @classmethod
    def of_number(cls, number: int) -> Position:
        return cls(number & 0xFFFFFFFF, number >> 32)


def marker(file: int, position: Position, kind: str = "") -> str:
    return f"{MARKER_OPEN}{kind}{file}:{position.line}:{position.column}{MARKER_CLOSE}"


def resolve_markers(
    raw: str, file: str, files: Sequence[str], placeholders: Sequence[Placeholder]
) -> RenderedText:
    """Resolve the markers in the output of `file`. `files` are the numbered files."""
    settler = _MarkerResolver(file, files, placeholders)
    parts = _MARKER.split(raw)
    settler.text(parts[0])
    for at in range(1, len(parts), 5):
        kind, *numbers, text = parts[at : at + 5]
        settler.mark(kind, *map(int, filter(None, numbers)))
        settler.text(text)
    return settler.result()


class _Level:
    """A template and the templates that it extends, within one include."""

    def __init__(self, via: tuple[str, ...]) -> None:
        self.via = via
        self.extends: list[tuple[int, str]] = []

    def via_of(self, file: int) -> tuple[str, ...]:
        """Return the include path of a file's text: the tags of the templates that extend another."""
        via = self.via
        for child, tag in self.extends:
            if child == file:
                break
            via = (tag, *via)
        return via[:MAX_VIA]


class _MarkerResolver:
    def __init__(self, file: str, files: Sequence[str], placeholders: Sequence[Placeholder]) -> None:
        self._files = files
        self._placeholders = placeholders
        self._used: dict[int, Placeholder] = {}
        self._levels = [_Level(())]
        self._chains: dict[tuple[str, tuple[str, ...]], int] = {(file, ()): 0}
        self._known: dict[int, int] = {}
        self._clean: list[str] = []
        self._segments: list[list[Segment]] = [[]]
        self._column = 0
        self._position = (0, 1, 1)

    def mark(self, kind: str, *numbers: int) -> None:
        if kind == "-":
            self._levels.pop()
            self._known.clear()
            return
        file, line, column = numbers
        if not kind:
            self._position = (self._chain(file), line, column)
            self._segments[-1].append(Segment(self._column, *self._position))
            return
        level = self._levels[-1]
        tag = f"{self._files[file]}:{line}:{column}"
        self._known.clear()
        if kind == "+":
            self._levels.append(_Level((f"included at {tag}", *level.via_of(file))[:MAX_VIA]))
        else:
            level.extends.append((file, f"extended at {tag}"))

    def text(self, text: str) -> None:
        if placeholder := PLACEHOLDER.match(text):
            number = int(placeholder[1])
            chain, line, column = self._position
            self._used[number] = self._placeholders[number]._replace(chain=chain, line=line, column=column)
        self._clean.append(text)
        newlines = text.count("\n")
        self._segments += [[] for _ in range(newlines)]
        self._column = len(text) - text.rfind("\n") - 1 if newlines else self._column + len(text)

    def result(self) -> RenderedText:
        placeholders = [self._used.get(number, Placeholder()) for number in range(len(self._placeholders))]
        return RenderedText("".join(self._clean), tuple(self._chains), self._segments, placeholders)

    def _chain(self, file: int) -> int:
        """Return the number of a file with its current include path."""
        if file not in self._known:
            chain = self._files[file], self._levels[-1].via_of(file)
            self._known[file] = self._chains.setdefault(chain, len(self._chains))
        return self._known[file]
