"""`deployer emulator`: the server as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import SPECS, TOKEN, Workspace, manifest

from deployer.errors import Exit


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "deployer", "emulator", "--db", tmp_path / "own.db", "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


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
