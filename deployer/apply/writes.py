"""How every write is carried out: recorded in the journal, sent, and looked for where its response is lost.

A write that has an effect twice is sent once. The others are sent once more where no look shows that the
first request was carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployer.apply.context import ChangeContext
from deployer.apply.wait import Condition
from deployer.errors import ApiError, DeployerError, Interrupted, RequestFailed, ResponseLost
from deployer.model import Result, Step


class OutcomeUnknown(DeployerError):
    """It cannot be told whether a write was carried out."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one look shows of a write that may have been carried out.

    `id` is that of its job where the look proves that it was, else empty. `candidates` are the ids of jobs
    that it may have made, where none is so for sure: another look would not help. `error` says why the look
    failed.
    """

    id: str = ""
    candidates: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """A request that changes something.

    `send` returns the id of the job that it made, None where the job was there before; it raises ApiError.
    `confirm` takes one look at what it has done, and raises ApiError. `repeatable` says that to send it
    twice does no harm. `doubt` ends the message about an outcome that stays unknown.
    """

    step: Step
    send: Callable[[], str | None]
    confirm: Callable[[], Evidence]
    repeatable: bool = True
    doubt: Callable[[Evidence], str] = lambda _: ""


@dataclass(frozen=True, slots=True)
class Written:
    """A write that was carried out, on the job `id`. `note` says how that is known, where a look told."""

    id: str
    note: str = ""
    is_response_lost: bool = False


DONE_WORDS: Mapping[Step, str] = {
    Step.CREATE: "submitted",
    Step.CANCEL: "cancelled",
    Step.STOP: "stopped",
    Step.UPDATE: "updated",
    Step.START: "started",
    Step.DELETE: "deleted",
}

# What was done, when the rest of the same step fails.
_PARTIAL_WORDS: Mapping[Step, str] = {
    Step.CANCEL: "told to end",
    Step.STOP: "told to stop",
    Step.UPDATE: "updated in part",
    Step.START: "started",
}


def execute(context: ChangeContext, write: Write) -> Written:
    """Send a write, and once more where it is repeatable and no look shows that it was carried out.

    Raises ApiError where it was not, and OutcomeUnknown where that cannot be told.
    """
    try:
        written = _send_recorded(context, write)
    except OutcomeUnknown:
        if not write.repeatable or context.shared.stop_signal:
            raise
        written = _send_again(context, write)
    context.progress.partial = _PARTIAL_WORDS.get(write.step, "")
    return written


def _send_again(context: ChangeContext, write: Write) -> Written:
    try:
        return _send_recorded(context, write)
    except RequestFailed:
        # Perhaps because the first request was carried out, late.
        evidence = _look_for_a_while(context, write)
        if not evidence.id:
            raise
        return Written(evidence.id)


def _send_recorded(context: ChangeContext, write: Write) -> Written:
    """Send a write once, between two lines of the journal."""
    entry = context.shared.journal.intent(context.change, write.step, context.progress.id)
    try:
        written = _send_confirmed(context, write)
    except DeployerError as error:
        # What a service did although it says that it failed may be listed late: the next apply waits.
        doubtful = isinstance(error, ApiError) and error.status >= 500
        result = Result.UNKNOWN if doubtful or isinstance(error, OutcomeUnknown) else Result.FAILED
        entry.record_outcome(result, context.progress.id, str(error), context.client.request_id)
        raise
    message = "its answer was lost" if written.is_response_lost else ""
    entry.record_outcome(Result.DONE, written.id, message, context.client.request_id)
    return written


def _send_confirmed(context: ChangeContext, write: Write) -> Written:
    """Send a write once, and look where its response does not say for sure what came of it."""
    try:
        return Written(write.send() or context.progress.id)
    except ResponseLost as error:
        return find_lost(context, write, error)
    except RequestFailed as error:
        # A cancel looks for itself: it also tells whether the run had ended before.
        if write.step is Step.CANCEL or not may_be_carried_out(error):
            raise
        evidence = _look_once(context, write)
        if not evidence.id:
            raise
        note = f" ({_proof(write)}, although the service said: {error})"
        return Written(evidence.id, note)


def find_lost(context: ChangeContext, write: Write, error: ResponseLost) -> Written:
    """Look for what a write did whose response was lost; raises OutcomeUnknown where no look shows it."""
    evidence = _look_for_a_while(context, write)
    if evidence.id:
        return Written(evidence.id, f" (its answer was lost; {_proof(write)})", is_response_lost=True)
    word = "carried out" if write.step is Step.CREATE else DONE_WORDS[write.step]
    raise OutcomeUnknown(f"{error}; whether it was {word} is not known{write.doubt(evidence)}") from None


def _proof(write: Write) -> str:
    return "found in the listing" if write.step is Step.CREATE else "a look shows that it took"


def may_be_carried_out(error: RequestFailed) -> bool:
    """Tell whether a service that says no may have done it: it failed inside, or says so with HTTP 200."""
    return error.status >= 500 or 200 <= error.status < 300


# --- looks


def _look_once(context: ChangeContext, write: Write) -> Evidence:
    """Look once for what a refused write did: as a rule nothing, and MRS gives all its errors as HTTP 500."""
    # After an interrupt only a create is worth a look: nobody else knows the id of what it may have made.
    if context.shared.stop_signal and write.step is not Step.CREATE:
        return Evidence()
    try:
        return write.confirm()
    except (ApiError, Interrupted) as error:
        return Evidence(error=str(error))


def _look_for_a_while(context: ChangeContext, write: Write) -> Evidence:
    """Look until one look is conclusive or no listing can lag any more, and return the last one."""
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
    """Return the `confirm` of a write to a job that is there: `condition` holds once it was carried out."""

    def confirm() -> Evidence:
        identifier = context.progress.id
        return Evidence(identifier if condition(context.look(identifier)) else "")

    return confirm
