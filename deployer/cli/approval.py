"""Approval of a plan: the confirmation of the user, and the limits of the target."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from deployer.errors import UsageError
from deployer.model import Plan
from deployer.project.target import Target
from deployer.report import text
from deployer.report.terminal import err

LIMITS = ("changes", "replace", "delete", "stateLoss")


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb in messages: `apply`, `applied`; `objects` are what it affects."""

    name: str
    past: str
    objects: str


APPLY = Verb("apply", "applied", "changes")
CANCEL = Verb("cancel", "cancelled", "jobs")


def preapproved(target: Target, verb: Verb, *, yes: bool, confirm: str | None) -> bool:
    """Return whether the command line approves the plan already. Raises UsageError."""
    if confirm is not None and confirm != target.name:
        raise UsageError(f"--confirm {confirm} does not match the target '{target.name}'")
    if yes and target.protected and not confirm:
        raise UsageError(f"target '{target.name}' is protected: use --confirm {target.name} instead of --yes")
    if not (yes or confirm) and not sys.stdin.isatty():
        option = f"--confirm {target.name}" if target.protected else "--yes"
        raise UsageError(
            f"cannot prompt without a terminal; use {option} to {verb.name} without confirmation"
        )
    return yes or bool(confirm)


def request_approval(target: Target, question: str) -> bool:
    """Ask at the terminal for confirmation."""
    if not target.protected:
        return click.confirm(f"\n{question}")
    prompt = f"\n{question} The target is protected; enter its name to confirm"
    answer: str = click.prompt(prompt, default="", show_default=False)
    return answer.strip() == target.name


def limits_for(target: Target, overrides: Sequence[str]) -> Mapping[str, int]:
    """Return the limits of a target, overridden by `--limit delete=3`; raises UsageError."""
    allowed = dict(target.limits)
    for item in overrides:
        name, _, number = item.partition("=")
        if name not in LIMITS or not number.isdecimal() or len(number) > 9:
            raise UsageError(
                f"--limit {item}: expected NAME=NUMBER, where NAME is one of {', '.join(LIMITS)}"
            )
        allowed[name] = int(number)
    return allowed


def is_within(limits: Mapping[str, int], plan: Plan, verb: Verb) -> bool:
    """Return whether a plan is within the limits; reports those that it exceeds."""
    from deployer.planning.plan import exceeded_limits

    exceeded = exceeded_limits(limits, plan)
    if exceeded:
        words = "; ".join(exceeded)
        err(text.error(f"the plan exceeds the limits of target '{plan.target}': {words}"))
        err(
            f"No {verb.objects} were {verb.past}. Select fewer jobs with --select, override with --limit, "
            "or raise the limits in deployer.yaml."
        )
    return not exceeded
