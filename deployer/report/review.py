"""A plan as a reviewer reads it: the same order, groups and counts in every format.

Jobs with the same action and the same differences are one group. Sections have what is dangerous first; in each of
them what harms most. Names are in natural order: 2 before 10.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import takewhile

from deployer.model import (
    Action,
    Cause,
    Change,
    FieldChange,
    Identity,
    Impact,
    Note,
    Orphan,
    Plan,
    SecretField,
)
from deployer.report.create_fields import column, field_key, own_fields
from deployer.report.place_names import named_change, place_words, with_place_names

# What harms most comes first.
DANGERS = (
    Impact.STATE_LOST,
    Impact.DELETES,
    Impact.CANCELS,
    Impact.RERUNS,
    Impact.RESTART,
    Impact.STOPS,
)
_RANKS = {impact: rank for rank, impact in enumerate((*DANGERS, Impact.IN_PLACE, Impact.NONE))}
_NOUNS = {"SparkBatch": ("batch", "batches"), "FlinkJar": ("stream", "streams")}
_ANY_JOB = ("job", "jobs")
# A group of creates may differ in so many fields, besides those that differ in the names of the jobs only.
MAX_OWN_FIELDS = 4
# So many jobs with the same note are listed one by one.
MAX_ALIKE = 5
_MAX_LISTED = 3  # names that have no beginning in common
_NUMBERS = re.compile(r"([0-9]+)")


class Part(IntEnum):
    """A section of a report, in the order in which they are read; what failed to plan follows what is blocked."""

    DANGERS = 0
    BLOCKED = 1
    CHANGES = 2
    DRIFT = 3
    CREATES = 4
    UPCOMING = 5
    UNCHANGED = 6

    @property
    def title(self) -> str:
        return "From the next run on" if self is Part.UPCOMING else self.name.capitalize()


ABOUT: Mapping[Part, str] = {
    Part.UPCOMING: "apply submits no run of these jobs; 'deployer run' does",
    Part.DRIFT: "changed outside deployer, not by this change set; apply sets it back",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Changes with the same action, impact and cause, and the same differences; one or more of them.

    `fields` are those of all of them; of creates, those with NAME_NOTE have NAME for the name of each job. `own` has
    for each change the fields whose values are its own, which only creates have. `reason` is that of all; ids that
    differ are `<id>` in it.
    """

    changes: tuple[Change, ...]
    reason: str
    fields: tuple[FieldChange, ...]
    own: tuple[tuple[FieldChange, ...], ...] = ()

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def action(self) -> Action:
        return self.first.action

    @property
    def impact(self) -> Impact:
        return self.first.impact

    @property
    def kind(self) -> str:
        return self.first.job.kind

    @property
    def is_drift(self) -> bool:
        """Whether the change only sets back what was changed outside deployer."""
        return self.first.cause is Cause.DRIFT

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(change.job.identity.label for change in self.changes)

    @property
    def place(self) -> str | None:
        """The queue or cluster of all of them; None if they have several."""
        places = {change.job.identity.place for change in self.changes}
        return places.pop() if len(places) == 1 else None

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(change.job.source.file for change in self.changes))

    @property
    def secrets(self) -> tuple[SecretField, ...]:
        return self.first.secrets


