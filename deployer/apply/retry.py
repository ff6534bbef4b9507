"""`apply --retry-blocked`: the changes that are blocked only because runs of their jobs have not ended.

What is applied when they have is what the manifest said when the plan was made, and only if nothing but the end of the
runs has changed since: whoever approved the plan has seen the job, its run and its differences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from deployer.apply.recheck import differing_fields, has_other_project
from deployer.clock import StopSignal
from deployer.errors import ApiError
from deployer.kinds import KINDS
from deployer.model import (
    FAILED_PHASES,
    Action,
    Change,
    Identity,
    Job,
    LiveJob,
    Outcome,
    Phase,
    Plan,
    Result,
    Step,
)
from deployer.project.target import Polling

_ENDED = {Phase.SUCCEEDED, *FAILED_PHASES}


def awaited(plan: Plan) -> tuple[Change, ...]:
    """Return the changes of a plan that can be applied when runs of their jobs have ended."""
    return tuple(change for change in plan.changes if change.blocked_by)


@dataclass(slots=True)
class Waited:
    """What a wait has come to: `ended` are the jobs whose runs have ended or are gone, `problem` is the last error."""

    ended: set[Identity] = field(default_factory=set)
    problem: str = ""


def wait_until_ended(
    read: Callable[[Job, LiveJob], LiveJob | None],
    changes: Iterable[Change],
    polling: Polling,
    stop_signal: StopSignal,
    seconds: float,
) -> Waited:
    """Wait until all runs that block the changes have ended, at most for so long. Raises Interrupted.

    A run that cannot be read has not ended: the next look may be able to.
    """
    end, waited = time.monotonic() + seconds, Waited()
    left = {change.job.identity: (change.job, [*change.blocked_by]) for change in changes}
    for pause in polling.poll_delays():
        for identity, (job, runs) in [*left.items()]:
            try:
                active = [run for run in runs if not _has_ended(read(job, run))]
            except ApiError as error:
                waited.problem = str(error)
                continue
            if active:
                left[identity] = job, active
            else:
                del left[identity]
                waited.ended.add(identity)
        remaining = end - time.monotonic()
        if not left or remaining <= 0:
            break
        stop_signal.sleep(min(pause, remaining))
    return waited


def _has_ended(run: LiveJob | None) -> bool:
    return run is None or run.phase in _ENDED


def as_planned(first: Plan, second: Plan, outcomes: Collection[Outcome]) -> tuple[Change, ...]:
    """Return the changes of `second` that `first` had announced; the others stay blocked, with the reason.

    `outcomes` are those of the first plan. A job that failed to plan, or that depends on one that was not applied,
    stays blocked too.
    """
    before = {change.job.identity: change for change in first.changes}
    failed = {note.identity: f"it failed to plan: {note.message}" for note in second.errors}
    results = {outcome.change.job.identity: outcome.result for outcome in outcomes}
    missing = {
        change.job.identity: "is blocked" if change.action is Action.BLOCKED else "was not applied"
        for change in first.pending
        if results.get(change.job.identity) is not Result.DONE
    }
    changes: list[Change] = []
    planned = {change.job.identity: change for change in second.changes}
    for identity, change in before.items():
        if identity not in planned and identity not in failed:
            continue
        now = planned.get(identity)
        problem = failed.get(identity) or (now and _problem(change, now, missing)) or ""
        if now is None or problem:
            changes.append(replace(change, reason=f"{problem}; run plan again", blocked_by=()))
        elif now.action is Action.BLOCKED:
            changes.append(replace(now, blocked_by=()))
        else:
            missing.pop(identity, None)
            ids = ", ".join(run.id for run in change.blocked_by)
            changes.append(replace(now, reason=f"{now.reason}; it was blocked until run {ids} had ended"))
    return tuple(changes)


def _problem(before: Change, now: Change, missing: Mapping[Identity, str]) -> str:
    """Return why a change is not the one that was announced; empty if it is, or is blocked still."""
    if now.action is Action.BLOCKED:
        return ""
    planned, live = before.live, now.live
    if planned is None or live is None:
        return f"run {planned.id if planned else ''} no longer exists"
    if live.id != planned.id:
        return f"the latest run is {live.id} ({live.state}), not {planned.id}, which blocked it"
    if live.identity != planned.identity or has_other_project(KINDS[before.job.kind], planned, live):
        return f"run {live.id} was renamed or taken over while it was waited for"
    if names := differing_fields(planned, live):
        return f"run {live.id} was modified while it was waited for ({', '.join(names)})"
    if now.steps != (Step.CREATE,) or now.job != before.job:
        return f"run {live.id} has ended, but the change is another one: {now.action}: {now.reason}"
    for dependency in now.job.depends_on:
        if words := missing.get(dependency.identity):
            return f"dependency '{dependency.identity.name}' {words}"
    return ""


def merged(first: Plan, changes: Iterable[Change]) -> Plan:
    """Return the first plan with the changes that were planned again in place of its blocked ones."""
    again = {change.job.identity: change for change in changes}
    return replace(first, changes=tuple(again.get(change.job.identity, change) for change in first.changes))
