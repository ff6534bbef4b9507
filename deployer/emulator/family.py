"""A family of jobs: its name, and the states that its jobs pass through with time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

# Values of columns of the store's table.
Columns = Mapping[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Phase:
    """The state from `after` milliseconds after the start, with a `result` if the family has one."""

    after: int
    state: str
    result: str = ""


@dataclass(frozen=True)
class Family:
    """A family. The first of `phases` is at 0. With a `draft` state, a job remains in it until it is started."""

    name: str
    phases: tuple[Phase, ...]
    final: Collection[str] = ()
    draft: str = ""

    @cached_property
    def over(self) -> str:
        """Return the SQL condition on the columns of Job that the job has ended."""
        return f"state IN ({', '.join(map(repr, self.final))})"

    @cached_property
    def rows(self) -> str:
        """Return a subquery for the jobs of the family in `:project` at `:now`, with the columns of Job."""
        first = repr(self.phases[0].result)
        return (
            "SELECT number, id, project, scope, name, body, created, started, "  # noqa: S608  no user input
            f"{self._case('end_state', 'through', repr(self.draft), lambda phase: repr(phase.state))} AS state, "
            f"{self._case('end_result', first, repr(''), lambda phase: repr(phase.result))} AS result, "
            f"{self._case('ended', 'through_from', 'created', lambda phase: f'started + {phase.after}')} AS since, "
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
    """Return the columns of a job that starts, as if it had never run."""
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
    """Return the columns of a job in the state `through` for `after` milliseconds, then in its regular state."""
    return {"through": through, "through_from": now, "through_until": now + after}


def ending(now: int, through: str, after: int, state: str, result: str = "") -> Columns:
    """Return the columns of a job in the state `through` for `after` milliseconds, after which it has ended."""
    return {
        **passing(now, through, after),
        "ended": now + after,
        "end_state": state,
        "end_result": result,
    }
