"""`deployer cancel`"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from deployer.cli import cancel_by_id, locks, planner, removal, session
from deployer.cli.approval import CANCEL, exceeded, is_within, limits_for, preapproved, request_approval
from deployer.cli.examples import examples
from deployer.cli.execute import execute
from deployer.cli.options import (
    Options,
    completed_by,
    confirm_option,
    confirm_project_option,
    known_kinds,
    limit_option,
    lock_timeout_option,
    project_command,
    prune_all_option,
    report_limit_option,
    report_option,
    summary_option,
    yes_option,
)
from deployer.cli.outcome_reports import REPORTS, Record, reporting
from deployer.cli.param_options import members, param_option
from deployer.cli.removal import Prune
from deployer.clock import StopSignal
from deployer.errors import Exit, UsageError
from deployer.model import End, Limit, Live, Plan
from deployer.planning.removal import Removal
from deployer.report import text
from deployer.report.terminal import out, width
from deployer.report.text import count

if TYPE_CHECKING:
    from deployer.cloud.client import Client

PARALLELISM = 4


EXAMPLES = examples(
    ("Cancel the runs of the jobs in one file", "deployer cancel spark/daily-orders.yaml"),
    ("Cancel the runs of jobs whose manifests were removed", "deployer cancel --orphans"),
    ("Cancel one live job, with or without a manifest", "deployer cancel --kind SparkBatch --id 0a1b2c3d"),
)


@click.command("cancel", epilog=EXAMPLES)
@yes_option
@confirm_option
@limit_option
@lock_timeout_option
@click.option("--all", "everything", is_flag=True, help="Select all jobs of the project.")
@click.option(
    "--orphans", is_flag=True, help="Select orphaned jobs that are proved to be this project's instead."
)
@confirm_project_option
@prune_all_option
@click.option(
    "--id",
    "identifiers",
    metavar="ID",
    multiple=True,
    help="Select exactly one live job of the target, whoever deployed it.",
)
@click.option(
    "--kind",
    metavar="KIND",
    help="The kind of the job with --id.",
    shell_complete=completed_by("kinds"),
)
@param_option
@report_option(*REPORTS)
@report_limit_option
@summary_option
@project_command
@reporting(CANCEL)
def command(
    options: Options,
    *,
    yes: bool,
    confirm: str | None,
    limits: Sequence[str],
    lock_timeout: float | None,
    everything: bool,
    orphans: bool,
    confirm_project: str | None,
    whole: Sequence[str],
    identifiers: Sequence[str],
    kind: str | None,
    params: Sequence[str],
    record: Record,
) -> Exit:
    """Cancel the active runs of the selected batches, sessions and MRS jobs, and stop Flink jobs.

    Job definitions and run records are kept. A Flink job is stopped with a savepoint unless its manifest sets
    savepoint: false.
    """
    from deployer.apply.scheduler import ApplyOptions

    wanted = cancel_by_id.by_id(identifiers, kind)
    _require_one_selection(options, everything=everything, orphans=orphans, by_id=wanted is not None)
    if confirm_project and not orphans:
        raise UsageError("--confirm-project requires --orphans")
    if whole and not orphans:
        raise UsageError("--prune-all requires --orphans")
    if params and (orphans or wanted):
        raise UsageError(f"--param cannot be combined with {'--orphans' if orphans else '--id'}")
    kinds = known_kinds("--prune-all", whole)
    prune = Prune(Removal.RUNS, bool(confirm_project), kinds) if orphans else None
    kept: set[str] = set()
    record.loaded = loaded = session.without_ordering(session.load(options))
    approved = preapproved(loaded.target, CANCEL, yes=yes, confirm=confirm)
    removal.require_whole(loaded, prune, confirm_project)
    allowed = removal.with_default(limits_for(loaded.target, limits, os.environ), prune)
    session.require_valid(loaded)
    secrets = session.secrets(loaded)
    stop_signal = StopSignal()
    with (
        locks.hold(loaded, secrets, "cancel", lock_timeout, stop_signal) as held,
        session.connected(loaded, secrets, stop_signal, held.require) as client,
    ):
        plan, live = held.plan(client, _planner(client, loaded, allowed, prune, wanted, kept, params))
        # Differences from the manifest do not matter here.
        plan = replace(plan, changes=tuple(replace(change, fields=()) for change in plan.changes))
        record.plan = plan
        out(text.plan(plan, verbose=True, width=width()))
        if not removal.is_complete(plan, prune, CANCEL):
            return record.refused(End.REFUSED, Exit.BLOCKED, removal.INCOMPLETE)
        if not is_within(allowed, plan, CANCEL):
            return record.refused(End.REFUSED, Exit.BLOCKED, *exceeded(allowed, plan, CANCEL))
        question = f"Cancel {count(sum(change.runs for change in plan.steps), 'job')} in {text.where(plan)}?"
        if plan.steps and not approved and not request_approval(loaded.target, question):
            out("No jobs were cancelled.")
            return record.refused(End.DECLINED, Exit.ERROR)
        if not removal.is_consented(plan, prune, CANCEL, loaded.project.name, kept):
            return record.refused(End.DECLINED, Exit.BLOCKED)
        out()
        return execute(held, client, plan, live, ApplyOptions(PARALLELISM), CANCEL, record)


def _require_one_selection(options: Options, *, everything: bool, orphans: bool, by_id: bool) -> None:
    """Raise UsageError unless the jobs are selected in exactly one way."""
    ways = {
        "PATH or --select": bool(options.paths or options.select),
        "--all": everything,
        "--orphans": orphans,
        "--id": by_id,
    }
    given = [way for way, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{given[1]} cannot be combined with {given[0]}")
    if not given:
        raise UsageError("no jobs selected: give PATH or --select, --all, --orphans or --id")


def _planner(
    client: Client,
    loaded: session.LoadedProject,
    limits: Mapping[str, Limit],
    prune: Prune | None,
    wanted: cancel_by_id.ById | None,
    kept: set[str],
    params: Sequence[str],
) -> locks.Planner:
    """Return what plans the cancellation of the selected jobs.

    For orphaned jobs, `kept` becomes the kinds of which a live job with a manifest remains.
    """
    from deployer.planning.decide import cancellation

    if wanted:
        return partial(cancel_by_id.plan, client, loaded, wanted, limits)
    planned = partial(
        planner.plan,
        client,
        loaded,
        table=cancellation,
        limits=limits,
        prune=prune,
        members=members(loaded, params),
    )

    def orphans(*, known: session.Known, note: Callable[[str], object]) -> tuple[Plan, Live]:
        plan, live = planned(known=known, note=note)
        kept.clear()
        kept.update(change.job.kind for change in plan.changes if change.live and not change.is_prune)
        # Those with a manifest are only read: a run in another queue may be theirs.
        return replace(plan, changes=tuple(change for change in plan.changes if change.is_prune)), live

    return orphans if prune else planned
