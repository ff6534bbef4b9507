"""One change -> its Outcome: sends the requests of the planned steps in their order, and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from deployer.apply import definition
from deployer.apply.cancel import cancel
from deployer.apply.context import ApplyContext, ChangeContext
from deployer.apply.create import create
from deployer.apply.ownership_tags import with_missing_tags, with_ownership_tags
from deployer.apply.recheck import ChangedMeanwhile, Differs, read_back, recheck
from deployer.apply.writes import OutcomeUnknown
from deployer.errors import DeployerError, Interrupted
from deployer.model import Change, Outcome, Result, Step

# Each executes its step and returns its message.
_STEPS: Mapping[Step, Callable[[ChangeContext], str]] = {
    Step.CREATE: with_ownership_tags(create),
    Step.CANCEL: cancel,
    Step.STOP: definition.stop,
    Step.UPDATE: with_ownership_tags(definition.update),
    Step.START: with_missing_tags(definition.start),
    Step.DELETE: definition.delete,
}


def deploy(shared: ApplyContext, change: Change, planned_ids: Collection[str]) -> Outcome:
    """Apply a change. Never raises: errors are in the outcome.

    `planned_ids` are the ids of all live jobs in the plan.
    """
    context = ChangeContext.begin(shared, change, planned_ids)
    progress = context.progress
    try:
        recheck(context)
        for step in change.steps:
            shared.stop_signal.check()
            progress.messages.append(_STEPS[step](context))
            progress.partial = ""
    except Interrupted as error:
        left = "remaining steps skipped" if progress.has_begun else "no changes made"
        message = f"{left}: {error}; the next apply continues from here"
        return _outcome(context, Result.STOPPED, progress.partial, message)
    except ChangedMeanwhile as error:
        return _outcome(context, Result.REFUSED, str(error))
    except OutcomeUnknown as error:
        return _outcome(context, Result.UNKNOWN, str(error))
    except DeployerError as error:
        return _outcome(context, Result.FAILED, _failure(context, error))
    except Exception as error:  # noqa: BLE001 - the other changes continue, and this one is reported
        message = f"internal error {type(error).__name__}; please report this bug"
        return _outcome(context, Result.UNKNOWN, progress.partial, message)
    try:
        return _outcome(context, Result.DONE, read_back(context))
    except Differs as error:
        return _outcome(context, Result.DIFFERS, str(error))


def _failure(context: ChangeContext, error: DeployerError) -> str:
    progress, steps = context.progress, context.change.steps
    if progress.partial:
        return f"{progress.partial}, but {error}"
    step = steps[len(progress.messages)]
    if progress.messages:
        is_down = Step.START in steps and steps[0] is Step.STOP
        return f"but failed to {step}{', so the job stays stopped' if is_down else ''}: {error}"
    return f"failed to {step}: {error}" if len(steps) > 1 else str(error)


def _outcome(context: ChangeContext, result: Result, *messages: str) -> Outcome:
    """Return the outcome; its message lists the finished steps, and then `messages`."""
    progress = context.progress
    message = ", ".join(filter(None, (*progress.messages, *messages)))
    return Outcome(
        context.change,
        result,
        context.shared.secrets.scrubbed(message),
        progress.id,
        begun=progress.has_begun,
    )
