"""Plans: the changes that make what exists into what should exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deployer.model.document import Source
from deployer.model.job import Identity, Job
from deployer.model.live import LiveJob


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
    `may_be` are runs of a job with parameters whose values are not told, so they may be this run.
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
    may_be: tuple[LiveJob, ...] = ()

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
    def places(self) -> Mapping[str, str]:
        """The names that deployer.yaml gives to places."""
        return self.scope.places if self.scope else {}

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
