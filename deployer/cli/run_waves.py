"""The runs of `deployer run` in waves: each submits what may start now, under the lock; nothing is held in between.

Each wave plans again. It submits only what the approved plan had, for the same reason: what another runner has done
meanwhile is left alone. Nothing is kept between two commands, so after any crash the same command submits the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from deployer.apply.scheduler import ApplyOptions
from deployer.apply.wait import condition_of, has_reached, state_of
from deployer.cli import execute, locks, planner, session
from deployer.cli.interrupts import interruptible
from deployer.cli.run_plan import Places, RunPlan
from deployer.clock import StopSignal
from deployer.cloud.observe import get_live_job
from deployer.errors import ApiError, DeployerError, Exit, Interrupted
from deployer.kinds.former import path_values
from deployer.model import (
    FAILED_PHASES,
    RUNNING_PHASES,
    Action,
    Change,
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
from deployer.project.target import seconds
from deployer.report import text
from deployer.report.terminal import err, out
from deployer.secrets.store import Secrets

if TYPE_CHECKING:
    from deployer.cli.locks import Held
    from deployer.cloud.client import Client

# The outcomes that --fail-fast stops at.
_FAILED = {Result.FAILED, Result.UNKNOWN, Result.REFUSED, Result.DIFFERS}


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

    def members(self, left: Mapping[Identity, Change] | None) -> Callable[[Sequence[Job], object], Planned]:
        """Return what plans these runs; those that are `left`, if some are done."""
        values = self.values
        selected = frozenset(job.identity for job in self.loaded.selected_jobs)
        if left is not None:
            values = {
                identity: [
                    change.job.values for change in left.values() if change.job.identity.of_job == identity
                ]
                for identity in values
            }
            selected = frozenset(identity.of_job for identity in left)
        return lambda jobs, _: with_chosen(
            jobs, selected, {key: some for key, some in values.items() if some}
        )


class Gate:
    """What lets requests through that change something: only while a lock is held."""

    def __init__(self) -> None:
        self.held: Held | None = None

    def require(self) -> None:
        if self.held is None:
            raise RuntimeError("no request is sent without the lock")
        self.held.require()


@dataclass(slots=True)
class _Submitted:
    """A run of this command: `phase` is the last one that was read, `until` its timeout on the monotonic clock."""

    outcome: Outcome
    deadline: float
    is_over: bool = False


@dataclass(slots=True)
class _Watched:
    """An active run that others wait for: of this command, or of somebody else."""

    identity: Identity
    job: Job
    phase: Phase | None
    deadline: float
    is_late: bool = False


@dataclass(slots=True)
class Waves:
    """The waves of one command. `approve` shows the first plan and returns the exit code that ends the command.

    `awaited` are the named runs that were active already, with --wait; `not_repeated` are those that have failed, and
    that the options leave as they are. `refused` are those of the last wave beside which another run has appeared.
    """

    requested: Requested
    client: Client
    gate: Gate
    secrets: Secrets
    stop_signal: StopSignal
    approve: Callable[[Plan], Exit | None]
    ended: dict[Identity, Outcome] = field(default_factory=dict)
    submitted: dict[str, _Submitted] = field(default_factory=dict)
    watched: dict[str, _Watched] = field(default_factory=dict)
    awaited: dict[str, _Submitted] = field(default_factory=dict)
    not_repeated: list[Outcome] = field(default_factory=list)
    refused: dict[Identity, Outcome] = field(default_factory=dict)
    left: dict[Identity, Change] | None = None
    blocked: int = 0
    errors: int = 0
    first: Plan | None = None
    lost: str = ""

    def run(self) -> Exit:
        """Submit the runs, wave by wave, and return the exit code of the command."""
        try:
            if (code := self._submit_all()) is not None:
                return code
            if self.requested.wait and not self.stop_signal:
                with interruptible(self.stop_signal, "the runs that were submitted continue"):
                    self._watch(self._all_over)
        except Interrupted:
            pass  # the end says so
        except DeployerError as error:
            if self.left is None:
                raise
            # The runs of earlier waves were submitted.
            err(text.error(str(error)))
            self._give_up("not submitted, because of the error above")
        return self._end()

    def _submit_all(self) -> Exit | None:
        """Submit wave after wave; return an exit code if the first plan ends the command."""
        while True:
            before = None if self.left is None else len(self.left)
            if (code := self._wave()) is not None:
                return code
            if not (self.left or self.refused) or self._is_stopping:
                return None
            if self.refused:
                continue  # the next plan says whether the run that has appeared is the one
            if not self.watched and (before is None or len(self.left or {}) < before):
                continue
            with interruptible(self.stop_signal, "the runs that were submitted continue"):
                if not self._watch(self._has_place):
                    self._give_up("no run that it waits for has ended in time")
            if self._is_stopping or not self.left:
                return None

    # --- waves

    @contextmanager
    def _held(self) -> Iterator[Held]:
        requested = self.requested
        with locks.hold(
            requested.loaded, self.secrets, "run", requested.lock_timeout, self.stop_signal
        ) as held:
            self.gate.held = held
            try:
                yield held
            finally:
                self.gate.held = None

    def _wave(self) -> Exit | None:
        requested = self.requested
        with self._held() as held:

            def make(*, known: session.Known, note: Callable[[str], object]) -> tuple[Plan, Live]:
                return planner.plan(
                    self.client,
                    requested.loaded,
                    limits=requested.limits,
                    known=known,
                    note=note,
                    members=requested.members(self._planned_again),
                    run=requested.plan,
                )

            plan, live = held.plan(self.client, make)
            if self.left is None:
                if (code := self.approve(plan)) is not None:
                    return code
                self.first, self.blocked = plan, plan.summary[Action.BLOCKED]
                self.errors = len(plan.errors)
                self.left = {change.job.identity: change for change in plan.steps}
                for change in plan.changes:
                    self._await(change)
            else:
                self._compare(plan)
            wave = self._startable(plan, live)
            self._remember(plan, live)
            if wave:
                self._submit(held, replace(plan, changes=tuple(wave)), live)
        return None

    @property
    def _planned_again(self) -> Mapping[Identity, Change] | None:
        if self.left is None:
            return None
        return self.left | {identity: outcome.change for identity, outcome in self.refused.items()}

    def _settle(self, changes: Mapping[Identity, Change]) -> None:
        """Leave out the runs that were refused, if the one that has appeared makes them needless; none is sent again.

        What a list has shown once may be missing in the next one.
        """
        for identity, outcome in self.refused.items():
            change = changes.get(identity)
            if change and change.action is Action.UNCHANGED:
                session.note(f"{identity}: no longer needed: {change.reason}")
                self._await(change)
            else:
                self.ended[identity] = outcome
        self.refused.clear()

    def _compare(self, plan: Plan) -> None:
        """Leave out the runs that are not as they were approved: somebody else has been there."""
        changes = {change.job.identity: change for change in plan.changes}
        errors = {note.identity: note.message for note in plan.errors}
        self._settle(changes)
        for identity, approved in [*(self.left or {}).items()]:
            change = changes.get(identity)
            if change is None:
                words = errors.get(identity, "could not be planned again")
                self._drop(Outcome(approved, Result.SKIPPED, words))
            elif change.action is Action.UNCHANGED:
                self._drop(None, identity)
                session.note(f"{identity}: no longer needed: {change.reason}")
                self._await(change)
            elif change.action is Action.BLOCKED:
                self._drop(Outcome(approved, Result.SKIPPED, change.reason))
            elif (change.action, _id(change)) != (approved.action, _id(approved)):
                words = f"is no longer as planned: {change.reason}; run it again"
                self._drop(Outcome(approved, Result.REFUSED, words))

    def _await(self, change: Change) -> None:
        """Wait for a named run that is not submitted: to end if it is active; one that has failed is no success."""
        live, wait = change.live, self.requested.wait
        if change.action is not Action.UNCHANGED or live is None or wait is None:
            return
        if live.phase in RUNNING_PHASES:
            if not has_reached(live, wait):
                outcome = Outcome(change, Result.DONE, "was active already", live.id, begun=True)
                deadline = monotonic() + seconds(change.job.lifecycle.timeout)
                self.awaited[live.id] = _Submitted(outcome, deadline)
                self.watched[live.id] = _Watched(live.identity, change.job, live.phase, deadline)
        elif wait is Until.SUCCEEDED and live.phase is not Phase.SUCCEEDED:
            self.not_repeated.append(Outcome(change, Result.FAILED, change.reason, live.id, begun=True))

    def _drop(self, outcome: Outcome | None, identity: Identity | None = None) -> None:
        left = self.left or {}
        if outcome:
            identity = outcome.change.job.identity
            self.ended[identity] = outcome
            out(text.outcome(outcome))
        if identity:
            left.pop(identity, None)

    def _startable(self, plan: Plan, live: Live) -> list[Change]:
        """Return the changes that need not wait: their dependencies are there, and there is a place."""
        left = self.left or {}
        places = Places(live, self.requested.plan.max_active)
        runs: dict[Identity, list[LiveJob]] = {}
        for run in live.jobs:
            for identity in {run.identity, run.identity.of_job}:
                runs.setdefault(identity, []).append(run)
        wave: list[Change] = []
        starting: set[Identity] = set()
        for change in plan.steps:
            if change.job.identity not in left:
                continue
            is_ready = all(
                need.identity in starting
                if need.identity in left
                else _is_reached(current_run(runs.get(need.identity, [])), need.until)
                for need in change.job.depends_on
            ) and all(
                need.until is Until.SUBMITTED for need in change.job.depends_on if need.identity in left
            )
            if is_ready and places.take(change):
                wave.append(change)
                starting.add(change.job.identity)
        return wave

    def _submit(self, held: Held, plan: Plan, live: Live) -> None:
        requested = self.requested
        outcomes = execute.applied(
            held, self.client, plan, live, ApplyOptions(requested.parallelism, requested.fail_fast)
        )
        self.lost = held.lost
        for outcome in outcomes:
            identity = outcome.change.job.identity
            self.ended[identity] = outcome
            (self.left or {}).pop(identity, None)
            if outcome.result is Result.REFUSED and not requested.fail_fast:
                del self.ended[identity]
                self.refused[identity] = outcome
            if outcome.id and outcome.result is Result.DONE:
                job = outcome.change.job
                deadline = monotonic() + seconds(job.lifecycle.timeout)
                self.submitted[outcome.id] = _Submitted(outcome, deadline)
                self.watched[outcome.id] = _Watched(identity, job, None, deadline)

    def _remember(self, plan: Plan, live: Live) -> None:
        """Watch the active runs that take a place, or that others wait for."""
        jobs = execute.planned_jobs(self.requested.loaded, plan)
        families = {change.job.identity.of_job for change in plan.changes}
        families |= {need.identity.of_job for change in plan.changes for need in change.job.depends_on}
        for run in live.jobs:
            job = jobs.get(run.identity) or jobs.get(run.identity.of_job)
            is_active = run.phase in RUNNING_PHASES and run.identity.of_job in families
            if is_active and job and run.id not in self.watched:
                deadline = monotonic() + seconds(job.lifecycle.timeout)
                self.watched[run.id] = _Watched(run.identity, job, run.phase, deadline)

    # --- between the waves

    @property
    def _is_stopping(self) -> bool:
        if self.stop_signal or self.client.is_refused or self.lost:
            return True
        is_failed = any(outcome.result in _FAILED for outcome in self.ended.values())
        return self.requested.fail_fast and is_failed

    def _watch(self, is_enough: Callable[[bool], bool]) -> bool:
        """Read the watched runs until it is enough; return whether that was before all are late."""
        waiting = False
        for pause in self.requested.loaded.target.polling.poll_delays():
            has_changed = self._read()
            if is_enough(has_changed) or self.stop_signal or self.client.is_refused:
                return True
            now = monotonic()
            for run in self.watched.values():
                run.is_late |= now >= run.deadline
            if all(run.is_late for run in self.watched.values()):
                return is_enough(False)
            if not waiting:
                names = ", ".join(f"{run.identity.label} ({id_})" for id_, run in [*self.watched.items()][:3])
                session.note(f"waiting for {names}{' and others' if len(self.watched) > 3 else ''}")
                waiting = True
            self.stop_signal.sleep(pause)
        return False

    def _has_place(self, has_changed: bool) -> bool:
        return has_changed

    def _all_over(self, _: bool) -> bool:
        return all(run.is_over for run in (*self.submitted.values(), *self.awaited.values()))

    def _read(self) -> bool:
        """Read the watched runs once, and report those of this command that are over."""
        changed = False
        for identifier, run in [*self.watched.items()]:
            try:
                live = get_live_job(
                    self.client, run.identity, identifier, path_values(run.job, run.identity.of_job)
                )
            except ApiError as error:
                if self.client.is_refused:
                    return True
                session.note(f"{run.identity}: cannot be read: {error}")
                continue
            if live is None:
                continue  # not listed yet; if it never is, it is late at some time
            changed |= run.phase is not None and live.phase is not run.phase
            is_needed = any(
                need.identity == run.identity
                for change in (self.left or {}).values()
                for need in change.job.depends_on
            )
            changed |= run.phase is None and (is_needed or live.phase not in RUNNING_PHASES)
            run.phase = live.phase
            self._report(identifier, live)
            if live.phase not in RUNNING_PHASES:
                del self.watched[identifier]
        return changed

    def _report(self, identifier: str, live: LiveJob) -> None:
        submitted, wait = self.submitted.get(identifier) or self.awaited.get(identifier), self.requested.wait
        if submitted is None or submitted.is_over or wait is None:
            return
        outcome = submitted.outcome
        if live.phase in FAILED_PHASES:
            message = f"{outcome.message}, but the run {condition_of(live)}"
            outcome = replace(outcome, result=Result.FAILED, message=message, begun=True)
        elif has_reached(live, wait):
            outcome = replace(outcome, message=f"{outcome.message}; {state_of(live)}")
        else:
            return
        submitted.is_over, submitted.outcome = True, outcome
        if identifier in self.submitted or outcome.result is not Result.DONE:
            self.ended[outcome.change.job.identity] = outcome
        out(text.outcome(outcome))

    def _give_up(self, why: str) -> None:
        for change in [*(self.left or {}).values()]:
            self._drop(Outcome(change, Result.SKIPPED, why))

    def _end(self) -> Exit:
        """Print the counts, and return the exit code."""
        for submitted in (*self.submitted.values(), *self.awaited.values()):
            outcome = submitted.outcome
            if self.requested.wait and not submitted.is_over and not self.stop_signal:
                why = f"has not ended after {outcome.change.job.lifecycle.timeout}"
                why = "its state could not be read" if self.client.is_refused else why
                message = f"{outcome.message}; {why}; it was not cancelled"
                outcome = replace(outcome, result=Result.TIMED_OUT, message=message)
                self.ended[outcome.change.job.identity] = outcome
                out(text.outcome(outcome))
        if not self.stop_signal:
            for outcome in self.not_repeated:
                out(text.outcome(outcome))
        ended = [*self.ended.values(), *self.refused.values(), *self.not_repeated]
        not_started = len(self.left or {})
        results = [outcome.result for outcome in ended]
        out(
            text.outcomes(
                results, "run", "submitted", blocked=self.blocked, errors=self.errors, not_started=not_started
            )
        )
        code = execute.exit_code(ended, blocked=self.blocked, errors=self.errors)
        if self.stop_signal:
            session.note(
                "the runs that were submitted continue; with --missing, the same command submits the rest"
            )
            return Exit.INTERRUPTED
        if not_started and code in {Exit.DONE, Exit.BLOCKED}:
            code = Exit.PARTLY if Result.DONE in results else Exit.ERROR
        if self.lost:
            err(text.error(f"{self.lost}; nothing was sent after that"))
        return code


def _id(change: Change) -> str:
    return change.live.id if change.live else ""


def _is_reached(live: LiveJob | None, until: Until) -> bool:
    if live is None:
        return False
    return until is Until.SUBMITTED or has_reached(live, until)
