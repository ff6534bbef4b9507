"""A pull request, which changes deployer.yaml only, and the credentials and secrets of the machine that plans it."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import FaultProxy
from testing.workspace import ROOT, SPECS, TOKEN, Workspace, manifest

TLS = ROOT / "tests" / "cases" / "tls"
PASSWORD = {"HW_USER_NAME": "ann", "HW_USER_PASSWORD": "hunter2", "HW_DOMAIN_NAME": "shop"}
KEY = {"HW_ACCESS_KEY": "ak", "HW_SECRET_KEY": "hunter2"}
VERBS = [
    ["plan"],
    ["apply", "--yes"],
    ["status"],
    ["logs"],
    ["cancel", "--yes", "--all"],
    ["wait", "--timeout", "1s"],
    ["import", "--all"],
]


class _Recorder(BaseHTTPRequestHandler):
    seen: list[str]

    def _record(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append(f"{self.requestline}\n{self.headers}\n{body.decode()}")
        answer = b'{"sessions": [], "total": 0}'
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = _record  # noqa: N815 - their names in the library

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def seen() -> list[str]:
    """What arrived at `elsewhere`."""
    return []


@pytest.fixture
def elsewhere(seen: list[str]) -> Iterator[int]:
    """The port of a server that is under TLS, on this machine, and records everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    handler = type("Handler", (_Recorder,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch, elsewhere: int) -> list[str]:
    """The names that were looked up: all of them are those of `elsewhere`, and no name service is asked."""
    names: list[str] = []
    lookup = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        names.append(str(host))
        return lookup("127.0.0.1", elsewhere if port == 443 else port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return names


@pytest.fixture
def attacked(bare: Workspace, resolved: list[str]) -> Workspace:
    """A project with one job; `resolved` and `seen` are what left it."""
    assert resolved == []
    bare.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    bare.write("ca.pem", (TLS / "cert.pem").read_text())
    return bare


def credentials(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("HW_")]:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)


# --- hosts --------------------------------------------------------------------------------------------------

ATTACKS: dict[str, dict[str, Any]] = {
    "evil.example": {"endpoints": {"dli": "https://evil.example"}, "region": "cn-north-4"},
    "evil.example:8443": {"endpoints": {"dli": "https://evil.example:8443"}},
    "iam.evil.example": {"endpoints": {"iam": "https://iam.evil.example"}, "region": "cn-north-4"},
    "evil.obs.cn-north-4.myhuaweicloud.com": {
        "endpoints": {"dli": "https://evil.obs.cn-north-4.myhuaweicloud.com"}
    },
    "dli.obs.myhuaweicloud.com": {"endpoints": {}, "region": "obs"},
    "dli.cn-north-4.myhuaweicloud.com:8443": {
        "endpoints": {"dli": "https://dli.cn-north-4.myhuaweicloud.com:8443"}
    },
    "127.0.0.1.evil.example": {"endpoints": {"dli": "https://127.0.0.1.evil.example"}},
}


@pytest.mark.parametrize(
    "given", [{"HW_AUTH_TOKEN": "hunter2"}, PASSWORD, KEY], ids=["token", "password", "key"]
)
@pytest.mark.parametrize("host", ATTACKS)
def test_no_host_that_only_the_repository_names_is_connected(
    attacked: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    resolved: list[str],
    seen: list[str],
    host: str,
    given: dict[str, str],
) -> None:
    credentials(monkeypatch, given)
    attacked.write_project(**ATTACKS[host], auth={}, projectId="", caFile="ca.pem")
    attacked.write(
        "deployer.yaml", (attacked.folder / "deployer.yaml").read_text().replace("projectId: ''", "")
    )
    for verb in VERBS if host == "evil.example" else VERBS[:1]:
        ran = attacked.run(*verb)
        assert (ran.code, ran.out) == (3, ""), ran
        assert f"credentials are not sent to {host}: " in ran.err
        assert f"set DEPLOYER_ALLOWED_HOSTS={host} outside the repository" in ran.err
        assert "hunter2" not in ran.err
    assert (resolved, seen) == ([], [])


@pytest.mark.parametrize("options", [[], ["--contract"]])
@pytest.mark.parametrize("host", ATTACKS)
def test_doctor_connects_no_such_host_either(
    attacked: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    resolved: list[str],
    seen: list[str],
    host: str,
    options: list[str],
) -> None:
    credentials(monkeypatch, {"HW_AUTH_TOKEN": "hunter2"})
    attacked.write_project(**ATTACKS[host], caFile="ca.pem")
    ran = attacked.run("doctor", *options)
    assert ran.code == 3
    assert f"credentials are not sent to {host}: " in ran.out + ran.err
    assert "hunter2" not in ran.out + ran.err
    assert (resolved, seen) == ([], [])


def test_the_host_is_refused_before_a_credential_is_looked_for(
    attacked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials(monkeypatch, {})
    attacked.write_project(endpoints={"dli": "https://evil.example"})
    ran = attacked.run("plan")
    assert (ran.code, "credentials are not sent to evil.example" in ran.err) == (3, True)


@pytest.mark.parametrize(
    "region", ["x@evil.example/", "evil.example/", "cn-north-4.evil.example:443", "x\ny"]
)
def test_a_region_is_no_part_of_an_address(
    attacked: Workspace, resolved: list[str], seen: list[str], region: str
) -> None:
    attacked.write_project(endpoints={}, region=region)
    ran = attacked.run("plan")
    assert (ran.code, "'region' must match" in ran.err) == (4, True)
    assert (resolved, seen) == ([], [])


def test_http_to_a_named_host_is_refused(attacked: Workspace, resolved: list[str]) -> None:
    attacked.write_project(endpoints={"dli": "http://dli.example.com:8080"})
    ran = attacked.run("plan")
    assert ran.code == 3
    assert "http://dli.example.com must use https because requests carry credentials" in ran.err
    assert "set DEPLOYER_ALLOWED_HOSTS=http://dli.example.com:8080 outside the repository" in ran.err
    assert resolved == []


def test_what_the_message_advises_is_enough(
    attacked: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP to a named host; its name stands for this machine."""
    port = int(emulator.url.rsplit(":", 1)[1])
    attacked.write_project(endpoints=dict.fromkeys(("dli", "mrs"), f"http://dli.example.com:{port}"))
    monkeypatch.setenv("DEPLOYER_ALLOWED_HOSTS", f"http://dli.example.com:{port}")
    assert attacked.apply().code == 0


def test_an_allowed_host_may_have_its_own_certificate(
    attacked: Workspace, monkeypatch: pytest.MonkeyPatch, resolved: list[str], seen: list[str]
) -> None:
    """So the recorder does record; its certificate is for 127.0.0.1, not for the name."""
    attacked.write_project(endpoints={"dli": "https://dli.example.com"}, caFile="ca.pem")
    monkeypatch.setenv("DEPLOYER_ALLOWED_HOSTS", "dli.example.com")
    ran = attacked.run("plan")
    assert (ran.code, "the server certificate is not trusted" in ran.out) == (1, True)
    assert (set(resolved), seen) == ({"dli.example.com"}, [])


def test_this_machine_may_have_its_own_certificate(
    attacked: Workspace, elsewhere: int, seen: list[str]
) -> None:
    attacked.write_project(endpoints={"dli": f"https://127.0.0.1:{elsewhere}"}, caFile="ca.pem")
    assert attacked.run("plan").code == 0
    assert [f"X-Auth-Token: {TOKEN}" in text for text in seen] == [True] * len(seen)
    assert seen


def test_an_own_certificate_for_the_vendor_is_refused(
    attacked: Workspace, resolved: list[str], seen: list[str]
) -> None:
    attacked.write_project(endpoints={}, region="cn-north-4", caFile="ca.pem")
    ran = attacked.run("plan")
    assert (ran.code, ran.out) == (3, "")
    assert "caFile is not accepted for dli.cn-north-4.myhuaweicloud.com, an endpoint of the vendor" in ran.err
    assert (resolved, seen) == ([], [])


@pytest.mark.parametrize("file", ["../ca.pem", "/etc/hosts", "link", "."])
def test_a_ca_file_is_a_file_of_the_project(
    attacked: Workspace, elsewhere: int, seen: list[str], file: str
) -> None:
    (attacked.folder.parent / "ca.pem").write_text((TLS / "cert.pem").read_text())
    (attacked.folder / "link").symlink_to("../ca.pem")
    attacked.write_project(endpoints={"dli": f"https://127.0.0.1:{elsewhere}"}, caFile=file)
    ran = attacked.run("plan")
    assert (ran.code, f"invalid caFile {file}: is outside " in ran.err, seen) == (3, True, [])


def test_the_iam_of_the_environment_needs_to_be_allowed_too(
    attacked: Workspace, monkeypatch: pytest.MonkeyPatch, resolved: list[str], seen: list[str]
) -> None:
    credentials(monkeypatch, {**PASSWORD, "HW_AUTH_URL": "https://iam.evil.example/v3"})
    attacked.write_project(endpoints={}, region="cn-north-4", auth={"method": "password"})
    ran = attacked.run("plan")
    assert (ran.code, "credentials are not sent to iam.evil.example: " in ran.err) == (3, True)
    assert "hunter2" not in ran.err
    assert (resolved, seen) == ([], [])


def test_an_invalid_entry_is_reported(attacked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYER_ALLOWED_HOSTS", "*.example.com")
    ran = attacked.run("plan")
    assert (ran.code, "DEPLOYER_ALLOWED_HOSTS: '*.example.com' is invalid" in ran.err) == (3, True)


def test_a_token_variable_is_named_outside(
    workspace: Workspace, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another project's, on a machine that serves several."""
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    monkeypatch.setenv("HW_AUTH_TOKEN_PAYROLL", TOKEN)
    workspace.write_project(auth={"variable": "HW_AUTH_TOKEN_PAYROLL"})
    ran = workspace.run("plan")
    assert (ran.code, proxy.calls) == (3, [])
    assert "auth.variable HW_AUTH_TOKEN_PAYROLL is not allowed" in ran.err
    assert "set DEPLOYER_AUTH_VARIABLES=HW_AUTH_TOKEN_PAYROLL outside the repository" in ran.err
    monkeypatch.setenv("DEPLOYER_AUTH_VARIABLES", "HW_AUTH_TOKEN_PAYROLL")
    assert workspace.run("plan").code == 0


# --- secrets ------------------------------------------------------------------------------------------------


def stealing(workspace: Workspace, secrets: dict[str, Any]) -> None:
    workspace.project["secrets"] = secrets
    workspace.write_project()
    arguments = [f'{{{{ secret("{name}") }}}}' for name in secrets]
    spec = {**SPECS["SparkBatch"], "args": arguments}
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", spec))


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ({"file": "/proc/self/environ"}, ""),
        ({"file": "/proc/self/environ"}, "{outside}"),
        ({"file": "/proc/self/environ"}, "/"),
        ({"file": "environ"}, "/proc/self"),
        ({"file": "../../../../../../../proc/self/environ"}, "{outside}"),
        ({"file": "link"}, "{outside}"),
        ({"file": "link"}, "{project}"),
        ({"file": "deployer.yaml"}, "{project}"),
        ({"file": "deployer.yaml"}, "."),
        ({"file": "/dev/stdin"}, "{outside}"),
        ({"variable": "GITHUB_TOKEN"}, ""),
        ({"variable": "DEPLOYER_EMULATOR_TOKEN"}, ""),
        ({"variable": "PATH"}, ""),
    ],
    ids=str,
)
def test_nothing_of_the_machine_is_sent(
    workspace: Workspace,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    source: dict[str, str],
    folder: str,
) -> None:
    (tmp_path / "outside").mkdir()
    (workspace.folder / "link").symlink_to("/proc/self/environ")
    monkeypatch.setenv("GITHUB_TOKEN", "hunter2")
    monkeypatch.setenv("DEPLOYER_EMULATOR_TOKEN", "hunter2")
    monkeypatch.setenv(
        "DEPLOYER_SECRETS_DIR", folder.format(outside=tmp_path / "outside", project=workspace.folder)
    )
    stealing(workspace, {"X": source})
    ran = workspace.apply()
    assert ran.code == 1
    assert "error: secret 'X': the " in ran.err
    assert proxy.count("POST") == 0
    planned = workspace.plan()["secrets"]
    assert [secret["name"] for secret in planned] == ["X"]
    assert planned[0]["status"] not in {"set", "not set"}


def test_a_secret_of_the_name_alone_is_not_the_variable_of_that_name(
    workspace: Workspace, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "hunter2")
    stealing(workspace, {"GITHUB_TOKEN": {}})
    ran = workspace.apply()
    assert (ran.code, proxy.count("POST")) == (1, 0)
    assert "the variable DEPLOYER_SECRET_GITHUB_TOKEN is not set (the variable GITHUB_TOKEN is: " in ran.err


def test_secrets_from_outside_are_sent(
    workspace: Workspace, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "password.txt").write_text("of-the-file\n")
    for name, value in {
        "DEPLOYER_SECRET_A": "prefixed",
        "DEPLOYER_SECRET_OF_B": "named",
        "LISTED": "listed",
        "DEPLOYER_SECRETS_VARIABLES": "LISTED",
        "DEPLOYER_SECRETS_DIR": str(tmp_path / "db"),
    }.items():
        monkeypatch.setenv(name, value)
    sources = {
        "B": {"variable": "DEPLOYER_SECRET_OF_B"},
        "C": {"variable": "LISTED"},
        "D": {"file": "password.txt"},
    }
    stealing(workspace, {"A": None, **sources, "LISTED": {}})
    assert workspace.apply().code == 0
    [created] = [call for call in proxy.calls if call.method == "POST"]
    assert json.loads(created.body)["args"] == ["prefixed", "named", "listed", "of-the-file", "listed"]


def test_the_plan_names_the_secrets_and_their_fields(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYER_SECRET_JAR", "obs://b/hunter2.jar")
    workspace.project["secrets"] = {"JAR": {}, "DB": {"file": "db.txt"}, "UNUSED": {}}
    workspace.write_project()
    spec = {**SPECS["SparkBatch"], "file": '{{ secret("JAR") }}', "conf": {"spark.x": 'p={{ secret("DB") }}'}}
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", spec))
    new = workspace.run("plan")
    shown = [line.split() for line in new.out.splitlines()]
    assert ["file", "+", '"secret(JAR)"'] in shown
    assert ['conf."spark.x"', "+", '"secret(DB)"'] in shown
    assert (
        "Secrets:\n"
        "  DB: file db.txt in DEPLOYER_SECRETS_DIR is not allowed: DEPLOYER_SECRETS_DIR is not set; set it to "
        "a folder outside the project\n"
        "  JAR: variable DEPLOYER_SECRET_JAR is set\n"
    ) in new.out
    markdown = workspace.run("plan", "--format", "markdown").out
    assert "<summary><b>Secrets (" in markdown
    assert "\nDB: file db.txt" in markdown
    assert '+   file: "secret(JAR)"' in markdown
    plan = workspace.plan()
    [change] = plan["changes"]
    assert change["secrets"] == [
        {"path": "/file", "names": ["JAR"]},
        {"path": "/conf/spark.x", "names": ["DB"]},
    ]
    assert [secret["name"] for secret in plan["secrets"]] == ["DB", "JAR"]
    for text in (new.out, markdown, json.dumps(plan)):
        assert "hunter2" not in text


def test_a_field_with_a_secret_is_said_not_to_be_compared(
    workspace: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYER_SECRET_JAR", "obs://b/hunter2.jar")
    workspace.project["secrets"] = {"JAR": {}}
    workspace.write_project()
    spec = {**SPECS["SparkBatch"], "file": '{{ secret("JAR") }}', "args": ["--day", "1"]}
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", spec, lifecycle={"onChange": "submit"}))
    assert workspace.apply().code == 0
    unchanged = workspace.run("plan")
    assert ("secret(JAR)" in unchanged.out, "Secrets:" in unchanged.out) == (False, False)
    spec["args"] = ["--day", "2", '{{ secret("JAR") }}']
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", spec, lifecycle={"onChange": "submit"}))
    ran = workspace.run("plan")
    assert "    file  secret(JAR), not compared\n" in ran.out
    assert "    args[2]  secret(JAR)\n" in ran.out
    markdown = workspace.run("plan", "--format", "markdown").out
    assert "!   file: secret(JAR), not compared\n" in markdown
    assert "hunter2" not in ran.out + markdown


def test_a_plan_that_was_approved_has_the_sources_of_its_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not whether they are set: the machine that plans may not have them."""
    stealing(workspace, {"A": {}})
    digest = workspace.plan()["digest"]
    monkeypatch.setenv("DEPLOYER_SECRET_A", "hunter2")
    assert workspace.plan()["digest"] == digest
    stealing(workspace, {"A": {"variable": "DEPLOYER_SECRET_PAYROLL"}})
    assert workspace.plan()["digest"] != digest
    ran = workspace.apply("--expect", digest)
    assert (ran.code, "the plan has changed" in ran.err) == (6, True)
