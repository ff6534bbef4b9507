"""Outcomes for the comment on a pull request, or the summary of a CI job: what needs attention first.

As in the plan's: text of files and services is in code that it cannot end, and what has no room is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from deployer import __version__
from deployer.forge.marker import marker
from deployer.model import Action, Impact, Source
from deployer.report import markup
from deployer.report.markdown import LEAST_LIMIT, LIMIT
from deployer.report.origin import Origin
from deployer.report.outcomes import PLAN, EntryGroup, OutcomeReview, Outcomes, Part, Section, order
from deployer.report.review import identity_words, name_in, title
from deployer.report.short_values import cut
from deployer.report.text import count

_TEMPLATE = "outcomes.md.jinja"
_RESERVE = 700  # for the words on what is left out
_MAX_TITLE, _MAX_PLACE, _MAX_MESSAGE = 120, 400, 1_500
_MAX_MESSAGES, _MAX_NAMES, _MAX_LINKS, _MAX_OPEN = 20, 60, 12, 5
_MAX_ALIKE = 10  # rows with the same result and action
_LEFT_OUT = ("row", "change", "note")


def outcomes(found: Outcomes, origin: Origin | None = None, *, limit: int = LIMIT) -> str:
    """Format outcomes as Markdown of at most `limit` characters, of which LEAST_LIMIT are enough."""
    origin = origin or Origin(__version__)
    shown = order(found)
    top = _top(found, shown)
    room = max(limit, LEAST_LIMIT) - len(top) - len(_bottom("", limit, found, origin)) - _RESERVE
    writer = _Writer(found.scope.places, origin, room)
    body = "".join(writer.body(found, shown))
    left_out = ", ".join(count(number, noun) for noun in _LEFT_OUT if (number := writer.left_out[noun]))
    return f"{top}{body}{_bottom(left_out, limit, found, origin)}".rstrip("\n")


def _top(found: Outcomes, shown: OutcomeReview) -> str:
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
    )


def _bottom(left_out: str, limit: int, found: Outcomes, origin: Origin) -> str:
    time = f"{origin.time:%Y-%m-%d %H:%M:%S} UTC" if origin.time else ""
    digest = found.plan.digest if found.plan else ""
    return _macro("bottom", left_out, f"{limit:,}", origin.commit, origin.version, time, digest)


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
        is_open = sum(len(section.groups) for section in shown.sections) <= _MAX_OPEN
        for section in shown.sections:
            if section.part <= Part.FAILED:
                yield from self._section(section, is_open=True)
        lines = [
            f"{_line(identity_words(note.identity, self.places), _MAX_TITLE)} "
            f"({_line(str(note.source), _MAX_TITLE)}): {_line(note.message, _MAX_MESSAGE)}"
            for group in shown.errors
            for note in group.notes
        ]
        yield from self._notes("Failed to plan", lines)
        for section in shown.sections:
            if section.part > Part.FAILED:
                yield from self._section(section, is_open=is_open and section.part is not Part.DONE)

    def _fitting(self, text: str, noun: str, number: int) -> Iterator[str]:
        if len(text) <= self.room:
            self.room -= len(text)
            yield text
        else:
            self.left_out[noun] += number

    def _rows(self, sections: Iterable[Section]) -> Iterator[str]:
        """Yield the table: for many groups with the same result and action, one row."""
        groups = [group for section in sections for group in section.groups]
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

    def _section(self, section: Section, *, is_open: bool) -> Iterator[str]:
        for group in section.groups:
            yield from self._fitting(self._group(group, is_open=is_open), "change", len(group.entries))

    def _group(self, group: EntryGroup, *, is_open: bool) -> str:
        changes, number = group.changes, len(group.entries)
        words = title(changes, self.places).removeprefix(f"{number} x ")
        return _macro(
            "group",
            group.words,
            number,
            cut(words, _MAX_TITLE),
            str(changes.impact) if changes.impact is not Impact.NONE else "",
            [*self._lines(group)],
            [*self._links(group)],
            is_open,
        )

    def _lines(self, group: EntryGroup) -> Iterator[str]:
        yield _line(group.message, _MAX_MESSAGE)
        yield from (f"| {_line(line, _MAX_MESSAGE)}" for line in group.first.log)
        is_single = len(group.entries) == 1
        for entry in group.entries[:_MAX_NAMES]:
            name = _line(name_in(group.changes, entry.change, self.places), _MAX_TITLE)
            if entry.id:
                identifier = _line(entry.id, _MAX_TITLE)
                yield f"id {identifier}" if is_single else f"{name} (id {identifier})"
            elif not is_single:
                yield name
        if more := len(group.entries[_MAX_NAMES:]):
            yield f"... and {more} more"

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


def _block(words: str, number: int, lines: list[str]) -> str:
    return _macro("notes", f"{words} ({number})", lines)


def _line(words: str, most: int) -> str:
    """Return words as a line of a fenced block."""
    return markup.without_comment(cut(words, most).replace("`" * markup.MAX_TICKS, "..."))
