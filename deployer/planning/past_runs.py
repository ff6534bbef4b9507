"""The listed runs of a job with parameters: the values of each, and whether it is of the present definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.errors import DeployerError
from deployer.kinds import KINDS
from deployer.kinds.former import under_identity
from deployer.kinds.kind import Kind
from deployer.kinds.ownership import Owner, matches_fingerprint
from deployer.model import FieldChange, Job, LiveJob
from deployer.parameters.keys import values_of
from deployer.parameters.runs import with_values
from deployer.planning.additional import separated
from deployer.planning.align import compare_job
from deployer.planning.run_keys import NOT_TOLD, Values, values_of_run


@dataclass(frozen=True, slots=True)
class PastRun:
    """A listed run. `values` is None if they are not told, and `reason` says why.

    `differs` are the paths of the fields that differ from the present definition with these values; None if the run
    cannot be compared. `additional` are those that the definition does not have: the service may have filled them in.
    """

    live: LiveJob
    values: Mapping[str, str] | None
    reason: str = ""
    differs: tuple[str, ...] | None = None
    additional: tuple[str, ...] = ()


def past_runs(job: Job, runs: Iterable[LiveJob], owner: Owner | None = None) -> list[PastRun]:
    """Return the runs of a job, the newest first. Its spec has the marks of its parameters, if it has any.

    The marks of runs count if `owner` has written them.
    """
    kind = KINDS[job.kind]
    newest_first = sorted(runs, key=lambda live: (live.submitted, live.identity.run, live.id), reverse=True)
    return [_past_run(kind, job, live, owner) for live in newest_first]


def _past_run(kind: Kind, job: Job, live: LiveJob, owner: Owner | None) -> PastRun:
    if not job.parameters:
        found = Values({})
    elif live.identity.run in {"", NOT_TOLD}:
        found = values_of_run(job, live, owner)
    else:
        found = Values(values_of(live.identity.run))
    if found.told is None:
        return PastRun(live, None, found.reason)
    try:
        run = with_values(job, found.told) if job.parameters else job
    except DeployerError as error:
        return PastRun(live, None, str(error))
    if live.identity.of_job in {former.of_job for former in job.renamed_from}:
        run = under_identity(run, live.identity)
    if live.spec is None:
        return PastRun(live, found.told)
    if matches_fingerprint(kind, run, live):
        return PastRun(live, found.told, differs=())
    fields, additional = separated(kind, run, live, compare_job(kind, run, live))
    return PastRun(live, found.told, differs=_paths(fields), additional=_paths(additional))


def _paths(fields: Iterable[FieldChange]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field.path for field in fields))
