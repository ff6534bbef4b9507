"""The rate limit: requests per second, and concurrent requests, per service."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deployer.clock import Clock
from deployer.project.target import Rate


class Throttle:
    """A rate limiter for the requests of one service, for any number of threads.

    After a pause, the requests of a whole second may be sent at once.
    """

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._between = 1 / rate.per_second
        self._ahead = max(0.0, 1 - self._between)
        self._clock = clock
        self._slots = threading.BoundedSemaphore(rate.concurrent)
        self._lock = threading.Lock()
        self._due = -math.inf  # when the next request would be sent if all were evenly spaced

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Wait until a request may be sent, and count it as running inside the context."""
        with self._slots:
            with self._lock:
                now = self._clock.monotonic()
                due = max(now, self._due)
                self._due = due + self._between
            if (wait := due - self._ahead - now) > 0:
                self._clock.sleep(wait)
            yield
