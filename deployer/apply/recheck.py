"""The checks before the first write, against the plan, and after the last one, against the request.

A job that has changed since the plan is refused: somebody else is working on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployer.apply.context import ChangeContext
from deployer.cloud.observe import list_candidates, names_in_use
from deployer.errors import ApiError, DeployerError
from deployer.kinds.former import is_former, is_named_otherwise, with_former
from deployer.kinds.kind import TAGS, Kind, Nature, may_be_unnamed
from deployer.kinds.ownership import matches_fingerprint, project_of
from deployer.model import RUNNING_PHASES, Job, LiveJob, Phase, Step
from deployer.planning.additional import separated
from deployer.planning.align import compare_job
from deployer.planning.run_keys import NOT_TOLD, with_run_keys


class ChangedMeanwhile(DeployerError):
    """The live job has changed since the plan."""


def recheck(context: ChangeContext) -> None:
    """Read the job again; raises ChangedMeanwhile if it has changed since the plan, and ApiError."""
    planned = context.change.live
    listed = list_same_name(context)
    if planned is None:
        return
    live = next((run for run in listed if run.id == planned.id), None)
    live = live or context.read_job(planned.id, planned.identity)
    if live is None:
        raise ChangedMeanwhile(f"job {planned.id} no longer exists; run plan again")
    if live.identity.name not in {"", planned.identity.name, context.job.name}:
        raise ChangedMeanwhile(
            f"job {planned.id} was renamed to '{live.identity.name}' since the plan was created; run plan again"
        )
    _require_free_name(context, live)
    if _has_moved(context, planned, live):
        raise ChangedMeanwhile(
            f"job {planned.id} changed from {planned.state} to {live.state} since the plan was created; run plan again"
        )
    if has_other_project(context.kind, planned, live):
        owner = f"by project '{project_of(live)}'" if project_of(live) else "without ownership metadata"
        raise ChangedMeanwhile(
            f"job {planned.id} was taken over since the plan was created ({owner}); run plan again"
        )
    if names := differing_fields(planned, live):
        raise ChangedMeanwhile(
            f"job {planned.id} was modified since the plan was created ({', '.join(names)}); run plan again"
        )
    # A savepoint that the plan did not know is not used for a start.
    counts = planned.savepoint or live.phase is Phase.ACTIVE
    context.progress.live = live if counts else replace(live, savepoint="")


def list_same_name(context: ChangeContext) -> Sequence[LiveJob]:
    """List the runs that may be of this job; raises ChangedMeanwhile if there is a new one, and ApiError.

    Their ids become the known ones: a run that appears after a create is the created one.
    """
    kind, job = context.kind, context.job
    looks = context.shared.looks
    seen = looks.seen(job) if looks else None
    listed = seen.runs if seen else _list_all_names(context)
    context.progress.known_ids = seen.ids if seen else frozenset(run.id for run in listed)
    for run in listed if not job.parameters else _new_with_keys(context, listed):
        unnamed = may_be_unnamed(kind, run) and run.phase in RUNNING_PHASES
        unnamed &= run.identity.place in {job.identity.place, ""}
        is_own = run.identity == job.identity or is_former(job, run) or _may_be_run_of(job, run)
        if run.id not in context.planned_ids and (is_own or unnamed):
            if looks:
                looks.distrust(job)
            raise ChangedMeanwhile(
                f"{kind.noun} {run.id} ({run.state}) was created since the plan; run plan again"
            )
    return listed


def _new_with_keys(context: ChangeContext, listed: Sequence[LiveJob]) -> Sequence[LiveJob]:
    """Return the runs that the plan did not know, with the keys of their values."""
    new = [run for run in listed if run.id not in context.planned_ids]
    return with_run_keys(new, [context.job], context.shared.owner)


def _may_be_run_of(job: Job, run: LiveJob) -> bool:
    """Return whether a run is one of this job whose values are not told; or any, if the job has no values."""
    if not job.parameters or run.identity.of_job != job.identity.of_job:
        return False
    return run.identity.run == NOT_TOLD or not job.identity.run


def _list_all_names(context: ChangeContext) -> Sequence[LiveJob]:
    """List the runs that may be of this job, under its former names and in its former places too."""
    found: dict[str, LiveJob] = {}
    planned = context.change.live
    is_here = planned is not None and planned.identity == context.job.identity
    for job in with_former([context.job]):
        try:
            listed = list_candidates(context.client, job)
        except ApiError:
            # A cluster that was deleted since the job moved, of which the plan has warned.
            if not is_here or job.identity.place == context.job.identity.place:
                raise
            continue
        found |= {run.id: run for run in listed if run.id not in found}
    return list(found.values())


def _require_free_name(context: ChangeContext, live: LiveJob) -> None:
    """Raise ChangedMeanwhile if a definition cannot be renamed: a job of any type has the new name.

    Else a stream that runs would be stopped, could not be renamed, and would stay down.
    """
    if Step.UPDATE not in context.change.steps or not is_named_otherwise(context.job, live):
        return
    name = context.job.name
    if holders := names_in_use(context.client, context.kind, name) - {live.id}:
        raise ChangedMeanwhile(
            f"cannot be renamed: job {', '.join(sorted(holders))} has the name '{name}' already; no changes made"
        )


def _has_moved(context: ChangeContext, planned: LiveJob, live: LiveJob) -> bool:
    if context.kind.nature is Nature.DEFINITION:
        return live.phase is not planned.phase
    if Step.CANCEL in context.change.steps:
        return False  # a run that has ended meanwhile need not be cancelled
    return live.phase in RUNNING_PHASES and planned.phase not in RUNNING_PHASES


def has_other_project(kind: Kind, planned: LiveJob, live: LiveJob) -> bool:
    """Return whether two reads of a job show different owners; not all of them contain tags."""
    is_shown = live.spec is not None and kind.ownership_field not in planned.unobserved | live.unobserved
    return is_shown and project_of(planned) != project_of(live)


def differing_fields(planned: LiveJob, live: LiveJob) -> list[str]:
    """Return the fields that differ between two reads of a job; not all of them contain tags."""
    before, now = planned.spec or {}, live.spec or {}
    names = {*before, *now} - planned.unobserved - live.unobserved - {TAGS}
    return sorted(name for name in names if before.get(name) != now.get(name))


def drift(kind: Kind, job: Job, live: LiveJob) -> Sequence[str]:
    """Return the fields in which a live job differs from its manifest; none if its spec is not returned."""
    fields = dict.fromkeys(change.name for change in compare_job(kind, job, live))
    has_other_name = kind.nature is Nature.DEFINITION and live.identity.name not in {"", job.name}
    return [kind.name_field, *fields] if has_other_name else list(fields)


def has_this_content(kind: Kind, job: Job, live: LiveJob) -> bool:
    """Return whether a live job certainly matches its manifest; false if its spec is not returned."""
    return matches_fingerprint(kind, job, live) or (live.spec is not None and not drift(kind, job, live))


def is_other(job: Job, live: LiveJob | None) -> bool:
    """Return whether the job that was read by the id of a created one has another name; a service may not show any."""
    return live is not None and live.identity.name not in {"", job.name}


class Differs(DeployerError):
    """The live job is not as requested: an error of deployer or of the service."""


def read_back(context: ChangeContext) -> str:
    """Read the job back and compare it with the request, and return a note if that is not possible.

    Raises Differs if the next plan would change the job, or could not find it.
    """
    steps, progress = context.change.steps, context.progress
    if not {Step.CREATE, Step.UPDATE} & {*steps}:
        return ""
    live, error_text = progress.created, progress.read_error
    if Step.CREATE not in steps:
        try:
            live = context.read_job(progress.id)
        except ApiError as error:
            error_text = str(error)
    if error_text:
        return f"could not be read back: {error_text}"
    if live is None:
        return ""
    if not live.identity.name:
        raise Differs(
            f"but the service does not return the name of the {context.kind.noun}: deployer cannot recognize it "
            "later, and the next apply may submit it again"
        )
    if live.spec is None:
        return "but the service does not return the spec, so it cannot be compared"
    # What the service has filled in is no difference, as in the next plan.
    found = compare_job(context.kind, context.job, live)
    changed, _ = separated(context.kind, context.job, live, found)
    is_misnamed = Step.UPDATE in steps and live.identity.name != context.job.name
    name = [context.kind.name_field] if is_misnamed else []
    if names := dict.fromkeys((*name, *(change.name for change in changed))):
        raise Differs(
            f"but the deployed spec differs from the request ({', '.join(names)}); the job was deployed: compare it "
            "in the console, and report this as a bug"
        )
    return ""
