"""Findings about files: as text with the source line, as JSON, and as GitHub annotations.

A mistake is shown once, however many instances of a `forEach`, iterations of a loop or manifests with a default
repeat it, and the number of findings is limited: see `MAX_IN_FILE` and `MAX_SHOWN`. Errors take precedence over
warnings where not all can be shown. The JSON has all.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import PurePath
from typing import Any

import click

from deployer.errors import Problem, documentation_of
from deployer.escape import command_escapes, json_text, printable
from deployer.model import Location
from deployer.planning.plan_json import FORMAT_VERSION
from deployer.report.text import SEVERITY_COLOURS, count, problem

MAX_IN_FILE = 100
MAX_SHOWN = 1000
WIDTH = 100
_BEFORE = 60

_RANKS = {"error": 0, "warning": 1, "note": 2}
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of an author's file, safe to show, and the column of the finding, from 1; 0 for none."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and the targets that have it where not all do. `more` counts its duplicates."""

    problem: Problem
    targets: tuple[str, ...] = ()
    more: int = 0

    def notes(self) -> Iterator[str]:
        """Yield the notes below its message: the include path, the targets, and the number of duplicates."""
        yield from self.problem.location.via
        if self.targets:
            yield f"for {'target' if len(self.targets) == 1 else 'targets'} {', '.join(self.targets)}"
        if self.more:
            yield f"... and {self.more} more of the same kind"


def for_one_target(problems: Iterable[Problem]) -> list[Finding]:
    """Return the findings of one target, or of none."""
    return [Finding(problem) for problem in sorted(problems)]


def for_targets(problems: Mapping[str, Iterable[Problem]]) -> list[Finding]:
    """Return the findings of several targets; a finding that all of them have names no target."""
    targets: dict[Problem, dict[str, None]] = {}
    for target, target_problems in problems.items():
        for found_problem in target_problems:
            targets.setdefault(found_problem, {})[target] = None
    return [
        Finding(
            found_problem,
            () if len(targets[found_problem]) == len(problems) else tuple(targets[found_problem]),
        )
        for found_problem in sorted(targets)
    ]


def text(
    findings: Iterable[Finding],
    *,
    in_full: Collection[str] = ("error",),
    source_of: Callable[[Location], SourceLine | None] = lambda _: None,
) -> Iterator[str]:
    """Yield lines of text. Findings whose severity is in `in_full` come with their source and notes.

    `source_of` returns the author's line at a location, None where it is not shown.
    """
    shown, left_out = _limited(findings)
    for finding in shown:
        shown_problem = finding.problem
        yield problem(shown_problem)
        if shown_problem.severity in in_full:
            source = source_of(shown_problem.location)
            gutter = " " * (len(str(shown_problem.location.line)) + 3 if source else 4)
            if source:
                line, before = _clip(source.text, max(0, source.column - 1))
                yield f"  {shown_problem.location.line} | {line}".rstrip()
                if source.column:
                    caret = click.style("^", fg=SEVERITY_COLOURS[shown_problem.severity], bold=True)
                    yield f"{gutter}| {' ' * before}{caret}"
            yield from (f"{gutter}= {printable(note)}" for note in finding.notes())
        elif finding.more:
            yield f"    = ... and {finding.more} more of the same kind"
        if finding in left_out.ends:
            yield left_out.ends[finding]
    yield from left_out.rest


def github(findings: Iterable[Finding], root: str) -> Iterator[str]:
    """Yield workflow commands that annotate files; `root` is the path of the project in the repository."""
    shown, left_out = _limited(findings)
    for finding in shown:
        problem = finding.problem
        properties = {"file": PurePath(root, problem.location.file).as_posix()}
        if problem.location.line:
            properties |= {"line": str(problem.location.line), "col": str(problem.location.column)}
        properties["title"] = " ".join(filter(None, (problem.code, problem.rule)))
        words = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        message = "\n".join(map(printable, (problem.message, *finding.notes())))
        yield f"::{_COMMANDS[problem.severity]} {words}::{_data(message)}"
        if finding in left_out.ends:
            yield left_out.ends[finding]
    yield from left_out.rest


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(printable(value)).replace(":", "%3A").replace(",", "%2C")


