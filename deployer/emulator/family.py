"""What a family of jobs says of itself: its name, and the states that its jobs pass through by themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

# Values for columns of the store's table.
Columns = Mapping[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Phase:
    """The state from `after` milliseconds after the start on; `result` where a family has one beside it."""

    after: int
    state: str
    result: str = ""


@dataclass(frozen=True)
class Family:
    """`phases` begin with one at 0. With a `draft` state a job waits in it until it is started."""

    name: str
    phases: tuple[Phase, ...]
    final: Collection[str] = ()
    draft: str = ""

    @cached_property
    def over(self) -> str:
        """SQL over the columns of Job: it has ended."""
        return f"state IN ({', '.join(map(repr, self.final))})"

    @cached_property
    def rows(self) -> str:
        """A subquery for the family's jobs in a project, as the columns of Job: `:now` in `:project`."""
        first = repr(self.phases[0].result)
        return (
            "SELECT number, id, project, scope, name, body, created, started, "  # noqa: S608  our own words
            f"{self._case('end_state', 'through', repr(self.draft), lambda it: repr(it.state))} AS state, "
            f"{self._case('end_result', first, repr(''), lambda it: repr(it.result))} AS result, "
            f"{self._case('ended', 'through_from', 'created', lambda it: f'started + {it.after}')} AS since, "
            "updated, savepoint, restored "
            f"FROM jobs WHERE family = {self.name!r} AND project = :project"
        )

    def _case(self, ended: str, through: str, draft: str, value: Callable[[Phase], str]) -> str:
        passing = f"WHEN :now >= through_from AND :now < through_until THEN {through} "
        waiting = f"WHEN started IS NULL OR :now < started THEN {draft} " if self.draft else ""
        later = "".join(
            f"WHEN :now >= started + {phase.after} THEN {value(phase)} "
            for phase in reversed(self.phases[1:])
        )
        return (
            f"CASE WHEN :now >= ended THEN {ended} {passing}{waiting}{later}ELSE {value(self.phases[0])} END"
        )


def beginning(now: int) -> Columns:
    """A job starts, as if it had never run."""
    return {
        "started": now,
        "ended": None,
        "end_state": None,
        "end_result": None,
        "through": None,
        "through_from": None,
        "through_until": None,
    }


def passing(now: int, through: str, after: int) -> Columns:
    """A job is in a state for `after` milliseconds, and then where it would be without."""
    return {"through": through, "through_from": now, "through_until": now + after}


def ending(now: int, through: str, after: int, state: str, result: str = "") -> Columns:
    """A job is in the state `through` for `after` milliseconds, and then it has ended."""
    return {
        **passing(now, through, after),
        "ended": now + after,
        "end_state": state,
        "end_result": result,
    }
