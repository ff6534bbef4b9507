"""Cancelling a submitted job: the run in the plan, and the other active runs of the same job."""

from __future__ import annotations

from deployer.apply.context import ChangeContext
from deployer.apply.wait import state_of, wait_for
from deployer.apply.writes import Write, live_shows, send_write
from deployer.errors import RequestFailed
from deployer.kinds.former import path_values
from deployer.model import RUNNING_PHASES, LiveJob, Step


def cancel(context: ChangeContext) -> str:
    """Cancel all active runs of a job, and wait until they have ended. Raises ApiError and OutcomeUnknown."""
    runs = (context.live, *context.change.other_runs)
    messages = [_cancel_run(context, run) for run in runs]
    context.progress.id = context.live.id
    if context.change.steps == (Step.CANCEL,) and len(runs) == 1:
        return messages[0]
    return ", ".join(f"run {run.id} {message}" for run, message in zip(runs, messages, strict=True))


def _cancel_run(context: ChangeContext, run: LiveJob) -> str:
    kind, at = context.kind, path_values(context.job, run.identity)
    context.progress.id = run.id
    if run.phase not in RUNNING_PHASES:
        return f"had already ended ({run.state})"
    try:
        written = send_write(
            context,
            Write(
                Step.CANCEL,
                lambda: context.client.cancel(kind, run.id, at),
                live_shows(context, _has_ended),
            ),
        )
    except RequestFailed:
        # A run that has just ended cannot be cancelled.
        live = context.read_job(run.id)
        if not _has_ended(live):
            raise
        return f"had already ended ({state_of(live)})"
    ended = wait_for(context, _has_ended, "to end")
    # In spite of an error nobody knows whether it was cancelled or had just ended.
    return f"ended ({state_of(ended)})" if written.in_spite_of_error else f"cancelled{written.note}"


def _has_ended(live: LiveJob | None) -> bool:
    return live is None or live.phase not in RUNNING_PHASES
