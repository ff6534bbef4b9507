"""The plan for the comment on a pull request: what is dangerous first, then a table, and details to unfold.

Text from files or from a service appears only in code, and nothing of it can end that: see `markup`. A plan that is too
long for a comment says what it leaves out; dangers, blocked jobs and errors are the last to go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from deployer import __version__
from deployer.escape import printable, without_command_at_start
from deployer.forge.marker import marker
from deployer.model import Action, FieldChange, Impact, Orphan, Plan, Source
from deployer.report import line_diff, markup, secrets, uncompared
from deployer.report.field_values import field_values
from deployer.report.origin import Origin
from deployer.report.paths import path_words
from deployer.report.review import (
    DANGERS,
    Group,
    NoteGroup,
    Part,
    Review,
    identity_words,
    name_in,
    review,
    title,
)
from deployer.report.text import count, count_words

LIMIT = 60_000  # characters; a comment on GitHub has at most 65,536, and what posts it may add some
LEAST_LIMIT = 4_000
_RESERVE = 1_200  # for the words on what is left out, and the last line
_MAX_LINKS = 12
_MAX_NAMES = 60  # of jobs in a group of which not all fits
_MAX_FIELD_NAMES, _MAX_WORDS = 5, 60  # of fields that are left out
_MAX_ROW_FIELDS = 3
_MAX_ROWS, _LEAST_ROWS = 50, 3  # in all, and of groups that are alike
_MAX_TITLE, _MAX_PLACE, _MAX_REASON, _MAX_NOTE = 120, 400, 1_500, 1_500
_MAX_OPEN = 5
_ALWAYS_OPEN = {Impact.STATE_LOST, Impact.DELETES, Impact.CANCELS}
_LEAST_GROUP = 150  # characters of any group
_LEAST_SHARE = 2_000  # characters for the details of one group, however many there are

# The order in which the counts of what is left out are written.
_LEFT_OUT = ("row", "change", "field", "name", "note", "secret")


def plan(plan: Plan, origin: Origin | None = None, *, limit: int = LIMIT) -> str:
    """Format a plan as Markdown of at most `limit` characters, of which LEAST_LIMIT are enough."""
    origin = origin or Origin(__version__)
    found = review(plan)
    top = _top(found)
    last = str(_bottom("", limit, plan, origin))
    room = _Room(max(limit, LEAST_LIMIT) - len(top) - len(last) - _RESERVE)
    places = plan.scope.places if plan.scope else {}
    writer = _Writer(places, origin, room)
    body = "".join(writer.body(found))
    left_out = ", ".join(count(number, noun) for noun in _LEFT_OUT if (number := room.left_out[noun]))
    return f"{top}{body}{_bottom(left_out, limit, plan, origin)}".rstrip("\n")


def _top(found: Review) -> str:
    plan, scope = found.plan, found.plan.scope
    attention = [
        *([f"{sum(len(group.changes) for group in found.groups(Part.BLOCKED))} blocked"]),
        *([f"{len(plan.errors)} failed to plan"]),
    ]
    attention = [words for words in attention if not words.startswith("0 ")]
    level = "CAUTION" if found.impact else "WARNING" if attention else ""
    place = str(scope).partition(" -> ")[2].removeprefix(scope.target).strip() if scope else ""
    has_changes = plan.pending or plan.errors
    return str(
        markup.markdown().top(  # type: ignore[attr-defined] # a macro
            marker(plan.scope.project if plan.scope else "", plan.target),
            cut(scope.project, _MAX_TITLE) if scope else "",
            cut(plan.target, _MAX_TITLE),
            cut(place.removeprefix("(").removesuffix(")"), _MAX_PLACE) if place else "",
            count_words(plan) if has_changes else "",
            level,
            f"**{found.impact}.**" if found.impact else "",
            f"{', '.join(attention)}: see below." if attention else "",
        )
    )


def _bottom(left_out: str, limit: int, plan: Plan, origin: Origin) -> str:
    time = f"{origin.time:%Y-%m-%d %H:%M:%S} UTC" if origin.time else ""
    return str(
        markup.markdown().bottom(  # type: ignore[attr-defined]
            left_out, f"{limit:,}", origin.commit, origin.version, time, plan.digest
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
    """Writes the parts of a report in the order of their importance, and returns them in that of their reading."""

    places: Mapping[str, str]
    origin: Origin
    room: _Room

    def body(self, found: Review) -> Iterator[str]:
        plan = found.plan
        severe = [*found.groups(Part.DANGERS, Part.BLOCKED)]
        others = [*found.groups(Part.CHANGES, Part.DRIFT, Part.UPCOMING)]
        creates = [*found.groups(Part.CREATES)]
        rows = self._rows(found)
        sources = self._notes("Secrets", [*secrets.sources(plan)], "secret", is_open=False)
        # The details of some groups must not leave no room for the errors.
        errors = self._notes(
            "Failed to plan", [*_note_lines(found.errors, self.places)], "note", is_open=True
        )
        severe_details = self._groups(severe)
        other_details = self._groups([*others, *creates])
        warnings = self._notes("Warnings", [*_note_lines(found.warnings, self.places)], "note", is_open=False)
        orphaned = [
            self._notes(
                f"{word}: {about}",
                [_orphan(orphan, self.places) for orphan in orphans],
                "note",
                is_open=False,
            )
            for word, about, orphans in found.orphans_by_proof
        ]
        return chain(rows, severe_details, errors, other_details, sources, warnings, *orphaned)

    def _rows(self, found: Review) -> list[str]:
        """Return the table; the last groups of many that are alike are one row, and so are all creates of a kind."""
        buckets = _buckets(found.groups())
        head = str(markup.markdown().table_head())  # type: ignore[attr-defined]
        if not buckets or not self.room.takes(f"{head}\n"):
            return []
        most_alike = max(_LEAST_ROWS, _MAX_ROWS // len(buckets))
        made: list[str] = []
        for (action, *_), alike in buckets.items():
            most = 0 if action is Action.CREATE else most_alike
            made += map(self._row, alike[:most])
            if rest := alike[most:]:
                merged = rest[0] if len(rest) == 1 else _merged(rest)
                made.append(self._row(merged, is_rest=most > 0 and len(rest) > 1))
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

    def _row(self, group: Group, *, is_rest: bool = False) -> str:
        fields = [*group.fields, *(group.own[0] if group.own else ())]
        shown = [] if group.action is Action.CREATE else [_short(field) for field in fields]
        return str(
            markup.markdown().row(  # type: ignore[attr-defined]
                str(group.action),
                len(group.changes),
                _title(group, self.places),
                is_rest,
                _impact(group),
                group.is_drift,
                shown[:_MAX_ROW_FIELDS],
                len(shown[_MAX_ROW_FIELDS:]),
            )
        )

    def _groups(self, groups: Sequence[Group]) -> list[str]:
        """Return the details of groups; each gets its share of the room, and what others left of theirs.

        If not all fit, some of each action and impact do.
        """
        numbered = {id(group): number for number, group in enumerate(groups)}
        in_turn = zip_longest(*_buckets(groups).values())
        turns = [group for turn in in_turn for group in turn if group is not None]
        written: dict[int, str] = {}
        for left, group in zip(range(len(turns), 0, -1), turns, strict=True):
            share = min(max(_LEAST_SHARE, self.room.characters // left), self.room.characters)
            is_open = _is_open(group, len(groups))
            text = self._group(group, share, is_open=is_open) if share > _LEAST_GROUP else ""
            if text and self.room.takes(text):
                written[numbered[id(group)]] = text
            else:
                self.room.left_out["change"] += len(group.changes)
        return [written[number] for number in sorted(written)]

    def _group(self, group: Group, share: int, *, is_open: bool) -> str:
        """Return the details of a group, without some fields and names if they take more than its share."""
        whole = self._details(group, _Lines(group, self.places), is_open=is_open, has_links=True)
        if len(whole) <= share:
            return whole
        lines = _Lines(group, self.places)
        # What is around the lines, with the longest fence.
        frame = (
            len(self._details(group, lines.bare(), is_open=is_open, has_links=False)) + 4 * markup.MAX_TICKS
        )
        lines.fit(share - frame)
        text = self._details(group, lines, is_open=is_open, has_links=False)
        if len(text) > share:
            return ""
        self.room.left_out.update(lines.left_out)
        return text

    def _details(self, group: Group, lines: _Lines, *, is_open: bool, has_links: bool) -> str:
        links = [*self._links(group)] if has_links else []
        return str(
            markup.markdown().group(  # type: ignore[attr-defined]
                str(group.action),
                len(group.changes),
                _title(group, self.places),
                _impact(group),
                group.is_drift,
                [*lines.lines()],
                links,
                [*lines.names()],
                is_open,
            )
        )

    def _links(self, group: Group) -> Iterator[tuple[str, str]]:
        """Yield the words and the URL of each link: one for each job, or for each file of many jobs."""
        for change in group.changes if len(group.changes) <= _MAX_LINKS else ():
            source = change.job.source
            words = str(source) if len(group.changes) == 1 else name_in(group, change, self.places)
            yield cut(words, _MAX_TITLE), self.origin.link(source)
        for file in group.files[:_MAX_LINKS] if len(group.changes) > _MAX_LINKS else ():
            yield cut(file, _MAX_TITLE), self.origin.link(Source(file, 0))

    def _notes(self, words: str, lines: list[str], noun: str, *, is_open: bool) -> list[str]:
        """Return notes in one block, as many as fit."""
        shown: list[str] = []
        frame = len(self._block(f"{words} (0000)", ["```"], is_open=is_open)) + 2 * markup.MAX_TICKS
        most = self.room.characters - frame
        for line in lines:
            if len(line) + 9 > most or "`" * markup.MAX_TICKS in line:
                self.room.left_out[noun] += 1
                continue
            most -= len(line) + 9
            shown.append(line)
        if not shown:
            return []
        text = self._block(f"{words} ({len(lines)})", shown, is_open=is_open)
        self.room.takes(text)
        return [text]

    def _block(self, words: str, lines: list[str], *, is_open: bool) -> str:
        return str(markup.markdown().notes(words, lines, is_open))  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class _Item:
    """Lines that are shown or left out together; `number` counts what `noun` names in them."""

    noun: str
    number: int
    label: str
    lines: list[str]

    @property
    def size(self) -> int:
        return sum(len(line) + 1 for line in self.lines)

    @property
    def can_be_fenced(self) -> bool:
        return not any("`" * markup.MAX_TICKS in line for line in self.lines)


class _Lines:
    """The lines of the details of a group: its reason, fields, and the names of its jobs."""

    def __init__(self, group: Group, places: Mapping[str, str]) -> None:
        impact = f"; impact: {group.impact}" if group.impact is not Impact.NONE else ""
        self.reason = markup.without_comment(f"# {printable(group.reason)}{impact}")
        self.items = [*_items(group, places)]
        is_listed = len(group.changes) > _MAX_LINKS and not group.own
        self.jobs = [_name(name_in(group, change, places)) for change in group.changes] if is_listed else []
        self.left_out: Counter[str] = Counter()
        self._missing: list[str] = []

    def lines(self) -> Iterator[str]:
        yield self.reason
        for item in self.items:
            yield from item.lines
        if number := self.left_out["field"]:
            more = ", ..." if len(self._missing) > _MAX_FIELD_NAMES else ""
            yield f"!   left out: {count(number, 'field')} ({', '.join(self._missing[:_MAX_FIELD_NAMES])}{more})"

    def names(self) -> Iterator[str]:
        """Yield lines of names, of which none is very long."""
        line = ""
        for name in self.jobs:
            if line and len(line) + len(name) > 100:
                yield without_command_at_start(line)
                line = ""
            line += f"{', ' if line else ''}{name}"
        if line:
            yield without_command_at_start(line)
        if number := self.left_out["name"]:
            yield f"... and {number} more"

    def bare(self) -> _Lines:
        """Return the same without anything that can be left out."""
        bare: _Lines = object.__new__(_Lines)
        bare.reason, bare.items, bare.jobs = "", [], []
        bare.left_out, bare._missing = Counter(), []
        return bare

    def fit(self, most: int) -> None:
        """Leave out what takes more than `most` characters."""
        self.reason = self.reason.replace("`" * markup.MAX_TICKS, "...")
        self.reason = cut(self.reason, _MAX_REASON)
        if len(self.jobs) > _MAX_NAMES:
            self.left_out["name"] = len(self.jobs) - _MAX_NAMES
            self.jobs = self.jobs[:_MAX_NAMES]
        self.jobs = [name.replace("`" * markup.MAX_TICKS, "...") for name in self.jobs]
        # The line on what is left out, with its names.
        most -= len(self.reason) + sum(len(name) + 3 for name in self.jobs) + 100
        most -= _MAX_FIELD_NAMES * (_MAX_WORDS + 5)
        kept = []
        for item in self.items:
            if item.size <= most and item.can_be_fenced:
                kept.append(item)
                most -= item.size
            else:
                self.left_out[item.noun] += item.number
                self._missing += [item.label] if item.noun == "field" else []
        self.items = kept


def _items(group: Group, places: Mapping[str, str]) -> Iterator[_Item]:
    shown = (*group.fields, *(group.own[0] if group.own else ()))
    for changed in group.fields:
        yield _Item("field", 1, _label(path_words(changed)), [*_field(changed)])
    for path, words in secrets.fields(group.first, shown):
        yield _Item("secret", 1, "", [markup.without_comment(f"!   {path}: {words}")])
    for line in uncompared.lines(group.first):
        yield _Item("note", 1, "", [markup.without_comment(f"#   {line}")])
    for change, own in zip(group.changes, group.own, strict=bool(group.own)):
        name = _name(name_in(group, change, places))
        lines = [line for changed in own for line in _field(changed)]
        yield _Item("field", len(own), _label(name), [f"# {name}", *lines])


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


def _short(changed: FieldChange) -> str:
    """Return a field for a cell of the table: without long values."""
    path = cut(path_words(changed), _MAX_WORDS)
    if changed.sensitive or line_diff.has_lines(changed.live, changed.desired):
        return f"{path} (see below)"
    live, desired = field_values(changed)
    if live is None or desired is None:
        words = f"{'+' if live is None else '-'} {desired if live is None else live}"
    else:
        words = f"{live} → {desired}"
    return f"{path} {words}" if len(words) <= _MAX_WORDS else f"{path} (see below)"


def _buckets(groups: Iterable[Group]) -> dict[tuple[Action, Impact, str, bool], list[Group]]:
    """Return the groups by what a row of the table says of them, besides their names and fields."""
    buckets: dict[tuple[Action, Impact, str, bool], list[Group]] = {}
    for group in groups:
        buckets.setdefault((group.action, group.impact, group.kind, group.is_drift), []).append(group)
    return buckets


def _merged(groups: Sequence[Group]) -> Group:
    """Return groups that are alike as one, for the table."""
    return Group(tuple(chain.from_iterable(group.changes for group in groups)), "", ())


def _title(group: Group, places: Mapping[str, str]) -> str:
    words = title(group, places)
    return cut(words.removeprefix(f"{len(group.changes)} x "), _MAX_TITLE)


def _is_open(group: Group, number: int) -> bool:
    """Return whether the details of one of `number` groups are unfolded: what must not be overlooked always is."""
    if group.action is Action.BLOCKED or group.impact in _ALWAYS_OPEN:
        return True
    return number <= _MAX_OPEN and group.impact in DANGERS


def _impact(group: Group) -> str:
    return str(group.impact) if group.impact is not Impact.NONE else ""


def _name(name: str) -> str:
    return markup.without_comment(cut(name, _MAX_TITLE))


def _label(words: str) -> str:
    return markup.without_comment(cut(words, _MAX_WORDS)).replace("`" * 3, "...")


def cut(words: str, most: int) -> str:
    """Return words on one line of limited length."""
    line = printable(words[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _note_lines(groups: Iterable[NoteGroup], places: Mapping[str, str]) -> Iterator[str]:
    for group in groups:
        first = ", ".join(
            _name(identity_words(note.identity, places)) for note in group.notes[:_MAX_FIELD_NAMES]
        )
        message = markup.without_comment(cut(group.message, _MAX_NOTE))
        if len(group.notes) > 1:
            yield f"{len(group.notes)} jobs ({first}, ...): {message}"
        else:
            yield f"{first} ({_name(str(group.notes[0].source))}): {message}"


def _orphan(orphan: Orphan, places: Mapping[str, str]) -> str:
    ending = f"; {markup.without_comment(cut(orphan.ending, _MAX_NOTE))}" if orphan.ending else ""
    name = _name(identity_words(orphan.identity, places))
    return f"{name}: {_name(orphan.id)}, {_name(orphan.state)}{ending}"
