"""Tables with aligned columns, cut to the width of a terminal."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from deployer.escape import printable

_GAP = "  "
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, and what happens to it if the table is too wide.

    It may be cut to `least` columns of the terminal, 0: it is never cut. A redundant one is left out at once, others
    in the order of `omit` (from 1; 0: never) if cutting is not enough.
    """

    title: str
    least: int = 0
    omit: int = 0
    is_redundant: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table with its heading. No line is wider than `width`; None: there is no limit."""
    cells = [[column.title for column in columns], *([printable(cell) for cell in row] for row in rows)]
    natural = [max(map(columns_of, column)) for column in zip(*cells, strict=True)]
    kept = [*range(len(columns))]
    if width is not None and _total(natural) > width:
        kept = _kept(columns, natural, width)
    widths = {number: natural[number] for number in kept}
    if width is not None:
        _cut(columns, widths, width - len(_GAP) * (len(kept) - 1))
    lines = (_GAP.join(_padded(row[number], widths[number]) for number in kept).rstrip() for row in cells)
    return [cut(line, width) if width is not None else line for line in lines]


def columns_of(text: str) -> int:
    """Return the columns of a terminal that a text takes: two for a wide character, none for a combining one."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """Return a text that takes at most `width` columns: cut, with an ellipsis at its end, if it is longer."""
    if columns_of(text) <= width:
        return text
    fitting = sum(1 for end in accumulate(map(_columns, text)) if end < width)
    return text[:fitting] + _ELLIPSIS if width > 0 else ""


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _padded(text: str, width: int) -> str:
    shown = cut(text, width)
    return shown + " " * (width - columns_of(shown))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _least(column: Column, natural: int) -> int:
    return min(column.least or natural, natural)


def _kept(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    """Return the numbers of the columns that are shown if not all fit uncut."""
    kept = [number for number, column in enumerate(columns) if not column.is_redundant]
    for number in sorted((n for n in kept if columns[n].omit), key=lambda n: columns[n].omit):
        if _total([_least(columns[n], natural[n]) for n in kept]) <= width:
            break
        kept.remove(number)
    return kept


def _cut(columns: Sequence[Column], widths: dict[int, int], most: int) -> None:
    """Reduce `widths` to a sum of `most`, as far as the columns allow: first those with the most to spare."""
    excess = sum(widths.values()) - most
    if excess <= 0:
        return
    spare = {number: width - _least(columns[number], width) for number, width in widths.items()}
    # What is to spare is lowered to the same level everywhere: the highest one at which the table fits.
    levels = range(max(spare.values()) + 1)
    level = max(0, bisect_right(levels, -excess, key=lambda level: -_freed(spare, level)) - 1)
    left = max(0, _freed(spare, level) - excess)
    for number, free in spare.items():
        freed = max(0, free - level)
        kept = min(left, freed, 1)
        left -= kept
        widths[number] -= freed - kept


def _freed(spare: dict[int, int], level: int) -> int:
    return sum(max(0, free - level) for free in spare.values())
