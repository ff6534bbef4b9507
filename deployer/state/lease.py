"""The lock in the shared state: it is valid for a lease, which its holder renews while it works.

Clocks of different machines are never compared. A contender watches the state: if it does not change for a whole
lease, the holder is dead. A holder sends no request unless its last renewal is recent, so a holder that was frozen
cannot send one after its lock was taken over.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from deployer.clock import StopSignal
from deployer.errors import NotSent
from deployer.state.store import MAX_TEXT, UNREADABLE, Lock, Rejected, Snapshot, StateError, Store
from deployer.state.takeover import UNLOCK, taken_over_by, taken_over_line

# Parts of a lease: a renewal is due after 45 of 180 s, and no request is sent later than 50 s after the last one.
# So a request ends, at the latest after the 130 s of its timeouts, before another run takes the lock over.
RENEWAL = 45 / 180
USABLE = 50 / 180

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0

RELEASE_ATTEMPTS = 4
MAX_FAILED_LOOKS = 5
MAX_SLOW_WRITES = 3  # in a row; a machine that was frozen during one may go on
MAX_REJECTIONS = 15  # without a change: a host may show an old state for some seconds


def now() -> float:
    """Return a time in seconds that passes also while the machine is suspended, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Acquired:
    """A lock that was acquired. `dead` is the lock that was taken over, if so.

    `settled_at` is the time, as `now` tells it, at which requests of the dead holder have taken effect.
    """

    snapshot: Snapshot
    dead: Lock | None = None
    settled_at: float = 0.0


