"""A client whose clock moves when it sleeps, and the responses of its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from deployer.clock import Clock
from deployer.cloud.auth import sign_in
from deployer.cloud.client import Client
from deployer.cloud.credentials import find
from deployer.cloud.transport import Transport
from deployer.emulator import Emulator
from deployer.project.target import Rate, Retry, Target
from testing.faults import FaultProxy


@dataclass
class Time:
    """Seconds since 1970. `chance` decides how long waits are inside their limits: 1 is the longest."""

    now: float = 1_720_000_000.0  # 2024-07-03T09:46:40Z
    chance: float = 1.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, self.sleep, lambda: self.chance)

    def date(self, ahead: float = 0) -> dict[str, str]:
        """A Date header."""
        return {"Date": format_datetime(datetime.fromtimestamp(self.now + ahead, UTC), usegmt=True)}


def connected(
    server: FaultProxy | Emulator,
    time: Time,
    environment: Mapping[str, str],
    *,
    retry: Retry | None = None,
    rate: Rate | None = None,
    note: Callable[[str], object] = str,
    before_write: Callable[[], object] = lambda: None,
    **target: Any,
) -> Client:
    """A client for a target whose every endpoint is `server`."""
    endpoints = dict.fromkeys(("dli", "mrs", "iam"), server.url)
    to = Target("test", endpoints=endpoints, **{"project_id": "pid", "region": "cn-north-4", **target})
    found = find(to, environment)
    transport = Transport(
        scrub=found.scrubber(),
        rate=rate,
        retry=retry,
        clock=time.clock,
        note=note,
        before_write=before_write,
    )
    return Client(to, sign_in(to, found, transport), transport)
