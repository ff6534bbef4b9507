"""The lock with a lease, on a store in memory that can fail in every way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pytest

from deployer.clock import StopSignal
from deployer.errors import Interrupted, NotSent
from deployer.state import lease as leases
from deployer.state.lease import Lease, now
from deployer.state.store import Lock, Rejected, Snapshot, StateError

LEASE = 0.4
PATIENCE = 10.0


class MemoryStore:
    """A store. `fail` is called with each write and may raise; `written` is set by each write."""

    name = "memory"

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self.tip = Snapshot()
        self.writes = 0
        self.written = threading.Condition()
        self.fail: Callable[[str], object] = lambda _: None
        self.unreadable = False

    def read(self) -> Snapshot:
        if self.unreadable:
            raise StateError("unreachable")
        return self.tip

    def version(self) -> str:
        return self.read().version

    def swap(self, before: Snapshot, lock: Lock | None, runs: Mapping[str, bytes | None]) -> Snapshot:
        self.fail(lock.run if lock else "")
        with self._mutex:
            if before.version != self.tip.version:
                raise Rejected("changed by somebody else")
            self.tip = before.changed(str(self.writes + 1), lock, runs)
            self.writes += 1
            written = self.tip
        with self.written:
            self.written.notify_all()
        return written

    def wait_for_writes(self, number: int) -> None:
        """Return when there were so many more writes."""
        wanted = self.writes + number
        with self.written:
            assert self.written.wait_for(lambda: self.writes >= wanted, PATIENCE)


class Runs:
    """The runs of a test: each is released at its end. `said` has what they report."""

    def __init__(self, store: MemoryStore, stack: ExitStack) -> None:
        self._store = store
        self._stack = stack
        self.said: list[str] = []

    def __call__(self, run: str, seconds: float = LEASE, stop_signal: StopSignal | None = None) -> Lease:
        lock = Lock(run, seconds, f"{run}@host", "12:00", "deployer apply")
        new = Lease(self._store, lock, f"{run}\n".encode, stop_signal=stop_signal, note=self.said.append)
        self._stack.callback(lambda: new.release(keep=False))
        return new


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def runs(store: MemoryStore) -> Iterator[Runs]:
    with ExitStack() as stack:
        yield Runs(store, stack)


def holder(store: MemoryStore) -> str:
    return store.tip.lock.run if store.tip.lock else ""


def send_until_lost(lease: Lease) -> None:
    while True:
        lease.require()


def dead_lock(store: MemoryStore, run: str = "a" * 12) -> Lock:
    """Lock the store as a run does that then dies."""
    lock = Lock(run, LEASE, "x@host", "12:00", "deployer apply")
    store.swap(store.read(), lock, {f"journal/2026-11-21/{run}.jsonl": b"planned\n"})
    return lock


def frozen(store: MemoryStore, *names: str) -> threading.Event:
    """Let the writes of runs wait, until the event is set, as those of a machine that is frozen."""
    thawed = threading.Event()

    def fail(run: str) -> None:
        if run in names:
            assert thawed.wait(PATIENCE)

    store.fail = fail
    return thawed


def test_a_free_lock_is_acquired_with_one_write_and_released_with_another(
    store: MemoryStore, runs: Runs
) -> None:
    one = runs("one", 60)
    acquired = one.acquire(store.read(), now())
    assert acquired is not None
    assert (acquired.dead, holder(store), store.writes) == (None, "one", 1)
    one.require()
    assert store.writes == 1
    assert one.release(keep=False) == ""
    assert (holder(store), store.writes) == ("", 2)
    assert [*store.tip.runs.values()] == [b"one\n"]


def test_a_living_holder_is_waited_for_until_the_deadline(store: MemoryStore, runs: Runs) -> None:
    """For longer than a lease, which its holder renews."""
    one, two = runs("one", 1.2), runs("two", 1.2)
    assert one.acquire(store.read(), now())
    with pytest.raises(StateError, match="held by run one, started 12:00 by one@host: deployer apply"):
        two.acquire(store.read(), now() + 1.4)
    assert (holder(store), one.lost) == ("one", "")
    one.require()
    assert runs.said == [
        "waiting for the lock, held by run one, started 12:00 by one@host: deployer apply; it is taken over if it "
        "is not renewed for 1 s; if that run has ended: deployer unlock one"
    ]


def test_after_a_release_the_plan_is_made_anew(store: MemoryStore, runs: Runs) -> None:
    one, two = runs("one", 60), runs("two", 60)
    assert one.acquire(store.read(), now())
    seen = store.read()
    assert one.release(keep=False) == ""
    assert two.acquire(seen, now() + PATIENCE) is None
    assert holder(store) == ""
    assert two.acquire(store.read(), now() + PATIENCE)
    assert holder(store) == "two"


def test_a_dead_holder_is_taken_over_after_its_lease(store: MemoryStore, runs: Runs) -> None:
    dead, begun = dead_lock(store), now()
    acquired = runs("two", 60).acquire(store.read(), now() + PATIENCE)
    assert acquired is not None
    assert acquired.dead == dead
    assert now() - begun >= LEASE
    assert begun + LEASE * (1 + leases.USABLE) <= acquired.settled_at < now() + LEASE
    content = acquired.snapshot.runs[f"journal/2026-11-21/{dead.run}.jsonl"]
    assert content.startswith(b"planned\n")
    assert b'"event": "taken-over"' in content
    assert b'"by": "two"' in content


def test_a_dead_holder_is_not_taken_over_before_its_own_lease_ends(store: MemoryStore, runs: Runs) -> None:
    """The lease of the contender does not matter."""
    store.swap(store.read(), Lock("a" * 12, 60, "x@host", "12:00", "deployer apply"), {})
    with pytest.raises(StateError, match="the lock is held"):
        runs("two").acquire(store.read(), now() + LEASE)


def test_of_several_contenders_one_takes_over(store: MemoryStore, runs: Runs) -> None:
    dead_lock(store)
    seen, start = store.read(), threading.Barrier(4)
    winners: list[str] = []
    failed: list[str] = []

    def contend(name: str) -> None:
        start.wait(PATIENCE)
        try:
            if runs(name, 60).acquire(seen, now() + 2 * LEASE):
                winners.append(name)
        except StateError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=contend, args=(name,)) for name in ("b", "c", "d", "e")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (len(winners), len(failed)) == (1, 3)
    assert winners == [holder(store)]
    content = store.tip.runs["journal/2026-11-21/aaaaaaaaaaaa.jsonl"]
    assert content.count(b"taken-over") == 1


def test_a_frozen_holder_sends_nothing_after_it_was_taken_over(store: MemoryStore, runs: Runs) -> None:
    one, two = runs("one"), runs("two", 60)
    assert one.acquire(store.read(), now())
    thawed = frozen(store, "one")
    acquired = two.acquire(store.read(), now() + PATIENCE)
    assert acquired is not None
    assert acquired.dead is not None
    thawed.set()
    with pytest.raises(NotSent, match="not sent: the lock was taken over by run two"):
        one.require()
    assert one.lost.startswith("the lock was taken over by run two, started")
    assert one.release(keep=False) == one.lost
    # What it has done is of use to the others, who keep the lock.
    assert holder(store) == "two"
    assert b"one\n" in store.tip.runs.values()
    two.require()
    assert two.release(keep=False) == ""


def test_no_request_is_sent_while_a_renewal_is_due(store: MemoryStore, runs: Runs) -> None:
    one = runs("one")
    assert one.acquire(store.read(), now())
    thawed = frozen(store, "one")
    writes, sent = store.writes, threading.Event()
    threading.Event().wait(LEASE * leases.USABLE)

    def send() -> None:
        one.require()
        sent.set()

    waiting = threading.Thread(target=send)
    waiting.start()
    assert not sent.wait(LEASE / 4)
    thawed.set()
    assert sent.wait(PATIENCE)
    waiting.join(PATIENCE)
    assert store.writes > writes


def test_a_renewal_that_fails_is_tried_again(store: MemoryStore, runs: Runs) -> None:
    one = runs("one", 4)
    assert one.acquire(store.read(), now())
    failures = iter([StateError("no network"), StateError("no network")])

    def fail(_: str) -> None:
        for error in failures:
            raise error

    store.fail = fail
    one.record()
    one.require()
    assert runs.said == ["cannot renew the lock, trying again: no network"]
    assert one.lost == ""


def test_a_lock_that_cannot_be_renewed_for_a_lease_is_lost(store: MemoryStore, runs: Runs) -> None:
    one = runs("one")
    assert one.acquire(store.read(), now())

    def fail(_: str) -> None:
        raise StateError("no network")

    store.fail = fail
    with pytest.raises(NotSent, match=r"the lock could not be renewed for 0 s: no network"):
        send_until_lost(one)
    store.fail = lambda _: None


def test_a_write_that_takes_effect_late_is_its_own(store: MemoryStore, runs: Runs) -> None:
    """The one that repeats it is rejected, and goes on from there."""
    one = runs("one", 4)
    assert one.acquire(store.read(), now())
    late = replace(store.tip, version="late", runs=store.tip.runs)

    def fail(_: str) -> None:
        store.fail = lambda _: None
        store.tip = late
        raise StateError("the response was lost")

    store.fail = fail
    one.record()
    one.require()
    assert (one.lost, holder(store)) == ("", "one")


def test_a_removed_lock_is_lost(store: MemoryStore, runs: Runs) -> None:
    one = runs("one")
    assert one.acquire(store.read(), now())
    seen = store.tip
    while True:
        try:
            store.swap(seen, None, {})
            break
        except Rejected:
            seen = store.tip
    with pytest.raises(NotSent, match=r"the lock was removed \(deployer unlock\)"):
        send_until_lost(one)
    assert one.release(keep=False) == "the lock was removed (deployer unlock)"
    assert b"one\n" in store.tip.runs.values()
    assert holder(store) == ""


def test_a_lock_in_doubt_runs_out(store: MemoryStore, runs: Runs) -> None:
    one = runs("one")
    assert one.acquire(store.read(), now())
    assert one.release(keep=True) == ""
    assert store.tip.lock is not None
    assert store.tip.lock.is_ended
    acquired = runs("two").acquire(store.read(), now() + PATIENCE)
    assert acquired is not None
    assert acquired.dead is not None
    assert acquired.dead.run == "one"


def test_a_release_whose_response_is_lost_is_a_release(store: MemoryStore, runs: Runs) -> None:
    one = runs("one", 60)
    assert one.acquire(store.read(), now())

    def fail(_: str) -> None:
        store.fail = lambda _: None
        store.swap(store.tip, None, {**store.tip.runs})
        raise StateError("the response was lost")

    store.fail = fail
    assert one.release(keep=False) == ""
    assert holder(store) == ""


def test_a_release_that_fails_says_why(store: MemoryStore, runs: Runs) -> None:
    one = runs("one", 4)
    assert one.acquire(store.read(), now())

    def fail(_: str) -> None:
        raise StateError("no network")

    store.fail = fail
    assert one.release(keep=False) == "no network"
    assert holder(store) == "one"


def test_a_failed_acquire_that_takes_effect_late_is_removed_at_the_end(
    store: MemoryStore, runs: Runs
) -> None:
    one = runs("one", 60)

    def fail(run: str) -> None:
        store.fail = lambda _: None
        lock = Lock(run, 60, "one@host", "12:00", "deployer apply")
        store.swap(store.tip, lock, {"journal/2026-11-21/one.jsonl": b"one\n"})
        raise StateError("the response was lost")

    store.fail = fail
    with pytest.raises(StateError, match="the response was lost"):
        one.acquire(store.read(), now() + PATIENCE)
    assert holder(store) == "one"
    one.release(keep=False)
    assert holder(store) == ""


def test_an_interrupt_ends_the_wait(store: MemoryStore, runs: Runs) -> None:
    dead_lock(store)
    stop_signal = StopSignal()
    stop_signal.set()
    with pytest.raises(Interrupted):
        runs("two", stop_signal=stop_signal).acquire(store.read(), now() + PATIENCE)
    assert holder(store) == "a" * 12


def test_a_remote_that_fails_while_waiting_is_asked_again(store: MemoryStore, runs: Runs) -> None:
    dead_lock(store)
    seen = store.read()
    store.unreadable = True
    acquired = runs("two", 60).acquire(seen, now() + PATIENCE)
    assert acquired is not None
    assert acquired.dead is not None
    store.unreadable = False


def test_what_is_added_to_another_journal_is_written_once(store: MemoryStore, runs: Runs) -> None:
    dead = dead_lock(store)
    two = runs("two")
    acquired = two.acquire(store.read(), now() + PATIENCE)
    assert acquired is not None
    two.add(dead.run, acquired.snapshot, b"found\n")
    two.record()
    store.wait_for_writes(2)
    assert two.release(keep=False) == ""
    content = store.tip.runs[f"journal/2026-11-21/{dead.run}.jsonl"]
    assert content.startswith(b"planned\n")
    assert (content.count(b"found\n"), content.count(b"taken-over")) == (1, 1)


def test_pushes_that_are_too_slow_for_the_lease_are_reported(store: MemoryStore, runs: Runs) -> None:
    """Not waited for without an end."""
    one = runs("one")
    assert one.acquire(store.read(), now())
    slow = threading.Event()
    store.fail = lambda _: slow.wait(LEASE * leases.USABLE)
    with pytest.raises(NotSent, match=r"not sent: a push took \d s, too long for a lease of 0 s"):
        send_until_lost(one)
    store.fail = lambda _: None


def test_nothing_is_sent_after_the_end(store: MemoryStore, runs: Runs) -> None:
    """A thread may still be at work after an interrupt."""
    one = runs("one", 60)
    assert one.acquire(store.read(), now())
    one.require()
    one.end()
    with pytest.raises(NotSent, match="not sent: the run has ended"):
        one.require()
    assert holder(store) == "one"


def test_a_takeover_whose_response_is_lost_is_one(store: MemoryStore, runs: Runs) -> None:
    """What the dead run has sent is waited for nevertheless."""
    dead = dead_lock(store)

    def fail(run: str) -> None:
        store.fail = lambda _: None
        store.swap(store.tip, Lock(run, 60, "two@host", "12:00", "deployer apply"), {})

    store.fail = fail
    acquired = runs("two", 60).acquire(store.read(), now() + PATIENCE)
    assert acquired is not None
    assert acquired.dead == dead
    assert acquired.settled_at > now() - LEASE
