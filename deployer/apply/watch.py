"""Waiting for several jobs at once: reads each unfinished one, pauses, and repeats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from deployer.apply.wait import has_reached
from deployer.cloud.client import Client
from deployer.cloud.observe import get_live_job
from deployer.errors import ApiError
from deployer.kinds.former import path_values
from deployer.model import FAILED_PHASES, UNTIL_WORDS, Identity, Job, LiveJob, Phase, Result, Until


@dataclass(frozen=True, slots=True)
class WaitRequest:
    """A job to wait for; `live` is None if it has no run.

    `timeout` is the timeout as the user specified it, `timeout_seconds` the same in seconds.
    """

    job: Job
    live: LiveJob | None
    until: Until
    timeout_seconds: float
    timeout: str


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The result of waiting for one job: DONE, FAILED or TIMED_OUT."""

    identity: Identity
    result: Result
    message: str
    id: str = ""


def get_run(client: Client, job: Job, live: LiveJob) -> LiveJob | None:
    """Read the current run, None if it no longer exists; raises ApiError."""
    return get_live_job(client, live.identity, live.id, path_values(job, live.identity))


def watch(
    client: Client, awaited: Sequence[WaitRequest], interval: float, report: Callable[[str], object] = str
) -> Iterator[WaitResult]:
    """Wait for all jobs, and yield the results in their order. `report` receives messages about waiting."""
    results: dict[Identity, WaitResult] = {}
    latest: dict[Identity, LiveJob | None] = {wanted.job.identity: wanted.live for wanted in awaited}
    started = time.monotonic()
    for wanted in awaited:
        if wanted.live and not _result(wanted, wanted.live, 0.0):
            report(f"{wanted.job.identity}: waiting until {wanted.live.id} {UNTIL_WORDS[wanted.until]}")
    left = list(awaited)
    order = iter(awaited)
    first = next(order, None)
    while left:
        for wanted in left:
            if result := _result(wanted, latest[wanted.job.identity], time.monotonic() - started):
                results[wanted.job.identity] = result
        left = [wanted for wanted in left if wanted.job.identity not in results]
        while first and first.job.identity in results:
            yield results[first.job.identity]
            first = next(order, None)
        if left:
            passed = time.monotonic() - started
            time.sleep(max(0.0, min(interval, *(wanted.timeout_seconds - passed for wanted in left))))
            _refresh(client, left, latest, results)
            left = [wanted for wanted in left if wanted.job.identity not in results]
    while first:
        yield results[first.job.identity]
        first = next(order, None)


def _refresh(
    client: Client,
    left: Sequence[WaitRequest],
    latest: dict[Identity, LiveJob | None],
    results: dict[Identity, WaitResult],
) -> None:
    """Update `latest`; a job that cannot be read gets its result."""
    for wanted in left:
        identity, live = wanted.job.identity, latest[wanted.job.identity]
        if live is None:
            continue
        try:
            latest[identity] = get_run(client, wanted.job, live)
        except ApiError as error:
            message = f"cannot read the state: {error}"
            results[identity] = WaitResult(identity, Result.FAILED, message, live.id)


def _result(wanted: WaitRequest, live: LiveJob | None, passed: float) -> WaitResult | None:
    """Return the result from the latest read, None while the wait continues."""
    identity, identifier = wanted.job.identity, wanted.live.id if wanted.live else ""
    if live is None:
        none = "no run with these values is known" if identity.run else "not deployed"
        message = "no longer exists" if wanted.live else none
        return WaitResult(identity, Result.FAILED, message, identifier)
    state = live.state
    if has_reached(live, wanted.until):
        return WaitResult(identity, Result.DONE, state, identifier)
    if live.phase is Phase.DRAFT:
        return WaitResult(identity, Result.FAILED, f"{state}: a draft, never started", identifier)
    if live.phase in FAILED_PHASES:
        return WaitResult(identity, Result.FAILED, state, identifier)
    if passed >= wanted.timeout_seconds:
        message = f"still {state} after {wanted.timeout}; it was not cancelled"
        return WaitResult(identity, Result.TIMED_OUT, message, identifier)
    return None
