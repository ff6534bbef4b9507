"""The values that flow through the pipeline, in the order in which they appear.

Text -> Document -> Manifest -> Job, listing entry -> LiveJob, both -> Change -> Plan -> Outcome.
All are frozen and hold plain data. Times are milliseconds since 1970, as the APIs count them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
Spec = Mapping[str, Any]


class Location(NamedTuple):
    """A location in an author's file: line and column count from 1.

    The line is 0 where the file as a whole is meant. `via` is the way that led there, nearest first: the
    `{% include %}`, the instance of a `forEach`, the default that was merged in.
    """

    file: str
    line: int = 0
    column: int = 0
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Source(NamedTuple):
    """The file, relative to the project folder, and the line where a manifest starts."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain data, and for each path in it where it stands.

    `keys` holds the place of a mapping key or list item, `values` that of its value, and `texts` the
    text of each unquoted scalar; `names` tells of a filled-in scalar which of the project's values it uses.
    What stands in an alias has the place of its anchor; a path inside a filled-in value is not in them.
    """

    value: Any
    start: Location
    keys: Mapping[Path, Location]
    values: Mapping[Path, Location]
    texts: Mapping[Path, str]
    names: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)

    def location(self, path: Path, *, of_key: bool = False) -> Location:
        """Returns the location of `path`, or of its nearest ancestor that has one."""
        while path:
            if of_key and path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return self.start


@dataclass(frozen=True, slots=True)
class Manifest:
    """A document that names its kind; nothing else about it has been checked."""

    document: Document
    kind: str

    @property
    def source(self) -> Source:
        return Source(self.document.start.file, self.document.start.line)


class State(StrEnum):
    """The desired state (`lifecycle.state`)."""

    PRESENT = "present"
    RUNNING = "running"
    STOPPED = "stopped"
    ABSENT = "absent"


class OnChange(StrEnum):
    BLOCK = "block"
    REPLACE = "replace"
    SUBMIT = "submit"
    KEEP = "keep"


class OnFailure(StrEnum):
    KEEP = "keep"
    RESUBMIT = "resubmit"


class OnMissing(StrEnum):
    CREATE = "create"
    KEEP = "keep"


class Until(StrEnum):
    """The state that a dependency must reach before its dependents are sent."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The deployment settings of a job; the fields are the keys of `lifecycle` in a manifest."""

    state: State = State.PRESENT
    on_change: OnChange = OnChange.BLOCK
    on_failure: OnFailure = OnFailure.KEEP
    on_missing: OnMissing = OnMissing.CREATE
    rerun: datetime | None = None
    savepoint: bool = True
    protect: bool = False
    timeout: str = "30m"


class Identity(NamedTuple):
    """The identity of a job: `place` is its queue or cluster, empty if that is not part of it."""

    kind: str
    place: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" in {self.place}" if self.place else "")


@dataclass(frozen=True, slots=True)
class Dependency:
    identity: Identity
    until: Until = Until.SUBMITTED


@dataclass(frozen=True, slots=True)
class Job:
    """A checked manifest: what should be there. `spec` is in the API's reference spelling, without a name.

    `again` says that a newer run is asked for, whenever the last one was.
    """

    identity: Identity
    source: Source
    spec: Spec
    lifecycle: Lifecycle = Lifecycle()
    labels: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[Dependency, ...] = ()
    rerun_requested: bool = False

    @property
    def kind(self) -> str:
        return self.identity.kind

    @property
    def name(self) -> str:
        return self.identity.name


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

    `spec` is None when it cannot be compared; `unlisted` names the fields of which this entry says nothing.
    `submitted` and `finished` are 0 when the entry does not tell. `savepoint` is where the job left its
    state, or "yes" where the entry only says that it did. `mark` says who deployed it, if anything does: see
    `ownership`.
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


