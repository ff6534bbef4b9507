"""The conditions of --fail-on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.kinds.ownership import fingerprint
from deployer.model import Action, Change, Condition, FieldChange, OnFailure, Phase, State
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


def test_a_job_with_the_fingerprint_of_its_manifest_and_other_fields_has_drifted() -> None:
    batch = job()
    plan = plan_of([batch])
    live = run(batch, Phase.SUCCEEDED, ownership={"fingerprint": fingerprint(KINDS[batch.kind], batch)})
    fields = (FieldChange("/className", "Other", "Main"),)
    change = Change(Action.RESUBMIT, batch, "", fields=fields, live=live)
    assert conditions(replace(plan, changes=(change,)))[Condition.DRIFT] == (batch.identity,)
    same = replace(change, fields=())
    assert conditions(replace(plan, changes=(same,)))[Condition.DRIFT] == ()
