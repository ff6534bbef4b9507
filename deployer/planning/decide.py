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
    Cause,
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
    """The result of a row of a decision table. `is_warning` makes it a warning.

    `cause` is what was found, `effect` what is done about it, empty if nothing is. `awaits_end`: it is blocked only
    because the job's own runs have not ended.
    """

    action: Action
    cause: str
    effect: str = ""
    impact: Impact = Impact.NONE
    steps: tuple[Step, ...] = ()
    is_warning: bool = False
    awaits_end: bool = False

    @property
    def reason(self) -> str:
        return "; ".join(filter(None, (self.cause, self.effect)))

    def and_also(self, words: str) -> Decision:
        """Return the decision with `words` at the end of its effect."""
        return replace(self, effect="; ".join(filter(None, (self.effect, words))))


# The beginning of a reason: what is different, by its cause.
_DIFFERENCES = {
    Cause.MANIFEST: "manifest changed",
    Cause.DRIFT: "changed outside deployer",
    Cause.BOTH: "manifest changed, and the job was changed outside deployer",
    Cause.UNKNOWN: "manifest and live job differ",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One job and its live state: `live` is the current run, `fields` the differences.

    `listing` describes the size of its listing, for the reason of a create. `additional` is what only the live job
    has, which is no change: see `deployer.planning.additional`. `cause` is why the fields differ. `former_name` is
    that of a definition that an update renames.
    """

    job: Job
    live: LiveJob | None
    fields: tuple[FieldChange, ...] = ()
    listing: str = ""
    additional: tuple[FieldChange, ...] = ()
    cause: Cause = Cause.UNKNOWN
    former_name: str = ""

    @property
    def is_unchanged(self) -> bool:
        return not self.fields

    @property
    def difference(self) -> str:
        """The words for what is different, and which side changed if that is known."""
        if not self.former_name:
            return _DIFFERENCES[self.cause]
        renamed = f"renamed from '{self.former_name}'"
        return f"{renamed}; {_DIFFERENCES[self.cause]}" if len(self.fields) > 1 else renamed

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
            return "rerun requested with --rerun"
        return "rerun is due (lifecycle.rerun)"

    @property
    def updatable_while_running(self) -> bool:
        """Whether all fields that differ can be changed while the job runs."""
        kind = KINDS[self.job.kind]
        hot = {row.name for row in kind.rows if row.hot} | ({TAGS} if kind.operations.add_tags else set())
        return all(field.name in hot for field in self.fields)


def decide(comparison: Comparison) -> Decision:
    """Return the row of the table of the job's kind; blocked where `protect` prevents it."""
    table = definition if KINDS[comparison.job.kind].nature is Nature.DEFINITION else run_once
    return _allowed(comparison.job, _not_ignored(comparison, table(comparison)))


def _not_ignored(comparison: Comparison, decision: Decision) -> Decision:
    """Block what starts no run of a job that --rerun matches: a rerun is never skipped without an error."""
    job = comparison.job
    new_run = Step.START if KINDS[job.kind].nature is Nature.DEFINITION else Step.CREATE
    if not job.rerun_requested or new_run in decision.steps or decision.action is Action.BLOCKED:
        return decision
    cause = "desired state is stopped" if job.lifecycle.state is State.STOPPED else decision.cause
    # The effect of steps does not happen; the effect of no steps is what a user can do.
    effect = "" if decision.steps else decision.effect
    return Decision(Action.BLOCKED, f"cannot rerun the job as --rerun requests: {cause}", effect)


def _allowed(job: Job, decision: Decision) -> Decision:
    if job.lifecycle.protect and _STOPPING_STEPS & {*decision.steps}:
        # Without the effect: nothing of it happens.
        return Decision(Action.BLOCKED, f"{decision.action} prevented by lifecycle.protect: {decision.cause}")
    return decision


# --- run once ---------------------------------------------------------------------------------------------


def run_once(comparison: Comparison) -> Decision:  # noqa: C901 - one branch is one row of the table
    lifecycle, live = comparison.job.lifecycle, comparison.live
    if lifecycle.state is State.ABSENT:
        if live and live.phase in RUNNING_PHASES:
            return _cancel(f"desired state is absent, but run {live.id} {live.condition}")
        if live and live.phase is Phase.UNKNOWN:
            cause = f"desired state is absent, but run {live.id} {live.condition}"
            return Decision(Action.BLOCKED, cause, _CHECK)
        return _unchanged("desired state is absent and no run is active")
    if comparison.job.runs_on_request:
        from deployer.planning.decide_run import not_applied  # on use: few jobs are

        return not_applied(comparison)
    if live is None:
        create = Decision(
            Action.CREATE, f"not deployed: {comparison.listing}", "will submit a run", steps=(Step.CREATE,)
        )
        if lifecycle.on_missing is OnMissing.KEEP:
            return _kept(comparison, create, "not submitted because onMissing is keep")
        return create
    if live.phase is Phase.UNKNOWN:
        if comparison.rerun_due:
            cause = f"{comparison.rerun_reason}, but run {live.id} {live.condition}"
            return Decision(Action.BLOCKED, cause, _CHECK)
        return _warn(f"run {live.id} {live.condition}", _NOT_HANDLED)
    ended = f"last run {live.id} {live.condition}"
    if live.spec is None:
        if not comparison.job.rerun_requested:
            cause = f"the service does not return the submitted spec of run {live.id}"
            return _warn(cause, _NOT_COMPARED)
        if live.phase in RUNNING_PHASES:
            return _rerun_while_active(comparison, live)
        return _resubmit(f"{comparison.rerun_reason}; {ended}")
    if live.phase in RUNNING_PHASES:
        return _run_once_active(comparison, live)
    if not comparison.is_unchanged:
        changed = f"{comparison.difference}; {ended}"
        if lifecycle.on_change is not OnChange.KEEP:
            return _resubmit(changed)
        if comparison.rerun_due:
            return _resubmit(f"{comparison.rerun_reason}; {changed}")
        return _unchanged(changed, "not submitted again because onChange is keep")
    if comparison.rerun_due:
        return _resubmit(f"{comparison.rerun_reason}; {ended}")
    if live.phase is Phase.SUCCEEDED:
        return _unchanged(ended)
    if live.phase is Phase.STOPPED:
        return _warn(ended, "not submitted again because a user stopped it")
    if lifecycle.on_failure is OnFailure.RESUBMIT:
        return _resubmit(ended, " because onFailure is resubmit")
    return _warn(ended, "not submitted again because onFailure is keep")


def _run_once_active(comparison: Comparison, live: LiveJob) -> Decision:
    now = f"run {live.id} {live.condition}"
    if comparison.is_unchanged:
        return _rerun_while_active(comparison, live) if comparison.rerun_due else _unchanged(now)
    if live.identity.place != comparison.job.identity.place:
        now += f" in {KINDS[comparison.job.kind].place} '{live.identity.place}'"
    changed = f"{comparison.difference} while {now}"
    match comparison.job.lifecycle.on_change:
        case OnChange.REPLACE:
            effect = f"will cancel run {live.id}, then submit a new one"
            return Decision(Action.REPLACE, changed, effect, Impact.CANCELS, (Step.CANCEL, Step.CREATE))
        case OnChange.SUBMIT:
            effect = f"will submit a second run; run {live.id} keeps running"
            return Decision(Action.SUBMIT, changed, effect, Impact.RERUNS, (Step.CREATE,))
        case OnChange.KEEP if comparison.rerun_due:
            return _rerun_while_active(comparison, live)
        case OnChange.KEEP:
            return _unchanged(changed, "not submitted again because onChange is keep")
        case OnChange.BLOCK:
            options = "replace (cancels it), submit (second run) or keep (no new run)"
            hint = f"wait for it to end, or set lifecycle.onChange: {options}"
            return Decision(Action.BLOCKED, changed, hint, awaits_end=True)


def _rerun_while_active(comparison: Comparison, live: LiveJob) -> Decision:
    cause = f"{comparison.rerun_reason}, but an earlier run {live.id} {live.condition}"
    return Decision(Action.BLOCKED, cause, "wait for it to end, or cancel it", awaits_end=True)


def _kept(comparison: Comparison, create: Decision, effect: str) -> Decision:
    """Return what `onMissing: keep` makes of a create: nothing, unless --rerun requests it.

    The time in `lifecycle.rerun` cannot be compared with a run that is no longer listed: the run that it
    requested may have been submitted, and would be submitted again by every apply.
    """
    lifecycle = comparison.job.lifecycle
    if comparison.job.rerun_requested:
        return replace(create, cause=f"{comparison.rerun_reason}; {create.cause}", impact=Impact.RERUNS)
    if lifecycle.rerun and lifecycle.state is not State.STOPPED:
        unknown = "whether lifecycle.rerun is due is not known without a run; to rerun the job, use --rerun"
        return _warn("not deployed", f"{effect}; {unknown}")
    return _unchanged("not deployed", effect)


# The effects on a job whose state or spec cannot be judged.
_CHECK = "check it in the console"
_NOT_HANDLED = f"not compared with the manifest; {_CHECK}"
_NOT_COMPARED = "it cannot be compared with the manifest; no changes are made"


def _cancel(cause: str) -> Decision:
    return Decision(Action.CANCEL, cause, "will cancel it", Impact.CANCELS, (Step.CANCEL,))


def _resubmit(cause: str, because: str = "") -> Decision:
    return Decision(Action.RESUBMIT, cause, f"will submit a new run{because}", Impact.RERUNS, (Step.CREATE,))


def _unchanged(cause: str, effect: str = "") -> Decision:
    return Decision(Action.UNCHANGED, cause, effect)


def _warn(cause: str, effect: str) -> Decision:
    """Return a decision that changes nothing and warns."""
    return Decision(Action.UNCHANGED, cause, effect, is_warning=True)


# --- definitions ------------------------------------------------------------------------------------------


def definition(comparison: Comparison) -> Decision:  # noqa: C901 - one branch is one row of the table
    lifecycle, live = comparison.job.lifecycle, comparison.live
    wants_run = lifecycle.state is State.RUNNING
    if lifecycle.state is State.ABSENT:
        if live is None:
            return _unchanged("desired state is absent and the job does not exist")
        if live.phase is Phase.PENDING:
            return _warn(
                f"desired state is absent, but the job {live.condition}", "not deleted; run plan again later"
            )
        return _delete(comparison, live)
    if live is None:
        effect = (
            "will create it and start it"
            if wants_run
            else "will create it as a draft, because the desired state is stopped"
        )
        steps = (Step.CREATE, Step.START) if wants_run else (Step.CREATE,)
        create = Decision(Action.CREATE, f"not deployed: {comparison.listing}", effect, steps=steps)
        if lifecycle.on_missing is OnMissing.KEEP:
            return _kept(comparison, create, "not created because onMissing is keep")
        return create
    if live.phase is Phase.PENDING:
        if comparison.is_unchanged:
            return _unchanged(f"matches the manifest; the job {live.condition}")
        if comparison.former_name:
            nor = ", nor updated" if len(comparison.fields) > 1 else ""
            return _warn(f"not renamed yet{nor}: the job {live.condition}", "run apply again")
        return _warn(
            f"{comparison.difference}, but the job {live.condition}", "not updated; run plan again later"
        )
    if live.phase is Phase.UNKNOWN:
        return _warn(f"the job {live.condition}", _NOT_HANDLED)
    if live.spec is None:
        return _warn("the service does not return the job's definition", _NOT_COMPARED)
    if comparison.is_unchanged:
        return _definition_same(comparison, live)
    now = f"the job {live.condition}"
    if live.phase is not Phase.ACTIVE:
        if wants_run:
            changed = f"{comparison.difference}; desired state is running, but {now}"
            update = Decision(Action.UPDATE, changed, "", Impact.IN_PLACE, (Step.UPDATE,))
            return _then_start(comparison, live, update)
        changed = f"{comparison.difference}; desired state is stopped; {now}"
        return Decision(
            Action.UPDATE, changed, "will update the definition only", Impact.IN_PLACE, (Step.UPDATE,)
        )
    changed = f"{comparison.difference}; {now}"
    if wants_run:
        if comparison.updatable_while_running:
            effect = "will update it while it runs"
            return Decision(Action.UPDATE, changed, effect, Impact.IN_PLACE, (Step.UPDATE,))
        return _stop(comparison, changed, Action.RESTART, (Step.STOP, Step.UPDATE, Step.START))
    changed = f"{comparison.difference}; desired state is stopped, but {now}"
    if comparison.updatable_while_running:
        return _stop(comparison, changed, Action.UPDATE, (Step.UPDATE, Step.STOP))
    return _stop(comparison, changed, Action.STOP, (Step.STOP, Step.UPDATE))


def _definition_same(comparison: Comparison, live: LiveJob) -> Decision:  # noqa: C901 - one case is one row
    lifecycle, now = comparison.job.lifecycle, f"the job {live.condition}"
    start = Decision(Action.START, now)
    match live.phase:
        case Phase.ACTIVE if lifecycle.state is not State.RUNNING:
            return _stop(comparison, f"desired state is stopped, but {now}", Action.STOP, (Step.STOP,))
        case Phase.ACTIVE if comparison.rerun_due:
            return Decision(
                Action.BLOCKED,
                f"{comparison.rerun_reason}, but {now}",
                "a running job is not restarted for a rerun: stop it first",
            )
        case Phase.ACTIVE:
            return _unchanged(now)
        case Phase.FAILED if lifecycle.state is not State.RUNNING:
            return _warn(now, "not started because the desired state is stopped")
        case _ if lifecycle.state is not State.RUNNING:
            return _unchanged(now)
        case Phase.DRAFT:
            return _then_start(comparison, live, start)
        case Phase.STOPPED:
            return _then_start(comparison, live, replace(start, cause=f"desired state is running, but {now}"))
        case Phase.SUCCEEDED | Phase.FAILED if comparison.rerun_due:
            return _then_start(comparison, live, replace(start, cause=f"{comparison.rerun_reason}; {now}"))
        case Phase.SUCCEEDED:
            return _unchanged(now)
        case _ if lifecycle.on_failure is OnFailure.RESUBMIT:
            return _then_start(comparison, live, replace(start, cause=f"{now}; onFailure is resubmit"))
        case _:
            return _warn(now, "not started again because onFailure is keep")


def _then_start(comparison: Comparison, live: LiveJob, first: Decision) -> Decision:
    """Add a start to `first`: from the savepoint; without one only if no state is lost or the manifest allows it.

    An imported job is as its manifest says: that somebody has stopped it since is no reason to start it.
    """
    lifecycle = comparison.job.lifecycle
    is_imported = lifecycle.adopt and lifecycle.on_missing is OnMissing.KEEP
    if is_imported and not comparison.job.rerun_requested:
        kept = "neither updated nor started" if Step.UPDATE in first.steps else "not started"
        return _warn(first.cause, f"{kept} because adopt is true and onMissing is keep")
    updates = "update the definition, then " if Step.UPDATE in first.steps else ""
    start = replace(first, steps=(*first.steps, Step.START))
    match live.phase:
        case Phase.DRAFT:
            return replace(start, effect=f"will {updates}start its first run")
        case Phase.SUCCEEDED:
            return replace(start, effect=f"will {updates}start a new run", impact=Impact.RERUNS)
        case _ if live.savepoint:
            return replace(start, effect=f"will {updates}start it from its savepoint")
        case _ if not comparison.job.lifecycle.savepoint:
            effect = f"will {updates}start it without one, because savepoint is false: job state is lost"
            return replace(
                start, cause=f"{first.cause}; no savepoint exists", effect=effect, impact=Impact.STATE_LOST
            )
        case _:
            return Decision(
                Action.BLOCKED,
                f"{first.cause}; no savepoint exists, so starting it would lose the job state",
                "set lifecycle.savepoint to false to allow this",
            )


# The effects of the steps that begin or end with a stop; {how} is with or without a savepoint.
_STOP_EFFECTS = {
    (Step.STOP,): "will stop it {how}",
    (Step.STOP, Step.UPDATE): "will stop it {how}, then update the definition",
    (Step.UPDATE, Step.STOP): "will update it while it runs, then stop it {how}",
    (Step.STOP, Step.UPDATE, Step.START): "will stop it {how}, update the definition and start it {source}",
    (Step.STOP, Step.DELETE): "will stop it {how}, then delete it",
}


def _stop_effect(comparison: Comparison, steps: tuple[Step, ...]) -> str:
    if comparison.job.lifecycle.savepoint:
        return _STOP_EFFECTS[steps].format(how="with a savepoint", source="from that savepoint")
    return _STOP_EFFECTS[steps].format(how="without a savepoint", source="without state")


def _stop(comparison: Comparison, cause: str, action: Action, steps: tuple[Step, ...]) -> Decision:
    effect = _stop_effect(comparison, steps)
    if comparison.job.lifecycle.savepoint:
        impact = Impact.RESTART if Step.START in steps else Impact.STOPS
        return Decision(action, cause, effect, impact, steps)
    lost = f"{effect} (savepoint is false): job state is lost"
    return Decision(action, cause, lost, Impact.STATE_LOST, steps)


def _delete(comparison: Comparison, live: LiveJob) -> Decision:
    cause = f"desired state is absent, but the job {live.condition}"
    if live.phase not in {Phase.ACTIVE, Phase.UNKNOWN}:
        return Decision(Action.DELETE, cause, "will delete it", Impact.DELETES, (Step.DELETE,))
    steps = (Step.STOP, Step.DELETE)
    return Decision(Action.DELETE, cause, _stop_effect(comparison, steps), Impact.DELETES, steps)


# --- deployer cancel --------------------------------------------------------------------------------------


def cancellation(comparison: Comparison) -> Decision:
    """Decide for `deployer cancel`: end active runs, keep records and definitions."""
    job, live = comparison.job, comparison.live
    if live is None:
        return _unchanged("not deployed", "nothing to cancel")
    is_run = KINDS[job.kind].nature is Nature.RUN_ONCE
    now = f"{f'run {live.id}' if is_run else 'the job'} {live.condition}"
    if live.phase is Phase.UNKNOWN:
        return Decision(Action.BLOCKED, f"cancel requested, but {now}", _CHECK)
    if live.phase not in RUNNING_PHASES:
        return _unchanged(now, "nothing to cancel")
    if is_run:
        return _allowed(job, _cancel(f"cancel requested; {now}"))
    if live.phase is Phase.PENDING:
        return Decision(Action.BLOCKED, f"cancel requested, but {now}", "try again later")
    return _allowed(job, _stop(comparison, f"cancel requested; {now}", Action.STOP, (Step.STOP,)))
