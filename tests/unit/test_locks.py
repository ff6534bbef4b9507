"""What an apply waits for, and what it asks, under the shared lock."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta

import pytest

from deployer.apply.history import History, Intent, Takeover
from deployer.cli.approval import confirmed
from deployer.cli.locks import doubtful_seconds
from deployer.errors import UsageError
from deployer.model import Identity
from deployer.state.takeover import UNLOCK

RUN, DELAY, LEASE = "0f9c2c487658", 10.0, 180.0


def history(age: float, taken_over: float | None, by: str) -> History:
    """Return a request without outcome, `age` seconds ago, of a run that was taken over, if at all, later."""
    now = datetime.now(UTC)
    identity = Identity("SparkBatch", "q", "alpha")
    time = now - timedelta(seconds=age)
    intent = Intent(
        *(RUN, -1, time, "prod", "pid", "", "ann", "create", "create", identity, "a.yaml:3", "why"),
        is_planned=True,
    )
    takeover = {} if taken_over is None else {RUN: Takeover(by, now - timedelta(seconds=taken_over))}
    return History((intent,), taken_over=takeover)


@pytest.mark.parametrize(
    ("age", "taken_over", "by", "seconds"),
    [
        (5, None, "", DELAY),
        (-5, None, "", DELAY),
        (800, None, "", DELAY),
        (1200, None, "", 0),
        (-1200, None, "", 0),
        (1200, 5, "ba9876543210", DELAY + 50),
        (1200, 5, UNLOCK, DELAY),
        (86400, 86000, "ba9876543210", 0),
    ],
)
def test_what_may_have_been_sent_just_before_is_waited_for(
    age: float, taken_over: float | None, by: str, seconds: float
) -> None:
    """A run may have sent a planned request long after the plan, until it was taken over."""
    known = history(age, taken_over, by)
    assert doubtful_seconds(known, "prod", DELAY, LEASE) == seconds
    assert doubtful_seconds(known, "test", DELAY, LEASE) == 0


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "answer"), [("y", True), ("n", False), ("", False)])
def test_a_question_about_a_hostile_lock_does_not_steer_the_terminal(
    typed: str, answer: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    assert confirmed("Remove the lock of \x1b[2J\r\u202eann?", yes=False) is answer
    shown = capsys.readouterr().out
    assert "Remove the lock of" in shown
    assert not {"\x1b", "\r", "\u202e"} & {*shown}


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="use --yes"):
        confirmed("Remove it?", yes=False)
    assert confirmed("Remove it?", yes=True)
