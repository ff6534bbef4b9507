"""What `metadata.renamedFrom` adds to a plan: the words for a former name, and what is blocked for it.

A name alone proves nothing: a run under a former name is ended only if it has the ownership metadata of this project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from deployer.kinds import KINDS
from deployer.kinds.former import is_former, is_named_otherwise
from deployer.kinds.kind import Nature
from deployer.model import RUNNING_PHASES, Action, Cause, FieldChange, Identity, Job, LiveJob, OnChange, Step
from deployer.planning.decide import Comparison, Decision
from deployer.planning.ownership import TOUCHING_STEPS, Holder, OwnershipRules, deployed_by


def with_name(comparison: Comparison) -> Comparison:
    """Return a comparison with the change of the name that an update makes; a run keeps its name."""
    job, live, cause = comparison.job, comparison.live, comparison.cause
    kind = KINDS[job.kind]
    if live is None or kind.nature is not Nature.DEFINITION or not is_named_otherwise(job, live):
        return comparison
    name = FieldChange(f"/{kind.name_field}", live.identity.name, job.name)
    if not comparison.fields:
        cause = Cause.MANIFEST
    elif cause is Cause.DRIFT:
        cause = Cause.BOTH
    fields = (name, *comparison.fields)
    return replace(comparison, fields=fields, cause=cause, former_name=live.identity.name)


def both_exist(job: Job, runs: Sequence[LiveJob]) -> Decision | None:
    """Return why a definition is blocked that exists under several of its names; None if it does not."""
    if KINDS[job.kind].nature is not Nature.DEFINITION or len(runs) < 2:
        return None
    if not any(is_former(job, run) for run in runs):
        return None
    found = " and ".join(f"'{run.identity.name}' (id {run.id}, {run.state})" for run in _by_age(job, runs))
    cause = f"this job and one that it was renamed from exist at the same time: {found}"
    return Decision(Action.BLOCKED, cause, "delete the one that is not needed, or remove renamedFrom")


def name_taken(
    decision: Decision, comparison: Comparison, holders: Sequence[LiveJob], ownership: OwnershipRules
) -> Decision:
    """Return a decision, blocked where a rename would fail: `holders` are all live jobs with the new name."""
    job = comparison.job
    if not holders or not comparison.former_name or Step.UPDATE not in decision.steps:
        return decision
    holder = holders[0]
    whose = f", and {deployed_by(holder)}" if ownership.holder(holder) is Holder.OTHER else ""
    cause = f"{decision.cause}; the name '{job.name}' is taken by job {holder.id}, which {holder.condition}{whose}"
    return Decision(Action.BLOCKED, cause, "choose another name")


def _by_age(job: Job, runs: Sequence[LiveJob]) -> list[LiveJob]:
    return sorted(runs, key=lambda run: (is_former(job, run), run.identity, run.id))


def explaining(table: Callable[[Comparison], Decision]) -> Callable[[Comparison], Decision]:
    """Return a decision table whose reasons name the former name or place of a live job."""
    return lambda comparison: _explained(table(comparison), comparison)


def _explained(decision: Decision, comparison: Comparison) -> Decision:
    job, live = comparison.job, comparison.live
    if live is None or not is_former(job, live):
        return decision
    if KINDS[job.kind].nature is Nature.RUN_ONCE:
        return replace(decision, cause=f"{decision.cause}; submitted {_as_former(job, live)}")
    if {*decision.steps} & {Step.UPDATE} or decision.action is Action.BLOCKED:
        return decision
    return replace(decision, cause=f"{decision.cause}; it is still named '{live.identity.name}'")


def _as_former(job: Job, live: LiveJob) -> str:
    name, place = live.identity.name, live.identity.place
    where = f" in {KINDS[job.kind].place} '{place}'" if place != job.identity.place else ""
    return f"as '{name}'{where}"


def allowed(
    decision: Decision, comparison: Comparison, runs: Iterable[LiveJob], ownership: OwnershipRules
) -> Decision:
    """Return a decision, blocked where it would change a job with a former name that may not be this project's.

    `runs` are those that count. A session or an MRS job has no ownership metadata, so it is never ended.
    """
    job, live = comparison.job, comparison.live
    kind = KINDS[job.kind]
    if kind.nature is Nature.DEFINITION:
        if live is None or not is_former(job, live) or not TOUCHING_STEPS & {*decision.steps}:
            return decision
        if job.lifecycle.adopt or ownership.holder(live) is Holder.OURS:
            return decision
        whose = f"nothing proves that the job '{live.identity.name}' is this project's"
        hint = "to take it over, set lifecycle.adopt to true"
        return Decision(Action.BLOCKED, f"{decision.cause}; {whose}", hint)
    active = [run for run in runs if is_former(job, run) and run.phase in RUNNING_PHASES]
    if decision.action is Action.UNCHANGED or not active:
        return decision
    affected = active if decision.action is Action.CANCEL else [run for run in active if run is live]
    for run in affected:
        if not kind.ownership_field or ownership.holder(run) is not Holder.OURS:
            whose = f"nothing proves that run {run.id}, submitted {_as_former(job, run)}, is this project's"
            hint = f"wait for it to end, or end it with cancel --id {run.id}"
            return Decision(Action.BLOCKED, f"{decision.cause}; {whose}", hint)
    return decision


def active_elsewhere(
    job: Job, active: Mapping[tuple[str, str], Sequence[LiveJob]], ownership: OwnershipRules
) -> list[LiveJob]:
    """Return the runs with a former name that are in another place than renamedFrom says; newest first.

    `active` are those in the places of no manifest, by kind and name. Those of other projects are none of the job's.
    """
    names = {identity.name for identity in job.renamed_from} - {job.name}
    found = [run for name in sorted(names) for run in active.get((job.kind, name), ())]
    own = [run for run in found if not ownership.is_other(job, run)]
    return sorted(own, key=lambda run: (run.submitted, run.id), reverse=True)


def beside_active(decision: Decision, job: Job, active: Sequence[LiveJob]) -> Decision:
    """Return a decision, blocked where it would submit a run beside one that may be the job's under a former name.

    `active` are those of `active_elsewhere`. `onChange: submit` allows a second run.
    """
    if not active or Step.CREATE not in decision.steps or job.lifecycle.on_change is OnChange.SUBMIT:
        return decision
    run, place = active[0], KINDS[job.kind].place
    name, where = run.identity.name, run.identity.place
    cause = f"{decision.cause}; active as '{name}' in {place} '{where}' (id {run.id}, {run.state})"
    hint = f"if it is this job, add its place to renamedFrom: {{name: {name}, place: {where}}}"
    other = "otherwise wait for it to end, or set lifecycle.onChange: submit (second run)"
    return Decision(Action.BLOCKED, cause, f"{hint}; {other}")


def former_failure(job: Job, failures: Mapping[Identity, str], *, is_found: bool) -> tuple[str, str]:
    """Return an error and a warning about places that cannot be read, empty without any.

    A job that exists where it is now needs no other; without one, it may have run there.
    """
    if failure := failures.get(job.identity):
        return failure, ""
    unread = [identity for identity in job.renamed_from if identity in failures]
    if not unread:
        return "", ""
    words = f"{unread[0]}, which renamedFrom names, cannot be read: {failures[unread[0]]}"
    if is_found:
        return "", f"{words}; runs there are not seen"
    return f"{words}; it is not known whether the job ran there, so nothing is submitted", ""
