"""The conditions of --fail-on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.model import Action, Cause, Change, Condition, OnFailure, Phase, State
from deployer.planning.conditions import conditions, counts
from testing.plans import job, plan_of, run


@pytest.mark.parametrize(
    ("lifecycle", "phase", "met"),
    [
        ({}, Phase.FAILED, ["failed"]),
        ({"on_failure": OnFailure.RESUBMIT}, Phase.FAILED, ["changes", "failed"]),
        ({"state": State.ABSENT}, Phase.FAILED, []),
        ({}, Phase.STOPPED, []),
        ({}, Phase.SUCCEEDED, []),
        ({}, Phase.UNKNOWN, []),
        ({"state": State.ABSENT}, Phase.ACTIVE, ["changes"]),
    ],
)
def test_which_conditions_a_job_meets(lifecycle: dict[str, Any], phase: Phase, met: list[str]) -> None:
    batch = job(**lifecycle)
    plan = plan_of([batch], run(batch, phase))
    assert [name for name, count in counts(plan).items() if count] == met
    assert {jobs for jobs in conditions(plan).values() if jobs} <= {(batch.identity,)}


@pytest.mark.parametrize(
    ("cause", "has_drifted"),
    [(Cause.DRIFT, True), (Cause.BOTH, True), (Cause.MANIFEST, False), (Cause.UNKNOWN, False), (None, False)],
)
def test_a_job_that_changed_outside_deployer_has_drifted(cause: Cause | None, *, has_drifted: bool) -> None:
    stream = job("FlinkJar")
    change = Change(Action.RESTART, stream, "", cause=cause, live=run(stream, Phase.ACTIVE))
    found = conditions(replace(plan_of([stream]), changes=(change,)))[Condition.DRIFT]
    assert found == ((stream.identity,) if has_drifted else ())
