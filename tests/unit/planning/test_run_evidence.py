"""When it is believed that a run was never made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deployer.model import Identity, Job, Live, LiveJob, Parameter, ParameterType, Phase, Source
from deployer.parameters.runs import with_values
from deployer.planning.run_evidence import Recorded, evidence
from deployer.planning.run_keys import NOT_TOLD


def milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def member(parameter: Parameter, value: str) -> Job:
    identity = Identity("SparkBatch", "q", "daily")
    job = Job(identity, Source("a.yaml", 1), {"file": "a.py"}, parameters={parameter.name: parameter})
    return with_values(job, {parameter.name: value})


def other(submitted: str, run: str = "", finished: str = "", name: str = "another") -> LiveJob:
    identity = Identity("SparkBatch", "q", name, run)
    ended = milliseconds(finished or submitted)
    return LiveJob("b-1", identity, "success", Phase.SUCCEEDED, milliseconds(submitted), {}, finished=ended)


def doubt(job: Job, live: Live, recorded: Recorded | None = None) -> str:
    return evidence([job], live, recorded or Recorded())[job.identity].doubt


@pytest.mark.parametrize(
    ("type_", "value", "oldest", "is_believed"),
    [
        (ParameterType.DATE, "2024-07-04", "2024-07-03T09:59", True),
        # It is the fourth already in the first time zone.
        (ParameterType.DATE, "2024-07-04", "2024-07-03T10:01", False),
        (ParameterType.MONTH, "2024-07", "2024-06-30T09:00", True),
        (ParameterType.MONTH, "2024-07", "2024-07-01T00:00", False),
        (ParameterType.HOUR, "2024-07-04T20", "2024-07-04T05:59", True),
        (ParameterType.HOUR, "2024-07-04T20", "2024-07-04T07:00", False),
        (ParameterType.INTEGER, "7", "2000-01-01T00:00", False),
        (ParameterType.TEXT, "a", "2000-01-01T00:00", False),
        (ParameterType.DATE, "0001-01-01", "2024-01-01T00:00", False),
    ],
)
def test_a_list_that_goes_back_far_enough(
    type_: ParameterType, value: str, oldest: str, is_believed: bool
) -> None:
    job = member(Parameter("date", type_), value)
    assert (doubt(job, Live((other(oldest),))) == "") == is_believed
    assert (
        doubt(job, Live(()))
        == "the job list has no run that has ended, so nothing tells that it was never made"
    )


def test_an_active_run_does_not_prove_that_ended_ones_are_kept() -> None:
    job = member(Parameter("date", ParameterType.DATE), "2024-07-04")
    active = replace(other("2024-01-01T00:00"), phase=Phase.ACTIVE, finished=0)
    assert doubt(job, Live((active,))).startswith("the job list has no run that has ended")
    late = other("2024-01-01T00:00", finished="2024-07-20T00:00")
    assert doubt(job, Live((active, late))).startswith("the job list goes back to 2024-07-20 00:00 UTC only")
    assert doubt(job, Live((active, other("2024-01-01T00:00", finished="2024-01-02T00:00")))) == ""


def test_a_run_in_another_place_was_made_unless_it_is_of_another_job() -> None:
    job = member(Parameter("date", ParameterType.DATE), "2024-07-04")
    elsewhere = other("2024-07-05T00:00", job.identity.run, name="daily")
    identity = Identity("SparkBatch", "former", "daily", job.identity.run)
    moved = Live((replace(elsewhere, identity=identity), other("2024-01-01T00:00")))
    assert doubt(job, moved) == "run b-1 of it in former has succeeded (success)"
    assert evidence([job], moved, Recorded(), {identity.of_job})[job.identity].doubt == ""
    not_told = replace(elsewhere, identity=identity._replace(run=NOT_TOLD))
    found = evidence([job], Live((not_told, other("2024-01-01T00:00"))), Recorded())[job.identity]
    assert (found.not_told, found.doubt) == ((not_told,), "")


def test_a_journal_of_all_machines_that_covers_all_values() -> None:
    job = member(Parameter("date", ParameterType.DATE, earliest="2024-06-01"), "2024-07-04")
    whole = Recorded(since=datetime(2024, 5, 1, tzinfo=UTC))
    assert doubt(job, Live(()), whole) == ""
    assert doubt(job, Live(()), Recorded(since=datetime(2024, 6, 2, tzinfo=UTC)))
    open_end = member(Parameter("date", ParameterType.DATE), "2024-07-04")
    assert doubt(open_end, Live(()), whole)


def test_a_run_that_the_journal_has_was_made() -> None:
    job = member(Parameter("date", ParameterType.DATE), "2024-07-04")
    recorded = Recorded({job.identity: "run 1 submitted it as b-7"})
    live = Live((other("2024-01-01T00:00"),))
    assert doubt(job, live, recorded) == "run 1 submitted it as b-7"
    listed = Live((*live.jobs, other("2024-07-05T00:00", job.identity.run, name="daily")))
    assert doubt(job, listed, recorded) == ""


def test_a_run_that_is_not_told_may_be_one_that_begins_later_only() -> None:
    job = member(Parameter("date", ParameterType.DATE), "2024-07-04")
    before = other("2024-07-01T00:00", NOT_TOLD, "2024-07-02T00:00", name="daily")
    after = other("2024-07-01T00:00", NOT_TOLD, "2024-07-05T00:00", name="daily")
    assert evidence([job], Live((before,)), Recorded())[job.identity].not_told == ()
    assert evidence([job], Live((after,)), Recorded())[job.identity].not_told == (after,)
