"""Sending write requests: each is recorded in the journal, sent, and confirmed if its response is lost.

An error of the service is treated like a lost response if the request may have been executed in spite of it.
A write that must not be executed twice is sent once. The others are sent a second time if there was no response and
reading the job does not show that the first request was executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployer.apply.context import ChangeContext
from deployer.apply.wait import Condition
from deployer.errors import ApiError, DeployerError, Interrupted, NotSent, RequestFailed, ResponseLost
from deployer.model import Result, Step


class OutcomeUnknown(DeployerError):
    """The outcome of a write is unknown: it may have been executed, `in_spite_of_error` or without a response."""

    def __init__(self, message: str, *, in_spite_of_error: bool = False) -> None:
        super().__init__(message)
        self.in_spite_of_error = in_spite_of_error


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence from one read about a write that may have been executed.

    `id` is that of its job if the read proves the execution, else empty. `candidates` are the ids of jobs that
    it may have created, if none is certain: another read would not help. `error` is the error of the read.
    """

    id: str = ""
    candidates: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """A request that changes something.

    `send` returns the id of the created job, None if the job existed before; it raises ApiError. `confirm`
    reads once what the request has done, and raises ApiError. `repeatable`: it can be sent twice safely.
    `doubt` describes an unknown outcome, empty for the usual words.
    """

    step: Step
    send: Callable[[], str | None]
    confirm: Callable[[], Evidence]
    repeatable: bool = True
    doubt: Callable[[Evidence], str] = lambda _: ""


@dataclass(frozen=True, slots=True)
class Written:
    """A write that was executed, on the job `id`. `note` states how that was confirmed, if it had to be."""

    id: str
    note: str = ""
    is_response_lost: bool = False
    in_spite_of_error: bool = False


DONE_WORDS: Mapping[Step, str] = {
    Step.CREATE: "submitted",
    Step.CANCEL: "cancelled",
    Step.STOP: "stopped",
    Step.UPDATE: "updated",
    Step.START: "started",
    Step.DELETE: "deleted",
}

# What was done if the rest of the same step fails.
_PARTIAL_WORDS: Mapping[Step, str] = {
    Step.CANCEL: "cancel requested",
    Step.STOP: "stop requested",
    Step.UPDATE: "partially updated",
    Step.START: "started",
}


def send_write(context: ChangeContext, write: Write) -> Written:
    """Send a write, and once more if it is repeatable and not confirmed.

    Raises ApiError if it was not executed, and OutcomeUnknown if it may have been.
    """
    try:
        written = _send_recorded(context, write)
    except OutcomeUnknown as error:
        if not write.repeatable or error.in_spite_of_error or context.shared.stop_signal:
            raise
        try:
            written = _send_again(context, write)
        except (NotSent, Interrupted):
            raise error from None  # nothing more is known of the first request
    context.progress.partial = _PARTIAL_WORDS.get(write.step, "")
    return written


def _send_again(context: ChangeContext, write: Write) -> Written:
    try:
        return _send_recorded(context, write)
    except RequestFailed:
        # Perhaps because the first request was executed late.
        evidence = _confirm_until_delay_ends(context, write)
        if not evidence.id:
            raise
        return Written(evidence.id)


def _send_recorded(context: ChangeContext, write: Write) -> Written:
    """Send a write once, between two lines of the journal."""
    entry = context.shared.journal.intent(context.change, write.step, context.progress.id)
    try:
        written = _send_confirmed(context, write)
    except DeployerError as error:
        result = Result.UNKNOWN if isinstance(error, OutcomeUnknown) else Result.FAILED
        request_id = "" if isinstance(error, NotSent) else context.client.request_id
        entry.record_outcome(result, context.progress.id, str(error), request_id)
        raise
    message = "response lost" if written.is_response_lost else ""
    entry.record_outcome(Result.DONE, written.id, message, context.client.request_id)
    return written


def _send_confirmed(context: ChangeContext, write: Write) -> Written:
    """Send a write once, and read the job if the response leaves its outcome open."""
    try:
        return Written(write.send() or context.progress.id)
    except ResponseLost as error:
        return find_lost(context, write, error)
    except RequestFailed as error:
        if not error.may_be_executed:
            raise
        return find_lost(context, write, error)


def find_lost(context: ChangeContext, write: Write, error: ResponseLost | RequestFailed) -> Written:
    """Confirm a write whose response leaves its outcome open; raises OutcomeUnknown if that is not possible."""
    is_lost = isinstance(error, ResponseLost)
    if context.shared.stop_signal and not is_lost and write.step is Step.CREATE:
        # After an interrupt only a create is confirmed: the id of its job is not known otherwise.
        evidence = _confirm_once(write)
    else:
        evidence = _confirm_until_delay_ends(context, write)
    if evidence.id:
        how = (
            f"response lost; {_proof(write)}"
            if is_lost
            else f"{_proof(write)}, although the service reported: {error}"
        )
        return Written(evidence.id, f" ({how})", is_lost, not is_lost)
    doubt = write.doubt(evidence) or f"the job may have been {DONE_WORDS[write.step]}"
    command = context.shared.invocation.for_job("plan", context.job.identity)
    message = f"outcome unknown: {doubt} ({error}); check with: {command}"
    raise OutcomeUnknown(message, in_spite_of_error=not is_lost) from None


def _proof(write: Write) -> str:
    return "found in the job list" if write.step is Step.CREATE else "confirmed by reading the job"


# --- confirmation


def _confirm_once(write: Write) -> Evidence:
    try:
        return write.confirm()
    except (ApiError, Interrupted) as error:
        return Evidence(error=str(error))


def _confirm_until_delay_ends(context: ChangeContext, write: Write) -> Evidence:
    """Read until the evidence is conclusive or the consistency delay is over, and return the last evidence."""
    evidence = Evidence()
    for pause in context.shared.polling.confirm_delays():
        try:
            context.shared.stop_signal.sleep(pause)
            evidence = write.confirm()
        except Interrupted:
            break
        except ApiError as error:
            evidence = Evidence(error=str(error))
        if evidence.id or evidence.candidates:
            break
    return evidence


def live_shows(context: ChangeContext, condition: Condition) -> Callable[[], Evidence]:
    """Return the `confirm` of a write to an existing job: `condition` is met once it was executed."""

    def confirm() -> Evidence:
        identifier = context.progress.id
        return Evidence(identifier if condition(context.read_job(identifier)) else "")

    return confirm
