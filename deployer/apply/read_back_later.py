"""Created jobs that were not read back one by one -> what the listing of all of them shows.

The listing may only say that a job is as requested; one that may not be is read by its id, as after any other create.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from deployer.apply.context import ChangeContext, Created
from deployer.apply.recheck import Differs, is_other, read_back
from deployer.cloud.parallel import in_parallel
from deployer.errors import ApiError
from deployer.model import Identity, LiveJob, Outcome, Result


def read_back_listed(
    listed: Iterable[tuple[Created, LiveJob]], outcomes: Mapping[Identity, Outcome]
) -> Iterator[Outcome]:
    """Yield the outcomes that change, each with the message of the earlier one."""
    doubtful = [
        (created.unread, outcomes[created.job.identity])
        for created, live in listed
        if created.unread and not _is_as_requested(created.unread, live)
    ]
    read = in_parallel(lambda pair: _read_back(*pair), doubtful)
    for (_, before), outcome in zip(doubtful, read, strict=True):
        if outcome is not before:
            yield outcome


def _is_as_requested(context: ChangeContext, live: LiveJob) -> bool:
    context.progress.created = live
    try:
        return not read_back(context) and live.identity.name == context.job.name
    except Differs:
        return False


def _read_back(context: ChangeContext, outcome: Outcome) -> Outcome:
    """Read the job by its id, and return its outcome, which is the same object if nothing is to be said."""
    if context.shared.stop_signal:
        return outcome
    progress = context.progress
    try:
        live = progress.created = context.read_job(progress.id)
        progress.read_error = ""
    except ApiError as error:
        live, progress.read_error = None, str(error)
    if live and is_other(context.job, live):
        other = f"{live.id} ({live.identity.name})"
        words = f"but the service returned the id of another job: {other}; the request may have been executed"
        command = context.shared.invocation.for_job("plan", context.job.identity)
        message = f"{outcome.message}, {words}; check with: {command}"
        return replace(outcome, result=Result.UNKNOWN, id="", message=message)
    if outcome.result is not Result.DONE:
        return outcome
    result = Result.DONE
    try:
        words = read_back(context)
    except Differs as error:
        result, words = Result.DIFFERS, str(error)
    if not words:
        return outcome
    message = context.shared.secrets.scrubbed(f"{outcome.message}, {words}")
    return replace(outcome, result=result, message=message)
