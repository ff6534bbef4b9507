"""Time and randomness, which tests replace so as not to sleep, and the signal that stops an apply."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from deployer.errors import Interrupted


@dataclass(frozen=True, slots=True)
class Clock:
    """A source of time and randomness: `utc` counts the seconds since 1970, `chance` is from 0 to 1."""

    monotonic: Callable[[], float] = time.monotonic
    utc: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


def utc_text(time: datetime) -> str:
    """Return a time in UTC for messages: `2024-07-03 09:46:40 UTC`."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


class StopSignal:
    """A flag set by the first interrupt: running requests complete, waits end at once, and no change is started."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Interrupted if it is set."""
        if self:
            raise Interrupted("interrupted")

    def sleep(self, pause: float) -> None:
        """Sleep; raise Interrupted as soon as it is set."""
        if self._event.wait(pause) or self:
            raise Interrupted("interrupted")
