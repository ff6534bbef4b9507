"""One look at a listing before many creates, in place of one look for each job.

It may only say which live jobs a listing showed a short time ago. Now and then a job is looked up by itself; as soon
as one appears that the plan did not know, somebody else is creating jobs, and each further job is looked up by itself.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from deployer.cloud.client import Client
from deployer.cloud.observe import can_be_looked_up, listing_of, read_whole
from deployer.kinds import KINDS
from deployer.kinds.kind import may_be_unnamed
from deployer.model import Identity, Job, LiveJob

# With fewer creates in a listing, each is looked up by itself.
LEAST_JOBS = 20

# Of so many jobs one is looked up by itself; and for each page that is read again, so many were created.
ONE_IN = 32

# The age from which the listing is read again, in seconds.
OLD = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The part of a look for one job: `runs` that may be its, and the ids of all live jobs in the listing."""

    runs: Sequence[LiveJob]
    ids: Collection[str]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A listing as it was read at a monotonic time; `unnamed` are runs that the plan did not know."""

    read_at: float
    pages: int
    ids: frozenset[str]
    by_name: Mapping[str, Sequence[LiveJob]]
    unnamed: Sequence[LiveJob]

    def of(self, job: Job) -> Seen:
        return Seen([*self.by_name[job.name], *self.unnamed], self.ids)


@dataclass(slots=True)
class _Look:
    """The look at one listing, for `jobs`. `created` counts those that it was of use for since it was read."""

    jobs: Sequence[Job]
    reading: threading.Lock = field(default_factory=threading.Lock)
    snapshot: _Snapshot | None = None
    created: int = 0
    is_over: bool = False

    def is_due(self, snapshot: _Snapshot, now: float) -> bool:
        """Return whether the listing is to be read again: the sooner if no job can be looked up by itself."""
        is_old = now - snapshot.read_at >= OLD or not can_be_looked_up(self.jobs[0])
        return is_old and self.created >= ONE_IN * snapshot.pages


class SharedLooks:
    """The looks for `jobs`, which one apply creates. `planned_ids` are those of all live jobs in its plan.

    `needed` are jobs that are read back at once, as others depend on them. `now` counts seconds.
    """

    def __init__(
        self,
        client: Client,
        jobs: Iterable[Job],
        planned_ids: Collection[str],
        needed: Container[Identity] = frozenset(),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        together: dict[tuple[str, ...], list[Job]] = defaultdict(list)
        for job in jobs:
            together[listing_of(job)].append(job)
        self._client = client
        self._planned_ids = planned_ids
        self._needed = needed
        self._now = now
        self._looks: dict[Identity, _Look] = {}
        for of_listing in together.values():
            if len(of_listing) >= LEAST_JOBS:
                self._looks |= dict.fromkeys((job.identity for job in of_listing), _Look(of_listing))

    def seen(self, job: Job) -> Seen | None:
        """Return what is known of a job, None if it must be looked up by itself. Raises ApiError."""
        look = self._looks.get(job.identity)
        if look is None or look.is_over:
            return None
        look.created += 1  # two threads may count one; that does no harm
        if look.created % ONE_IN == 0 and can_be_looked_up(job):
            return None
        snapshot = look.snapshot
        if snapshot is None:
            with look.reading:
                snapshot = look.snapshot or self._read(look)
        elif look.is_due(snapshot, self._now()) and look.reading.acquire(blocking=False):
            # The other threads go on meanwhile.
            try:
                snapshot = self._read(look)
            finally:
                look.reading.release()
        return snapshot.of(job) if snapshot and not look.is_over else None

    def reads_back_later(self, job: Job) -> bool:
        """Return whether a created job is read back at the end, with the others."""
        look = self._looks.get(job.identity)
        return look is not None and not look.is_over and job.identity not in self._needed

    def distrust(self, job: Job) -> None:
        """Look up each further job of a listing by itself."""
        if look := self._looks.get(job.identity):
            look.is_over = True

    def _read(self, look: _Look) -> _Snapshot | None:
        read_at = self._now()
        listed = read_whole(self._client, look.jobs)
        if listed is None:
            look.is_over = True
            return None
        live, pages = listed
        by_name: dict[str, list[LiveJob]] = {job.name: [] for job in look.jobs}
        for run in live:
            if run.identity.name in by_name:
                by_name[run.identity.name].append(run)
        unnamed = [
            run
            for run in live
            if run.id not in self._planned_ids and may_be_unnamed(KINDS[run.identity.kind], run)
        ]
        ids = frozenset(run.id for run in live)
        look.snapshot, look.created = _Snapshot(read_at, pages, ids, by_name, unnamed), 0
        return look.snapshot
