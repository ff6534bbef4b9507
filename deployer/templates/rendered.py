"""What a template gives: text with placeholders, what these hold, and the author's place of all of it.

Nothing of Jinja is in here: templates are rendered in a process of their own, from which only data comes.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from deployer.errors import Code
from deployer.model import Place

SLOT_OPEN, SLOT_CLOSE = "\ue000", "\ue001"
SLOT = re.compile(f"{SLOT_OPEN}([0-9]+){SLOT_CLOSE}")


class Unusable(ValueError):
    """A value that cannot be used where it stands."""

    def __init__(self, message: str, code: Code = Code.NOT_DATA) -> None:
        super().__init__(message)
        self.code = code


def as_text(value: Any) -> str:
    """How plain data stands inside text. Raises Unusable for what cannot."""
    if isinstance(value, dict | list):
        what = "mapping" if isinstance(value, dict) else "list"
        raise Unusable(f"a {what} cannot stand inside text; use '| tojson', '| to_yaml' or '| join(...)'")
    return value if isinstance(value, str) else json.dumps(value)


class Slot(NamedTuple):
    """What stands for a placeholder. `text` is its text, where that is not simply the value's.

    `way`, `line` and `column` are the place of its expression; `names` those of the values it uses.
    """

    value: Any = None
    text: str | None = None
    way: int = 0
    line: int = 0
    column: int = 0
    names: Sequence[str] = ()

    @property
    def as_text(self) -> str:
        """How it stands inside text. Raises Unusable for what cannot."""
        return as_text(self.value) if self.text is None else self.text


class Piece(NamedTuple):
    """From `start` on, a column of the text, up to the next piece: the author's place of it."""

    start: int
    way: int
    line: int
    column: int


_Placed = TypeVar("_Placed", Piece, Slot)


@dataclass(frozen=True, slots=True)
class RenderedText:
    """A rendered template. `pieces` are those of each line; a `way` is a file and how it was come to."""

    text: str
    ways: Sequence[tuple[str, tuple[str, ...]]]
    pieces: Sequence[Sequence[Piece]]
    slots: Sequence[Slot]

    def place(self, line: int, column: int) -> Place:
        for number in range(min(line, len(self.pieces) - 1), -1, -1):
            pieces = self.pieces[number]
            last = bisect_right(pieces, column, key=itemgetter(0)) if number == line else len(pieces)
            if last:
                piece = pieces[last - 1]
                beyond = (column - piece.start) * (number == line)
                return self._place(piece.way, piece.line, piece.column + beyond)
        return self._place(0, 1, 1)

    def is_filled(self, scalar: str) -> bool:
        return SLOT_OPEN in scalar

    def fill(self, scalar: str, *, plain: bool) -> Any:
        if plain and (alone := SLOT.fullmatch(scalar)):
            return self.slots[int(alone[1])].value
        return SLOT.sub(lambda match: self._text(self.slots[int(match[1])]), scalar)

    def names(self, scalar: str) -> tuple[str, ...]:
        slots = [self.slots[int(number)] for number in SLOT.findall(scalar)]
        return tuple(dict.fromkeys(name for slot in slots for name in slot.names))

    def origin(self, slot: Slot) -> Place:
        """Where the expression stands that a slot is of."""
        return self._place(slot.way, slot.line, slot.column)

    def _place(self, way: int, line: int, column: int) -> Place:
        file, via = self.ways[way]
        return Place(file, line, column, via)

    def _text(self, slot: Slot) -> str:
        # The process that renders never fills, and can do without the parser of YAML.
        from deployer.documents.parse import Unfillable

        try:
            return slot.as_text
        except Unusable as error:
            raise Unfillable(str(error), self.origin(slot), error.code) from None

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "ways": self.ways, "pieces": self.pieces, "slots": self.slots}

    @classmethod
    def from_json(cls, data: Any, via: tuple[str, ...]) -> RenderedText:
        """What `to_json` gave, `via` one more way; raises for anything else."""
        ways = [(_text_of(file), (*map(_text_of, way), *via)) for file, way in data["ways"]]
        pieces = [[_sound(Piece(*piece), ways) for piece in line] for line in data["pieces"]]
        slots = [_sound(Slot(*slot), ways) for slot in data["slots"]]
        return cls(_text_of(data["text"]), ways, pieces, slots)


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value


def _sound(it: _Placed, ways: Sequence[Any]) -> _Placed:
    if not 0 <= it.way < len(ways) or it.line + it.column < 0:
        raise ValueError("a place without a file")
    return it
