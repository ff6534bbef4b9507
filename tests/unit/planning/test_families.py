"""The runs that are planned of jobs with parameters, and the runs that they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from deployer.model import (
    Dependency,
    Identity,
    Job,
    Lifecycle,
    Parameter,
    ParameterType,
    Source,
    State,
    Until,
)
from deployer.parameters.references import reference
from deployer.planning.families import Planned, for_apply, with_chosen

DATE = Parameter("date", ParameterType.DATE)
REGION = Parameter("region", ParameterType.VALUES, ("north", "south"))


def job(name: str, *parameters: Parameter, needs: Sequence[Dependency] = (), **more: Any) -> Job:
    spec = {"args": [reference(parameter.name) for parameter in parameters]}
    return Job(
        Identity("SparkBatch", "q", name),
        Source("a.yaml", 1),
        spec,
        depends_on=tuple(needs),
        parameters={parameter.name: parameter for parameter in parameters},
        **more,
    )


def on(other: Job, **values: str) -> Dependency:
    return Dependency(other.identity, Until.SUCCEEDED, values)


def labels(planned: Planned) -> list[str]:
    return [
        one.identity.label + ("" if one.identity in planned.selected else " (read)") for one in planned.jobs
    ]


def chosen(*pairs: tuple[Job, Sequence[Mapping[str, str]]]) -> Mapping[Identity, Sequence[Mapping[str, str]]]:
    return {one.identity: values for one, values in pairs}


LOAD = job("load", DATE)
DAYS = [{"date": "2024-07-01"}, {"date": "2024-07-02"}]


def test_parameters_are_bound_by_their_names() -> None:
    daily = job("daily", DATE, REGION, needs=[on(LOAD)])
    values = [{**day, "region": "north"} for day in DAYS]
    planned = with_chosen([LOAD, daily], {daily.identity}, chosen((daily, values)))
    assert labels(planned) == [
        "load date=2024-07-01 (read)",
        "load date=2024-07-02 (read)",
        "daily date=2024-07-01,region=north",
        "daily date=2024-07-02,region=north",
    ]
    runs = planned.jobs[2:]
    assert [[need.identity.run for need in run.depends_on] for run in runs] == [
        ["date=2024-07-01"],
        ["date=2024-07-02"],
    ]
    assert runs[0].spec == {"args": ["2024-07-01", "north"]}


def test_all_values_of_a_list_are_needed_and_others_are_named() -> None:
    load = job("load", DATE, REGION)
    report = job("report", DATE, needs=[on(load)])
    planned = with_chosen([load, report], {report.identity}, chosen((report, DAYS[:1])))
    assert [need.identity.run for need in planned.jobs[-1].depends_on] == [
        "date=2024-07-01,region=north",
        "date=2024-07-01,region=south",
    ]
    bound = job("report", DATE, needs=[on(load, region="south")])
    planned = with_chosen([load, bound], {bound.identity}, chosen((bound, DAYS[:1])))
    assert [need.identity.run for need in planned.jobs[-1].depends_on] == ["date=2024-07-01,region=south"]


def test_a_chain_is_planned_once_for_each_value() -> None:
    daily = job("daily", DATE, needs=[on(LOAD)])
    both = {LOAD.identity, daily.identity}
    planned = with_chosen([LOAD, daily], both, chosen((LOAD, DAYS), (daily, DAYS)))
    assert labels(planned) == [
        "load date=2024-07-01",
        "load date=2024-07-02",
        "daily date=2024-07-01",
        "daily date=2024-07-02",
    ]


def test_the_newest_run_counts_for_a_job_without_parameters() -> None:
    report = job("report", needs=[on(LOAD)])
    planned = for_apply([LOAD, report], {report.identity})
    assert labels(planned) == ["load (read)", "report"]
    assert planned.jobs[1].depends_on == report.depends_on


def test_apply_plans_the_defaults() -> None:
    day = Parameter("date", ParameterType.DATE, default="2024-07-04")
    load, report = job("load", day), job("report", needs=[on(job("load", day))])
    planned = for_apply([load, report], {load.identity, report.identity})
    assert labels(planned) == ["load date=2024-07-04", "report"]
    # What apply submits is what its dependents wait for.
    assert [need.identity.run for need in planned.jobs[1].depends_on] == ["date=2024-07-04"]


@pytest.mark.parametrize("is_absent", [False, True])
def test_apply_plans_a_family_as_a_whole(is_absent: bool) -> None:
    default = "2024-07-04" if is_absent else None
    lifecycle = Lifecycle(state=State.ABSENT) if is_absent else Lifecycle()
    load = job("load", Parameter("date", ParameterType.DATE, default=default), lifecycle=lifecycle)
    assert labels(for_apply([load], {load.identity})) == ["load"]


def test_former_names_are_those_of_each_run() -> None:
    former = Identity("SparkBatch", "q", "old")
    load = job("load", DATE, renamed_from=(former,))
    (run,) = with_chosen([load], {load.identity}, chosen((load, DAYS[:1]))).jobs
    assert run.renamed_from == (former._replace(run="date=2024-07-01"),)
