"""Whether a plan is the one that was approved: --expect and --plan."""

from __future__ import annotations

import click

from deployer.model import Plan
from deployer.planning.saved_plan import SavedPlan
from deployer.report import text
from deployer.report.terminal import err


def differences(plan: Plan, expect: str | None, saved: SavedPlan | None) -> list[str]:
    """Return why the plan is not the expected one, and report it; nothing if it is."""
    from deployer.report import stale

    found: list[str] = []
    if expect not in (None, plan.digest):
        message = f"the plan has changed: expected digest {expect}, got {plan.digest}"
        err(text.error(f"{message} (the plan above is the current one)"))
        found.append(message)
    if saved and saved.digest != plan.digest:
        for line in stale.explanation(saved, plan):
            err(line)
            found.append(click.unstyle(line))
    return found
