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
from deployer.report.terminal import err, out

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
    from deployer.plan import beyond

    loaded = stages.load(options)
    stages.require_valid(loaded, show_warnings=True)
    with stages.locked(loaded), stages.connected(loaded) as client:
        plan, live = stages.plan(client, loaded)
        out(text.plan(plan))
        if expect is not None and expect != plan.digest:
            err(text.error(f"the plan has changed: expected {expect}, it is now {plan.digest}"))
            return Exit.STALE
        if exceeded := beyond(loaded.target.limits, plan):
            words = "; ".join(exceeded)
            err(text.error(f"the plan goes beyond the limits of target '{plan.target}': {words}"))
            err("Nothing was applied. Select a part with --select, or raise the limits in deployer.yaml.")
            return Exit.BLOCKED
        steps = plan.steps
        if steps and not yes and not click.confirm(f"\nApply {len(steps)} changes to {plan.target}?"):
            out("Nothing was applied.")
            return Exit.ERROR
        out()
        return _carry_out(client, plan, live, len(steps))


def _carry_out(client: Client, plan: Plan, live: Live, steps: int) -> Exit:
    from deployer.apply import apply

    ended: list[Outcome] = []
    blocked = plan.summary[Action.BLOCKED]
    interrupted = False
    try:
        for outcome in apply(client, plan, live):
            ended.append(outcome)
            out(text.outcome(outcome))
    except KeyboardInterrupt:
        interrupted = True
    results = [outcome.result for outcome in ended]
    not_started = steps - len(ended)
    out(text.outcomes(results, blocked=blocked, errors=len(plan.errors), not_started=not_started))
    return Exit.INTERRUPTED if interrupted else exit_code(ended, blocked=blocked, errors=len(plan.errors))


def exit_code(ended: list[Outcome], *, blocked: int, errors: int) -> Exit:
    """7 before 8 before 5: unknown, partly applied, blocked."""
    results = {outcome.result for outcome in ended}
    if Result.UNKNOWN in results:
        return Exit.UNKNOWN
    if errors or results & {Result.FAILED, Result.SKIPPED}:
        # A create that failed with an id has left a draft behind.
        drafts = [outcome for outcome in ended if outcome.change.action is Action.CREATE and outcome.id]
        return Exit.PARTLY if drafts or Result.DONE in results else Exit.ERROR
    return Exit.BLOCKED if blocked else Exit.DONE
