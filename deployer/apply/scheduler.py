"""Plan -> Outcomes: the order of the changes, and which of them wait for others.

Changes that do not depend on each other run concurrently, and a failed one does not stop the others.
Outcomes are returned in the order of the plan.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

from deployer.apply.context import ApplyContext
from deployer.apply.deployment import deploy
from deployer.apply.shared_look import SharedLooks
from deployer.apply.wait import WaitEnd, condition_of, end_of_log, has_reached, state_of, wait_until
from deployer.cloud.observe import get_live_job
from deployer.errors import ApiError, Interrupted
from deployer.kinds import KINDS
from deployer.kinds.former import path_values
from deployer.kinds.kind import TAGS, Nature
from deployer.model import (
    FAILED_PHASES,
    UNTIL_WORDS,
    Action,
    Change,
    Dependency,
    Identity,
    Job,
    Live,
    LiveJob,
    Outcome,
    Plan,
    Result,
    State,
    Step,
    Until,
)
from deployer.planning.decide import DEPENDENT_STEPS
from deployer.planning.plan import current_run
from deployer.project.target import seconds

# The time after an interrupt to wait for the responses of running requests.
GRACE_SECONDS = 10.0

# The results at which --fail-fast stops.
_FAILURES = {Result.FAILED, Result.UNKNOWN, Result.REFUSED, Result.DIFFERS}


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """The options of an apply: `wait` is the state that each submitted job must reach."""

    parallelism: int = 1
    fail_fast: bool = False
    wait: Until = Until.SUBMITTED


def apply(
    context: ApplyContext,
    plan: Plan,
    live: Live,
    jobs: Mapping[Identity, Job],
    options: ApplyOptions | None = None,
) -> Generator[Outcome]:
    """Apply `plan`, which was created from `live`, and yield the outcome of each change.

    `jobs` are those of the whole project, for the dependencies that are not in the plan. A change that was not
    started, after an interrupt or with `fail_fast`, has no outcome. Orphaned jobs are removed last, and only if all
    other changes were applied: what replaces them may be among those.
    """
    options = options or ApplyOptions()
    context = replace(context, looks=_shared_looks(context, plan, live, options))
    scheduler = _Scheduler(context, live, jobs, options)
    prunes = tuple(change for change in plan.changes if change.is_prune)
    if not prunes:
        yield from scheduler.outcomes(plan)
        return
    others = tuple(change for change in plan.changes if not change.is_prune)
    yield from scheduler.outcomes(replace(plan, changes=others))
    failed = scheduler.count_not_applied(replace(plan, changes=others))
    # A blocked job may be the one to be removed, under another name; not if it is to be removed itself.
    blocked = [change for change in others if change.action is Action.BLOCKED]
    wanted = [change for change in blocked if change.job.lifecycle.state is not State.ABSENT]
    if left := failed + len(wanted):
        reason = f"not pruned: {left} other {'change was' if left == 1 else 'changes were'} not applied"
        result = Result.SKIPPED if failed else Result.REFUSED
        yield from (Outcome(change, result, reason) for change in prunes)
        return
    yield from scheduler.outcomes(replace(plan, changes=prunes))


def _shared_looks(context: ApplyContext, plan: Plan, live: Live, options: ApplyOptions) -> SharedLooks:
    steps = plan.steps
    creates = [change for change in steps if change.steps[0] is Step.CREATE]
    # What a definition was is read with its tags; and a job that waits for others is looked up when it may start.
    jobs = [
        change.job
        for change in creates
        if (change.live is None or KINDS[change.job.kind].nature is Nature.RUN_ONCE)
        and not change.job.renamed_from  # it is looked up under each of its names
        and all(dependency.until is Until.SUBMITTED for dependency in change.job.depends_on)
    ]
    # What is needed for the next request is read back before it: by others, or by a start.
    needed = {dependency.identity for change in steps for dependency in change.job.depends_on}
    needed |= {
        change.job.identity
        for change in creates
        if options.fail_fast or KINDS[change.job.kind].ownership_field == TAGS
    }
    return SharedLooks(context.client, jobs, frozenset(run.id for run in live.jobs), needed)


def _dependencies(change: Change) -> tuple[Dependency, ...]:
    """Return the dependencies that a change waits for: none if it only ends its job."""
    return change.job.depends_on if DEPENDENT_STEPS & {*change.steps} else ()


class _Scheduler:
    """The scheduler of the changes of one plan, with the outcomes of the finished ones."""

    def __init__(
        self, context: ApplyContext, live: Live, jobs: Mapping[Identity, Job], options: ApplyOptions
    ) -> None:
        self._context = context
        self._options = options
        self._jobs = jobs
        self._planned_ids = frozenset(run.id for run in live.jobs)
        self._runs: dict[Identity, list[LiveJob]] = {}
        for run in live.jobs:
            for identity in {
                run.identity,
                run.identity.of_job,
            }:  # of a job with parameters the newest run counts
                self._runs.setdefault(identity, []).append(run)
        self._outcomes: dict[Identity, Outcome] = {}
        self._has_failed = False

    def count_not_applied(self, plan: Plan) -> int:
        """Return the number of changes that were not started, or did not succeed."""
        outcomes = (self._outcomes.get(change.job.identity) for change in plan.steps)
        return sum(outcome is None or outcome.result is not Result.DONE for outcome in outcomes)

    def outcomes(self, plan: Plan) -> Iterator[Outcome]:
        """Apply the changes, and yield their outcomes in the order of the plan."""
        changes = {change.job.identity: change for change in plan.steps}
        sorter: TopologicalSorter[Identity] = TopologicalSorter()
        for identity, change in changes.items():
            needed = [dependency.identity for dependency in change.job.depends_on]
            sorter.add(identity, *(other for other in needed if other in changes))
        sorter.prepare()
        ready: deque[Identity] = deque()
        order = deque(changes)
        parallelism = self._options.parallelism
        pool = ThreadPoolExecutor(parallelism, thread_name_prefix="apply")
        # As many wait as are carried out: a thread that has finished one need not wait for this one to choose the next.
        most = parallelism if parallelism == 1 else 2 * parallelism
        in_progress: dict[Future[Outcome | None], Identity] = {}
        try:
            while True:
                ready.extend(sorter.get_ready())
                while ready and len(in_progress) < most and not self._is_stopping:
                    identity = ready.popleft()
                    if reason := self._unmet_dependency(changes[identity]):
                        self._outcomes[identity] = Outcome(changes[identity], Result.SKIPPED, reason)
                        sorter.done(identity)
                        ready.extend(sorter.get_ready())
                    else:
                        in_progress[pool.submit(self._start, changes[identity])] = identity
                yield from self._completed_in_order(order)
                if not in_progress:
                    break
                finished = {
                    in_progress.pop(future): future.result() for future in self._next_finished(in_progress)
                }
                started = {identity: outcome for identity, outcome in finished.items() if outcome}
                self._outcomes |= started
                sorter.done(*started)
            yield from self._out_of_order(order)
        except KeyboardInterrupt:
            self._outcomes |= self._interrupted(in_progress, changes)
            yield from self._out_of_order(order)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _interrupted(
        self, in_progress: Mapping[Future[Outcome | None], Identity], changes: Mapping[Identity, Change]
    ) -> dict[Identity, Outcome]:
        """Return the outcomes of the changes that are not waited for; none of those that were not started."""
        outcomes: dict[Identity, Outcome] = {}
        for future, identity in in_progress.items():
            if future.cancel():
                continue
            command = self._context.invocation.for_job("plan", identity)
            message = f"interrupted while a request was running; check with: {command}"
            unknown = Outcome(changes[identity], Result.UNKNOWN, message)
            if outcome := future.result() if future.done() else unknown:
                outcomes[identity] = outcome
        return outcomes

    @property
    def _is_stopping(self) -> bool:
        """Return whether no further change is started: after an interrupt, or a failure with `fail_fast`.

        Nor after the credential was refused or the lock was lost: each would fail for the same reason.
        """
        context = self._context
        is_ended = bool(context.stop_signal) or context.client.is_refused or bool(context.lock_lost())
        return is_ended or (self._options.fail_fast and self._has_failed)

    def _next_finished(
        self, in_progress: Mapping[Future[Outcome | None], Identity]
    ) -> Iterator[Future[Outcome | None]]:
        """Wait until a change has finished, and return the finished ones.

        Raises KeyboardInterrupt if that takes too long after an interrupt.
        """
        interrupted_at = None
        while True:
            done, _ = wait(in_progress, timeout=0.5, return_when=FIRST_COMPLETED)
            if done:
                return iter(done)
            if self._context.stop_signal:
                interrupted_at = interrupted_at or time.monotonic()
                if time.monotonic() - interrupted_at > GRACE_SECONDS:
                    raise KeyboardInterrupt

    def _completed_in_order(self, order: deque[Identity]) -> Iterator[Outcome]:
        while order and order[0] in self._outcomes:
            yield self._outcomes[order.popleft()]

    def _out_of_order(self, order: deque[Identity]) -> Iterator[Outcome]:
        while order:
            if (identity := order.popleft()) in self._outcomes:
                yield self._outcomes[identity]

    def _unmet_dependency(self, change: Change) -> str:
        """Return why a change is skipped, empty if it is not: a dependency was not applied."""
        for dependency in _dependencies(change):
            outcome = self._outcomes.get(dependency.identity)
            if outcome and outcome.result is not Result.DONE:
                result = "outcome unknown" if outcome.result is Result.UNKNOWN else outcome.result
                return f"dependency '{dependency.identity.name}': {result}"
        return ""

    # --- in a thread of the pool

    def _start(self, change: Change) -> Outcome | None:
        """Apply a change; None if it is not started any more."""
        if self._is_stopping:
            return None
        outcome = self._deploy(change)
        self._has_failed |= outcome.result in _FAILURES
        return outcome

    def _deploy(self, change: Change) -> Outcome:
        try:
            for dependency in _dependencies(change):
                if reason := self._wait_for_dependency(dependency):
                    return Outcome(change, Result.SKIPPED, reason)
            if Step.CREATE in change.steps:
                self._context.stop_signal.sleep(max(0.0, self._context.creates_from - time.monotonic()))
        except Interrupted:
            return Outcome(change, Result.STOPPED, "interrupted while waiting; no changes made")
        outcome = deploy(self._context, change, self._planned_ids)
        desired = change.job.lifecycle.state
        is_submitted = bool(outcome.id) and desired in {State.PRESENT, State.RUNNING}
        is_submitted &= not change.takes_over
        if outcome.result is not Result.DONE or not is_submitted or self._options.wait is Until.SUBMITTED:
            return outcome
        return self._wait_for_job(outcome, self._options.wait)

    def _wait_for_dependency(self, dependency: Dependency) -> str:
        """Wait for a dependency, and return why the jobs that depend on it are skipped, empty if they are not."""
        if dependency.until is Until.SUBMITTED:
            return ""
        name = f"dependency '{dependency.identity.name}'"
        identifier = self._id_of(dependency.identity)
        if not identifier:
            return f"{name} does not exist"
        try:
            final = self._wait(dependency.identity, identifier, dependency.until)
        except ApiError as error:
            return f"cannot read the state of {name}: {error}"
        if not final.reached:
            timeout = self._jobs[dependency.identity].lifecycle.timeout
            return f"timed out after {timeout} waiting until {name} {UNTIL_WORDS[dependency.until]}"
        if _has_failed(final.live):
            return f"{name} {condition_of(final.live)}"
        return ""

    def _id_of(self, identity: Identity) -> str:
        if outcome := self._outcomes.get(identity):
            return outcome.id
        live = self._live(identity)
        return live.id if live else ""

    def _live(self, identity: Identity) -> LiveJob | None:
        """Return the run in the plan, which may have a former name or place."""
        job = self._jobs.get(identity)
        identities = (identity, *(job.renamed_from if job else ()))
        return current_run([run for one in identities for run in self._runs.get(one, [])])

    def _wait(self, identity: Identity, identifier: str, until: Until) -> WaitEnd:
        """Wait until a job has reached `until`, has failed, or no longer exists.

        Raises ApiError and Interrupted.
        """
        job = self._jobs[identity]
        planned = self._live(identity)
        where = planned.identity if planned and planned.id == identifier else identity
        at = path_values(job, where)
        context = self._context
        consistent_at = time.monotonic() + context.polling.consistency_delay

        def is_over(live: LiveJob | None) -> bool:
            if live is None:  # or the new job is not listed yet
                return time.monotonic() >= consistent_at
            return live.phase in FAILED_PHASES or has_reached(live, until)

        live = get_live_job(context.client, where, identifier, at)
        if is_over(live):
            return WaitEnd(live, reached=True)
        context.report(f"{identity}: waiting until {identifier} {UNTIL_WORDS[until]}")
        return wait_until(
            lambda: get_live_job(context.client, where, identifier, at),
            is_over,
            context.polling,
            context.stop_signal,
            seconds(job.lifecycle.timeout),
        )

    def _wait_for_job(self, outcome: Outcome, until: Until) -> Outcome:
        """Wait for the job of an applied change, and return the combined outcome."""
        job = outcome.change.job
        try:
            final = self._wait(job.identity, outcome.id, until)
        except Interrupted:
            return replace(
                outcome,
                message=f"{outcome.message}; the wait was interrupted, the job was not",
            )
        except ApiError as error:
            message = f"{outcome.message}; it may still be running: its state could not be read: {error}"
            return replace(outcome, result=Result.TIMED_OUT, message=self._context.secrets.scrubbed(message))
        state = state_of(final.live)
        if not final.reached:
            message = f"{outcome.message}; still {state} after {job.lifecycle.timeout}; it was not cancelled"
            return replace(outcome, result=Result.TIMED_OUT, message=message)
        if _has_failed(final.live):
            message = f"{outcome.message}, but the job {condition_of(final.live)}"
            log = end_of_log(self._context.client, self._context.secrets, job, outcome.id)
            return replace(outcome, result=Result.FAILED, message=message, log=log)
        return replace(outcome, message=f"{outcome.message}; {state}")


def _has_failed(live: LiveJob | None) -> bool:
    return live is None or live.phase in FAILED_PHASES
