"""The runs of `deployer run` in waves: each submits what may start now, under the lock; nothing is held in between.

Each wave plans again. It submits only what the approved plan had, for the same reason: what another runner has done
meanwhile is left alone. Nothing is kept between two commands, so after any crash the same command submits the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployer.apply.scheduler import ApplyOptions
from deployer.apply.wait import has_reached
from deployer.cli import execute, locks, planner, session
from deployer.cli.interrupts import interruptible
from deployer.cli.run_plan import Places, RunPlan
from deployer.cli.run_watch import ActiveRuns
from deployer.clock import StopSignal
from deployer.errors import DeployerError, Exit, Interrupted
from deployer.model import (
    RUNNING_PHASES,
    Action,
    Change,
    Dependency,
    Identity,
    Job,
    Limit,
    Live,
    LiveJob,
    Outcome,
    Phase,
    Plan,
    Result,
    Until,
)
from deployer.planning.families import Planned, Values, with_chosen
from deployer.planning.plan import current_run
from deployer.report import text
from deployer.report.terminal import err, out
from deployer.secrets.store import Secrets

if TYPE_CHECKING:
    from deployer.cli.locks import Held
    from deployer.cloud.client import Client

# The outcomes that --fail-fast stops at.
_FAILED = {Result.FAILED, Result.UNKNOWN, Result.REFUSED, Result.DIFFERS}

# The runs of a job that are planned again before a wave, besides those that there may be places for: with all of them,
# a backfill of a year would compare half a year before each run.
MAX_NEXT = 20

_WAITING = "the runs that were submitted continue"


@dataclass(frozen=True, slots=True)
class Requested:
    """What `deployer run` was asked for: the values of each job in order, and how the runs are made."""

    loaded: session.LoadedProject
    values: Mapping[Identity, Sequence[Values]]
    plan: RunPlan
    limits: Mapping[str, Limit]
    wait: Until | None = None
    parallelism: int = 4
    fail_fast: bool = False
    lock_timeout: float | None = None

    @property
    def most(self) -> int:
        """The number of runs of the job with the most of them."""
        return max(map(len, self.values.values()), default=1)

    def members(self, changes: Iterable[Change] | None = None) -> Callable[[Sequence[Job], object], Planned]:
        """Return what plans these runs; only those of `changes`, if some are done."""
        values: Mapping[Identity, Sequence[Values]] = self.values
        selected = frozenset(job.identity for job in self.loaded.selected_jobs)
        if changes is not None:
            left: dict[Identity, list[Values]] = {}
            for change in changes:
                left.setdefault(change.job.identity.of_job, []).append(change.job.values)
            values = {identity: lists for identity, lists in left.items() if identity in self.values}
            selected = frozenset(left)
        chosen = {identity: lists for identity, lists in values.items() if lists}
        return lambda jobs, _: with_chosen(jobs, selected, chosen)


class Gate:
    """What lets requests through that change something: only while a lock is held."""

    def __init__(self) -> None:
        self.held: Held | None = None

    def require(self) -> None:
        if self.held is None:
            raise RuntimeError("no request is sent without the lock")
        self.held.require()


class Waves:
    """The waves of one command. `approve` shows the first plan and returns the exit code that ends the command.

    `_refused` are the runs of the last wave beside which another run has appeared, `_not_repeated` the named ones that
    have failed, and that the options leave as they are.
    """

    def __init__(
        self,
        requested: Requested,
        client: Client,
        gate: Gate,
        secrets: Secrets,
        stop_signal: StopSignal,
        approve: Callable[[Plan], Exit | None],
    ) -> None:
        self._requested = requested
        self._client = client
        self._gate = gate
        self._secrets = secrets
        self._stop_signal = stop_signal
        self._approve = approve
        self._approved: Plan | None = None
        self._left: dict[Identity, Change] = {}
        self._ended: dict[Identity, Outcome] = {}
        self._refused: dict[Identity, Outcome] = {}
        self._not_repeated: list[Outcome] = []
        self._active = ActiveRuns(
            client, requested.loaded.target, secrets, stop_signal, requested.wait, self._finish
        )
        self._lost = ""

    def run(self) -> Exit:
        """Submit the runs, wave by wave, and return the exit code of the command."""
        try:
            if (code := self._wave()) is not None:
                return code
            self._submit_rest()
            if self._requested.wait and not self._stop_signal:
                with interruptible(self._stop_signal, _WAITING):
                    self._active.wait_for_own()
        except Interrupted:
            pass  # the end says so
        except KeyboardInterrupt:
            if self._approved is None:
                raise
            self._stop_signal.set()
        except DeployerError as error:
            if self._approved is None:
                raise
            # The runs of earlier waves were submitted.
            err(text.error(str(error)))
            self._give_up("not submitted, because of the error above")
        return self._end(self._approved)

    def _submit_rest(self) -> None:
        """Submit wave after wave: as soon as what is active has changed, or as long as nothing is."""
        has_progress = True
        while (self._left or self._refused) and not self._must_stop():
            if self._refused:
                pass  # the next plan says whether the run that has appeared is the one
            elif self._active:
                needed = {need.identity for change in self._left.values() for need in change.job.depends_on}
                with interruptible(self._stop_signal, _WAITING):
                    is_in_time = self._active.wait_for_change(needed)
                if self._must_stop():
                    return
                if not is_in_time:
                    self._give_up("no run that it waits for has ended in time")
            elif not has_progress:
                self._give_up("no run that it waits for is active")
            before = len(self._left) + len(self._refused)
            if before:
                self._wave()
            has_progress = len(self._left) + len(self._refused) < before

    # --- waves

    @contextmanager
    def _held(self) -> Iterator[Held]:
        requested = self._requested
        timeout = requested.lock_timeout
        if timeout is None and self._approved is not None:
            timeout = locks.SHARED_SECONDS  # another command between two waves is no reason to give up
        with locks.hold(requested.loaded, self._secrets, "run", timeout, self._stop_signal) as held:
            self._gate.held = held
            try:
                yield held
            finally:
                self._gate.held = None

    def _wave(self) -> Exit | None:
        """Plan, and submit what may start; return an exit code if the first plan ends the command."""
        requested = self._requested
        members = requested.members(self._next() if self._approved else None)
        with self._held() as held:

            def make(*, known: session.Known, note: Callable[[str], object]) -> tuple[Plan, Live]:
                return planner.plan(
                    self._client,
                    requested.loaded,
                    limits=requested.limits,
                    known=known,
                    note=note,
                    members=members,
                    run=requested.plan,
                )

            plan, live = held.plan(self._client, make)
            if self._approved is None:
                if (code := self._approve(plan)) is not None:
                    return code
                self._approved = plan
                self._left = {change.job.identity: change for change in plan.steps}
                for change in plan.changes:
                    self._await(change)
            else:
                self._compare(plan)
            wave = self._startable(plan, live)
            self._watch_others(plan, live)
            if wave:
                self._submit(held, replace(plan, changes=tuple(wave)), live)
        return None

    def _next(self) -> list[Change]:
        """Return the next runs of each job, and those left that they depend on."""
        most = self._requested.plan.max_active + MAX_NEXT
        counts: dict[Identity, int] = {}
        wanted: set[Identity] = set()
        for identity in self._left:
            counts[identity.of_job] = counts.get(identity.of_job, 0) + 1
            if counts[identity.of_job] <= most:
                wanted.add(identity)
        for identity, change in reversed(self._left.items()):  # dependents first
            if identity in wanted:
                wanted |= {need.identity for need in change.job.depends_on}
        refused = [outcome.change for outcome in self._refused.values()]
        return [*refused, *(change for identity, change in self._left.items() if identity in wanted)]

    def _compare(self, plan: Plan) -> None:
        """Leave out the runs that are not as they were approved: somebody else has been there."""
        errors = {note.identity: note.message for note in plan.errors}
        self._settle(plan)
        for identity in [identity for identity in self._left if identity in errors]:
            self._drop(Outcome(self._left[identity], Result.SKIPPED, errors[identity]))
        for change in plan.changes:
            approved = self._left.get(change.job.identity)
            if approved is None:
                continue
            if reason := self._unmet_dependency(approved):
                self._drop(Outcome(approved, Result.SKIPPED, reason))
            elif change.action is Action.UNCHANGED:
                del self._left[change.job.identity]
                session.note(f"{change.job.identity}: no longer needed: {change.reason}")
                self._await(change)
            elif change.action is Action.BLOCKED:
                self._drop(Outcome(approved, Result.SKIPPED, change.reason))
            elif (change.action, _id(change)) != (approved.action, _id(approved)):
                words = f"is no longer as planned: {change.reason}; run it again"
                self._drop(Outcome(approved, Result.REFUSED, words))

    def _settle(self, plan: Plan) -> None:
        """Leave out the runs that were refused, if the one that has appeared makes them needless; none is sent again.

        What a list has shown once may be missing in the next one.
        """
        changes = {change.job.identity: change for change in plan.changes}
        for identity, outcome in self._refused.items():
            change = changes.get(identity)
            if change and change.action is Action.UNCHANGED:
                session.note(f"{identity}: no longer needed: {change.reason}")
                self._await(change)
            else:
                self._ended[identity] = outcome
        self._refused.clear()

    def _await(self, change: Change) -> None:
        """Wait for a named run that is not submitted: to end if it is active; one that has failed is no success."""
        live, wait = change.live, self._requested.wait
        if change.action is not Action.UNCHANGED or live is None or wait is None:
            return
        if live.phase in RUNNING_PHASES:
            if not has_reached(live, wait):
                self._active.add_named(live, Outcome(change, Result.DONE, "was active already", live.id))
        elif wait is Until.SUCCEEDED and live.phase is not Phase.SUCCEEDED:
            self._not_repeated.append(Outcome(change, Result.FAILED, change.reason, live.id, begun=True))

    def _unmet_dependency(self, approved: Change) -> str:
        """Return why a run cannot be submitted any more: one that it needs was not, or has failed; else empty."""
        for need in approved.job.depends_on:
            outcome = self._ended.get(need.identity)
            if outcome and outcome.result is not Result.DONE:
                result = "outcome unknown" if outcome.result is Result.UNKNOWN else outcome.result
                return f"dependency '{need.identity.label}': {result}"
        return ""

    def _startable(self, plan: Plan, live: Live) -> list[Change]:
        """Return the changes that need not wait: their dependencies are there, and there is a place."""
        places = Places.left_by(plan, live, self._requested.plan.max_active)
        jobs = execute.planned_jobs(self._requested.loaded, plan)
        runs: dict[Identity, list[LiveJob]] = {}
        for run in live.jobs:
            for identity in {run.identity, run.identity.of_job}:
                runs.setdefault(identity, []).append(run)
        wave: dict[Identity, Change] = {}

        def is_reached(need: Dependency) -> bool:
            if need.identity in self._left:
                return need.identity in wave and need.until is Until.SUBMITTED
            former = (one._replace(run=need.identity.run) for one in jobs[need.identity.of_job].renamed_from)
            names = (need.identity, *former)
            found = current_run([run for name in names for run in runs.get(name, ())])
            return found is not None and (need.until is Until.SUBMITTED or has_reached(found, need.until))

        for change in plan.steps:
            identity = change.job.identity
            # Of those that were approved, some may be done by now.
            needs = self._left[identity].job.depends_on if identity in self._left else ()
            if identity in self._left and all(map(is_reached, needs)) and places.take(change):
                wave[identity] = change
        return [*wave.values()]

    def _submit(self, held: Held, plan: Plan, live: Live) -> None:
        options = ApplyOptions(self._requested.parallelism, self._requested.fail_fast)
        outcomes = execute.applied(held, self._client, plan, live, options)
        self._lost = held.lost
        for outcome in outcomes:
            identity = outcome.change.job.identity
            is_refused = outcome.result is Result.REFUSED and not self._requested.fail_fast
            (self._refused if is_refused else self._ended)[identity] = outcome
            self._left.pop(identity, None)
            if outcome.id and outcome.result is Result.DONE:
                self._active.add_own(outcome)

    def _watch_others(self, plan: Plan, live: Live) -> None:
        """Watch the active runs that take a place, or that others wait for."""
        jobs = execute.planned_jobs(self._requested.loaded, plan)
        changes = [change for change in plan.changes if change.job.identity in self._left]
        families = {change.job.identity.of_job for change in changes}
        families |= {need.identity.of_job for change in changes for need in change.job.depends_on}
        former = {one.of_job: name for name in families for one in jobs[name].renamed_from}
        for run in live.jobs:
            name = former.get(run.identity.of_job, run.identity.of_job)
            if run.phase in RUNNING_PHASES and name in families:
                self._active.add(run, jobs[name])

    def _must_stop(self) -> bool:
        if self._stop_signal or self._client.is_refused or self._lost:
            return True
        is_failed = any(outcome.result in _FAILED for outcome in self._ended.values())
        return self._requested.fail_fast and is_failed

    # --- outcomes

    def _finish(self, outcome: Outcome) -> None:
        # A named run that was active before and has succeeded was not submitted.
        if outcome.change.action is not Action.UNCHANGED or outcome.result is not Result.DONE:
            self._ended[outcome.change.job.identity] = outcome
        self._print(outcome)

    def _print(self, outcome: Outcome) -> None:
        out(text.outcome(outcome, self._approved.places if self._approved else {}))

    def _drop(self, outcome: Outcome) -> None:
        self._left.pop(outcome.change.job.identity, None)
        self._finish(outcome)

    def _give_up(self, why: str) -> None:
        for change in [*self._left.values()]:
            self._drop(Outcome(change, Result.SKIPPED, why))

    def _end(self, approved: Plan | None) -> Exit:
        """Print the counts, and return the exit code."""
        if not self._stop_signal:
            for outcome in self._active.not_over():
                self._finish(outcome)
            for outcome in self._not_repeated:
                self._print(outcome)
        ended = [*self._ended.values(), *self._refused.values(), *self._not_repeated]
        results = [outcome.result for outcome in ended]
        blocked = approved.summary[Action.BLOCKED] if approved else 0
        errors = len(approved.errors) if approved else 0
        not_started = len(self._left)
        out(
            text.outcomes(
                results, "run", "submitted", blocked=blocked, errors=errors, not_started=not_started
            )
        )
        code = execute.exit_code(ended, blocked=blocked, errors=errors)
        if self._stop_signal:
            session.note(self._requested.plan.rest([*self._left.values()]))
            return Exit.INTERRUPTED
        if not_started and code in {Exit.DONE, Exit.BLOCKED}:
            code = Exit.PARTLY if Result.DONE in results else Exit.ERROR
        if self._lost:
            err(text.error(f"{self._lost}; nothing was sent after that"))
        return code


def _id(change: Change) -> str:
    return change.live.id if change.live else ""
