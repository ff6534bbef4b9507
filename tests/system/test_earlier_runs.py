"""Jobs that have run already in another queue or under another name: the plan says so before they run again."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import fill, listed
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
    comment = workspace.run("plan", "--format", "markdown").out
    assert f"{words}; will submit a run; impact: reruns" in comment.replace("\n#   ", " ")


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


@pytest.mark.parametrize(("passed", "verb"), [(10_000, "ran"), (10, "runs")])
@pytest.mark.parametrize("queue", ["q", "new"])
def test_a_batch_that_was_renamed_is_seen(
    workspace: Workspace, clock: Clock, passed: float, verb: str, queue: str
) -> None:
    """While it is active, only `onChange: submit` allows a second run of the same content."""
    deployed(workspace, clock, passed=passed)
    words, unsafe = f"{verb} already as alpha", {"onChange": "submit"} if passed == 10 else {}
    unreviewed = workspace.plan()["digest"]
    spec = {**BATCH, "queue": queue}
    workspace.write("one.yaml", manifest("SparkBatch", "beta", spec, lifecycle=unsafe))
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


@pytest.mark.parametrize(
    ("kind", "place", "what"),
    [
        ("SparkBatch", "q", "content"),
        ("SparkBatch", "new", "content"),
        ("MrsJob", "c-1", "content"),
        ("FlinkJar", "", "definition"),
    ],
)
@pytest.mark.parametrize("marks", [True, False])
def test_no_job_is_created_beside_an_active_one_with_the_same_content(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str, place: str, what: str, *, marks: bool
) -> None:
    workspace.project["marks"] = marks
    workspace.write_project()
    deployed(workspace, clock, kind, passed=10)
    before = listed(emulator.url, kind)
    spec = {**SPECS[kind], **({"queue": place} if kind == "SparkBatch" else {})}
    workspace.write("one.yaml", manifest(kind, "beta", spec))
    for rerun in ((), ("--rerun", "name=beta")):
        planned = workspace.run("plan", "--format", "json", *rerun).json
        [change] = planned["changes"]
        assert (change["action"], planned["warnings"]) == ("blocked", []), change["reason"]
        assert f"this project deployed the same {what} as alpha (id " in change["reason"]
        former = "{name: alpha, place: q}" if place == "new" else "alpha"
        assert f"if it was renamed, set metadata.renamedFrom: {former}; otherwise end it" in change["reason"]
        assert workspace.apply(*rerun).code == 5
        assert len(listed(emulator.url, kind)) == len(before) == 1
    # What the words advise is enough.
    value = {"name": "alpha", "place": "q"} if place == "new" else "alpha"
    renamed = manifest(kind, "beta", spec)
    renamed["metadata"]["renamedFrom"] = value
    workspace.write("one.yaml", renamed)
    assert [change["action"] for change in workspace.plan()["changes"]] == (
        ["restart"] if kind == "FlinkJar" and marks else ["blocked"] if kind == "FlinkJar" else []
    )
    # A second manifest says that they are two jobs.
    workspace.write("one.yaml", [manifest(kind, "alpha", SPECS[kind]), manifest(kind, "beta", spec)])
    assert [change["action"] for change in workspace.plan()["changes"]] == ["create"]


def test_an_older_active_stream_counts_before_a_newer_one_that_ended(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    both = [manifest("FlinkJar", name, SPECS["FlinkJar"]) for name in ("alpha", "other")]
    workspace.write("one.yaml", both)
    assert workspace.apply().code == 0
    clock.forward(10)
    clock.tick = 0.5
    assert workspace.run("cancel", "--yes", "--select", "name=other").code == 0
    workspace.write("one.yaml", manifest("FlinkJar", "beta", SPECS["FlinkJar"]))
    [change] = workspace.plan()["changes"]
    assert (change["action"], "as alpha (id " in change["reason"]) == ("blocked", True)
    assert len(listed(emulator.url, "FlinkJar")) == 2


@pytest.mark.parametrize("kind", ["SparkBatch", "FlinkJar", "MrsJob"])
def test_an_active_job_of_others_blocks_nothing(workspace: Workspace, clock: Clock, kind: str) -> None:
    workspace.project["metadata"] = {"name": "others"}
    workspace.write_project()
    deployed(workspace, clock, kind, passed=10)
    workspace.project["metadata"] = {"name": "tests"}
    workspace.write_project()
    (workspace.folder / ".deployer" / "journal.jsonl").unlink()
    workspace.write("one.yaml", manifest(kind, "beta", SPECS[kind]))
    only_change(workspace)


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


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_stream_that_was_renamed_is_blocked_while_it_runs(
    workspace: Workspace, clock: Clock, state: str
) -> None:
    """Also as a draft, which another apply would start."""
    deployed(workspace, clock, "FlinkJar")
    spec = manifest("FlinkJar", "beta", SPECS["FlinkJar"], lifecycle={"state": state})
    workspace.write("one.yaml", spec)
    [change] = workspace.plan()["changes"]
    words = "the same definition as alpha (id 1, job_running), which has no manifest"
    assert (change["action"], words in change["reason"]) == ("blocked", True)


@pytest.mark.parametrize(("state", "impact"), [("running", "reruns"), ("stopped", "none")])
def test_a_stream_that_was_renamed_would_run_twice(
    workspace: Workspace, clock: Clock, state: str, impact: str
) -> None:
    deployed(workspace, clock, "FlinkJar")
    clock.tick = 0.5
    assert workspace.run("cancel", "--yes", "--all").code == 0
    spec = manifest("FlinkJar", "beta", SPECS["FlinkJar"], lifecycle={"state": state})
    workspace.write("one.yaml", spec)
    change, [words] = only_change(workspace)
    assert change["impact"] == impact
    assert "possible rename: alpha (id 1, job_cancel_success) has the same" in words
