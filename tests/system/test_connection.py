"""Addresses, proxies, credentials and errors of the client; test_faults.py has the other connection tests."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.cloud.responses import parse_error
from deployer.emulator import Emulator
from testing.faults import (
    DOUBTS,
    LOSSES,
    REFUSALS,
    Call,
    Fault,
    FaultProxy,
    changed,
    cut,
    listed,
    says,
    truncated,
)
from testing.workspace import SPECS, TOKEN, Workspace, manifest


def batch(workspace: Workspace, **more: Any) -> None:
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"], **more))


@pytest.mark.parametrize(
    ("answer", "pair"),
    [
        ({"error_code": "DLI.0001", "error_msg": "wrong"}, ("DLI.0001", "wrong")),
        ({"errorCode": "12000003", "errorMsg": "no cluster"}, ("12000003", "no cluster")),
        ({"error_code": "0168", "error_msg": "hive"}, ("0168", "hive")),
        ({"error_code": 168}, ("168", "")),
        ({"job_submit_result": {"error_code": "0173", "error_msg": "no"}}, ("0173", "no")),
        ({"job_submit_result": {"errorCode": "0173"}, "error_code": None}, ("0173", "")),
        ({"error_code": "", "error_msg": "", "job_submit_result": {"error_code": "0173"}}, ("0173", "")),
        (
            {"error_msg": "outer", "job_submit_result": {"error_code": "1", "error_msg": "inner"}},
            ("1", "inner"),
        ),
        ({"error_code": "APIGW.0301", "error_msg": "no", "request_id": "r"}, ("APIGW.0301", "no")),
        ({"error_code": "DLI.0001", "message": "in other words"}, ("DLI.0001", "in other words")),
        ({"error_msg": "a message alone"}, ("", "a message alone")),
        ({"error": {"code": 401, "message": "wrong", "title": "Unauthorized"}}, ("401", "wrong")),
        ({"error": "text"}, ("", "")),
        ({"job_submit_result": "text"}, ("", "")),
        ({"is_success": "true", "message": ""}, ("", "")),
        ({"error_code": None, "error_msg": None}, ("", "")),
        ([], ("", "")),
        (None, ("", "")),
        ("text", ("", "")),
    ],
)
def test_error_of(answer: Any, pair: tuple[str, str]) -> None:
    assert parse_error(answer) == pair


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error_code", "error_msg", "job_submit_result", "error", "code"]), inner
        )
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(anything)
def test_error_of_anything_is_two_texts(answer: Any) -> None:
    code, message = parse_error(answer)
    assert isinstance(code, str)
    assert isinstance(message, str)


# --- addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["plan", "apply", "status"])
def test_a_port_that_is_none(bare: Workspace, verb: str) -> None:
    bare.url = "https://example.com:99999"
    bare.write_project()
    batch(bare)
    refused = bare.run(verb, *(["--yes"] if verb == "apply" else []))
    assert (refused.code, refused.out) == (3, "")
    assert "https://example.com:99999" in refused.err


# Parsers read the host of the second one differently; and any of them would print the password.
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1@example.com",
        "http://example.com\\@127.0.0.1",
        "https://u:pw@h",
    ],
)
def test_an_endpoint_is_host_and_port(bare: Workspace, url: str) -> None:
    bare.url = url
    bare.write_project()
    batch(bare)
    refused = bare.run("plan")
    assert (refused.code, refused.out) == (4, "")
    assert "deployer.yaml" in refused.err


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_http_to_this_machine_is_fine(workspace: Workspace, emulator: Emulator, host: str) -> None:
    workspace.url = emulator.url.replace("127.0.0.1", host)
    workspace.write_project()
    batch(workspace)
    assert workspace.apply().code == 0


def test_a_plain_server_under_https_is_said(workspace: Workspace, emulator: Emulator) -> None:
    workspace.url = emulator.url.replace("http:", "https:")
    workspace.write_project()
    batch(workspace)
    ran = workspace.run("plan")
    assert ran.code == 1
    assert "the TLS connection failed; is this an https server?" in ran.out


def test_a_target_without_an_address(bare: Workspace) -> None:
    bare.write_project(endpoints={})
    batch(bare)
    ran = bare.run("plan")
    assert (ran.code, "has no region and no endpoint for dli" in ran.err) == (3, True)


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names an HTTP proxy at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, url)
        monkeypatch.setenv(name.upper(), url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("dead_proxy")
def test_a_proxy_of_the_environment_does_not_stand_before_this_machine(workspace: Workspace) -> None:
    batch(workspace)
    assert workspace.apply().code == 0


@pytest.mark.usefixtures("dead_proxy")
def test_a_proxy_that_is_dead_is_named_as_such(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYER_ALLOWED_HOSTS", "dli.example.com")
    bare.url = "https://dli.example.com"
    bare.write_project()
    batch(bare)
    ran = bare.run("plan")
    assert ran.code == 1
    assert "the configured proxy is unreachable" in ran.out


# --- credentials ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "  ", "\n"])
@pytest.mark.parametrize("variable", ["HW_AUTH_TOKEN", "HW_AUTH_TOKEN_PROD", "OS_AUTH_TOKEN"])
def test_a_missing_token_names_its_variable(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    monkeypatch.delenv("HW_AUTH_TOKEN")
    monkeypatch.setenv("DEPLOYER_AUTH_VARIABLES", "HW_AUTH_TOKEN_PROD")
    if value is not None:
        monkeypatch.setenv(variable, value)
    bare.write_project(auth={"method": "token", "variable": variable})
    batch(bare)
    for ran in (bare.run("plan"), bare.apply(), bare.run("status")):
        assert (ran.code, ran.out) == (1, "")
        assert f"the environment variable {variable} does not contain a token" in ran.err
    assert bare.run("validate").code == 0


def test_each_target_may_have_its_own_variable(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy
) -> None:
    monkeypatch.setenv("HW_AUTH_TOKEN", "not-the-one-for-prod")
    monkeypatch.setenv("HW_AUTH_TOKEN_PROD", f"{TOKEN}\n")
    monkeypatch.setenv("DEPLOYER_AUTH_VARIABLES", "HW_AUTH_TOKEN_TEST, HW_AUTH_TOKEN_PROD")
    workspace.write_project(auth={"method": "token", "variable": "HW_AUTH_TOKEN_PROD"})
    batch(workspace)
    assert workspace.apply().code == 0
    assert {call.headers["X-Auth-Token"] for call in proxy.calls} == {TOKEN}


@pytest.mark.parametrize("token", ["one\ntwo", "one\r\nX-Evil: 1", "one\ttwo", "clé", "one\x7f"])
def test_a_token_that_no_header_may_hold(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HW_AUTH_TOKEN", token)
    batch(bare)
    ran = bare.run("plan")
    assert (ran.code, ran.out) == (1, "")
    assert "HW_AUTH_TOKEN is not valid as a token" in ran.err
    assert "one" not in ran.err


def test_netrc_is_not_read(workspace: Workspace, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = workspace.write("netrc", "machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    batch(workspace)
    assert workspace.apply().code == 0
    assert not any("Authorization" in call.headers for call in proxy.calls)


SENTINEL = "MIIsentinel0token1that2nobody3may4see"


def repeats_the_token(status: int, *, header: bool = False) -> Fault:
    """A service that says what it was sent, as some do with a token that they do not like."""

    def fault(call: Call) -> Any:
        token = call.headers["X-Auth-Token"]
        body = {"error_code": "APIGW.0301", "error_msg": f"{'x' * 490} token {token} of {call.headers}"}
        return says(status, body, {"X-Request-Id": token} if header else None)(call)

    return fault


EVERY_FAULT: dict[str, Fault] = {
    **REFUSALS,
    **{name: make(False) for name, make in {**DOUBTS, **LOSSES}.items()},
    "cut": cut,
    "truncated": truncated,
    "repeats it with 401": repeats_the_token(401),
    "repeats it with 500": repeats_the_token(500),
    "repeats it with 200": repeats_the_token(200),
    "repeats it as the request id": repeats_the_token(403, header=True),
}


@pytest.mark.parametrize("fault", EVERY_FAULT)
def test_the_token_is_in_no_output(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, fault: str
) -> None:
    monkeypatch.setenv("HW_AUTH_TOKEN", SENTINEL)
    bare.write("all.yaml", [manifest(kind, kind, spec) for kind, spec in SPECS.items()])
    with Emulator(tmp_path / "other.db") as anyones, FaultProxy(anyones.url) as proxy:
        bare.url = proxy.url
        bare.write_project()
        for method in ("POST", "GET"):
            proxy.clear()
            proxy.rule(method, "", EVERY_FAULT[fault])
            verbs = (["plan", "--format", "json"], ["apply", "--yes"], ["status"])
            for arguments in verbs if method == "GET" else verbs[1:2]:
                ran = bare.run(*arguments)
                assert ran.code != 0 or method == "POST"
                assert SENTINEL not in ran.out + ran.err
                assert "Traceback" not in ran.out + ran.err
        assert proxy.calls[0].headers["X-Auth-Token"] == SENTINEL


# --- what errors say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            says(400, {"error_code": "DLI.0001", "error_msg": "wrong"}, {"X-Request-Id": "req-7"}),
            "HTTP 400 (request id req-7): DLI.0001 wrong",
        ),
        (
            says(401, {"error_code": "APIGW.0301", "error_msg": "no", "request_id": "req-8"}),
            "HTTP 401 (request id req-8): APIGW.0301 no; check the token in HW_AUTH_TOKEN: tokens are valid for",
        ),
        (says(200, {"error_code": "0166"}, {"X-Request-Id": "req-9"}), "HTTP 200 (request id req-9): 0166"),
        (says(400, {"error_msg": "a message alone"}), "HTTP 400: a message alone"),
        (says(404, "<html>" + "x" * 999), "HTTP 404: Not Found"),
        (says(400, {"error_code": "1", "error_msg": "x" * 999}), "x... (1001 characters)"),
        (says(400, {"error_code": "1", "error_msg": "fs.obs.secret.key=abc is wrong"}), "secret.key=*** is"),
        (says(302, "", {"Location": "https://evil.example"}), "HTTP 302: Found; redirects are not followed"),
        (says(200, "<html>"), "HTTP 200: the response is not JSON"),
    ],
)
def test_what_is_said_of_a_refusal(workspace: Workspace, proxy: FaultProxy, fault: Fault, words: str) -> None:
    batch(workspace)
    proxy.rule("GET", "", fault)
    [note] = workspace.plan()["errors"]
    assert words in note["message"]
    assert note["message"].startswith(f"GET {proxy.url}/v2.0/pid/batches: ")


def test_the_request_id_of_a_lost_create_is_shown(workspace: Workspace, proxy: FaultProxy) -> None:
    batch(workspace)
    proxy.rule("POST", "", says(502, "", {"X-Request-Id": "req-7"}))
    out = workspace.apply().out
    assert "outcome unknown: the request may have been executed; the job is not listed yet (POST " in out
    assert "HTTP 502 (request id req-7): Bad Gateway); check with: deployer plan" in out


def test_what_is_sent(workspace: Workspace, proxy: FaultProxy) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    batch(workspace)
    workspace.apply()
    [post] = [call for call in proxy.calls if call.method == "POST"]
    assert json.loads(post.body) == {**SPECS["SparkBatch"], "name": "alpha"}
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["User-Agent"].startswith("deployer/")


def test_a_place_cannot_lead_out_of_its_path(workspace: Workspace, proxy: FaultProxy) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    cluster = "../../x?y#z/ä"
    spec = {**SPECS["MrsJob"], "cluster_id": cluster}
    workspace.write("one.yaml", manifest("MrsJob", "alpha", spec))
    assert workspace.run("plan").code in {0, 4}
    quoted = "/v2/pid/clusters/..%2F..%2Fx%3Fy%23z%2F%C3%A4/job-executions"
    assert {call.path.partition("?")[0] for call in proxy.calls} <= {quoted}


HOSTILE = "no\r\nApplied: 9 done.\x1b[2K\x07\u202e"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("GET", ["plan"]),
        ("GET", ["plan", "--format", "markdown"]),
        ("GET", ["apply", "--yes"]),
        ("POST", ["apply", "--yes"]),
        ("GET", ["status"]),
    ],
)
def test_what_a_service_says_is_one_plain_line(
    workspace: Workspace, proxy: FaultProxy, method: str, arguments: list[str]
) -> None:
    batch(workspace)
    proxy.rule(method, "", says(400, {"error_code": HOSTILE, "error_msg": HOSTILE}))
    ran = workspace.run(*arguments)
    assert "Applied: 9" in ran.out + ran.err
    assert all(line.isprintable() for line in (ran.out + ran.err).split("\n") if line)
    assert "\nApplied: 9" not in ran.out + ran.err


# --- odd answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Wed, 03 Jul 2024 09:46:40 -0000", "Wed, 99 Jul 2024 09:46:40 GMT"]
)
def test_a_date_header_can_be_anything(workspace: Workspace, proxy: FaultProxy, date: str) -> None:
    batch(workspace, lifecycle={"rerun": "2024-07-01T00:00:00Z"})
    proxy.rule("GET", "", lambda call: _dated(call, date))
    planned = workspace.plan()
    if date.endswith("-0000"):
        assert planned["summary"]["create"] == 1
    else:
        assert ["the service did not report its time" in note["message"] for note in planned["errors"]] == [
            True
        ]


def _dated(call: Call, date: str) -> Any:
    return says(200, call.forward().json, {"Date": date} if date else {})(call)


ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing in it": ("SparkBatch", {}),
    "no id": (
        "SparkBatch",
        {"id": None, "name": "alpha", "queue": "q", "state": "success", "req_body": "{}"},
    ),
    "a huge time": ("SparkBatch", {"id": "x", "create_time": 10**18}),
    "a time in words": ("SparkBatch", {"id": "x", "create_time": "yesterday"}),
    "a body that is no JSON": ("SparkBatch", {"id": "x", "name": "alpha", "queue": "q", "req_body": "{"}),
    "a body that is a list": ("SparkBatch", {"id": "x", "name": "alpha", "queue": "q", "req_body": "[]"}),
    "numbers for texts": ("SparkBatch", {"id": 7, "name": 8, "queue": 9, "state": 10}),
    "half a surrogate pair": ("SparkBatch", {"id": "\ud800", "name": "\ud800", "state": "\ud800"}),
    "an infinite time": ("SparkBatch", {"id": "x", "create_time": float("inf")}),
    "a list for a size": ("SparkBatch", {"id": "x", "req_body": "{}", "sc_type": ["A"]}),
    "a list for a session's size": ("SparkSession", {"id": "x", "sc_type": ["A"]}),
    "a map for a state": ("SparkSession", {"id": "x", "state": {}}),
    "a text for a config": ("FlinkJar", {"job_id": 1, "name": "alpha", "job_config": "none"}),
    "a list for a config": ("FlinkJar", {"job_id": 1, "name": "alpha", "job_config": [1]}),
    "an id in words": ("FlinkJar", {"job_id": "x", "name": "alpha", "status": "job_init", "job_config": {}}),
    "arguments as a number": ("MrsJob", {"job_id": "x", "job_name": "alpha", "arguments": 7}),
    "properties as a list": ("MrsJob", {"job_id": "x", "arguments": "[]", "properties": [1]}),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_can_be_anything(workspace: Workspace, proxy: FaultProxy, entry: str) -> None:
    kind, value = ENTRIES[entry]
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))

    def adds(answer: dict[str, Any]) -> None:
        holder = answer["job_list"] if kind == "FlinkJar" else answer
        holder[{"FlinkJar": "jobs", "MrsJob": "job_list"}.get(kind, "sessions")].append(value)
        total = {"FlinkJar": "total_count", "MrsJob": "total_record"}.get(kind, "total")
        holder[total] += 1

    proxy.rule("GET", "", changed(adds))
    for style in ("text", "json", "markdown"):
        assert workspace.run("plan", "--format", style).code == 0
    assert workspace.run("status").code == 0
    assert workspace.apply().code in {0, 1, 5}


def test_a_draft_with_an_id_that_is_none_is_not_started(workspace: Workspace, proxy: FaultProxy) -> None:
    stream = manifest("FlinkJar", "alpha", SPECS["FlinkJar"])
    workspace.write("one.yaml", {**stream, "lifecycle": {"state": "stopped"}})
    workspace.apply()
    workspace.write("one.yaml", stream)
    proxy.clear()
    proxy.rule("GET", "", changed(lambda body: body["job_list"]["jobs"][0].update(job_id="x")))
    applied = workspace.apply()
    assert (applied.code, proxy.count("POST")) == (1, 0)
    assert "'x' is not a valid job id" in applied.out


def test_a_body_that_is_no_json_is_not_sent(workspace: Workspace, proxy: FaultProxy) -> None:
    machine = {"resource_config": {"jobmanager_resource_spec": {"cpu": float("nan")}}}
    spec = {**SPECS["FlinkJar"], "resource_config_version": "v2", **machine}
    workspace.write("one.yaml", manifest("FlinkJar", "alpha", spec))
    applied = workspace.apply()
    assert (applied.code in {1, 4}, proxy.count("POST")) == (True, 0)


def test_an_answer_can_be_deep(workspace: Workspace, proxy: FaultProxy) -> None:
    batch(workspace)
    proxy.rule("GET", "", says(200, "[" * 100_000))
    assert workspace.run("plan").code == 1


def test_the_emulator_is_asked_as_the_tests_think(workspace: Workspace, emulator: Emulator) -> None:
    workspace.write("all.yaml", [manifest(kind, kind, spec) for kind, spec in SPECS.items()])
    workspace.apply()
    assert [len(listed(emulator.url, kind)) for kind in SPECS] == [1, 1, 1, 1]
