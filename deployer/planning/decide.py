"""The decision tables: the action for one job, and the reason. The first row that matches applies.

`run_once` is the table for jobs that run when they are created, `definition` the one for those that are
started and stopped; `cancellation` is the short table of `deployer cancel`. The functions follow the tables in
docs/planning.md row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS, Nature
from deployer.model import (
    RUNNING_PHASES,
    Action,
    FieldChange,
    Impact,
    Job,
    LiveJob,
    OnChange,
    OnFailure,
    OnMissing,
    Phase,
    State,
    Step,
)

# The steps that need the dependencies of a job; those that end it need none.
DEPENDENT_STEPS = {Step.CREATE, Step.START, Step.UPDATE}


# The steps that `protect` prevents.
_STOPPING_STEPS = {Step.CANCEL, Step.STOP, Step.DELETE}


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of a row of a decision table. `is_warning` makes it a warning."""

    action: Action
    reason: str
    impact: Impact = Impact.NONE
    steps: tuple[Step, ...] = ()
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """One job and its live state: `live` is the current run, `fields` the differences.

    `listing` describes the size of its listing, for the reason of a create.
    """

    job: Job
    live: LiveJob | None
    fields: tuple[FieldChange, ...] = ()
    listing: str = ""

    @property
    def is_unchanged(self) -> bool:
        return not self.fields

    @property
    def rerun_due(self) -> bool:
        """Whether a newer run than the current one is requested."""
        rerun = self.job.lifecycle.rerun
        if self.job.rerun_requested:
            return True
        return bool(rerun and self.live and 0 < self.live.submitted < rerun.timestamp() * 1000)

    @property
    def rerun_undecidable(self) -> bool:
        """Whether `rerun` cannot be evaluated: acting on it would run the job again at every apply."""
        rerun = self.job.lifecycle.rerun and not self.job.rerun_requested
        return bool(rerun and self.live and self.live.submitted <= 0)

    @property
    def rerun_reason(self) -> str:
        if self.job.rerun_requested:
            return "rerun requested by --rerun"
        return "lifecycle.rerun is later than the last submission"

    @property
    def updatable_while_running(self) -> bool:
        """Whether all fields that differ can be changed while the job runs."""
        kind = KINDS[self.job.kind]
        hot = {row.name for row in kind.rows if row.hot} | ({TAGS} if kind.operations.add_tags else set())
        return all(field.path.split("/")[1] in hot for field in self.fields)


def decide(comparison: Comparison) -> Decision:
    """Return the row of the table of the job's kind; blocked where `protect` prevents it."""
    table = definition if KINDS[comparison.job.kind].nature is Nature.DEFINITION else run_once
    return _allowed(comparison.job, table(comparison))


def _allowed(job: Job, decision: Decision) -> Decision:
    if job.lifecycle.protect and _STOPPING_STEPS & {*decision.steps}:
        reason = f"{decision.action} prevented by lifecycle.protect: {decision.reason}"
        return Decision(Action.BLOCKED, reason)
    return decision


# --- run once ---------------------------------------------------------------------------------------------


def run_once(comparison: Comparison) -> Decision:  # noqa: C901 - one branch is one row of the table
    lifecycle, live = comparison.job.lifecycle, comparison.live
    if lifecycle.state is State.ABSENT:
        if live and live.phase in RUNNING_PHASES:
            return _cancel(f"desired state is absent, but run {live.id} is {live.state}")
        if live and live.phase is Phase.UNKNOWN:
            return _warn(
                f"desired state is absent, but the live state '{live.state}' is unknown to this version; skipped"
            )
        return _unchanged("desired state is absent and no run is active")
    if live is None:
        if lifecycle.on_missing is OnMissing.KEEP:
            return _unchanged("not deployed; onMissing is keep")
        return Decision(Action.CREATE, f"not deployed: {comparison.listing}", steps=(Step.CREATE,))
    if live.phase is Phase.UNKNOWN:
        return _warn(f"state '{live.state}' is unknown to this version; skipped")
    if live.spec is None:
        return _warn("the service does not return the submitted spec, so it cannot be compared; skipped")
    if live.phase in RUNNING_PHASES:
        return _run_once_active(comparison, live)
    ended = f"last run {live.id}: {live.state}"
    if not comparison.is_unchanged:
        if lifecycle.on_change is OnChange.KEEP:
            return _unchanged(f"{ended}; the spec differs, but onChange is keep")
        return _resubmit(f"manifest changed; {ended}")
    if comparison.rerun_due:
        return _resubmit(f"{comparison.rerun_reason}; {ended}")
    if live.phase is Phase.SUCCEEDED:
        return _unchanged(ended)
    if live.phase is Phase.STOPPED:
        return _warn(f"{ended}; the run was stopped outside deployer")
    if lifecycle.on_failure is OnFailure.RESUBMIT:
        return _resubmit(f"{ended}; onFailure is resubmit")
    return _warn(f"{ended}; onFailure is keep")


