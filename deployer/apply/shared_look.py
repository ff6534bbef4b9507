"""One look at a listing before many creates, in place of one look for each job.

It may only say which live jobs a listing showed a short time ago. Now and then a job is looked up by itself; as soon
as one appears that the plan did not know, somebody else is creating jobs, and each further job is looked up by itself.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from deployer.cloud.client import Client
from deployer.cloud.observe import by_listing, can_be_looked_up, read_whole
from deployer.errors import ApiError
from deployer.kinds import KINDS
from deployer.kinds.kind import may_be_unnamed
from deployer.model import Identity, Job, LiveJob

# With fewer creates in a listing, each is looked up by itself.
LEAST_JOBS = 20

# Of so many jobs one is looked up by itself, and some of the first ones; and for each page that is read again, so many
# were created.
ONE_IN = 32
FIRST_ONES = {2, 4, 8, 16}

# The age of a look, in seconds, from which the listing is read again, and from which it is not relied on.
OLD = 5.0
TOO_OLD = 30.0


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
    """The look at one listing, for `jobs`. `created` counts the jobs that asked, `before` those until it was read.

    The jobs to look up by themselves are others in each run: two runners would look at the same ones.
    """

    jobs: Sequence[Job]
    shift: int
    reading: threading.Lock = field(default_factory=threading.Lock)
    snapshot: _Snapshot | None = None
    created: int = 0
    before: int = 0
    is_over: bool = False

    def is_sample(self) -> bool:
        """Return whether the present job is one to look up by itself."""
        return self.created in FIRST_ONES or (self.created + self.shift) % ONE_IN == 0

    def is_due(self, snapshot: _Snapshot, age: float) -> bool:
        """Return whether the listing is to be read again: if that takes few requests for the jobs in between."""
        since = self.created - self.before
        if age >= TOO_OLD:
            return since >= snapshot.pages
        return (age >= OLD or not can_be_looked_up(self.jobs[0])) and since >= ONE_IN * snapshot.pages


class SharedLooks:
    """The looks for `jobs`, which one apply creates. `planned_ids` are those of all live jobs in its plan.

    `needed` are jobs that are read back at once, as others depend on them. `now` counts seconds;
    `random_below` chooses which jobs are looked up by themselves.
    """

    def __init__(
        self,
        client: Client,
        jobs: Iterable[Job],
        planned_ids: Collection[str],
        needed: Container[Identity] = frozenset(),
        now: Callable[[], float] = time.monotonic,
        random_below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._client = client
        self._planned_ids = planned_ids
        self._needed = needed
        self._now = now
        self._looks: dict[Identity, _Look] = {}
        for of_listing in by_listing(jobs).values():
            if len(of_listing) >= LEAST_JOBS:
                look = _Look(of_listing, random_below(ONE_IN))
                self._looks |= dict.fromkeys((job.identity for job in of_listing), look)

    def seen(self, job: Job) -> Seen | None:
        """Return what is known of a job, None if it must be looked up by itself. Raises ApiError."""
        look = self._looks.get(job.identity)
        if look is None or look.is_over:
            return None
        look.created += 1  # two threads may count one; that does no harm
        if look.is_sample() and can_be_looked_up(job):
            return None
        snapshot = look.snapshot
        if snapshot is None:
            with look.reading:
                snapshot = look.snapshot or (None if look.is_over else self._read(look))
        age = self._now() - snapshot.read_at if snapshot else 0.0
        if snapshot and look.is_due(snapshot, age) and look.reading.acquire(blocking=age >= TOO_OLD):
            # The other threads go on meanwhile.
            try:
                snapshot = self._read(look) if look.snapshot is snapshot else look.snapshot
            finally:
                look.reading.release()
        elif age >= TOO_OLD:
            return None
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
        try:
            listed = read_whole(self._client, look.jobs)
        except ApiError:
            look.is_over = True  # or each job would wait for its own attempts, one after the other
            raise
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
        look.snapshot, look.before = _Snapshot(read_at, pages, ids, by_name, unnamed), look.created
        return look.snapshot
