"""The decision whether and when a failed request is retried.

Not urllib3's Retry or tenacity: whether a request may be repeated depends on the error code in the body, on
whether the request writes, and on how long a service has had no capacity.
"""

from __future__ import annotations

from enum import Enum

from deployer.clock import Clock
from deployer.project.target import Retry

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
GIVE_UP_SECONDS = 300.0  # no retry after this time: a read can take two minutes to time out
FIRST_CAPACITY_SECONDS = 15.0


class Retryable(Enum):
    """The retryability of a failure."""

    NEVER = "a retry would fail in the same way"
    READ = "a read can be repeated; a write may have been executed"
    REFUSED = "nothing was executed; a retry may succeed"
    FULL = "nothing was executed: no capacity for another job"


class Backoff:
    """The backoff of one request. `full_since` is the time since which there is no capacity, if so."""

    def __init__(self, retry: Retry, clock: Clock, *, write: bool, full_since: float | None) -> None:
        self._retry = retry
        self._clock = clock
        self._write = write
        self._started = clock.monotonic()
        self._full_for = 0
        self.full_since = full_since
        self.attempts = 0

    def next_delay(self, retryable: Retryable, asked: float | None) -> float | None:
        """Return the seconds to wait before the next attempt; None to give up.

        `asked` is the delay that the service asks for.
        """
        if retryable is Retryable.FULL:
            return self._capacity_delay(asked or 0)
        self.attempts += 1
        now = self._clock.monotonic()
        if (
            retryable is Retryable.NEVER
            or (retryable is Retryable.READ and self._write)
            or self.attempts >= self._retry.attempts
            or now - self._started > GIVE_UP_SECONDS
            or (asked or 0) > LONGEST_SECONDS
        ):
            return None
        return max(asked or 0, self._spread(FIRST_SECONDS * 2 ** (self.attempts - 1)))

    def _capacity_delay(self, asked: float) -> float | None:
        """Return a longer delay for capacity, as jobs end in minutes; not counted as an attempt."""
        now = self._clock.monotonic()
        if self.full_since is None:
            self.full_since = now
        left = self.full_since + self._retry.capacity_seconds - now
        if left <= 0:
            return None
        self._full_for += 1
        wait = min(left, max(asked, self._spread(FIRST_CAPACITY_SECONDS * 2 ** (self._full_for - 1))))
        self._started += wait
        return wait

    def _spread(self, seconds: float) -> float:
        """Return half to all of `seconds`, so that rejected clients do not retry at the same time."""
        return min(seconds, LONGEST_SECONDS) * (0.5 + self._clock.chance() / 2)
