"""Requests of earlier runs whose outcome is unknown, against a later plan: what happened to them, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from deployer.apply.history import History, Intent, deleted_ids
from deployer.apply.journal import outcome_record, record_line
from deployer.clock import utc_text
from deployer.model import Action, Change, Live, Plan, Result, Step

# The results of requests of a run that died, as a later run found the job.
FOUND = "found"
NOT_FOUND = "not found"

# A second request of these does the work twice; the others can be repeated.
_NOT_REPEATABLE = {Step.CREATE, Step.START}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a later plan shows of a request. `result` is FOUND or NOT_FOUND, `id` the job's."""

    intent: Intent
    result: str
    id: str
    message: str


def explained(plan: Plan, intents: Iterable[Intent], now: datetime) -> Plan:
    """Return the plan with the reason why a job is submitted although an earlier run may have done so."""
    earlier = {(intent.identity, intent.call): intent for intent in intents if intent.call in _NOT_REPEATABLE}

    def words(change: Change) -> str:
        found = (earlier.get((change.job.identity, str(step))) for step in change.steps)
        intent = next(filter(None, found), None)
        return _attempt(intent, now) if intent else ""

    return _with_reasons(plan, words) if earlier else plan


def unlisted(plan: Plan, live: Live, history: History) -> Plan:
    """Return the plan with the reason of jobs that an earlier run submitted, and that are no longer listed."""
    expected = {job.id for job in live.jobs} | deleted_ids(history, plan.target)
    submitted = {
        intent.identity: intent
        for intent in history.intents
        if intent.call == Step.CREATE
        and intent.result in {Result.DONE, FOUND}
        and intent.target == plan.target
    }

    def words(change: Change) -> str:
        intent = submitted.get(change.job.identity) if Step.CREATE in change.steps else None
        if intent is None or not intent.id or intent.id in expected:
            return ""
        time = intent.ended or intent.time
        return f"run {intent.run} submitted it as {intent.id} at {utc_text(time)}, which is not listed"

    return _with_reasons(plan, words) if submitted else plan


def _with_reasons(plan: Plan, words: Callable[[Change], str]) -> Plan:
    """Return the plan with more words in the reasons of the changes for which there are some."""
    changes = tuple(
        replace(change, reason=f"{change.reason}; {added}") if (added := words(change)) else change
        for change in plan.changes
    )
    return replace(plan, changes=changes)


def _attempt(intent: Intent, now: datetime) -> str:
    verb = "submitted" if intent.call == Step.CREATE else "started"
    missing = "is not listed" if intent.call == Step.CREATE else "is not running"
    how = "the outcome is unknown" if intent.result else "did not record the outcome"
    age = (now - intent.time).total_seconds()
    later = f" {age:.0f} s later" if 0 < age < 3600 else ""
    return f"run {intent.run} may have {verb} it at {utc_text(intent.time)}, and {how}; it {missing}{later}"


def findings(plan: Plan, intents: Iterable[Intent]) -> Iterator[Finding]:
    """Yield what the plan shows of requests; nothing of those whose job it does not compare."""
    changes = {change.job.identity: change for change in plan.changes if change.action is not Action.BLOCKED}
    for intent in intents:
        if change := changes.get(intent.identity):
            yield _finding(intent, change)


def _finding(intent: Intent, change: Change) -> Finding:
    live = change.live
    # A planned create has the id of the run before it.
    is_missing = intent.call == Step.CREATE and (live is None or live.id == intent.id)
    if intent.call in change.steps or is_missing:
        message = "not listed" if intent.call == Step.CREATE else "still to be done"
        return Finding(intent, NOT_FOUND, "", message)
    state = f"{live.state}" if live else "no longer exists"
    return Finding(intent, FOUND, live.id if live else "", state)


def found_line(intent: Intent, result: str, id: str, message: str, by: str) -> bytes:  # noqa: A002
    """Return the outcome of another run's request as the run `by` found it, a line for the journal of that run."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return record_line({**outcome_record(intent.run, intent.number, time, result, id, message), "by": by})
