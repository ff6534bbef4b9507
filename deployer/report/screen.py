"""The output of a command that watches: only the latest reading counts."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable
from dataclasses import dataclass

import click

from deployer.report.terminal import can_redraw, err, out, redraw, width


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading shows. Other output than a terminal gets it only if `steady` differs from that before."""

    heading: str
    result: str
    problems: tuple[str, ...]
    steady: Hashable


class Screen:
    """A terminal that is redrawn with each reading; other output gets a block for each change."""

    def __init__(self, *, can_be_redrawn: bool = True) -> None:
        self._is_redrawn = can_be_redrawn and can_redraw()
        self._last: Reading | None = None

    def show(self, reading: Reading) -> bool:
        """Show a reading, and return False if the output is closed."""
        last, self._last = self._last, reading
        if self._is_redrawn:
            # A line that the terminal wrapped would take the place of another one.
            around = (textwrap.wrap(click.unstyle(line), width() or 80) for line in reading.problems)
            problems = [line for lines in around for line in lines]
            heading = textwrap.wrap(reading.heading, width() or 80)
            lines = [*heading, "", *reading.result.splitlines(), *([""] if problems else []), *problems]
            return redraw(lines, is_first=last is None)
        if last and last.steady == reading.steady:
            return True
        if last and reading.heading and not out():
            return False
        is_open = out(f"{reading.heading}\n{reading.result}" if reading.heading else reading.result)
        for problem in reading.problems:
            err(problem)
        return is_open
