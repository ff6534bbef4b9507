"""Live jobs: what the listings of the services show. Times are milliseconds since 1970, as the APIs count them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from deployer.model.data import Spec
from deployer.model.job import Identity, Until


class Phase(StrEnum):
    """The meaning of a live job's state, independent of its API."""

    DRAFT = "draft"
    PENDING = "pending"
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LiveJob:
    """One job as its listing shows it.

    `spec` is None if it cannot be compared; `unobserved` are the fields that this entry does not return.
    `submitted` and `finished` are 0 if unknown. `savepoint` is the path of the job's savepoint, or "yes" if the
    entry only reports that one exists. `ownership` is its ownership tag, empty if it has none: see
    `deployer.kinds.ownership`. `texts` are the strings of which `spec` has the data, as they were listed.
    """

    id: str
    identity: Identity
    state: str
    phase: Phase
    submitted: int
    spec: Spec | None
    unobserved: frozenset[str] = frozenset()
    finished: int = 0
    savepoint: str = ""
    ownership: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def condition(self) -> str:
        """The state as the end of a sentence, with the service's word for it: `has failed (dead)`."""
        if self.phase is Phase.UNKNOWN:
            return f"is in state '{self.state}', which deployer does not handle"
        words = CONDITIONS[self.phase]
        if self.phase is Phase.ACTIVE and "running" in self.state.casefold():
            words = "is running"
        return words if words == f"is {self.state.casefold()}" else f"{words} ({self.state})"


def utc_time(milliseconds: int) -> datetime | None:
    """Return a time of a listing, in milliseconds since 1970; None for 0, and outside the calendar."""
    if not milliseconds:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


# The phases as the end of a sentence about a job.
CONDITIONS: Mapping[Phase, str] = {
    Phase.DRAFT: "is a draft",
    Phase.PENDING: "is in transition",
    Phase.ACTIVE: "is active",
    Phase.SUCCEEDED: "has succeeded",
    Phase.FAILED: "has failed",
    Phase.STOPPED: "was stopped",
    Phase.UNKNOWN: "is in an unknown state",
}


@dataclass(frozen=True, slots=True)
class Live:
    """The content of the listings. `failures` are the jobs whose listing could not be read, and why.

    `unknown` has, by kind, the fields of entries that this version does not know; they are ignored.
    `now` is the service's own time, None if nothing was read. `asked_by_name` has the total number of jobs of
    each listing, by its kind and the place in its URL, that was read by name and active state only. `notes` are
    about jobs of which only a part is known. `read_at` is the monotonic time when the reading began, in seconds.
    `without_owners` are the kinds of which it is not known which other jobs this project has deployed.
    """

    jobs: tuple[LiveJob, ...] = ()
    failures: Mapping[Identity, str] = field(default_factory=dict)
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    now: datetime | None = None
    asked_by_name: Mapping[tuple[str, str], int] = field(default_factory=dict)
    notes: Mapping[Identity, str] = field(default_factory=dict)
    read_at: float = 0.0
    without_owners: frozenset[str] = frozenset()


RUNNING_PHASES = {Phase.ACTIVE, Phase.PENDING}

# A job in an unknown state may run.
MAY_RUN_PHASES = {*RUNNING_PHASES, Phase.UNKNOWN}


# The states to wait for as the end of a sentence about a job; nothing waits for `submitted`.
UNTIL_WORDS: Mapping[Until, str] = {Until.RUNNING: "is running", Until.SUCCEEDED: "has succeeded"}


# The phases in which a job has reached an `until`.
REACHED_PHASES: Mapping[Until, frozenset[Phase]] = {
    Until.SUBMITTED: frozenset(Phase),
    Until.RUNNING: frozenset({Phase.ACTIVE, Phase.SUCCEEDED}),
    Until.SUCCEEDED: frozenset({Phase.SUCCEEDED}),
}


# The phases from which a job no longer reaches any.
FAILED_PHASES = frozenset({Phase.FAILED, Phase.STOPPED})
