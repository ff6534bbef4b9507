"""The check at the end of an apply: each created job is listed as requested, and no other runner created it, too.

Another runner may send the same create at the same time. Before it creates, neither sees the job of the other,
because a listing may lag behind; at the end, the one whose job is listed last sees both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from deployer.apply.context import ApplyContext, Created
from deployer.apply.read_back_later import read_back_listed
from deployer.apply.recheck import is_other
from deployer.cloud.observe import by_listing, list_same_names
from deployer.errors import ApiError, Interrupted
from deployer.kinds import KINDS
from deployer.kinds.former import with_former
from deployer.kinds.kind import may_be_unnamed
from deployer.kinds.ownership import Owner
from deployer.model import RUNNING_PHASES, Identity, Job, LiveJob, Outcome, Result
from deployer.planning.run_keys import NOT_TOLD, with_run_keys


def check_created(context: ApplyContext, outcomes: Mapping[Identity, Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes that the listings contradict, revised.

    Reads the listings of the created jobs until they show all of them, at most for the consistency delay.
    An interrupt ends the check.
    """
    pending = [created for created in context.created.values() if created.job.identity in outcomes]
    own_ids = {created.id for created in pending}
    error = ""
    for look, pause in enumerate(context.polling.confirm_delays()):
        if not pending:
            return
        if look == 1:
            context.report(f"waiting until {_created_jobs(len(pending))} listed")
        try:
            context.stop_signal.sleep(pause)
            asked = _in_same_listing(created.job for created in pending)
            live = list_same_names(context.client, asked, own_ids)
        except Interrupted:
            return
        except ApiError as failure:
            error = str(failure)
            if context.client.is_refused:
                break
            continue
        error = ""
        by_id = {run.id: run for run in live}
        named = [created for created in pending if not is_other(created.job, by_id.get(created.id))]
        beside = _created_beside(named, live, own_ids, context.owner)
        yield from (_duplicate(outcomes[created.job.identity], created, others) for created, others in beside)
        twins = {created.id for created, _ in beside}
        listed = [created for created in pending if created.id in by_id and created.id not in twins]
        yield from read_back_listed(((created, by_id[created.id]) for created in listed), outcomes)
        pending = [created for created in pending if created.id not in by_id and created.id not in twins]
    for created in pending:
        yield _unlisted(outcomes[created.job.identity], created, context, error)


def _in_same_listing(jobs: Iterable[Job]) -> list[Job]:
    """Return jobs, and themselves under their former names; not in another cluster, which may be gone by now."""
    jobs = list(jobs)
    listings = by_listing(jobs)
    return [
        job for key, together in by_listing(with_former(jobs)).items() if key in listings for job in together
    ]


def _created_jobs(number: int) -> str:
    return "1 created job is" if number == 1 else f"{number} created jobs are"


def _by_identity(live: Iterable[LiveJob], own_ids: Collection[str]) -> Mapping[Identity, list[LiveJob]]:
    """Group the jobs that this apply did not create by identity: those without a name that are active, too."""
    groups: dict[Identity, list[LiveJob]] = defaultdict(list)
    for run in live:
        is_active = run.phase in RUNNING_PHASES
        unnamed = may_be_unnamed(KINDS[run.identity.kind], run)
        if run.id not in own_ids and (is_active or not unnamed):
            groups[run.identity].append(run)
    return groups


def _created_beside(
    pending: Iterable[Created], live: Iterable[LiveJob], own_ids: Collection[str], owner: Owner | None
) -> list[tuple[Created, list[LiveJob]]]:
    """Return created jobs with the others that appeared during this apply and have, or may have, their identity."""
    pending = list(pending)
    if with_parameters := [created for created in pending if created.job.parameters]:
        known = with_parameters[0].planned_ids
        new = [run for run in live if run.id not in known and run.id not in own_ids]
        live = with_run_keys(new, [created.job for created in with_parameters], owner)
    candidates = _by_identity(live, own_ids)
    found = []
    for created in pending:
        identity = created.job.identity
        named = (identity, *created.job.renamed_from)
        if identity.run:
            named = (*named, identity._replace(run=NOT_TOLD))
        unnamed = identity._replace(name="", run="")
        others = [
            run
            for key in dict.fromkeys((*named, unnamed, unnamed._replace(place="")))
            for run in candidates.get(key, ())
            if key in named or may_be_unnamed(KINDS[key.kind], run)
        ]
        new = [run for run in others if run.id not in created.known_ids and run.id not in created.planned_ids]
        found += [(created, new)] if new else []
    return found


def _duplicate(outcome: Outcome, created: Created, others: Sequence[LiveJob]) -> Outcome:
    noun = KINDS[created.job.kind].noun
    ids = ", ".join(sorted(run.id for run in others))
    message = (
        f"{outcome.message}, but another {noun} of this job was created at the same time: {ids}; "
        f"check both, and cancel the one that should not run"
    )
    return replace(outcome, result=Result.UNKNOWN, id=created.id, message=message)


def _unlisted(outcome: Outcome, created: Created, context: ApplyContext, error: str) -> Outcome:
    if error:
        words = f"could not be found in the job list: {error}"
    else:
        again = (
            "the next apply waits for it"
            if context.is_shared
            else "an apply before it is listed would create it again, so raise polling.consistencyDelay"
        )
        words = f"the job list does not show it after {context.polling.consistency_delay:g} s; {again}"
    result = Result.TIMED_OUT if outcome.result is Result.DONE else outcome.result
    return replace(outcome, result=result, id=created.id, message=f"{outcome.message}, but {words}")
