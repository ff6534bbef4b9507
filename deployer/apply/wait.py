"""Waiting for a job to reach a state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from deployer.apply.context import ChangeContext
from deployer.clock import StopSignal
from deployer.errors import RequestFailed
from deployer.kinds import KINDS
from deployer.model import REACHED_PHASES, LiveJob, Phase, Until
from deployer.project.target import Polling, seconds

# A test of a job as a look shows it; None is one that is gone.
Condition = Callable[[LiveJob | None], bool]


@dataclass(frozen=True, slots=True)
class FinalLook:
    """The last look of a wait, and whether it shows what was waited for."""

    live: LiveJob | None
    reached: bool


def state_of(live: LiveJob | None) -> str:
    """Return the state of a job in the service's words, for a message."""
    return live.state if live else "gone"


def wait_until(
    look: Callable[[], LiveJob | None],
    condition: Condition,
    polling: Polling,
    stop_signal: StopSignal,
    timeout: float,
) -> FinalLook:
    """Look until `condition` holds, or `timeout` seconds have passed. Raises ApiError and Interrupted."""
    end = time.monotonic() + timeout
    for pause in polling.poll_delays():
        live = look()
        if condition(live):
            return FinalLook(live, reached=True)
        if (left := end - time.monotonic()) <= 0:
            break
        stop_signal.sleep(min(pause, left))
    return FinalLook(live, reached=False)


def wait_for(
    context: ChangeContext, condition: Condition, goal: str, before: Phase | None = None
) -> LiveJob | None:
    """Wait for the job as long as its manifest says; raises Refused where that is too short, and ApiError.

    Until the settling delay is over, a look that shows it in the phase `before` may be an old one.
    """
    consistent_at = time.monotonic() + context.shared.polling.consistency_delay

    def is_reached(live: LiveJob | None) -> bool:
        lags = live is not None and live.phase is before and time.monotonic() < consistent_at
        return not lags and condition(live)

    shared, timeout = context.shared, context.job.lifecycle.timeout
    identifier = context.progress.id or (context.change.live.id if context.change.live else "")
    shared.say(f"{context.job.identity}: waiting for {identifier} {goal}")
    look: Callable[[], LiveJob | None] = lambda: context.look(identifier)  # noqa: E731
    final = wait_until(look, is_reached, shared.polling, shared.stop_signal, seconds(timeout))
    if not final.reached:
        raise RequestFailed(f"waited {timeout} for {identifier} {goal}; it is {state_of(final.live)}")
    return final.live


def has_reached(live: LiveJob, until: Until) -> bool:
    """Tell whether a live job is as far as `until` asks; one that its API calls "starting" is not running."""
    starting = live.state.casefold() in KINDS[live.identity.kind].starting
    return live.phase in REACHED_PHASES[until] and not (starting and until is Until.RUNNING)
