"""`deployer apply`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from deployer.cli import stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit, UsageError
from deployer.model import Action, Live, Outcome, Plan, Result
from deployer.report import text

if TYPE_CHECKING:
    from deployer.client import Client


@click.command("apply")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", metavar="DIGEST", help="Refuse (exit 6) unless the plan has this digest.")
@project_command
def command(options: Options, *, yes: bool, expect: str | None) -> Exit:
    """Plan, ask, and carry the plan out. Every call is made once; a lost answer is looked up, not resent."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; give --yes to apply without asking")
    loaded = stages.load(options)
    stages.require_valid(loaded, show_warnings=True)
    with stages.connected(loaded) as client:
        plan, live = stages.plan(client, loaded)
        click.echo(text.plan(plan))
        if expect is not None and expect != plan.digest:
            click.echo(f"error: the plan has changed: expected {expect}, it is now {plan.digest}", err=True)
            return Exit.STALE
        steps = [change for change in plan.pending if change.action is not Action.BLOCKED]
        if steps and not yes and not click.confirm(f"\nApply {len(steps)} changes to {plan.target}?"):
            click.echo("Nothing was applied.")
            return Exit.ERROR
        click.echo()
        return _carry_out(client, plan, live, len(steps))


def _carry_out(client: Client, plan: Plan, live: Live, steps: int) -> Exit:
    from deployer.apply import apply

    ended: list[Outcome] = []
    blocked = plan.summary[Action.BLOCKED]
    interrupted = False
    try:
        for outcome in apply(client, plan, live):
            ended.append(outcome)
            click.echo(text.outcome(outcome))
    except KeyboardInterrupt:
        interrupted = True
    results = [outcome.result for outcome in ended]
    not_started = steps - len(ended)
    click.echo(text.outcomes(results, blocked=blocked, errors=len(plan.errors), not_started=not_started))
    return Exit.INTERRUPTED if interrupted else exit_code(results, blocked=blocked, errors=len(plan.errors))


def exit_code(results: list[Result], *, blocked: int, errors: int) -> Exit:
    """7 before 8 before 5: unknown, partly applied, blocked."""
    if Result.UNKNOWN in results:
        return Exit.UNKNOWN
    if errors or Result.FAILED in results or Result.SKIPPED in results:
        return Exit.PARTLY if Result.DONE in results else Exit.ERROR
    return Exit.BLOCKED if blocked else Exit.DONE
