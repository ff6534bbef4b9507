"""What became of a plan, as somebody reads it after an apply: what needs attention first, what was done last.

The same order, groups and counts in every format. The reports of a cancel and of a destroy are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from deployer.model import BLOCKED, NOT_STARTED, Action, Change, End, Impact, Outcome, Plan, Result, Scope
from deployer.report import text
from deployer.report.place_names import with_place_names
from deployer.report.review import (
    DANGERS,
    Group,
    NoteGroup,
    impact_sentence,
    natural,
    review,
    without_run,
)

# The verb of a plan that failed, whose report stands where that of the plan would.
PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of one command. `name` and `past` are of its verb: `apply`, `applied`.

    `plan` is None if it ended before there was one; `messages` say why it ended as it did, if the outcomes do not.
    """

    name: str
    past: str
    project: str
    target: str
    end: End
    exit_code: int
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()
    messages: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope:
        return (self.plan and self.plan.scope) or Scope(self.project, self.target)


class Part(IntEnum):
    """A section of a report, in the order in which they are read."""

    UNKNOWN = 0
    FAILED = 1
    NOT_APPLIED = 2
    DONE = 3


_PARTS = {
    Result.UNKNOWN: Part.UNKNOWN,
    Result.FAILED: Part.FAILED,
    Result.DIFFERS: Part.FAILED,
    Result.TIMED_OUT: Part.FAILED,
    Result.DONE: Part.DONE,
}
# Before others of the same section.
_STATUSES = [
    *(Result.UNKNOWN, Result.FAILED, Result.DIFFERS, Result.TIMED_OUT),
    *(Result.REFUSED, BLOCKED, Result.SKIPPED, Result.STOPPED, NOT_STARTED),
    Result.DONE,
]
_CARRIED_OUT = {Result.DONE, Result.TIMED_OUT, Result.DIFFERS}


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the plan, and what became of it. `status` is that of its outcome, blocked or not started."""

    change: Change
    status: str
    message: str
    id: str = ""
    log: tuple[str, ...] = ()
    begun: bool = False

    @property
    def part(self) -> Part:
        return next((part for result, part in _PARTS.items() if result == self.status), Part.NOT_APPLIED)


@dataclass(frozen=True, slots=True)
class EntryGroup:
    """Changes with the same action and status, and the same message; ids that differ are `<id>` in it."""

    entries: tuple[Entry, ...]
    message: str

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def status(self) -> str:
        return self.first.status

    @property
    def words(self) -> str:
        """The status with the action: `failed restart`, `blocked`."""
        action = self.first.change.action
        return self.status if action is Action.BLOCKED else f"{self.status} {action}"

    @property
    def changes(self) -> Group:
        """The changes, for their common name and place."""
        return Group(tuple(entry.change for entry in self.entries), self.message, ())


@dataclass(frozen=True, slots=True)
class Section:
    """Groups that are read together; `title` is that of `Part`, in the words of the verb."""

    part: Part
    title: str
    groups: tuple[EntryGroup, ...]

    @property
    def number(self) -> int:
        return sum(len(group.entries) for group in self.groups)


@dataclass(frozen=True, slots=True)
class OutcomeReview:
    """Outcomes in the order of their reading.

    `counts` is one line: how it ended. `attention` are the counts of what needs attention, empty without any.
    `carried_out` and `in_doubt` are sentences on running work and data: what was done to it, and what was begun or may
    have been done. `errors` failed to plan.
    """

    counts: str
    attention: str
    carried_out: str
    in_doubt: str
    sections: tuple[Section, ...]
    errors: tuple[NoteGroup, ...]


def entries(found: Outcomes) -> tuple[Entry, ...]:
    """Return what became of each change of the plan, in the order of the plan."""
    ended = {outcome.change.job.identity: outcome for outcome in found.outcomes}
    return tuple(
        _entry(change, ended.get(change.job.identity))
        for change in (found.plan.pending if found.plan else ())
    )


def _entry(change: Change, outcome: Outcome | None) -> Entry:
    if outcome:
        return Entry(change, outcome.result, outcome.message, outcome.id, outcome.log, outcome.begun)
    identifier = change.live.id if change.live else ""
    status = BLOCKED if change.action is Action.BLOCKED else NOT_STARTED
    return Entry(change, status, change.reason, identifier)


def order(found: Outcomes) -> OutcomeReview:
    """Put outcomes in order."""
    places = found.scope.places
    listed = [
        replace(entry, message=with_place_names(entry.message, places)) if places else entry
        for entry in entries(found)
    ]
    sections: dict[Part, list[Entry]] = {part: [] for part in Part}
    for entry in listed:
        sections[entry.part].append(entry)
    titles = {
        Part.UNKNOWN: "Outcome unknown",
        Part.FAILED: "Failed",
        Part.NOT_APPLIED: f"Not {found.past}",
        Part.DONE: found.past.capitalize(),
    }
    return OutcomeReview(
        counts(found, listed),
        _attention(found, sections),
        _impact(entry for entry in listed if entry.status in _CARRIED_OUT),
        # What is in doubt may have lost state.
        _impact(
            entry for entry in listed if entry.status == Result.UNKNOWN or _is_half_done(entry)
        ).removesuffix(", 0 lose state"),
        tuple(
            Section(part, titles[part], tuple(_groups(within))) for part, within in sections.items() if within
        ),
        review(found.plan).errors if found.plan and found.plan.errors else (),
    )


def _is_half_done(entry: Entry) -> bool:
    return entry.begun and entry.status not in _CARRIED_OUT


def _impact(some: Iterable[Entry]) -> str:
    return impact_sentence(entry.change for entry in some if entry.change.impact in DANGERS)


_REASONS = {
    End.STALE: "the plan is stale",
    End.REFUSED: "the plan was refused",
    End.DECLINED: "it was not confirmed",
    End.INTERRUPTED: "interrupted",
    End.FAILED: "the command failed",
}


def counts(found: Outcomes, listed: Sequence[Entry]) -> str:
    """Return how a command ended: `Apply complete: 2 applied, 1 blocked.`"""
    errors = len(found.plan.errors) if found.plan else 0
    if found.name == PLAN:
        return f"No plan was made: {_REASONS[found.end]} (exit code {found.exit_code})."
    if found.end is End.NO_CHANGES:
        return f"No changes: nothing to {found.name}."
    if found.end in {End.COMPLETE, End.INCOMPLETE} or found.outcomes:
        return text.outcomes(
            [outcome.result for outcome in found.outcomes],
            found.name,
            found.past,
            blocked=sum(entry.status == BLOCKED for entry in listed),
            errors=errors,
            not_started=sum(entry.status == NOT_STARTED for entry in listed),
        )
    return f"Nothing was {found.past}: {_REASONS[found.end]}."


def _attention(found: Outcomes, sections: dict[Part, list[Entry]]) -> str:
    """Return `1 outcome unknown, 2 failed, 1 failed to plan, 3 not applied`."""
    numbers = {
        "outcome unknown": len(sections[Part.UNKNOWN]),
        "failed": len(sections[Part.FAILED]),
        "failed to plan": len(found.plan.errors) if found.plan else 0,
        f"not {found.past}": len(sections[Part.NOT_APPLIED]),
    }
    return ", ".join(f"{number} {words}" for words, number in numbers.items() if number)


def _groups(within: Iterable[Entry]) -> Iterator[EntryGroup]:
    """Yield the groups of a section; what harms most first."""
    ranks = {impact: rank for rank, impact in enumerate((*DANGERS, Impact.IN_PLACE, Impact.NONE))}
    ordered = sorted(
        within,
        key=lambda entry: (
            _STATUSES.index(entry.status),
            ranks[entry.change.impact],
            entry.change.job.kind,
            natural(entry.change.job.name),
            entry.change.job.identity,
        ),
    )
    together: dict[object, list[Entry]] = {}
    for entry in ordered:
        change = entry.change
        key = entry.status, change.action, change.impact, change.job.kind, _without_ids(entry), entry.log
        together.setdefault(key, []).append(entry)
    for group in together.values():
        messages = {entry.message for entry in group}
        yield EntryGroup(tuple(group), messages.pop() if len(messages) == 1 else _without_ids(group[0]))


def _without_ids(entry: Entry) -> str:
    words = without_run(entry.message, entry.id)
    return without_run(words, entry.change.live.id) if entry.change.live else words
