"""Waiting for a job to come to a state, and for a service to show what it was told."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deployer.errors import Interrupted
from deployer.model import LiveJob

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 3600.0

_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([0-9]+)([smh])")


def seconds(duration: str) -> float:
    """`30m` in seconds; the schemas let nothing else through."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is not a duration")
    return int(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a state is asked for, and how long a listing may lag behind a write, in seconds.

    At first it is asked for more often: much is done in a moment.
    """

    poll: float = 5.0
    settle: float = 10.0

    def looks(self) -> Iterator[float]:
        """The pauses before each look for something that should be there: at once, then ever longer."""
        yield 0.0
        left, pause = self.settle, FIRST_SECONDS
        while left > 0:
            pause = min(pause, left)
            yield pause
            left -= pause
            pause *= 2

    def polls(self) -> Iterator[float]:
        """The pauses between looks for something that takes its time."""
        pause = FIRST_SECONDS
        while True:
            yield min(pause, self.poll)
            pause = min(2 * pause, LONGEST_SECONDS)


class Halt:
    """Set by the first interrupt: calls in flight end, every wait ends at once, and nothing new begins."""

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


def wait_until(
    look: Callable[[], LiveJob | None],
    there: Callable[[LiveJob | None], bool],
    patience: Patience,
    halt: Halt,
    longest: float,
) -> tuple[LiveJob | None, bool]:
    """Looks until `there` says so: the last look, and whether it did. Raises ApiError and Interrupted."""
    end = time.monotonic() + longest
    for pause in patience.polls():
        live = look()
        if there(live):
            return live, True
        if (left := end - time.monotonic()) <= 0:
            break
        halt.sleep(min(pause, left))
    return live, False
