"""Time and chance, which tests have their own of, so as not to sleep."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from deployer.errors import Interrupted


@dataclass(frozen=True, slots=True)
class Clock:
    """`monotonic` measures, `utc` counts the seconds since 1970, `chance` is from 0 to 1."""

    monotonic: Callable[[], float] = time.monotonic
    utc: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


class StopSignal:
    """The stop signal of the first interrupt: running requests finish, waits end, nothing new starts."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises Interrupted where it is set."""
        if self:
            raise Interrupted("interrupted")

    def sleep(self, pause: float) -> None:
        """Sleeps unless it is set; raises Interrupted as soon as it is."""
        if self._event.wait(pause) or self:
            raise Interrupted("interrupted")
