"""The lock of an apply or a cancel, and the plan that is made under it.

A local lock keeps the processes of this folder apart, a shared one those of all machines. Under a shared lock only
the second plan counts: the first, made without it, shows whether there is anything to do at all.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from deployer.apply import lock
from deployer.apply.history import History, parse, read, renamed, unsettled
from deployer.apply.journal import Journal
from deployer.apply.unsettled import findings, found_line
from deployer.cli import shared_state
from deployer.cli.interrupts import interruptible
from deployer.cli.planner import present_names
from deployer.cli.session import Known, LoadedProject, in_ci, note
from deployer.cli.shared_state import CLOCK_SECONDS
from deployer.cli.state_folder import require_own_state, state_folder
from deployer.clock import StopSignal, utc_text
from deployer.model import Live, Plan
from deployer.report import text
from deployer.report.terminal import err
from deployer.secrets.store import Secrets
from deployer.state.takeover import UNLOCK

if TYPE_CHECKING:
    from deployer.cloud.client import Client
    from deployer.state.chain import Chain
    from deployer.state.lease import Acquired, Lease

SHARED_SECONDS = 300.0  # of waiting for another machine, unless --lock-timeout says otherwise

_NOT_SHARED = (
    "nothing keeps this run apart from one on another machine, as `state: local` is in force; "
    "`state: git` in deployer.yaml does"
)


class Planner(Protocol):
    """A function that reads the listings and plans, with what earlier runs are known to have sent."""

    def __call__(self, *, known: Known, note: Callable[[str], object]) -> tuple[Plan, Live]: ...


class Held(ABC):
    """The lock of one apply or cancel."""

    is_shared = False

    def __init__(self, loaded: LoadedProject, secrets: Secrets, stop_signal: StopSignal) -> None:
        self.loaded = loaded
        self.secrets = secrets
        self.stop_signal = stop_signal
        self._journal: Journal | None = None
        # What earlier runs have sent, as the plan knows it.
        self.history = History()

    @abstractmethod
    def plan(self, client: Client, make: Planner) -> tuple[Plan, Live]:
        """Plan when the listings show what earlier runs have sent. Raises DeployerError."""

    def journal_of(self, client: Client) -> Journal:
        """Return the journal of this run. Raises DeployerError."""
        self._journal = self._journal or Journal.open(
            state_folder(self.loaded.project.folder),
            self.loaded.target.name,
            client.project_id,
            scrub=self.secrets.scrubbed,
            project_name=self.loaded.project.name,
            is_shared=self.is_shared,
        )
        return self._journal

    def release(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()

    def creates_from(self, live: Live) -> float:
        """Return the monotonic time from which jobs may be created."""
        return live.read_at + self.loaded.target.polling.consistency_delay

    def require(self) -> None:
        """Return only if a request may be sent now. Raises NotSent and Interrupted."""
        return

    @property
    def lost(self) -> str:
        """Why the lock is no longer held; empty while it is."""
        return ""


class LocalLock(Held):
    """The lock of this folder, which ends with the process."""

    def plan(self, client: Client, make: Planner) -> tuple[Plan, Live]:  # noqa: ARG002
        delay = self.loaded.target.polling.consistency_delay
        history = self.history = read(state_folder(self.loaded.project.folder))
        _wait_for(_remaining(history, self.loaded.target.name, delay))
        return make(known=Known(history, delay), note=note)


class SharedLock(Held):
    """The lock of all machines that use the same state. It is held from the first plan with changes to `release`."""

    is_shared = True

    def __init__(
        self,
        loaded: LoadedProject,
        secrets: Secrets,
        stop_signal: StopSignal,
        chain: Chain,
        command: str,
        timeout: float,
    ) -> None:
        from deployer.state.lease import now

        super().__init__(loaded, secrets, stop_signal)
        self._chain = chain
        self._command = command
        self._deadline = now() + timeout
        self._seconds = shared_state.lease_seconds()
        self._lease: Lease | None = None

    def plan(self, client: Client, make: Planner) -> tuple[Plan, Live]:
        project, delay = self.loaded.project, self.loaded.target.polling.consistency_delay
        while True:
            seen, notes = self._chain.read(), list[str]()
            since = partial(shared_state.since, seen)
            self.history = shared_state.merged(project, seen)
            known = Known(self.history, 0, CLOCK_SECONDS, since)
            plan, live = make(known=known, note=notes.append)
            if not plan.steps:
                for words in notes:
                    note(words)
                if seen.lock:
                    note(f"nothing to do, so the lock was not waited for; it is held by {seen.lock}")
                return plan, live
            lease = self._prepared(client)
            self.journal_of(client).plan(plan.steps)
            if acquired := lease.acquire(seen, self._deadline):
                break
        history = self.history = shared_state.merged(project, acquired.snapshot)
        self._wait_until_settled(acquired, history)
        since = partial(shared_state.since, acquired.snapshot)
        plan, live = make(known=Known(history, self._seconds + delay, CLOCK_SECONDS, since), note=note)
        self._record_findings(plan, acquired)
        if self.journal_of(client).plan(plan.steps):
            lease.record()
        return plan, live

    def creates_from(self, live: Live) -> float:  # noqa: ARG002
        return 0.0  # nobody else creates jobs, and what earlier runs created is known

    def require(self) -> None:
        if self._lease is None:
            raise RuntimeError("no request is sent without the lock")
        self._lease.require()

    @property
    def lost(self) -> str:
        return self._lease.lost if self._lease else ""

    def release(self) -> None:
        """Write the outcomes, and remove the lock. Reports if that fails."""
        if self._journal is None or self._lease is None:
            super().release()
            return
        was_lost = self._lease.lost
        self._lease.end()
        in_doubt = self._journal.in_doubt
        self._journal.end()
        with interruptible(StopSignal(), "releasing the lock"):
            problem = self._lease.release(keep=in_doubt)
        super().release()
        if self._lease.lost:
            if not was_lost:
                note(f"{self._lease.lost}; nothing was sent after that")
        elif problem:
            words = f"cannot release the lock, which runs out within {self._seconds:.0f} s: {problem}"
            err(text.error(words))
        elif in_doubt:
            seconds = f"{self._seconds:.0f} s"
            words = f"a request may still take effect, so the lock stays for {seconds}; to remove it before:"
            note(f"{words} {self.loaded.invocation.command('unlock', self._journal.run)}")

    def _prepared(self, client: Client) -> Lease:
        if self._lease:
            return self._lease
        shared_state.refuse_fork()
        from deployer.state.lease import Lease
        from deployer.state.store import Lock

        run = self.journal_of(client)
        own = Lock(run.run, self._seconds, run.author, utc_text(datetime.now(UTC)), self._command)
        self._lease = Lease(
            self._chain,
            own,
            run.content,
            stop_signal=self.stop_signal,
            note=note,
            unlock=lambda holder: self.loaded.invocation.command("unlock", holder),
        )
        run.publish = self._lease.ask
        return self._lease

    def _wait_until_settled(self, acquired: Acquired, history: History) -> None:
        from deployer.state.lease import now

        delay = self.loaded.target.polling.consistency_delay
        if acquired.dead:
            _wait_for(acquired.settled_at + delay - now())
        else:
            _wait_for(doubtful_seconds(history, self.loaded.target.name, delay, self._seconds))

    def _record_findings(self, plan: Plan, acquired: Acquired) -> None:
        """Record what became of the requests of runs that died."""
        if self._lease is None or self._journal is None:
            return
        shared = renamed(parse(acquired.snapshot.runs.values()), present_names(self.loaded.jobs))
        doubtful = unsettled(shared, self.loaded.target.name)
        lines: dict[str, list[bytes]] = {}
        for found in findings(plan, (intent for intent in doubtful if intent.run != self._journal.run)):
            line = found_line(found.intent, found.result, found.id, found.message, self._journal.run)
            lines.setdefault(found.intent.run, []).append(line)
        for run, of_run in lines.items():
            self._lease.add(run, acquired.snapshot, *of_run)


def _remaining(history: History, target: str, delay: float) -> float:
    """Return the seconds until the listings show what requests with an unknown outcome have done."""
    now = datetime.now(UTC)
    ages = [(now - (intent.ended or intent.time)).total_seconds() for intent in unsettled(history, target)]
    # A clock may have been set back by a little; what is beyond in the future would make every command wait.
    return delay - max(0.0, min((age for age in ages if age >= -delay), default=delay))


def doubtful_seconds(history: History, target: str, delay: float, lease: float) -> float:
    """Return the seconds for which a request of an earlier run may still be missing in the listings.

    When it was sent is only known by the clock of another machine, so all that may be recent are waited for.
    """
    from deployer.state.lease import USABLE

    now, longest = datetime.now(UTC), 0.0
    for intent in unsettled(history, target):
        takeover = history.taken_over.get(intent.run)
        is_dead = takeover is not None and takeover.by != UNLOCK
        seconds = delay + lease * USABLE if is_dead else delay
        # A planned request may have been sent long after the plan, until the run was taken over.
        ended = max(intent.ended or intent.time, takeover.time if takeover else intent.time)
        if -CLOCK_SECONDS <= (now - ended).total_seconds() <= seconds + CLOCK_SECONDS:
            longest = max(longest, seconds)
    return longest


def _wait_for(seconds: float) -> None:
    """Wait for the job lists to show what an earlier run has sent."""
    if seconds > 0:
        words = f"waiting {seconds:.0f} s for the job list to be consistent"
        note(f"the outcome of an earlier request is unknown; {words}")
        time.sleep(seconds)


@contextmanager
def hold(
    loaded: LoadedProject, secrets: Secrets, verb: str, timeout: float | None, stop_signal: StopSignal
) -> Iterator[Held]:
    """Hold the lock of project and target. Raises DeployerError if another process has it for `timeout` seconds.

    A shared lock is acquired only when there is something to do.
    """
    require_own_state(loaded.project.folder)
    is_shared = shared_state.is_shared(loaded.project, loaded.target)
    seconds = timeout if timeout is not None else SHARED_SECONDS if is_shared else 0.0
    target = loaded.target.name
    command = f"deployer {verb} -t {target}"
    with ExitStack() as stack:
        folder = state_folder(loaded.project.folder)
        stack.enter_context(lock.hold(folder, target, command, seconds, note))
        if is_shared:
            chain = stack.enter_context(shared_state.open_state(loaded.project, loaded.target))
            held: Held = SharedLock(loaded, secrets, stop_signal, chain, command, seconds)
        else:
            if in_ci(os.environ) and not loaded.target.emulator:
                note(_NOT_SHARED)
            held = LocalLock(loaded, secrets, stop_signal)
        stack.callback(held.release)
        yield held
