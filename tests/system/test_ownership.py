"""Ownership tags: which requests contain them, and how later plans use the tags of live jobs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator
from testing.faults import fill, listed
from testing.workspace import SPECS, TOKEN, Clock, Workspace, findings, manifest

BATCH = SPECS["SparkBatch"]


def call(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    """What somebody else does."""
    url = f"{emulator.url}{path}"
    answer = requests.request(method, url, json=body, headers={"X-Auth-Token": TOKEN}, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def confs(emulator: Emulator) -> list[dict[str, str]]:
    return [json.loads(job["req_body"]).get("conf", {}) for job in listed(emulator.url, "SparkBatch")]


def orphans(workspace: Workspace) -> list[str]:
    return [orphan["name"] for orphan in workspace.plan()["orphans"]]


@pytest.fixture
def project(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
    return workspace


def test_a_batch_says_who_deployed_it(project: Workspace, emulator: Emulator) -> None:
    project.write("one.yaml", manifest("SparkBatch", "alpha", {**BATCH, "conf": {"spark.x": "1"}}))
    assert project.apply().code == 0
    [conf] = confs(emulator)
    assert conf.pop("spark.deployer.fingerprint").startswith("v1-")
    assert conf.pop("spark.deployer.revision").startswith("0123456789abcdef")
    assert conf == {"spark.x": "1", "spark.deployer.project": "tests"}
    assert "no changes" in project.run("plan").out


def test_without_marks_what_was_marked_is_the_same(project: Workspace, emulator: Emulator) -> None:
    project.write("one.yaml", [manifest(kind, "alpha", spec) for kind, spec in SPECS.items()])
    project.apply()
    project.project["marks"] = False
    project.write_project()
    assert "no changes" in project.run("plan").out
    project.write("two.yaml", manifest("SparkBatch", "beta", BATCH))
    project.apply()
    assert {} in confs(emulator)
    project.project["marks"] = True
    project.write_project()
    assert "no changes" in project.run("plan").out


def test_the_same_body_is_the_same_whatever_the_service_makes_of_it(
    project: Workspace, emulator: Emulator, clock: Clock
) -> None:
    project.write("one.yaml", manifest("SparkBatch", "alpha", BATCH))
    project.apply()
    [conf] = confs(emulator)
    # The service's own words for what was asked, under our mark.
    other = {**BATCH, "className": "com.example.Renamed", "name": "alpha", "conf": conf}
    clock.forward(10_000)
    call(emulator, "POST", "/v2.0/pid/batches", other)
    assert "no changes" in project.run("plan").out
    project.write("one.yaml", manifest("SparkBatch", "alpha", {**BATCH, "className": "com.example.Mine"}))
    assert [change["action"] for change in project.plan()["changes"]] == ["blocked"]


def test_live_jobs_of_ours_without_a_manifest_are_named(
    project: Workspace, emulator: Emulator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_SHA")  # a commit that only the CI knows is in no history here
    for kind in ("SparkBatch", "FlinkJar", "MrsJob"):
        project.write(f"{kind}.yaml", manifest(kind, kind, SPECS[kind]))
    fill(emulator.url, "SparkBatch", ["theirs"])
    project.apply()
    before = [listed(emulator.url, kind) for kind in SPECS]
    (project.folder / "SparkBatch.yaml").unlink()
    assert orphans(project) == ["SparkBatch"]
    (project.folder / "FlinkJar.yaml").unlink()
    planned = project.plan()
    assert [orphan["name"] for orphan in planned["orphans"]] == ["FlinkJar", "SparkBatch"]
    text = project.run("plan").out
    assert "no longer in a manifest; left unchanged):" in text
    assert re.search(r"^  FlinkJar FlinkJar: \d+, job_submitting; in transition", text, re.MULTILINE)
    assert project.apply().code == 0
    assert [listed(emulator.url, kind) for kind in SPECS] == before
    clock.forward(10_000)
    # A run that has ended is only a record.
    assert orphans(project) == ["FlinkJar"]


def test_jobs_of_others_are_counted(project: Workspace, emulator: Emulator) -> None:
    fill(emulator.url, "SparkBatch", ["theirs", "more"])
    project.write("one.yaml", manifest("SparkBatch", "alpha", BATCH))
    assert "2 unmanaged live jobs; left unchanged." in project.run("plan").out
    planned = project.plan()
    assert (planned["unmanaged"], planned["orphans"]) == (2, [])


def test_a_stream_that_was_renamed_is_pointed_out(project: Workspace) -> None:
    project.write("one.yaml", manifest("FlinkJar", "before", SPECS["FlinkJar"]))
    project.apply()
    project.write("one.yaml", manifest("FlinkJar", "after", SPECS["FlinkJar"]))
    planned = project.plan()
    [change] = planned["changes"]
    assert (change["name"], change["action"]) == ("after", "blocked")
    assert "deployed the same definition as before (id 1, job_submitting)" in change["reason"]


@pytest.mark.parametrize(
    ("on_change", "action"),
    [("block", "blocked"), ("replace", "replace"), ("submit", "submit"), ("keep", None)],
)
def test_a_job_that_has_moved_to_another_queue(
    project: Workspace, emulator: Emulator, clock: Clock, on_change: str, action: str | None
) -> None:
    project.write("one.yaml", manifest("SparkBatch", "alpha", BATCH))
    project.apply()
    clock.tick = 0.5
    moved = manifest("SparkBatch", "alpha", {**BATCH, "queue": "new"}, lifecycle={"onChange": on_change})
    project.write("one.yaml", moved)
    changes = project.plan()["changes"]
    assert [change["action"] for change in changes] == ([action] if action else [])
    if action:
        field = {
            "path": "/queue",
            "live": "q",
            "desired": "new",
            "sensitive": False,
            "note": "",
            "live_hidden": False,
        }
        assert changes[0]["fields"] == [field]
    project.apply()
    states = {job["queue"]: job["state"] for job in listed(emulator.url, "SparkBatch")}
    if on_change == "replace":
        assert states["q"] == "dead"
        assert states["new"] in {"starting", "running"}
    elif on_change == "submit":
        assert states["q"] in {"starting", "running"}
        assert "new" in states
    else:
        assert list(states) == ["q"]


@pytest.mark.parametrize(
    ("kind", "more", "place", "name"),
    [
        (
            "SparkBatch",
            {"conf": {"spark.deployer.project": "mine"}},
            "one.yaml:10:5",
            "spark.deployer.project",
        ),
        ("FlinkJar", {"tags": [{"key": "deployer", "value": "mine"}]}, "one.yaml:9:10", "deployer"),
    ],
)
def test_a_manifest_cannot_hold_a_mark(
    project: Workspace, kind: str, more: dict[str, Any], place: str, name: str
) -> None:
    project.write("one.yaml", manifest(kind, "alpha", {**SPECS[kind], **more}))
    ran = project.run("validate")
    words = "is reserved for ownership metadata"
    assert (ran.code, findings(ran.err)) == (4, [f"{place}: error: '{name}' {words}"])


# --- --rerun ----------------------------------------------------------------------------------------------


def test_rerun_for_once(project: Workspace, emulator: Emulator, clock: Clock) -> None:
    project.write("one.yaml", [manifest("SparkBatch", name, BATCH) for name in ("alpha", "beta")])
    project.apply()
    blocked = project.apply("--rerun", "name=alpha")
    assert blocked.code == 5
    assert "rerun requested with --rerun, but" in blocked.out
    clock.forward(10_000)
    assert "no changes" in project.run("plan").out
    assert "rerun requested with --rerun" in project.run("plan", "--rerun", "name=alpha").out
    again = project.apply("--rerun", "name=alpha")
    assert (again.code, again.out.splitlines()[-1]) == (0, "Apply complete: 1 applied.")
    assert sorted(job["name"] for job in listed(emulator.url, "SparkBatch")) == ["alpha", "alpha", "beta"]
    clock.forward(10_000)
    assert "no changes" in project.run("plan").out


@pytest.mark.parametrize("expression", ["name=gamma", "mood=fine", "alpha"])
def test_a_rerun_of_nothing(project: Workspace, expression: str) -> None:
    project.write("one.yaml", manifest("SparkBatch", "alpha", BATCH))
    ran = project.run("plan", "--rerun", expression)
    assert (ran.code, ran.err.startswith(f"error: --rerun {expression}: ")) == (3, True)


@pytest.mark.parametrize("ended", [True, False])
def test_a_run_with_a_copied_fingerprint_is_pointed_out(
    project: Workspace, emulator: Emulator, clock: Clock, *, ended: bool
) -> None:
    """Whoever edits a run in the console submits it again with its conf."""
    project.write("one.yaml", manifest("SparkBatch", "alpha", {**BATCH, "args": ["--day", "1"]}))
    assert project.apply().code == 0
    clock.forward(10_000)
    [first] = listed(emulator.url, "SparkBatch")
    copied = {**json.loads(first["req_body"]), "args": ["--day", "2"], "name": "alpha"}
    call(emulator, "POST", "/v2.0/pid/batches", copied)
    clock.forward(10_000 if ended else 10)
    plan = project.plan()
    assert plan["changes"] == []
    [warning] = plan["warnings"]
    assert (
        "has the fingerprint of this manifest, but the service shows other values of args[1]"
        in (warning["message"])
    )
    assert "no changes" in project.run("plan").out
