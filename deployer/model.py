"""The values that flow through the pipeline, in the order in which they appear.

Text -> Document -> Manifest -> Job, listing entry -> LiveJob, both -> Change -> Plan -> Outcome.
All are frozen and hold plain data. Times are milliseconds since 1970, as the APIs count them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

Path = tuple[str | int, ...]
Spec = Mapping[str, Any]


def pointer(path: Path) -> str:
    """Return the JSON Pointer of a path."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what is neither a dict nor a list in JSON data, each with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


class Location(NamedTuple):
    """A location in an author's file: line and column count from 1.

    The line is 0 for the file as a whole. `via` lists what led to the location, nearest first: an `{% include %}`,
    an instance of a `forEach`, a merged default.
    """

    file: str
    line: int = 0
    column: int = 0
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Source(NamedTuple):
    """The file, relative to the project folder, and the line where a manifest starts; 0 if there is none."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


def usual_text(scalar: float) -> str:
    """Return a bool or number as text, as it is usually written."""
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)


class Tables(NamedTuple):
    """The locations in one document, by path.

    `keys` has the location of a mapping key or list item, `values` that of its value; `names` has, for a rendered
    scalar, the project's values that it uses. `typed` has the number or boolean of a quoted scalar that is exactly one
    expression. The content of an alias has the location of its anchor; paths inside
    a rendered value are not included.
    """

    keys: Mapping[Path, Location] = {}
    values: Mapping[Path, Location] = {}
    names: Mapping[Path, tuple[str, ...]] = {}
    typed: Mapping[Path, int | float] = {}

    def location(self, path: Path, *, of_key: bool) -> Location | None:
        """Return the location of `path`, or of its nearest ancestor that has one; None without any."""
        while path:
            if of_key and path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return None


class PlaceFinder(Protocol):
    """What finds the locations in one document when something asks: most documents have no problem."""

    def tables(self) -> Tables:
        """Find all locations."""

    def location(self, path: Path, *, of_key: bool) -> Location | None:
        """Find that of `path`, or of its nearest ancestor that has one; None without any."""


# In one document. Each takes up to a third of the time of finding all.
MAX_FOUND_SINGLY = 2


class Places:
    """The locations in one document, of which the first few are found singly."""

    __slots__ = ("_asked", "_source")

    def __init__(self, source: Tables | PlaceFinder) -> None:
        self._source = source
        self._asked = 0

    def __repr__(self) -> str:
        return repr(self.tables)

    @property
    def tables(self) -> Tables:
        if not isinstance(self._source, Tables):
            self._source = self._source.tables()
        return self._source

    def location(self, path: Path, *, of_key: bool) -> Location | None:
        """Return the location of `path`, or of its nearest ancestor that has one; None without any."""
        self._asked += 1
        source = self._source if self._asked <= MAX_FOUND_SINGLY else self.tables
        return source.location(path, of_key=of_key)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain data, and the location of each path in it.

    `start` is the location of its first value. `texts` has the source of unquoted scalars, at least of each bool and
    number that is written in an unusual way, such as `True` or `1.10`.
    """

    value: Any
    start: Location
    texts: Mapping[Path, str] = field(default_factory=dict)
    places: Places = field(default_factory=lambda: Places(Tables()))

    @property
    def keys(self) -> Mapping[Path, Location]:
        return self.places.tables.keys

    @property
    def values(self) -> Mapping[Path, Location]:
        return self.places.tables.values

    @property
    def names(self) -> Mapping[Path, tuple[str, ...]]:
        return self.places.tables.names

    @property
    def typed(self) -> Mapping[Path, int | float]:
        return self.places.tables.typed

    def location(self, path: Path, *, of_key: bool = False) -> Location:
        """Return the location of `path`, or of its nearest ancestor that has one."""
        return (path and self.places.location(path, of_key=of_key)) or self.start


@dataclass(frozen=True, slots=True)
class Manifest:
    """A document with a known kind; the rest is not checked yet.

    `file` is the file that was read; that of the document is another one if it is included.
    """

    document: Document
    kind: str
    file: str = ""

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


class Trigger(StrEnum):
    """What submits a run-once job: each apply that finds it due, or `deployer run` only."""

    APPLY = "apply"
    RUN = "run"


class Until(StrEnum):
    """The state that a dependency must reach before its dependents are applied."""

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
    trigger: Trigger = Trigger.APPLY
    rerun: datetime | None = None
    savepoint: bool = True
    protect: bool = False
    adopt: bool = False
    timeout: str = "30m"


