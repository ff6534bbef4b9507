"""Whether a plan is the one that was approved: --expect and --plan."""

from __future__ import annotations

from deployer.model import Plan
from deployer.planning.saved_plan import SavedPlan
from deployer.report import text
from deployer.report.terminal import err


def is_expected(plan: Plan, expect: str | None, saved: SavedPlan | None) -> bool:
    """Return whether the plan is the expected one; reports the differences."""
    from deployer.report import stale

    differs = expect not in (None, plan.digest)
    if differs:
        message = f"the plan has changed: expected digest {expect}, got {plan.digest}"
        err(text.error(f"{message} (the plan above is the current one)"))
    if saved and saved.digest != plan.digest:
        differs = True
        for line in stale.explanation(saved, plan):
            err(line)
    return not differs
