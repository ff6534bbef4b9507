"""Marks that carry the author's places through rendering: characters that authors cannot write.

A mark holds the number of a file, a line and a column. `+` marks the begin of an include, `-` its end, `^`
that from here on text can come from the template that is extended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from deployer.templates.rendered import SLOT, SLOT_OPEN, Piece, RenderedText, Slot

MAX_VIA = 8
MARK_OPEN, MARK_CLOSE = "\ue002", "\ue003"
HYGIENE = re.compile(f"[{SLOT_OPEN}-{MARK_CLOSE}]")
INCLUDE_END = f"{MARK_OPEN}-{MARK_CLOSE}"

_MARK = re.compile(f"{MARK_OPEN}([-+^]?)(?:([0-9]+):([0-9]+):([0-9]+))?{MARK_CLOSE}")


class Spot(NamedTuple):
    """A line and a column of a template, from 1. The column is 0 where only the line is known."""

    line: int
    column: int

    @property
    def as_number(self) -> int:
        """For Jinja, which takes it for a line: so the column comes through compilation too."""
        return self.line | self.column << 32

    @classmethod
    def of_number(cls, number: int) -> Spot:
        return cls(number & 0xFFFFFFFF, number >> 32)


def mark(file: int, spot: Spot, kind: str = "") -> str:
    return f"{MARK_OPEN}{kind}{file}:{spot.line}:{spot.column}{MARK_CLOSE}"


def settled(raw: str, file: str, files: Sequence[str], slots: Sequence[Slot]) -> RenderedText:
    """What the template of `file` wrote, with the marks taken out. `files` are those that marks number."""
    settler = _Settler(file, files, slots)
    parts = _MARK.split(raw)
    settler.text(parts[0])
    for at in range(1, len(parts), 5):
        kind, *numbers, text = parts[at : at + 5]
        settler.mark(kind, *map(int, filter(None, numbers)))
        settler.text(text)
    return settler.result()


class _Level:
    """A template and those that it extends, as far as they are included by one tag."""

    def __init__(self, via: tuple[str, ...]) -> None:
        self.via = via
        self.extends: list[tuple[int, str]] = []

    def via_of(self, file: int) -> tuple[str, ...]:
        """How text of a file is come to: by the tags of those before it that extend another."""
        via = self.via
        for child, tag in self.extends:
            if child == file:
                break
            via = (tag, *via)
        return via[:MAX_VIA]


class _Settler:
    def __init__(self, file: str, files: Sequence[str], slots: Sequence[Slot]) -> None:
        self._files = files
        self._slots = slots
        self._used: dict[int, Slot] = {}
        self._levels = [_Level(())]
        self._ways: dict[tuple[str, tuple[str, ...]], int] = {(file, ()): 0}
        self._known: dict[int, int] = {}
        self._clean: list[str] = []
        self._pieces: list[list[Piece]] = [[]]
        self._column = 0
        self._spot = (0, 1, 1)

    def mark(self, kind: str, *numbers: int) -> None:
        if kind == "-":
            self._levels.pop()
            self._known.clear()
            return
        file, line, column = numbers
        if not kind:
            self._spot = (self._way(file), line, column)
            self._pieces[-1].append(Piece(self._column, *self._spot))
            return
        level = self._levels[-1]
        tag = f"{self._files[file]}:{line}:{column}"
        self._known.clear()
        if kind == "+":
            self._levels.append(_Level((f"included at {tag}", *level.via_of(file))[:MAX_VIA]))
        else:
            level.extends.append((file, f"extended at {tag}"))

    def text(self, text: str) -> None:
        if placeholder := SLOT.match(text):
            number = int(placeholder[1])
            way, line, column = self._spot
            self._used[number] = self._slots[number]._replace(way=way, line=line, column=column)
        self._clean.append(text)
        newlines = text.count("\n")
        self._pieces += [[] for _ in range(newlines)]
        self._column = len(text) - text.rfind("\n") - 1 if newlines else self._column + len(text)

    def result(self) -> RenderedText:
        slots = [self._used.get(number, Slot()) for number in range(len(self._slots))]
        return RenderedText("".join(self._clean), tuple(self._ways), self._pieces, slots)

    def _way(self, file: int) -> int:
        """The number of a file together with how it is come to here."""
        if file not in self._known:
            way = self._files[file], self._levels[-1].via_of(file)
            self._known[file] = self._ways.setdefault(way, len(self._ways))
        return self._known[file]