def _run_once_active(comparison: Comparison, live: LiveJob) -> Decision:
    now = f"run {live.id} is {live.state}"
    if comparison.is_unchanged:
        if comparison.rerun_due:
            reason = f"{comparison.rerun_reason}, but {now}; wait for it to end or cancel it"
            return Decision(Action.BLOCKED, reason)
        return _unchanged(now)
    if live.identity.place != comparison.job.identity.place:
        now += f" in {live.identity.place}"
    match comparison.job.lifecycle.on_change:
        case OnChange.REPLACE:
            reason = f"manifest changed while {now}; cancels the run and submits a new one"
            return Decision(Action.REPLACE, reason, Impact.CANCELS, (Step.CANCEL, Step.CREATE))
        case OnChange.SUBMIT:
            reason = f"manifest changed; submits a second run; {live.id} keeps running"
            return Decision(Action.SUBMIT, reason, Impact.RERUNS, (Step.CREATE,))
        case OnChange.KEEP:
            return _unchanged(f"{now}; the spec differs, but onChange is keep")
        case OnChange.BLOCK:
            reason = f"manifest changed while {now}; wait for it to end, or set lifecycle.onChange"
            return Decision(Action.BLOCKED, reason)


def _cancel(reason: str) -> Decision:
    return Decision(Action.CANCEL, reason, Impact.CANCELS, (Step.CANCEL,))


def _resubmit(reason: str) -> Decision:
    return Decision(Action.RESUBMIT, reason, Impact.RERUNS, (Step.CREATE,))


def _unchanged(reason: str) -> Decision:
    return Decision(Action.UNCHANGED, reason)


def _warn(reason: str) -> Decision:
    """Return a decision that changes nothing and warns."""
    return Decision(Action.UNCHANGED, reason, is_warning=True)


# --- definitions ------------------------------------------------------------------------------------------


def definition(comparison: Comparison) -> Decision:  # noqa: C901 - one branch is one row of the table
    lifecycle, live = comparison.job.lifecycle, comparison.live
    wants_run = lifecycle.state is State.RUNNING
    if lifecycle.state is State.ABSENT:
        if live is None:
            return _unchanged("desired state is absent and the job does not exist")
        if live.phase is Phase.PENDING:
            return _warn(
                f"desired state is absent, but the job is in transition ({live.state}); run plan again later"
            )
        return _delete(comparison, live)
    if live is None:
        if lifecycle.on_missing is OnMissing.KEEP:
            return _unchanged("not deployed; onMissing is keep")
        then = "creates and starts it" if wants_run else "creates a draft without starting it"
        steps = (Step.CREATE, Step.START) if wants_run else (Step.CREATE,)
        return Decision(Action.CREATE, f"not deployed: {comparison.listing}; {then}", steps=steps)
    if live.phase is Phase.PENDING:
        moving = f"in transition ({live.state}); run plan again later"
        if comparison.is_unchanged:
            return _unchanged(moving)
        return _warn(f"manifest changed, but the job is {moving}")
    if live.phase is Phase.UNKNOWN:
        return _warn(f"state '{live.state}' needs manual action; skipped")
    if live.spec is None:
        return _warn("the service does not return the job's definition, so it cannot be compared; skipped")
    if comparison.is_unchanged:
        return _definition_same(comparison, live)
    changed = f"manifest changed; the job is {live.state}"
    if live.phase is not Phase.ACTIVE:
        update = Decision(Action.UPDATE, changed, Impact.IN_PLACE, (Step.UPDATE,))
        return _then_start(comparison, live, update) if wants_run else update
    if comparison.updatable_while_running:
        if wants_run:
            return Decision(Action.UPDATE, changed, Impact.IN_PLACE, (Step.UPDATE,))
        return _stop(
            comparison, f"{changed}; desired state is stopped", Action.UPDATE, (Step.UPDATE, Step.STOP)
        )
    if wants_run:
        return _stop(comparison, changed, Action.RESTART, (Step.STOP, Step.UPDATE, Step.START))
    return _stop(comparison, f"{changed}; desired state is stopped", Action.STOP, (Step.STOP, Step.UPDATE))


