"""Ctrl-C and SIGTERM while something must not be left half done."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from deployer.clock import StopSignal


@contextmanager
def interruptible(stop_signal: StopSignal, work: str = "waiting for running requests") -> Iterator[None]:
    """Set `stop_signal` on the first SIGINT or SIGTERM; raises KeyboardInterrupt on the second.

    `work` is what the command finishes after the first one.
    """

    def handle(_number: int, _frame: object) -> None:
        if stop_signal:
            raise KeyboardInterrupt
        stop_signal.set()
        # Not through the streams: the signal may interrupt a write to one of them.
        os.write(2, f"interrupted: {work}; press Ctrl-C again to exit now\n".encode())

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
