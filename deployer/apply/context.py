"""The context of the steps of a change: what all changes of an apply share, and the progress of this one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from deployer.apply.journal import Journal
from deployer.apply.shared_look import SharedLooks
from deployer.clock import StopSignal
from deployer.cloud.client import Client
from deployer.cloud.observe import get_live_job
from deployer.invocation import Invocation
from deployer.kinds import KINDS
from deployer.kinds.former import path_values
from deployer.kinds.kind import Kind
from deployer.kinds.ownership import Owner
from deployer.model import Change, Identity, Job, LiveJob, Step
from deployer.project.target import Polling
from deployer.secrets.store import Secrets


@dataclass(frozen=True, slots=True)
class Created:
    """A job that this apply created.

    `known_ids` are the ids that were listed before, `planned_ids` those of all live jobs in the plan. `unread` is the
    change if the job was not read back.
    """

    job: Job
    id: str
    known_ids: Collection[str]
    planned_ids: Collection[str]
    unread: ChangeContext | None = None


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """The context that all changes of one apply share. `report` receives messages about waiting.

    `creates_from` is the monotonic time in seconds before which no job is created. `created` collects the jobs
    that were created, by id; `looks` are those that many creates share.
    `lock_lost` returns why the lock is no longer held, empty while it is. `is_shared`: other machines know what this
    apply has created. `invocation` is for the commands that messages advise.
    """

    client: Client
    journal: Journal
    secrets: Secrets
    owner: Owner | None = None
    polling: Polling = field(default_factory=Polling)
    stop_signal: StopSignal = field(default_factory=StopSignal)
    report: Callable[[str], object] = str
    creates_from: float = 0.0
    lock_lost: Callable[[], str] = str
    is_shared: bool = False
    created: dict[str, Created] = field(default_factory=dict)
    looks: SharedLooks | None = None
    invocation: Invocation = field(default_factory=Invocation)


@dataclass(slots=True)
class Progress:
    """The progress of a change.

    `id` is that of its job, empty until a create has returned one. `live` is the job as it was last read before
    it changed. `known_ids` are the ids in the listing just before the first write.

    `messages` has one entry for each finished step, and `partial` describes what the current step has done.
    `created` is the job as read back after a create, `read_error` the error if it could not be read, and `is_listed`
    whether its listing showed it.
    """

    id: str
    live: LiveJob | None
    known_ids: Collection[str] = frozenset()
    messages: list[str] = field(default_factory=list)
    partial: str = ""
    created: LiveJob | None = None
    read_error: str = ""
    is_listed: bool = False

    @property
    def has_begun(self) -> bool:
        """Returns whether at least one write was executed."""
        return bool(self.messages or self.partial)


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """The context of one change. `planned_ids` are the ids of all live jobs in the plan."""

    shared: ApplyContext
    change: Change
    planned_ids: Collection[str]
    progress: Progress

    @classmethod
    def begin(cls, shared: ApplyContext, change: Change, planned_ids: Collection[str]) -> ChangeContext:
        """Return the context of a change that has not started."""
        # If a create fails, the id of an earlier run would be mistaken for that of a new job.
        planned_id = change.live.id if change.live and change.steps[:1] != (Step.CREATE,) else ""
        return cls(shared, change, planned_ids, Progress(planned_id, change.live))

    @property
    def client(self) -> Client:
        return self.shared.client

    @property
    def job(self) -> Job:
        return self.change.job

    @property
    def kind(self) -> Kind:
        return KINDS[self.change.job.kind]

    @property
    def live(self) -> LiveJob:
        """Return the live job, for the steps that require one."""
        if self.progress.live is None:
            raise RuntimeError("planned without a live job")
        return self.progress.live

    def read_job(self, identifier: str, identity: Identity | None = None) -> LiveJob | None:
        """Read a job by its id, None if it does not exist; raises ApiError. `identity` defaults to this job."""
        identity = identity or self.job.identity
        return get_live_job(self.client, identity, identifier, path_values(self.job, identity))