class Lease:
    """The lock of one run, with the journal of this run and additions to those of others.

    A background thread renews it from `acquire` to `release`.
    """

    def __init__(
        self,
        store: Store,
        lock: Lock,
        content: Callable[[], bytes],
        *,
        stop_signal: StopSignal | None = None,
        note: Callable[[str], object] = str,
        unlock: Callable[[str], str] = "deployer unlock {}".format,
    ) -> None:
        """Prepare the lock of a run. `content` returns the lines of its journal, which each write carries.

        `unlock` returns the command that removes the lock of a run.
        """
        self._store = store
        self._lock = lock
        self._content = content
        # One that is not set yet is false.
        self._stop_signal = StopSignal() if stop_signal is None else stop_signal
        self._note = note
        self._unlock = unlock
        self._file = f"journal/{datetime.now(UTC).date()}/{lock.run}.jsonl"
        self._added: dict[str, list[bytes]] = {}
        self._held = Snapshot()
        self._renewed_at = 0.0
        self._changed = threading.Condition()
        self._is_wanted = False
        self._is_ending = False
        self._lost = ""
        self._thread: threading.Thread | None = None
        self._has_tried = False
        self._rejections = 0
        self._failed_looks = 0
        self._slow_writes = 0

    # --- acquire

    def acquire(self, seen: Snapshot, deadline: float) -> Acquired | None:
        """Acquire the lock; None if it was released while this waited, as the plan may then be another one.

        `seen` was just read. Raises StateError if the lock is held at `deadline`, a time as `now` tells it, and
        Interrupted.
        """
        since, pause, has_waited = now(), FIRST_PAUSE, False
        dead: Lock | None = None
        while True:
            holder = seen.lock
            is_own = self._is_own(holder)
            if holder is None and has_waited:
                return None
            if holder is None or is_own or now() - since >= holder.lease:
                # An own lock was written although that seemed to have failed: perhaps over that of a dead run.
                dead = dead if is_own else holder
                try:
                    return self._acquired(seen, dead, since, is_own=is_own)
                except Rejected as error:
                    rejected, seen = seen, self._read_after_rejection(seen, error, deadline)
                    since = since if seen.version == rejected.version else now()
                    continue
            if now() >= deadline:
                advice = (
                    f"wait longer with --lock-timeout, or if that run has ended: {self._unlock(holder.run)}"
                )
                raise StateError(f"the lock is held by {holder}; no changes made; {advice}")
            if not has_waited:
                advice = f"it is taken over if it is not renewed for {holder.lease:.0f} s"
                ended = f"if that run has ended: {self._unlock(holder.run)}"
                self._note(f"waiting for the lock, held by {holder}; {advice}; {ended}")
                has_waited = True
            self._stop_signal.sleep(max(0.0, min(pause, deadline - now(), since + holder.lease - now())))
            pause = min(2 * pause, LONGEST_PAUSE)
            if self._has_changed(seen):
                seen, since, pause = self._store.read(), now(), FIRST_PAUSE

    def _read_after_rejection(self, before: Snapshot, error: Rejected, deadline: float) -> Snapshot:
        """Read what somebody else has written. Raises StateError if nobody seems to have written."""
        self._added.clear()
        seen = self._store.read()
        if seen.version != before.version:
            self._rejections = 0
            return seen
        self._rejections += 1
        if self._rejections == MAX_REJECTIONS or now() >= deadline:
            words = "but it shows no change; whoever deploys must be able to read it, too"
            raise StateError(f"{error}; {words}")
        self._stop_signal.sleep(FIRST_PAUSE / 2 * self._rejections)
        return seen

    def _has_changed(self, seen: Snapshot) -> bool:
        """Return whether somebody has written; not if the store cannot be read for a moment. Raises StateError."""
        try:
            is_changed = self._store.version() != seen.version
        except StateError:
            self._failed_looks += 1
            if self._failed_looks == MAX_FAILED_LOOKS:
                raise
            return False
        self._failed_looks = 0
        return is_changed

    def _acquired(self, seen: Snapshot, dead: Lock | None, since: float, *, is_own: bool) -> Acquired:
        if dead and not is_own:
            self.add(dead.run, seen, taken_over_line(dead.run, self._lock.run))
            self._note(f"taking over the lock of {dead}: it was not renewed for {now() - since:.0f} s")
        self._has_tried = True
        self._write(seen)
        thread = threading.Thread(target=self._keep_renewing, name="lease", daemon=True)
        thread.start()
        self._thread = thread
        settled_at = since + dead.lease * (1 + USABLE) if dead else 0.0
        return Acquired(self._held, dead, settled_at)

    # --- renew

    @property
    def lost(self) -> str:
        """Why the lock is no longer held; empty while it is."""
        return self._lost

    def require(self) -> None:
        """Return only if a request may be sent now; waits for a renewal.

        Raises NotSent if the lock is lost or the run has ended, and Interrupted while it waits.
        """
        self._wait_for_renewal(lambda: now() - self._renewed_at < self._lock.lease * USABLE)
        if self._refusal:
            raise NotSent(f"not sent: {self._refusal}")

    @property
    def _refusal(self) -> str:
        return self._lost or ("the run has ended" if self._is_ending else "")

    def record(self) -> None:
        """Write the journal now, and return when it is written. Raises StateError."""
        asked_at = now()
        self._wait_for_renewal(lambda: self._renewed_at >= asked_at)
        if self._refusal:
            raise StateError(f"no changes made: {self._refusal}")

    def _wait_for_renewal(self, is_renewed: Callable[[], bool]) -> None:
        """Wait until the lock is renewed, or will not be. Raises Interrupted."""
        with self._changed:
            while not self._refusal and not is_renewed():
                self._stop_signal.check()
                self._is_wanted = True
                self._changed.notify_all()
                self._changed.wait(0.5)

    def ask(self) -> None:
        """Let the journal be written soon, without waiting for it."""
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()

    def add(self, run: str, seen: Snapshot, *lines: bytes) -> None:
        """Add lines to the journal of another run with the next write."""
        if file := seen.file_of(run):
            with self._changed:
                self._added.setdefault(file, []).extend(lines)

    def _keep_renewing(self) -> None:
        """Renew the lock until it is released or lost; it is lost if this ends with an unexpected error."""
        try:
            self._renew_when_due()
        finally:
            if not self._is_ending and not self._lost:
                self._lose("the lock is no longer renewed, because of an internal error")

    def _renew_when_due(self) -> None:
        """Renew the lock when it is due or wanted, until it is released or lost."""
        problem = ""
        while not self._lost:
            with self._changed:
                lease = self._lock.lease
                due = now() + min(1.0, lease / 20) if problem else self._renewed_at + lease * RENEWAL
                while not self._is_ending and not (self._is_wanted and not problem) and now() < due:
                    self._changed.wait(max(0.0, min(due - now(), 1.0)))
                if self._is_ending:
                    return
            try:
                self._renew()
                problem = ""
            except StateError as error:
                if not problem and not self._lost:
                    self._note(f"cannot renew the lock, trying again: {error}")
                problem = str(error)
                self._fail_after_lease(problem)

    def _renew(self) -> None:
        """Write once, on top of the tip even if an earlier write of this run took effect late.

        Raises StateError.
        """
        try:
            self._write(self._held)
        except Rejected:
            seen = self._store.read()
            if not self._is_own(seen.lock):
                self._lose(self._lost_words(seen))
                raise
            self._write(seen)

    def _fail_after_lease(self, problem: str) -> None:
        if now() - self._renewed_at >= self._lock.lease:
            self._lose(f"the lock could not be renewed for {self._lock.lease:.0f} s: {problem}")

    def _lose(self, words: str) -> None:
        with self._changed:
            self._lost = self._lost or words
            self._changed.notify_all()

    def _write(self, before: Snapshot) -> None:
        """Write the lock and the journal. Raises Rejected and StateError."""
        started = now()
        with self._changed:
            self._is_wanted = False
        held = self._store.swap(before, replace(self._lock, nonce=uuid.uuid4().hex), self._runs(before))
        seconds, lease = now() - started, self._lock.lease
        self._slow_writes = self._slow_writes + 1 if seconds >= lease * USABLE else 0
        if self._slow_writes == MAX_SLOW_WRITES:
            self._lose(f"a push took {seconds:.0f} s, too long for a lease of {lease:.0f} s")
        with self._changed:
            self._held = held
            # From the start: another run may have seen it as soon as that.
            self._renewed_at = started
            self._changed.notify_all()

    def _runs(self, before: Snapshot) -> Mapping[str, bytes | None]:
        """Return the journals to write: this run's, and those of others with their additions."""
        with self._changed:
            additions = {file: [*lines] for file, lines in self._added.items()}
        added: dict[str, bytes] = {}
        for file, lines in additions.items():
            if content := before.runs.get(file):
                known = {*content.splitlines(keepends=True)}
                new = [line for line in lines if line not in known]
                added |= {file: b"".join((content, *new))} if new else {}
        return {**added, self._file: self._content() or None}

    # --- release

    def end(self) -> None:
        """Let no further request be sent: a thread may still be at work after an interrupt."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    def release(self, *, keep: bool) -> str:
        """Write the journal and remove the lock. Returns why that failed, empty if it did not.

        `keep`: leave the lock to run out, because a request may still take effect.
        """
        self.end()
        if self._thread is None:
            self._remove_late()
            return ""
        self._thread.join()
        ended = replace(self._lock, nonce=uuid.uuid4().hex, is_ended=True) if keep else None
        problem, is_rejected = "", False
        for attempt in range(RELEASE_ATTEMPTS):
            if attempt:
                time.sleep(min(2.0**attempt / 2, self._lock.lease / 10))
            try:
                if is_rejected:
                    self._held = self._store.read()
                if is_rejected and self._is_over():
                    return self._lost
                # The outcomes are of use to the others, whoever has the lock now.
                after = ended if self._is_own(self._held.lock) else self._held.lock
                self._store.swap(self._held, after, self._runs(self._held))
                return self._lost
            except StateError as error:
                problem, is_rejected = str(error), is_rejected or isinstance(error, Rejected)
        return self._lost or problem

    def _is_own(self, lock: Lock | None) -> bool:
        return lock is not None and lock.run == self._lock.run

    def _is_over(self) -> bool:
        """Return whether there is nothing to write after somebody else has written. Notes if the lock is lost."""
        if self._is_own(self._held.lock):
            return False
        if (self._held.runs.get(self._file) or b"") == self._content():
            return True  # the response was lost, or the write took effect late
        self._lost = self._lost or self._lost_words(self._held)
        # One that cannot be read is perhaps of a newer version: it would be overwritten.
        return self._held.lock is not None and self._held.lock.run == UNREADABLE.run

    def _lost_words(self, seen: Snapshot) -> str:
        """Return what became of the lock: whoever took or removed it has recorded that."""
        if seen.lock:
            return f"the lock was taken over by {seen.lock}"
        by = taken_over_by(seen.runs.get(self._file, b""))
        if by and by != UNLOCK:
            return f"the lock was taken over by run {by[:MAX_TEXT]}, which has ended"
        return "the lock was removed (deployer unlock)"

    def _remove_late(self) -> None:
        """Remove the lock if `acquire` failed, but has written it in spite of that."""
        with suppress(StateError):
            seen = self._store.read() if self._has_tried else Snapshot()
            if self._is_own(seen.lock):
                self._store.swap(seen, None, {self._file: None})
