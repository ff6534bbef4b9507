"""Jobs that have run already in another queue or under another name: the plan says so before they run again."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import fill
from testing.workspace import SPECS, Clock, Workspace, manifest

BATCH = SPECS["SparkBatch"]


def deployed(workspace: Workspace, clock: Clock, kind: str = "SparkBatch", *, passed: float = 10_000) -> None:
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))
    assert workspace.apply().code == 0
    clock.forward(passed)


def only_change(workspace: Workspace) -> tuple[Any, list[str]]:
    planned = workspace.plan()
    [change] = planned["changes"]
    assert change["action"] == "create"
    return change, [warning["message"] for warning in planned["warnings"]]


def test_a_run_in_another_queue_is_seen(workspace: Workspace, clock: Clock) -> None:
    deployed(workspace, clock)
    before = workspace.run("plan", "--format", "json", "--rerun", "name=alpha").json["changes"][0]["live"]
    moved = {**BATCH, "queue": "new", "args": ["more"]}
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", moved))
    change, warnings = only_change(workspace)
    words = f"ran already in q (id {before['id']}, success, 2024-07-03 09:46 UTC)"
    assert (change["impact"], words in change["reason"]) == ("reruns", True)
    advice = "if it is this job, set metadata.renamedFrom: {place: q}"
    assert warnings == [f"{words}; its data would be processed again; {advice}"]
    assert f"; {words}; will submit a run; impact: reruns" in workspace.run("plan").out
    assert f"{words}; will submit a run; impact: reruns" in workspace.run("plan", "--format", "markdown").out


@pytest.mark.parametrize("marks", [False, True])
def test_a_run_of_a_manifest_or_of_others_is_none_of_ours(
    workspace: Workspace, emulator: Emulator, clock: Clock, *, marks: bool
) -> None:
    if marks:
        deployed(workspace, clock)
        both = [manifest("SparkBatch", "alpha", {**BATCH, "queue": queue}) for queue in ("q", "new")]
        workspace.write("one.yaml", both)
    else:
        fill(emulator.url, "SparkBatch", ["alpha", "beta"])
        clock.forward(10_000)
        workspace.write("one.yaml", manifest("SparkBatch", "alpha", {**BATCH, "queue": "new"}))
    change, warnings = only_change(workspace)
    assert (change["impact"], warnings) == ("none", [])


@pytest.mark.parametrize(
    ("passed", "words"), [(10_000, "ran already as alpha"), (10, "runs already as alpha")]
)
@pytest.mark.parametrize("queue", ["q", "new"])
def test_a_batch_that_was_renamed_is_seen(
    workspace: Workspace, clock: Clock, passed: float, words: str, queue: str
) -> None:
    deployed(workspace, clock, passed=passed)
    unreviewed = workspace.plan()["digest"]
    workspace.write("one.yaml", manifest("SparkBatch", "beta", {**BATCH, "queue": queue}))
    change, warnings = only_change(workspace)
    assert (change["impact"], len(warnings)) == ("reruns", 1)
    where = "" if queue == "q" else " in q"
    assert f"possible rename: {words}{where} (id " in warnings[0]
    assert f"possible rename: {words}{where} (id " in change["reason"]
    assert unreviewed != workspace.plan()["digest"]


def test_another_content_is_another_job(workspace: Workspace, clock: Clock) -> None:
    deployed(workspace, clock)
    workspace.write("one.yaml", manifest("SparkBatch", "beta", {**BATCH, "args": ["more"]}))
    change, warnings = only_change(workspace)
    assert (change["impact"], warnings) == ("none", [])


def test_a_copy_under_a_second_name_is_another_job(workspace: Workspace, clock: Clock) -> None:
    deployed(workspace, clock)
    workspace.write("two.yaml", manifest("SparkBatch", "beta", BATCH))
    change, warnings = only_change(workspace)
    assert (change["impact"], warnings) == ("none", [])


@pytest.mark.parametrize("kind", ["MrsJob", "SparkSession"])
def test_without_ownership_tags_the_same_content_is_pointed_out(
    workspace: Workspace, clock: Clock, kind: str
) -> None:
    """It may be somebody else's, with the same data; a session shows too little of its content."""
    deployed(workspace, clock, kind)
    workspace.write("one.yaml", manifest(kind, "beta", SPECS[kind]))
    change, warnings = only_change(workspace)
    assert change["impact"] == ("reruns" if kind == "MrsJob" else "none")
    assert [warning.partition(" (id ")[0] for warning in warnings] == (
        ["possible rename: a run with the same content exists as alpha"] if kind == "MrsJob" else []
    )


@pytest.mark.parametrize(("state", "impact"), [("running", "reruns"), ("stopped", "none")])
def test_a_stream_that_was_renamed_would_run_twice(
    workspace: Workspace, clock: Clock, state: str, impact: str
) -> None:
    deployed(workspace, clock, "FlinkJar")
    spec = manifest("FlinkJar", "beta", SPECS["FlinkJar"], lifecycle={"state": state})
    workspace.write("one.yaml", spec)
    change, warnings = only_change(workspace)
    assert change["impact"] == impact
    assert ["possible rename: alpha (id 1, job_running) has the same" in words for words in warnings] == [
        True
    ]
