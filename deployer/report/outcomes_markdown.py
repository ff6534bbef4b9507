"""Outcomes for the comment on a pull request, or the summary of a CI job: what needs attention first.

As in the plan's: text of files and services is in code that it cannot end, and what has no room is counted at the top.
Names of jobs are shown as long as there is room: of those that failed first, of those that are done last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, groupby

from deployer import __version__
from deployer.forge.marker import marker
from deployer.model import Action, Impact, Source
from deployer.report import markup
from deployer.report.group_lines import name_lines
from deployer.report.markdown import LEAST_LIMIT, LIMIT
from deployer.report.origin import Origin
from deployer.report.outcomes import PLAN, Entry, EntryGroup, OutcomeReview, Outcomes, Part, Section, order
from deployer.report.place_names import place_words
from deployer.report.review import identity_words, names_in, title
from deployer.report.short_values import cut
from deployer.report.text import count

_TEMPLATE = "outcomes.md.jinja"
_RESERVE = 700  # for the words on what is left out
_MAX_TITLE, _MAX_PLACE, _MAX_MESSAGE = 120, 400, 1_500
_MAX_MESSAGES, _MAX_LINKS, _MAX_OPEN = 20, 12, 5
_MAX_ALIKE = 10  # rows with the same result and action
_LEFT_OUT = ("row", "name", "note")


def outcomes(found: Outcomes, origin: Origin | None = None, *, limit: int = LIMIT) -> str:
    """Format outcomes as Markdown of at most `limit` characters, of which LEAST_LIMIT are enough."""
    origin = origin or Origin(__version__)
    shown = order(found)
    bottom = _bottom(found, origin)
    room = max(limit, LEAST_LIMIT) - len(_top(found, shown, "")) - len(bottom) - _RESERVE
    writer = _Writer(found.scope.places, origin, room)
    body = "".join(writer.body(found, shown))
    notice = _notice(writer.left_out, limit, len(found.plan.pending) if found.plan else 0)
    return f"{_top(found, shown, notice)}{body}{bottom}".rstrip("\n")


def _notice(left_out: Counter[str], limit: int, changes: int) -> str:
    number = left_out["change"]
    words = [f"the details of {number} of {count(changes, 'change')}"] if number else []
    words += [count(number, noun) for noun in _LEFT_OUT if (number := left_out[noun])]
    return f"Left out, because the limit is {limit:,} characters: {', '.join(words)}." if words else ""


def _top(found: Outcomes, shown: OutcomeReview, notice: str) -> str:
    scope = found.scope
    place = str(scope).partition(" -> ")[2].removeprefix(scope.target).strip()
    severe = any(section.part <= Part.FAILED for section in shown.sections) or shown.errors
    level = "CAUTION" if severe else "WARNING" if shown.attention else ""
    return _macro(
        "top",
        # The comment about a plan that failed is that of the plan.
        marker(found.project, found.target, "" if found.name == PLAN else found.name),
        found.name,
        cut(found.project, _MAX_TITLE) if found.project else "",
        cut(found.target, _MAX_TITLE),
        cut(place.removeprefix("(").removesuffix(")"), _MAX_PLACE) if place else "",
        shown.counts,
        level,
        shown.attention,
        shown.carried_out,
        shown.in_doubt,
        notice,
    )


def _bottom(found: Outcomes, origin: Origin) -> str:
    time = f"{origin.time:%Y-%m-%d %H:%M:%S} UTC" if origin.time else ""
    digest = found.plan.digest if found.plan else ""
    return _macro("bottom", origin.commit, origin.version, time, digest)


def _macro(name: str, *arguments: object) -> str:
    return str(getattr(markup.markdown(_TEMPLATE), name)(*arguments))


@dataclass(slots=True)
class _Writer:
    """Writes the parts of a report in the order of their reading, which is that of their importance."""

    places: Mapping[str, str]
    origin: Origin
    room: int
    left_out: Counter[str] = field(default_factory=Counter)

    def body(self, found: Outcomes, shown: OutcomeReview) -> Iterator[str]:
        if found.messages:
            lines = [_line(message, _MAX_MESSAGE) for message in found.messages[:_MAX_MESSAGES]]
            yield from self._fitting(_macro("messages", lines), "note", len(lines))
            self.left_out["note"] += len(found.messages[_MAX_MESSAGES:])
        yield from self._rows(shown.sections)
        lines = [
            f"{_line(identity_words(note.identity, self.places), _MAX_TITLE)} "
            f"({_line(str(note.source), _MAX_TITLE)}): {_line(note.message, _MAX_MESSAGE)}"
            for group in shown.errors
            for note in group.notes
        ]
        severe = [section for section in shown.sections if section.part <= Part.FAILED]
        others = [section for section in shown.sections if section.part > Part.FAILED]
        is_open = sum(len(section.groups) for section in shown.sections) <= _MAX_OPEN
        yield from self._details([_Details(self, group, is_open=True) for group in _all(severe)])
        yield from self._notes("Failed to plan", lines)
        details = [
            _Details(self, group, is_open=is_open and section.part is not Part.DONE)
            for section in others
            for group in section.groups
        ]
        yield from self._details(details)

    def _fitting(self, text: str, noun: str, number: int) -> Iterator[str]:
        if len(text) <= self.room:
            self.room -= len(text)
            yield text
        else:
            self.left_out[noun] += number

    def _rows(self, sections: Iterable[Section]) -> Iterator[str]:
        """Yield the table: for many groups with the same result and action, one row."""
        groups = [*_all(sections)]
        head = _macro("table_head")
        if not groups or len(head) > self.room:
            return
        self.room -= len(head) + 1
        yield head
        # The details say more than the rows.
        most = self.room // 2
        for _, found in groupby(
            groups, key=lambda group: (group.status, group.changes.action, group.changes.kind)
        ):
            alike = [*found]
            merged = [alike] if len(alike) > _MAX_ALIKE else [[group] for group in alike]
            for rows in merged:
                text = self._row(rows)
                if len(text) > most:
                    self.left_out["row"] += 1
                    continue
                most -= len(text)
                self.room -= len(text)
                yield text
        yield "\n"

    def _row(self, groups: list[EntryGroup]) -> str:
        entries = tuple(entry for group in groups for entry in group.entries)
        merged = EntryGroup(entries, "").changes
        number = len(entries)
        impacts = {group.changes.impact for group in groups} - {Impact.NONE}
        return _macro(
            "row",
            groups[0].status,
            "" if merged.action is Action.BLOCKED else str(merged.action),
            number,
            cut(title(merged, self.places).removeprefix(f"{number} x "), _MAX_TITLE),
            ", ".join(sorted(impacts)),
        )

    def _details(self, found: Sequence[_Details]) -> Iterator[str]:
        """Yield the details of groups: with their names first, with files and ids too if all have their names."""
        bare, named = sum(each.bare for each in found), sum(each.named for each in found)
        for each in found:
            bare, named = bare - each.bare, named - each.named
            text = each.fitting(self.room - named, self.room - min(bare, self.room // 2))
            if len(text) <= self.room:
                self.room -= len(text)
                self.left_out["name"] += each.left_out
                yield text
            else:
                self.left_out["change"] += len(each.group.entries)

    def group(self, group: EntryGroup, names: Sequence[str], *, is_open: bool) -> str:
        """Return the details of a group with lines of names."""
        changes, number = group.changes, len(group.entries)
        words = title(changes, self.places).removeprefix(f"{number} x ")
        lines = [_line(group.message, _MAX_MESSAGE)]
        lines += (f"| {_line(line, _MAX_MESSAGE)}" for line in group.first.log)
        return _macro(
            "group",
            group.words,
            number,
            cut(words, _MAX_TITLE),
            str(changes.impact) if changes.impact is not Impact.NONE else "",
            [*lines, *names],
            [*self._links(group)],
            is_open,
        )

    def _links(self, group: EntryGroup) -> Iterator[tuple[str, str]]:
        changes = group.changes
        sources = (
            [changes.first.job.source]
            if len(changes.changes) == 1
            else [Source(file, 0) for file in changes.files]
        )
        for source in sources[:_MAX_LINKS]:
            yield cut(str(source), _MAX_TITLE), self.origin.link(source)

    def _notes(self, words: str, lines: list[str]) -> Iterator[str]:
        """Yield notes in one block, as many as fit."""
        kept: list[str] = []
        frame = len(_block(words, len(lines), [""])) + 2 * markup.MAX_TICKS
        most = self.room - frame
        for line in lines:
            if len(line) + 1 > most or "`" * markup.MAX_TICKS in line:
                self.left_out["note"] += 1
                continue
            most -= len(line) + 1
            kept.append(line)
        if kept:
            text = _block(words, len(lines), kept)
            self.room -= len(text)
            yield text


class _Details:
    """The details of a group: with `named` characters if they have names only, with `bare` without names.

    `left_out` counts the names that had no room.
    """

    def __init__(self, writer: _Writer, group: EntryGroup, *, is_open: bool) -> None:
        self.group = group
        self.left_out = 0
        self._text = partial(writer.group, group, is_open=is_open)
        changes = group.changes
        has_place = changes.place is None
        self._names, self._whole = [], [_id(entry) for entry in group.entries if entry.id]
        if len(group.entries) > 1:
            self._names = [
                _line(_name(entry, writer.places, has_place=has_place), _MAX_TITLE) for entry in group.entries
            ]
            self._whole = [
                f"{_line(name, _MAX_TITLE)}{f' ({_id(entry)})' if entry.id else ''}"
                for name, entry in zip(names_in(changes, writer.places), group.entries, strict=True)
            ]
        self.bare = len(self._text(self._some(0)))
        self.named = len(self._text(self._some(len(self._names))))

    def fitting(self, room: int, most: int) -> str:
        """Return all of it if that fits `room`, else with as many names as fit `most`."""
        text = self._text(self._whole)
        if len(text) <= room:
            return text
        left = most - self.bare - 2 * markup.MAX_TICKS
        fitting = sum(end <= left for end in accumulate(len(name) + 3 for name in self._names))
        fitting = len(self._names) if self.named <= most else fitting
        text = self._text(self._some(fitting))
        self.left_out = len(self._names) - fitting
        return text

    def _some(self, number: int) -> list[str]:
        if not self._names:
            return self._whole
        more = len(self._names) - number
        return [*name_lines(self._names[:number]), *([f"... and {more} more"] if more else [])]


def _all(sections: Iterable[Section]) -> Iterator[EntryGroup]:
    for section in sections:
        yield from section.groups


def _name(entry: Entry, places: Mapping[str, str], *, has_place: bool) -> str:
    identity = entry.change.job.identity
    shown = has_place and identity.place
    return f"{identity.label} in {place_words(identity.place, places)}" if shown else identity.label


def _id(entry: Entry) -> str:
    return f"id {_line(entry.id, _MAX_TITLE)}"


def _block(words: str, number: int, lines: list[str]) -> str:
    return _macro("notes", f"{words} ({number})", lines)


def _line(words: str, most: int) -> str:
    """Return words as a line of a fenced block."""
    return markup.without_comment(cut(words, most).replace("`" * markup.MAX_TICKS, "..."))
