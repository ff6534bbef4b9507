"""A text whose holes are filled: YAML reads it with placeholders, and the author's locations are found on demand.

They are exactly those of the same text rendered whole, `deployer.templates.rendered.RenderedText`.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from deployer.model import Location
from deployer.templates.pieces import split
from deployer.templates.rendered import FilledText, Placeholder, placeholder_of

# Unsigned numbers, of 32 bits on all usual systems: a text is far shorter.
_OFFSET = "I"

# In characters. Of a short text little is asked, and the answer is found faster than thousands of them are kept.
SHORT = 4096


class _Places(NamedTuple):
    """Where the shown pieces begin, in the filled and in the author's text, and where the lines do.

    As arrays: lists of numbers would take most of the memory of thousands of files.
    """

    shown: array[int]
    pieces: array[int]
    written: array[int]
    lines: array[int]
    written_lines: array[int]


class HoleText(FilledText):
    """A text with filled holes. Locations are found when something asks for one.

    `written` is the author's text. `order` has the numbers of its pieces that are shown, in turn; None for all of them.
    `unmoved` is a number of lines at its start that are shown where they are written.
    """

    __slots__ = ("_file", "_order", "_places", "_unmoved", "_via", "_written", "placeholders", "text")

    def __init__(
        self,
        text: str,
        placeholders: Sequence[Placeholder],
        file: str,
        via: tuple[str, ...],
        written: str,
        order: Sequence[int] | None,
        unmoved: int,
    ) -> None:
        self.text = text
        self.placeholders = placeholders
        self._file = file
        self._via = via
        self._written = written
        self._order = order
        self._unmoved = unmoved
        self._places: _Places | None = None

    def location(self, line: int, column: int) -> Location:
        if line < self._unmoved:
            return Location(self._file, line + 1, column + 1, self._via)
        places = self._places or self._found()
        if len(self.text) > SHORT:
            self._places = places
        if not places.shown:
            return Location(self._file, 1, 1, self._via)
        if line >= len(places.lines):
            # Beyond the end: where the last piece of the last line begins.
            line = len(places.lines) - 1
            column = max(0, places.shown[-1] - places.lines[-1])
        start = places.lines[line]
        end = places.lines[line + 1] - 1 if line + 1 < len(places.lines) else len(self.text)
        offset = min(start + column, end)
        at = bisect_right(places.shown, offset) - 1
        within = offset - places.shown[at]
        beyond = start + column - offset
        if places.pieces[at] % 2:
            # Placeholders have other lengths than the expressions.
            within, beyond = 0, within + beyond
        written = places.written[at] + within
        number = bisect_right(places.written_lines, written)
        return Location(
            self._file, number, written - places.written_lines[number - 1] + 1 + beyond, self._via
        )

    def origin(self, number: int) -> Location:
        offset = self.text.index(placeholder_of(number))
        return self.location(self.text.count("\n", 0, offset), offset - self.text.rfind("\n", 0, offset) - 1)

    def _found(self) -> _Places:
        split_pieces = split(self._written) or []
        begins = [0]
        for piece in split_pieces:
            begins.append(begins[-1] + len(piece))
        shown, pieces, written = array(_OFFSET), array(_OFFSET), array(_OFFSET)
        start = hole = 0
        for number in range(len(split_pieces)) if self._order is None else self._order:
            piece = split_pieces[number]
            length, removed = len(piece), 0
            if number % 2:
                length, removed = len(placeholder_of(hole)), length - len(piece.lstrip())
                hole += 1
            if length:
                shown.append(start)
                pieces.append(number)
                written.append(begins[number] + removed)
            start += length
        return _Places(shown, pieces, written, _line_starts(self.text), _line_starts("".join(split_pieces)))


def _line_starts(text: str) -> array[int]:
    return array(_OFFSET, [0, *(newline.end() for newline in re.finditer("\n", text))])
