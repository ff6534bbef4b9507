"""The steps of definitions, which remain after their run has ended: stop, update, start and delete.

All of them can be repeated safely, except a start: two starts would run the job twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deployer.apply import journal
from deployer.apply.context import ChangeContext
from deployer.apply.recheck import ChangedMeanwhile, drift
from deployer.apply.wait import state_of, wait_for
from deployer.apply.writes import Write, live_shows, send_write
from deployer.errors import ApiError, RequestFailed
from deployer.kinds.kind import TAGS, Kind
from deployer.kinds.ownership import MAX_TAGS, recorded_tags, tag_values
from deployer.kinds.savepoint_tag import has_old_savepoint, savepoint_tag
from deployer.kinds.tables import json_type
from deployer.model import LiveJob, Phase, Result, Step


def stop(context: ChangeContext) -> str:
    """Stop a run, and wait for its end and its savepoint. Raises ApiError and OutcomeUnknown.

    Raises ChangedMeanwhile if it ended on its own and more steps were planned.
    """
    progress, before = context.progress, context.live
    savepoint = context.job.lifecycle.savepoint
    if savepoint:
        # Before the stop: if this process is killed, another checkout must not take it for the state of this run.
        _record_old_savepoint(context, before)
    try:
        written = send_write(
            context,
            Write(
                Step.STOP,
                lambda: context.client.stop(context.kind, progress.id, savepoint=savepoint),
                live_shows(context, lambda live: live is None or live.phase is not Phase.ACTIVE),
            ),
        )
    except RequestFailed as error:
        # Only a running job can be stopped. A job in an unknown state may not be running.
        if before.phase is Phase.UNKNOWN and error.status == 400:
            return "not running"
        raise
    stopped = wait_for(context, _is_not_pending, "to stop", Phase.ACTIVE)
    if stopped is None:
        raise RequestFailed(f"{progress.id} no longer exists after the stop")
    if stopped.phase is Phase.ACTIVE:
        raise RequestFailed(f"stop failed: the job is {stopped.state}")
    progress.live = stopped
    if stopped.phase is not Phase.STOPPED:
        if context.change.steps[-1] is Step.STOP:
            return f"ended ({stopped.state})"
        raise ChangedMeanwhile(f"ended on its own ({stopped.state}) before it was stopped; run plan again")
    if not savepoint:
        return f"stopped without a savepoint{written.note}"
    # A listing shows "yes" for any savepoint: a new one cannot be distinguished from an older one.
    is_old = stopped.savepoint == before.savepoint and stopped.savepoint != "yes"
    is_old |= has_old_savepoint(replace(stopped, ownership=before.ownership))
    if not stopped.savepoint or is_old:
        message = "stopped, but no savepoint was created"
        # An older savepoint may exist: the next plan must not use it as the state of this run.
        entry = context.shared.journal.intent(context.change, journal.SAVEPOINT, progress.id)
        entry.record_outcome(Result.FAILED, progress.id, message)
        raise RequestFailed(f"{message}; remaining steps skipped, the job stays stopped")
    return f"stopped with a savepoint{written.note}"


def _record_old_savepoint(context: ChangeContext, live: LiveJob) -> None:
    """Tag the job with the savepoint that it shows, which is older than the end of its run."""
    tag = savepoint_tag(live)
    is_recorded = context.shared.owner is not None and context.kind.ownership_field == TAGS
    if not tag or not is_recorded or has_old_savepoint(live):
        return
    entry = context.shared.journal.intent(context.change, Step.UPDATE, live.id)
    try:
        context.client.tag(context.kind, live.id, tag)
    except ApiError as error:
        # Only the journal will know.
        message = f"cannot record that its savepoint is an old one: {error}"
        entry.record_outcome(Result.FAILED, live.id, message, context.client.request_id)
        context.shared.report(f"{context.job.identity}: {message}")
        return
    entry.record_outcome(Result.DONE, live.id, "", context.client.request_id)


def _record_used_savepoint(context: ChangeContext, before: LiveJob, live: LiveJob | None) -> None:
    """Tag the job with the savepoint that it was started from, if the service has not deleted it.

    `live` is the job after the start, if it was read.
    """
    try:
        live = live or context.read_job(context.progress.id)
    except ApiError:
        return
    if live is not None and live.savepoint == before.savepoint:
        _record_old_savepoint(context, replace(live, ownership=before.ownership))


def update(context: ChangeContext) -> str:
    """Send the fields that differ, and no others. Raises ApiError and OutcomeUnknown."""
    names = list(dict.fromkeys(change.name for change in context.change.fields))
    sent = {**context.job.spec, context.kind.name_field: context.job.name}
    filled = context.shared.secrets.filled({name: sent.get(name) for name in names})
    body = {
        name: _value_or_empty(context.kind, name, value) for name, value in filled.items() if name != TAGS
    }

    def is_updated(live: LiveJob | None) -> bool:
        return live is not None and not {*drift(context.kind, context.job, live)} & {*body}

    if body:
        send_write(
            context,
            Write(
                Step.UPDATE,
                lambda: context.client.update(context.kind, context.progress.id, body),
                live_shows(context, is_updated),
            ),
        )
    if TAGS in names:
        _update_tags(context)
    return f"updated {', '.join(names)}"


def _update_tags(context: ChangeContext) -> None:
    planned = context.change.live.spec if context.change.live else None
    live = tag_values((planned or {}).get(TAGS))
    desired = tag_values(context.shared.secrets.filled({TAGS: context.job.spec.get(TAGS)})[TAGS])
    recorded = recorded_tags(context.change.live) if context.change.live else {}
    removed = {key: value for key, value in live.items() if key not in desired}
    # The job's own tags come first where there is no room for all.
    removed |= dict([*recorded.items()][max(0, MAX_TAGS - len(desired)) :])
    added = {key: value for key, value in desired.items() if live.get(key) != value}
    # Both can be repeated: removing a missing tag is not an error, and an existing one is replaced.
    kind, identifier = context.kind, context.progress.id
    shows_no_tags = live_shows(context, lambda _: False)
    if removed:
        send = lambda: context.client.untag(kind, identifier, removed)  # noqa: E731
        send_write(context, Write(Step.UPDATE, send, shows_no_tags))
    if added:
        send = lambda: context.client.tag(kind, identifier, added)  # noqa: E731
        send_write(context, Write(Step.UPDATE, send, shows_no_tags))


def start(context: ChangeContext) -> str:
    """Start a run, from the savepoint of the previous one. Raises ApiError and OutcomeUnknown."""
    progress = context.progress
    # The state after an update does not show whether the job has run before.
    before = progress.live
    from_savepoint = False
    if before is not None and before.phase not in {Phase.DRAFT, Phase.SUCCEEDED}:
        from_savepoint = bool(before.savepoint)
        if not from_savepoint and context.job.lifecycle.savepoint:
            raise RequestFailed("no savepoint exists: starting would lose job state")
    phase = _phase_before_start(context)
    written = send_write(
        context,
        Write(
            Step.START,
            lambda: context.client.start(context.kind, progress.id, from_savepoint=from_savepoint),
            live_shows(context, lambda live: live is not None and live.phase is not phase),
            repeatable=False,
        ),
    )
    live = None
    if context.change.steps[0] is Step.STOP:
        live = wait_for(context, _is_not_pending, "to run", phase)
        if live is None or live.phase in {Phase.FAILED, Phase.STOPPED, Phase.DRAFT}:
            raise RequestFailed(f"{state_of(live)} after the restart")
    if from_savepoint and before is not None:
        _record_used_savepoint(context, before, live)
    return f"started{' from its savepoint' if from_savepoint else ''}{written.note}"


def _phase_before_start(context: ChangeContext) -> Phase:
    if Step.UPDATE in context.change.steps and (live := context.read_job(context.progress.id)):
        return live.phase
    return context.progress.live.phase if context.progress.live else Phase.DRAFT


def delete(context: ChangeContext) -> str:
    """Delete a definition. Raises ApiError and OutcomeUnknown."""
    written = send_write(
        context,
        Write(
            Step.DELETE,
            lambda: context.client.delete(context.kind, context.progress.id),
            live_shows(context, lambda live: live is None),
        ),
    )
    return f"deleted{written.note}"


def _is_not_pending(live: LiveJob | None) -> bool:
    return live is None or live.phase is not Phase.PENDING


def _value_or_empty(kind: Kind, name: str, value: Any) -> Any:
    """Return a value to send; one that was removed from the manifest is reset to its default, or emptied."""
    if value is not None:
        return value
    row = kind.spellings[name]
    if row.default is not None:
        return row.default
    return {"array": [], "object": {}, "boolean": False, "integer": 0, "number": 0}.get(
        json_type(row.type)["type"], ""
    )
