"""The lines of the details of a group in Markdown, and what of them is left out where not all fit."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from deployer.escape import printable, without_command_at_start
from deployer.model import FieldChange, Impact
from deployer.planning.paths import path_words
from deployer.report import line_diff, markup, secrets, uncompared
from deployer.report.field_values import field_values
from deployer.report.review import Group, names_in
from deployer.report.short_values import LEAST, cut, shortened
from deployer.report.text import count
from deployer.report.wrap import wrapped

MAX_LINKS = 12  # of the jobs of a group, whose names are listed if there are more
MAX_TITLE = 120
_MAX_FIELD_NAMES, _MAX_WORDS = 5, 60  # of fields that are left out
_MAX_REASON = 1_500
_WIDTH = 100
_MAX_PATH = 100  # of a field that is shown in part: what differs must be in the head of its lines
# The fields that say which program runs, of all kinds: the last to be left out.
_PROGRAM = frozenset(
    {
        *("entrypoint", "main_class", "entrypoint_args", "file", "className", "class_name", "args"),
        *("job_type", "arguments", "sql", "sql_body"),
    }
)
_RUNS = re.compile("`{3,}")
_TICKS = re.compile(f"`{{{markup.MAX_TICKS},}}")


@dataclass(frozen=True, slots=True)
class _Item:
    """Lines that are shown or left out together; `number` counts what `noun` names in them.

    Of those with the lowest `rank`, the most is kept.
    """

    noun: str
    number: int
    label: str
    lines: list[str]
    path: str = ""
    rank: int = 0

    @property
    def size(self) -> int:
        return sum(len(line) + 1 for line in self.lines)

    @property
    def least(self) -> int:
        """The characters in which it can be shown."""
        return min(self.size, LEAST) if self.noun == "field" else self.size

    def fenceable(self) -> _Item:
        """Return the item without runs of backticks that would need a fence of great length."""
        if not any(map(_TICKS.search, self.lines)):
            return self
        lines = [_TICKS.sub(_ticks, line) for line in self.lines]
        return replace(self, lines=lines)


def name_lines(names: Iterable[str]) -> Iterator[str]:
    """Yield lines of names, of which none is very long."""
    line = ""
    for name in names:
        if line and len(line) + len(name) > 100:
            yield without_command_at_start(line)
            line = ""
        line += f"{', ' if line else ''}{name}"
    if line:
        yield without_command_at_start(line)


class GroupLines:
    """The lines of the details of a group: its reason, fields, and the names of its jobs.

    `left_out` counts what `fit` has left out.
    """

    def __init__(self, group: Group, places: Mapping[str, str], *, has_names: bool = True) -> None:
        impact = f"; impact: {group.impact}" if group.impact is not Impact.NONE else ""
        self.reason = markup.without_comment(f"# {printable(group.reason)}{impact}")
        self.items = [*_items(group, places)]
        is_listed = has_names and len(group.changes) > MAX_LINKS and not group.own
        self.jobs = [*map(short_name, names_in(group, places))] if is_listed else []
        self.left_out: Counter[str] = Counter()
        self._missing: list[str] = []

    def lines(self) -> Iterator[str]:
        yield from self._reason_lines()
        for item in self.items:
            yield from item.lines
        if number := self.left_out["field"]:
            more = ", ..." if len(self._missing) > _MAX_FIELD_NAMES else ""
            yield f"!   left out: {count(number, 'field')} ({', '.join(self._missing[:_MAX_FIELD_NAMES])}{more})"

    def _reason_lines(self) -> Iterator[str]:
        # A block of code is as wide as the comment: what is right of that is not seen.
        return (part.rstrip() for part in wrapped(self.reason, _WIDTH, "#   "))

    def names(self) -> Iterator[str]:
        """Yield lines of names, of which none is very long."""
        yield from name_lines(self.jobs)
        if number := self.left_out["name"]:
            yield f"... and {number} more"

    def bare(self) -> GroupLines:
        """Return the same without anything that can be left out."""
        bare: GroupLines = object.__new__(GroupLines)
        bare.reason, bare.items, bare.jobs = "", [], []
        bare.left_out, bare._missing = Counter(), []
        return bare

    @property
    def longest(self) -> int:
        """The characters of the longest field."""
        return max((item.size for item in self.items if item.noun == "field"), default=0)

    @property
    def is_empty(self) -> bool:
        """Whether no field is left of those that there were."""
        return bool(self._missing) and not self.longest

    @property
    def ticks(self) -> int:
        """The backticks of the longest run, but for what is too long for a fence."""
        runs = (len(run) for text in self._texts() for run in _RUNS.findall(text))
        return min(max(runs, default=0), markup.MAX_TICKS)

    def _texts(self) -> Iterator[str]:
        yield self.reason
        yield from self.jobs
        for item in self.items:
            yield from item.lines

    def copy(self) -> GroupLines:
        """Return the same with a count of its own."""
        copy: GroupLines = object.__new__(GroupLines)
        copy.reason, copy.items, copy.jobs = self.reason, [*self.items], self.jobs
        copy.left_out, copy._missing = Counter(), []
        return copy

    def shorten(self, most: int) -> None:
        """Leave out the middle of each value that takes more than `most` characters."""
        self._make_fenceable()
        self.items = [self._short(item, most) if item.noun == "field" else item for item in self.items]

    def fit(self, most: int) -> None:
        """Leave out what takes more than `most` characters."""
        self._make_fenceable()
        most -= sum(len(part) + 1 for part in self._reason_lines()) + 20
        needed = sum(item.least for item in self.items)
        most -= self._fit_names(max(most // 2, most - needed))
        if needed > most:
            # The line on what is left out, with its names.
            most -= 80 + _MAX_FIELD_NAMES * (_MAX_WORDS + 5)
        kept: list[int] = []
        room = most
        for number in sorted(range(len(self.items)), key=lambda number: self._order(self.items[number])):
            item = self.items[number]
            # A field is not kept in place of one that says more.
            if item.least <= room and not (self._missing and item.noun == "field"):
                room -= item.least
                kept.append(number)
            else:
                self.left_out[item.noun] += item.number
                self._missing += [item.label] if item.noun == "field" else []
                self.items[number] = replace(item, lines=[])
        # Each has its share, and what smaller ones left of theirs.
        kept.sort(key=lambda number: (self.items[number].noun == "field", self.items[number].size))
        for left, number in zip(range(len(kept), 0, -1), kept, strict=True):
            if self.items[number].noun == "field":
                self.items[number] = self._short(self.items[number], most // left)
            most -= self.items[number].size

    def _make_fenceable(self) -> None:
        self.reason = cut(_TICKS.sub(_ticks, self.reason), _MAX_REASON)
        self.jobs = [_TICKS.sub(_ticks, name) for name in self.jobs]
        self.items = [item.fenceable() for item in self.items]

    def _fit_names(self, most: int) -> int:
        """Leave out the last names if all take more than `most` characters; return how many they take."""
        ends = [*accumulate(len(name) + 3 for name in self.jobs)]
        fitting = bisect_right(ends, most)
        self.left_out["name"] += len(self.jobs) - fitting
        self.jobs = self.jobs[:fitting]
        return ends[fitting - 1] if fitting else 0

    def _order(self, item: _Item) -> tuple[bool, int, int]:
        return item.noun == "field", item.rank, item.least

    def _short(self, item: _Item, most: int) -> _Item:
        if item.size <= most:
            return item
        self.left_out["value"] += item.number
        short = cut(item.path, _MAX_PATH)
        lines = [line.replace(item.path, short, 1) if item.path else line for line in item.lines]
        return replace(item, lines=shortened(lines, max(most, LEAST)))


def _ticks(match: re.Match[str]) -> str:
    return f"({len(match[0]):,} backticks)"


def _items(group: Group, places: Mapping[str, str]) -> Iterator[_Item]:
    shown = (*group.fields, *(group.own[0] if group.own else ()))
    for changed in group.fields:
        path = path_words(changed)
        shown_path = markup.without_comment(printable(path))
        yield _Item("field", 1, _label(path), [*_field(changed)], shown_path, _rank(changed))
    for path, words in secrets.fields(group.first, shown):
        yield _Item("secret", 1, "", [markup.without_comment(f"!   {path}: {words}")])
    for line in uncompared.lines(group.first):
        yield _Item("note", 1, "", [markup.without_comment(f"#   {line}")])
    for name, own in zip(map(short_name, names_in(group, places)), group.own, strict=bool(group.own)):
        lines = [line for changed in own for line in _field(changed)]
        yield _Item("field", len(own), _label(name), [f"# {name}", *lines], rank=1)


def _rank(changed: FieldChange) -> int:
    return 0 if changed.parts[:1] and changed.parts[0] in _PROGRAM else 2


def _field(changed: FieldChange) -> Iterator[str]:
    path = printable(path_words(changed))
    if changed.sensitive:
        yield markup.without_comment(f"!   {path}: (sensitive value changed)")
        return
    note = f"  ({printable(changed.note)})" if changed.note else ""
    if line_diff.has_lines(changed.live, changed.desired):
        yield markup.without_comment(f"!   {path}:{note}")
        for sign, text in line_diff.lines(changed.live, changed.desired):
            yield markup.without_comment(f"{sign:<4}{text}" if text else sign)
        return
    live, desired = field_values(changed)
    if live is not None:
        yield markup.without_comment(f"-   {path}: {live}{note}")
    if desired is not None:
        yield markup.without_comment(f"+   {path}: {desired}{note}")


def short_name(name: str) -> str:
    """Return a name of limited length for a line of a block of code."""
    return markup.without_comment(cut(name, MAX_TITLE))


def _label(words: str) -> str:
    return markup.without_comment(cut(words, _MAX_WORDS)).replace("`" * 3, "...")
