"""The plan for the comment on a pull request: what is dangerous first, then a table, and details to unfold.

Text from files or from a service appears only in code, and nothing of it can end that: see `markup`. A plan that is too
long for a comment says what it leaves out; dangers, blocked jobs and errors are the last to go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from deployer import __version__
from deployer.errors import Problem
from deployer.forge.marker import marker
from deployer.model import Action, Impact, Orphan, Plan, Source
from deployer.report import manifest_findings, markup, secrets
from deployer.report.group_lines import MAX_LINKS, MAX_TITLE, GroupLines, short_name
from deployer.report.markdown_names import NameList
from deployer.report.markdown_table import buckets, rows, short_title
from deployer.report.origin import Origin
from deployer.report.review import (
    DANGERS,
    Group,
    NoteGroup,
    Part,
    Review,
    identity_words,
    name_in,
    review,
)
from deployer.report.short_values import cut
from deployer.report.text import count, count_words

LIMIT = 60_000  # characters; a comment on GitHub has at most 65,536, and what posts it may add some
LEAST_LIMIT = 4_000
_RESERVE = 1_200  # for the words on what is left out
_MAX_NAMES_OF_NOTE = 5
_MAX_PLACE, _MAX_NOTE = 400, 1_500
_MAX_OPEN = 5
_ALWAYS_OPEN = {Impact.STATE_LOST, Impact.DELETES, Impact.CANCELS}
_LEAST_GROUP = 150  # characters of any group
_LEAST_SHARE = 2_000  # characters for the details of one group, however many there are
_MAX_SHARE = 12_000
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
    body, notice = "", ""
    # No group has most of the room, unless all of them fit.
    for most in (limit, _MAX_SHARE):
        room = _Room(max(limit, LEAST_LIMIT) - len(top) - len(last) - _RESERVE)
        body = "".join(_Writer(places, origin, room, most).body(found, lines))
        notice = _notice(room.left_out, plan, limit)
        if not notice:
            break
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


@dataclass(slots=True)
class _Writer:
    """Writes the parts of a report in the order of their importance, and returns them in that of their reading.

    The details of a group have at most `most` characters.
    """

    places: Mapping[str, str]
    origin: Origin
    room: _Room
    most: int

    def body(self, found: Review, problems: Sequence[str]) -> Iterator[str]:
        plan = found.plan
        severe = [*found.groups(Part.DANGERS, Part.BLOCKED)]
        others = [*found.groups(Part.CHANGES, Part.DRIFT, Part.UPCOMING)]
        creates = [*found.groups(Part.CREATES)]
        table = self._rows(found)
        sources = self._notes("Secrets", [*secrets.sources(plan)], "secret", is_open=False)
        # The details of some groups must not leave no room for the errors, nor for the names of new jobs.
        errors = self._notes(
            "Failed to plan", [*_note_lines(found.errors, self.places)], "note", is_open=True
        )
        lists = self._lists(creates)
        severe_details = self._groups(severe)
        other_details = self._groups(others)
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
        linked = {id(names): self._with_links(names) for names in lists if names.is_long}
        listed = {id(group) for names in lists if names.is_long for group in names.groups}
        create_details = self._groups(creates, listed)
        for names in lists:
            if not names.is_long and not all(id(group) in create_details for group in names.groups):
                linked[id(names)] = self._with_links(names)
        in_order = [linked[id(names)] for names in lists if id(names) in linked]
        unmanaged = [f"{found.unmanaged}.\n\n"] if found.unmanaged else []
        details = (severe_details.values(), errors, other_details.values(), in_order, create_details.values())
        return chain(table, *details, sources, warnings, findings, *orphaned, unmanaged)

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
        """Return the names of new jobs by their kinds; the room for them is taken."""
        kinds = [*buckets(groups).values()]
        most = self.room.characters // 3
        lists = []
        for left, kind in zip(range(len(kinds), 0, -1), kinds, strict=True):
            names = NameList(kind, self.places, most // left)
            most -= len(names.text)
            self.room.characters -= len(names.text)
            self.room.left_out.update(names.left_out)
            lists.append(names)
        return lists

    def _with_links(self, names: NameList) -> str:
        """Return a list with links to the files, if there is room for them."""
        linked = names.with_links(self.origin)
        if names.left_out["name"] or not self.room.takes(linked[: len(linked) - len(names.text)]):
            return names.text
        return linked

    def _groups(self, groups: Sequence[Group], listed: Collection[int] = ()) -> dict[int, str]:
        """Return the details of groups by their ids; each gets its share of the room, and what others left of theirs.

        If not all fit, some of each action and impact do. The jobs of groups that are `listed` have their names and
        links elsewhere.
        """
        in_turn = zip_longest(*buckets(groups).values())
        turns = [group for turn in in_turn for group in turn if group is not None]
        written: dict[int, str] = {}
        for left, group in zip(range(len(turns), 0, -1), turns, strict=True):
            share = min(max(_LEAST_SHARE, self.room.characters // left), self.room.characters, self.most)
            is_open = _is_open(group, len(groups))
            is_listed = id(group) in listed
            text = (
                self._group(group, share, is_open=is_open, is_listed=is_listed)
                if share > _LEAST_GROUP
                else ""
            )
            if text and self.room.takes(text):
                written[id(group)] = text
            else:
                self.room.left_out["change"] += len(group.changes)
        return {id(group): written[id(group)] for group in groups if id(group) in written}

    def _group(self, group: Group, share: int, *, is_open: bool, is_listed: bool) -> str:
        """Return the details of a group, without some fields and names if they take more than its share."""
        lines = GroupLines(group, self.places, has_names=not is_listed)
        links = [] if is_listed else [*self._links(group)]
        whole = self._details(group, lines, links, is_open=is_open)
        if len(whole) <= share:
            return whole
        # Where it comes from is not left out, but of many jobs.
        while len(links) > 1 and sum(len(words) + len(url) + 12 for words, url in links) > share // 4:
            links.pop()
        # What is around the lines, with the longest fence.
        frame = len(self._details(group, lines.bare(), links, is_open=is_open)) + 4 * markup.MAX_TICKS
        lines.fit(share - frame)
        text = self._details(group, lines, links, is_open=is_open)
        if len(text) > share:
            return ""
        self.room.left_out.update(lines.left_out)
        return text

    def _details(
        self, group: Group, lines: GroupLines, links: Sequence[tuple[str, str]], *, is_open: bool
    ) -> str:
        return str(
            markup.markdown().group(  # type: ignore[attr-defined]
                str(group.action),
                len(group.changes),
                short_title(group, self.places),
                str(group.impact) if group.impact is not Impact.NONE else "",
                group.is_drift,
                [*lines.lines()],
                links,
                [*lines.names()],
                is_open,
            )
        )

    def _links(self, group: Group) -> Iterator[tuple[str, str]]:
        """Yield the words and the URL of each link: one for each job, or for each file of many jobs."""
        for change in group.changes if len(group.changes) <= MAX_LINKS else ():
            source = change.job.source
            words = str(source) if len(group.changes) == 1 else name_in(group, change, self.places)
            yield cut(words, MAX_TITLE), self.origin.link(source)
        for file in group.files[:MAX_LINKS] if len(group.changes) > MAX_LINKS else ():
            yield cut(file, MAX_TITLE), self.origin.link(Source(file, 0))

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
