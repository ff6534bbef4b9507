"""The listed runs of a job with parameters: the values of each, and whether it is of the present definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.errors import DeployerError
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.ownership import matches_fingerprint
from deployer.model import Job, LiveJob
from deployer.parameters.reading import NotTold, at, read
from deployer.parameters.runs import with_values
from deployer.planning.additional import separated
from deployer.planning.align import compare_job
from deployer.secrets.redact import masked


@dataclass(frozen=True, slots=True)
class PastRun:
    """A listed run. `values` is None if they are not told, and `reason` says why.

    `differs` are the paths of the fields that differ from the present definition with these values; None if the run
    cannot be compared.
    """

    live: LiveJob
    values: Mapping[str, str] | None
    reason: str = ""
    differs: tuple[str, ...] | None = None


def past_runs(job: Job, runs: Iterable[LiveJob]) -> list[PastRun]:
    """Return the runs of a job, the newest first. Its spec has the marks of its parameters."""
    kind = KINDS[job.kind]
    newest_first = sorted(runs, key=lambda live: (live.submitted, live.id), reverse=True)
    return [_past_run(kind, job, live) for live in newest_first]


def _past_run(kind: Kind, job: Job, live: LiveJob) -> PastRun:
    if live.spec is None:
        return PastRun(live, None, "the listing does not show what was sent")
    found = read(job.spec, job.parameters, live.spec, live.unobserved, kind.expect)
    if isinstance(found, NotTold):
        return PastRun(live, None, _reason(kind, live, found))
    try:
        run = with_values(job, found.values)
    except DeployerError as error:
        return PastRun(live, None, str(error))
    if matches_fingerprint(kind, run, live):
        return PastRun(live, found.values, differs=())
    fields, _ = separated(kind, run, live, compare_job(kind, run, live))
    return PastRun(live, found.values, differs=tuple(dict.fromkeys(field.path for field in fields)))


def _reason(kind: Kind, live: LiveJob, found: NotTold) -> str:
    """Return why values are not told, without showing a secret."""
    if not found.path:
        return "the listing does not show what was sent"
    if found.live is None:
        return f"{found.path} is missing"
    shown = at(masked(kind.spellings, live.spec or {}), found.steps)
    return f"{found.path} is {shown!r}"
