"""`deployer runs`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import click

from deployer.cli import planner, session, shared_state
from deployer.cli.examples import examples
from deployer.cli.named_jobs import selected_by_name
from deployer.cli.options import Options, format_option, project_command
from deployer.cli.param_options import chosen, param_option
from deployer.errors import Exit, UsageError
from deployer.escape import json_text, printable
from deployer.kinds import KINDS
from deployer.kinds.kind import Nature
from deployer.model import Job, Live, utc_time
from deployer.planning.families import as_families
from deployer.planning.ownership import OwnershipRules
from deployer.planning.past_runs import PastRun, past_runs
from deployer.project.console import console_url
from deployer.report import runs as report
from deployer.report.runs import JobRuns
from deployer.report.terminal import out, width

EXAMPLES = examples(
    ("Show the runs of a job", "deployer runs daily-orders"),
    (
        "Show those of June as JSON",
        "deployer runs daily-orders --param date=2024-06-01..2024-06-30 --format json",
    ),
)


@click.command("runs", epilog=EXAMPLES)
@param_option
@click.option(
    "--limit",
    "most",
    metavar="N",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Number of runs to show of a job, the newest ones.",
)
@format_option("text", "json")
@partial(project_command, metavar="[NAME]...", completion="names")
def command(options: Options, style: str, *, params: Sequence[str], most: int) -> Exit:
    """Show the past runs of jobs: the values of their parameters, their states, and whether the definition changed.

    All of it is read from the service's job list. Values that are not certain are shown as ?, and are never guessed.
    """
    loaded = session.without_ordering(selected_by_name(options, options.paths))
    session.require_valid(loaded)
    for job in loaded.selected_jobs:
        if KINDS[job.kind].nature is Nature.DEFINITION:
            raise UsageError(f"{job.identity}: a stream has no runs; use deployer status")
    values = chosen(loaded.selected_jobs, params)
    jobs = [job for job in loaded.selected_jobs if not params or job.identity in values.lists]
    loaded = replace(loaded, selected=frozenset(job.identity for job in jobs))
    with session.connected(loaded) as client:
        known = shared_state.known(loaded)
        plan, live = planner.plan(client, loaded, known=known, members=as_families, is_of_runs=True)
    failed = {note.identity for note in plan.errors}
    found = []
    for job in jobs:
        if job.identity in failed:
            continue
        runs = [
            run
            for run in _runs(job, live, loaded)
            if not params or run.values is None or values.includes(job, run.values)
        ]
        found.append(JobRuns(job, runs[:most], max(0, len(runs) - most), *_extent(job, live)))
    if style == "json":
        out(json_text(report.data(found, live.now, partial(console_url, loaded.target))))
    else:
        for number, one in enumerate(found):
            if len(found) > 1:
                out(("\n" if number else "") + printable(str(one.job.identity)))
            out(report.text(one, live.now, width()))
    planner.report_errors(plan)
    return Exit.ERROR if plan.errors else Exit.DONE


def _runs(job: Job, live: Live, loaded: session.LoadedProject) -> list[PastRun]:
    """Return the runs of a job, without those of other projects, whose values are not shown."""
    rules = OwnershipRules(loaded.project.name, loaded.project.records_ownership)
    names = {job.identity, *job.renamed_from}
    own = [run for run in live.jobs if run.identity.of_job in names]
    found = past_runs(job, rules.counted(job, own), rules.owner)
    return [
        replace(run, reason=run.reason.partition(" is ")[0])
        if run.values is None and rules.hides(job, run.live)
        else run
        for run in found
    ]


def _extent(job: Job, live: Live) -> tuple[int, datetime | None]:
    """Return the number of jobs in the listing of a job, and the time of the oldest that was read."""
    in_url = bool(KINDS[job.kind].path_fields)
    place = job.identity.place if in_url else ""
    listed = [
        run
        for run in live.jobs
        if run.identity.kind == job.kind and (not in_url or run.identity.place == place)
    ]
    total = live.asked_by_name.get((job.kind, place), len(listed))
    return total, utc_time(min((run.submitted for run in listed if run.submitted), default=0))
