"""Writes: what is sent, how often the result is checked, and what the journal records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from deployer.apply.context import ApplyContext, ChangeContext
from deployer.apply.history import read
from deployer.apply.journal import Journal
from deployer.apply.writes import Evidence, OutcomeUnknown, Write, Written, send_write
from deployer.clock import StopSignal
from deployer.cloud.auth import LOCAL, AuthContext
from deployer.cloud.client import Client
from deployer.cloud.transport import Transport
from deployer.errors import ApiError, Interrupted, NotSent, RequestFailed, ResponseLost
from deployer.model import Action, Change, Identity, Job, LiveJob, Phase, Result, Source, Step
from deployer.project.target import Polling, Target
from deployer.secrets.store import Secrets

_T = TypeVar("_T")

ID = "7"  # of the job that is there; a create is answered with 9
JOB = Job(Identity("FlinkJar", "", "alpha"), Source("jobs/a.yaml", 3), {"entrypoint": "a.jar"})
LIVE = LiveJob(ID, JOB.identity, "job_running", Phase.ACTIVE, 0, {})

LOST, REFUSED, FAILED_INSIDE = (
    ResponseLost("reset"),
    RequestFailed("no", status=400),
    RequestFailed("oops", status=500, may_be_executed=True),
)
REFUSED_WITH_500 = RequestFailed("full", status=500)
UNREAD = ApiError("cannot be read", status=503)
YES, NO, AMBIGUOUS = Evidence(ID), Evidence(), Evidence(candidates=("8", "9"))

FOUND = " (response lost; confirmed by reading the job)"
LISTED = " (response lost; found in the job list)"
TOOK = " (confirmed by reading the job, although the service reported: oops)"
APPEARED = " (found in the job list, although the service reported: oops)"


@dataclass(frozen=True)
class Case:
    """A write, what comes of each request and each look, and what carrying it out must come to.

    Every response and every look must be asked for. `journal` has a result for each request.
    """

    name: str
    responses: Sequence[str | ApiError | Interrupted | None]
    confirm_delays: Sequence[Evidence | ApiError | Interrupted]
    expected: Written | type[Exception]
    journal: Sequence[tuple[Result, str]]
    step: Step = Step.UPDATE
    repeatable: bool = True
    message: str = ""
    may_lag: bool = False
    is_stopped: bool = False
    partial: str = ""


def unknown(doubt: str, error: str = "reset") -> str:
    command = "deployer plan --select kind=FlinkJar,name=alpha"
    return f"outcome unknown: {doubt} ({error}); check with: {command}"


DONE, UNKNOWN = (Result.DONE, ""), (Result.UNKNOWN, unknown("the job may have been updated"))
DONE_LOST = (Result.DONE, "response lost")
NOT_KNOWN, PART = unknown("the job may have been updated"), "partially updated"
NOT_KNOWN_OOPS = unknown("the job may have been updated", "oops")

CASES = [
    Case("answered", [None], [], Written(ID), [DONE], partial=PART),
    Case("a create is answered with an id", ["9"], [], Written("9"), [DONE], Step.CREATE),
    Case("a delete leaves no part", [None], [], Written(ID), [DONE], Step.DELETE),
    Case("lost, and found", [LOST], [YES], Written(ID, FOUND, True), [DONE_LOST], partial=PART),
    Case(
        "a lost create is found",
        [LOST],
        [Evidence("9")],
        Written("9", LISTED, True),
        [DONE_LOST],
        Step.CREATE,
        repeatable=False,
    ),
    Case(
        "lost, and found late",
        [LOST],
        [NO, YES],
        Written(ID, FOUND, True),
        [DONE_LOST],
        may_lag=True,
        partial=PART,
    ),
    Case(
        "lost, and found after a look that failed",
        [LOST],
        [UNREAD, YES],
        Written(ID, FOUND, True),
        [DONE_LOST],
        may_lag=True,
        partial=PART,
    ),
    Case(
        "lost, not found, and must not be repeated",
        [LOST],
        [NO],
        OutcomeUnknown,
        [(Result.UNKNOWN, unknown("the job may have been started"))],
        Step.START,
        repeatable=False,
        message=unknown("the job may have been started"),
    ),
    Case("lost, not found, and repeated", [LOST, None], [NO], Written(ID), [UNKNOWN, DONE], partial=PART),
    Case(
        "lost twice, and found then",
        [LOST, LOST],
        [NO, YES],
        Written(ID, FOUND, True),
        [UNKNOWN, DONE_LOST],
        partial=PART,
    ),
    Case(
        "lost twice, and not repeated again",
        [LOST, LOST],
        [NO, NO],
        OutcomeUnknown,
        [UNKNOWN, UNKNOWN],
        message=NOT_KNOWN,
    ),
    Case(
        "lost, and the repeated one refused as the first was carried out",
        [LOST, REFUSED],
        [NO, YES],
        Written(ID),
        [UNKNOWN, (Result.FAILED, "no")],
        partial=PART,
    ),
    Case(
        "lost, and the repeated one refused",
        [LOST, REFUSED],
        [NO, NO],
        RequestFailed,
        [UNKNOWN, (Result.FAILED, "no")],
        message="no",
    ),
    Case(
        "lost, and the repeated one not sent: the first may have been carried out",
        [LOST, NotSent("not sent: the lock was taken over")],
        [NO],
        OutcomeUnknown,
        [UNKNOWN, (Result.FAILED, "not sent: the lock was taken over")],
        message=NOT_KNOWN,
    ),
    Case(
        "lost, and interrupted before the repeated one",
        [LOST, Interrupted("interrupted")],
        [NO],
        OutcomeUnknown,
        [UNKNOWN, (Result.FAILED, "interrupted")],
        message=NOT_KNOWN,
    ),
    Case(
        "lost after an interrupt", [LOST], [], OutcomeUnknown, [UNKNOWN], message=NOT_KNOWN, is_stopped=True
    ),
    Case(
        "lost, and interrupted while it is looked for",
        [LOST, None],
        [Interrupted("interrupted")],
        Written(ID),
        [UNKNOWN, DONE],
        may_lag=True,
        partial=PART,
    ),
    Case(
        "a lost create that may be one of two is not looked for any longer",
        [LOST],
        [AMBIGUOUS],
        OutcomeUnknown,
        [(Result.UNKNOWN, unknown("found 8, 9"))],
        Step.CREATE,
        repeatable=False,
        message=unknown("found 8, 9"),
        may_lag=True,
    ),
    Case(
        "what was last seen of a lost create is said",
        [LOST],
        [NO, UNREAD],
        OutcomeUnknown,
        [(Result.UNKNOWN, unknown("found cannot be read"))],
        Step.CREATE,
        repeatable=False,
        message=unknown("found cannot be read"),
        may_lag=True,
    ),
    Case("refused", [REFUSED], [], RequestFailed, [(Result.FAILED, "no")], message="no"),
    Case(
        "not sent",
        [NotSent("no route")],
        [],
        NotSent,
        [(Result.FAILED, "no route")],
        message="no route",
    ),
    Case(
        "failed inside, and done",
        [FAILED_INSIDE],
        [YES],
        Written(ID, TOOK, in_spite_of_error=True),
        [DONE],
        partial=PART,
    ),
    Case(
        "a create failed inside, and is listed",
        [FAILED_INSIDE],
        [Evidence("9")],
        Written("9", APPEARED, in_spite_of_error=True),
        [DONE],
        Step.CREATE,
    ),
    Case(
        "a create failed inside, and is listed late",
        [FAILED_INSIDE],
        [NO, Evidence("9")],
        Written("9", APPEARED, in_spite_of_error=True),
        [DONE],
        Step.CREATE,
        may_lag=True,
    ),
    Case(
        "failed inside, and no look shows it: it is not repeated, as there was a response",
        [FAILED_INSIDE],
        [NO, NO],
        OutcomeUnknown,
        [(Result.UNKNOWN, NOT_KNOWN_OOPS)],
        message=NOT_KNOWN_OOPS,
        may_lag=True,
    ),
    Case(
        "failed inside, and the look fails",
        [FAILED_INSIDE],
        [UNREAD],
        OutcomeUnknown,
        [(Result.UNKNOWN, unknown("found cannot be read", "oops"))],
        message=unknown("found cannot be read", "oops"),
    ),
    Case(
        "a create failed inside, and it may be one of two",
        [FAILED_INSIDE],
        [AMBIGUOUS],
        OutcomeUnknown,
        [(Result.UNKNOWN, unknown("found 8, 9", "oops"))],
        Step.CREATE,
        message=unknown("found 8, 9", "oops"),
        may_lag=True,
    ),
    Case(
        "certainly refused with HTTP 500",
        [REFUSED_WITH_500],
        [],
        RequestFailed,
        [(Result.FAILED, "full")],
        Step.CREATE,
        message="full",
        may_lag=True,
    ),
    Case(
        "a cancel failed inside, and has ended",
        [FAILED_INSIDE],
        [YES],
        Written(ID, TOOK, in_spite_of_error=True),
        [DONE],
        Step.CANCEL,
        partial="cancel requested",
    ),
    Case(
        "failed inside after an interrupt",
        [FAILED_INSIDE],
        [],
        OutcomeUnknown,
        [(Result.UNKNOWN, NOT_KNOWN_OOPS)],
        message=NOT_KNOWN_OOPS,
        is_stopped=True,
    ),
    Case(
        "a create that failed inside after an interrupt is looked for",
        [FAILED_INSIDE],
        [Evidence("9")],
        Written("9", APPEARED, in_spite_of_error=True),
        [DONE],
        Step.CREATE,
        is_stopped=True,
    ),
]


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that is not asked for anything: the tests send and look themselves."""
    with Transport() as transport:
        yield Client(Target("test"), AuthContext(LOCAL, "pid"), transport)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_write(case: Case, client: Client, tmp_path: Path) -> None:
    responses, looks = iter(case.responses), iter(case.confirm_delays)

    def send() -> str | None:
        assert read(tmp_path).intents[-1].result == "", "the intent is on the disk before"
        return given(next(responses))

    def doubt(evidence: Evidence) -> str:
        found = evidence.error or ", ".join(evidence.candidates)
        return f"found {found}" if found else ""

    write = Write(case.step, send, lambda: given(next(looks)), repeatable=case.repeatable, doubt=doubt)
    stop_signal = StopSignal()
    if case.is_stopped:
        stop_signal.set()
    change = Change(Action.UPDATE, JOB, "it differs", live=LIVE, steps=(case.step,))
    # Two looks are worth taking where a listing may lag, else one.
    polling = Polling(consistency_delay=0.001 if case.may_lag else 0)
    with Journal.open(tmp_path, "prod", "pid", environment={"GITHUB_RUN_ID": "1"}) as journal:
        shared = ApplyContext(client, journal, Secrets({}, {}, tmp_path), None, polling, stop_signal)
        context = ChangeContext.begin(shared, change, [ID])
        if isinstance(case.expected, Written):
            assert send_write(context, write) == case.expected
        else:
            with pytest.raises(case.expected) as raised:
                send_write(context, write)
            assert (type(raised.value), str(raised.value)) == (case.expected, case.message)
    assert (list(responses), list(looks)) == ([], []), "not all of them were asked for"
    assert [(intent.result, intent.message) for intent in read(tmp_path).intents] == case.journal
    assert {intent.call for intent in read(tmp_path).intents} == {case.step}
    if isinstance(case.expected, Written):
        assert read(tmp_path).intents[-1].id == (
            case.expected.id if case.journal[-1][0] == Result.DONE else ID
        )
    assert context.progress.partial == case.partial


def given(answer: _T | Exception) -> _T:
    """Return what a request or a look comes to, or raise it."""
    if isinstance(answer, Exception):
        raise answer
    return answer
