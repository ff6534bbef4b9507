"""The plan: which run is compared, dependencies, summary and digest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deployer.model import (
    Action,
    Dependency,
    Job,
    Live,
    LiveJob,
    OnChange,
    OnFailure,
    OnMissing,
    Phase,
    Source,
    State,
    Until,
)
from deployer.planning.plan import make_plan
from testing.plans import AFTER, FUTURE, NOW, PLACE, SUBMITTED, decided, job, plan_of, run


def test_a_job_that_is_active_elsewhere_is_pointed_out() -> None:
    there = job(spec={"queue": "other"})
    change, notes = decided(job(), run(there, Phase.ACTIVE))
    assert change.action is Action.CREATE
    assert len(notes) == 1
    assert "is active elsewhere" in notes[0]
    assert decided(job(), run(there, Phase.SUCCEEDED))[1] == ()


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([], "the service lists no jobs of this kind"),
        ([("other", SUBMITTED)], "not in the service's list (1 job, going back to 2024-07-03)"),
        (
            [("other", SUBMITTED), ("third", SUBMITTED - 86_400_000)],
            "not in the service's list (2 jobs, going back to 2024-07-02)",
        ),
        ([("other", 0)], "not in the service's list (1 job)"),
        ([("other", 10**18)], "not in the service's list (1 job)"),
        ([("other", -(10**18))], "not in the service's list (1 job)"),
    ],
)
def test_a_create_says_how_far_back_the_listing_reaches(runs: list[tuple[str, int]], words: str) -> None:
    live = [
        run(job(name=name), Phase.SUCCEEDED, id=f"{name}-1", submitted=submitted) for name, submitted in runs
    ]
    change, _ = decided(job(), *live)
    assert change.reason == f"not deployed: {words}; will submit a run"


def test_the_reach_of_an_mrs_listing_is_that_of_the_cluster() -> None:
    elsewhere = run(job("MrsJob", spec={"cluster_id": "c-2"}), Phase.SUCCEEDED)
    assert (
        decided(job("MrsJob"), elsewhere)[0].reason
        == "not deployed: the cluster lists no jobs; will submit a run"
    )


# --- which run counts -------------------------------------------------------------------------------------


def test_an_active_run_counts_before_a_newer_one_that_ended() -> None:
    batch = job()
    old = run(batch, Phase.ACTIVE, id="old", differs="className")
    new = run(batch, Phase.SUCCEEDED, id="new", submitted=SUBMITTED + 1)
    change, _ = decided(batch, new, old)
    assert (change.action, change.live) == (Action.BLOCKED, old)


def test_the_newest_of_the_ended_counts() -> None:
    batch = job()
    old = run(batch, Phase.SUCCEEDED, id="old", differs="className")
    new = run(batch, Phase.SUCCEEDED, id="new", submitted=SUBMITTED + 1)
    assert decided(batch, new, old)[0].live == decided(batch, old, new)[0].live == new


def test_several_active_and_the_newest_is_the_same() -> None:
    batch = job()
    old = run(batch, Phase.ACTIVE, id="old", differs="className")
    new = run(batch, Phase.ACTIVE, id="new", submitted=SUBMITTED + 1)
    change, notes = decided(batch, old, new)
    assert change.action is Action.UNCHANGED
    assert notes == ("several runs are active: new, old; the newest is compared with the manifest",)


@pytest.mark.parametrize("on_change", OnChange)
def test_several_active_and_the_newest_differs(on_change: OnChange) -> None:
    batch = job(on_change=on_change)
    old = run(batch, Phase.ACTIVE, id="old")
    new = run(batch, Phase.ACTIVE, id="new", submitted=SUBMITTED + 1, differs="className")
    change, notes = decided(batch, old, new)
    assert change.action is Action.BLOCKED
    assert "new, old" in change.reason
    assert notes == ()


def test_several_active_and_none_is_wanted() -> None:
    batch = job(state=State.ABSENT)
    old = run(batch, Phase.ACTIVE, id="old", differs="className")
    new = run(batch, Phase.ACTIVE, id="new", submitted=SUBMITTED + 1, differs="className")
    change, notes = decided(batch, old, new)
    assert (change.action, [live.id for live in change.other_runs]) == (Action.CANCEL, ["old"])
    assert notes == ("several runs are active; all of them will be cancelled: new, old",)


@pytest.mark.parametrize("state", State)
def test_several_definitions_of_one_name(state: State) -> None:
    stream = job("FlinkJar", state=state)
    change, _ = decided(stream, run(stream, Phase.DRAFT, id="1"), run(stream, Phase.ACTIVE, id="2"))
    assert change.action is Action.BLOCKED
    assert "several live jobs have this name: 1, 2" in change.reason


@pytest.mark.parametrize(
    ("other", "is_it"),
    [
        ({"spec": {"queue": "elsewhere"}}, False),
        ({"kind": "SparkSession"}, False),
        ({"name": "Alpha"}, False),
        ({}, True),
    ],
)
def test_what_another_job_is(other: dict[str, Any], *, is_it: bool) -> None:
    change, _ = decided(job(), run(job(**other), Phase.SUCCEEDED))
    assert change.action is (Action.UNCHANGED if is_it else Action.CREATE)


def test_a_definition_keeps_its_identity_in_another_queue() -> None:
    change, _ = decided(job("FlinkJar"), run(job("FlinkJar", spec={"queue_name": "other"}), Phase.ACTIVE))
    assert [field.path for field in change.fields] == ["/queue_name"]


@pytest.mark.parametrize(
    ("kind", "phase", "lifecycle", "action"),
    [
        ("SparkSession", Phase.ACTIVE, {}, Action.BLOCKED),
        ("SparkSession", Phase.PENDING, {}, Action.BLOCKED),
        ("SparkSession", Phase.SUCCEEDED, {}, Action.CREATE),
        ("SparkSession", Phase.ACTIVE, {"on_missing": OnMissing.KEEP}, Action.UNCHANGED),
        ("SparkSession", Phase.ACTIVE, {"state": State.ABSENT}, Action.UNCHANGED),
        ("SparkBatch", Phase.ACTIVE, {}, Action.CREATE),
    ],
)
def test_an_unnamed_job_may_be_this_one(
    kind: str, phase: Phase, lifecycle: dict[str, Any], action: Action
) -> None:
    planned = job(kind, **lifecycle)
    change, _ = decided(
        planned, run(planned, phase, identity=planned.identity._replace(name=""), id="nameless")
    )
    assert change.action is action
    assert ("nameless" in change.reason) is (action is not Action.CREATE)


# --- rerun ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rerun", "now", "words"),
    [
        (FUTURE, NOW, "rerun must not be in the future: 2024-07-03T12:00:01"),
        (AFTER, None, "the service did not report its time"),
    ],
)
@pytest.mark.parametrize("runs", [(), (Phase.ACTIVE,), (Phase.SUCCEEDED,)])
def test_a_rerun_that_is_an_error(
    rerun: datetime, now: datetime | None, words: str, runs: tuple[Phase, ...]
) -> None:
    batch = job(rerun=rerun)
    plan = plan_of([batch], *(run(batch, phase) for phase in runs), now=now)
    assert plan.changes == ()
    assert [words in note.message for note in plan.errors] == [True]


def test_a_rerun_of_this_very_moment() -> None:
    batch = job(rerun=NOW)
    assert decided(batch, run(batch, Phase.SUCCEEDED))[0].action is Action.RESUBMIT


def test_a_rerun_at_the_instant_of_the_submission_is_done() -> None:
    batch = job(rerun=datetime.fromtimestamp(SUBMITTED / 1000, UTC))
    assert decided(batch, run(batch, Phase.SUCCEEDED))[0].action is Action.UNCHANGED


@pytest.mark.parametrize("kind", ["SparkBatch", "FlinkJar"])
def test_a_rerun_is_not_acted_on_when_the_listing_tells_no_time(kind: str) -> None:
    planned = job(kind, rerun=AFTER)
    change, notes = decided(planned, run(planned, Phase.SUCCEEDED, submitted=0))
    assert change.action is Action.UNCHANGED
    assert ["rerun ignored: the service does not report" in note for note in notes] == [True]


# --- dependencies -----------------------------------------------------------------------------------------

READY = {
    Until.SUBMITTED: {Phase.DRAFT, Phase.PENDING, Phase.ACTIVE, Phase.SUCCEEDED, Phase.UNKNOWN},
    Until.RUNNING: {Phase.ACTIVE, Phase.SUCCEEDED},
    Until.SUCCEEDED: {Phase.SUCCEEDED},
}


@pytest.mark.parametrize("until", Until)
@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("selected", [True, False])
def test_until(until: Until, phase: Phase, *, selected: bool) -> None:
    first = job(name="first")
    second = job(name="second", after=(Dependency(first.identity, until),))
    plan = plan_of([first, second], run(first, phase), selected=[second, first] if selected else [second])
    change = plan.changes[-1]
    never = phase in {Phase.FAILED, Phase.STOPPED} or (phase is Phase.DRAFT and until is not Until.SUBMITTED)
    assert change.action is (Action.BLOCKED if never else Action.CREATE)
    if never:
        words = {Phase.DRAFT: "is a draft", Phase.STOPPED: "was stopped"}.get(phase, f"has {phase}")
        assert change.reason == f"dependency 'first' {words}"
    else:
        assert ("waits until dependency 'first'" in change.reason) is (phase not in READY[until])


@pytest.mark.parametrize("until", Until)
def test_a_dependency_that_is_sent_in_the_same_plan(until: Until) -> None:
    first = job(name="first")
    second = job(name="second", after=(Dependency(first.identity, until),))
    change = plan_of([first, second]).changes[1]
    assert change.action is Action.CREATE
    assert ("waits until dependency 'first'" in change.reason) is (until is not Until.SUBMITTED)


@pytest.mark.parametrize(
    ("first", "live", "failures", "selected", "words"),
    [
        (job(name="first"), [("ACTIVE", "className")], False, True, "is blocked"),
        (job(name="first", on_missing=OnMissing.KEEP), [], False, True, "does not exist"),
        (job(name="first"), [], False, False, "is not deployed, and not selected by PATH or --select"),
        (job(name="first"), [], True, True, "failed to plan"),
        (job(name="first"), [], True, False, "cannot be read"),
        (job(name="first", rerun=FUTURE), [("SUCCEEDED", "")], False, True, "failed to plan"),
    ],
)
def test_a_dependency_that_nothing_can_follow(
    first: Job, live: list[tuple[str, str]], words: str, *, failures: bool, selected: bool
) -> None:
    second = job("MrsJob", name="second", after=(Dependency(first.identity),))
    third = job("MrsJob", name="third", after=(Dependency(second.identity),))
    plan = plan_of(
        [first, second, third],
        *(run(first, Phase[phase], differs=differs) for phase, differs in live),
        failures={first.identity: "no listing"} if failures else {},
        selected=[first, second, third] if selected else [second, third],
    )
    reasons = {change.job.name: change.reason for change in plan.changes if change.action is Action.BLOCKED}
    assert reasons["second"] == f"dependency 'first' {words}"
    assert reasons["third"] == "dependency 'second' is blocked"


def test_a_failed_dependency_that_is_sent_again_is_no_failure() -> None:
    first = job(name="first", on_failure=OnFailure.RESUBMIT)
    second = job(name="second", after=(Dependency(first.identity),))
    actions = [change.action for change in plan_of([first, second], run(first, Phase.FAILED)).changes]
    assert actions == [Action.RESUBMIT, Action.CREATE]


def test_a_dependency_neither_triggers_nor_holds_up_what_is_unchanged() -> None:
    first = job(name="first")
    second = job(name="second", after=(Dependency(first.identity, Until.SUCCEEDED),))
    plan = plan_of([first, second], run(second, Phase.SUCCEEDED))
    assert [change.action for change in plan.changes] == [Action.CREATE, Action.UNCHANGED]


def test_a_dependency_that_is_not_selected_counts_by_its_active_run() -> None:
    first = job(name="first")
    second = job(name="second", after=(Dependency(first.identity, Until.RUNNING),))
    old = run(first, Phase.ACTIVE, id="old")
    new = run(first, Phase.FAILED, id="new", submitted=SUBMITTED + 1)
    assert plan_of([first, second], old, new, selected=[second]).changes[0].action is Action.CREATE


# --- the plan as a whole ----------------------------------------------------------------------------------


def test_a_listing_that_failed_concerns_its_jobs_only() -> None:
    lost, fine = job(name="lost"), job("MrsJob", name="fine")
    plan = plan_of([lost, fine], failures={lost.identity: "HTTP 500"})
    assert [(note.identity, note.message) for note in plan.errors] == [(lost.identity, "HTTP 500")]
    assert [change.job for change in plan.changes] == [fine]


def test_the_summary_counts_every_action() -> None:
    jobs = [job(name=name) for name in ("new", "changed", "same", "busy")]
    runs = [
        run(jobs[1], Phase.SUCCEEDED, differs="className"),
        run(jobs[2], Phase.SUCCEEDED),
        run(jobs[3], Phase.ACTIVE, differs="className"),
    ]
    plan = plan_of(jobs, *runs)
    assert set(plan.summary) == set(Action)
    counted = {action: count for action, count in plan.summary.items() if count}
    assert counted == {"create": 1, "resubmit": 1, "unchanged": 1, "blocked": 1}
    assert [change.job.name for change in plan.pending] == ["new", "changed", "busy"]


def digest(*jobs: Job, live: tuple[LiveJob, ...] = (), **place: str) -> str:
    chosen = {each.identity for each in jobs}
    return make_plan("test", {**PLACE, **place}, jobs, Live(live, now=NOW), chosen).digest


def test_the_digest_knows_no_order_and_no_files() -> None:
    first, second = job(name="one"), job("MrsJob", name="two")
    moved = replace(first, source=Source("elsewhere.yaml", 7), labels={"a": "b"})
    turned = replace(first, spec={field: first.spec[field] for field in reversed(list(first.spec))})
    assert digest(first, second) == digest(second, first) == digest(moved, second) == digest(turned, second)
    assert len(digest(first)) == 64


def test_the_digest_changes_with_what_is_done_where() -> None:
    batch = job()
    ended = run(batch, Phase.SUCCEEDED, differs="className")
    digests = [
        digest(),
        digest(batch),
        digest(job(name="beta")),
        digest(job(spec={"queue": "other"})),
        digest(job(spec={"args": ["a", "b"]})),
        digest(job(spec={"args": ["b", "a"]})),
        digest(batch, project="other"),
        digest(batch, live=(ended,)),
        digest(batch, live=(replace(ended, id="run-2"),)),
        digest(batch, live=(replace(ended, phase=Phase.ACTIVE),)),
    ]
    assert len(set(digests)) == len(digests)


def test_the_digest_changes_with_how_it_is_done() -> None:
    """Who has reviewed a draft has not agreed to a run, nor to lose a savepoint or to wait for nobody."""
    drafted, started = job("FlinkJar", state=State.STOPPED), job("FlinkJar")
    ended = run(drafted, Phase.STOPPED, differs="parallel_number", savepoint="obs://b/s")
    kept, lost = (job("FlinkJar", state=State.ABSENT, savepoint=keeps) for keeps in (True, False))
    active = (run(kept, Phase.ACTIVE),)
    batch = job(name="one")
    waits = [replace(job(), depends_on=(Dependency(batch.identity, until),)) for until in Until]
    for pair in (
        [digest(drafted), digest(started)],
        [digest(drafted, live=(ended,)), digest(started, live=(ended,))],
        [digest(kept, live=active), digest(lost, live=active)],
        [digest(batch, job()), *(digest(batch, waiting) for waiting in waits)],
    ):
        assert len(set(pair)) == len(pair)


def test_what_is_unchanged_is_not_in_the_digest() -> None:
    batch = job()
    assert digest(batch, live=(run(batch, Phase.SUCCEEDED),)) == digest()


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("SparkBatch", "conf", {"spark.hadoop.fs.obs.secret.key": "{}"}),
        ("MrsJob", "properties", {"fs.obs.access.key": "{}"}),
        ("MrsJob", "arguments", ["--password={}"]),
        ("MrsJob", "arguments", ["--password", "{}"]),
        ("FlinkJar", "entrypoint_args", "--in obs://AK:{}@host/path"),
    ],
)
def test_secrets_do_not_enter_the_digest(kind: str, field: str, value: Any) -> None:
    def filled(item: Any, secret: str) -> Any:
        if isinstance(item, dict):
            return {key: filled(inner, secret) for key, inner in item.items()}
        return [filled(inner, secret) for inner in item] if isinstance(item, list) else item.format(secret)

    first, second = (
        digest(job(kind, spec={field: filled(value, secret)})) for secret in ("hunter2", "swordfish")
    )
    assert first == second != digest(job(kind))


def test_a_live_id_can_be_any_text() -> None:
    batch = job()
    assert digest(batch, live=(run(batch, Phase.SUCCEEDED, differs="className", id="\ud800"),))
