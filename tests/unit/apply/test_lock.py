"""The lock: one apply at a time, released when its process ends, and the message about its owner."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployer.apply import provenance
from deployer.apply.lock import hold
from deployer.emulator import Emulator
from deployer.errors import DeployerError, Exit
from testing.faults import Answer, Call, FaultProxy
from testing.workspace import SPECS, Workspace, manifest

_HOLDER = """
import sys
from pathlib import Path
from deployer.apply.lock import hold
with hold(Path(sys.argv[1]), "test", "deployer apply -t test"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock, until it is told to go on, or killed."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def state(workspace: Workspace) -> Path:
    workspace.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    return workspace.folder / ".deployer"


def test_who_holds_it_is_said(workspace: Workspace, state: Path) -> None:
    with holder(state) as process:
        refused = workspace.apply("--set", "password=hunter2")
        assert refused.code == Exit.ERROR
        assert re.search(
            r"another apply of this project to target 'test' is running: "
            rf"started \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC by {re.escape(provenance.user())} "
            rf"\(pid {process.pid}\): deployer apply -t test; no changes made",
            refused.err,
        )
        process.communicate("\n")
        assert process.returncode == 0
    assert not (state / "test.lock.json").exists()
    assert workspace.apply().code == Exit.DONE


def test_a_killed_holder_leaves_no_lock(workspace: Workspace, state: Path) -> None:
    with holder(state) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (state / "test.lock.json").exists()
    assert workspace.apply("--set", "password=hunter2").code == Exit.DONE
    assert not (state / "test.lock.json").exists()


def test_the_command_is_told_without_its_values(
    workspace: Workspace, state: Path, emulator: Emulator
) -> None:
    contents: list[str] = []

    def look(call: Call) -> Answer:
        contents.append((state / "test.lock.json").read_text())
        return call.forward()

    with FaultProxy(emulator.url) as proxy:
        proxy.rule("POST", "batches", look)
        workspace.url = proxy.url
        workspace.write_project()
        assert workspace.apply("--set", "password=hunter2").code == Exit.DONE
    (owner,) = map(json.loads, contents)
    assert owner.keys() == {"user", "pid", "time", "command"}
    assert (owner["pid"], owner["command"]) == (os.getpid(), "deployer apply -t test")


def test_the_same_process_cannot_have_it_twice(tmp_path: Path) -> None:
    with hold(tmp_path, "prod", "deployer apply -t prod"):
        with pytest.raises(
            DeployerError, match=rf"\(pid {os.getpid()}\): deployer apply -t prod; no changes made"
        ):
            hold(tmp_path, "prod", "deployer cancel -t prod").__enter__()
        assert (tmp_path / "prod.lock.json").exists()


def test_targets_do_not_lock_each_other(tmp_path: Path) -> None:
    with hold(tmp_path, "a", "deployer apply -t a"), hold(tmp_path, "b", "deployer apply -t b"):
        pass


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "[" * 5000,
        '{"user": "ann@x", "pid": "1", "time": "t", "command": "c"}',
        '{"user": "ann@x", "pid": -1, "time": "t", "command": "c"}',
        '{"user": 1, "pid": 1, "time": "t", "command": "c"}',
        "a process that has ended",
    ],
)
def test_what_a_stale_file_says_is_not_believed(tmp_path: Path, content: str | None) -> None:
    with hold(tmp_path, "test", "deployer apply -t test"):
        file = tmp_path / "test.lock.json"
        file.unlink()
        if content == "a process that has ended":
            with subprocess.Popen([sys.executable, "-c", ""]) as gone:
                gone.wait()
            owner = {"user": provenance.user(), "pid": gone.pid, "time": "then", "command": "deployer apply"}
            content = json.dumps(owner)
        if content is not None:
            file.write_text(content)
        with pytest.raises(DeployerError, match=r"to target 'test' is running; no changes made$"):
            hold(tmp_path, "test", "deployer apply -t test").__enter__()


def test_the_file_is_for_a_terminal(workspace: Workspace, state: Path) -> None:
    with holder(state):
        owner = {"user": "ann@elsewhere\x1b[31m", "pid": 1, "time": "x" * 500, "command": "\u202eevil"}
        (state / "test.lock.json").write_text(json.dumps(owner))
        refused = workspace.apply()
    assert refused.code == Exit.ERROR
    assert "\\u001b[31m" in refused.err
    assert not re.search("\x1b|\u202e|x{300}", refused.err)


def test_a_folder_that_cannot_be_locked(tmp_path: Path) -> None:
    (tmp_path / "test.lock").mkdir()
    with pytest.raises(DeployerError, match=r"test\.lock"):
        hold(tmp_path, "test", "deployer apply -t test").__enter__()


def test_a_state_folder_that_leads_elsewhere_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """A link that somebody committed: nothing is written where it leads."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    workspace.folder.joinpath(".deployer").symlink_to(elsewhere)
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    applied = workspace.apply()
    assert (applied.code, applied.out, list(elsewhere.iterdir())) == (1, "", [])
    assert ".deployer must be a folder in the project, not a symbolic link" in applied.err
