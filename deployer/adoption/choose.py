"""LiveJobs -> the ones that need a manifest: the current run of each job that no manifest describes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from deployer.errors import UsageError, similar
from deployer.kinds import KINDS
from deployer.kinds.kind import Nature
from deployer.model import Identity, LiveJob
from deployer.planning.plan import current_run


@dataclass(frozen=True, slots=True)
class Candidates:
    """The jobs without a manifest, by identity; jobs without a name each for itself.

    `covered` are the jobs that have a manifest, `older` counts for each of the others the runs but for the current one.
    """

    jobs: tuple[LiveJob, ...]
    covered: tuple[Identity, ...]
    older: Mapping[Identity, int]


def candidates(live: Iterable[LiveJob], managed: Collection[Identity]) -> Candidates:
    """Return the current run of each job that is not in `managed`."""
    runs: dict[Identity, list[LiveJob]] = defaultdict(list)
    found: list[LiveJob] = []
    for job in live:
        if job.identity.name:
            runs[job.identity].append(job)
        else:
            found.append(job)
    covered = tuple(sorted(identity for identity in runs if identity in managed))
    older: dict[Identity, int] = {}
    for identity, same in runs.items():
        if identity in managed:
            continue
        if KINDS[identity.kind].nature is Nature.DEFINITION:
            found += same  # each is a job of its own, and plan reports that they share a name
        elif current := current_run(same):
            found.append(current)
            older[identity] = len(same) - 1
    return Candidates(tuple(sorted(found, key=lambda job: (job.identity, job.id))), covered, older)


def matching(jobs: Sequence[LiveJob], patterns: Sequence[str], others: Mapping[str, str]) -> list[LiveJob]:
    """Return the jobs that one of the patterns matches; all without a pattern.

    `others` are names that none of the jobs has, each with the reason. Raises UsageError for a pattern without a match.
    """
    for pattern in patterns:
        if not any(fnmatchcase(job.identity.name, pattern) for job in jobs):
            raise UsageError(_no_match(pattern, jobs, others))
    return [
        job
        for job in jobs
        if not patterns or any(fnmatchcase(job.identity.name, pattern) for pattern in patterns)
    ]


def _no_match(pattern: str, jobs: Sequence[LiveJob], others: Mapping[str, str]) -> str:
    if reason := next((reason for name, reason in others.items() if fnmatchcase(name, pattern)), ""):
        return f"'{pattern}': {reason}"
    hint = similar(pattern, sorted({job.identity.name for job in jobs}))
    return f"'{pattern}' matches no live job without a manifest{hint}"
