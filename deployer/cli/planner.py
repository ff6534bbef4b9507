"""The plan of a command: what the listings show and earlier runs have sent, and the decisions on the selected jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from deployer.cli.session import Known, LoadedProject, note, secrets
from deployer.kinds.savepoint_tag import has_old_savepoint
from deployer.model import (
    FAILED_PHASES,
    Identity,
    Job,
    Limit,
    Live,
    LiveJob,
    Note,
    Plan,
    Scope,
)
from deployer.project.target import Polling
from deployer.report import text
from deployer.report.terminal import err
from deployer.secrets.references import referenced_names

if TYPE_CHECKING:
    from deployer.cli.removal import Prune
    from deployer.cli.run_plan import RunPlan
    from deployer.cloud.client import Client
    from deployer.planning.families import Members
    from deployer.planning.ownership import LiveValues, OwnershipRules
    from deployer.planning.plan import Table


def plan(
    client: Client,
    loaded: LoadedProject,
    table: Table | None = None,
    *,
    limits: Mapping[str, Limit] | None = None,
    live_values: LiveValues | None = None,
    known: Known,
    note: Callable[[str], object] = note,
    prune: Prune | None = None,
    members: Members | None = None,
    run: RunPlan | None = None,
    is_of_runs: bool = False,
) -> tuple[Plan, Live]:
    """Read the listings and plan the selected jobs, with the default tables or `table`.

    `members` returns the runs to plan of jobs with parameters; None: those that apply submits. `run` is for
    `deployer run`, in place of `table`. `is_of_runs`: orphans do not matter.

    `limits` are those in force, for the heading. `live_values` are those that the plan has; None: those of the
    project's own jobs. `known` is what earlier runs have sent. `prune`: also remove orphaned jobs.
    """
    from deployer.apply.history import renamed, submitted_names, unsettled
    from deployer.apply.unsettled import explained, unlisted
    from deployer.planning.decide import decide
    from deployer.planning.ownership import LiveValues, OwnershipRules
    from deployer.planning.plan import digest, make_plan

    jobs = loaded.with_dependencies
    project, target = loaded.project, loaded.target
    selected = loaded.selected
    if members or any(job.parameters for job in jobs):
        from deployer.planning.families import for_apply

        planned = (members or for_apply)(jobs, selected)
        jobs, selected = planned.jobs, planned.selected
    ownership = OwnershipRules(project.name, project.records_ownership, live_values or LiveValues.OWN)
    live = _observe(client, loaded, jobs, ownership, known, note)
    unread: list[Note] = []
    if prune:
        from deployer.cli import removal

        live, unread = removal.with_inventory(client, loaded, live, known.history, note)
    submitted = submitted_names(known.history, target.name, client.project_id, project.name)
    if left := {kind for kind, _ in submitted} - {job.kind for job in loaded.jobs}:
        from deployer.cli import removal

        live = live if prune else removal.with_left(client, loaded, live, known.history, left, submitted)
    for words in _about_listings(live, is_about_orphans=run is None and not is_of_runs):
        note(words)
    left_out = [job for job in jobs if job.identity not in selected]
    if left_out and not run:  # each of its waves plans again
        note(f"dependencies that are not selected: {_dependency_summary(left_out, live)}")
    scope = {"target": target.name, "project": client.project_id, "region": target.region, **target.endpoints}
    named = {*loaded.disabled, *(job.identity for job in loaded.jobs)}
    new_plan = make_plan(
        target.name,
        scope,
        jobs,
        live,
        selected,
        named=named,
        former={identity for job in loaded.jobs for identity in job.renamed_from},
        ownership=ownership,
        table=run.table(jobs, live, known, named) if run else table or decide,
        submitted=submitted,
        is_run=run is not None,
    )
    if run:
        new_plan = run.in_places(new_plan, live)
        new_plan = replace(new_plan, digest=digest(scope, new_plan))
    new_plan = replace(new_plan, errors=(*new_plan.errors, *unread))
    if new_plan.orphans:
        from deployer.cli import removal

        new_plan = removal.with_orphans(client, loaded, new_plan, known.history, prune)
        new_plan = replace(new_plan, digest=digest(scope, new_plan)) if prune else new_plan
    history = renamed(known.history, present_names(jobs))
    new_plan = unlisted(new_plan, live, history)
    new_plan = explained(new_plan, unsettled(history, target.name), datetime.now(UTC))
    new_plan = replace(new_plan, scope=heading(client, loaded, limits or {}))
    names = sorted(referenced_names([change.job.spec for change in new_plan.changes if change.secrets]))
    if not names:
        return new_plan, live
    # Approving a plan approves the sources of its secrets, as deployer.yaml names them.
    sources = {f"secret {name}": str(target.secrets.get(name)) for name in names}
    statuses = tuple(map(secrets(loaded).status, names))
    return replace(new_plan, secrets=statuses, digest=digest({**scope, **sources}, new_plan)), live


def heading(client: Client, loaded: LoadedProject, limits: Mapping[str, Limit]) -> Scope:
    """Return the place of a plan, for its heading. `limits` are those in force."""
    from deployer.planning.inventory import place_names

    project, target = loaded.project, loaded.target
    return Scope(
        project=project.name,
        target=target.name,
        region=target.region,
        endpoints=target.endpoints,
        project_id=client.project_id,
        emulator=target.emulator,
        protected=target.protected,
        limits=limits,
        marks=project.records_ownership,
        selection=str(loaded.comparison) if loaded.comparison else "",
        places=place_names(target.clusters),
    )


def _about_listings(live: Live, *, is_about_orphans: bool) -> Iterator[str]:
    """Yield what is not known of live jobs."""
    for kind, fields in live.unknown.items():
        yield f"the {kind} list contains unknown fields, ignored: {', '.join(fields)}"
    for identity, message in live.notes.items():
        yield f"{identity}: {message}"
    for kind in sorted(live.without_owners) if is_about_orphans else ():
        yield f"orphaned {kind} jobs are not known: the owners of other live jobs were not read; see list --orphans"


def report_errors(plan: Plan) -> None:
    """Report the jobs that could not be planned, for verbs that do not print the plan."""
    for line in errors_of(plan):
        err(text.error(line))


def errors_of(plan: Plan) -> list[str]:
    """Return a line for each job that could not be planned, or one for many with the same error."""
    if not plan.errors:
        return []
    from deployer.report.place_names import named_notes  # on use: most plans have none

    notes = named_notes(plan.errors, plan.places)
    lines = text.grouped(notes, lambda note: f"{note.identity}: {note.message}")
    return [line.strip() for line in lines]


def _observe(
    client: Client,
    loaded: LoadedProject,
    jobs: Sequence[Job],
    ownership: OwnershipRules,
    known: Known,
    note: Callable[[str], object],
) -> Live:
    """Return the live jobs, with those submitted recently that a listing may not show yet."""
    from deployer.apply.history import renamed, submitted, without_savepoint
    from deployer.cloud.observe import observe, with_submitted

    name, begun = loaded.target.name, datetime.now(UTC)
    present = present_names(jobs)
    if present:
        from deployer.kinds.former import with_former

        jobs = with_former(jobs)
    # A clock may have been set back by a little, but what is beyond would make every plan wait.
    ahead = max(known.patience, known.skew)
    since, until = begun - timedelta(seconds=known.patience + known.skew), begun + timedelta(seconds=ahead)
    sent = submitted(known.history, name, since, until)
    live, missing = with_submitted(client, observe(client, jobs, ownership.owner), sent, jobs)
    if missing and known.patience:
        note(f"recently submitted but not listed yet: {', '.join(missing)}; waiting")
        _wait_until_listed(client, jobs, {job: sent[job] for job in missing}, known, loaded.target.polling)
        live, _ = with_submitted(client, observe(client, jobs, ownership.owner), sent, jobs)
    lost = without_savepoint(renamed(known.history, present), name)
    old = [
        job
        for job in live.jobs
        if job.savepoint and (present.get(job.identity, job.identity) in lost or has_old_savepoint(job))
    ]
    ids = {job.id for job in old}
    listed = (replace(job, savepoint="") if job.id in ids else job for job in live.jobs)
    planned = {job.identity: job for job in jobs}
    notes = {
        job.identity: _old_savepoint_note(
            "" if ownership.hides(planned[job.identity], job) else job.savepoint
        )
        for job in old
        if job.phase in FAILED_PHASES and job.identity in planned
    }
    live = replace(live, jobs=tuple(listed), notes={**notes, **live.notes})
    if any(job.parameters for job in jobs):
        from deployer.planning.run_keys import with_run_keys

        live = replace(live, jobs=tuple(with_run_keys(live.jobs, jobs, ownership.owner)))
    return live


def present_names(jobs: Iterable[Job]) -> Mapping[Identity, Identity]:
    """Return the present identity of each former one."""
    return {former: job.identity for job in jobs for former in job.renamed_from}


def _wait_until_listed(
    client: Client, jobs: Sequence[Job], missing: Mapping[str, Identity], known: Known, polling: Polling
) -> None:
    """Wait until jobs that were submitted can be read by their id: as long as a listing may lag behind them."""
    from deployer.cloud.observe import with_submitted

    now = datetime.now(UTC)
    sent_at = [intent.ended or intent.time for intent in known.history.intents if intent.id in missing]
    age = max(0.0, min((now - time).total_seconds() for time in sent_at))
    # Of another machine's clock only this much is certain: the jobs were submitted before now.
    left = max(known.patience - age, polling.consistency_delay if known.skew else 0.0)
    nothing = Live(())
    for pause in replace(polling, consistency_delay=left).confirm_delays():
        time.sleep(pause)
        if not with_submitted(client, nothing, missing, jobs)[1]:
            return


def _old_savepoint_note(path: str) -> str:
    which = f"savepoint {path}" if path else "its savepoint"
    return (
        f"{which} is older than the end of the last run and is not used; if it is the right one, start the job in "
        "the console"
    )


def _dependency_summary(jobs: Sequence[Job], live: Live) -> str:
    """Return the states of dependencies: `load-raw (running), prepare (not deployed)`."""
    from deployer.planning.plan import current_run

    runs: dict[Identity, list[LiveJob]] = {job.identity: [] for job in jobs}
    present = present_names(jobs)
    for run in live.jobs:
        identity = present.get(run.identity, run.identity)
        for one in {identity, identity.of_job} & {*runs}:
            runs[one].append(run)
    current = {identity: current_run(found) for identity, found in runs.items()}
    return ", ".join(
        f"{dependency.label} ({run.state if run else 'not deployed'})" for dependency, run in current.items()
    )
