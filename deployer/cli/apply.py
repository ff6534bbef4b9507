"""`deployer apply`"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from deployer.cli import from_plan, stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit, UsageError
from deployer.model import Action, Live, Outcome, Plan, Result, Until
from deployer.project import Target
from deployer.report import text
from deployer.report.terminal import err, out
from deployer.report.text import count
from deployer.saved_plan import SavedPlan, read
from deployer.secrets import Secrets, names
from deployer.waiting import Halt

if TYPE_CHECKING:
    from deployer.apply import Manner
    from deployer.client import Client

LIMITS = ("changes", "replace", "delete", "stateLoss")


@click.command("apply")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--confirm", metavar="TARGET", help="Do not ask; what a protected target needs for --yes.")
@click.option("--expect", metavar="DIGEST", help="Refuse (exit 6) unless the plan has this digest.")
@click.option(
    "--plan", "plan_file", metavar="FILE", help="Refuse (exit 6) unless the plan is this saved one."
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=N", help="Another limit than the target's.")
@click.option(
    "--wait",
    is_flag=False,
    flag_value="running",
    type=click.Choice(["running", "succeeded"]),
    help="Wait until what was sent is so far; without a word until it is running.",
)
@click.option(
    "--parallelism",
    type=click.IntRange(1, 64),
    metavar="N",
    default=4,
    show_default=True,
    help="Carry out so many changes side by side.",
)
@click.option("--fail-fast", is_flag=True, help="Start nothing more after a failure.")
@project_command
def command(
    options: Options,
    *,
    yes: bool,
    confirm: str | None,
    expect: str | None,
    plan_file: str | None,
    limits: Sequence[str],
    wait: str | None,
    parallelism: int,
    fail_fast: bool,
) -> Exit:
    """Plan, ask, and carry the plan out. A create is sent once; a lost answer is looked up, not resent."""
    from deployer.apply import Manner

    saved = read(plan_file) if plan_file is not None else None
    loaded = from_plan.load(options, saved) if saved else stages.load(options)
    agreed = agreement(loaded.target, yes=yes, confirm=confirm)
    allowed = {**loaded.target.limits, **_limits(limits)}
    stages.require_valid(loaded, show_warnings=True)
    secrets = stages.secrets(loaded)
    halt = Halt()
    with stages.locked(loaded), stages.connected(loaded, secrets, halt) as client:
        settle(loaded)
        plan, live = stages.plan(client, loaded)
        out(text.plan(plan))
        if not _is_expected(plan, expect, saved):
            err("Nothing was applied.")
            return Exit.STALE
        if refusal := unfit(plan, allowed, secrets):
            return refusal
        if plan.steps and not agreed and not ask(loaded.target, len(plan.steps)):
            out("Nothing was applied.")
            return Exit.ERROR
        out()
        until = Until(wait) if wait else Until.SUBMITTED
        return carry_out(loaded, client, plan, live, secrets, halt, Manner(parallelism, fail_fast, until))


def _limits(given: Sequence[str]) -> dict[str, int]:
    """`delete=3` as a limit; raises UsageError."""
    limits = {}
    for item in given:
        name, _, number = item.partition("=")
        if name not in LIMITS or not number.isdecimal() or len(number) > 9:
            raise UsageError(f"--limit {item}: expected NAME=NUMBER; names are {', '.join(LIMITS)}")
        limits[name] = int(number)
    return limits


def settle(loaded: stages.Loaded) -> None:
    """Waits out the settling delay after an apply that submitted something: a listing may lag behind it."""
    from deployer import journal

    submitted = journal.submitted(stages.state_folder(loaded.project), loaded.target.name)
    if submitted is None:
        return
    passed = (datetime.now(UTC) - submitted).total_seconds()
    left = loaded.target.patience.settle - max(0.0, passed)
    if left > 0:
        err(text.note(f"an apply has submitted jobs just now; the listing gets {left:.0f} s to settle"))
        time.sleep(left)


def unfit(plan: Plan, limits: Mapping[str, int], secrets: Secrets) -> Exit | None:
    """Why a plan is not carried out at all: it goes beyond the limits, or a secret has no value."""
    from deployer.plan import beyond

    if exceeded := beyond(limits, plan):
        words = "; ".join(exceeded)
        err(text.error(f"the plan goes beyond the limits of target '{plan.target}': {words}"))
        err(
            "Nothing was applied. Select a part with --select, allow more once with --limit, "
            "or raise the limits in deployer.yaml."
        )
        return Exit.BLOCKED
    if missing := secrets.missing(names([change.job.spec for change in plan.steps])):
        for message in missing:
            err(text.error(message))
        err("Nothing was applied.")
        return Exit.ERROR
    return None


def agreement(target: Target, *, yes: bool, confirm: str | None) -> bool:
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


def ask(target: Target, steps: int) -> bool:
    """Asks the person at the terminal whether to go on."""
    question = f"\nApply {count(steps, 'change')} to {target.name}?"
    if not target.protected:
        return click.confirm(question)
    answer: str = click.prompt(f"{question} It is protected: type its name", default="", show_default=False)
    return answer.strip() == target.name


def carry_out(
    loaded: stages.Loaded,
    client: Client,
    plan: Plan,
    live: Live,
    secrets: Secrets,
    halt: Halt,
    manner: Manner,
) -> Exit:
    """Carries a plan out, prints what comes of it, and says how the command ends."""
    from deployer.apply import apply
    from deployer.deploy import Setting
    from deployer.journal import Journal

    ended: list[Outcome] = []
    blocked = plan.summary[Action.BLOCKED]
    jobs = {job.identity: job for job in loaded.jobs}
    folder = stages.state_folder(loaded.project)
    with (
        Journal.open(folder, loaded.target.name, client.project_id, scrub=secrets.scrubbed) as journal,
        interruptible(halt),
    ):
        setting = Setting(
            client,
            journal,
            secrets,
            stages.owner(loaded),
            loaded.target.patience,
            halt,
            say=lambda words: err(text.note(words)),
        )
        try:
            for outcome in apply(setting, plan, live, jobs, manner):
                ended.append(outcome)
                out(text.outcome(outcome))
        except KeyboardInterrupt:
            halt.set()
    results = [outcome.result for outcome in ended]
    not_started = len(plan.steps) - len(ended)
    out(text.outcomes(results, blocked=blocked, errors=len(plan.errors), not_started=not_started))
    return Exit.INTERRUPTED if halt else exit_code(ended, blocked=blocked, errors=len(plan.errors))


@contextmanager
def interruptible(halt: Halt) -> Iterator[None]:
    """The first SIGINT or SIGTERM sets `halt`, the second is a KeyboardInterrupt."""

    def handle(_number: int, _frame: object) -> None:
        if halt:
            raise KeyboardInterrupt
        halt.set()
        # Not through the streams: the signal may have come while one of them was being written to.
        os.write(
            2, b"interrupted: calls under way are finished, nothing new is started; again to stop at once\n"
        )

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(ended: list[Outcome], *, blocked: int, errors: int) -> Exit:
    """7 before 8 before 5: unknown, partly applied, blocked."""
    results = {outcome.result for outcome in ended}
    if Result.UNKNOWN in results:
        return Exit.UNKNOWN
    if errors or results & {Result.FAILED, Result.SKIPPED, Result.TIMED_OUT}:
        # What failed with an id has left something behind: a draft, a stopped job.
        begun = [outcome for outcome in ended if outcome.result is Result.TIMED_OUT or _has_begun(outcome)]
        return Exit.PARTLY if begun or Result.DONE in results else Exit.ERROR
    return Exit.BLOCKED if blocked or Result.REFUSED in results else Exit.DONE


def _has_begun(outcome: Outcome) -> bool:
    is_there = outcome.change.action is Action.CREATE and bool(outcome.id)
    return outcome.result is Result.FAILED and (outcome.begun or is_there)