@dataclass(frozen=True, slots=True)
class NoteGroup:
    """Notes with the same message about different jobs."""

    message: str
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Groups that are read together."""

    part: Part
    groups: tuple[Group, ...]

    @property
    def number(self) -> int:
        return sum(len(group.changes) for group in self.groups)


@dataclass(frozen=True, slots=True)
class Review:
    """A plan in the order of its reading. `impact` is a sentence, empty if no change has one."""

    plan: Plan
    sections: tuple[Section, ...]
    impact: str
    warnings: tuple[NoteGroup, ...]
    errors: tuple[NoteGroup, ...]
    orphans: tuple[Orphan, ...]

    @property
    def orphans_by_proof(self) -> list[tuple[str, str, tuple[Orphan, ...]]]:
        """The orphaned jobs with their titles: those that are this project's, and those that only say so."""
        ours = tuple(orphan for orphan in self.orphans if not orphan.missing)
        maybe = tuple(orphan for orphan in self.orphans if orphan.missing)
        titled = (
            ("Orphaned", "deployed by this project, but no longer in a manifest; left unchanged", ours),
            ("Maybe orphaned", "named as jobs of this project, not proved; left unchanged", maybe),
        )
        return [each for each in titled if each[2]]

    @property
    def attention(self) -> str:
        """What needs attention besides the dangers: `1 blocked, 2 failed to plan, 3 warnings`, or nothing."""
        blocked = sum(len(group.changes) for group in self.groups(Part.BLOCKED))
        words = [f"{blocked} blocked"] if blocked else []
        words += [f"{len(self.plan.errors)} failed to plan"] if self.plan.errors else []
        words += [_counted(len(self.plan.warnings), ("warning", "warnings"))] if self.plan.warnings else []
        return ", ".join(words)

    @property
    def unmanaged(self) -> str:
        """What is said of unmanaged live jobs; empty if nothing changes."""
        number = self.plan.unmanaged
        if not number or all(section.part is Part.UNCHANGED for section in self.sections):
            return ""
        return f"{_counted(number, ('unmanaged live job', 'unmanaged live jobs'))}; left unchanged"

    def groups(self, *parts: Part) -> Iterator[Group]:
        """Yield the groups of some sections, in order; of all without arguments."""
        for section in self.sections:
            if not parts or section.part in parts:
                yield from section.groups


def review(plan: Plan, *, verbose: bool = False) -> Review:
    """Put a plan in order. `verbose`: with the jobs that do not change."""
    upcoming = {change.job.identity for change in plan.upcoming}
    changes = plan.changes if verbose else plan.pending
    if upcoming and not verbose:
        changes = (*changes, *plan.upcoming)
    places = plan.scope.places if plan.scope else {}
    if places:
        changes = tuple(named_change(change, places) for change in changes)
    sections: dict[Part, list[Change]] = {part: [] for part in Part}
    for change in changes:
        part = Part.UPCOMING if change.job.identity in upcoming else part_of(change)
        sections[part].append(change)
    ids = {change.job.identity: change.live.id for change in plan.changes if change.live}
    return Review(
        plan,
        tuple(Section(part, tuple(_groups(part, found))) for part, found in sections.items() if found),
        impact_sentence(changes),
        tuple(_alike(plan.warnings, ids, places)),
        tuple(_alike(plan.errors, ids, places)),
        tuple(sorted(plan.orphans, key=lambda live: (natural(live.identity.name), live.identity, live.id))),
    )


