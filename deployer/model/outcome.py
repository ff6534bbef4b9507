"""Outcomes: what a command did with the changes of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from deployer.model.plan import Change


class Result(StrEnum):
    """The result of a change.

    REFUSED: the live job is no longer as planned. TIMED_OUT: applied, but the job did not reach the awaited state
    in time. DIFFERS: applied, but the live job is not as requested.
    """

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    STOPPED = "interrupted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one change. `id` is the job's, if known, `log` the end of a failed job's log.

    `begun` is true if a part of it was executed, however it ended.
    """

    change: Change
    result: Result
    message: str
    id: str = ""
    log: tuple[str, ...] = ()
    begun: bool = False


class End(StrEnum):
    """How a command ended. REFUSED: by the limits, or because something could not be read; DECLINED: at the prompt."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    NO_CHANGES = "no changes"
    STALE = "stale plan"
    REFUSED = "refused"
    DECLINED = "not confirmed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


# What became of a planned change: its result, or why it has none.
BLOCKED, NOT_STARTED = "blocked", "not started"


STATUSES = (*(result.value for result in Result), BLOCKED, NOT_STARTED)
