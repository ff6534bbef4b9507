"""The output of a template: text with placeholders, their values, and the author's locations.

Independent of Jinja: templates are rendered in a separate process, which returns only data.
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
from deployer.model import Location

PLACEHOLDER_OPEN, PLACEHOLDER_CLOSE = "\ue000", "\ue001"
MAX_TEXT = 2 * 2**20
PLACEHOLDER = re.compile(f"{PLACEHOLDER_OPEN}([0-9]+){PLACEHOLDER_CLOSE}")


def placeholder_of(number: int) -> str:
    return f"{PLACEHOLDER_OPEN}{number}{PLACEHOLDER_CLOSE}"


class InvalidValue(ValueError):
    """A value that is not allowed at its location."""

    def __init__(self, message: str, code: Code = Code.NOT_DATA) -> None:
        super().__init__(message)
        self.code = code


def as_text(value: Any) -> str:
    """Return plain data as it is written inside a string. Raises InvalidValue."""
    if isinstance(value, dict | list):
        what = "mapping" if isinstance(value, dict) else "list"
        raise InvalidValue(
            f"a {what} cannot be used inside a string; use '| tojson', '| to_yaml' or '| join(...)'"
        )
    return value if isinstance(value, str) else json.dumps(value)


class Placeholder(NamedTuple):
    """The content of a placeholder. `text` is its text, if different from that of the value.

    `chain`, `line` and `column` are the location of its expression; `names` those of the values it uses.
    """

    value: Any = None
    text: str | None = None
    chain: int = 0
    line: int = 0
    column: int = 0
    names: Sequence[str] = ()

    @property
    def as_text(self) -> str:
        """The content as it is written inside a string. Raises InvalidValue."""
        return as_text(self.value) if self.text is None else self.text


class Segment(NamedTuple):
    """A segment of a line, from column `start` on, and the author's location of it."""

    start: int
    chain: int
    line: int
    column: int


_Placed = TypeVar("_Placed", Segment, Placeholder)


class FilledText:
    """A text with placeholders: what both kinds of rendered texts share."""

    __slots__ = ()

    text: str
    placeholders: Sequence[Placeholder]

    def is_filled(self, scalar: str) -> bool:
        return PLACEHOLDER_OPEN in scalar

    def fill(self, scalar: str, *, plain: bool) -> Any:
        if plain and (alone := PLACEHOLDER.fullmatch(scalar)):
            return self.placeholders[int(alone[1])].value
        return PLACEHOLDER.sub(lambda match: self._text(int(match[1])), scalar)

    def names(self, scalar: str) -> tuple[str, ...]:
        placeholders = [self.placeholders[int(number)] for number in PLACEHOLDER.findall(scalar)]
        return tuple(dict.fromkeys(name for placeholder in placeholders for name in placeholder.names))

    def origin(self, number: int) -> Location:
        """Return the location of a placeholder's expression."""
        raise NotImplementedError

    def _text(self, number: int) -> str:
        # Imported here, as the renderer never fills placeholders and does not need the YAML parser.
        from deployer.documents.parse import InvalidPlaceholder

        try:
            return self.placeholders[number].as_text
        except InvalidValue as error:
            raise InvalidPlaceholder(str(error), self.origin(number), error.code) from None


@dataclass(frozen=True, slots=True)
class RenderedText(FilledText):
    """A rendered template. `segments` are those of each line; a chain is a file and its include path."""

    text: str
    chains: Sequence[tuple[str, tuple[str, ...]]]
    segments: Sequence[Sequence[Segment]]
    placeholders: Sequence[Placeholder]

    def location(self, line: int, column: int) -> Location:
        for number in range(min(line, len(self.segments) - 1), -1, -1):
            segments = self.segments[number]
            last = bisect_right(segments, column, key=itemgetter(0)) if number == line else len(segments)
            if last:
                segment = segments[last - 1]
                beyond = (column - segment.start) * (number == line)
                return self._location(segment.chain, segment.line, segment.column + beyond)
        return self._location(0, 1, 1)

    def origin(self, number: int) -> Location:
        placeholder = self.placeholders[number]
        return self._location(placeholder.chain, placeholder.line, placeholder.column)

    def _location(self, chain: int, line: int, column: int) -> Location:
        file, via = self.chains[chain]
        return Location(file, line, column, via)

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "ways": self.chains, "pieces": self.segments, "slots": self.placeholders}

    @classmethod
    def from_json(cls, data: Any, via: tuple[str, ...]) -> RenderedText:
        """Restore the result of `to_json`, with `via` added. Raises for invalid data."""
        chains = [(_text_of(file), (*map(_text_of, chain), *via)) for file, chain in data["ways"]]
        segments = [[_validated(Segment(*segment), chains) for segment in line] for line in data["pieces"]]
        placeholders = [_validated(Placeholder(*placeholder), chains) for placeholder in data["slots"]]
        return cls(_text_of(data["text"]), chains, segments, placeholders)


def with_newlines(text: str) -> str:
    """Return `text` with the newlines that templates see."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return value


def _validated(item: _Placed, chains: Sequence[Any]) -> _Placed:
    if not 0 <= item.chain < len(chains) or item.line + item.column < 0:
        raise ValueError("a location without a file")
    return item
