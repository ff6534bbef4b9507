"""`apply --retry-blocked`: what is waited for, and when it stays blocked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from deployer.apply.retry import as_planned, awaited, merged, wait_until_ended
from deployer.clock import StopSignal
from deployer.errors import Interrupted, RequestFailed
from deployer.model import (
    Action,
    Change,
    Dependency,
    Job,
    Live,
    LiveJob,
    Note,
    OnChange,
    Outcome,
    Phase,
    Plan,
    Result,
)
from deployer.planning.ownership import OwnershipRules
from deployer.planning.plan import make_plan
from deployer.project.target import Polling
from testing.plans import NOW as NOW_OF_PLANS
from testing.plans import PLACE, job, plan_of, run

BATCH = job()
ACTIVE = run(BATCH, Phase.ACTIVE, differs="file")
ENDED = replace(ACTIVE, phase=Phase.SUCCEEDED, state="success")
FIRST = plan_of([BATCH], ACTIVE)
NOW = Polling(interval=0, consistency_delay=0)


def again(second: Plan, first: Plan = FIRST, *outcomes: Outcome) -> Change:
    return as_planned(first, second, outcomes)[-1]


# --- what is waited for -----------------------------------------------------------------------------------


def test_a_run_of_the_job_itself() -> None:
    [change] = awaited(FIRST)
    assert (change.action, change.blocked_by) == (Action.BLOCKED, (ACTIVE,))
    pending = plan_of([BATCH], replace(ACTIVE, phase=Phase.PENDING))
    assert [one.job for one in awaited(pending)] == [BATCH]
    rerun = replace(BATCH, rerun_requested=True)
    assert [one.job for one in awaited(plan_of([rerun], run(rerun, Phase.ACTIVE)))] == [rerun]
    two = plan_of([BATCH], ACTIVE, replace(ACTIVE, id="run-2"))
    assert {live.id for live in awaited(two)[0].blocked_by} == {"run-1", "run-2"}


@pytest.mark.parametrize(
    ("of", "phase"),
    [
        (job(on_change=OnChange.REPLACE, protect=True), Phase.ACTIVE),
        (job(), Phase.UNKNOWN),
        (replace(job("FlinkJar"), rerun_requested=True), Phase.ACTIVE),
    ],
    ids=["protected", "unknown", "a stream"],
)
def test_nothing_else_is_waited_for(of: Job, phase: Phase) -> None:
    found = run(of, phase, differs="" if of.kind == "FlinkJar" else "file")
    assert awaited(plan_of([of], found)) == ()


@pytest.mark.parametrize(("project", "number"), [("ours", 1), ("theirs", 0)])
def test_a_run_of_another_project_is_not_waited_for(project: str, number: int) -> None:
    live = Live((replace(ACTIVE, ownership={"project": project}),), now=NOW_OF_PLANS)
    ownership = OwnershipRules("ours", is_recorded=True)
    plan = make_plan("test", PLACE, [BATCH], live, {BATCH.identity}, ownership=ownership)
    assert plan.changes[0].action is Action.BLOCKED
    assert len(awaited(plan)) == number


def reads(*states: Phase | Exception | None) -> Callable[[Job, LiveJob], LiveJob | None]:
    left = [*states]

    def read(_: Job, live: LiveJob) -> LiveJob | None:
        state = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(state, Exception):
            raise state
        return None if state is None else replace(live, phase=state)

    return read


@pytest.mark.parametrize("end", [Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED, None])
def test_a_run_that_ends_or_is_gone(end: Phase | None) -> None:
    error = RequestFailed("HTTP 500")
    read = reads(Phase.ACTIVE, error, Phase.PENDING, Phase.UNKNOWN, end)
    waited = wait_until_ended(read, awaited(FIRST), NOW, StopSignal(), 60)
    assert (waited.ended, waited.problem) == ({BATCH.identity}, "HTTP 500")


@pytest.mark.parametrize("state", [Phase.ACTIVE, Phase.UNKNOWN, RequestFailed("HTTP 500")])
def test_a_run_that_does_not_end_in_time(state: Phase | Exception) -> None:
    assert wait_until_ended(reads(state), awaited(FIRST), NOW, StopSignal(), 0).ended == set()


def test_an_interrupt_ends_the_wait() -> None:
    stop = StopSignal()
    stop.set()
    with pytest.raises(Interrupted):
        wait_until_ended(reads(Phase.ACTIVE), awaited(FIRST), NOW, stop, 60)


# --- what is applied then ---------------------------------------------------------------------------------


def test_the_end_of_the_run_is_all_that_has_changed() -> None:
    change = again(plan_of([BATCH], ENDED))
    assert change.action is Action.RESUBMIT
    assert change.reason.endswith("it was blocked until run run-1 had ended")
    whole = merged(FIRST, [change])
    assert (whole.steps, whole.digest) == ((change,), FIRST.digest)


@pytest.mark.parametrize(
    ("live", "words"),
    [
        ((), "run run-1 no longer exists"),
        ((ENDED, replace(ENDED, id="run-2", submitted=ENDED.submitted + 1)), "the latest run is run-2"),
        ((ENDED, replace(ACTIVE, id="run-2", submitted=ENDED.submitted + 1)), "run run-2"),
        ((replace(ENDED, spec={**(ENDED.spec or {}), "file": "another"}),), "was modified"),
        ((replace(ENDED, ownership={"project": "theirs"}),), "taken over"),
        ((replace(ENDED, spec=dict(BATCH.spec)),), "was modified"),
        ((replace(ENDED, phase=Phase.UNKNOWN),), "the change is another one: unchanged"),
        ((ACTIVE,), "wait for it to end"),
    ],
)
def test_anything_else_stays_blocked(live: tuple[LiveJob, ...], words: str) -> None:
    change = again(plan_of([BATCH], *live))
    assert (change.action, change.steps, change.blocked_by) == (Action.BLOCKED, (), ())
    assert words in change.reason


def test_what_fails_to_plan_stays_blocked() -> None:
    failed = replace(plan_of([BATCH]), changes=(), errors=(Note(BATCH.identity, BATCH.source, "HTTP 500"),))
    change = again(failed)
    assert (change.action, "HTTP 500" in change.reason) == (Action.BLOCKED, True)


@pytest.mark.parametrize("result", [Result.FAILED, Result.UNKNOWN, None, Result.DONE])
def test_a_dependency_that_was_not_applied(result: Result | None) -> None:
    other = job(name="other")
    batch = job(after=(Dependency(other.identity),))
    first = plan_of([other, batch], ACTIVE)
    [change] = [one for one in first.changes if one.job is other]
    outcomes = [Outcome(change, result, "")] if result else []
    second = plan_of([other, batch], ENDED, run(other, Phase.ACTIVE), selected=[batch])
    made = again(second, first, *outcomes)
    assert (made.action is Action.RESUBMIT) == (result is Result.DONE)
    assert ("dependency 'other' was not applied" in made.reason) == (result is not Result.DONE)


def test_a_dependency_that_stays_blocked() -> None:
    other = job(name="other")
    batch = job(after=(Dependency(other.identity),))
    busy = run(other, Phase.ACTIVE, differs="file", id="run-2")
    first = plan_of([other, batch], ACTIVE, busy)
    still = again(plan_of([other, batch], ENDED, busy, selected=[batch]), first)
    assert (still.action, "dependency 'other' is blocked" in still.reason) == (Action.BLOCKED, True)
    ended = replace(busy, phase=Phase.FAILED)
    both = as_planned(first, plan_of([other, batch], ENDED, ended), ())
    assert [one.action for one in both] == [Action.RESUBMIT, Action.RESUBMIT]
