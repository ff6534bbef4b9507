"""`deployer apply`"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import click

from deployer.cli import locks, removal, saved_plan_options, session
from deployer.cli.approval import APPLY, is_within, limits_for, preapproved, request_approval
from deployer.cli.examples import examples
from deployer.cli.execute import execute
from deployer.cli.expected import is_expected
from deployer.cli.options import (
    Options,
    changed_since_option,
    completed_by,
    confirm_option,
    confirm_project_option,
    hide_live_option,
    limit_option,
    live_values,
    lock_timeout_option,
    project_command,
    prune_all_option,
    prune_option,
    rerun_option,
    show_live_option,
    yes_option,
)
from deployer.clock import StopSignal
from deployer.errors import Exit
from deployer.model import Plan, Until
from deployer.planning.saved_plan import read
from deployer.report import text
from deployer.report.terminal import err, out, width
from deployer.report.text import count
from deployer.secrets.references import referenced_names
from deployer.secrets.store import Secrets

EXAMPLES = examples(
    ("Show the plan, ask for confirmation, and apply it", "deployer apply"),
    ("Apply to a protected target in CI", "deployer apply -t prod --confirm prod"),
    (
        "Apply a saved plan, and wait until the jobs have succeeded",
        "deployer apply --yes --plan plan.json --wait=succeeded",
    ),
)


@click.command("apply", epilog=EXAMPLES)
@yes_option
@confirm_option
@click.option("--expect", metavar="DIGEST", help="Fail (exit 6) unless the plan has this digest.")
@click.option(
    "--plan",
    "saved_file",
    metavar="FILE",
    help="Apply this saved plan; fail (exit 6) if it is stale.",
    shell_complete=completed_by("files"),
)
@changed_since_option
@rerun_option
@prune_option
@prune_all_option
@confirm_project_option
@show_live_option
@hide_live_option
@limit_option
@lock_timeout_option
@click.option(
    "--wait",
    is_flag=False,
    flag_value="running",
    type=click.Choice(["running", "succeeded"]),
    help="Wait until submitted jobs reach this state (default: running).",
)
@click.option(
    "--parallelism",
    type=click.IntRange(1, 64),
    metavar="N",
    default=4,
    show_default=True,
    help="Number of changes applied concurrently.",
)
@click.option("--fail-fast", is_flag=True, help="Stop starting new changes after the first failure.")
@project_command
def command(
    options: Options,
    *,
    yes: bool,
    confirm: str | None,
    expect: str | None,
    saved_file: str | None,
    rerun: Sequence[str],
    prune: str | None,
    whole: Sequence[str],
    confirm_project: str | None,
    show_live: bool,
    hide_live: bool,
    limits: Sequence[str],
    lock_timeout: float | None,
    wait: str | None,
    parallelism: int,
    fail_fast: bool,
) -> Exit:
    """Create a plan, ask for confirmation and apply it.

    A create request is sent once: if its response is lost, the job is looked up, not resubmitted.
    """
    from deployer.apply.scheduler import ApplyOptions

    shown = live_values(show_live=show_live, hide_live=hide_live)
    pruned = removal.prune_of(options, prune, confirm_project, whole)
    saved = read(saved_file) if saved_file is not None else None
    loaded = saved_plan_options.load(options, saved, rerun, pruned) if saved else session.load(options)
    loaded = session.with_reruns(loaded, rerun)
    removal.require_whole(loaded, pruned, confirm_project)
    approved = preapproved(loaded.target, APPLY, yes=yes, confirm=confirm)
    allowed = removal.with_default(limits_for(loaded.target, limits, os.environ), pruned)
    session.require_valid(loaded, show_warnings=True)
    secrets = session.secrets(loaded)
    stop_signal = StopSignal()
    with (
        locks.hold(loaded, secrets, "apply", lock_timeout, stop_signal) as held,
        session.connected(loaded, secrets, stop_signal, held.require) as client,
    ):
        plan, live = held.plan(
            client,
            partial(session.plan, client, loaded, limits=allowed, live_values=shown, prune=pruned),
        )
        out(text.plan(plan, hides_others=not hide_live, width=width()))
        if not is_expected(plan, expect, saved):
            err("No changes were applied.")
            return Exit.STALE
        if not removal.is_complete(plan, pruned, APPLY) or not is_within(allowed, plan, APPLY):
            return Exit.BLOCKED
        if not _secrets_available(plan, secrets):
            err("No changes were applied.")
            return Exit.ERROR
        if not approved and plan.steps and not request_approval(loaded.target, _question(plan)):
            out("No changes were applied.")
            return Exit.ERROR
        if not removal.is_consented(plan, pruned, APPLY, loaded.project.name):
            return Exit.BLOCKED
        out()
        until = Until(wait) if wait else Until.SUBMITTED
        apply_options = ApplyOptions(parallelism, fail_fast, until)
        return execute(held, client, plan, live, apply_options, APPLY)


def _question(plan: Plan) -> str:
    """Return the question, which names the dangers."""
    from deployer.report.review import danger_words

    dangers = danger_words(plan)
    question = f"Apply {count(len(plan.steps), 'change')} to {text.where(plan)}?"
    return f"{dangers}. {question}" if dangers else question


def _secrets_available(plan: Plan, secrets: Secrets) -> bool:
    """Return whether all secrets of the plan are available; reports those that are missing."""
    missing = secrets.missing(referenced_names([change.job.spec for change in plan.steps]))
    for message in missing:
        err(text.error(message))
    return not missing
