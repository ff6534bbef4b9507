"""Whether a plan may be carried out: the agreement of who calls, and the limits of the target."""

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
    """A verb in messages: `apply`, `applied`."""

    name: str
    past: str


APPLY = Verb("apply", "applied")
CANCEL = Verb("cancel", "cancelled")


def preapproved(target: Target, verb: Verb, *, yes: bool, confirm: str | None) -> bool:
    """Returns whether the command line approves the plan already. Raises UsageError."""
    if confirm is not None and confirm != target.name:
        raise UsageError(f"--confirm {confirm}: the target is '{target.name}'")
    if yes and target.protected and not confirm:
        raise UsageError(f"target '{target.name}' is protected: not --yes, but --confirm {target.name}")
    if not (yes or confirm) and not sys.stdin.isatty():
        option = f"--confirm {target.name}" if target.protected else "--yes"
        raise UsageError(f"there is no terminal to ask on; give {option} to {verb.name} without asking")
    return yes or bool(confirm)


def request_approval(target: Target, question: str) -> bool:
    """Asks the person at the terminal whether to go on."""
    if not target.protected:
        return click.confirm(f"\n{question}")
    asked = f"\n{question} It is protected: type its name"
    answer: str = click.prompt(asked, default="", show_default=False)
    return answer.strip() == target.name


def limits_for(target: Target, given: Sequence[str]) -> Mapping[str, int]:
    """Returns the limits of a target, and those of `--limit delete=3`, which win; raises UsageError."""
    allowed = dict(target.limits)
    for item in given:
        name, _, number = item.partition("=")
        if name not in LIMITS or not number.isdecimal() or len(number) > 9:
            raise UsageError(f"--limit {item}: expected NAME=NUMBER; names are {', '.join(LIMITS)}")
        allowed[name] = int(number)
    return allowed


def is_within(limits: Mapping[str, int], plan: Plan, verb: Verb) -> bool:
    """Returns whether a plan keeps within the limits; tells where it does not."""
    from deployer.planning.plan import exceeded_limits

    exceeded = exceeded_limits(limits, plan)
    if exceeded:
        words = "; ".join(exceeded)
        err(text.error(f"the plan goes beyond the limits of target '{plan.target}': {words}"))
        err(
            f"Nothing was {verb.past}. Select a part with --select, allow more once with --limit, "
            "or raise the limits in deployer.yaml."
        )
    return not exceeded
