"""The table of `deployer run`: every row, with every combination of its options."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from deployer.model import (
    Action,
    FieldChange,
    Identity,
    Impact,
    Job,
    Lifecycle,
    LiveJob,
    Parameter,
    ParameterType,
    Phase,
    Source,
    Step,
    Trigger,
)
from deployer.planning.decide import Comparison, Decision, decide
from deployer.planning.decide_run import Evidence, RunTable, Wanted, with_not_told

IDENTITY = Identity("SparkBatch", "q", "daily", "date=2024-07-04")
DATE = Parameter("date", ParameterType.DATE)
JOB = Job(IDENTITY, Source("daily.yaml", 1), {"file": "a.py"}, parameters={"date": DATE})
NO_EVIDENCE = Evidence()
FIELD = FieldChange("/file", "b.py", "a.py")
WANTED = [
    Wanted(missing, failed, changed, beside, assume)
    for missing, failed, changed, beside, assume in product([False, True], repeat=5)
]


def live(phase: Phase, *, submitted: int = 1000, identifier: str = "b-1", **more: Any) -> LiveJob:
    return LiveJob(
        identifier, IDENTITY, phase.value, phase, submitted, more.pop("spec", {"file": "a.py"}), **more
    )


def decided(
    wanted: Wanted, run: LiveJob | None, *, differs: bool = False, evidence: Evidence = NO_EVIDENCE
) -> tuple[Action, bool]:
    """The action, and whether the decision is a warning."""
    comparison = Comparison(JOB, run, (FIELD,) if differs else ())
    decision = RunTable(wanted, {IDENTITY: evidence})(comparison)
    assert (Step.CREATE in decision.steps) == (
        decision.action in {Action.CREATE, Action.RESUBMIT, Action.SUBMIT}
    )
    return decision.action, decision.is_warning


@pytest.mark.parametrize("wanted", WANTED)
def test_each_row(wanted: Wanted) -> None:
    alone = not wanted.is_selective
    unchanged, warned = (Action.UNCHANGED, False), (Action.UNCHANGED, True)
    create, again = (Action.CREATE, False), (Action.RESUBMIT, False)
    blocked, beside = (Action.BLOCKED, False), (Action.SUBMIT, False)

    assert decided(wanted, live(Phase.UNKNOWN)) == warned
    assert decided(wanted, live(Phase.SUCCEEDED, spec=None)) == warned
    assert decided(wanted, None) == (create if alone or wanted.missing else unchanged)
    expected = create if alone or (wanted.missing and wanted.assume_missing) else blocked
    expected = expected if alone or wanted.missing else unchanged
    assert decided(wanted, None, evidence=Evidence(doubt="it may be forgotten")) == expected
    for phase, differs in product([Phase.ACTIVE, Phase.PENDING], [False, True]):
        expected = unchanged if not alone else beside if wanted.beside else blocked
        assert decided(wanted, live(phase), differs=differs) == expected
    assert decided(wanted, live(Phase.SUCCEEDED)) == (again if alone else unchanged)
    expected = again if alone or wanted.changed else unchanged
    assert decided(wanted, live(Phase.SUCCEEDED), differs=True) == expected
    for phase, differs in product([Phase.FAILED, Phase.STOPPED], [False, True]):
        assert decided(wanted, live(phase), differs=differs) == (again if alone or wanted.failed else warned)


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("is_active", [False, True])
def test_runs_that_are_not_told(wanted: Wanted, is_active: bool) -> None:
    phase = Phase.ACTIVE if is_active else Phase.SUCCEEDED
    newer = Evidence((live(phase, submitted=2000, identifier="b-9"),))
    without = decided(wanted, None)
    is_blocked = not wanted.assume_missing and (wanted.is_selective or is_active)
    assert decided(wanted, None, evidence=newer) == ((Action.BLOCKED, False) if is_blocked else without)
    # What was made is not made again by mistake, whatever else there is.
    assert decided(wanted, live(Phase.SUCCEEDED), evidence=newer)[0] in {
        Action.UNCHANGED,
        Action.BLOCKED,
        *([] if wanted.is_selective or (is_active and not wanted.assume_missing) else [Action.RESUBMIT]),
    }


def test_an_older_run_that_is_not_told_cannot_be_a_later_one() -> None:
    older = Evidence((live(Phase.SUCCEEDED, submitted=500, identifier="b-0"),))
    failed = live(Phase.FAILED, submitted=1000)
    assert decided(Wanted(failed=True), failed, evidence=older)[0] is Action.RESUBMIT
    at_an_unknown_time = Evidence((live(Phase.SUCCEEDED, submitted=0, identifier="b-2"),))
    assert decided(Wanted(failed=True), failed, evidence=at_an_unknown_time)[0] is Action.BLOCKED
    newer = Evidence((live(Phase.SUCCEEDED, submitted=1500, identifier="b-2"),))
    assert decided(Wanted(failed=True), failed, evidence=newer)[0] is Action.BLOCKED


@pytest.mark.parametrize("wanted", [Wanted(failed=True), Wanted(changed=True)])
@pytest.mark.parametrize("phase", [None, Phase.SUCCEEDED, Phase.FAILED])
def test_the_newest_run_is_not_known_beside_a_newer_one_that_is_not_told(
    wanted: Wanted, phase: Phase | None
) -> None:
    newer = Evidence((live(Phase.FAILED, submitted=2000, identifier="b-9"),))
    told = live(phase, submitted=1000) if phase else None
    assert decided(wanted, told, evidence=newer)[0] is Action.BLOCKED
    # That one is there is enough, whatever became of it.
    expected = Action.BLOCKED if told is None else Action.UNCHANGED
    assert decided(Wanted(missing=True), told, evidence=newer)[0] is expected


APPLY_ROWS = {
    Action.CREATE: Decision(Action.CREATE, "not deployed", "will submit a run", steps=(Step.CREATE,)),
    Action.RESUBMIT: Decision(Action.RESUBMIT, "manifest changed", steps=(Step.CREATE,)),
    Action.REPLACE: Decision(Action.REPLACE, "manifest changed", steps=(Step.CANCEL, Step.CREATE)),
    Action.SUBMIT: Decision(Action.SUBMIT, "manifest changed", steps=(Step.CREATE,)),
    Action.UNCHANGED: Decision(Action.UNCHANGED, "not deployed", "onMissing is keep"),
}


@pytest.mark.parametrize("action", APPLY_ROWS)
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.ACTIVE, Phase.UNKNOWN, Phase.SUCCEEDED])
def test_the_run_of_apply_beside_one_that_may_be_it(action: Action, phase: Phase) -> None:
    row, other = APPLY_ROWS[action], live(phase, submitted=2000, identifier="b-9")
    told = None if action in {Action.CREATE, Action.UNCHANGED} else live(Phase.ACTIVE)
    decision, warning = with_not_told(row, Comparison(JOB, told), [other])
    assert "not deployed" not in decision.reason
    if action is Action.SUBMIT:  # onChange: submit consents to a second run
        assert (decision, warning) == (row, "")
    elif action is Action.UNCHANGED:
        assert (decision.action, warning) == (Action.UNCHANGED, "")
        assert "run b-9" in decision.reason
    elif phase is Phase.SUCCEEDED:
        assert (decision.action, decision.impact, decision.steps) == (action, Impact.RERUNS, row.steps)
        assert "its data would be processed again" in warning
    else:
        assert (decision.action, decision.steps) == (Action.BLOCKED, ())
        assert "deployer cancel --id b-9" in decision.effect


def test_an_older_run_than_the_known_one_is_not_the_run_of_apply() -> None:
    older = live(Phase.SUCCEEDED, submitted=500, identifier="b-0")
    row = APPLY_ROWS[Action.RESUBMIT]
    assert with_not_told(row, Comparison(JOB, live(Phase.FAILED)), [older]) == (row, "")


@pytest.mark.parametrize("phase", [None, *Phase])
@pytest.mark.parametrize("differs", [False, True])
@pytest.mark.parametrize("is_by_trigger", [False, True])
def test_apply_submits_nothing(phase: Phase | None, differs: bool, is_by_trigger: bool) -> None:
    parameters = {} if is_by_trigger else {"date": DATE}
    trigger = Trigger.RUN if is_by_trigger else Trigger.APPLY
    job = Job(
        Identity("SparkBatch", "q", "daily"),
        Source("daily.yaml", 1),
        {},
        Lifecycle(trigger=trigger),
        parameters=parameters,
    )
    run = live(phase) if phase else None
    decision = decide(Comparison(job, run, (FIELD,) if differs else ()))
    assert (decision.action, decision.steps) == (Action.UNCHANGED, ())
    assert "submitted by 'deployer run' only" in decision.effect
    is_failed = phase in {Phase.FAILED, Phase.STOPPED}
    assert ("--param date=2024-07-04 --failed" in decision.effect) == is_failed
    assert decision.is_warning == (is_failed or phase is Phase.UNKNOWN)
