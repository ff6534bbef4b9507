"""Approval of a plan: the confirmation of the user, and the limits of the target."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import click

from deployer.errors import UsageError
from deployer.escape import printable
from deployer.model import Limit, Plan
from deployer.project.target import Target
from deployer.report import text
from deployer.report.terminal import err

LIMITS = ("changes", "replace", "delete", "stateLoss")
# Set by the CI, outside of the repository.
LIMITS_VARIABLE = "DEPLOYER_LIMITS"
LIMIT_OPTION = "--limit"


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb in messages: `apply`, `applied`; `objects` are what it affects."""

    name: str
    past: str
    objects: str


APPLY = Verb("apply", "applied", "changes")
CANCEL = Verb("cancel", "cancelled", "jobs")
RUN = Verb("run", "submitted", "runs")
DESTROY = Verb("destroy", "destroyed", "jobs")

# Without `limits.delete`, a prune, `destroy --all` or `cancel --orphans` of more jobs needs --limit.
PRUNE_LIMIT = Limit(5, "default")


def preapproved(target: Target, verb: Verb, *, yes: bool, confirm: str | None) -> bool:
    """Return whether the command line approves the plan already. Raises UsageError, also if nobody can be asked."""
    approved = approved_by_options(target, yes=yes, confirm=confirm)
    if not approved:
        require_terminal(target, verb)
    return approved


def approved_by_options(target: Target, *, yes: bool, confirm: str | None) -> bool:
    """Return whether --yes or --confirm approves the plan. Raises UsageError."""
    if confirm is not None and confirm != target.name:
        raise UsageError(f"--confirm {confirm} does not match the target '{target.name}'")
    if yes and target.protected and not confirm:
        raise UsageError(f"target '{target.name}' is protected: use --confirm {target.name} instead of --yes")
    return yes or bool(confirm)


def require_terminal(target: Target, verb: Verb) -> None:
    """Raise UsageError if nobody can be asked."""
    if not sys.stdin.isatty():
        option = f"--confirm {target.name}" if target.protected else "--yes"
        raise UsageError(
            f"cannot prompt without a terminal; use {option} to {verb.name} without confirmation"
        )


def request_approval(target: Target, question: str) -> bool:
    """Ask at the terminal for confirmation."""
    if not target.protected:
        return click.confirm(f"\n{question}")
    prompt = f"\n{question} The target is protected; enter its name to confirm"
    answer: str = click.prompt(prompt, default="", show_default=False)
    return answer.strip() == target.name


def confirmed(question: str, *, yes: bool) -> bool:
    """Return whether a change of the shared state is confirmed, by `yes` or by the user.

    Raises UsageError without a terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("cannot prompt without a terminal; use --yes")
    return click.confirm(printable(question))


def limits_for(
    target: Target, overrides: Sequence[str], environment: Mapping[str, str]
) -> Mapping[str, Limit]:
    """Return the limits of a target, overridden by `DEPLOYER_LIMITS=delete=0,changes=50` and `--limit delete=3`.

    Whoever starts the command decides, not the repository. Raises UsageError.
    """
    allowed = {name: Limit(number) for name, number in target.limits.items()}
    of_environment = filter(None, environment.get(LIMITS_VARIABLE, "").split(","))
    for origin, items in ((LIMITS_VARIABLE, of_environment), (LIMIT_OPTION, overrides)):
        for item in items:
            name, _, number = item.strip().partition("=")
            if name not in LIMITS or not (number.isascii() and number.isdecimal()) or len(number) > 9:
                raise UsageError(
                    f"{origin} {item}: expected NAME=NUMBER, where NAME is one of {', '.join(LIMITS)}"
                )
            allowed[name] = Limit(int(number), origin)
    return allowed


def is_within(limits: Mapping[str, Limit], plan: Plan, verb: Verb) -> bool:
    """Return whether a plan is within the limits; reports those that it exceeds."""
    from deployer.planning.plan import exceeded_limits

    names = [
        name
        for name, limit in limits.items()
        if exceeded_limits({name: limit}, plan, is_cancel=verb is CANCEL)
    ]
    if names:
        advice = _advice(limits[name] for name in names)
        [words] = exceeded(limits, plan, verb)
        err(text.error(words))
        # What removes orphaned jobs refuses a selection.
        if PRUNE_LIMIT in limits.values() or any(change.is_prune for change in plan.changes):
            options = " ".join(f"{LIMIT_OPTION} {name}=N" for name in names)
            advice = f"To allow it, {advice.removeprefix('or ').replace(LIMIT_OPTION, options, 1)}"
        else:
            advice = f"Select fewer jobs with --select, {advice}"
        err(f"No {verb.objects} were {verb.past}. {advice}.")
    return not names


def exceeded(limits: Mapping[str, Limit], plan: Plan, verb: Verb) -> list[str]:
    """Return which limits a plan exceeds, in one sentence; nothing if it is within all of them."""
    from deployer.planning.plan import exceeded_limits

    found = exceeded_limits(limits, plan, is_cancel=verb is CANCEL)
    return [f"the plan exceeds the limits of target '{plan.target}': {'; '.join(found)}"] if found else []


def _advice(exceeded: Iterable[Limit]) -> str:
    """Return how the exceeded limits can be raised, where each was set."""
    found = (limit.origin for limit in exceeded)
    origins = {"deployer.yaml" if origin in {"", PRUNE_LIMIT.origin} else origin for origin in found}
    if files := sorted(origins - {LIMIT_OPTION}, reverse=True):
        return f"override with {LIMIT_OPTION}, or raise the limits in {' and '.join(files)}"
    return f"or raise the limits with {LIMIT_OPTION}"
