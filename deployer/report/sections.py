"""The Markdown reports of several targets in one comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from deployer.escape import printable
from deployer.report.text import count

MAX_COMMENT = 65_536  # characters, on GitHub


@dataclass(frozen=True, slots=True)
class Section:
    """The report on one target. `error` is why it has none."""

    label: str
    exit_code: int
    error: str
    report: str


def markdown(sections: Sequence[Section]) -> str:
    """Format a table of all targets, then their reports as far as a comment has room; the others are named."""
    table = ["| target | exit code |", "| --- | --- |"]
    table += [f"| `{_name(section.label)}` | {section.exit_code} |" for section in sections]
    lines = [f"## deployer: {count(len(sections), 'target')}", "", *table, ""]
    bodies = [_body(section) for section in sections]
    short = [_left_out(section) for section in sections]
    room = MAX_COMMENT - sum(len(text) + 2 for text in (*lines, *short))
    for body, without in zip(bodies, short, strict=True):
        needed = len(body) - len(without)
        fits = needed <= room
        room -= needed if fits else 0
        lines += [body if fits else without, ""]
    return "\n".join(lines[:-1])


def _body(section: Section) -> str:
    if section.error:
        # Four characters of indentation: nothing in it is interpreted.
        return f"{_heading(section)}\n\n    {printable(section.error)}"
    return f"{_heading(section)}\n\n{section.report}"


def _left_out(section: Section) -> str:
    words = (
        f"Not shown: a comment has at most {MAX_COMMENT:,} characters. Run the command for this target alone."
    )
    return f"{_heading(section)}\n\n**{words}**"


def _heading(section: Section) -> str:
    return f"## `{_name(section.label)}`"


def _name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._/> -]", "?", label)
