"""The looks before the first write, for what the plan saw, and after the last one, for what was sent.

A job that is no longer as the plan saw it is refused: somebody else is at work on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployer.apply.context import ChangeContext
from deployer.cloud.observe import list_candidates
from deployer.errors import ApiError, DeployerError
from deployer.kinds.kind import TAGS, Kind, Nature
from deployer.kinds.ownership import matches_fingerprint
from deployer.model import RUNNING_PHASES, Job, LiveJob, Phase, Step
from deployer.planning.diff import compare


class ChangedMeanwhile(DeployerError):
    """The live job is not what the plan saw."""


def recheck(context: ChangeContext) -> None:
    """Look at the job again; raises ChangedMeanwhile where it is not what the plan saw, and ApiError."""
    planned = context.change.live
    listed = list_same_name(context)
    if planned is None:
        return
    live = next((run for run in listed if run.id == planned.id), None)
    live = live or context.look(planned.id, planned.identity)
    if live is None:
        raise ChangedMeanwhile(f"{planned.id} is not there any more; plan again")
    if _has_moved(context, planned, live):
        raise ChangedMeanwhile(
            f"{planned.id} was {planned.state} when the plan was made, and is {live.state} now; plan again"
        )
    if names := _differing_fields(planned, live):
        raise ChangedMeanwhile(
            f"{planned.id} was changed since the plan was made ({', '.join(names)}); plan again"
        )
    # A savepoint that the plan did not count with is not started from.
    counts = planned.savepoint or live.phase is Phase.ACTIVE
    context.progress.live = live if counts else replace(live, savepoint="")


def list_same_name(context: ChangeContext) -> list[LiveJob]:
    """List the runs that may be of this job; raises ChangedMeanwhile where a new one is there, and ApiError.

    Their ids become the known ones: what appears beside them after a create is what it made.
    """
    kind, job = context.kind, context.job
    listed = list_candidates(context.client, job)
    context.progress.known_ids = frozenset(run.id for run in listed)
    for run in listed:
        unnamed = not kind.named_in_listing and not run.identity.name and run.phase in RUNNING_PHASES
        if run.id not in context.planned_ids and (run.identity == job.identity or unnamed):
            raise ChangedMeanwhile(f"{run.id} ({run.state}) has appeared since the plan was made; plan again")
    return listed


def _has_moved(context: ChangeContext, planned: LiveJob, live: LiveJob) -> bool:
    if context.kind.nature is Nature.DEFINITION:
        return live.phase is not planned.phase
    if Step.CANCEL in context.change.steps:
        return False  # what has ended meanwhile need not be cancelled
    return live.phase in RUNNING_PHASES and planned.phase not in RUNNING_PHASES


def _differing_fields(planned: LiveJob, live: LiveJob) -> list[str]:
    """Return the fields in which two looks at a job differ; tags are not in each of them."""
    before, now = planned.spec or {}, live.spec or {}
    names = {*before, *now} - planned.unobserved - live.unobserved - {TAGS}
    return sorted(name for name in names if before.get(name) != now.get(name))


def drift(kind: Kind, job: Job, live: LiveJob) -> Sequence[str]:
    """Return the fields in which a live job is not as its manifest says; none where its spec is not shown."""
    if live.spec is None:
        return []
    changes = compare(kind.rows, live.spec, kind.expect(job.spec), live.unobserved)
    return list(dict.fromkeys(change.path.split("/")[1] for change in changes))


def has_this_content(kind: Kind, job: Job, live: LiveJob) -> bool:
    """Tell whether a live job is sure to hold what its manifest says; one that is not shown is not."""
    return matches_fingerprint(kind, job, live) or (live.spec is not None and not drift(kind, job, live))


def read_back(context: ChangeContext) -> str:
    """Read what was sent, and return how it differs: then a comparison is wrong, or the service is."""
    steps, progress = context.change.steps, context.progress
    if not {Step.CREATE, Step.UPDATE} & {*steps}:
        return ""
    live, error_text = progress.created, progress.read_error
    if Step.CREATE not in steps:
        try:
            live = context.look(progress.id)
        except ApiError as error:
            error_text = str(error)
    if error_text:
        return f"it could not be read back: {error_text}"
    if live is None or matches_fingerprint(context.kind, context.job, live):
        return ""
    if live.spec is None:
        return "but what was sent is not shown, so that it cannot be compared"
    if names := drift(context.kind, context.job, live):
        fields = ", ".join(names)
        return f"but read back it differs ({fields}), as the next plan will show: please report it"
    return ""
