"""The steps of definitions, which stay when their run ends: stop, update, start and delete.

All can be repeated without harm, but for a start: two of them would run the job twice.
"""

from __future__ import annotations

from typing import Any

from deployer.apply import journal
from deployer.apply.context import ChangeContext
from deployer.apply.recheck import ChangedMeanwhile, drift
from deployer.apply.wait import state_of, wait_for
from deployer.apply.writes import Write, execute, live_shows
from deployer.errors import RequestFailed
from deployer.kinds.kind import TAGS, Kind
from deployer.kinds.tables import json_type
from deployer.model import LiveJob, Phase, Result, Step


def stop(context: ChangeContext) -> str:
    """Stop a run, and wait for its end and its savepoint. Raises ApiError and OutcomeUnknown.

    Raises ChangedMeanwhile where it has ended by itself, and more steps were to follow.
    """
    progress, before = context.progress, context.live
    savepoint = context.job.lifecycle.savepoint
    try:
        written = execute(
            context,
            Write(
                Step.STOP,
                lambda: context.client.stop(context.kind, progress.id, savepoint=savepoint),
                live_shows(context, lambda live: live is None or live.phase is not Phase.ACTIVE),
            ),
        )
    except RequestFailed as error:
        # Only what runs can be stopped. A job in a state that nobody understands may well not.
        if before.phase is Phase.UNKNOWN and error.status == 400:
            return "it does not run"
        raise
    stopped = wait_for(context, _is_not_pending, "to stop", Phase.ACTIVE)
    if stopped is None:
        raise RequestFailed(f"{progress.id} is gone after it was stopped")
    if stopped.phase is Phase.ACTIVE:
        raise RequestFailed(f"it could not be stopped: it is {stopped.state}")
    progress.live = stopped
    if stopped.phase is not Phase.STOPPED:
        if context.change.steps[-1] is Step.STOP:
            return f"ended ({stopped.state})"
        raise ChangedMeanwhile(f"it ended by itself ({stopped.state}) while it was to be stopped; plan again")
    if not savepoint:
        return f"stopped without a savepoint{written.note}"
    # "yes" is all that a listing says of any savepoint: it cannot be told from an older one.
    if not stopped.savepoint or (stopped.savepoint == before.savepoint and stopped.savepoint != "yes"):
        message = "it was stopped, but left no savepoint"
        # An older savepoint may be there: the next plan must not take it for the state of this run.
        entry = context.shared.journal.intent(context.change, journal.SAVEPOINT, progress.id)
        entry.record_outcome(Result.FAILED, progress.id, message)
        raise RequestFailed(f"{message}; it stays stopped, and nothing else was done")
    return f"stopped with a savepoint{written.note}"


def update(context: ChangeContext) -> str:
    """Send the fields that differ, and no others. Raises ApiError and OutcomeUnknown."""
    names = list(dict.fromkeys(change.path.split("/")[1] for change in context.change.fields))
    filled = context.shared.secrets.filled({name: context.job.spec.get(name) for name in names})
    body = {
        name: _value_or_empty(context.kind, name, value) for name, value in filled.items() if name != TAGS
    }

    def is_updated(live: LiveJob | None) -> bool:
        return live is not None and not {*drift(context.kind, context.job, live)} & {*body}

    if body:
        execute(
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
    live = _tag_map((planned or {}).get(TAGS))
    desired = _tag_map(context.shared.secrets.filled({TAGS: context.job.spec.get(TAGS)})[TAGS])
    removed = {key: value for key, value in live.items() if key not in desired}
    added = {key: value for key, value in desired.items() if live.get(key) != value}
    # Either can be sent again: a tag that is gone is no error, and one that is there is replaced.
    kind, identifier = context.kind, context.progress.id
    shows_no_tags = live_shows(context, lambda _: False)
    if removed:
        send = lambda: context.client.untag(kind, identifier, removed)  # noqa: E731
        execute(context, Write(Step.UPDATE, send, shows_no_tags))
    if added:
        send = lambda: context.client.tag(kind, identifier, added)  # noqa: E731
        execute(context, Write(Step.UPDATE, send, shows_no_tags))


def start(context: ChangeContext) -> str:
    """Start a run, from the savepoint of the one before. Raises ApiError and OutcomeUnknown."""
    progress = context.progress
    # What an update has done to the state says nothing about whether the job has run.
    before = progress.live
    from_savepoint = False
    if before is not None and before.phase not in {Phase.DRAFT, Phase.SUCCEEDED}:
        from_savepoint = bool(before.savepoint)
        if not from_savepoint and context.job.lifecycle.savepoint:
            raise RequestFailed("it has no savepoint: it would start without its state")
    phase = _phase_before_start(context)
    written = execute(
        context,
        Write(
            Step.START,
            lambda: context.client.start(context.kind, progress.id, from_savepoint=from_savepoint),
            live_shows(context, lambda live: live is not None and live.phase is not phase),
            repeatable=False,
        ),
    )
    if context.change.steps[0] is Step.STOP:
        live = wait_for(context, _is_not_pending, "to run", phase)
        if live is None or live.phase in {Phase.FAILED, Phase.STOPPED, Phase.DRAFT}:
            raise RequestFailed(f"after its restart it is {state_of(live)}")
    return f"started{' from its savepoint' if from_savepoint else ''}{written.note}"


def _phase_before_start(context: ChangeContext) -> Phase:
    if Step.UPDATE in context.change.steps and (live := context.look(context.progress.id)):
        return live.phase
    return context.progress.live.phase if context.progress.live else Phase.DRAFT


def delete(context: ChangeContext) -> str:
    """Delete a definition. Raises ApiError and OutcomeUnknown."""
    written = execute(
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
    """Return a value to send; one that the manifest no longer has is set back to its default, or emptied."""
    if value is not None:
        return value
    row = kind.spellings[name]
    if row.default is not None:
        return row.default
    return {"array": [], "object": {}, "boolean": False, "integer": 0, "number": 0}.get(
        json_type(row.type)["type"], ""
    )


def _tag_map(tags: Any) -> dict[str, str]:
    return {str(tag["key"]): str(tag.get("value", "")) for tag in tags or ()}
