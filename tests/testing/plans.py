"""Jobs, live jobs that match them, and plans of both."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deployer.kinds import KINDS
from deployer.model import (
    Change,
    Dependency,
    Identity,
    Job,
    Lifecycle,
    Live,
    LiveJob,
    Phase,
    Plan,
    Source,
    Spec,
    State,
)
from deployer.planning.plan import make_plan
from testing.workspace import SPECS

NOW = datetime(2024, 7, 3, 12, 0, tzinfo=UTC)


BEFORE = datetime(2024, 7, 3, 10, 0, tzinfo=UTC)


SUBMITTED = int(datetime(2024, 7, 3, 11, 0, tzinfo=UTC).timestamp() * 1000)


AFTER = datetime(2024, 7, 3, 11, 30, tzinfo=UTC)


FUTURE = datetime(2024, 7, 3, 12, 0, 1, tzinfo=UTC)


PLACE = {"target": "test", "project": "pid"}


RUN_ONCE = ["SparkBatch", "SparkSession", "MrsJob"]


# What a manifest has in these tests, for a live job to differ in: what it leaves out is no change.
GIVEN: dict[str, Spec] = {
    "SparkSession": {"sc_type": "B"},
    "FlinkJar": {"main_class": "com.example.Stream", "smn_topic": "alarms", "parallel_number": 3},
}


def job(
    kind: str = "SparkBatch",
    name: str = "alpha",
    spec: Spec | None = None,
    *,
    after: tuple[Dependency, ...] = (),
    **lifecycle: Any,
) -> Job:
    spec = {**SPECS[kind], **GIVEN.get(kind, {}), **(spec or {})}
    place = spec.get(KINDS[kind].place, "")
    lifecycle.setdefault("state", State.RUNNING if kind == "FlinkJar" else State.PRESENT)
    source = Source(f"{name}.yaml", 1)
    return Job(Identity(kind, place, name), source, spec, Lifecycle(**lifecycle), depends_on=after)


def run(of: Job, phase: Phase, *, differs: str = "", **more: Any) -> LiveJob:
    """A live job that is as `of` says, but for the field `differs`."""
    spec = dict(KINDS[of.kind].expect(of.spec))
    if differs:
        spec[differs] = ["x"] if isinstance(spec.get(differs), list) else "something else"
    live = LiveJob("run-1", of.identity, f"{phase}-word", phase, SUBMITTED, spec)
    return replace(live, **more)


def plan_of(jobs: list[Job], *runs: LiveJob, selected: list[Job] | None = None, **live: Any) -> Plan:
    chosen = {each.identity for each in (jobs if selected is None else selected)}
    return make_plan("test", PLACE, jobs, Live(tuple(runs), **{"now": NOW, **live}), chosen)


def decided(planned: Job, *runs: LiveJob) -> tuple[Change, tuple[str, ...]]:
    """The change of a single job, and the messages under attention."""
    plan = plan_of([planned], *runs)
    assert not plan.errors
    assert len(plan.changes) == 1
    return plan.changes[0], tuple(note.message for note in plan.warnings)
