"""`deployer apply`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from deployer.cli import from_plan, stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit, UsageError
from deployer.model import Action, Live, Outcome, Plan, Result
from deployer.project import Target
from deployer.report import text
from deployer.report.terminal import err, out
from deployer.report.text import count
from deployer.saved_plan import SavedPlan, read
from deployer.secrets import Secrets, names

if TYPE_CHECKING:
    from deployer.client import Client


@click.command("apply")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--confirm", metavar="TARGET", help="Do not ask; what a protected target needs for --yes.")
@click.option("--expect", metavar="DIGEST", help="Refuse (exit 6) unless the plan has this digest.")
@click.option(
    "--plan", "plan_file", metavar="FILE", help="Refuse (exit 6) unless the plan is this saved one."
)
@project_command
def command(
    options: Options, *, yes: bool, confirm: str | None, expect: str | None, plan_file: str | None
) -> Exit:
    """Plan, ask, and carry the plan out. Every call is made once; a lost answer is looked up, not resent."""
    from deployer.plan import beyond

    saved = read(plan_file) if plan_file is not None else None
    loaded = from_plan.load(options, saved) if saved else stages.load(options)
    agreed = _agreed(loaded.target, yes=yes, confirm=confirm)
    stages.require_valid(loaded, show_warnings=True)
    secrets = stages.secrets(loaded)
    with stages.locked(loaded), stages.connected(loaded, secrets) as client:
        plan, live = stages.plan(client, loaded)
        out(text.plan(plan))
        if not _is_expected(plan, expect, saved):
            err("Nothing was applied.")
            return Exit.STALE
        if exceeded := beyond(loaded.target.limits, plan):
            words = "; ".join(exceeded)
            err(text.error(f"the plan goes beyond the limits of target '{plan.target}': {words}"))
            err("Nothing was applied. Select a part with --select, or raise the limits in deployer.yaml.")
            return Exit.BLOCKED
        steps = plan.steps
        if missing := secrets.missing(names([change.job.spec for change in steps])):
            for message in missing:
                err(text.error(message))
            err("Nothing was applied.")
            return Exit.ERROR
        if steps and not agreed and not _ask(loaded.target, len(steps)):
            out("Nothing was applied.")
            return Exit.ERROR
        out()
        return _carry_out(client, plan, live, secrets)


def _agreed(target: Target, *, yes: bool, confirm: str | None) -> bool:
    """Whether the command line agrees to the plan already; raises UsageError where it cannot be asked for."""
    if confirm is not None and confirm != target.name:
        raise UsageError(f"--confirm {confirm}: the target is '{target.name}'")
    if yes and target.protected and not confirm:
        raise UsageError(f"target '{target.name}' is protected: not --yes, but --confirm {target.name}")
    if not (yes or confirm) and not sys.stdin.isatty():
        option = f"--confirm {target.name}" if target.protected else "--yes"
        raise UsageError(f"there is no terminal to ask on; give {option} to apply without asking")
    return yes or bool(confirm)


def _is_expected(plan: Plan, expect: str | None, saved: SavedPlan | None) -> bool:
    """Whether the plan is the one that was asked for; tells where it is not."""
    from deployer.report import stale

    is_other = expect not in (None, plan.digest)
    if is_other:
        now = "The plan above is the one that is now."
        err(text.error(f"the plan has changed: expected {expect}, it is now {plan.digest}. {now}"))
    if saved and saved.digest != plan.digest:
        is_other = True
        for line in stale.explanation(saved, plan):
            err(line)
    return not is_other


def _ask(target: Target, steps: int) -> bool:
    question = f"\nApply {count(steps, 'change')} to {target.name}?"
    if not target.protected:
        return click.confirm(question)
    answer: str = click.prompt(f"{question} It is protected: type its name", default="", show_default=False)
    return answer.strip() == target.name


def _carry_out(client: Client, plan: Plan, live: Live, secrets: Secrets) -> Exit:
    from deployer.apply import apply

    ended: list[Outcome] = []
    blocked = plan.summary[Action.BLOCKED]
    interrupted = False
    try:
        for outcome in apply(client, plan, live, secrets):
            ended.append(outcome)
            out(text.outcome(outcome))
    except KeyboardInterrupt:
        interrupted = True
    results = [outcome.result for outcome in ended]
    not_started = len(plan.steps) - len(ended)
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
