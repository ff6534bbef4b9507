"""A target of deployer.yaml and what it says of calls: their rate, retries and polling."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.errors import UsageError
from deployer.model import Document
from deployer.project.regions import of_region
from deployer.secrets.store import SecretSource

# Between two looks for a state, at first and at most.
FIRST_SECONDS = 0.25
LONGEST_SECONDS = 3600.0

_DURATION = re.compile(r"([0-9]+)([smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed calls are retried: `attempts` in all, `capacity_seconds` while a service has no capacity."""

    attempts: int = 4
    capacity_seconds: float = 600


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate limit of one service.

    No number is published for DLI and MRS. The default of the vendor's API gateway is said to be
    200 requests per second for each API, which all who use the account share.
    """

    per_second: float = 50
    concurrent: int = 4


@dataclass(frozen=True, slots=True)
class Polling:
    """The polling settings, in seconds: the interval, and how long a listing may lag.

    At first it is asked for more often: much is done in a moment.
    """

    interval: float = 5.0
    consistency_delay: float = 10.0

    def confirm_delays(self) -> Iterator[float]:
        """Yield the pauses before each look for something that should be there: at once, then ever longer."""
        yield 0.0
        left, pause = self.consistency_delay, FIRST_SECONDS
        while left > 0:
            pause = min(pause, left)
            yield pause
            left -= pause
            pause *= 2

    def poll_delays(self) -> Iterator[float]:
        """Yield the pauses between looks for something that takes its time."""
        pause = FIRST_SECONDS
        while True:
            yield min(pause, self.interval)
            pause = min(2 * pause, LONGEST_SECONDS)


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment target. `auth` is the authentication, empty to detect it from the environment.

    `variable` names the environment variable that holds the token, `ca_file` is a path from the project.
    `defaults` are those of the project and the target, by kind, and `removable` what any target has as
    such; `secrets` say where each one comes from.
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
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)

    def endpoint(self, service: str) -> str:
        """Return the base URL of a service; raises UsageError where there is neither endpoint nor region."""
        if service in self.endpoints:
            return self.endpoints[service].rstrip("/")
        if not self.region:
            raise UsageError(f"target '{self.name}' has no region and no endpoint for {service}")
        return of_region(service, self.region)


UNLIMITED = Rate(math.inf, 1000)
# The emulator in the command shows at once what it was told.
EMULATED = Polling(interval=0.2, consistency_delay=0)


def seconds(duration: str) -> float:
    """Convert a duration such as `30m`; raises ValueError for anything else, which no schema lets through."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is not a duration")
    return int(match[1]) * _UNITS[match[2]]
