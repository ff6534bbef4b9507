"""The check at the end of an apply: each created job is listed, and no other runner created it, too.

Another runner may send the same create at the same time. Before it creates, neither sees the job of the other,
because a listing may lag behind; at the end, the one whose job is listed last sees both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from deployer.apply.context import ApplyContext, Created
from deployer.cloud.observe import list_same_names
from deployer.errors import ApiError, Interrupted
from deployer.kinds import KINDS
from deployer.kinds.kind import may_be_unnamed
from deployer.model import RUNNING_PHASES, Identity, LiveJob, Outcome, Result


def check_created(context: ApplyContext, outcomes: Mapping[Identity, Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes that the listings contradict, revised; they have the results UNKNOWN and TIMED_OUT.

    Reads the listings of the created jobs until they show all of them, at most for the consistency delay.
    An interrupt ends the check.
    """
    pending = [created for created in context.created if created.job.identity in outcomes]
    own_ids = {created.id for created in pending}
    error = ""
    for look, pause in enumerate(context.polling.confirm_delays()):
        if not pending:
            return
        if look == 1:
            jobs = "1 created job is" if len(pending) == 1 else f"{len(pending)} created jobs are"
            context.report(f"waiting until {jobs} listed")
        try:
            context.stop_signal.sleep(pause)
            live = list_same_names(context.client, [created.job for created in pending])
        except Interrupted:
            return
        except ApiError as failure:
            error = str(failure)
            if context.client.is_refused:
                break
            continue
        error = ""
        for created in pending:
            if others := _created_beside(created, live, own_ids):
                yield _duplicate(outcomes[created.job.identity], created, others)
        pending = [created for created in pending if not _is_settled(created, live, own_ids)]
    for created in pending:
        yield _unlisted(outcomes[created.job.identity], created, context.polling.consistency_delay, error)


def _is_settled(created: Created, live: Sequence[LiveJob], own_ids: Collection[str]) -> bool:
    """Return whether a created job needs no other look: it is listed, or reported as a duplicate."""
    return any(run.id == created.id for run in live) or bool(_created_beside(created, live, own_ids))


def _created_beside(created: Created, live: Sequence[LiveJob], own_ids: Collection[str]) -> list[LiveJob]:
    """Return the jobs of the same identity that appeared during this apply, but were not created by it."""
    identity = created.job.identity

    def may_be_same(run: LiveJob) -> bool:
        unnamed = may_be_unnamed(KINDS[identity.kind], run) and run.phase in RUNNING_PHASES
        return run.identity == identity or (unnamed and run.identity.place in {identity.place, ""})

    return [
        run for run in live if run.id not in created.known_ids and run.id not in own_ids and may_be_same(run)
    ]


def _duplicate(outcome: Outcome, created: Created, others: Sequence[LiveJob]) -> Outcome:
    noun = KINDS[created.job.kind].noun
    ids = ", ".join(sorted(run.id for run in others))
    message = (
        f"{outcome.message}, but another {noun} of this job was created at the same time: {ids}; "
        f"check both, and cancel the one that should not run"
    )
    return replace(outcome, result=Result.UNKNOWN, id=created.id, message=message)


def _unlisted(outcome: Outcome, created: Created, delay: float, error: str) -> Outcome:
    if error:
        words = f"could not be found in the job list: {error}"
    else:
        words = (
            f"the job list does not show it after {delay:g} s; an apply before it is listed would create it "
            "again, so raise polling.consistencyDelay"
        )
    result = Result.TIMED_OUT if outcome.result is Result.DONE else outcome.result
    return replace(outcome, result=result, id=created.id, message=f"{outcome.message}, but {words}")