def part_of(change: Change) -> Part:
    """Return the section that a change belongs to."""
    if change.action is Action.UNCHANGED:
        return Part.UNCHANGED
    if change.action is Action.BLOCKED:
        return Part.BLOCKED
    if change.impact in DANGERS:
        return Part.DANGERS
    if change.action is Action.CREATE:
        return Part.CREATES
    return Part.DRIFT if change.cause is Cause.DRIFT else Part.CHANGES


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts names by their numbers: job-2 before job-10. They may be too long for an int."""
    return tuple(_natural_part(part) for part in _NUMBERS.split(name) if part)


def _natural_part(part: str) -> tuple[int, int, str]:
    if not _NUMBERS.fullmatch(part):
        return 1, 0, part
    digits = part.lstrip("0")
    return 0, len(digits), digits


def in_natural_order(changes: Iterable[Change]) -> list[Change]:
    """Return changes by their kinds and names."""
    return sorted(
        changes, key=lambda change: (change.job.kind, natural(change.job.name), change.job.identity)
    )


def title(group: Group, places: Mapping[str, str]) -> str:
    """Return `FlinkJar clicks`, or `20 x FlinkJar clicks-* in general`."""
    words = f"{group.kind} {common_name(group.names)}"
    if len(group.changes) > 1:
        words = f"{len(group.changes)} x {words}"
    return f"{words} in {place_words(group.place, places)}" if group.place else words


def name_in(group: Group, change: Change, places: Mapping[str, str]) -> str:
    """Return the name of one job of a group, with what is not the same for all of them: its place and its file."""
    return _name_with(change, places, has_place=group.place is None, has_file=len(group.files) > 1)


def names_in(group: Group, places: Mapping[str, str]) -> list[str]:
    """Return the names of all jobs of a group, as `name_in` does."""
    has_place, has_file = group.place is None, len(group.files) > 1
    return [_name_with(change, places, has_place=has_place, has_file=has_file) for change in group.changes]


def _name_with(change: Change, places: Mapping[str, str], *, has_place: bool, has_file: bool) -> str:
    identity = change.job.identity
    words = identity.label
    if has_place and identity.place:
        words += f" in {place_words(identity.place, places)}"
    return f"{words} ({change.job.source})" if has_file else words


def identity_words(identity: Identity, places: Mapping[str, str]) -> str:
    """Return `MrsJob load in reports`, with the name that deployer.yaml gives the place."""
    return str(identity._replace(place=place_words(identity.place, places)))


def common_name(names: Collection[str]) -> str:
    """Return the part that names have in common, with `*` for the rest; a few that do not begin alike as they are."""
    first, *others = names
    if not others:
        return first
    prefix = _cut_at_word(_common_start(names))
    if not prefix and len(names) <= _MAX_LISTED:
        return ", ".join(names)
    suffix = _cut_at_word(_common_start([name[len(prefix) :][::-1] for name in names]))[::-1]
    return f"{prefix}*{suffix}"


def _common_start(names: Collection[str]) -> str:
    alike = takewhile(lambda column: len({*column}) == 1, zip(*names, strict=False))
    return "".join(column[0] for column in alike)


def _cut_at_word(common: str) -> str:
    """Return a common part up to its last separator; all of it if it has none."""
    last = max(common.rfind(separator) for separator in "-_./")
    if last >= 0:
        return common[: last + 1]
    return common.rstrip("0123456789")


# --- groups -----------------------------------------------------------------------------------------------


def _groups(part: Part, changes: Iterable[Change]) -> Iterator[Group]:
    """Yield the groups of a section: what harms most first, and drift after what the change set does."""
    ordered = sorted(
        changes,
        key=lambda change: (
            _RANKS[change.impact],
            change.cause is Cause.DRIFT,
            change.job.kind,
            natural(change.job.name),
            change.job.identity,
        ),
    )
    together: dict[object, list[Change]] = {}
    for number, change in enumerate(ordered):
        key = number if part is Part.UNCHANGED else _key(change)
        together.setdefault(key, []).append(change)
    groups: list[Group] = []
    for group in together.values():
        if group[0].action is Action.CREATE and len(group) > 1:
            groups += _creates(group)
        else:
            groups.append(_group(group, group[0].fields))
    numbers = {id(change): number for number, change in enumerate(ordered)}
    yield from sorted(groups, key=lambda group: numbers[id(group.first)])


def _group(
    changes: Sequence[Change],
    fields: tuple[FieldChange, ...],
    own: tuple[tuple[FieldChange, ...], ...] = (),
) -> Group:
    reasons = {change.reason for change in changes}
    reason = reasons.pop() if len(reasons) == 1 else _without_id(changes[0])
    return Group(tuple(changes), reason, fields, own)


def _key(change: Change) -> object:
    """Return what the changes of a group have in common."""
    is_create = change.action is Action.CREATE
    fields = tuple(map(_path_key if is_create else field_key, change.fields))
    return (
        change.action,
        change.impact,
        change.cause,
        change.job.kind,
        _without_id(change),
        fields,
        change.secrets,
        change.not_compared,
        tuple(map(field_key, change.live_only)),
    )


def _path_key(field: FieldChange) -> object:
    return field.path, field.sensitive, field.note


def _without_id(change: Change) -> str:
    """Return the reason of a change without the id of its run."""
    if change.live is None:
        return change.reason
    return without_run(change.reason, change.live.id)


def without_run(words: str, identifier: str) -> str:
    """Return words with `<id>` for the id of a run."""
    if not identifier or identifier not in words:
        return words
    return re.sub(rf"(?<![\w-]){re.escape(identifier)}(?![\w-])", "<id>", words)


def _creates(changes: Sequence[Change]) -> Iterator[Group]:
    """Yield creates with the same fields: as one group if few of the values differ, else those that are alike.

    Of few jobs, the values that hold their names are shown as they are.
    """
    table = [*zip(*(change.fields for change in changes), strict=True)]
    names = [change.job.name for change in changes]
    columns: list[Sequence[FieldChange]] = [*table]
    if (
        len(changes) > MAX_ALIKE
        or len(own_fields(columns)) > MAX_OWN_FIELDS
        or len(own_fields(columns)) == len(table)
    ):
        columns = [column(fields, names) for fields in table]
    own = own_fields(columns)
    if len(own) <= MAX_OWN_FIELDS and (not own or len(own) < len(table)):
        yield _create_group(changes, columns, own)
        return
    alike: dict[object, list[int]] = {}
    for number in range(len(changes)):
        alike.setdefault(tuple(field_key(columns[at][number]) for at in own), []).append(number)
    for numbers in alike.values():
        if len(numbers) == 1:
            yield _group([changes[numbers[0]]], changes[numbers[0]].fields)
        else:
            some = [changes[number] for number in numbers]
            yield _create_group(some, [[fields[number] for number in numbers] for fields in columns], [])


def _create_group(
    changes: Sequence[Change], columns: Sequence[Sequence[FieldChange]], own: Sequence[int]
) -> Group:
    """Return creates as one group, of whose fields those with the numbers `own` differ."""
    common = tuple(fields[0] for number, fields in enumerate(columns) if number not in own)
    others = tuple(tuple(change.fields[number] for number in own) for change in changes)
    return _group(changes, common, others if own else ())


def _alike(
    notes: Sequence[Note], ids: Mapping[Identity, str], places: Mapping[str, str]
) -> Iterator[NoteGroup]:
    """Yield the notes by message in natural order; those of a few jobs one by one."""
    together: dict[str, list[Note]] = {}
    ordered = sorted(notes, key=lambda note: (natural(note.identity.name), note.identity))
    for note in ordered:
        message = with_place_names(note.message, places)
        together.setdefault(without_run(message, ids.get(note.identity, "")), []).append(
            note if message == note.message else replace(note, message=message)
        )
    for message, group in sorted(together.items(), key=lambda item: -len(item[1])):
        if len(group) > MAX_ALIKE:
            yield NoteGroup(message, tuple(group))
        else:
            yield from (NoteGroup(note.message, (note,)) for note in group)


# --- counts and sentences ---------------------------------------------------------------------------------


def impact_sentence(changes: Iterable[Change]) -> str:
    """Return one sentence on running work and data: `60 batches process data again, 0 lose state`"""
    by_impact: dict[Impact, list[Change]] = {}
    for change in changes:
        if change.action not in {Action.BLOCKED, Action.UNCHANGED}:
            by_impact.setdefault(change.impact, []).append(change)
    words = [_IMPACTS[impact](by_impact[impact]) for impact in DANGERS if impact in by_impact]
    keeps = {Impact.RESTART, Impact.STOPS} & {*by_impact} and Impact.STATE_LOST not in by_impact
    return ", ".join([*words, *(["0 lose state"] if keeps else [])])


def _subject(changes: Sequence[Change]) -> str:
    return _counted(_runs(changes), _NOUNS.get(_only_kind(changes), _ANY_JOB))


def _runs(changes: Iterable[Change]) -> int:
    return sum(change.runs for change in changes)


def _only_kind(changes: Sequence[Change]) -> str:
    kinds = {change.job.kind for change in changes}
    return kinds.pop() if len(kinds) == 1 else ""


def _counted(number: int, noun: tuple[str, str]) -> str:
    return f"{number} {noun[number != 1]}"


def _lost(changes: Sequence[Change]) -> str:
    return f"{_subject(changes)} {'loses its' if len(changes) == 1 else 'lose their'} state"


def _deleted(changes: Sequence[Change]) -> str:
    return f"{_subject(changes)} {'is' if len(changes) == 1 else 'are'} deleted"


def _cancelled(changes: Sequence[Change]) -> str:
    replaced = sum(change.action is Action.REPLACE for change in changes)
    again = f", {replaced} of them submitted again" if 0 < replaced < len(changes) else ""
    again = " and submitted again" if replaced == len(changes) else again
    return f"{_subject(changes)} {'is' if _runs(changes) == 1 else 'are'} cancelled{again}"


def _rerun(changes: Sequence[Change]) -> str:
    return f"{_subject(changes)} {'processes' if len(changes) == 1 else 'process'} data again"


def _restarted(changes: Sequence[Change]) -> str:
    one = len(changes) == 1
    return f"{_subject(changes)} {'restarts from its savepoint' if one else 'restart from savepoints'}"


def _stopped(changes: Sequence[Change]) -> str:
    one = len(changes) == 1
    return f"{_subject(changes)} {'stops with a savepoint' if one else 'stop with savepoints'}"


_IMPACTS = {
    Impact.STATE_LOST: _lost,
    Impact.DELETES: _deleted,
    Impact.CANCELS: _cancelled,
    Impact.RERUNS: _rerun,
    Impact.RESTART: _restarted,
    Impact.STOPS: _stopped,
}

# What a question names, of the changes that apply would make: singular and plural.
_ASKED = {
    Action.DELETE: ("delete", "deletes"),
    Action.CANCEL: ("cancel", "cancels"),
    Action.REPLACE: ("replacement", "replacements"),
    Action.STOP: ("stop", "stops"),
    Action.RESTART: ("restart", "restarts"),
}


def danger_words(plan: Plan) -> str:
    """Return the dangers of a plan for a question, lost state first; empty if there are none.

    `2 restarts, 1 loses state` if there are only restarts, else `1 of 2 restarts loses state, 1 delete, 3 reruns`.
    """
    steps = plan.steps
    actions = Counter(change.action for change in steps for _ in range(change.runs))
    lost = Counter(change.action for change in steps if change.impact is Impact.STATE_LOST)
    reruns = sum(change.impact is Impact.RERUNS for change in steps)
    asked = {action: noun for action, noun in _ASKED.items() if actions[action]}
    if asked.keys() | lost.keys() == {Action.RESTART} and not reruns:
        number = lost[Action.RESTART]
        words = [f"{number} {_loses(number)}"] if number else []
        return ", ".join([_counted(actions[Action.RESTART], asked[Action.RESTART]), *words])
    words = [_losing(number, actions[action], _noun(action)) for action, number in lost.items()]
    words += [_counted(actions[action], noun) for action, noun in asked.items() if action not in lost]
    words += [_counted(reruns, ("rerun", "reruns"))] if reruns else []
    return ", ".join(words)


def _noun(action: Action) -> tuple[str, str]:
    return _ASKED.get(action, (str(action), f"{action}s"))


def _losing(lost: int, number: int, noun: tuple[str, str]) -> str:
    """Return `1 of 2 restarts loses state`, or `2 restarts lose state` if they are all."""
    subject = _counted(number, noun)
    return f"{subject if lost == number else f'{lost} of {subject}'} {_loses(lost)}"


def _loses(number: int) -> str:
    return f"{'loses' if number == 1 else 'lose'} state"
