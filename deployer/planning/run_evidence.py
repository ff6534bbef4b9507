"""What is known of a run that no listing shows: whether it was never made, or may be forgotten.

How long a service keeps the records of runs is not published. That there is none is believed only if the listing goes
back to a time when the run could not have been made yet, or if a journal of all machines covers all values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from deployer.kinds import KINDS
from deployer.model import RUNNING_PHASES, Identity, Job, Live, LiveJob, Parameter, ParameterType, utc_time
from deployer.planning.decide_run import Evidence
from deployer.planning.run_keys import NOT_TOLD

# A day begins so much earlier in the first time zone than in UTC.
_FIRST_ZONE = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the journal has: in words, the runs that were submitted, and since when that of all machines has all.

    `since` is None if other machines have journals of their own.
    """

    submitted: Mapping[Identity, str] = field(default_factory=dict)
    since: datetime | None = None


def evidence(jobs: Iterable[Job], live: Live, recorded: Recorded) -> dict[Identity, Evidence]:
    """Return the evidence for each run."""
    jobs = list(jobs)
    not_told: dict[Identity, list[LiveJob]] = {}
    listed: set[Identity] = set()
    oldest: dict[tuple[str, str], int] = {}
    for run in live.jobs:
        listed.add(run.identity)
        if run.identity.run == NOT_TOLD:
            not_told.setdefault(run.identity.of_job, []).append(run)
        if run.submitted:
            key = _listing(run.identity)
            oldest[key] = min(run.submitted, oldest.get(key, run.submitted))
    found = {}
    for job in jobs:
        begin = _earliest(job, job.values)
        names = (job.identity.of_job, *(former.of_job for former in job.renamed_from))
        may_be = [run for name in names for run in not_told.get(name, ()) if _may_be_after(run, begin)]
        is_listed = job.identity in listed or any(former in listed for former in job.renamed_from)
        goes_back = utc_time(oldest.get(_listing(job.identity), 0))
        doubt = "" if is_listed else _doubt(job, begin, goes_back, recorded)
        found[job.identity] = Evidence(tuple(may_be), doubt)
    return found


def may_be_members(jobs: Iterable[Job], live: Live) -> dict[Identity, tuple[LiveJob, ...]]:
    """Return the runs whose values are not told, by the identity of each planned run that they may be."""
    found = evidence([job for job in jobs if job.identity.run], live, Recorded())
    return {identity: one.not_told for identity, one in found.items() if one.not_told}


def _listing(identity: Identity) -> tuple[str, str]:
    return identity.kind, identity.place if KINDS[identity.kind].path_fields else ""


def _may_be_after(run: LiveJob, begin: datetime | None) -> bool:
    """Return whether a run may have been made after a time: it has not ended before."""
    ended = utc_time(run.finished or run.submitted)
    return run.phase in RUNNING_PHASES or begin is None or ended is None or ended >= begin


def _doubt(job: Job, begin: datetime | None, goes_back: datetime | None, recorded: Recorded) -> str:
    """Return why a run that is not listed may have been made all the same; empty if it was not."""
    if words := recorded.submitted.get(job.identity):
        return words
    if begin and goes_back and goes_back <= begin:
        return ""
    first = _earliest(job, {name: each.earliest for name, each in job.parameters.items() if each.earliest})
    if recorded.since and first and recorded.since <= first:
        return ""
    if goes_back is None:
        return "the job list is empty, so nothing tells that it was never made"
    back = f"the job list goes back to {goes_back:%Y-%m-%d %H:%M} UTC only"
    if begin is None:
        return f"{back}, so a run before that may be forgotten"
    since = f"{begin:%Y-%m-%d %H:%M} UTC, when it began in the first time zone"
    return f"{back}, so a run before that may be forgotten (it can have been made since {since})"


def _earliest(job: Job, values: Mapping[str, str]) -> datetime | None:
    """Return the time before which a run with some values cannot have been made; None if they tell none."""
    times = [
        time
        for name, value in values.items()
        if name in job.parameters and (time := _time(job.parameters[name], value))
    ]
    return min(times, default=None)


def _time(parameter: Parameter, value: str) -> datetime | None:
    forms = {ParameterType.DATE: "", ParameterType.MONTH: "-01", ParameterType.HOUR: ":00"}
    if parameter.type not in forms:
        return None
    try:
        begin = datetime.fromisoformat(value + forms[parameter.type]).replace(tzinfo=UTC)
        return begin - _FIRST_ZONE
    except (ValueError, OverflowError):
        return None
