"""Waiting for a job to reach a state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from deployer.apply.context import ChangeContext
from deployer.clock import StopSignal
from deployer.cloud.client import Client
from deployer.errors import ApiError, RequestFailed
from deployer.kinds import KINDS
from deployer.model import REACHED_PHASES, Job, LiveJob, Phase, Until
from deployer.project.target import Polling, seconds
from deployer.secrets.redact import redacted
from deployer.secrets.store import Secrets

# The number of log lines of a failed job in its outcome.
LOG_LINES = 10

# A condition on a live job; None is a job that does not exist.
Condition = Callable[[LiveJob | None], bool]


@dataclass(frozen=True, slots=True)
class WaitEnd:
    """The live job at the end of a wait, and whether the condition was met."""

    live: LiveJob | None
    reached: bool


def state_of(live: LiveJob | None) -> str:
    """Return the state of a job as the service names it, for a message."""
    return live.state if live else "no longer exists"


def condition_of(live: LiveJob | None) -> str:
    """Return the state of a job as the end of a sentence: `has failed (dead)`."""
    return live.condition if live else "no longer exists"


def wait_until(
    read: Callable[[], LiveJob | None],
    condition: Condition,
    polling: Polling,
    stop_signal: StopSignal,
    timeout: float,
) -> WaitEnd:
    """Poll until `condition` is met, or `timeout` seconds have passed. Raises ApiError and Interrupted."""
    end = time.monotonic() + timeout
    for pause in polling.poll_delays():
        live = read()
        if condition(live):
            return WaitEnd(live, reached=True)
        if (left := end - time.monotonic()) <= 0:
            break
        stop_signal.sleep(min(pause, left))
    return WaitEnd(live, reached=False)


def wait_for(
    context: ChangeContext, condition: Condition, goal: str, before: Phase | None = None
) -> LiveJob | None:
    """Wait for the job until the timeout in its manifest; raises RequestFailed after that, and ApiError.

    During the consistency delay, a job that is still in the phase `before` may be an outdated result.
    """
    consistent_at = time.monotonic() + context.shared.polling.consistency_delay

    def is_reached(live: LiveJob | None) -> bool:
        lags = live is not None and live.phase is before and time.monotonic() < consistent_at
        return not lags and condition(live)

    shared, timeout = context.shared, context.job.lifecycle.timeout
    identifier = context.progress.id or (context.change.live.id if context.change.live else "")
    shared.report(f"{context.job.identity}: waiting for job {identifier} {goal}")
    read: Callable[[], LiveJob | None] = lambda: context.read_job(identifier)  # noqa: E731
    final = wait_until(read, is_reached, shared.polling, shared.stop_signal, seconds(timeout))
    if not final.reached:
        raise RequestFailed(
            f"timed out after {timeout} waiting for job {identifier} {goal}; state: {state_of(final.live)}"
        )
    return final.live


def has_reached(live: LiveJob, until: Until) -> bool:
    """Return whether a live job has reached `until`; one that its API calls "starting" is not running."""
    starting = live.state.casefold() in KINDS[live.identity.kind].starting
    return live.phase in REACHED_PHASES[until] and not (starting and until is Until.RUNNING)


def end_of_log(client: Client, secrets: Secrets, job: Job, identifier: str) -> tuple[str, ...]:
    """Return the last lines of the log of a job that failed, if its API provides them."""
    kind = KINDS[job.kind]
    if not kind.operations.log:
        return ()
    try:
        page = client.log(kind, identifier, kind.path_values(job.spec), start=-LOG_LINES, size=LOG_LINES)
    except ApiError as error:
        return (f"cannot read the log: {error}",)
    return tuple(redacted(secrets.scrubbed(line)) for line in page.lines)
