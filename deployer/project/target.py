"""A target of deployer.yaml and its request settings: rate limit, retries and polling."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.errors import Problem, UsageError
from deployer.model import Document, Location
from deployer.project.regions import KNOWN, of_region, unknown_region
from deployer.secrets.store import SecretSource

# First and longest pause between two requests for a state.
FIRST_SECONDS = 0.25
LONGEST_SECONDS = 3600.0

_DURATION = re.compile(r"([0-9]+)([smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Retry:
    """The retry settings: `attempts` in total, `capacity_seconds` to wait for capacity."""

    attempts: int = 4
    capacity_seconds: float = 600


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate limit of one service.

    No limit is published for DLI and MRS. The default of the vendor's API gateway is documented as
    200 requests per second for each API, shared by all users of the account.
    """

    per_second: float = 50
    concurrent: int = 4


@dataclass(frozen=True, slots=True)
class Polling:
    """The polling settings, in seconds: the interval, and how long a listing may lag.

    The first polls are more frequent, as many changes complete quickly.
    """

    interval: float = 5.0
    consistency_delay: float = 10.0

    def confirm_delays(self) -> Iterator[float]:
        """Yield the pauses before each lookup of an expected job: none at first, then increasing."""
        yield 0.0
        left, pause = self.consistency_delay, FIRST_SECONDS
        while left > 0:
            pause = min(pause, left)
            yield pause
            left -= pause
            pause *= 2

    def poll_delays(self) -> Iterator[float]:
        """Yield the pauses between polls of a state."""
        pause = FIRST_SECONDS
        while True:
            yield min(pause, self.interval)
            pause = min(2 * pause, LONGEST_SECONDS)


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment target. `auth` is the authentication method, empty to detect it from the environment.

    `variable` names the environment variable with the token, `ca_file` is relative to the project. `defaults`
    are those of the project and the target, by kind, `default_layers` the same ones apart, and `removable` those of all
    targets; `secrets` are the
    sources of the secrets. `region_at` is the location of a region that is unknown for some service.
    """

    name: str
    emulator: bool = False
    region: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    project_id: str = ""
    auth: str = ""
    variable: str = ""
    ca_file: str = ""
    rate: Rate = field(default_factory=Rate)
    retry: Retry = field(default_factory=Retry)
    polling: Polling = field(default_factory=Polling)
    values: tuple[str, ...] = ()
    clusters: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    protected: bool = False
    defaults: Mapping[str, Document] = field(default_factory=dict)
    removable: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    default_layers: Mapping[str, tuple[Document | None, Document | None]] = field(default_factory=dict)
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    region_at: Location | None = None

    def region_problem(self, services: Iterable[str]) -> Problem | None:
        """Return a warning if the region is not known to have the services, or all services if none is given.

        Services with an endpoint of their own do not matter.
        """
        if self.region_at is None:
            return None
        by_region = {*services} or {*KNOWN}
        return unknown_region(self.region, by_region - {*self.endpoints}, self.region_at)

    def endpoint(self, service: str) -> str:
        """Return the base URL of a service; raises UsageError without endpoint and region."""
        if service in self.endpoints:
            return self.endpoints[service].rstrip("/")
        if not self.region:
            raise UsageError(f"target '{self.name}' has no region and no endpoint for {service}")
        return of_region(service, self.region)


UNLIMITED = Rate(math.inf, 1000)
# The built-in emulator is consistent immediately.
EMULATED = Polling(interval=0.2, consistency_delay=0)


def seconds(duration: str) -> float:
    """Convert a duration such as `30m`; raises ValueError for anything else, which the schema excludes."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is not a duration")
    return int(match[1]) * _UNITS[match[2]]