@dataclass(frozen=True, slots=True)
class Live:
    """The content of the listings. `failures` are the jobs whose listing could not be read, and why.

    `unknown` names, by kind, the fields of entries that this version does not know; they are ignored.
    `now` is the service's own clock, None where nothing was read. `asked_by_name` holds the listings, each by
    its kind and the place in its URL, of which only the wanted names and what is active was read: how many
    jobs each holds in all. `notes` tells of jobs that are known in part only.
    """

    jobs: tuple[LiveJob, ...] = ()
    failures: Mapping[Identity, str] = field(default_factory=dict)
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    now: datetime | None = None
    asked_by_name: Mapping[tuple[str, str], int] = field(default_factory=dict)
    notes: Mapping[Identity, str] = field(default_factory=dict)


class Action(StrEnum):
    """The action of a change; the words of the plan."""

    CREATE = "create"
    SUBMIT = "submit"
    RESUBMIT = "resubmit"
    REPLACE = "replace"
    CANCEL = "cancel"
    UPDATE = "update"
    RESTART = "restart"
    START = "start"
    STOP = "stop"
    DELETE = "delete"
    BLOCKED = "blocked"
    UNCHANGED = "unchanged"


class Step(StrEnum):
    """One step of a change. The next plan continues after a crash between two steps."""

    CREATE = "create"
    CANCEL = "cancel"
    STOP = "stop"
    UPDATE = "update"
    START = "start"
    DELETE = "delete"


class Impact(StrEnum):
    """The impact of a change on running work and data."""

    NONE = "none"
    IN_PLACE = "in-place"
    RESTART = "restart"
    STATE_LOST = "state-lost"
    RERUNS = "reruns"
    CANCELS = "cancels"
    DELETES = "deletes"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs: `path` is a JSON Pointer into spec; a sensitive one carries no values."""

    path: str
    live: Any
    desired: Any
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A planned change to one job. `live` is the current run, if there is one.

    `beside` are other active runs of the job, which a cancel ends too.
    """

    action: Action
    job: Job
    reason: str
    impact: Impact = Impact.NONE
    fields: tuple[FieldChange, ...] = ()
    live: LiveJob | None = None
    steps: tuple[Step, ...] = ()
    other_runs: tuple[LiveJob, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """A warning about a job; nothing is changed because of it."""

    identity: Identity
    source: Source
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that apply would make, in order; `errors` are jobs that failed to plan.

    `orphans` are live jobs that this project deployed and has no manifest of any more. `others` counts the
    live jobs that no manifest names, as far as the listings were read.
    """

    target: str
    changes: tuple[Change, ...]
    warnings: tuple[Note, ...] = ()
    errors: tuple[Note, ...] = ()
    digest: str = ""
    orphans: tuple[LiveJob, ...] = ()
    unmanaged: int = 0

    @property
    def pending(self) -> tuple[Change, ...]:
        """Returns all but the unchanged."""
        return tuple(change for change in self.changes if change.action is not Action.UNCHANGED)

    @property
    def steps(self) -> tuple[Change, ...]:
        """Returns the changes that apply executes."""
        return tuple(change for change in self.pending if change.action is not Action.BLOCKED)

    @property
    def summary(self) -> Mapping[str, int]:
        """Returns a count for every action, zeros included."""
        counts = Counter(change.action for change in self.changes)
        return {action.value: counts[action] for action in Action}


class Result(StrEnum):
    """The result of a change.

    REFUSED is by a rule of ours: the live job is not what the plan saw. TIMED_OUT is done, but what was
    waited for did not come in time.
    """

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    STOPPED = "interrupted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one change. `id` is the job's, if known, `log` the end of a failed job's log.

    `begun` says that something of it was carried out, however it ended.
    """

    change: Change
    result: Result
    message: str
    id: str = ""
    log: tuple[str, ...] = ()
    begun: bool = False


RUNNING_PHASES = {Phase.ACTIVE, Phase.PENDING}


# The phases in which a job is as far as `until` asks, and those from which it never comes so far.
REACHED_PHASES: Mapping[Until, frozenset[Phase]] = {
    Until.SUBMITTED: frozenset(Phase),
    Until.RUNNING: frozenset({Phase.ACTIVE, Phase.SUCCEEDED}),
    Until.SUCCEEDED: frozenset({Phase.SUCCEEDED}),
}


FAILED_PHASES = frozenset({Phase.FAILED, Phase.STOPPED})
