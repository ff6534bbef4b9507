"""Live jobs that have a manifest with `lifecycle.adopt: true` already, which may still need ownership tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from deployer.kinds import KINDS
from deployer.model import Job, LiveJob
from deployer.planning.additional import separated
from deployer.planning.align import compare_job


def adopted(
    jobs: Iterable[Job],
    live_jobs: Iterable[LiveJob],
    patterns: Sequence[str],
    ids: Collection[str],
    is_selected: Callable[[Job], bool],
) -> list[tuple[Job, LiveJob]]:
    """Return the selected live jobs that a manifest adopts: all of them without a pattern or an id.

    Without those that differ from the manifest: tags would say that they were deployed as it is, and an apply that
    updates the job writes them.
    """
    manifests = {job.identity: job for job in jobs if job.lifecycle.adopt}
    found = []
    for live in live_jobs:
        job = manifests.get(live.identity)
        is_named = live.id in ids or any(fnmatchcase(live.identity.name, pattern) for pattern in patterns)
        if job and (is_named or not (patterns or ids)) and is_selected(job) and _is_same(job, live):
            found.append((job, live))
    return found


def _is_same(job: Job, live: LiveJob) -> bool:
    kind = KINDS[job.kind]
    return live.spec is not None and not separated(kind, job, live, compare_job(kind, job, live))[0]


def without(patterns: Sequence[str], adopted_jobs: Iterable[LiveJob], others: Iterable[LiveJob]) -> list[str]:
    """Return the patterns without those that name only adopted jobs, and none of the `others`."""
    adopted_names = [live.identity.name for live in adopted_jobs]
    names = [live.identity.name for live in others]
    return [
        pattern
        for pattern in patterns
        if any(fnmatchcase(name, pattern) for name in names)
        or not any(fnmatchcase(name, pattern) for name in adopted_names)
    ]
