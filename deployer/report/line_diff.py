"""A text of several lines as the lines that differ: every hunk, with the lines around it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from deployer.escape import printable, without_command_at_start

CONTEXT_LINES = 2


class Line(NamedTuple):
    """One line of a diff: `sign` is `-`, `+`, a space, or `@@` for the positions of a hunk."""

    sign: str
    text: str


def has_lines(live: Any, desired: Any) -> bool:
    """Return whether two values are texts of which one has several lines."""
    return isinstance(live, str) and isinstance(desired, str) and ("\n" in live or "\n" in desired)


def lines(live: str, desired: str) -> Iterator[Line]:
    """Yield the lines that differ and those around them, safe for a terminal and a CI runner."""
    from difflib import unified_diff  # on use: few plans have a text of several lines

    compared = unified_diff(live.split("\n"), desired.split("\n"), n=CONTEXT_LINES, lineterm="")
    for line in islice(compared, 2, None):  # without the names of files
        sign, text = ("@@", line[3:]) if line.startswith("@@") else (line[0], line[1:])
        yield Line(sign, _shown(text))


def _shown(text: str) -> str:
    clean = printable(text)
    if clean.endswith(" "):
        clean = f"{clean[:-1]}\\u0020"  # the only difference of two lines may be at their end
    return without_command_at_start(clean)
