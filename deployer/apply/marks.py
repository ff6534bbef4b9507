"""Ownership tags for jobs that deployer did not create: written to the live jobs as they are, which restarts none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployer.apply.journal import Journal
from deployer.cloud.client import Client
from deployer.errors import DeployerError, Interrupted, ResponseLost
from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS
from deployer.kinds.ownership import TAG, Owner, is_owned, ownership_tags, project_of, tag_values
from deployer.model import Action, Change, Impact, Job, LiveJob, Result, Step
from deployer.secrets.pointers import secret_pointers

_REASON = "ownership tags for an imported job"


@dataclass(frozen=True, slots=True)
class Marked:
    """The result for one job; `message` is the error, if there is one."""

    change: Change
    result: Result
    message: str = ""


def changes(jobs: Iterable[tuple[Job, LiveJob]], owner: Owner) -> tuple[Change, ...]:
    """Return a change for each job that can have tags, shows its own, and has none of the owner yet."""
    return tuple(
        Change(Action.UPDATE, job, _REASON, Impact.IN_PLACE, live=live, steps=(Step.UPDATE,))
        for job, live in jobs
        if KINDS[job.kind].ownership_field == TAGS
        and TAGS not in live.unobserved
        and not is_owned(live, owner)
    )


def write(client: Client, journal: Journal, owner: Owner, wanted: Iterable[Change]) -> Iterator[Marked]:
    """Write the tags of each job, between two lines of the journal, and yield the results."""
    for change in wanted:
        try:
            yield _write_one(client, journal, owner, change)
        except Interrupted as error:
            yield Marked(change, Result.STOPPED, str(error))
            return


def _write_one(client: Client, journal: Journal, owner: Owner, change: Change) -> Marked:
    kind, job, live = KINDS[change.job.kind], change.job, change.live
    if live is None:
        raise RuntimeError("only live jobs are marked")
    tags = ownership_tags(kind, job, owner, secret_pointers(job.spec), live)
    if not tags:
        return Marked(change, Result.SKIPPED, "it has no room for another tag")
    try:
        # Others may have marked it since it was listed.
        now, before = tag_values(client.tags(kind, live.id)), project_of(live)
        if before and now.get(TAG, "") != before:
            return Marked(
                change, Result.REFUSED, f"its ownership tags do not name project '{before}' any more"
            )
        if not before and now.keys() & tags.keys():
            return Marked(change, Result.REFUSED, "it has ownership tags by now")
        entry = journal.intent(change, Step.UPDATE, live.id)
        try:
            client.tag(kind, live.id, tags)
        except DeployerError as error:
            result = Result.UNKNOWN if isinstance(error, ResponseLost) else Result.FAILED
            entry.record_outcome(result, live.id, str(error), client.request_id)
            raise
        entry.record_outcome(Result.DONE, live.id, "", client.request_id)
    except Interrupted:
        raise
    except DeployerError as error:
        lost = isinstance(error, ResponseLost)
        return Marked(change, Result.UNKNOWN if lost else Result.FAILED, str(error))
    return Marked(change, Result.DONE)
