"""Outcomes as they are read after an apply: some of each result."""

from __future__ import annotations

from dataclasses import replace

from deployer.model import Action, Change, End, Outcome, Plan, Result
from deployer.report.outcomes import Outcomes
from testing.review_plans import mixed

_RESULTS = {
    Action.RESTART: (Result.UNKNOWN, "response lost; check with: deployer plan", ()),
    Action.RESUBMIT: (
        Result.FAILED,
        "submitted, but the job has failed (dead)",
        ("Traceback", "KeyError: 'day'"),
    ),
    Action.UPDATE: (Result.REFUSED, "changed since the plan was created; run plan again", ()),
}


def outcome(change: Change, number: int) -> Outcome:
    result, message, log = _RESULTS.get(change.action, (Result.DONE, "submitted", ()))
    return Outcome(change, result, message, f"run-{number}", log, begun=result is not Result.REFUSED)


def outcomes_of(plan: Plan, end: End = End.INCOMPLETE, *messages: str, past: str = "applied") -> Outcomes:
    """What became of all changes of a plan but the first one, which was not started."""
    ended = tuple(outcome(change, number) for number, change in enumerate(plan.steps[1:]))
    scope = plan.scope
    return Outcomes(
        "apply", past, scope.project if scope else "", plan.target, end, 7, plan, ended, tuple(messages)
    )


def mixed_outcomes() -> Outcomes:
    """Some of each result; one stream of two restarted."""
    found = outcomes_of(mixed())
    first, second = (at for at, one in enumerate(found.outcomes) if one.change.action is Action.RESTART)
    done = replace(found.outcomes[second], result=Result.DONE, message="restarted")
    assert first < second
    return replace(found, outcomes=(*found.outcomes[:second], done, *found.outcomes[second + 1 :]))
