"""What is known of a run that no listing shows: whether it was never made, or may be forgotten.

How long a service keeps the records of runs is not published. That there is none is believed only if the listing has a
run that had ended before the run could be made, or if a journal of all machines covers all values. An active run proves
nothing: it is listed for as long as it runs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
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


def evidence(
    jobs: Iterable[Job], live: Live, recorded: Recorded, named: Container[Identity] = ()
) -> dict[Identity, Evidence]:
    """Return the evidence for each run. Runs of its name in a place of no `named` job may be its own: it has moved."""
    jobs = list(jobs)
    not_told: dict[Identity, list[LiveJob]] = {}
    listed: set[Identity] = set()
    oldest: dict[tuple[str, str], int] = {}
    moved: dict[tuple[str, str], list[LiveJob]] = {}
    own = {identity for job in jobs for identity in (job.identity.of_job, *_former(job))}
    for run in live.jobs:
        listed.add(run.identity)
        is_moved = run.identity.run and run.identity.of_job not in own and run.identity.of_job not in named
        if is_moved:
            moved.setdefault((run.identity.kind, run.identity.name), []).append(run)
        elif run.identity.run == NOT_TOLD:
            not_told.setdefault(run.identity.of_job, []).append(run)
        if run.finished and run.phase not in RUNNING_PHASES:
            key = _listing(run.identity)
            oldest[key] = min(run.finished, oldest.get(key, run.finished))
    found = {}
    for job in jobs:
        begin = _earliest(job, job.values)
        names = (job.identity.of_job, *_former(job))
        elsewhere = moved.get((job.kind, job.name), ())
        may_be = [run for name in names for run in not_told.get(name, ())]
        may_be += [run for run in elsewhere if run.identity.run == NOT_TOLD]
        may_be = [run for run in may_be if _may_be_after(run, begin)]
        is_listed = job.identity in listed or any(former in listed for former in job.renamed_from)
        goes_back = utc_time(oldest.get(_listing(job.identity), 0))
        doubt = "" if is_listed else _doubt(job, begin, goes_back, recorded)
        if same := [run for run in elsewhere if run.identity.run == job.identity.run and not is_listed]:
            doubt = f"run {same[0].id} of it in {same[0].identity.place} {same[0].condition}"
        found[job.identity] = Evidence(tuple(may_be), doubt)
    return found


def _former(job: Job) -> list[Identity]:
    return [former.of_job for former in job.renamed_from]


def may_be_members(jobs: Iterable[Job], live: Live) -> dict[Identity, tuple[LiveJob, ...]]:
    """Return the runs of each planned run's job whose values are not told, and that may be it."""
    runs = [job for job in jobs if job.identity.run]
    found = evidence(runs, live, Recorded())
    names = {job.identity: {job.identity.of_job, *_former(job)} for job in runs}
    return {
        identity: tuple(run for run in one.not_told if run.identity.of_job in names[identity])
        for identity, one in found.items()
    }


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
        return "the job list has no run that has ended, so nothing tells that it was never made"
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
