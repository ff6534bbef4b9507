"""The plan for the comment on a pull request: what is dangerous first, then a table, and details to unfold.

Text from files or from a service appears only in code, and nothing of it can end that: see `markup`. A plan that is too
long for a comment says what it leaves out: in a strict order, of which dangers are the last to go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from deployer import __version__
from deployer.errors import Problem
from deployer.forge.marker import marker
from deployer.model import Action, Impact, Orphan, Plan
from deployer.report import manifest_findings, markup, secrets
from deployer.report.group_lines import MAX_LINKS, MAX_TITLE, short_name
from deployer.report.markdown_details import Details
from deployer.report.markdown_names import NameList, list_frame, names_size
from deployer.report.markdown_table import buckets, rows
from deployer.report.origin import Origin
from deployer.report.review import (
    DANGERS,
    Group,
    NoteGroup,
    Part,
    Review,
    identity_words,
    review,
)
from deployer.report.short_values import LEAST, cut
from deployer.report.text import count, count_words

LIMIT = 60_000  # characters; a comment on GitHub has at most 65,536, and what posts it may add some
LEAST_LIMIT = 4_000
_RESERVE = 350  # for the words on what is left out
_MAX_NAMES_OF_NOTE = 5
_MAX_PLACE, _MAX_NOTE = 400, 1_500
_MAX_OPEN = 5
_ALWAYS_OPEN = {Impact.STATE_LOST, Impact.DELETES, Impact.CANCELS}
_LEAST_GROUP = 150  # characters of any group
# Characters of a long value: the first with which all has room.
_FIELD_LENGTHS = (20_000, 12_000, 6_000, 3_000, LEAST)
_NAMES_SHARE = (
    3  # the names of jobs without details have at most one of so many parts, until all details are written
)
_NOTES_SHARE = 4  # warnings have at most one of so many parts of the room

# The order in which the counts of what is left out are written.
_LEFT_OUT = ("row", "field", "name", "note", "finding", "secret")


def plan(
    plan: Plan, origin: Origin | None = None, *, limit: int = LIMIT, problems: Iterable[Problem] = ()
) -> str:
    """Format a plan as Markdown of at most `limit` characters, of which LEAST_LIMIT are enough.

    `problems` are the findings of validate.
    """
    origin = origin or Origin(__version__)
    found = review(plan)
    top, last = _top(found, ""), str(_bottom(plan, origin))
    places = plan.scope.places if plan.scope else {}
    lines = [*manifest_findings.lines(problems)]
    writer = _Writer(places, origin)
    body, notice = "", ""
    without_links: tuple[str, str] | None = None
    # Long values are shortened so far that everything has room, and then as long as what is left of it.
    for most_of_field in (None, *_FIELD_LENGTHS):
        if most_of_field and most_of_field >= writer.longest:
            continue
        room = _Room(max(limit, LEAST_LIMIT) - len(top) - len(last) - _RESERVE)
        body = "".join(writer.body(found, lines, room, most_of_field))
        notice = _notice(room.left_out, plan, limit)
        if not writer.is_short_of_room:
            if not writer.is_without_links:
                break
            without_links = without_links or (body, notice)
    else:
        # Values are not shortened for links that have no room anyway.
        body, notice = without_links or (body, notice)
    return f"{_top(found, notice)}{body}{last}".rstrip("\n")


def _notice(left_out: Counter[str], plan: Plan, limit: int) -> str:
    changes = len(plan.pending) + len(plan.upcoming)
    words = (
        [f"the details of {number} of {count(changes, 'change')}"] if (number := left_out["change"]) else []
    )
    words += [f"parts of {count(number, 'field')}"] if (number := left_out["value"]) else []
    words += [count(number, noun) for noun in _LEFT_OUT if (number := left_out[noun])]
    return f"Left out, because the limit is {limit:,} characters: {', '.join(words)}." if words else ""


def _top(found: Review, notice: str) -> str:
    plan, scope = found.plan, found.plan.scope
    attention = found.attention
    is_stopped = plan.errors or any(found.groups(Part.BLOCKED))
    level = "CAUTION" if found.impact else "WARNING" if is_stopped else "NOTE" if attention else ""
    place = str(scope).partition(" -> ")[2].removeprefix(scope.target).strip() if scope else ""
    has_changes = plan.pending or plan.errors
    return str(
        markup.markdown().top(  # type: ignore[attr-defined] # a macro
            marker(plan.scope.project if plan.scope else "", plan.target),
            cut(scope.project, MAX_TITLE) if scope else "",
            cut(plan.target, MAX_TITLE),
            cut(place.removeprefix("(").removesuffix(")"), _MAX_PLACE) if place else "",
            count_words(plan) if has_changes else "",
            level,
            f"**{found.impact}.**" if found.impact else "",
            f"{attention}: see below." if attention else "",
            notice,
        )
    )


def _bottom(plan: Plan, origin: Origin) -> str:
    time = f"{origin.time:%Y-%m-%d %H:%M:%S} UTC" if origin.time else ""
    return str(
        markup.markdown().bottom(  # type: ignore[attr-defined]
            origin.commit, origin.version, time, plan.digest
        )
    )


@dataclass(slots=True)
class _Room:
    """The room for characters, and how many items had none."""

    characters: int
    left_out: Counter[str] = field(default_factory=Counter)

    def takes(self, text: str) -> bool:
        """Take room for a text, if there is enough."""
        if len(text) > self.characters:
            return False
        self.characters -= len(text)
        return True


class _Writer:
    """Writes the parts of a report in the order of their importance, and returns them in that of their reading.

    Details are in a strict order: once those of a group are not complete, no later one has any.
    """

    def __init__(self, places: Mapping[str, str], origin: Origin) -> None:
        self.places = places
        self.origin = origin
        self.room = _Room(0)
        self.longest = 0  # characters of a field
        self.is_without_links = False  # to new jobs
        self.is_short_of_room = False  # for anything but the details of new jobs
        self._is_full = False
        self._most_of_field: int | None = None
        self._known: dict[tuple[int, bool], Details] = {}

    def body(
        self, found: Review, problems: Sequence[str], room: _Room, most_of_field: int | None
    ) -> Iterator[str]:
        """Write all that has room; `most_of_field` are the characters of a long value."""
        self.room, self._most_of_field = room, most_of_field
        self._is_full = self.is_short_of_room = self.is_without_links = False
        plan = found.plan
        severe = [*found.groups(Part.DANGERS, Part.BLOCKED)]
        others = [*found.groups(Part.CHANGES, Part.DRIFT)]
        upcoming = [*found.groups(Part.UPCOMING)]
        creates = [*found.groups(Part.CREATES)]
        table = self._rows(found)
        sources = self._notes("Secrets", [*secrets.sources(plan)], "secret", is_open=False)
        severe_details, severe_names = self._groups(severe)
        errors = self._notes(
            "Failed to plan", [*_note_lines(found.errors, self.places)], "note", is_open=True
        )
        self.is_short_of_room = self._is_full or room.left_out["note"] > 0
        other_details, other_names = self._groups(others)
        upcoming_details, upcoming_names = self._groups(upcoming)
        self.is_short_of_room = self.is_short_of_room or self._is_full
        lists = self._lists(creates)
        warnings = self._notes(
            "Warnings", [*_note_lines(found.warnings, self.places)], "note", share=_NOTES_SHARE
        )
        findings = self._notes("Findings in manifests", problems, "finding", share=_NOTES_SHARE)
        orphaned = [
            self._notes(
                f"{word}: {about}",
                [_orphan(orphan, self.places) for orphan in orphans],
                "note",
                share=_NOTES_SHARE,
            )
            for word, about, orphans in found.orphans_by_proof
        ]
        linked = [self._with_links(names) for names in lists]
        listed = {id(group) for names in lists for group in names.groups}
        create_details, create_names = self._create_groups(creates, listed)
        details = [*severe_details, *other_details, *create_details, *upcoming_details]
        self._lengthen(details)
        unmanaged = [f"{found.unmanaged}.\n\n"] if found.unmanaged else []
        for detail in details:
            room.left_out.update(detail.left_out)
        return chain(
            table,
            _texts(severe_details),
            severe_names,
            errors,
            _texts(other_details),
            other_names,
            linked,
            create_names,
            _texts(create_details),
            _texts(upcoming_details),
            upcoming_names,
            *(sources, warnings, findings, *orphaned, unmanaged),
        )

    def _rows(self, found: Review) -> list[str]:
        head = str(markup.markdown().table_head())  # type: ignore[attr-defined]
        made = rows(found, self.places)
        if not made or not self.room.takes(f"{head}\n"):
            return []
        # Half of the room: the details say more than the rows.
        most = self.room.characters // 2
        kept: list[str] = []
        for row in made:
            if len(row) > most:
                self.room.left_out["row"] += len(made) - len(kept)
                break
            most -= len(row)
            kept.append(row)
        self.room.takes("".join(kept))
        return [head, *kept, "\n"]

    def _lists(self, groups: Sequence[Group]) -> list[NameList]:
        """Return the names of many new jobs by their kinds; the room for them is taken."""
        kinds = [*buckets(groups).values()]
        short = [kind for kind in kinds if sum(len(group.changes) for group in kind) <= MAX_LINKS]
        most = self.room.characters - sum(self._names_size(kind) for kind in short)
        many = [kind for kind in kinds if kind not in short]
        lists = []
        for left, kind in zip(range(len(many), 0, -1), many, strict=True):
            names = NameList(kind, self.places, most // left)
            most -= len(names.text)
            self.room.characters -= len(names.text)
            self.room.left_out.update(names.left_out)
            self.is_short_of_room = self.is_short_of_room or names.left_out["name"] > 0
            lists.append(names)
        return lists

    def _with_links(self, names: NameList) -> str:
        """Return a list with links to the files, if there is room for them."""
        linked = names.with_links(self.origin)
        more = len(linked) - len(names.text)
        if names.left_out["name"] or more > self.room.characters // 2:
            self.is_without_links = True
            return names.text
        self.room.characters -= more
        return linked

    def _names_size(self, groups: Sequence[Group]) -> int:
        return list_frame(groups, self.places) + sum(names_size(group, self.places) for group in groups)

    def _create_groups(
        self, groups: Sequence[Group], listed: Collection[int]
    ) -> tuple[list[Details], list[str]]:
        """Return the details of new jobs, with values as long as all of them have room, or else as short as can be."""
        room, most_of_field, is_full = self.room.characters, self._most_of_field, self._is_full
        left_out = self.room.left_out.copy()
        details, names = self._groups(groups, listed)
        for shorter in _FIELD_LENGTHS:
            if not self._is_full or is_full:
                break
            if shorter >= min(self.longest, most_of_field or self.longest):
                continue
            self.room.characters, self.room.left_out = room, left_out.copy()
            self._most_of_field, self._is_full = shorter, False
            details, names = self._groups(groups, listed)
        return details, names

    def _groups(
        self, groups: Sequence[Group], listed: Collection[int] = ()
    ) -> tuple[list[Details], list[str]]:
        """Return the details of groups, in their order, and lists of the names of those without.

        The names have room before the details, but at most a part of it. The jobs of groups that are `listed` have
        their names and links elsewhere.
        """
        kinds = [*buckets(groups).values()]
        sizes = {id(group): names_size(group, self.places) for group in groups if id(group) not in listed}
        needed = sum(sizes.values())
        needed += sum(list_frame(kind, self.places) for kind in kinds if id(kind[0]) in sizes)
        most_for_names = self.room.characters // _NAMES_SHARE
        written: list[Details] = []
        rests: list[list[Group]] = []
        for kind in kinds:
            rest: list[Group] = []
            for group in kind:
                size = sizes.get(id(group), 0)
                if size and group is kind[-1] and not rest:
                    size += list_frame(kind, self.places)
                details = self._details(
                    group, len(groups), min(needed - size, most_for_names), is_listed=id(group) in listed
                )
                if details:
                    written.append(details)
                    needed -= size
                else:
                    self.room.left_out["change"] += len(group.changes)
                    rest.append(group)
            rests += [rest] if rest and id(kind[0]) in sizes else []
        return written, [*self._names(rests)]

    def _details(self, group: Group, number: int, needed: int, *, is_listed: bool) -> Details | None:
        """Return the details of one of `number` groups if there is room but for what is `needed` for names."""
        most = self.room.characters - needed
        if self._is_full or most < _LEAST_GROUP:
            self._is_full = True
            return None
        key = id(group), is_listed
        if key not in self._known:
            self._known[key] = Details(
                group, self.places, self.origin, is_open=_is_open(group, number), is_listed=is_listed
            )
        details = self._known[key]
        self.longest = max(self.longest, details.longest)
        details.fit(most, self._most_of_field)
        self._is_full = not details.is_complete
        if not details.text:
            return None
        self.room.takes(details.text)
        return details

    def _names(self, rests: Sequence[Sequence[Group]]) -> Iterator[str]:
        """Yield lists of the names of groups without details, of which the first are the last to be left out."""
        sizes = [self._names_size(rest) for rest in rests]
        for at, rest in enumerate(rests):
            later = sum(sizes[at + 1 :])
            most = min(self.room.characters, max(sizes[at], self.room.characters - later))
            names = NameList(rest, self.places, most, is_rest=True)
            self.room.left_out.update(names.left_out)
            self.room.characters -= len(names.text)
            yield names.text

    def _lengthen(self, details: Sequence[Details]) -> None:
        """Give what is left of the room to the long values, the first of them first."""
        for each in details:
            if each.left_out["value"] and each.is_complete:
                before = len(each.text)
                each.lengthen(before + self.room.characters)
                self.room.characters -= len(each.text) - before

    def _notes(
        self, words: str, lines: Sequence[str], noun: str, *, is_open: bool = False, share: int = 1
    ) -> list[str]:
        """Return notes in one block, as many as fit in the room, or in a share of it."""
        shown: list[str] = []
        frame = len(self._block(f"{words} (0000)", ["```"], is_open=is_open)) + 2 * markup.MAX_TICKS
        most = self.room.characters // share - frame - 30
        for line in lines:
            if len(line) + 9 > most or "`" * markup.MAX_TICKS in line:
                self.room.left_out[noun] += 1
                continue
            most -= len(line) + 9
            shown.append(line)
        if not shown:
            return []
        if left_out := len(lines) - len(shown):
            shown.append(f"... and {left_out} more")
        text = self._block(f"{words} ({len(lines)})", shown, is_open=is_open)
        self.room.takes(text)
        return [text]

    def _block(self, words: str, lines: list[str], *, is_open: bool) -> str:
        return str(markup.markdown().notes(words, lines, is_open))  # type: ignore[attr-defined]


def _texts(details: Iterable[Details]) -> Iterator[str]:
    return (each.text for each in details)


def _is_open(group: Group, number: int) -> bool:
    """Return whether the details of one of `number` groups are unfolded: what must not be overlooked always is."""
    if group.action is Action.BLOCKED or group.impact in _ALWAYS_OPEN:
        return True
    return number <= _MAX_OPEN and group.impact in DANGERS


def _note_lines(groups: Iterable[NoteGroup], places: Mapping[str, str]) -> Iterator[str]:
    for group in groups:
        first = ", ".join(
            short_name(identity_words(note.identity, places)) for note in group.notes[:_MAX_NAMES_OF_NOTE]
        )
        message = markup.without_comment(cut(group.message, _MAX_NOTE))
        if len(group.notes) > 1:
            yield f"{len(group.notes)} jobs ({first}, ...): {message}"
        else:
            yield f"{first} ({short_name(str(group.notes[0].source))}): {message}"


def _orphan(orphan: Orphan, places: Mapping[str, str]) -> str:
    ending = f"; {markup.without_comment(cut(orphan.ending, _MAX_NOTE))}" if orphan.ending else ""
    name = short_name(identity_words(orphan.identity, places))
    return f"{name}: {short_name(orphan.id)}, {short_name(orphan.state)}{ending}"
