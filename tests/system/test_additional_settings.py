"""A service that shows more than was sent, something else, or less: what is run again, and what apply says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import listed
from testing.workspace import SPECS, Clock, Workspace, manifest

PATHS = {"SparkBatch": "/batches", "SparkSession": "/sessions", "MrsJob": "/job-executions"}


def shows(emulator: Emulator, kind: str, **rule: Any) -> None:
    emulator.faults.clear()
    emulator.faults.add({"path": PATHS[kind], **rule})


def actions(plan: Any) -> list[str]:
    return [change["action"] for change in plan["changes"]]


@pytest.mark.parametrize(
    ("kind", "fill", "names"),
    [
        ("MrsJob", {"properties": {"mrs.queue": "default"}}, 'properties."mrs.queue"'),
        ("MrsJob", {"arguments": ["--verbose", "x"]}, "arguments[2], arguments[3]"),
        ("MrsJob", {"arguments": "[--conf, a=b, obs://b/mr.jar, wordcount]"}, "arguments[0], arguments[1]"),
        ("SparkBatch", {"req_body": {"conf": {"spark.x": "y"}}}, 'conf."spark.x"'),
        ("SparkBatch", {"req_body": {"autoRecovery": True, "image": "a/b:c"}}, "image, auto_recovery"),
        ("SparkSession", {"sc_type": "B"}, "sc_type"),
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_a_run_is_not_repeated_for_what_the_service_filled_in(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str, fill: Any, names: str, *, ended: bool
) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))
    shows(emulator, kind, fill=fill)
    applied = workspace.apply()
    assert (applied.code, "differs" in applied.out) == (0, False)
    clock.forward(10_000 if ended else 10)
    planned = workspace.plan()
    assert actions(planned) == []
    [warning] = planned["warnings"]
    assert f"the last run has settings that the manifest does not have: {names}; " in warning["message"]
    assert workspace.apply().code == 0
    assert len(listed(emulator.url, kind)) == 1


def test_a_change_beside_what_the_service_filled_in_shows_both(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    workspace.write("one.yaml", manifest("MrsJob", "alpha", SPECS["MrsJob"]))
    assert workspace.apply().code == 0
    clock.forward(10_000)
    shows(emulator, "MrsJob", fill={"properties": {"mrs.queue": "default"}})
    spec = {**SPECS["MrsJob"], "arguments": ["obs://b/mr.jar", "sort"]}
    workspace.write("one.yaml", manifest("MrsJob", "alpha", spec))
    planned = workspace.plan()
    assert actions(planned) == ["resubmit"]
    shown = [(field["path"], field["live"]) for field in planned["changes"][0]["fields"]]
    assert shown == [("/arguments/1", "wordcount"), ("/properties/mrs.queue", "default")]
    assert workspace.apply().code == 0


def test_a_rerun_shows_what_the_new_run_does_not_have(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    workspace.write("one.yaml", manifest("MrsJob", "alpha", SPECS["MrsJob"]))
    assert workspace.apply().code == 0
    clock.forward(10_000)
    shows(emulator, "MrsJob", fill={"properties": {"mrs.queue": "default"}})
    [change] = workspace.plan("--rerun", "name=alpha")["changes"]
    assert [field["path"] for field in change["fields"]] == ["/properties/mrs.queue"]


@pytest.mark.parametrize(
    ("removed", "more"),
    [
        ({"conf": {"spark.x": "y"}}, {}),
        ({"conf": {"spark.x": "y", "spark.z": "1"}, "args": ["a"]}, {}),
        ({"driverMemory": "2048M"}, {}),
        ({"resources": [{"name": "a.jar", "type": "jar"}]}, {"numExecutors": 2}),
    ],
)
def test_what_a_fingerprint_proves_to_be_removed_is_a_change(
    workspace: Workspace, emulator: Emulator, clock: Clock, removed: dict[str, Any], more: dict[str, Any]
) -> None:
    """Beside what the service filled in, which is not."""
    before = {**SPECS["SparkBatch"], **more, **removed}
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", before))
    assert workspace.apply().code == 0
    clock.forward(10_000)
    shows(emulator, "SparkBatch", fill={"req_body": {"conf": {"service.one": "1"}, "image": "a/b:c"}})
    assert (workspace.plan()["changes"], workspace.plan()["warnings"]) == ([], [])
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", {**SPECS["SparkBatch"], **more}))
    planned = workspace.plan()
    assert actions(planned) == ["resubmit"]
    shown = {field["path"].split("/")[1] for field in planned["changes"][0]["fields"]}
    assert {*removed} <= shown <= {*removed, "conf", "image"}


@pytest.mark.parametrize(
    "more", [{"feature": "basic"}, {"conf": {}}, {"sc_type": "A", "max_retry_times": 20}, {"args": []}]
)
def test_another_fingerprint_alone_proves_nothing(
    workspace: Workspace, emulator: Emulator, clock: Clock, more: dict[str, Any]
) -> None:
    """A default that is written out changes the fingerprint, not the job."""
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    assert workspace.apply().code == 0
    clock.forward(10_000)
    shows(emulator, "SparkBatch", fill={"req_body": {"conf": {"service.one": "1"}}})
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", {**SPECS["SparkBatch"], **more}))
    planned = workspace.plan()
    assert actions(planned) == []
    assert [': conf."service.one";' in warning["message"] for warning in planned["warnings"]] == [True]


@pytest.mark.parametrize(("kind", "marks"), [("MrsJob", True), ("SparkBatch", True), ("SparkBatch", False)])
def test_a_spec_that_is_shown_otherwise_than_it_was_sent_is_not_done(
    workspace: Workspace, emulator: Emulator, kind: str, *, marks: bool
) -> None:
    """Even if the fingerprint is that of the manifest."""
    workspace.project["marks"] = marks
    workspace.write_project()
    other = {"MrsJob": {"arguments": "[other]"}, "SparkBatch": {"req_body": {"file": "obs://b/other.jar"}}}
    first, second = (manifest(kind, name, SPECS[kind]) for name in ("alpha", "beta"))
    workspace.write("one.yaml", [first, {**second, "dependsOn": ["alpha"]}])
    shows(emulator, kind, fill=other[kind])
    applied = workspace.apply()
    assert applied.code == 8
    field = "arguments" if kind == "MrsJob" else "file"
    assert "differs  create" in applied.out
    assert f"submitted, but the deployed spec differs from the request ({field})" in applied.out
    assert "dependency 'alpha': differs" in applied.out
    assert applied.out.splitlines()[-1] == "Apply incomplete: 0 applied, 1 differs, 1 skipped."
    assert len(listed(emulator.url, kind)) == 1


# --- entries without names --------------------------------------------------------------------------------

NAMELESS = ["name", "queue", "cluster_name", "req_body"]


@pytest.mark.parametrize("omit", [NAMELESS, ["name", "req_body"]], ids=["no queue", "queue"])
def test_batches_that_are_listed_without_names_block(
    workspace: Workspace, emulator: Emulator, clock: Clock, omit: list[str]
) -> None:
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    shows(emulator, "SparkBatch", omit=omit)
    applied = workspace.apply()
    assert applied.code == 8
    assert "submitted, but the service does not return the name of the run: deployer cannot recognize it" in (
        applied.out
    )
    emulator.faults.clear()
    [batch] = listed(emulator.url, "SparkBatch")
    shows(emulator, "SparkBatch", omit=omit)
    again = workspace.apply()
    assert again.code == 5
    assert f"an unnamed active job in queue 'q' may be this job: {batch['id']}" in again.out
    emulator.faults.clear()
    assert len(listed(emulator.url, "SparkBatch")) == 1


@pytest.mark.parametrize(
    ("entries", "action"),
    [
        # Nobody's name is shown: it may be ours.
        ([{"name": ""}], "blocked"),
        ([{"name": None}], "blocked"),
        ([{}], "blocked"),
        # Others have names: an empty one is that of somebody else's batch.
        ([{"name": ""}, {"name": "other"}], "create"),
        ([{"name": None}, {"name": "other"}], "create"),
        ([{}, {"name": "other"}], "blocked"),
        # The whole request is shown, and has no name.
        ([{"name": "", "req_body": json.dumps(SPECS["SparkBatch"])}], "create"),
        ([{"req_body": json.dumps(SPECS["SparkBatch"])}], "create"),
        # Elsewhere, or ended.
        ([{"name": "", "queue": "another"}], "create"),
        ([{"state": "dead"}], "create"),
    ],
)
def test_an_entry_without_a_name(
    workspace: Workspace, emulator: Emulator, entries: list[dict[str, Any]], action: str
) -> None:
    common = {"state": "running", "queue": "q", "create_time": 1}
    sessions = [{"id": f"b-{number}", **common, **entry} for number, entry in enumerate(entries)]
    body = {"from": 0, "total": len(sessions), "sessions": sessions}
    shows(emulator, "SparkBatch", status=200, body=body)
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    assert actions(workspace.plan()) == [action]
