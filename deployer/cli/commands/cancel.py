"""`deployer cancel`"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import click

from deployer.cli import locks, session
from deployer.cli.approval import CANCEL, is_within, limits_for, preapproved, request_approval
from deployer.cli.examples import examples
from deployer.cli.execute import execute
from deployer.cli.options import (
    Options,
    confirm_option,
    limit_option,
    lock_timeout_option,
    project_command,
    yes_option,
)
from deployer.clock import StopSignal
from deployer.errors import Exit, UsageError
from deployer.report import text
from deployer.report.terminal import out, width
from deployer.report.text import count

PARALLELISM = 4


EXAMPLES = examples(
    ("Cancel the runs of the jobs in one file", "deployer cancel spark/daily-orders.yaml"),
    ("Cancel by name, without confirmation", "deployer cancel --yes --select name=daily-*"),
)


@click.command("cancel", epilog=EXAMPLES)
@yes_option
@confirm_option
@limit_option
@lock_timeout_option
@click.option("--all", "everything", is_flag=True, help="Select all jobs of the project.")
@project_command
def command(
    options: Options,
    *,
    yes: bool,
    confirm: str | None,
    limits: Sequence[str],
    lock_timeout: float | None,
    everything: bool,
) -> Exit:
    """Cancel the active runs of the selected batches, sessions and MRS jobs, and stop Flink jobs.

    Job definitions and run records are kept. A Flink job is stopped with a savepoint unless its manifest sets
    savepoint: false.
    """
    from deployer.apply.scheduler import ApplyOptions
    from deployer.planning.decide import cancellation

    selects = bool(options.paths or options.select)
    if selects is everything:
        if everything:
            raise UsageError("--all cannot be combined with PATH or --select")
        raise UsageError("no jobs selected: give PATH or --select, or --all")
    loaded = session.without_ordering(session.load(options))
    approved = preapproved(loaded.target, CANCEL, yes=yes, confirm=confirm)
    allowed = limits_for(loaded.target, limits, os.environ)
    session.require_valid(loaded)
    secrets = session.secrets(loaded)
    stop_signal = StopSignal()
    with (
        locks.hold(loaded, secrets, "cancel", lock_timeout, stop_signal) as held,
        session.connected(loaded, secrets, stop_signal, held.require) as client,
    ):
        plan, live = held.plan(
            client, partial(session.plan, client, loaded, table=cancellation, limits=allowed)
        )
        # Differences from the manifest do not matter here.
        plan = replace(plan, changes=tuple(replace(change, fields=()) for change in plan.changes))
        out(text.plan(plan, verbose=True, width=width()))
        if not is_within(allowed, plan, CANCEL):
            return Exit.BLOCKED
        question = f"Cancel {count(len(plan.steps), 'job')} in {text.where(plan)}?"
        if plan.steps and not approved and not request_approval(loaded.target, question):
            out("No jobs were cancelled.")
            return Exit.ERROR
        out()
        return execute(held, client, plan, live, ApplyOptions(PARALLELISM), CANCEL)
