"""`deployer apply`"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import click

from deployer.cli import locks, planner, removal, saved_plan_options, session
from deployer.cli.approval import APPLY, exceeded, is_within, limits_for, preapproved, request_approval
from deployer.cli.examples import examples
from deployer.cli.execute import execute
from deployer.cli.expected import EarlierApply, differences, earlier_apply, is_approved
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
    report_limit_option,
    report_option,
    rerun_option,
    retry_blocked_option,
    show_live_option,
    summary_option,
    yes_option,
)
from deployer.cli.outcome_reports import REPORTS, Record, reporting
from deployer.clock import StopSignal
from deployer.errors import Exit
from deployer.model import End, Plan, Until
from deployer.planning.saved_plan import SavedPlan, read
from deployer.report import text
from deployer.report.terminal import err, out, width
from deployer.report.text import count
from deployer.secrets.references import referenced_names
from deployer.secrets.store import Secrets

EXAMPLES = examples(
    ("Show the plan, ask for confirmation, and apply it", "deployer apply"),
    (
        "Apply to a protected target in CI, and wait for runs that block changes",
        "deployer apply -t prod --confirm prod --retry-blocked 30m",
    ),
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
@retry_blocked_option
@click.option("--fail-fast", is_flag=True, help="Stop starting new changes after the first failure.")
@report_option(*REPORTS)
@report_limit_option
@summary_option
@project_command
@reporting(APPLY)
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
    retry_blocked: float | None,
    fail_fast: bool,
    record: Record,
) -> Exit:
    """Create a plan, ask for confirmation and apply it.

    A create request is sent once: if its response is lost, the job is looked up, not resubmitted.
    """
    from deployer.apply.retry import awaited
    from deployer.apply.scheduler import ApplyOptions

    shown = live_values(show_live=show_live, hide_live=hide_live)
    pruned = removal.prune_of(options, prune, confirm_project, whole)
    saved = read(saved_file) if saved_file is not None else None
    loaded = saved_plan_options.load(options, saved, rerun, pruned) if saved else session.load(options)
    record.loaded = loaded = session.with_reruns(loaded, rerun)
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
            partial(planner.plan, client, loaded, limits=allowed, live_values=shown, prune=pruned),
        )
        record.plan = plan
        out(text.plan(plan, hides_others=not hide_live, width=width()))
        earlier = earlier_apply(expect, saved, held.history, loaded, client.project_id)
        if not is_approved(plan, expect, saved):
            return _not_approved(record, plan, expect, saved, earlier)
        if earlier and earlier.is_undone(plan):
            err(text.error(earlier.undone))
            err("No changes were applied.")
            return record.refused(End.STALE, Exit.STALE, earlier.undone)
        if not removal.is_complete(plan, pruned, APPLY):
            return record.refused(End.REFUSED, Exit.BLOCKED, removal.INCOMPLETE)
        if not is_within(allowed, plan, APPLY):
            return record.refused(End.REFUSED, Exit.BLOCKED, *exceeded(allowed, plan, APPLY))
        if missing := _missing_secrets(plan, secrets):
            err("No changes were applied.")
            return record.refused(End.FAILED, Exit.ERROR, *missing)
        later = len(awaited(plan)) if retry_blocked is not None else 0
        is_asked = not approved and (plan.steps or later)
        if is_asked and not request_approval(loaded.target, _question(plan, later)):
            out("No changes were applied.")
            return record.refused(End.DECLINED, Exit.ERROR)
        if not removal.is_consented(plan, pruned, APPLY, loaded.project.name):
            return record.refused(End.DECLINED, Exit.BLOCKED)
        out()
        until = Until(wait) if wait else Until.SUBMITTED
        apply_options = ApplyOptions(parallelism, fail_fast, until)
        code = execute(held, client, plan, live, apply_options, APPLY, record)
    # Without the lock, which others may need for as long as a run lasts.
    if retry_blocked is None:
        return code
    from deployer.cli import retry_blocked as retries

    if not retries.is_possible(record, apply_options):
        return code
    again = retries.Retry(
        loaded,
        secrets,
        stop_signal,
        apply_options,
        allowed,
        live_values=shown,
        hides_others=not hide_live,
        seconds=retry_blocked,
        lock_timeout=lock_timeout,
    )
    return retries.retry(again, record)


def _not_approved(
    record: Record, plan: Plan, expect: str | None, saved: SavedPlan | None, earlier: EarlierApply | None
) -> Exit:
    """Report a plan that is not the approved one, and return the exit code: 0 if that one was applied before."""
    if earlier and earlier.is_complete(plan):
        out(f"{earlier.words}. No changes were applied.")
        return record.ended(Exit.DONE, earlier.words)
    changed = differences(plan, expect, saved)
    if earlier:
        err(text.note(earlier.advice(plan)))
        changed.append(earlier.advice(plan))
    err("No changes were applied.")
    return record.refused(End.STALE, Exit.STALE, *changed)


def _question(plan: Plan, later: int = 0) -> str:
    """Return the question, which names the dangers; `later` changes are applied when runs have ended."""
    from deployer.report.review import danger_words

    dangers = danger_words(plan)
    blocked = f", and {count(later, 'blocked change')} when runs have ended" if later else ""
    question = f"Apply {count(len(plan.steps), 'change')} to {text.where(plan)}{blocked}?"
    return f"{dangers}. {question}" if dangers else question


def _missing_secrets(plan: Plan, secrets: Secrets) -> list[str]:
    """Return why secrets of the plan are not available, and report it."""
    missing = secrets.missing(referenced_names([change.job.spec for change in plan.steps]))
    for message in missing:
        err(text.error(message))
    return missing