def json(findings: Sequence[Finding], **about: Any) -> str:
    """Format all findings as JSON, after the items of `about`; with `targets` in it, each finding has its own."""
    targets = about.get("targets")
    document = {
        "format_version": FORMAT_VERSION,
        **about,
        "findings": [_as_data(finding, None if targets is None else tuple(targets)) for finding in findings],
    }
    return json_text(document)


def _as_data(finding: Finding, targets: tuple[str, ...] | None) -> dict[str, Any]:
    problem = finding.problem
    return {
        "code": problem.code,
        "severity": problem.severity,
        "rule": problem.rule or None,
        "file": problem.location.file,
        "line": problem.location.line,
        "column": problem.location.column,
        "message": problem.message,
        "via": problem.location.via,
        "reference": documentation_of(problem.code),
        **({} if targets is None else {"targets": finding.targets or targets}),
    }


# --- limits -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Omitted:
    """The notes on findings not shown: after the last one of a file, and at the end."""

    ends: Mapping[Finding, str]
    rest: Sequence[str]


def _limited(findings: Iterable[Finding]) -> tuple[list[Finding], _Omitted]:
    """Return the findings to show, without duplicates and in order, and notes on the omitted ones."""
    once = _deduplicate(findings)
    by_file: dict[str, list[Finding]] = {}
    for finding in once:
        by_file.setdefault(finding.problem.location.file, []).append(finding)
    kept = [
        finding
        for file_findings in by_file.values()
        for finding in sorted(file_findings, key=_rank)[:MAX_IN_FILE]
    ]
    chosen = set(sorted(kept, key=_rank)[:MAX_SHOWN])
    shown = [finding for finding in once if finding in chosen]
    hidden: Counter[str] = Counter()
    for finding in once:
        if finding not in chosen:
            hidden[finding.problem.location.file] += 1 + finding.more
    last = {finding.problem.location.file: finding for finding in shown}
    ends = {
        finding: f"... and {hidden[file]} more in {printable(file)}"
        for file, finding in last.items()
        if hidden[file]
    }
    others = [hidden[file] for file in hidden if file not in last]
    rest = [f"... and {sum(others)} more in {count(len(others), 'more file')}"] if others else []
    return shown, _Omitted(ends, rest)


def _rank(finding: Finding) -> int:
    return _RANKS[finding.problem.severity]


def _deduplicate(findings: Iterable[Finding]) -> list[Finding]:
    """Return each mistake once, with the first of its locations."""
    same: dict[Finding, list[Finding]] = {}
    for finding in findings:
        location = finding.problem.location._replace(via=())
        key = replace(finding, problem=replace(finding.problem, location=location))
        same.setdefault(key, []).append(finding)
    return [replace(first, more=len(others)) for first, *others in same.values()]


# --- the author's line ------------------------------------------------------------------------------------


def _clip(line: str, at: int) -> tuple[str, int]:
    """Return the part of a line around the character `at`, and the number of columns before it."""
    first = max(0, at - WIDTH)
    cells = _cells(line[first : at + WIDTH])
    begin, middle, end = 0, at - first, len(cells)
    if _columns(cells) > WIDTH:
        begin = middle - _count_fitting(cells[:middle][::-1], _BEFORE)
        end = begin + _count_fitting(cells[begin:], WIDTH)
    left = "..." if first + begin else ""
    right = "..." if first + end < len(line) else ""
    shown = "".join(text for text, _ in cells[begin:end])
    return f"{left}{shown}{right}", len(left) + _columns(cells[begin:middle])


def _count_fitting(cells: Iterable[tuple[str, int]], room: int) -> int:
    """Count how many of the cells, from the first on, fit into `room` columns."""
    return bisect_right([*accumulate(columns for _, columns in cells)], room)


def _cells(text: str) -> list[tuple[str, int]]:
    """Return each character as it is shown, and the number of its columns."""
    cells = [_cell(char) for char in text]
    for at, escape in command_escapes(text):
        cells[at] = escape, len(escape)
    return cells


def _cell(char: str) -> tuple[str, int]:
    shown = printable(char)
    if shown != char:
        return shown, len(shown)
    if unicodedata.category(char) in ("Mn", "Me"):
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _columns(cells: Iterable[tuple[str, int]]) -> int:
    return sum(columns for _, columns in cells)