class Identity(NamedTuple):
    """The identity of a job: `place` is its queue or cluster, empty if that is not part of it.

    `run` is the key of one run of a job with parameters, `date=2024-07-04`; empty for all others.
    """

    kind: str
    place: str
    name: str
    run: str = ""

    def __str__(self) -> str:
        words = f"{self.kind} {self.name}" + (f" in {self.place}" if self.place else "")
        return f"{words} {self.run}" if self.run else words

    @property
    def of_job(self) -> Identity:
        """The identity of the job, without that of one run."""
        return self._replace(run="") if self.run else self

    @property
    def label(self) -> str:
        """The name, with the key of the run if it has one."""
        return f"{self.name} {self.run}" if self.run else self.name

    @property
    def parts(self) -> tuple[str, ...]:
        """What identifies the job, without `run` where that is empty: as digests have had it before there were runs."""
        return tuple(self) if self.run else tuple(self)[:3]


class ParameterType(StrEnum):
    DATE = "date"
    MONTH = "month"
    HOUR = "hour"
    INTEGER = "integer"
    TEXT = "text"
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a run-once job: `values` are all that it can have, `pattern` is what a text must match.

    `default` is None if each run must name its value; `earliest` is the `from` of a manifest, empty without one.
    """

    name: str
    type: ParameterType
    values: tuple[str, ...] = ()
    pattern: str = ""
    default: str | None = None
    earliest: str = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A job that must have reached a state before; `parameters` are values of its own that the dependent has not."""

    identity: Identity
    until: Until = Until.SUBMITTED
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A checked manifest: what should exist. `spec` uses the field names of the API reference, without the name.

    `rerun_requested` requests a new run, whenever the last one was submitted. `renamed_from` are the identities
    that the job had before. With `parameters` the spec has their marks, and is not sent before they are filled: then
    `definition` is the spec with the marks, and `values` are those of the run. See `deployer.parameters`.
    """

    identity: Identity
    source: Source
    spec: Spec
    lifecycle: Lifecycle = Lifecycle()
    labels: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[Dependency, ...] = ()
    rerun_requested: bool = False
    renamed_from: tuple[Identity, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    definition: Spec = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs_on_request(self) -> bool:
        """Whether only `deployer run` submits the job: so it wants, or a parameter has no default."""
        if self.lifecycle.trigger is Trigger.RUN:
            return True
        return any(parameter.default is None for parameter in self.parameters.values())

    @property
    def is_family(self) -> bool:
        """Whether the job stands for all its runs: it has parameters, which have no values yet."""
        return bool(self.parameters) and not self.identity.run

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


class Action(StrEnum):
    """The action of a change, as the plan prints it."""

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


class Condition(StrEnum):
    """A condition of `--fail-on`: why a plan or a status needs attention.

    CHANGES: changes that apply would make, and blocked ones. DRIFT: live jobs that were changed outside deployer.
    FAILED: jobs whose last run has failed. ORPHANS: live jobs of this project that no longer have a manifest.
    """

    CHANGES = "changes"
    DRIFT = "drift"
    FAILED = "failed"
    ORPHANS = "orphans"


class Step(StrEnum):
    """One step of a change. After a crash between two steps, the next plan continues."""

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
    STOPS = "stops"
    RESTART = "restart"
    STATE_LOST = "state-lost"
    RERUNS = "reruns"
    CANCELS = "cancels"
    DELETES = "deletes"


class Cause(StrEnum):
    """The side that changed since the last apply, if a live job differs from its manifest."""

    MANIFEST = "manifest"
    DRIFT = "drift"
    BOTH = "both"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs: `path` is a JSON Pointer into spec; a sensitive one carries no values.

    `note` says what is special about it, if anything is. `additional`: the live job has it and the manifest does not,
    so the service may have filled it in. With `live_hidden` the live value is not in the plan: see
    `deployer.planning.ownership`.
    """

    path: str
    live: Any
    desired: Any
    sensitive: bool = False
    note: str = ""
    additional: bool = False
    live_hidden: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The path as names, keys and indexes."""
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in self.path.split("/")[1:])

    @property
    def name(self) -> str:
        """The field of the spec that differs, or that the difference is in."""
        return self.parts[0]


@dataclass(frozen=True, slots=True)
class SecretField:
    """A field that holds secrets, by their names: `path` is a JSON Pointer into spec. Their values are unknown."""

    path: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """Where a secret comes from, and whether it has a value there; without the value."""

    name: str
    source: str
    status: str


@dataclass(frozen=True, slots=True)
class Change:
    """A planned change to one job. `live` is the current run, if there is one.

    `other_runs` are other active runs of the job, which a cancel ends too. `secrets` are the fields with secrets
    of a change that sends the spec. `cause` is None if no field differs from those of a live job. For a change that
    sends a body to an existing job, or submits it again, `not_compared` are the paths of the fields that the manifest
    has and the service does not return, and `live_only` the fields that only the live job has and that are no
    difference. With `is_prune` the job has no manifest: it is removed after all other changes were applied.
    `blocked_by` are the active runs of the job that are all that blocks it: it can be applied when they have ended.
    """

    action: Action
    job: Job
    reason: str
    impact: Impact = Impact.NONE
    fields: tuple[FieldChange, ...] = ()
    live: LiveJob | None = None
    steps: tuple[Step, ...] = ()
    other_runs: tuple[LiveJob, ...] = ()
    secrets: tuple[SecretField, ...] = ()
    cause: Cause | None = None
    not_compared: tuple[str, ...] = ()
    live_only: tuple[FieldChange, ...] = ()
    is_prune: bool = False
    blocked_by: tuple[LiveJob, ...] = ()

    @property
    def runs(self) -> int:
        """How many live jobs it affects: a cancel ends all runs of its job."""
        return 1 + len(self.other_runs)

    @property
    def takes_over(self) -> bool:
        """Whether it is an update of the ownership tags alone, of a job that is otherwise as its manifest says."""
        return self.steps == (Step.UPDATE,) and not self.fields


@dataclass(frozen=True, slots=True)
class Orphan:
    """A live job that this project deployed and that no longer has a manifest.

    `proof` is what proves that it is this project's, and `missing` why that is not proved: one of them is empty once it
    was judged. `ending` says what ends it. See `deployer.planning.removal`.
    """

    live: LiveJob
    proof: str = ""
    missing: str = ""
    ending: str = ""

    @property
    def identity(self) -> Identity:
        return self.live.identity

    @property
    def id(self) -> str:
        return self.live.id

    @property
    def state(self) -> str:
        return self.live.state


@dataclass(frozen=True, slots=True)
class Note:
    """A warning or an error about a job; it causes no change."""

    identity: Identity
    source: Source
    message: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a target. `origin` is where it was set, if not in deployer.yaml: DEPLOYER_LIMITS or --limit."""

    maximum: int
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """The place of a plan, for its heading. `endpoints` are the base URLs that override those of the region.

    `marks`: deployed jobs get ownership tags, and those without are not changed. `selection` says which jobs
    --changed-since has selected, and `places` has the names that deployer.yaml gives to clusters, by their ids.
    """

    project: str
    target: str
    region: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    project_id: str = ""
    emulator: bool = False
    protected: bool = False
    limits: Mapping[str, Limit] = field(default_factory=dict)
    marks: bool = True
    selection: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return `orders -> prod (cn-north-4, project 48cc, protected, limits: changes 50, delete 0)`"""
        parts = [*self._place, *(["protected"] if self.protected else [])]
        limits = (
            f"{name} {limit.maximum}{f' by {limit.origin}' if limit.origin else ''}"
            for name, limit in self.limits.items()
        )
        parts += [f"limits: {', '.join(limits)}"] if self.limits else []
        parts += [] if self.marks else ["no ownership tags"]
        parts += [self.selection] if self.selection else []
        return f"{self.project} -> {self._with(parts)}"

    @property
    def where(self) -> str:
        """The target and its place: `prod (cn-north-4, project 48cc)`"""
        return self._with(self._place)

    def _with(self, parts: Sequence[str]) -> str:
        return f"{self.target} ({', '.join(parts)})" if parts else self.target

    @property
    def _place(self) -> list[str]:
        if self.emulator:
            return ["built-in emulator"]
        urls = dict.fromkeys(url.removeprefix("https://").rstrip("/") for url in self.endpoints.values())
        project_id = f"project {self.project_id}" if self.project_id else ""
        return [part for part in (self.region, *urls, project_id) if part]


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that apply would make, in order; `errors` are jobs that failed to plan.

    `orphans` are live jobs that this project deployed and that no longer have a manifest. `unmanaged` counts the
    other live jobs without a manifest, as far as the listings were read. `secrets` are those that the changes use.
    `scope` is for the heading: its limits are no part of the digest.
    """

    target: str
    changes: tuple[Change, ...]
    warnings: tuple[Note, ...] = ()
    errors: tuple[Note, ...] = ()
    digest: str = ""
    orphans: tuple[Orphan, ...] = ()
    unmanaged: int = 0
    secrets: tuple[SecretStatus, ...] = ()
    scope: Scope | None = None

    @property
    def pending(self) -> tuple[Change, ...]:
        """All changes except the unchanged."""
        return tuple(change for change in self.changes if change.action is not Action.UNCHANGED)

    @property
    def steps(self) -> tuple[Change, ...]:
        """The changes that apply executes."""
        return tuple(change for change in self.pending if change.action is not Action.BLOCKED)

    @property
    def upcoming(self) -> tuple[Change, ...]:
        """The jobs that only `deployer run` submits and that differ from their newest run: the next one is as shown."""
        return tuple(
            change
            for change in self.changes
            if change.action is Action.UNCHANGED
            and change.fields
            and change.job.runs_on_request
            and not change.job.identity.run
        )

    @property
    def summary(self) -> Mapping[str, int]:
        """The number of changes of each action, zeros included; a cancel of several runs counts each of them."""
        counts: Counter[Action] = Counter()
        for change in self.changes:
            counts[change.action] += change.runs
        return {action.value: counts[action] for action in Action}


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


RUNNING_PHASES = {Phase.ACTIVE, Phase.PENDING}


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
