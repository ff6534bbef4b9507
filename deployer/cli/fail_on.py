"""The option --fail-on of the verbs that compare, and its exit code."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deployer.cli.options import completed_by
from deployer.errors import Exit, UsageError, nearest
from deployer.model import Condition, Identity, Plan
from deployer.planning.conditions import conditions
from deployer.report import text
from deployer.report.terminal import err

MAX_NAMES = 5

fail_on_option = click.option(
    "--fail-on",
    "fail_on",
    metavar="LIST",
    multiple=True,
    help="Exit with code 2 if there are any of these: changes, drift, failed, orphans (comma-separated).",
    shell_complete=completed_by("conditions"),
)


def conditions_of(given: Sequence[str]) -> frozenset[Condition]:
    """Return the conditions that the option names. Raises UsageError."""
    words = [word.strip() for each in given for word in each.split(",")]
    known = [condition.value for condition in Condition]
    for word in words:
        if word not in known:
            raise UsageError(f"--fail-on: unknown condition '{word}'{nearest(word, known)}")
    return frozenset(map(Condition, words))


def exit_code(plan: Plan, fail_on: frozenset[Condition]) -> Exit:
    """Return 2 if one of the conditions is met, and report which and by how many jobs; 1 if jobs failed to plan."""
    met = [
        f"{condition}: {len(jobs)} ({_names(jobs)})"
        for condition, jobs in conditions(plan).items()
        if condition in fail_on and jobs
    ]
    if met:
        err(text.error(f"--fail-on: {'; '.join(met)}"))
    if plan.errors:
        return Exit.ERROR
    return Exit.CHANGES if met else Exit.DONE


def _names(jobs: Sequence[Identity]) -> str:
    more = ", ..." if len(jobs) > MAX_NAMES else ""
    return f"{', '.join(map(str, jobs[:MAX_NAMES]))}{more}"
