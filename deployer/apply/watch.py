"""Waiting for several jobs at once: one look at each that is not so far yet, then a pause, and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployer.apply.wait import is_so_far
from deployer.cloud.client import Client
from deployer.cloud.observe import look_at
from deployer.errors import ApiError
from deployer.kinds import KINDS
from deployer.model import ENDED_BADLY, Identity, Job, LiveJob, Phase, Result, Until

_WORDS: Mapping[Until, str] = {Until.RUNNING: "runs", Until.SUCCEEDED: "has succeeded"}


@dataclass(frozen=True, slots=True)
class Awaited:
    """A job and its run that is waited for, None where there is none; how far, and for how many seconds."""

    job: Job
    live: LiveJob | None
    until: Until
    longest: float
    patience: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of waiting for one job: DONE, FAILED or TIMED_OUT."""

    identity: Identity
    result: Result
    message: str
    id: str = ""


def look(client: Client, job: Job, live: LiveJob) -> LiveJob | None:
    """The run as it is now, None where it is gone; raises ApiError."""
    return look_at(client, live.identity, live.id, KINDS[job.kind].path_values(job.spec))


def watch(
    client: Client, awaited: Sequence[Awaited], poll: float, say: Callable[[str], object] = str
) -> Iterator[Arrival]:
    """Waits for all of them, and yields what came of each, in their order.

    `say` is told what is waited for.
    """
    ended: dict[Identity, Arrival] = {}
    latest: dict[Identity, LiveJob | None] = {one.job.identity: one.live for one in awaited}
    begun = time.monotonic()
    for one in awaited:
        if one.live and not _arrival(one, one.live, 0.0):
            say(f"{one.job.identity}: waiting until {one.live.id} {_WORDS[one.until]}")
    left = list(awaited)
    order = iter(awaited)
    first = next(order, None)
    while left:
        for one in left:
            if arrival := _arrival(one, latest[one.job.identity], time.monotonic() - begun):
                ended[one.job.identity] = arrival
        left = [one for one in left if one.job.identity not in ended]
        while first and first.job.identity in ended:
            yield ended[first.job.identity]
            first = next(order, None)
        if left:
            passed = time.monotonic() - begun
            time.sleep(max(0.0, min(poll, *(one.longest - passed for one in left))))
            _look_again(client, left, latest, ended)
            left = [one for one in left if one.job.identity not in ended]
    while first:
        yield ended[first.job.identity]
        first = next(order, None)


def _look_again(
    client: Client,
    left: Sequence[Awaited],
    latest: dict[Identity, LiveJob | None],
    ended: dict[Identity, Arrival],
) -> None:
    for one in left:
        identity, live = one.job.identity, latest[one.job.identity]
        if live is None:
            continue
        try:
            latest[identity] = look(client, one.job, live)
        except ApiError as error:
            message = f"its state cannot be read: {error}"
            ended[identity] = Arrival(identity, Result.FAILED, message, live.id)


def _arrival(one: Awaited, live: LiveJob | None, passed: float) -> Arrival | None:
    """What came of it by the latest look; None while there is reason to wait."""
    identity, identifier = one.job.identity, one.live.id if one.live else ""
    if live is None:
        message = "it is gone" if one.live else "it is not deployed"
        return Arrival(identity, Result.FAILED, message, identifier)
    now = f"it is {live.state}"
    if is_so_far(live, one.until):
        return Arrival(identity, Result.DONE, now, identifier)
    if live.phase is Phase.DRAFT:
        return Arrival(identity, Result.FAILED, f"{now}: a draft that nobody has started", identifier)
    if live.phase in ENDED_BADLY:
        return Arrival(identity, Result.FAILED, now, identifier)
    if passed >= one.longest:
        message = f"after {one.patience} {now}, and goes on"
        return Arrival(identity, Result.TIMED_OUT, message, identifier)
    return None
