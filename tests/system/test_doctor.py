"""`deployer doctor`: each check with a cause, reads only, and a refused credential once.

What it prints is in tests/scenarios/doctor.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from deployer.errors import Exit
from testing.faults import HTML, FaultProxy, changed, fill, hangs_up, says
from testing.git_server import git, without_settings
from testing.tunnel import SERVICE_HOST
from testing.workspace import ROOT, SHARED, SPECS, TOKEN, Clock, Ran, Workspace, manifest, needs_shared

TLS = ROOT / "tests" / "cases" / "tls"
REFUSED = {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication"}
FORBIDDEN = {"error_code": "DLI.0003", "error_msg": "Permission denied for the queue"}


@pytest.fixture
def clock() -> Clock:
    """The emulator's clock is that of this machine: `doctor` compares them."""
    return Clock(time.time())


def write_all(workspace: Workspace) -> None:
    for kind, spec in SPECS.items():
        workspace.write(f"{kind}.yaml", manifest(kind, "alpha", spec))


def with_password(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HW_AUTH_TOKEN")
    for name, value in {
        "HW_USER_NAME": "ann",
        "HW_USER_PASSWORD": "hunter2-x",
        "HW_DOMAIN_NAME": "shop",
    }.items():
        monkeypatch.setenv(name, value)
    workspace.write_project(auth={"method": "password"})
    write_all(workspace)


def checks(ran: Ran) -> dict[str, dict[str, Any]]:
    """The checks by group and name."""
    return {f"{check['group']}/{check['name']}": check for check in ran.json["checks"]}


def doctor(workspace: Workspace, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    ran = workspace.run("doctor", "--format", "json", *arguments)
    assert ran.out, ran.err
    return ran.code, checks(ran)


def statuses(found: dict[str, dict[str, Any]], group: str) -> dict[str, str]:
    return {
        name.partition("/")[2]: check["status"] for name, check in found.items() if check["group"] == group
    }


@pytest.mark.parametrize("options", [[], ["--contract"]])
def test_only_reads_are_sent(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, options: list[str]
) -> None:
    write_all(workspace)
    for kind in SPECS:
        fill(emulator.url, kind, [f"{kind}-{number}" for number in range(120)])
    ran = workspace.run("doctor", *options)
    assert ran.code == Exit.DONE, ran
    assert {call.method for call in proxy.calls} == {"GET"}
    assert len(proxy.calls) <= 60
    assert len(proxy.calls) > 10


def test_a_password_logs_in_once(
    workspace: Workspace, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_password(workspace, monkeypatch)
    expires = datetime.fromtimestamp(time.time() + 7230, UTC).isoformat()
    token = {"token": {"expires_at": expires, "project": {"id": "pid"}}}
    proxy.rule("POST", "/v3/auth/tokens", says(201, token, {"X-Subject-Token": TOKEN}))
    code, found = doctor(workspace)
    assert code == Exit.DONE, [check for check in found.values() if check["status"] == "failed"]
    assert found["login/login"]["message"] == "accepted; the token is valid for 2.0 hours, then renewed"
    assert [call.path for call in proxy.calls if call.method != "GET"] == ["/v3/auth/tokens"]
    assert "hunter2-x" not in str(found)


def test_a_wrong_token_is_sent_once(workspace: Workspace, proxy: FaultProxy) -> None:
    write_all(workspace)
    proxy.rule("GET", "/v", says(401, REFUSED))
    code, found = doctor(workspace)
    assert code == Exit.ERROR
    assert [call.path for call in proxy.calls if "X-Auth-Token" in call.headers] == [proxy.calls[-1].path]
    listed = statuses(found, "permissions")
    assert [*listed.values()].count("failed") == 1
    assert {status for name, status in listed.items() if status != "failed"} == {"skipped"}
    [failed] = [check for check in found.values() if check["status"] == "failed"]
    assert "APIGW.0301" in failed["message"]
    assert "sent once" in failed["advice"]


def test_a_wrong_password_is_sent_once(
    workspace: Workspace, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_password(workspace, monkeypatch)
    proxy.rule("POST", "/v3/auth/tokens", says(401, {"error": {"code": 401, "message": "wrong: hunter2-x"}}))
    code, found = doctor(workspace)
    assert (code, proxy.count("POST")) == (Exit.ERROR, 1)
    assert found["login/login"]["status"] == "failed"
    assert "hunter2-x" not in str(found)
    assert {*statuses(found, "permissions").values()} == {"skipped"}


def test_one_refused_read_does_not_stop_the_others(workspace: Workspace, proxy: FaultProxy) -> None:
    write_all(workspace)
    proxy.rule("GET", "/batches", says(403, FORBIDDEN))
    code, found = doctor(workspace)
    assert code == Exit.ERROR
    assert statuses(found, "permissions") == {
        "list FlinkJar": "ok",
        "show FlinkJar": "skipped",
        "tags of FlinkJar": "skipped",
        "list MrsJob in c-1": "ok",
        "show MrsJob in c-1": "skipped",
        "list SparkBatch": "failed",
        "list SparkSession": "ok",
        "show SparkSession": "skipped",
        "writes": "skipped",
    }
    assert "DLI.0003" in found["permissions/list SparkBatch"]["message"]
    assert "permission" in found["permissions/list SparkBatch"]["advice"]


def test_a_dead_server(bare: Workspace) -> None:
    write_all(bare)
    code, found = doctor(bare)
    assert code == Exit.ERROR
    assert statuses(found, "endpoints") == {"dli": "failed", "mrs": "failed"}
    assert "connection refused" in found["endpoints/dli"]["message"]
    assert statuses(found, "clock") == {"clock": "skipped"}
    assert {*statuses(found, "permissions").values()} == {"skipped"}
    assert found["credentials/credential"]["message"] == "the token in HW_AUTH_TOKEN"


def test_a_server_that_hangs_up(workspace: Workspace, proxy: FaultProxy) -> None:
    write_all(workspace)
    proxy.rule("GET", "", hangs_up(after=False))
    code, found = doctor(workspace)
    assert code == Exit.ERROR
    assert {*statuses(found, "endpoints").values()} == {"failed"}
    assert {call.path for call in proxy.calls} == {"/"}


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        '{"sessions": 5, "total": "many"}',
        "[" * 5000,
        '"\\u001b[2J##[group]"',
        '{"sessions": [7], "total": 1}',
    ],
)
def test_a_strange_response(workspace: Workspace, proxy: FaultProxy, body: str) -> None:
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    proxy.rule("GET", "/", says(200, body))
    ran = workspace.run("doctor")
    assert ran.code == Exit.ERROR
    assert "failed   list SparkBatch" in ran.out
    assert ran.out.replace("\n", "").isprintable()


def test_text_of_the_service_is_escaped_and_short(workspace: Workspace, proxy: FaultProxy) -> None:
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    message = f"\x1b[31m::error::##vso[task]{TOKEN} {'x' * 100_000}"
    proxy.rule("GET", "/batches", says(400, {"error_code": "DLI.0001", "error_msg": message}))
    ran = workspace.run("doctor")
    assert ran.code == Exit.ERROR
    assert TOKEN not in ran.out
    assert "\x1b" not in ran.out
    assert "##vso[" not in ran.out
    assert max(map(len, ran.out.splitlines())) < 1000


def test_the_clock(workspace: Workspace, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(workspace)
    clock.forward(600)
    code, found = doctor(workspace)
    assert (code, found["clock/clock"]["status"]) == (Exit.DONE, "warning")
    assert re.match("(599|600) s behind the service", found["clock/clock"]["message"])
    monkeypatch.delenv("HW_AUTH_TOKEN")
    monkeypatch.setenv("HW_ACCESS_KEY", "an-access-key")
    monkeypatch.setenv("HW_SECRET_KEY", "a-secret-key")
    workspace.write_project(auth={"method": "aksk"})
    clock.forward(600)
    code, found = doctor(workspace)
    assert (code, found["clock/clock"]["status"]) == (Exit.ERROR, "failed")
    assert "an-access-key" not in str(found)


def test_a_redirect_is_a_warning(workspace: Workspace, proxy: FaultProxy) -> None:
    write_all(workspace)
    proxy.rule("GET", r"^/\Z", says(302, "", {"Location": "https://login.invalid/"}))
    code, found = doctor(workspace)
    assert (code, {*statuses(found, "endpoints").values()}) == (Exit.DONE, {"warning"})
    assert "HTTP 302" in found["endpoints/dli"]["message"]


def test_credentials_are_named_by_their_variables(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(workspace)
    workspace.write_project(auth={})
    monkeypatch.setenv("HW_ACCESS_KEY", "an-access-key")
    monkeypatch.setenv("HW_SECRET_KEY", "a-secret-key")
    _, found = doctor(workspace)
    assert found["credentials/credential"]["message"] == "the token in HW_AUTH_TOKEN"
    assert "HW_ACCESS_KEY and HW_SECRET_KEY" in found["credentials/not used"]["message"]
    assert not re.search("an-access-key|a-secret-key", str(found))


def test_no_credential(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(workspace)
    monkeypatch.delenv("HW_AUTH_TOKEN")
    code, found = doctor(workspace)
    assert code == Exit.ERROR
    assert found["credentials/credential"]["status"] == "failed"
    assert {*statuses(found, "endpoints").values()} == {"ok"}
    assert {*statuses(found, "permissions").values()} == {"skipped"}


def test_a_credential_is_not_read_for_a_host_that_may_not_have_it(workspace: Workspace) -> None:
    write_all(workspace)
    workspace.write_project(endpoints={"dli": "https://dli.evil.example", "mrs": workspace.url})
    code, found = doctor(workspace)
    assert code == Exit.USAGE
    assert found["credentials/credential"]["status"] == "skipped"
    assert "credentials are not sent to dli.evil.example" in found["endpoints/dli"]["message"]
    assert {*statuses(found, "permissions").values()} == {"skipped"}


@pytest.mark.parametrize(
    ("name", "content", "check", "code"),
    [
        ("deployer.yaml", "apiVersion: deployer/v9\n", "configuration/deployer.yaml", Exit.INVALID),
        ("deployer.yaml", "{", "configuration/deployer.yaml", Exit.INVALID),
        ("a.yaml", manifest("SparkBatch", "a", {"fil": "x"}), "configuration/manifests", Exit.INVALID),
    ],
)
def test_invalid_files(workspace: Workspace, name: str, content: Any, check: str, code: Exit) -> None:
    workspace.write(name, content)
    found_code, found = doctor(workspace)
    assert (found_code, found[check]["status"]) == (code, "failed")
    assert found["versions/deployer"]["status"] == "ok"
    assert found[check]["advice"]


def test_an_unknown_target(workspace: Workspace) -> None:
    code, found = doctor(workspace, "-t", "tset")
    assert (code, found["configuration/target"]["status"]) == (Exit.USAGE, "failed")
    assert "did you mean 'test'" in found["configuration/target"]["message"]


def test_the_proxy_is_named_by_its_host(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(workspace)
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:hunter2-x@proxy.invalid:3128")
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEPLOYER_ALLOWED_HOSTS", "dli.cloud.invalid")
    workspace.write_project(endpoints={"dli": "https://dli.cloud.invalid", "mrs": workspace.url})
    code, found = doctor(workspace)
    assert code == Exit.ERROR
    assert found["proxy/proxy"]["message"] == "proxy.invalid:3128 for dli.cloud.invalid"
    assert "hunter2-x" not in str(found)


def test_the_built_in_emulator(workspace: Workspace) -> None:
    workspace.write("deployer.yaml", EMULATED)
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    code, found = doctor(workspace)
    assert code == Exit.DONE
    assert statuses(found, "permissions")["list SparkBatch"] == "ok"


EMULATED = {
    "apiVersion": "deployer/v1",
    "kind": "Project",
    "metadata": {"name": "tests"},
    "targets": {"local": {"emulator": True}},
}


def test_the_project_id_is_looked_up(workspace: Workspace, proxy: FaultProxy) -> None:
    write_all(workspace)
    workspace.write_project(region="cn-north-4")
    file = workspace.folder / "deployer.yaml"
    file.write_text(file.read_text("utf-8").replace("projectId: pid", ""), "utf-8")
    code, found = doctor(workspace)
    assert code == Exit.DONE, found
    assert statuses(found, "endpoints") == {"dli": "ok", "iam": "ok", "mrs": "ok"}
    assert found["login/project id"]["message"].endswith(", from IAM, by the name of the region")
    proxy.rule("GET", "/v3/projects", says(200, {"projects": []}))
    code, found = doctor(workspace)
    assert (code, found["login/project id"]["status"]) == (Exit.USAGE, "failed")
    assert {*statuses(found, "permissions").values()} == {"skipped"}


def test_a_new_project_without_manifests(workspace: Workspace) -> None:
    workspace.write_project(clusters={"reports": "c-7"})
    code, found = doctor(workspace)
    listed = {
        name: status for name, status in statuses(found, "permissions").items() if name.startswith("list ")
    }
    assert code == Exit.DONE
    assert listed == {"list FlinkJar": "ok", "list MrsJob in c-7": "ok", "list SparkBatch": "ok"}


def test_tls(workspace: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    with FaultProxy(emulator.url, tls=(SERVICE_HOST, TLS)) as service:
        workspace.url = service.url
        workspace.write_project()
        code, found = doctor(workspace)
        assert (code, {*statuses(found, "endpoints").values()}) == (Exit.ERROR, {"failed"})
        assert "certificate is not trusted" in found["endpoints/dli"]["message"]
        assert "caFile" in found["endpoints/dli"]["advice"]
        workspace.write("ca.pem", (TLS / "cert.pem").read_text("utf-8"))
        workspace.write_project(caFile="ca.pem")
        code, found = doctor(workspace)
        assert (code, {*statuses(found, "endpoints").values()}) == (Exit.DONE, {"ok"})
        assert "TLS verified" in found["endpoints/dli"]["message"]
    workspace.write("ca.pem", "no certificate")
    code, found = doctor(workspace)
    assert (code, found["endpoints/caFile"]["status"]) == (Exit.USAGE, "failed")
    workspace.write_project(caFile="missing.pem")
    code, found = doctor(workspace)
    assert (code, found["endpoints/configuration"]["status"]) == (Exit.USAGE, "failed")


@pytest.mark.parametrize(("status", "advice"), [(404, "region"), (429, "in a minute"), (400, "error codes")])
def test_advice_for_refusals(workspace: Workspace, proxy: FaultProxy, status: int, advice: str) -> None:
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    proxy.rule("GET", "/batches", says(status, {"error_code": "DLI.0001", "error_msg": "no"}))
    code, found = doctor(workspace)
    assert (code, found["permissions/list SparkBatch"]["status"]) == (Exit.ERROR, "failed")
    assert advice in found["permissions/list SparkBatch"]["advice"]


def test_a_read_of_one_job_is_refused(workspace: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    write_all(workspace)
    fill(emulator.url, "FlinkJar", ["clicks"])
    fill(emulator.url, "SparkBatch", ["daily"])
    proxy.rule("GET", "/tags", says(403, FORBIDDEN))
    proxy.rule("GET", "/batches/", says(400, {"error_code": "DLI.0002", "error_msg": "no such job"}))
    code, found = doctor(workspace)
    assert code == Exit.ERROR
    assert found["permissions/tags of FlinkJar"]["status"] == "failed"
    assert found["permissions/show FlinkJar"]["status"] == "ok"
    assert found["permissions/show SparkBatch"]["status"] in {"warning", "failed"}


# --- git --------------------------------------------------------------------------------------------------


@pytest.fixture
def committed(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A project with one commit."""
    without_settings(tmp_path / "home", monkeypatch)
    write_all(workspace)
    git(workspace.folder, "init", "--quiet")
    git(workspace.folder, "add", ".")
    git(workspace.folder, "commit", "--quiet", "--message", "one")
    return workspace


def test_a_clean_repository(committed: Workspace) -> None:
    _, found = doctor(committed)
    assert statuses(found, "git") == {
        "repository": "ok",
        "revision": "ok",
        "clone": "ok",
        ".deployer/ ignored": "ok",
        "shared state": "skipped",
    }
    assert found["git/revision"]["message"].endswith(", no uncommitted changes")
    assert found["git/clone"]["message"] == "complete"


def test_a_dirty_repository(committed: Workspace) -> None:
    committed.write("SparkBatch.yaml", "")
    code, found = doctor(committed)
    assert (code, found["git/revision"]["status"]) == (Exit.DONE, "warning")
    assert found["git/revision"]["message"].endswith("with uncommitted changes")


def test_a_shallow_clone(committed: Workspace, tmp_path: Path) -> None:
    git(committed.folder, "commit", "--quiet", "--allow-empty", "--message", "two")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", committed.folder.as_uri(), str(clone))
    shallow = Workspace(clone, committed.capture, committed.url)
    _, found = doctor(shallow)
    assert found["git/clone"]["message"].startswith("shallow: ")


def test_a_state_folder_that_is_not_ignored(committed: Workspace) -> None:
    committed.write(".deployer/journal.jsonl", "")
    _, found = doctor(committed)
    assert found["git/.deployer/ ignored"]["status"] == "warning"
    git(committed.folder, "add", ".deployer")
    code, found = doctor(committed)
    assert (code, found["git/.deployer/ ignored"]["status"]) == (Exit.ERROR, "failed")


def test_without_git(committed: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, found = doctor(committed)
    assert (code, found["git/program"]["status"]) == (Exit.DONE, "warning")


# --- doctor --contract --------------------------------------------------------------------------------------


def contract(workspace: Workspace) -> Any:
    ran = workspace.run("doctor", "--contract", "--format", "json")
    assert ran.code == Exit.DONE, ran
    return ran.json


def test_what_differs_is_found(workspace: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    write_all(workspace)
    fill(emulator.url, "SparkBatch", ["secret-name", "other-name"])

    def differ(answer: Any) -> None:
        for entry in answer["sessions"]:
            entry["priority"] = 3
            entry["create_time"] = str(entry["create_time"])
            entry["state"] = "hibernating"
            del entry["name"]

    proxy.rule("GET", r"/batches\?", changed(differ))
    report = contract(workspace)
    found = {
        (row["path"], row["what"]): row
        for row in report["differences"]
        if row["operation"] == "dli.batches.list"
    }
    assert {*found} == {
        ("sessions[].priority", "unknown field"),
        ("sessions[].create_time", "other type"),
        ("sessions[].name", "missing"),
        ("(state)", "unknown state"),
    }
    assert found["sessions[].priority", "unknown field"]["seen"] == "integer (1 digits)"
    assert found["(state)", "unknown state"]["seen"] == "hibernating"
    assert found["sessions[].name", "missing"]["count"] == found["sessions[].name", "missing"]["of"]


def test_nothing_private_is_in_the_report(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    names = ["acme-payroll", "acme-merger"]
    for kind in SPECS:
        fill(emulator.url, kind, names)

    def differ(answer: Any) -> None:
        for entry in answer["sessions"]:
            entry["acme-payroll"] = {"acme-queue": "acme-value"}
            entry["192.168.7.7"] = "host.acme.internal"
            entry["\x1b[2J<img src=x>|"] = "##vso[task.setvariable]"
            entry["state"] = "acme-payroll"
            entry["owner"] = 77_123_456
            entry["log"] = "acme log"
            entry["queue"] = ["acme-queue"]

    proxy.rule("GET", r"/batches", changed(lambda answer: differ(answer) if "sessions" in answer else None))
    proxy.rule(
        "GET", "/sessions", says(403, {"error_code": "acme-code", "error_msg": "acme-payroll is forbidden"})
    )
    write_all(workspace)
    for style in ("json", "markdown"):
        shown = workspace.run("doctor", "--contract", "--format", style).out
        assert "unknown field" in shown
        for private in ("acme", "192.168", "77123456", "c-1", TOKEN, workspace.url.removeprefix("http://")):
            assert private not in shown, private
        assert "\x1b" not in shown
        assert "<img" not in shown
        assert "##vso" not in shown


def test_a_contract_without_any_response(bare: Workspace) -> None:
    write_all(bare)
    ran = bare.run("doctor", "--contract")
    assert (ran.code, ran.out) == (Exit.ERROR, "")
    assert "no response could be compared" in ran.err


def test_the_contract_sends_a_refused_token_once(workspace: Workspace, proxy: FaultProxy) -> None:
    write_all(workspace)
    proxy.rule("GET", "/v", says(401, REFUSED))
    ran = workspace.run("doctor", "--contract")
    assert ran.code == Exit.ERROR
    assert len([call for call in proxy.calls if "X-Auth-Token" in call.headers]) == 1


def test_markdown_is_for_the_contract(workspace: Workspace) -> None:
    ran = workspace.run("doctor", "--format", "markdown")
    assert (ran.code, ran.err) == (Exit.USAGE, "error: --format markdown requires --contract\n")


@needs_shared
def test_recorded_responses(workspace: Workspace, proxy: FaultProxy) -> None:
    """The lists that the vendor's pages show, over HTTP: no field, type or state is unknown, and no value is shown."""
    write_all(workspace)
    rows = json.loads((SHARED / "recorded" / "responses.json").read_text("utf-8"))
    bodies = {row["api"]: row["body"] for row in reversed(rows) if row["status"] == 200}
    paths = {
        r"/batches\?": "dli.batches.list",
        r"/sessions\?": "dli.sessions.list",
        r"/streaming/jobs\?": "dli.flink.list",
        r"/job-executions\?": "mrs.job-executions.list",
    }
    for path, api in paths.items():
        proxy.rule("GET", path, says(200, bodies[api]))
    proxy.rule("GET", "", says(404, {"error_code": "DLI.0023", "error_msg": "not found"}))
    report = contract(workspace)
    assert {row["operation"] for row in report["coverage"]} == {*paths.values()}
    assert {row["what"] for row in report["differences"]} <= {"missing"}
    assert {row["verdict"] for row in report["questions"]} == {"yes", "no", "not seen", "not asked"}
    names = [job["job_name"] for job in bodies["mrs.job-executions.list"]["job_list"]]
    assert names
    assert [name for name in names if name in str(report)] == []
