"""The active runs that `deployer run` reads between its waves: its own, and those of others that take a place."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from time import monotonic

from deployer.apply.wait import condition_of, end_of_log, has_reached, state_of
from deployer.cli import session
from deployer.clock import StopSignal
from deployer.cloud.client import Client
from deployer.cloud.observe import get_live_job
from deployer.errors import ApiError
from deployer.kinds.former import path_values
from deployer.model import FAILED_PHASES, RUNNING_PHASES, Identity, Job, LiveJob, Outcome, Result, Until
from deployer.project.console import console_url
from deployer.project.target import Target, seconds
from deployer.secrets.store import Secrets


@dataclass(slots=True)
class _Run:
    """An active run; `state` is the last one that was read, `deadline` is on the monotonic clock."""

    identity: Identity
    job: Job
    deadline: float
    state: str = ""
    is_late: bool = False


class ActiveRuns:
    """The runs that are watched. `ended` is told the outcome of each own run that has failed or reached `until`."""

    def __init__(
        self,
        client: Client,
        target: Target,
        secrets: Secrets,
        stop_signal: StopSignal,
        until: Until | None,
        ended: Callable[[Outcome], object],
    ) -> None:
        self._client = client
        self._target = target
        self._secrets = secrets
        self._stop_signal = stop_signal
        self._until = until
        self._ended = ended
        self._active: dict[str, _Run] = {}
        self._own: dict[str, Outcome] = {}

    def __bool__(self) -> bool:
        return bool(self._active)

    def add(self, live: LiveJob, job: Job) -> None:
        """Watch a run that is listed, unless it is watched."""
        if live.id not in self._active:
            self._active[live.id] = _Run(live.identity, job, _deadline(job), live.state)

    def add_own(self, outcome: Outcome) -> None:
        """Watch a run that was submitted."""
        job = outcome.change.job
        self._active[outcome.id] = _Run(job.identity, job, _deadline(job))
        if self._until:
            self._own[outcome.id] = outcome

    def add_named(self, live: LiveJob, outcome: Outcome) -> None:
        """Wait for a named run that was active before; `outcome` is that of its change, if it succeeds."""
        job = outcome.change.job
        self._active[live.id] = _Run(live.identity, job, _deadline(job), live.state)
        self._own[live.id] = outcome

    def wait_for_change(self, needed: Container[Identity]) -> bool:
        """Wait until a run has ended, or one of those `needed` has changed; False if all of them are late."""
        return self._watch(lambda has_changed: has_changed, needed)

    def wait_for_own(self) -> None:
        """Wait until each own run has failed or reached `until`, or all runs are late."""
        self._watch(lambda _: not self._own, frozenset())

    def not_over(self) -> Iterator[Outcome]:
        """Yield the outcomes of the own runs that have not ended in time."""
        for identifier, outcome in self._own.items():
            why = f"has not ended after {outcome.change.job.lifecycle.timeout}"
            if self._client.is_refused:
                why = "its state could not be read"
            elif identifier not in self._active:
                why = "it is in a state that deployer does not know"
            message = f"{outcome.message}; {why}; it was not cancelled"
            yield replace(outcome, result=Result.TIMED_OUT, message=message)

    def _watch(self, is_enough: Callable[[bool], bool], needed: Container[Identity]) -> bool:
        """Read the runs until it is enough; return whether that was before all of them are late."""
        waiting = False
        for pause in self._target.polling.poll_delays():
            has_changed = self._read(needed)
            if is_enough(has_changed) or self._stop_signal or self._client.is_refused:
                return True
            now = monotonic()
            for run in self._active.values():
                run.is_late |= now >= run.deadline
            if all(run.is_late for run in self._active.values()):
                return is_enough(False)
            if not waiting:
                names = [f"{run.identity.label} ({id_})" for id_, run in self._active.items()]
                others = " and others" if len(names) > 3 else ""
                session.note(f"waiting for {', '.join(names[:3])}{others}")
                waiting = True
            self._stop_signal.sleep(pause)
        return False

    def _read(self, needed: Container[Identity]) -> bool:
        """Read the runs once; return whether one has ended, or one of those `needed` has changed."""
        changed = False
        for identifier, run in [*self._active.items()]:
            try:
                live = get_live_job(
                    self._client, run.identity, identifier, path_values(run.job, run.identity.of_job)
                )
            except ApiError as error:
                if self._client.is_refused:
                    return True
                session.note(f"{run.identity}: cannot be read: {error}")
                continue
            if live is None:
                continue  # not listed yet; if it never is, it is late at some time
            has_ended = live.phase not in RUNNING_PHASES
            changed |= has_ended or (live.state != run.state and run.identity in needed)
            run.state = live.state
            self._report(identifier, live)
            if has_ended:
                del self._active[identifier]
        return changed

    def _report(self, identifier: str, live: LiveJob) -> None:
        """Report an own run that has failed or reached the awaited state."""
        outcome = self._own.get(identifier)
        if outcome is None or self._until is None:
            return
        if live.phase in FAILED_PHASES:
            message = f"{outcome.message}, but the run {condition_of(live)}"
            log = end_of_log(self._client, self._secrets, outcome.change.job, identifier)
            if not log and (page := console_url(self._target, live)):
                log = (f"its log: {page}",)
            outcome = replace(outcome, result=Result.FAILED, message=message, log=log, begun=True)
        elif has_reached(live, self._until):
            outcome = replace(outcome, message=f"{outcome.message}; {state_of(live)}")
        else:
            return
        del self._own[identifier]
        self._ended(outcome)


def _deadline(job: Job) -> float:
    return monotonic() + seconds(job.lifecycle.timeout)
