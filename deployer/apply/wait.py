"""Waiting for a job to come to a state, and for a service to show what it was told."""

from __future__ import annotations

import time
from collections.abc import Callable

from deployer.clock import StopSignal
from deployer.kinds import KINDS
from deployer.model import REACHED_PHASES, LiveJob, Until
from deployer.project.target import Polling


def wait_until(
    look: Callable[[], LiveJob | None],
    is_done: Callable[[LiveJob | None], bool],
    polling: Polling,
    stop_signal: StopSignal,
    timeout: float,
) -> tuple[LiveJob | None, bool]:
    """Polls until `there` is true; returns the last look, and whether it was.

    Raises ApiError, Interrupted.
    """
    end = time.monotonic() + timeout
    for pause in polling.poll_delays():
        live = look()
        if is_done(live):
            return live, True
        if (left := end - time.monotonic()) <= 0:
            break
        stop_signal.sleep(min(pause, left))
    return live, False


def has_reached(live: LiveJob, until: Until) -> bool:
    """Returns whether a live job has come as far as somebody waits for."""
    starting = live.state.casefold() in KINDS[live.identity.kind].starting
    return live.phase in REACHED_PHASES[until] and not (starting and until is Until.RUNNING)