def _definition_same(comparison: Comparison, live: LiveJob) -> Decision:  # noqa: C901 - one case is one row
    lifecycle, now = comparison.job.lifecycle, f"the job is {live.state}"
    start = Decision(Action.START, now, steps=())
    match live.phase:
        case Phase.ACTIVE if lifecycle.state is not State.RUNNING:
            return _stop(comparison, f"desired state is stopped, but {now}", Action.STOP, (Step.STOP,))
        case Phase.ACTIVE if comparison.rerun_due:
            return _warn(f"{now}; rerun does not restart a running job: stop it first")
        case Phase.ACTIVE:
            return _unchanged(now)
        case Phase.FAILED if lifecycle.state is not State.RUNNING:
            return _warn(now)
        case _ if lifecycle.state is not State.RUNNING:
            return _unchanged(now)
        case Phase.DRAFT:
            return _then_start(comparison, live, replace(start, reason="created but never started"))
        case Phase.STOPPED:
            return _then_start(
                comparison, live, replace(start, reason=f"desired state is running, but {now}")
            )
        case Phase.SUCCEEDED if comparison.rerun_due:
            return _then_start(comparison, live, replace(start, reason=f"{comparison.rerun_reason}; {now}"))
        case Phase.SUCCEEDED:
            return _unchanged(f"{now}: completed")
        case _ if lifecycle.on_failure is OnFailure.RESUBMIT:
            return _then_start(comparison, live, replace(start, reason=f"{now}; onFailure is resubmit"))
        case _:
            return _warn(f"{now}; onFailure is keep")


def _then_start(comparison: Comparison, live: LiveJob, first: Decision) -> Decision:
    """Add a start to `first`: from the savepoint; without one only if no state is lost or the manifest allows it."""
    steps = (*first.steps, Step.START)
    match live.phase:
        case Phase.DRAFT:
            return replace(first, steps=steps)
        case Phase.SUCCEEDED:
            reason = f"{first.reason}; starts a new run"
            return replace(first, reason=reason, impact=Impact.RERUNS, steps=steps)
        case _ if live.savepoint:
            reason = f"{first.reason}; starts from the savepoint"
            return replace(first, reason=reason, steps=steps)
        case _ if not comparison.job.lifecycle.savepoint:
            reason = f"{first.reason}; no savepoint exists and savepoint is false: job state is lost"
            return replace(first, reason=reason, impact=Impact.STATE_LOST, steps=steps)
        case _:
            reason = f"{first.reason}; no savepoint exists, so starting it would lose job state"
            return Decision(Action.BLOCKED, f"{reason}; set lifecycle.savepoint: false to allow this")


def _stop(comparison: Comparison, reason: str, action: Action, steps: tuple[Step, ...]) -> Decision:
    if comparison.job.lifecycle.savepoint:
        start = ", then starts from it" if Step.START in steps else ""
        return Decision(action, f"{reason}; stops with a savepoint{start}", Impact.RESTART, steps)
    reason = f"{reason}; stops without a savepoint (savepoint is false): job state is lost"
    return Decision(action, reason, Impact.STATE_LOST, steps)


def _delete(comparison: Comparison, live: LiveJob) -> Decision:
    reason = f"desired state is absent, but the job is {live.state}"
    if live.phase not in {Phase.ACTIVE, Phase.UNKNOWN}:
        return Decision(Action.DELETE, reason, Impact.DELETES, (Step.DELETE,))
    how = "with" if comparison.job.lifecycle.savepoint else "without"
    reason = f"{reason}; stops it first, {how} a savepoint"
    return Decision(Action.DELETE, reason, Impact.DELETES, (Step.STOP, Step.DELETE))


# --- deployer cancel --------------------------------------------------------------------------------------


def cancellation(comparison: Comparison) -> Decision:
    """Decide for `deployer cancel`: end active runs, keep records and definitions."""
    job, live = comparison.job, comparison.live
    if live is None:
        return _unchanged("not deployed")
    if live.phase is Phase.UNKNOWN:
        return _warn(f"state '{live.state}' is unknown to this version; skipped")
    if live.phase not in RUNNING_PHASES:
        return _unchanged(f"the job is {live.state}")
    if KINDS[job.kind].nature is Nature.RUN_ONCE:
        return _allowed(job, _cancel(f"run {live.id} is {live.state}"))
    if live.phase is Phase.PENDING:
        return Decision(Action.BLOCKED, f"in transition ({live.state}); try again later")
    return _allowed(job, _stop(comparison, f"the job is {live.state}", Action.STOP, (Step.STOP,)))
