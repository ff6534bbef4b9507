"""The age of a look that many creates share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployer.apply.shared_look import LEAST_JOBS, OLD, ONE_IN, TOO_OLD, SharedLooks
from deployer.cloud.auth import AuthContext, TokenAuth
from deployer.cloud.client import Client
from deployer.cloud.transport import Transport
from deployer.emulator import Emulator
from deployer.model import Identity, Job, Source
from deployer.project.target import UNLIMITED, Target
from testing.faults import FaultProxy, fill
from testing.workspace import SPECS, TOKEN

MANY = 10 * ONE_IN


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Client]:
    with Transport(rate=UNLIMITED) as transport:
        target = Target("test", endpoints={"dli": proxy.url})
        yield Client(target, AuthContext(TokenAuth(TOKEN), "pid"), transport)


def not_the_first(below: int) -> int:
    """Return a shift with which none of the first jobs is one to look up by itself, but the fixed ones."""
    return 0


def jobs(kind: str, number: int) -> list[Job]:
    place = "q" if kind.startswith("Spark") else ""
    return [Job(Identity(kind, place, f"job-{n}"), Source("a.yaml", 1), SPECS[kind]) for n in range(number)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "asked", "reads"), [(0.0, MANY, 1), (OLD, ONE_IN - 8, 1), (OLD, MANY, 2), (TOO_OLD, 8, 2)]
)
def test_when_the_listing_is_read_again(
    client: Client, proxy: FaultProxy, seconds: float, asked: int, reads: int
) -> None:
    """After a while if it was of use for many jobs, and after a longer while in any case."""
    clock, wanted = Clock(), jobs("SparkBatch", MANY)
    looks = SharedLooks(client, wanted, (), now=clock, random_below=not_the_first)
    for job in wanted[:asked]:
        looks.seen(job)
    clock.now = seconds
    later = [looks.seen(job) for job in wanted[asked : asked + 4] or wanted[:4]]
    assert any(later)
    assert proxy.count("GET") == reads


def test_a_look_that_is_too_old_is_not_relied_on(
    client: Client, proxy: FaultProxy, emulator: Emulator
) -> None:
    """Where reading a long listing again takes more requests than the jobs since, each is looked up by itself."""
    fill(emulator.url, "SparkBatch", [f"other-{number}" for number in range(101)])
    clock, wanted = Clock(), jobs("SparkBatch", LEAST_JOBS)
    looks = SharedLooks(client, wanted, (), now=clock, random_below=not_the_first)
    assert any(looks.seen(job) for job in wanted[:2])
    clock.now = TOO_OLD - 1
    seen = [looks.seen(job) for job in wanted[2:7]]
    assert any(seen)
    clock.now = TOO_OLD
    reads = proxy.count("GET")
    assert any(looks.seen(job) for job in wanted[7:10])
    assert proxy.count("GET") == reads + 2
    clock.now = 3 * TOO_OLD
    assert looks.seen(wanted[11]) is None
