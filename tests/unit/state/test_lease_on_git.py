"""The lock with a lease, on a git remote over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from deployer.clock import StopSignal
from deployer.errors import Interrupted, NotSent
from deployer.state.chain import Chain
from deployer.state.lease import Lease, now
from deployer.state.store import Lock, Snapshot
from testing.faults import Answer, Call, hangs_up
from testing.git_server import PUSH, GitServer, Held, Remote
from unit.state.conftest import REF, OpenChain

LOCK = Lock("0123456789ab", 180.0, "somebody@host", "2026-11-21 10:00:00 UTC", "deployer apply")
OTHER = Lock("ba9876543210", 180.0, "another@machine", "2026-11-21 10:00:00 UTC", "deployer apply")
SECONDS = 10
"""How long a test that fails waits, far less than a lease."""


def lock(remote: Remote) -> str:
    """Return the run that has the lock; empty if none has."""
    content = remote.files(REF).get("lock.json")
    return str(json.loads(content)["run"]) if content else ""


def test_an_interrupt_ends_the_wait_for_a_lock(online: Path, remote: Remote, chain: OpenChain) -> None:
    """The signal is set while it waits, not before."""
    remote.write(REF, {"lock.json": json.dumps(asdict(OTHER))})
    stop_signal, store = StopSignal(), chain(online)
    lease = Lease(store, LOCK, lambda: b"", stop_signal=stop_signal, note=lambda _: stop_signal.set())
    started = time.monotonic()
    with pytest.raises(Interrupted):
        lease.acquire(store.read(), now() + SECONDS)
    assert time.monotonic() - started < SECONDS
    assert lock(remote) == OTHER.run


def test_an_interrupt_ends_the_wait_for_a_renewal(online: Path, server: GitServer, chain: OpenChain) -> None:
    stop_signal, store = StopSignal(), chain(online)
    lease = Lease(store, LOCK, lambda: b"", stop_signal=stop_signal)
    lease.acquire(store.read(), now())
    held = Held()
    server.rule(PUSH, held)
    with ThreadPoolExecutor(1) as pool:
        recorded = pool.submit(lease.record)
        assert held.arrived.wait(SECONDS)
        stop_signal.set()
        error = recorded.exception(timeout=SECONDS)
        held.release()
    assert isinstance(error, Interrupted)
    lease.release(keep=False)


def test_what_must_be_recorded_now_is_tried_again_at_once(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    """Not at the next renewal, 45 s later: the apply waits for it."""
    store = chain(online)
    content = b"planned\n"
    lease = Lease(store, LOCK, lambda: content)
    lease.acquire(store.read(), now())
    hang_up = hangs_up(after=False)

    def once(call: Call) -> Answer | None:
        server.clear()
        return hang_up(call)

    server.rule(PUSH, once)
    content = b"planned\nmore\n"
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        pool.submit(lease.record).result()
    assert time.monotonic() - started < SECONDS
    assert content.decode() in remote.files(REF).values()
    lease.release(keep=False)
    assert lock(remote) == ""


class Broken:
    """A store with a defect: after the first write, it raises what it should not."""

    name = "broken"

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._is_written = False

    def read(self) -> Snapshot:
        return self._chain.read()

    def version(self) -> str:
        return self._chain.version()

    def swap(self, before: Snapshot, lock: Lock | None, runs: Mapping[str, bytes | None]) -> Snapshot:
        if self._is_written:
            raise ValueError("a defect")
        self._is_written = True
        return self._chain.swap(before, lock, runs)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_ends_the_apply_and_does_not_block_it(online: Path, chain: OpenChain) -> None:
    """Nobody would renew the lock, and the next request would wait for that without an end."""
    store = Broken(chain(online))
    lease = Lease(store, LOCK, lambda: b"")
    lease.acquire(store.read(), now())
    with ThreadPoolExecutor(1) as pool:
        recorded = pool.submit(lease.record)
        assert recorded.exception(timeout=SECONDS)
    with pytest.raises(NotSent, match="not sent: the lock"):
        lease.require()
