"""What the steps of a change work with: what all changes of an apply share, and how far this one has come."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from deployer.apply.journal import Journal
from deployer.clock import StopSignal
from deployer.cloud.client import Client
from deployer.cloud.observe import get_live_job
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.ownership import Owner
from deployer.model import Change, Identity, Job, LiveJob, Step
from deployer.project.target import Polling
from deployer.secrets.store import Secrets


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """What all changes of one apply share. `say` is told what is waited for."""

    client: Client
    journal: Journal
    secrets: Secrets
    owner: Owner | None = None
    polling: Polling = field(default_factory=Polling)
    stop_signal: StopSignal = field(default_factory=StopSignal)
    say: Callable[[str], object] = str


@dataclass(slots=True)
class Progress:
    """How far a change has come.

    `id` is that of its job, empty until a create has given one. `live` is the last look at the job that
    tells how it ran before. `known_ids` are what the listing showed just before the first write.

    `messages` has one entry for each finished step, and `partial` says what the current one has done already.
    `created` is what was read back after a create, `read_error` why nothing could be.
    """

    id: str
    live: LiveJob | None
    known_ids: frozenset[str] = frozenset()
    messages: list[str] = field(default_factory=list)
    partial: str = ""
    created: LiveJob | None = None
    read_error: str = ""

    @property
    def has_begun(self) -> bool:
        """At least one write has been carried out."""
        return bool(self.messages or self.partial)


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """One change that is carried out. `planned_ids` are the ids of all live jobs that the plan knew."""

    shared: ApplyContext
    change: Change
    planned_ids: Collection[str]
    progress: Progress

    @classmethod
    def begin(cls, shared: ApplyContext, change: Change, planned_ids: Collection[str]) -> ChangeContext:
        """Return the context of a change of which nothing is done yet."""
        # Where a create fails, the id of an earlier run would pass for that of a new job.
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
        """The live job, for the steps that only changes with one have."""
        if self.progress.live is None:
            raise RuntimeError("planned without a live job")
        return self.progress.live

    def look(self, identifier: str, identity: Identity | None = None) -> LiveJob | None:
        """Read a job by its id, None where it is gone; raises ApiError. Without `identity` it is this one."""
        path_values = self.kind.path_values(self.job.spec)
        return get_live_job(self.client, identity or self.job.identity, identifier, path_values)
