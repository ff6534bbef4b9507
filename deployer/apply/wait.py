"""Waiting for a job to come to a state, and for a service to show what it was told."""

from __future__ import annotations

import time
from collections.abc import Callable

from deployer.clock import Halt
from deployer.kinds import KINDS
from deployer.model import ENOUGH, LiveJob, Until
from deployer.project.target import Patience


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


def is_so_far(live: LiveJob, until: Until) -> bool:
    """Whether a live job has come as far as somebody waits for."""
    starting = live.state.casefold() in KINDS[live.identity.kind].starting
    return live.phase in ENOUGH[until] and not (starting and until is Until.RUNNING)
