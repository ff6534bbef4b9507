"""`deployer cancel`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from deployer.cli import session
from deployer.cli.approval import CANCEL, is_within, preapproved, request_approval
from deployer.cli.approval import limits_for as limits_of
from deployer.cli.examples import examples
from deployer.cli.execute import execute, wait_for_consistency
from deployer.cli.options import Options, project_command
from deployer.clock import StopSignal
from deployer.errors import Exit, UsageError
from deployer.report import text
from deployer.report.terminal import out
from deployer.report.text import count

PARALLELISM = 4


EXAMPLES = examples(
    ("Cancel the runs of the jobs in one file", "deployer cancel spark/daily-orders.yaml"),
    ("Cancel by name, without asking", "deployer cancel --yes --select name=daily-*"),
)


@click.command("cancel", epilog=EXAMPLES)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--confirm", metavar="TARGET", help="Do not ask; what a protected target needs for --yes.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=N", help="Another limit than the target's.")
@click.option("--all", "everything", is_flag=True, help="All jobs of the project are meant.")
@project_command
def command(
    options: Options, *, yes: bool, confirm: str | None, limits: Sequence[str], everything: bool
) -> Exit:
    """End what runs of the selected jobs: batches, sessions and MRS jobs are cancelled, Flink jobs stopped.

    Records and definitions stay. A Flink job leaves a savepoint unless its manifest says savepoint: false.
    """
    from deployer.apply.scheduler import ApplyOptions
    from deployer.planning.decide import cancellation

    selects = bool(options.paths or options.select)
    if selects is everything:
        wrong = "--all and a PATH or --select contradict each other" if everything else "nothing is selected"
        raise UsageError(f"{wrong}: say what is to be cancelled by PATH or --select, or say --all")
    loaded = session.without_ordering(session.load(options))
    agreed = preapproved(loaded.target, CANCEL, yes=yes, confirm=confirm)
    allowed = limits_of(loaded.target, limits)
    session.require_valid(loaded)
    secrets = session.secrets(loaded)
    stop_signal = StopSignal()
    with session.locked(loaded, "cancel"), session.connected(loaded, secrets, stop_signal) as client:
        wait_for_consistency(loaded)
        plan, live = session.plan(client, loaded, table=cancellation)
        # What differs from a manifest does not matter here.
        plan = replace(plan, changes=tuple(replace(change, fields=()) for change in plan.changes))
        out(text.plan(plan, verbose=True))
        if not is_within(allowed, plan, CANCEL):
            return Exit.BLOCKED
        question = f"Cancel {count(len(plan.steps), 'job')} of {loaded.target.name}?"
        if plan.steps and not agreed and not request_approval(loaded.target, question):
            out("Nothing was cancelled.")
            return Exit.ERROR
        out()
        return execute(loaded, client, plan, live, secrets, stop_signal, ApplyOptions(PARALLELISM), CANCEL)
