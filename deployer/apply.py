"""Plan -> Outcomes: the calls that were planned, and no others.

A create is sent once. Where its answer is lost, the listing is read again: an id that was not there before,
under the same name and with the same content, is the job. Anything else is an unknown outcome, and is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deployer.client import Client
from deployer.diff import compare
from deployer.errors import AnswerLost, ApiError, DeployerError
from deployer.kinds import KINDS
from deployer.model import Action, Change, Identity, Job, Live, LiveJob, Outcome, Plan, Result, State
from deployer.observe import list_beside


@dataclass(frozen=True, slots=True)
class _Sent:
    """A job that now exists, and what there is to say about how we know."""

    id: str
    message: str


class _Unknown(DeployerError):
    """It cannot be told whether the job exists."""


def apply(client: Client, plan: Plan, live: Live) -> Iterator[Outcome]:
    """Carries out `plan`, which was made from `live`, one change after the other, yielding each outcome.

    An interrupt ends it: the change in flight is unknown, and what follows is not started.
    """
    known = {one.id for one in live.jobs}
    results: dict[Identity, Result] = {}
    for change in plan.pending:
        if change.action is Action.BLOCKED:
            continue
        if reason := _unmet(change.job, results):
            outcome = Outcome(change, Result.SKIPPED, reason)
        else:
            try:
                outcome = _carry_out(client, change, known)
            except KeyboardInterrupt:
                message = (
                    "interrupted while its call was under way; look at the listing before applying again"
                )
                yield Outcome(change, Result.UNKNOWN, message)
                raise
        results[change.job.identity] = outcome.result
        yield outcome


def _unmet(job: Job, results: Mapping[Identity, Result]) -> str:
    for dependency in job.depends_on:
        result = results.get(dependency.identity, Result.DONE)
        if result is not Result.DONE:
            return f"it depends on {dependency.identity.name}, whose outcome is: {result}"
    return ""


def _carry_out(client: Client, change: Change, known: set[str]) -> Outcome:
    job = change.job
    kind = KINDS[job.kind]
    sent = _Sent("", "")
    try:
        if change.action is Action.START and change.live:
            sent = _Sent(change.live.id, "started")
            client.start(kind, change.live.id)
            return Outcome(change, Result.DONE, sent.message, sent.id)
        sent = _create(client, job, known)
        if kind.start and job.lifecycle.state is State.RUNNING:
            client.start(kind, sent.id)
            return Outcome(change, Result.DONE, f"{sent.message}, started", sent.id)
    except (AnswerLost, _Unknown) as error:
        return Outcome(change, Result.UNKNOWN, str(error), sent.id)
    except ApiError as error:
        before = f"{sent.message}, but: " if sent.message == "created" else ""
        return Outcome(change, Result.FAILED, f"{before}{error}", sent.id)
    return Outcome(change, Result.DONE, sent.message, sent.id)


def _create(client: Client, job: Job, known: set[str]) -> _Sent:
    """Sends the job once; where the answer is lost, looks for it. Raises ApiError or _Unknown."""
    kind = KINDS[job.kind]
    word = "created" if kind.start else "submitted"
    try:
        return _Sent(client.create(kind, job.name, job.spec), word)
    except AnswerLost as error:
        try:
            candidates = [one for one in list_beside(client, job) if _may_be(one, job, known)]
        except ApiError as again:
            raise _Unknown(f"{error}; and the listing cannot be read: {again}") from None
        if len(candidates) == 1:
            return _Sent(candidates[0].id, f"{word} (its answer was lost; found in the listing)")
        found = (
            f"may be one of: {', '.join(one.id for one in candidates)}"
            if candidates
            else "is not listed (yet)"
        )
        raise _Unknown(f"{error}; whether it was carried out is not known: the job {found}") from None


def _may_be(live: LiveJob, job: Job, known: set[str]) -> bool:
    if live.identity != job.identity or live.id in known:
        return False
    kind = KINDS[job.kind]
    return live.spec is not None and not compare(kind.rows, live.spec, kind.expect(job.spec), live.unlisted)
