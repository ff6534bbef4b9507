"""Waiting for several jobs at once: one look at each that is not so far yet, then a pause, and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployer.apply.wait import has_reached
from deployer.cloud.client import Client
from deployer.cloud.observe import get_live_job
from deployer.errors import ApiError
from deployer.kinds import KINDS
from deployer.model import FAILED_PHASES, Identity, Job, LiveJob, Phase, Result, Until

_WORDS: Mapping[Until, str] = {Until.RUNNING: "runs", Until.SUCCEEDED: "has succeeded"}


@dataclass(frozen=True, slots=True)
class WaitRequest:
    """A job to wait for and its run, if any; the state to reach, and the timeout in seconds."""

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
    """Returns the current state of the run, None if it no longer exists; raises ApiError."""
    return get_live_job(client, live.identity, live.id, KINDS[job.kind].path_values(job.spec))


def watch(
    client: Client, awaited: Sequence[WaitRequest], interval: float, say: Callable[[str], object] = str
) -> Iterator[WaitResult]:
    """Waits for all requests, and yields their results in order.

    `say` is told what is waited for.
    """
    ended: dict[Identity, WaitResult] = {}
    latest: dict[Identity, LiveJob | None] = {request.job.identity: request.live for request in awaited}
    begun = time.monotonic()
    for request in awaited:
        if request.live and not _result(request, request.live, 0.0):
            say(f"{request.job.identity}: waiting until {request.live.id} {_WORDS[request.until]}")
    left = list(awaited)
    order = iter(awaited)
    first = next(order, None)
    while left:
        for request in left:
            if arrival := _result(request, latest[request.job.identity], time.monotonic() - begun):
                ended[request.job.identity] = arrival
        left = [request for request in left if request.job.identity not in ended]
        while first and first.job.identity in ended:
            yield ended[first.job.identity]
            first = next(order, None)
        if left:
            passed = time.monotonic() - begun
            time.sleep(max(0.0, min(interval, *(request.timeout_seconds - passed for request in left))))
            _refresh(client, left, latest, ended)
            left = [request for request in left if request.job.identity not in ended]
    while first:
        yield ended[first.job.identity]
        first = next(order, None)


def _refresh(
    client: Client,
    left: Sequence[WaitRequest],
    latest: dict[Identity, LiveJob | None],
    ended: dict[Identity, WaitResult],
) -> None:
    for request in left:
        identity, live = request.job.identity, latest[request.job.identity]
        if live is None:
            continue
        try:
            latest[identity] = get_run(client, request.job, live)
        except ApiError as error:
            message = f"its state cannot be read: {error}"
            ended[identity] = WaitResult(identity, Result.FAILED, message, live.id)


def _result(request: WaitRequest, live: LiveJob | None, passed: float) -> WaitResult | None:
    """Returns the result by the latest state; None while there is reason to wait."""
    identity, identifier = request.job.identity, request.live.id if request.live else ""
    if live is None:
        message = "it is gone" if request.live else "it is not deployed"
        return WaitResult(identity, Result.FAILED, message, identifier)
    now = f"it is {live.state}"
    if has_reached(live, request.until):
        return WaitResult(identity, Result.DONE, now, identifier)
    if live.phase is Phase.DRAFT:
        return WaitResult(identity, Result.FAILED, f"{now}: a draft that nobody has started", identifier)
    if live.phase in FAILED_PHASES:
        return WaitResult(identity, Result.FAILED, now, identifier)
    if passed >= request.timeout_seconds:
        message = f"after {request.timeout} {now}, and goes on"
        return WaitResult(identity, Result.TIMED_OUT, message, identifier)
    return None
