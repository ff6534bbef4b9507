"""Time and chance, which tests have their own of, so as not to sleep."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`monotonic` measures, `utc` counts the seconds since 1970, `chance` is from 0 to 1."""

    monotonic: Callable[[], float] = time.monotonic
    utc: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
