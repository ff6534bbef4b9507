"""The jobs of a plan that meet the conditions of `--fail-on`."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.model import Cause, Change, Condition, Identity, Phase, Plan, State


def conditions(plan: Plan) -> Mapping[Condition, tuple[Identity, ...]]:
    """Return the jobs that meet each condition; a job can meet several."""
    return {
        Condition.CHANGES: tuple(change.job.identity for change in plan.pending),
        Condition.DRIFT: tuple(change.job.identity for change in plan.changes if _is_drift(change)),
        Condition.FAILED: tuple(change.job.identity for change in plan.changes if _has_failed(change)),
        Condition.ORPHANS: tuple(orphan.identity for orphan in plan.orphans),
    }


def counts(plan: Plan) -> dict[str, int]:
    """Return the number of jobs that meet each condition, zeros included."""
    return {condition.value: len(jobs) for condition, jobs in conditions(plan).items()}


def _has_failed(change: Change) -> bool:
    # A failed run of a job that should be absent is only a record.
    is_expected = change.job.lifecycle.state is not State.ABSENT
    return is_expected and change.live is not None and change.live.phase is Phase.FAILED


def _is_drift(change: Change) -> bool:
    return change.cause in {Cause.DRIFT, Cause.BOTH}
