"""Jobs that another project deployed, or somebody without deployer: what is blocked, and what is shown of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator
from deployer.report.text import HIDDEN_NOTE
from testing.faults import Answer, Call, FaultProxy, fill, listed, says
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest

MARKED = ["SparkBatch", "FlinkJar"]
ADOPT = {"adopt": True}


@pytest.fixture
def theirs(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A project of somebody else in the same place."""
    return Workspace(
        tmp_path / "theirs",
        workspace.capture,
        workspace.url,
        project={"metadata": {"name": "theirs"}},
    )


@pytest.fixture(params=["theirs", "nobody's"])
def running(
    request: pytest.FixtureRequest, theirs: Workspace, emulator: Emulator, clock: Clock
) -> dict[str, str]:
    """A batch and a stream that are not ours and run; returns the beginning of a reason for each."""
    if request.param == "theirs":
        theirs.write("all.yaml", [manifest(kind, "alpha", SPECS[kind]) for kind in MARKED])
        assert theirs.apply().code == 0
        words = "project 'theirs' deployed "
    else:
        for kind in MARKED:
            fill(emulator.url, kind, ["alpha"])
        call(emulator, "POST", "/v1.0/pid/streaming/jobs/run", {"job_ids": [stream(emulator)["job_id"]]})
        words = " has no ownership tags, so it may not be this project's"
    clock.forward(10)
    clock.tick = 0.1
    return dict.fromkeys(MARKED, words)


def call(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    """What somebody else does."""
    url = f"{emulator.url}{path}"
    answer = requests.request(method, url, json=body, headers={"X-Auth-Token": TOKEN}, timeout=10)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def stream(emulator: Emulator) -> dict[str, Any]:
    [job] = listed(emulator.url, "FlinkJar")
    return job


def states(emulator: Emulator, kind: str) -> list[str]:
    return [job.get("state") or job["status"] for job in listed(emulator.url, kind)]


def write(workspace: Workspace, kind: str, lifecycle: dict[str, Any], **spec: Any) -> None:
    workspace.write("one.yaml", manifest(kind, "alpha", {**SPECS[kind], **spec}, lifecycle=lifecycle))


TOUCHING: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    ("replace", "SparkBatch", {"onChange": "replace"}, {"file": "obs://b/new.jar"}, "replace"),
    ("absent", "SparkBatch", {"state": "absent"}, {}, "cancel"),
    ("update", "FlinkJar", {}, {"restart_when_exception": True}, "update"),
    ("restart", "FlinkJar", {}, {"entrypoint": "obs://b/new.jar"}, "restart"),
    ("stop", "FlinkJar", {"state": "stopped"}, {}, "stop"),
    ("delete", "FlinkJar", {"state": "absent"}, {}, "delete"),
]


@pytest.mark.parametrize(
    ("kind", "lifecycle", "spec", "action"), [row[1:] for row in TOUCHING], ids=[row[0] for row in TOUCHING]
)
def test_a_job_that_is_not_ours_is_changed_only_if_the_manifest_adopts_it(
    workspace: Workspace,
    emulator: Emulator,
    running: dict[str, str],
    kind: str,
    lifecycle: dict[str, Any],
    spec: dict[str, Any],
    action: str,
) -> None:
    before = [states(emulator, each) for each in MARKED]
    write(workspace, kind, lifecycle, **spec)
    [change] = workspace.plan()["changes"]
    assert change["action"] == "blocked"
    assert running[kind] in change["reason"]
    assert change["reason"].endswith("to take it over, set lifecycle.adopt to true")
    ran = workspace.apply()
    assert (ran.code, [states(emulator, each) for each in MARKED]) == (5, before)
    write(workspace, kind, {**lifecycle, **ADOPT}, **spec)
    [change] = workspace.plan()["changes"]
    assert change["action"] == action
    assert running[kind] in change["reason"]
    assert "adopted because adopt is true" in change["reason"]
    assert workspace.apply().code == 0
    write(workspace, kind, lifecycle, **spec)
    # What was taken over is ours now.
    assert "no changes" in workspace.run("plan").out


def test_a_run_in_another_queue_is_taken_over_with_the_same_consent(
    workspace: Workspace, emulator: Emulator, running: dict[str, str]
) -> None:
    write(workspace, "SparkBatch", {"onChange": "replace", **ADOPT}, queue="new")
    [change] = workspace.plan()["changes"]
    assert (change["action"], change["impact"]) == ("replace", "cancels")
    assert running["SparkBatch"] in change["reason"]
    assert workspace.apply().code == 0
    assert sorted(states(emulator, "SparkBatch")) == ["dead", "starting"]


