"""How often, and how many at a time, a service is called."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deployer.clock import Clock
from deployer.project.target import Rate


class Throttle:
    """A rate limiter for the requests of one service, for any number of threads.

    After a pause, those of a whole second may come at once.
    """

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._between = 1 / rate.per_second
        self._ahead = max(0.0, 1 - self._between)
        self._clock = clock
        self._slots = threading.BoundedSemaphore(rate.concurrent)
        self._lock = threading.Lock()
        self._due = -math.inf  # when the next call would come if all were evenly spaced

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Waits until a call may be sent, which it then is inside the context."""
        with self._slots:
            with self._lock:
                now = self._clock.monotonic()
                due = max(now, self._due)
                self._due = due + self._between
            if (wait := due - self._ahead - now) > 0:
                self._clock.sleep(wait)
            yield
