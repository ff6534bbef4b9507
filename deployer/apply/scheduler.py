"""Plan -> Outcomes: which change is carried out when, and who waits for whom.

Jobs that do not depend on each other go side by side, and one that fails does not stop the others. Outcomes
come in the order of the plan, whatever ends first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

from deployer.apply.deployment import Deployment
from deployer.apply.journaled import LOG_LINES, ApplyContext
from deployer.apply.wait import has_reached, wait_until
from deployer.cloud.observe import get_live_job
from deployer.errors import ApiError, Interrupted
from deployer.kinds import KINDS
from deployer.model import (
    FAILED_PHASES,
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
    Until,
)
from deployer.planning.decide import DEPENDENT_STEPS
from deployer.planning.plan import current_run
from deployer.project.target import seconds
from deployer.secrets import redact

# How long after an interrupt the answers of calls under way are waited for.
GRACE_SECONDS = 10.0

# What --fail-fast ends at.
_FAILURES = {Result.FAILED, Result.UNKNOWN, Result.REFUSED}


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """Options of an apply: `wait` is the state that each submitted job is waited for."""

    parallelism: int = 1
    fail_fast: bool = False
    wait: Until = Until.SUBMITTED


def apply(
    context: ApplyContext,
    plan: Plan,
    live: Live,
    jobs: Mapping[Identity, Job],
    apply_options: ApplyOptions | None = None,
) -> Generator[Outcome]:
    """Carries out `plan`, which was made from `live`, and yields what came of each change.

    `jobs` are those of the whole project, for the dependencies that are not in the plan. What was not
    started, after an interrupt or with `fail_fast`, yields nothing.
    """
    run = _Scheduler(context, live, jobs, apply_options or ApplyOptions())
    yield from run.outcomes(plan)


def _required_dependencies(change: Change) -> tuple[Dependency, ...]:
    """Returns the dependencies that a change has to wait for: none, if it only ends its job."""
    return change.job.depends_on if DEPENDENT_STEPS & {*change.steps} else ()


class _Scheduler:
    def __init__(
        self, context: ApplyContext, live: Live, jobs: Mapping[Identity, Job], apply_options: ApplyOptions
    ) -> None:
        self._context = context
        self._options = apply_options
        self._jobs = jobs
        self._seen = frozenset(live_job.id for live_job in live.jobs)
        self._runs: dict[Identity, list[LiveJob]] = {}
        for live_job in live.jobs:
            self._runs.setdefault(live_job.identity, []).append(live_job)
        self._ended: dict[Identity, Outcome] = {}
        self._has_failed = False

    def outcomes(self, plan: Plan) -> Iterator[Outcome]:
        changes = {change.job.identity: change for change in plan.steps}
        sorter: TopologicalSorter[Identity] = TopologicalSorter()
        for identity, change in changes.items():
            sorter.add(
                identity,
                *(
                    dependency.identity
                    for dependency in change.job.depends_on
                    if dependency.identity in changes
                ),
            )
        sorter.prepare()
        ready: deque[Identity] = deque()
        order = deque(changes)
        pool = ThreadPoolExecutor(self._options.parallelism, thread_name_prefix="apply")
        running: dict[Future[Outcome], Identity] = {}
        try:
            while True:
                ready.extend(sorter.get_ready())
                while ready and len(running) < self._options.parallelism and not self._is_stopping:
                    identity = ready.popleft()
                    if reason := self._unmet_dependency(changes[identity]):
                        self._ended[identity] = Outcome(changes[identity], Result.SKIPPED, reason)
                        sorter.done(identity)
                        ready.extend(sorter.get_ready())
                    else:
                        running[pool.submit(self._run_change, changes[identity])] = identity
                yield from self._completed_in_order(order)
                if not running:
                    break
                for future in self._next_completed(running):
                    identity = running.pop(future)
                    outcome = self._ended[identity] = future.result()
                    self._has_failed |= outcome.result in _FAILURES
                    sorter.done(identity)
            yield from self._remaining_completed(order)
        except KeyboardInterrupt:
            message = "interrupted while a call was under way; plan shows what came of it"
            for future, identity in running.items():
                unknown = Outcome(changes[identity], Result.UNKNOWN, message)
                self._ended[identity] = future.result() if future.done() else unknown
            yield from self._remaining_completed(order)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _is_stopping(self) -> bool:
        """Returns whether nothing new is to be started."""
        return bool(self._context.stop_signal) or (self._options.fail_fast and self._has_failed)

    def _next_completed(self, running: Mapping[Future[Outcome], Identity]) -> Iterator[Future[Outcome]]:
        """Waits for the next completed change; raises KeyboardInterrupt some time after an interrupt."""
        since = None
        while True:
            done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            if done:
                return iter(done)
            if self._context.stop_signal:
                since = since or time.monotonic()
                if time.monotonic() - since > GRACE_SECONDS:
                    raise KeyboardInterrupt

    def _completed_in_order(self, order: deque[Identity]) -> Iterator[Outcome]:
        while order and order[0] in self._ended:
            yield self._ended[order.popleft()]

    def _remaining_completed(self, order: deque[Identity]) -> Iterator[Outcome]:
        while order:
            if (identity := order.popleft()) in self._ended:
                yield self._ended[identity]

    def _unmet_dependency(self, change: Change) -> str:
        """Returns why a change is skipped because of its dependencies, or an empty string."""
        for dependency in _required_dependencies(change):
            outcome = self._ended.get(dependency.identity)
            if outcome and outcome.result is not Result.DONE:
                return f"it depends on {dependency.identity.name}, whose outcome is: {outcome.result}"
        return ""

    # --- in a thread of the pool

    def _run_change(self, change: Change) -> Outcome:
        try:
            for dependency in _required_dependencies(change):
                if reason := self._wait_for_dependency(dependency):
                    return Outcome(change, Result.SKIPPED, reason)
        except Interrupted:
            return Outcome(change, Result.STOPPED, "nothing was done: interrupted while it waited for others")
        outcome = Deployment(self._context, change, self._seen).execute()
        desired = change.job.lifecycle.state
        runs = desired in {State.PRESENT, State.RUNNING} and outcome.id
        if outcome.result is not Result.DONE or not runs or self._options.wait is Until.SUBMITTED:
            return outcome
        return self._wait_for_outcome(outcome, self._options.wait)

    def _wait_for_dependency(self, dependency: Dependency) -> str:
        """Waits for a dependency; why its dependents are skipped, if they are."""
        if dependency.until is Until.SUBMITTED:
            return ""
        name = dependency.identity.name
        identifier = self._id_of(dependency.identity)
        if not identifier:
            return f"it depends on {name}, which is not there"
        try:
            live, reached = self._wait(dependency.identity, identifier, dependency.until)
        except ApiError as error:
            return f"it depends on {name}, of which the state cannot be read: {error}"
        if not reached:
            longest = self._jobs[dependency.identity].lifecycle.timeout
            return f"it depends on {name}, which is not {_UNTIL_WORDS[dependency.until]} after {longest}"
        if live is None or live.phase in FAILED_PHASES:
            return f"it depends on {name}, which is {live.state if live else 'gone'}"
        return ""

    def _id_of(self, identity: Identity) -> str:
        if outcome := self._ended.get(identity):
            return outcome.id
        live = current_run(self._runs.get(identity, []))
        return live.id if live else ""

    def _wait(self, identity: Identity, identifier: str, until: Until) -> tuple[LiveJob | None, bool]:
        job = self._jobs[identity]
        path_values = KINDS[identity.kind].path_values(job.spec)
        context = self._context

        consistent_at = time.monotonic() + context.polling.consistency_delay

        def is_done(live: LiveJob | None) -> bool:
            if live is None:  # or what was sent just now is not shown yet
                return time.monotonic() >= consistent_at
            return live.phase in FAILED_PHASES or has_reached(live, until)

        live = get_live_job(context.client, identity, identifier, path_values)
        if is_done(live):
            return live, True
        context.say(f"{identity}: waiting until {identifier} is {_UNTIL_WORDS[until]}")
        return wait_until(
            lambda: get_live_job(context.client, identity, identifier, path_values),
            is_done,
            context.polling,
            context.stop_signal,
            seconds(job.lifecycle.timeout),
        )

    def _wait_for_outcome(self, outcome: Outcome, until: Until) -> Outcome:
        """Returns the outcome of a change once its job has reached the requested state."""
        job = outcome.change.job
        word = _UNTIL_WORDS[until]
        try:
            live, reached = self._wait(job.identity, outcome.id, until)
        except Interrupted:
            return replace(outcome, message=f"{outcome.message}; interrupted before it was {word}")
        except ApiError as error:
            message = f"{outcome.message}; whether it is {word} cannot be read: {error}"
            return replace(outcome, result=Result.TIMED_OUT, message=self._context.secrets.scrubbed(message))
        state = live.state if live else "gone"
        if not reached:
            message = f"{outcome.message}; it is still {state} after {job.lifecycle.timeout}, and goes on"
            return replace(outcome, result=Result.TIMED_OUT, message=message)
        if live is None or live.phase in FAILED_PHASES:
            message = f"{outcome.message}, but it is {state}"
            return replace(outcome, result=Result.FAILED, message=message, log=self._log(job, outcome.id))
        return replace(outcome, message=f"{outcome.message}; it is {state}")

    def _log(self, job: Job, identifier: str) -> tuple[str, ...]:
        """Returns the last lines of a job's log, where its API gives them."""
        kind = KINDS[job.kind]
        if not kind.log:
            return ()
        try:
            page = self._context.client.log(
                kind, identifier, kind.path_values(job.spec), start=-LOG_LINES, size=LOG_LINES
            )
        except ApiError as error:
            return (f"its log cannot be read: {error}",)
        return tuple(redact.text(self._context.secrets.scrubbed(line)) for line in page.lines)


_UNTIL_WORDS: Mapping[Until, str] = {Until.RUNNING: "running", Until.SUCCEEDED: "succeeded"}
