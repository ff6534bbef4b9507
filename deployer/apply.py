"""Plan -> Outcomes: the calls that were planned, and no others.

Every call is sent once. Where its answer is lost, the listing is read again: an id that was not there before,
under the same name and with the same content, is the job. Anything else is an unknown outcome, and is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from deployer.client import Client
from deployer.diff import compare
from deployer.errors import AnswerLost, ApiError, DeployerError
from deployer.kinds import KINDS
from deployer.model import Action, Change, Identity, Job, Live, LiveJob, Outcome, Phase, Plan, Result, State
from deployer.observe import list_beside
from deployer.secrets import Secrets


@dataclass(frozen=True, slots=True)
class _Sent:
    """A job that now exists, and what there is to say about how we know."""

    id: str
    message: str


class _Unknown(DeployerError):
    """It cannot be told whether a call was carried out."""


class _Interrupted(KeyboardInterrupt):
    """An interrupt after which something is known all the same."""

    def __init__(self, sent: _Sent) -> None:
        super().__init__()
        self.sent = sent


def apply(client: Client, plan: Plan, live: Live, secrets: Secrets) -> Iterator[Outcome]:
    """Carries out `plan`, which was made from `live`, one change after the other, yielding each outcome.

    The secrets of a job are filled in when it is sent, and taken out of what is said about it.

    An interrupt ends it: the change in flight is unknown, and what follows is not started.
    """
    known = {one.id for one in live.jobs}
    results: dict[Identity, Result] = {}
    for change in plan.steps:
        if reason := _unmet(change.job, results):
            outcome = Outcome(change, Result.SKIPPED, reason)
        else:
            try:
                outcome = _carry_out(client, change, known, secrets)
            except KeyboardInterrupt as stop:
                sent = stop.sent if isinstance(stop, _Interrupted) else _Sent("", "")
                message = "interrupted while its call was under way; plan shows what came of it"
                yield Outcome(change, Result.UNKNOWN, _join(sent.message, message), sent.id)
                raise
        results[change.job.identity] = outcome.result
        yield replace(outcome, message=secrets.scrubbed(outcome.message))


def _unmet(job: Job, results: Mapping[Identity, Result]) -> str:
    for dependency in job.depends_on:
        result = results.get(dependency.identity, Result.DONE)
        if result is not Result.DONE:
            return f"it depends on {dependency.identity.name}, whose outcome is: {result}"
    return ""


def _carry_out(client: Client, change: Change, known: set[str], secrets: Secrets) -> Outcome:
    """One change: what is not there is created, and what does not run by itself is started."""
    job = change.job
    sent = _Sent("", "")
    before = Phase.DRAFT
    try:
        if change.action is Action.START and change.live:
            sent, before = _Sent(change.live.id, ""), change.live.phase
        else:
            sent = _create(client, job, known, secrets)
        message = sent.message
        if KINDS[job.kind].start and job.lifecycle.state is State.RUNNING:
            message = _join(sent.message, _start(client, job, sent, before))
    except _Unknown as error:
        return Outcome(change, Result.UNKNOWN, _join(sent.message, str(error)), sent.id)
    except DeployerError as error:
        words = f"but not started: {error}" if sent.message else str(error)
        return Outcome(change, Result.FAILED, _join(sent.message, words), sent.id)
    return Outcome(change, Result.DONE, message, sent.id)


def _join(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _create(client: Client, job: Job, known: set[str], secrets: Secrets) -> _Sent:
    """Sends the job once; where the answer is lost, looks for it. Raises DeployerError or _Unknown."""
    kind = KINDS[job.kind]
    word = "created" if kind.start else "submitted"
    try:
        return _Sent(client.create(kind, job.name, secrets.filled(job.spec)), word)
    except AnswerLost as error:
        listed = _look(client, job, error)
        new = [one for one in listed if one.identity == job.identity and one.id not in known]
        same = [one for one in new if _is_same(one, job)]
        if len(same) == 1:
            return _Sent(same[0].id, f"{word} (its answer was lost; found in the listing)")
        found = f"may be {' or '.join(one.id for one in new)}" if new else "is not listed (yet)"
        raise _Unknown(f"{error}; whether it was carried out is not known: the job {found}") from None


def _start(client: Client, job: Job, sent: _Sent, before: Phase) -> str:
    """Runs a job; where the answer is lost, looks whether it left its phase. Raises ApiError or _Unknown."""
    try:
        client.start(KINDS[job.kind], sent.id)
    except KeyboardInterrupt:
        raise _Interrupted(sent) from None
    except AnswerLost as error:
        if any(one.id == sent.id and one.phase is not before for one in _look(client, job, error)):
            return "started (its answer was lost; the listing shows that it left its state)"
        raise _Unknown(f"{error}; whether it was started is not known") from None
    return "started"


def _look(client: Client, job: Job, error: AnswerLost) -> list[LiveJob]:
    try:
        return list_beside(client, job)
    except ApiError as again:
        raise _Unknown(f"{error}; and the listing cannot be read: {again}") from None


def _is_same(live: LiveJob, job: Job) -> bool:
    kind = KINDS[job.kind]
    return live.spec is not None and not compare(kind.rows, live.spec, kind.expect(job.spec), live.unlisted)
