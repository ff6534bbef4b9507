"""`deployer emulator` as a separate process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from deployer.errors import Exit
from testing.workspace import SPECS, TOKEN, Workspace, manifest

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command with options of its own."""
    with ExitStack() as stack:

        def start(*options: str) -> subprocess.Popen[str]:
            db = str(tmp_path / "own.db")
            command = [sys.executable, "-m", "deployer", "emulator", "--db", db, *options]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def server(start: Start) -> subprocess.Popen[str]:
    return start("--token", TOKEN)


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("listening on http://127.0.0.1:")
    return first.split()[-1]


def test_it_serves_until_it_is_interrupted(server: subprocess.Popen[str], bare: Workspace) -> None:
    bare.url = url_of(server)
    bare.write_project()
    bare.write("jobs.yaml", [manifest(kind, f"a-{kind.lower()}", spec) for kind, spec in SPECS.items()])
    assert bare.apply().code == Exit.DONE
    refused = requests.get(f"{bare.url}/v2.0/pid/batches", headers={"X-Auth-Token": "another"}, timeout=10)
    assert refused.status_code == 401
    assert bare.run("plan", "--detailed-exitcode").code == Exit.DONE
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate()
    assert (server.returncode, errors.lstrip()) == (Exit.INTERRUPTED, "interrupted\n")


def test_credentials_from_the_environment_and_faults_from_a_file(
    start: Start, bare: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AK", "SK", "USER", "PASSWORD"):
        monkeypatch.setenv(f"DEPLOYER_EMULATOR_{name}", name.lower())
    faults = [{"path": "/batches", "nth": 2, "status": 429, "headers": {"Retry-After": "1"}}]
    url = url_of(start("--faults", str(bare.write("faults.yaml", [faults]))))
    listing = f"{url}/v2.0/pid/batches"
    assert requests.get(listing, timeout=10).status_code == 401

    def sign_in(password: str) -> requests.Response:
        user = {"name": "user", "password": password}
        identity = {"methods": ["password"], "password": {"user": user}}
        return requests.post(f"{url}/v3/auth/tokens", json={"auth": {"identity": identity}}, timeout=10)

    assert sign_in("guess").status_code == 401
    token = {"X-Auth-Token": sign_in("password").headers["X-Subject-Token"]}
    throttled = requests.get(listing, headers=token, timeout=10)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "1")
    assert requests.get(listing, headers=token, timeout=10).status_code == 200
    unknown = {"Authorization": f"SDK-HMAC-SHA256 Access=other, SignedHeaders=host, Signature={'0' * 64}"}
    assert "ak not exist" in requests.get(listing, headers=unknown, timeout=10).text


def test_a_port_that_is_taken(server: subprocess.Popen[str], bare: Workspace) -> None:
    port = url_of(server).rpartition(":")[2]
    ran = bare.run("emulator", "--port", port)
    assert ran.code == Exit.ERROR
    assert "cannot start" in ran.err


def test_a_database_that_is_none(bare: Workspace) -> None:
    bare.write("notes.txt", "this is not a database, however long it gets " * 100)
    ran = bare.run("emulator", "--db", "notes.txt")
    assert ran.code == Exit.ERROR
    assert "notes.txt" in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ak", "key"), "--ak and --sk must be given together"),
        (("--password", "secret"), "--user and --password must be given together"),
        (("--running", "0"), "--running"),
        (("--faults", "none.yaml"), "none.yaml"),
        (("--faults", "broken.yaml"), "broken.yaml: "),
        (("--faults", "one.yaml"), "one.yaml: expected a list of faults"),
        (("--faults", "wrong.yaml"), "wrong.yaml: fault 1: status must be an integer"),
    ],
)
def test_options_that_make_no_sense(bare: Workspace, options: tuple[str, ...], message: str) -> None:
    bare.write("broken.yaml", "- {")
    bare.write("one.yaml", {"status": 500})
    bare.write("wrong.yaml", [[{"status": "500"}]])
    ran = bare.run("emulator", *options)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert message in ran.err
    assert not (bare.folder / "emulator.db").exists()


def test_two_on_one_database_are_an_error(start: Start, tmp_path: Path, bare: Workspace) -> None:
    """Whether the other is a second server, or inside of a command; commands may share theirs."""
    url_of(start())
    second = start()
    _, errors = second.communicate()
    assert second.returncode == Exit.ERROR
    assert errors == (
        f"error: cannot start the emulator (port 0, {tmp_path / 'own.db'}): another emulator uses this database\n"
    )
    bare.targets = {"local": {"emulator": True}}
    bare.write_project()
    bare.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    (bare.folder / ".deployer").mkdir()
    third = start("--db", str(bare.folder / ".deployer" / "local.db"))
    url_of(third)
    ran = bare.run("plan", "-t", "local")
    assert ran.code == Exit.ERROR
    assert "another emulator uses this database" in ran.err
    third.send_signal(signal.SIGINT)
    third.communicate()
    assert bare.run("plan", "-t", "local").code == Exit.DONE
