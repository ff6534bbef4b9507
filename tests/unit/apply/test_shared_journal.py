"""The journal of a run in a shared state: what other machines know of it while it is underway, and afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.apply.history import History, Intent, Takeover, parse, submitted, unsettled
from deployer.apply.journal import SAVEPOINT, Journal
from deployer.apply.unsettled import FOUND, NOT_FOUND, explained, findings, found_line, unlisted
from deployer.errors import DeployerError
from deployer.model import Action, Change, Identity, Job, Live, LiveJob, Phase, Plan, Result, Source, Step
from testing.client import Time

AT = datetime(2024, 7, 3, 9, 46, 40, tzinfo=UTC)


def live_job(identifier: str = "b-1", name: str = "alpha") -> LiveJob:
    return LiveJob(identifier, Identity("SparkBatch", "q", name), "running", Phase.ACTIVE, 0, None)


def change(name: str = "alpha", *steps: Step, live: LiveJob | None = None) -> Change:
    job = Job(Identity("SparkBatch", "q", name), Source("a.yaml", 3), {"file": "a.jar", "key": "value"})
    action = Action.CREATE if steps else Action.UNCHANGED
    return Change(action, job, "not deployed", steps=steps, live=live)


def create(name: str = "alpha") -> Change:
    return change(name, Step.CREATE)


def opened(folder: Path) -> Journal:
    return Journal.open(folder, "prod", "pid", environment={}, clock=Time().clock, is_shared=True)


def calls(history: History) -> list[tuple[str, str, str]]:
    return [(intent.identity.name, intent.call, intent.result) for intent in history.intents]


def events(content: bytes) -> list[str]:
    return [json.loads(line)["event"] for line in content.splitlines()]


def test_all_steps_of_the_plan_are_in_doubt_until_the_run_ends(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        restart = change("beta", Step.STOP, Step.START, live=live_job("7", "beta"))
        assert log.plan([create(), restart])
        underway = parse([log.content()])
        assert calls(underway) == [("alpha", "create", ""), ("beta", "stop", ""), ("beta", "start", "")]
        assert all(intent.is_planned for intent in underway.intents)
        assert [intent.id for intent in underway.intents] == ["", "7", "7"]
        assert len(unsettled(underway, "prod")) == 3
        assert unsettled(underway, "test") == ()

        log.intent(create(), Step.CREATE).record_outcome(Result.DONE, id="b-1")
        assert calls(parse([log.content()])) == [
            ("beta", "stop", ""),
            ("beta", "start", ""),
            ("alpha", "create", "done"),
        ]
        log.end()
        assert calls(parse([log.content()])) == [("alpha", "create", "done")]
        assert events(log.content()) == ["intent", "outcome", "end"]


def test_the_steps_of_a_job_are_in_their_order(tmp_path: Path) -> None:
    """A run that died was to start a job after it stopped it; its machine has one copy, another has a part of it."""
    time = Time()
    with Journal.open(tmp_path, "prod", "pid", environment={}, clock=time.clock, is_shared=True) as log:
        log.plan([change("beta", Step.STOP, Step.UPDATE, Step.START, live=live_job("7", "beta")), create()])
        time.now += 1
        one = change("beta", Step.STOP, Step.UPDATE, Step.START, live=live_job("7", "beta"))
        log.intent(one, Step.STOP, id="7").record_outcome(Result.DONE, id="7")
        part = log.content()
        time.now += 1
        log.intent(one, Step.UPDATE, id="7").record_outcome(Result.DONE, id="7")
        for copies in ([log.content()], [part, log.content()], [log.content(), part]):
            assert calls(parse(copies)) == [
                ("alpha", "create", ""),
                ("beta", "stop", "done"),
                ("beta", "update", "done"),
                ("beta", "start", ""),
            ]


def test_a_second_plan_adds_only_what_is_new(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        assert log.plan([create("alpha"), create("beta")])
        assert not log.plan([create("beta")])
        log.intent(create("alpha"), Step.CREATE)
        assert log.plan([create("gamma"), create("alpha")])
        numbers = [json.loads(line)["number"] for line in log.content().splitlines()]
    assert numbers == [-2, -3, 1]


def test_a_run_that_sent_nothing_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.plan([create()])
        log.end()
        assert log.content() == b""


def test_no_spec_is_in_it(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.plan([create()])
        log.intent(create(), Step.CREATE)
        assert b"a.jar" not in log.content()
        assert b"value" not in log.content()


def test_only_a_create_or_start_is_in_doubt(tmp_path: Path) -> None:
    """The other requests can be sent again."""
    with opened(tmp_path) as log:
        log.intent(change("alpha", Step.CANCEL), Step.CANCEL)
        log.intent(change("alpha", Step.UPDATE), Step.UPDATE).record_outcome(Result.UNKNOWN)
        doubts = [log.in_doubt]
        entry = log.intent(create(), Step.CREATE)
        doubts.append(log.in_doubt)
        entry.record_outcome(Result.FAILED)
        doubts.append(log.in_doubt)
        log.intent(create(), Step.START).record_outcome(Result.UNKNOWN)
        doubts.append(log.in_doubt)
    assert doubts == [False, True, False, True]


def test_what_a_later_run_found_is_the_outcome(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.plan([create("alpha"), create("beta")])
        log.intent(create("gamma"), Step.CREATE)
        content = log.content()
    dead = parse([content])
    plan = Plan("prod", (change("alpha", live=live_job()), create("beta"), create("gamma")))
    lines = [
        found_line(found.intent, found.result, found.id, found.message, "0f9c2c487658")
        for found in findings(plan, unsettled(dead, "prod"))
    ]
    settled = parse([content + b"".join(lines)])
    assert {
        intent.identity.name: (intent.result, intent.id, intent.message) for intent in settled.intents
    } == {
        "alpha": (FOUND, "b-1", "running"),
        "beta": (NOT_FOUND, "", "not listed"),
        "gamma": (NOT_FOUND, "", "not listed"),
    }
    assert unsettled(settled, "prod") == ()


def test_the_machine_of_a_run_that_died_learns_what_was_found(tmp_path: Path) -> None:
    """Its own journal has the request; only the plan of it was in the shared state."""
    with opened(tmp_path) as log:
        log.plan([create()])
        shared = log.content()
        log.intent(create(), Step.CREATE)
        local = log.content()
    (planned,) = parse([shared]).intents
    found = found_line(planned, FOUND, "b-1", "running", "0f9c2c487658")
    (known,) = parse([shared + found, local]).intents
    assert (known.is_planned, known.result, known.id, known.number) == (False, FOUND, "b-1", 1)


def test_nothing_is_found_out_about_a_job_that_the_plan_does_not_compare() -> None:
    intents = [intent("alpha"), intent("beta")]
    blocked = Change(Action.BLOCKED, create("beta").job, "several active runs")
    assert [*findings(Plan("prod", (blocked,)), intents)] == []


def intent(name: str = "alpha", call: str = "create", result: str = "") -> Intent:
    identity = Identity("SparkBatch", "q", name)
    return Intent(
        *("0f9c2c487658", 1, AT, "prod", "pid", "", "ann", "create", call, identity, "a.yaml:3", "why"),
        result=result,
    )


def test_a_rerun_that_was_never_sent_is_not_found(tmp_path: Path) -> None:
    """The run before it is there still."""
    rerun = change("alpha", Step.CREATE, live=live_job("b-1"))
    with opened(tmp_path) as log:
        log.plan([rerun])
        dead = parse([log.content()])
    (found,) = findings(Plan("prod", (change("alpha", live=live_job("b-1")),)), dead.intents)
    assert (found.result, found.id) == (NOT_FOUND, "")
    (found,) = findings(Plan("prod", (change("alpha", live=live_job("b-2")),)), dead.intents)
    assert (found.result, found.id) == (FOUND, "b-2")
    assert submitted(dead, "prod", AT - timedelta(hours=1)) == {}


def test_a_job_that_was_deleted_is_not_missed(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.intent(create(), Step.CREATE).record_outcome(Result.DONE, id="b-1")
        assert submitted(parse([log.content()]), "prod", AT) == {"b-1": create().job.identity}
        log.intent(change("alpha", Step.DELETE), Step.DELETE, "b-1").record_outcome(Result.DONE, id="b-1")
        assert submitted(parse([log.content()]), "prod", AT) == {}


def test_a_stop_without_savepoint_is_published_at_once(tmp_path: Path) -> None:
    published = []
    with opened(tmp_path) as log:
        log.publish = lambda: published.append(log.content())
        log.intent(change("alpha", Step.STOP), Step.STOP)
        log.intent(change("alpha", Step.STOP), SAVEPOINT)
    assert [content.count(b'"call": "savepoint"') for content in published] == [1]


def test_a_request_that_could_not_be_recorded_is_not_published(tmp_path: Path) -> None:
    """It is not sent either."""
    log = opened(tmp_path)
    log.close()
    with pytest.raises(DeployerError, match="the request was not sent"):
        log.intent(create(), Step.CREATE)
    assert log.content() == b""


def test_a_request_that_may_be_the_second_one_says_so() -> None:
    plan = Plan(
        "prod", (create("alpha"), change("beta", Step.START, live=live_job("7", "beta")), create("gamma"))
    )
    earlier = [intent("alpha"), intent("beta", "start", Result.UNKNOWN), intent("gamma", "cancel")]
    told = explained(plan, earlier, AT + timedelta(seconds=190))
    assert [found.reason for found in told.changes] == [
        "not deployed; run 0f9c2c487658 may have submitted it at 2024-07-03 09:46:40 UTC, and did not record the "
        "outcome; it is not listed 190 s later",
        "not deployed; run 0f9c2c487658 may have started it at 2024-07-03 09:46:40 UTC, and the outcome is unknown; "
        "it is not running 190 s later",
        "not deployed",
    ]
    assert [replaced.job for replaced in told.changes] == [before.job for before in plan.changes]


def test_a_job_that_was_submitted_and_is_no_longer_listed_is_named(tmp_path: Path) -> None:
    """The service has forgotten it, or does not list it yet: it is submitted again, and the plan says so."""
    with opened(tmp_path) as log:
        log.intent(create(), Step.CREATE).record_outcome(Result.DONE, id="b-1")
        history = parse([log.content()])
        log.intent(change("alpha", Step.DELETE), Step.DELETE, "b-1").record_outcome(Result.DONE, id="b-1")
        deleted = parse([log.content()])
    plan = Plan("prod", (create("alpha"), create("beta")))
    reasons = [found.reason for found in unlisted(plan, Live(()), history).changes]
    words = f"run {log.run} submitted it as b-1 at 2024-07-03 09:46:40 UTC, which is not listed"
    assert reasons == [f"not deployed; {words}", "not deployed"]
    assert unlisted(plan, Live((live_job("b-1"),)), history) == plan
    assert unlisted(plan, Live(()), deleted) == plan
    assert unlisted(replace(plan, target="test"), Live(()), history) == replace(plan, target="test")


def test_a_run_that_was_taken_over_is_one_that_did_not_end(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.intent(create(), Step.CREATE)
        record = {"format": 1, "event": "taken-over", "run": log.run, "by": "0f9c2c487658"}
        line = json.dumps({**record, "time": AT.isoformat()}).encode() + b"\n"
        assert parse([log.content() + line]).taken_over == {log.run: Takeover("0f9c2c487658", AT)}
        log.end()
        assert not parse([log.content() + line]).taken_over


@given(st.permutations(["shared", "local"]), st.sampled_from([Result.DONE, Result.FAILED, FOUND, NOT_FOUND]))
def test_an_outcome_is_known_if_one_copy_has_it(order: list[str], result: str) -> None:
    """The run's own machine has a copy, too; a copy without the outcome does not hide that of the other."""
    record = {
        "format": 1,
        "event": "intent",
        "run": "r",
        "number": 1,
        "time": AT.isoformat(),
        "target": "prod",
        "project": "pid",
        "revision": "",
        "author": "ann",
        "action": "create",
        "call": "create",
        "id": "",
        "kind": "SparkBatch",
        "place": "q",
        "name": "alpha",
        "source": "a.yaml:3",
        "reason": "why",
    }
    begun = json.dumps(record).encode() + b"\n"
    outcome = {"format": 1, "event": "outcome", "run": "r", "number": 1, "time": AT.isoformat(), "id": "b-1"}
    unknown = {**outcome, "result": Result.UNKNOWN, "message": "", "request_id": ""}
    known = {**unknown, "result": result}
    copies = {
        "shared": begun + json.dumps(known).encode() + b"\n",
        "local": begun + json.dumps(unknown).encode() + b"\n",
    }
    history = parse([copies[name] for name in order])
    assert calls(history) == [("alpha", "create", result)]
    assert history.broken == 0


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_anything_can_be_in_a_shared_journal(first: bytes, second: bytes) -> None:
    assert parse([first, second]).intents == ()
