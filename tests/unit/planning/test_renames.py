"""Plans of jobs with former names and places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.former import former_identities, under_identity
from deployer.kinds.ownership import Owner, extract_ownership, with_ownership
from deployer.model import (
    RUNNING_PHASES,
    Action,
    Cause,
    Identity,
    Job,
    Live,
    LiveJob,
    OnChange,
    OnFailure,
    OnMissing,
    Phase,
    Plan,
    State,
    Step,
)
from deployer.planning.ownership import OwnershipRules
from deployer.planning.plan import make_plan
from testing.plans import NOW, PLACE, SUBMITTED, job, run

OURS = OwnershipRules("tests")


def renamed(kind: str, former: str = "old", **lifecycle: Any) -> Job:
    one = job(kind, "new", **lifecycle)
    return replace(one, renamed_from=(one.identity._replace(name=former),))


def before(of: Job, phase: Phase, project: str = "tests", **more: Any) -> LiveJob:
    """A run of the job under its first former identity, with the metadata of a project."""
    one, kind = under_identity(of, of.renamed_from[0]), KINDS[of.kind]
    live = run(replace(one, renamed_from=()), phase, **more)
    if not project:
        return live
    marked = with_ownership(kind, replace(one, spec=live.spec or {}), Owner(project))
    return extract_ownership(kind, replace(live, spec=marked))


def planned(one: Job, *runs: LiveJob, ownership: OwnershipRules = OURS) -> Plan:
    return make_plan("test", PLACE, [one], Live(runs, now=NOW), {one.identity}, ownership=ownership)


@given(data=st.data())
def test_no_plan_creates_a_job_that_exists_under_a_former_name(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    is_stream = kind == "FlinkJar"
    states = [State.RUNNING, State.STOPPED, State.ABSENT] if is_stream else [State.PRESENT, State.ABSENT]
    one = renamed(
        kind,
        state=data.draw(st.sampled_from(states)),
        on_change=data.draw(st.sampled_from(OnChange)),
        on_failure=data.draw(st.sampled_from(OnFailure)),
        on_missing=data.draw(st.sampled_from(OnMissing)),
        savepoint=data.draw(st.booleans()),
        protect=data.draw(st.booleans()),
        adopt=data.draw(st.booleans()),
    )
    one = replace(one, rerun_requested=data.draw(st.booleans()))
    differs = data.draw(
        st.sampled_from(["", {"MrsJob": "job_type", "FlinkJar": "main_class"}.get(kind, "sc_type")])
    )
    phases = st.sampled_from(Phase)
    project = data.draw(st.sampled_from(["tests", "others", ""]))
    runs = [
        before(
            one, data.draw(phases), project, differs=differs, savepoint=data.draw(st.sampled_from(["", "s"]))
        )
    ]
    if data.draw(st.booleans()):
        submitted = SUBMITTED + data.draw(st.sampled_from([-1000, 1000]))
        runs.append(run(one, data.draw(phases), id="run-2", submitted=submitted))
    [change] = planned(one, *runs).changes
    assert change.action is not Action.CREATE
    assert planned(one, *runs).orphans == ()
    if is_stream:
        assert Step.CREATE not in change.steps
    if change.action in {Action.CANCEL, Action.REPLACE}:
        ended = [run for run in (change.live, *change.other_runs) if run]
        former = [run for run in ended if run.identity in one.renamed_from and run.phase in RUNNING_PHASES]
        assert not former or (kind == "SparkBatch" and project == "tests")


@given(
    names=st.lists(st.sampled_from("abc"), max_size=3),
    places=st.lists(st.sampled_from("pqr"), max_size=3),
    both=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("pqr")), max_size=3),
)
def test_former_identities(names: list[str], places: list[str], both: list[tuple[str, str]]) -> None:
    now = Identity("SparkBatch", "p", "a")
    entries = [{"name": name} for name in names] + [{"place": place} for place in places]
    found = former_identities(now, [*entries, *({"name": name, "place": place} for name, place in both)])
    combined = {(name, place) for name in ["a", *names] for place in ["p", *places]}
    assert {(one.name, one.place) for one in found} == (combined | {*both}) - {("a", "p")}
    assert now not in found
    assert len({*found}) == len(found)


@pytest.mark.parametrize(
    ("differs", "phase", "action", "cause", "fields"),
    [
        ("", Phase.DRAFT, Action.UPDATE, Cause.MANIFEST, ["/name"]),
        ("", Phase.ACTIVE, Action.RESTART, Cause.MANIFEST, ["/name"]),
        # It can change while the job runs, but its name cannot.
        ("smn_topic", Phase.ACTIVE, Action.RESTART, Cause.MANIFEST, ["/name", "/smn_topic"]),
    ],
)
def test_a_stream(differs: str, phase: Phase, action: Action, cause: Cause, fields: list[str]) -> None:
    one = renamed("FlinkJar")
    live = before(one, phase)
    if differs:
        one = replace(one, spec={**one.spec, differs: "other"})
    [change] = planned(one, live).changes
    assert (change.action, [field.path for field in change.fields]) == (action, fields)
    assert change.reason.startswith("renamed from 'old'; ")
    if not differs:
        assert change.cause is cause


def test_the_digest_knows_the_former_name() -> None:
    """An update of the definition that is approved is no rename."""
    one = renamed("SparkBatch", on_failure=OnFailure.RESUBMIT)
    under_old = before(one, Phase.FAILED)
    other = replace(under_old, identity=one.identity)
    assert planned(one, under_old).changes[0].action is Action.RESUBMIT
    assert planned(one, under_old).digest != planned(one, other).digest


def test_an_unnamed_session_in_a_former_queue_may_be_the_job() -> None:
    one = job("SparkSession", "new")
    one = replace(one, renamed_from=(one.identity._replace(place="old"),))
    unnamed = run(under_identity(one, one.renamed_from[0]), Phase.ACTIVE)
    unnamed = replace(unnamed, identity=unnamed.identity._replace(name=""))
    [change] = planned(one, unnamed).changes
    assert (change.action, "in queue 'old' may be this job" in change.reason) == (Action.BLOCKED, True)
