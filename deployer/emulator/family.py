"""What a family of jobs says of itself: its name, and the states that its jobs pass through by themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property


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
    def rows(self) -> str:
        """A subquery for the family's jobs in a project, as the columns of Job: ?1 is now, ?2 the project."""
        return (
            "SELECT number, id, project, scope, name, body, created, started, "  # noqa: S608  our own words
            f"{self._case('end_state', lambda phase: repr(phase.state), repr(self.draft))} AS state, "
            f"{self._case('end_result', lambda phase: repr(phase.result), repr(''))} AS result, "
            f"{self._case('ended', lambda phase: f'started + {phase.after}', 'created')} AS since "
            f"FROM jobs WHERE family = {self.name!r} AND project = ?2"
        )

    def _case(self, ended: str, value: Callable[[Phase], str], draft: str) -> str:
        later = "".join(
            f"WHEN ?1 >= started + {phase.after} THEN {value(phase)} " for phase in reversed(self.phases[1:])
        )
        return (
            f"CASE WHEN ended IS NOT NULL THEN {ended} WHEN started IS NULL THEN {draft} "
            f"{later}ELSE {value(self.phases[0])} END"
        )