@pytest.mark.parametrize("kind", MARKED)
def test_cancel_ends_no_job_that_is_not_ours(
    workspace: Workspace, emulator: Emulator, running: dict[str, str], kind: str
) -> None:
    before = states(emulator, kind)
    write(workspace, kind, {})
    ran = workspace.run("cancel", "--yes", "--all")
    assert (ran.code, states(emulator, kind)) == (5, before)
    assert running[kind] in ran.out
    write(workspace, kind, ADOPT)
    assert workspace.run("cancel", "--yes", "--all").code == 0
    assert states(emulator, kind) != before


def test_a_cancel_ends_our_run_and_leaves_that_of_another_project(
    workspace: Workspace, theirs: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(theirs, "SparkBatch", {}, file="obs://b/theirs.jar")
    theirs.apply()
    write(workspace, "SparkBatch", {"onChange": "submit"})
    clock.forward(1)
    assert workspace.apply().code == 0
    clock.tick = 0.1
    assert workspace.run("cancel", "--yes", "--all").code == 0
    [mine] = [job for job in listed(emulator.url, "SparkBatch") if job["state"] == "dead"]
    assert "theirs.jar" not in mine["req_body"]
    assert len(listed(emulator.url, "SparkBatch")) == 2


def test_without_marks_a_job_without_one_counts_as_ours(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    write(workspace, "SparkBatch", {"onChange": "replace"})
    workspace.apply()
    clock.tick = 0.1
    write(workspace, "SparkBatch", {"onChange": "replace"}, file="obs://b/new.jar")
    [change] = workspace.plan()["changes"]
    assert (change["action"], change["fields"][0]["live"]) == ("replace", "obs://b/job.jar")
    assert workspace.apply().code == 0


def test_without_marks_the_job_of_another_project_is_still_theirs(
    workspace: Workspace, theirs: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(theirs, "FlinkJar", {})
    theirs.apply()
    clock.forward(10)
    clock.tick = 0.1
    workspace.project["marks"] = False
    workspace.write_project()
    write(workspace, "FlinkJar", {"state": "absent"})
    assert workspace.apply().code == 5
    assert states(emulator, "FlinkJar") == ["job_running"]


def test_a_run_of_another_project_is_not_repeated(
    workspace: Workspace, theirs: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """A project that was renamed must not run all its batches again."""
    write(theirs, "SparkBatch", {})
    theirs.apply()
    write(workspace, "SparkBatch", {})
    assert workspace.plan()["changes"] == []
    clock.forward(10_000)
    planned = workspace.plan()
    [warning] = planned["warnings"]
    assert (planned["changes"], "; project 'theirs' deployed run " in warning["message"]) == ([], True)
    write(workspace, "SparkBatch", {}, file="obs://b/new.jar")
    assert workspace.apply().code == 0
    clock.forward(10_000)
    # Ours counts now, although theirs is newer.
    write(theirs, "SparkBatch", {}, file="obs://b/theirs.jar")
    theirs.apply()
    assert "no changes" in workspace.run("plan").out
    assert len(listed(emulator.url, "SparkBatch")) == 3


def test_no_run_beside_one_of_another_project(
    workspace: Workspace, theirs: Workspace, emulator: Emulator, clock: Clock
) -> None:
    write(workspace, "SparkBatch", {})
    workspace.apply()
    clock.forward(10_000)
    write(theirs, "SparkBatch", {}, file="obs://b/theirs.jar")
    theirs.apply()
    write(workspace, "SparkBatch", {}, file="obs://b/new.jar")
    [change] = workspace.plan()["changes"]
    assert change["action"] == "blocked"
    assert "and project 'theirs' deployed run " in change["reason"]
    write(workspace, "SparkBatch", {"onChange": "submit"}, file="obs://b/new.jar")
    assert workspace.apply().code == 0
    assert len(listed(emulator.url, "SparkBatch")) == 3


def test_a_long_name_of_a_project_is_cut_off_in_a_tag(workspace: Workspace, clock: Clock) -> None:
    workspace.project["metadata"] = {"name": "p" * 60}
    workspace.write_project()
    write(workspace, "FlinkJar", {})
    workspace.apply()
    clock.forward(10)
    clock.tick = 0.1
    write(workspace, "FlinkJar", {"state": "stopped"})
    assert [change["action"] for change in workspace.plan()["changes"]] == ["stop"]


def test_a_batch_of_a_project_with_the_beginning_of_our_name_is_not_ours(
    workspace: Workspace, theirs: Workspace
) -> None:
    theirs.project["metadata"] = {"name": "p" * 43}
    workspace.project["metadata"] = {"name": "p" * 44}
    for each in (theirs, workspace):
        each.write_project()
        write(each, "SparkBatch", {})
    theirs.apply()
    write(workspace, "SparkBatch", {"state": "absent"})
    assert [change["action"] for change in workspace.plan()["changes"]] == ["blocked"]


def test_a_job_that_another_project_takes_over_after_the_plan_is_refused(
    workspace: Workspace, emulator: Emulator, clock: Clock, proxy: FaultProxy
) -> None:
    write(workspace, "FlinkJar", {})
    assert workspace.apply().code == 0
    clock.forward(10)
    clock.tick = 0.1
    write(workspace, "FlinkJar", {"state": "stopped"})
    path = f"/v3/pid/dli_flink_job/{stream(emulator)['job_id']}/tags"
    proxy.clear()

    def taken(request: Call) -> Answer:
        call(emulator, "POST", f"{path}/create", {"tags": [{"key": "deployer", "value": "theirs"}]})
        return request.forward()

    proxy.rule("GET", "/tags$", taken, nth=2)
    ran = workspace.apply()
    assert ran.code == 5
    assert "was taken over since the plan was created (by project 'theirs'); run plan again" in ran.out
    assert states(emulator, "FlinkJar") == ["job_running"]


# --- what is shown ----------------------------------------------------------------------------------------

FOREIGN = "obs://b/nobody-may-see.jar"
FILES = {
    "SparkBatch": "file",
    "FlinkJar": "entrypoint",
}


@pytest.fixture(params=["theirs", "nobody's"])
def foreign(
    request: pytest.FixtureRequest, workspace: Workspace, theirs: Workspace, clock: Clock
) -> Workspace:
    """A batch and a stream that are not ours, beside other manifests of ours with their names."""
    if request.param == "nobody's":
        theirs.project["marks"] = False
        theirs.write_project()
    for kind, field in FILES.items():
        theirs.write(f"{kind}.yaml", manifest(kind, "alpha", {**SPECS[kind], field: FOREIGN}))
        workspace.write(f"{kind}.yaml", manifest(kind, "alpha", SPECS[kind]))
    assert theirs.apply().code == 0
    clock.forward(10)
    return workspace


@pytest.mark.parametrize("style", ["text", "markdown", "json"])
def test_live_values_of_a_job_that_is_not_ours_are_hidden(foreign: Workspace, style: str) -> None:
    ran = foreign.run("plan", "--format", style, "--out", "plan.out")
    assert ran.code == 0
    assert FOREIGN not in ran.out + ran.err + (foreign.folder / "plan.out").read_text()
    assert "file" in ran.out
    assert "entrypoint" in ran.out
    if style != "json":
        # Markdown has each field in its table too.
        assert ran.out.count("(hidden)") == (4 if style == "markdown" else 2)
        assert '"obs://b/job.jar"' in ran.out
    assert (HIDDEN_NOTE in ran.out.splitlines()) == (style == "text")
    assert FOREIGN in foreign.run("plan", "--format", style, "--show-live").out
    applied = foreign.apply()
    assert FOREIGN not in applied.out + applied.err
    assert applied.out.count(HIDDEN_NOTE) == 1


def test_the_line_about_hidden_live_values_is_shown_only_where_the_option_helps(foreign: Workspace) -> None:
    for arguments in (["plan", "--show-live"], ["plan", "--hide-live"], ["cancel", "--yes", "--all"]):
        assert HIDDEN_NOTE not in foreign.run(*arguments).out
    for kind in FILES:
        foreign.write(f"{kind}.yaml", manifest(kind, "alpha", SPECS[kind], lifecycle=ADOPT))
    assert HIDDEN_NOTE not in foreign.run("plan").out


def test_the_json_plan_says_that_a_live_value_is_hidden(foreign: Workspace) -> None:
    for change in foreign.plan()["changes"]:
        [field] = change["fields"]
        assert (field["live"], field["live_hidden"], field["sensitive"]) == (None, True, False)
        assert field["desired"] == SPECS[change["kind"]][FILES[change["kind"]]]


def test_live_values_of_a_job_that_the_manifest_adopts_are_shown(foreign: Workspace) -> None:
    for kind in FILES:
        foreign.write(f"{kind}.yaml", manifest(kind, "alpha", SPECS[kind], lifecycle=ADOPT))
    assert foreign.run("plan").out.count(FOREIGN) == 2


def test_kinds_without_marks_show_both_sides_unless_asked_not_to(workspace: Workspace) -> None:
    write(workspace, "MrsJob", {}, arguments=["obs://b/mr.jar", "live-argument"])
    workspace.apply()
    write(workspace, "MrsJob", {})
    assert "live-argument" in workspace.run("plan").out
    hidden = workspace.run("plan", "--hide-live")
    assert "live-argument" not in hidden.out
    assert "(hidden)" in hidden.out
    applied = workspace.apply("--hide-live")
    assert "live-argument" not in applied.out


def test_showing_and_hiding_are_not_combined(workspace: Workspace) -> None:
    for verb in (["plan"], ["apply", "--yes"]):
        ran = workspace.run(*verb, "--show-live", "--hide-live")
        assert (ran.code, ran.err) == (3, "error: --show-live cannot be combined with --hide-live\n")


def test_a_saved_plan_with_hidden_values_is_not_stale(foreign: Workspace) -> None:
    assert foreign.run("plan", "--out", "plan.out").code == 0
    ran = foreign.apply("--plan", "plan.out", "--show-live")
    assert ran.code == 5
    saved = json.loads((foreign.folder / "plan.out").read_text())
    (foreign.folder / "plan.out").write_text(json.dumps(saved | {"digest": "0" * 64}))
    stale = foreign.apply("--plan", "plan.out", "--show-live")
    assert stale.code == 6
    assert "/entrypoint" not in stale.err


# --- secrets that were taken out --------------------------------------------------------------------------

SECRET = "a-very-secret-value"  # noqa: S105 - invented


@pytest.mark.parametrize(
    ("kind", "secret", "public"),
    [
        ("SparkBatch", {"args": ["--mode", '{{ secret("S") }}']}, {"args": ["--mode", "fast"]}),
        ("SparkBatch", {"conf": {"spark.x": '{{ secret("S") }}'}}, {"conf": {}}),
        ("SparkBatch", {"jars": ['obs://{{ secret("S") }}/a.jar']}, {}),
        ("FlinkJar", {"entrypoint_args": '-a {{ secret("S") }}'}, {"entrypoint_args": "-a b"}),
        (
            "FlinkJar",
            {"runtime_config": '{"x.y":"{{ secret("S") }}","z":"1"}'},
            {"runtime_config": '{"x.y":"open","z":"1"}'},
        ),
        ("FlinkJar", {"tags": [{"key": "k", "value": '{{ secret("S") }}'}]}, {}),
        (
            "FlinkJar",
            {
                "desc": '{{ secret("S") }}',
                "main_class": '{{ secret("S") }}',
                "image": 'a/{{ secret("S") }}:1',
                "feature": "custom",
                "entrypoint_args": '{{ secret("S") }}',
            },
            {"main_class": "b"},
        ),
    ],
)
def test_what_was_a_secret_stays_masked_when_it_is_taken_out(
    workspace: Workspace,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    secret: dict[str, Any],
    public: dict[str, Any],
) -> None:
    monkeypatch.setenv("DEPLOYER_SECRET_S", SECRET)
    workspace.write_project(secrets={"S": {"variable": "DEPLOYER_SECRET_S"}})
    write(workspace, kind, {"state": "stopped"} if kind == "FlinkJar" else {}, **secret)
    ran = workspace.apply()
    assert ran.code == 0, ran.out + ran.err
    clock.forward(10_000)
    write(workspace, kind, {"state": "stopped"} if kind == "FlinkJar" else {}, **public)
    for style in ("text", "markdown", "json"):
        ran = workspace.run("plan", "--format", style, "--show-live")
        assert ran.code == 0
        assert SECRET not in ran.out + ran.err
        assert '"***"' in ran.out
    assert workspace.apply().code == 0
    clock.forward(10_000)
    assert "no changes" in workspace.run("plan").out


def test_a_secret_that_an_update_leaves_in_place_stays_masked(
    workspace: Workspace, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update sends the fields of the manifest only, so the live job keeps the others."""
    monkeypatch.setenv("DEPLOYER_SECRET_S", SECRET)
    workspace.write_project(secrets={"S": {"variable": "DEPLOYER_SECRET_S"}})
    clock.tick = 0.1
    write(workspace, "FlinkJar", {}, runtime_config='{"my.opt": "{{ secret("S") }}"}', smn_topic="a")
    assert workspace.apply().code == 0
    clock.forward(10)
    for topic in ("b", "c", "d"):
        write(workspace, "FlinkJar", {}, smn_topic=topic)
        for style in ("text", "markdown", "json"):
            ran = workspace.run("plan", "--format", style, "--show-live")
            assert SECRET not in ran.out + ran.err
            assert ("/runtime_config/my.opt" if style == "json" else 'runtime_config."my.opt"') in ran.out
        assert workspace.apply().code == 0
        [warning] = workspace.plan()["warnings"]
        assert "the live job still has /runtime_config with a secret" in warning["message"]
        clock.forward(10)


def test_an_update_that_fails_leaves_all_fields_that_may_hold_a_secret_masked(
    workspace: Workspace, clock: Clock, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYER_SECRET_S", SECRET)
    workspace.write_project(secrets={"S": {"variable": "DEPLOYER_SECRET_S"}})
    write(workspace, "FlinkJar", {}, entrypoint_args='-a {{ secret("S") }}')
    assert workspace.apply().code == 0
    clock.forward(10)
    clock.tick = 0.1
    proxy.rule("PUT", "flink-jars|flink-jobs", says(400, {"error_code": "DLI.0001", "error_msg": "no"}))
    write(workspace, "FlinkJar", {}, entrypoint_args="b", main_class='x{{ secret("S") }}')
    # Stopped, and then not updated.
    assert workspace.apply().code == 8
    ran = workspace.run("plan")
    assert (SECRET in ran.out, 'entrypoint_args  "***" -> "b"' in ran.out) == (False, True)


def test_a_field_that_gets_a_secret_is_recorded_before_the_update(
    workspace: Workspace, clock: Clock, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYER_SECRET_S", SECRET)
    workspace.write_project(secrets={"S": {"variable": "DEPLOYER_SECRET_S"}})
    stopped = {"state": "stopped"}
    write(workspace, "FlinkJar", stopped, entrypoint_args="a")
    assert workspace.apply().code == 0
    proxy.clear()
    write(workspace, "FlinkJar", stopped, entrypoint_args='-s {{ secret("S") }}')
    assert workspace.apply().code == 0
    writes = [
        tag["value"] if request.path.endswith("/create") else request.method
        for request in proxy.calls
        if request.method != "GET"
        for tag in request.json.get("tags", [{}])
        if tag.get("key") != "deployer-fingerprint"
    ]
    assert writes == ["entrypoint_args", "PUT"]
    write(workspace, "FlinkJar", stopped, entrypoint_args="b")
    ran = workspace.run("plan")
    assert (SECRET in ran.out, '"***" -> "b"' in ran.out) == (False, True)
    assert workspace.apply().code == 0
    clock.forward(10)
    # What the manifest says openly is no secret any more.
    write(workspace, "FlinkJar", stopped, entrypoint_args="c")
    assert '"b" -> "c"' in workspace.run("plan").out


@pytest.mark.parametrize("style", ["text", "markdown", "json"])
def test_what_only_a_foreign_job_has_is_hidden_with_its_keys(
    workspace: Workspace, theirs: Workspace, clock: Clock, style: str
) -> None:
    write(theirs, "FlinkJar", {}, runtime_config='{"their.key": "their-value"}', restart_when_exception=True)
    assert theirs.apply().code == 0
    clock.forward(10)
    write(workspace, "FlinkJar", {}, restart_when_exception=False)
    ran = workspace.run("plan", "--format", style)
    assert ("their.key" in ran.out + ran.err, "their-value" in ran.out + ran.err) == (False, False)


def test_the_heading_says_that_there_are_no_ownership_tags(workspace: Workspace) -> None:
    """Without them the running jobs of others are not told apart, and a pull request can turn them off."""
    workspace.project["marks"] = False
    workspace.write_project()
    write(workspace, "SparkBatch", {})
    assert workspace.run("plan").out.splitlines()[0].endswith(", no ownership tags)")
    assert workspace.plan()["scope"]["marks"] is False
