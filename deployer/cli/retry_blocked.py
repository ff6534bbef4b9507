"""`apply --retry-blocked TIME`: waits for runs to end, and applies what they blocked.

The lock is not held during the wait, in which others may apply; so the jobs are planned again under a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from deployer.cli import locks, planner, session
from deployer.cli.approval import APPLY, exceeded, is_within
from deployer.cli.execute import execute, exit_code
from deployer.errors import ApiError, DeployerError, Exit, Interrupted
from deployer.model import Action, Change, Identity, Job, Limit, Live, LiveJob, Plan, Result
from deployer.report import text
from deployer.report.status import duration
from deployer.report.terminal import err, out, width

if TYPE_CHECKING:
    from deployer.apply.scheduler import ApplyOptions
    from deployer.cli.outcome_reports import Record
    from deployer.clock import StopSignal
    from deployer.cloud.client import Client
    from deployer.planning.ownership import LiveValues
    from deployer.secrets.store import Secrets

_MAX_NAMES = 5


@dataclass(frozen=True, slots=True)
class Retry:
    """What a second plan takes over from the first one. `seconds` are those that runs are waited for."""

    loaded: session.LoadedProject
    secrets: Secrets
    stop_signal: StopSignal
    options: ApplyOptions
    limits: Mapping[str, Limit]
    live_values: LiveValues
    hides_others: bool
    seconds: float
    lock_timeout: float | None


def is_possible(record: Record, options: ApplyOptions) -> bool:
    """Return whether blocked changes are waited for: not if the apply was stopped, and no other change would start."""
    from deployer.apply.retry import awaited

    if record.plan is None or not awaited(record.plan) or record.code is Exit.INTERRUPTED or record.messages:
        return False
    failed = {outcome.result for outcome in record.outcomes} - {Result.DONE}
    return len(record.outcomes) == len(record.plan.steps) and not (failed and options.fail_fast)


def retry(given: Retry, record: Record) -> Exit:
    """Wait for the runs that block changes of `record.plan`, then apply these; return the exit code of all."""
    first = record.plan
    if first is None or record.code is None:
        raise RuntimeError("nothing was planned before")
    try:
        return _retry(given, record, first, record.code)
    except (Interrupted, KeyboardInterrupt):
        words = "interrupted while runs were waited for: what they block was not applied"
        err(words)
        return record.ended(Exit.INTERRUPTED, words)
    except DeployerError as error:
        words = f"what was blocked could not be applied later: {error}"
        err(text.error(words))
        blocked, errors = first.summary[Action.BLOCKED], len(first.errors) + 1
        return record.ended(exit_code(record.outcomes, blocked=blocked, errors=errors), words)


def _retry(given: Retry, record: Record, first: Plan, code: Exit) -> Exit:
    from deployer.apply.retry import awaited

    changes = awaited(first)
    limit = duration(int(given.seconds))
    session.note(f"waiting at most {limit} for {_runs(changes)} to end; the lock is not held meanwhile")
    ended = _wait(given, changes)
    left = [change for change in changes if change.job.identity not in ended]
    if left:
        words = f"not ended after {limit}, so it stays blocked: {_runs(left)}"
        session.note(words)
        record.ended(code, words)
    if not ended:
        return code
    loaded = replace(given.loaded, selected=frozenset(ended))
    seconds = locks.SHARED_SECONDS if given.lock_timeout is None else given.lock_timeout
    with (
        locks.hold(loaded, given.secrets, "apply", seconds, given.stop_signal) as held,
        session.connected(loaded, given.secrets, given.stop_signal, held.require) as client,
    ):
        plan, live = held.plan(client, _planner(given, loaded, client, record, first))
        out()
        out(text.plan(plan, hides_others=given.hides_others, width=width()))
        whole = _merged(first, plan)
        if not is_within(given.limits, whole, APPLY):
            return record.ended(code, *exceeded(given.limits, whole, APPLY))
        record.plan = whole
        if not plan.steps:
            return record.ended(code)
        out()
        return execute(held, client, plan, live, given.options, APPLY, record)


def _wait(given: Retry, changes: tuple[Change, ...]) -> set[Identity]:
    """Return the jobs whose runs have ended, when the listings show it."""
    from deployer.apply.retry import wait_until_ended
    from deployer.apply.watch import get_run

    polling = given.loaded.target.polling
    with session.connected(given.loaded, given.secrets, given.stop_signal) as client:

        def read(job: Job, run: LiveJob) -> LiveJob | None:
            try:
                return get_run(client, job, run)
            except ApiError as error:
                if client.is_refused:  # so is each later request
                    raise DeployerError(str(error)) from None
                raise

        waited = wait_until_ended(read, changes, polling, given.stop_signal, given.seconds)
    if waited.problem and len(waited.ended) < len(changes):
        session.note(f"a run could not be read: {waited.problem}")
    if waited.ended:
        given.stop_signal.sleep(polling.consistency_delay)
    return waited.ended


def _planner(
    given: Retry, loaded: session.LoadedProject, client: Client, record: Record, first: Plan
) -> locks.Planner:
    """Return what plans the jobs again: what is not as it was announced stays blocked."""
    from deployer.apply.retry import as_planned

    planned = partial(planner.plan, client, loaded, limits=given.limits, live_values=given.live_values)

    def plan(*, known: session.Known, note: Callable[[str], object]) -> tuple[Plan, Live]:
        second, live = planned(known=known, note=note)
        changes = as_planned(first, second, record.outcomes)
        # The first plan had told of what is beside them.
        return replace(second, changes=changes, errors=(), orphans=(), unmanaged=0), live

    return plan


def _merged(first: Plan, second: Plan) -> Plan:
    from deployer.apply.retry import merged

    return merged(first, second.changes)


def _runs(changes: tuple[Change, ...] | list[Change]) -> str:
    """Return `SparkBatch daily in general (run 7)`, and how many more."""
    listed = [
        f"{change.job.identity} (run {', '.join(run.id for run in change.blocked_by)})"
        for change in changes[:_MAX_NAMES]
    ]
    more = [f"{len(changes) - _MAX_NAMES} more"] if len(changes) > _MAX_NAMES else []
    return ", ".join([*listed, *more])
