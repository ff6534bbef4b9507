"""The real command with `state: git`, a remote over HTTP that can go wrong, and several checkouts of it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import Answer, Call, Fault, FaultProxy, hangs_up, interrupts, listed, says
from testing.git_server import (
    LIST_FOR_FETCH,
    LIST_FOR_PUSH,
    PUSH,
    GitServer,
    Held,
    Remote,
    bare_repository,
    checkout,
    git,
    publish,
    recorded_git,
    without_settings,
)
from testing.live import create
from testing.workspace import SPECS, Ran, Workspace, manifest

REF = "refs/deployer/tests/test"
TOKEN = "a-token-of-the-host"  # noqa: S105
CREDENTIALS = f"x-access-token:{TOKEN}"
BASIC = base64.b64encode(CREDENTIALS.encode()).decode()

LOCK = {
    "run": "ba9876543210",
    "lease": 180,
    "author": "another@machine",
    "since": "2026-11-21 10:00:00 UTC",
    "command": "deployer apply -t test",
    "nonce": "1",
    "is_ended": False,
}


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return bare_repository(tmp_path / "host" / "project.git")


@pytest.fixture
def server(remote: Remote) -> Iterator[GitServer]:
    with GitServer(remote.folder.parent) as server:
        yield server


@pytest.fixture
def state(request: pytest.FixtureRequest) -> Any:
    """The value of `state` in deployer.yaml."""
    return getattr(request, "param", "git")


@pytest.fixture
def first(
    workspace: Workspace,
    proxy: FaultProxy,
    remote: Remote,
    server: GitServer,
    state: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Workspace:
    """A checkout of a project with one job."""
    without_settings(tmp_path / "home", monkeypatch)
    workspace.project = {"state": state}
    workspace.write_project()
    spec = {**SPECS["SparkBatch"], "args": ["an-argument-of-the-job"]}
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", spec))
    publish(workspace, remote, server.url_of(remote))
    return workspace


@pytest.fixture
def second(first: Workspace, remote: Remote, server: GitServer, tmp_path: Path) -> Workspace:
    """Another machine: a fresh checkout, with nothing in `.deployer/`."""
    return checkout(first, server.url_of(remote), tmp_path / "second", "--depth=1")


def lock(remote: Remote) -> Any:
    """Return the lock of the state, None without."""
    content = remote.files(REF).get("lock.json")
    return json.loads(content) if content else None


def events(remote: Remote) -> list[tuple[str, str]]:
    """Return the events and results in the journals of all runs."""
    lines = [
        line
        for file, text in remote.files(REF).items()
        if file.endswith(".jsonl")
        for line in text.splitlines()
    ]
    records = [json.loads(line) for line in lines]
    return [(record["event"], record.get("result", "")) for record in records]


def applying(workspace: Workspace) -> subprocess.Popen[str]:
    """Start an apply in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "deployer", "apply", "--yes"],
        cwd=workspace.folder,
        env={**os.environ, "TMPDIR": str(workspace.folder.parent)},  # what is killed leaves its files there
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def put_lock(remote: Remote, **changes: Any) -> str:
    return remote.write(REF, {"lock.json": json.dumps({**LOCK, **changes})})


# --- what works


BRANCH = {"git": {"branch": "deployer-state"}}


@pytest.mark.parametrize("state", ["git", BRANCH], ids=["ref", "branch"], indirect=True)
def test_what_one_machine_did_another_one_knows(
    first: Workspace, second: Workspace, remote: Remote, emulator: Emulator, state: Any
) -> None:
    ran = first.apply()
    assert ran.code == 0, ran
    ref = REF if state == "git" else "refs/heads/deployer-state/tests/test"
    assert {*remote.refs()} == {"refs/heads/main", ref}
    assert "lock.json" not in remote.files(ref)
    [job] = listed(emulator.url, "SparkBatch")
    history = second.run("history")
    assert (history.code, history.err) == (0, ""), history
    assert "SparkBatch alpha" in history.out
    assert str(job["id"]) in history.out
    again = second.apply()
    assert (again.code, "no changes" in again.out) == (0, True), again
    for workspace in (first, second):
        assert git(workspace.folder, "status", "--porcelain") == ""
        assert "deployer" not in git(workspace.folder, "for-each-ref")


def test_two_pushes_for_an_apply_and_none_without_changes(
    first: Workspace, second: Workspace, server: GitServer
) -> None:
    for ran in (first.run("plan"), first.run("status")):
        assert ran.code == 0, ran
    assert server.count(PUSH) == 0
    assert first.apply().code == 0
    assert server.count(PUSH) == 2
    for workspace in (first, second):
        assert workspace.apply().code == 0
        assert workspace.run("history").code == 0
    assert server.count(PUSH) == 2


def test_no_field_of_a_job_is_in_the_state(first: Workspace, remote: Remote) -> None:
    assert first.apply().code == 0
    commits = remote.commits(REF)
    assert len(commits) == 2
    for commit in commits:
        texts = "".join(remote.files(commit).values())
        assert "alpha" in texts
        assert "an-argument-of-the-job" not in texts
        assert SPECS["SparkBatch"]["file"] not in texts


def test_a_built_in_emulator_never_uses_git(first: Workspace, server: GitServer) -> None:
    first.targets = {"local": {"emulator": True}}
    first.write_project()
    before = server.count()
    assert first.run("apply", "--yes", "-t", "local").code == 0
    assert server.count() == before


def test_machines_at_once_create_each_job_once(
    first: Workspace, second: Workspace, remote: Remote, emulator: Emulator
) -> None:
    processes = [applying(workspace) for workspace in (first, second)]
    ended = [(*process.communicate(timeout=30), process.returncode) for process in processes]
    assert [code for _, _, code in ended] == [0, 0], ended
    assert sorted("1 applied" in out for out, _, _ in ended) == [False, True], ended
    assert len(listed(emulator.url, "SparkBatch")) == 1
    assert lock(remote) is None


# --- locked by another one


def test_a_lock_of_another_machine_is_named(first: Workspace, remote: Remote, proxy: FaultProxy) -> None:
    tip = put_lock(remote)
    ran = first.apply("--lock-timeout", "0s")
    assert ran.code == 1, ran
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    for words in (LOCK["run"], LOCK["author"], LOCK["since"], "no changes made"):
        assert str(words) in line
    assert proxy.count("POST") == 0
    assert remote.refs()[REF] == tip


def test_a_lock_whose_holder_died_is_taken_over(first: Workspace, remote: Remote, emulator: Emulator) -> None:
    put_lock(remote, lease=1)
    ran = first.apply()
    assert ran.code == 0, ran
    assert f"taking over the lock of run {LOCK['run']}" in ran.err
    assert len(listed(emulator.url, "SparkBatch")) == 1
    assert lock(remote) is None


# --- pushes that go wrong


@pytest.mark.parametrize("nth", [1, 2], ids=["lock", "unlock"])
@pytest.mark.parametrize("fault", [hangs_up(after=True), says(502, "", after=True)], ids=["hangs up", "502"])
def test_a_lost_answer_of_the_remote_changes_nothing(
    first: Workspace,
    second: Workspace,
    remote: Remote,
    server: GitServer,
    emulator: Emulator,
    nth: int,
    fault: Fault,
) -> None:
    server.rule(PUSH, fault, nth=nth)
    ran = first.apply()
    assert ran.code == 0, ran
    assert lock(remote) is None
    assert ("outcome", "done") in events(remote)
    again = second.apply()
    assert (again.code, "no changes" in again.out) == (0, True), again
    assert len(listed(emulator.url, "SparkBatch")) == 1


def test_nothing_is_sent_without_the_lock(
    first: Workspace, remote: Remote, server: GitServer, proxy: FaultProxy, emulator: Emulator
) -> None:
    server.rule(PUSH, hangs_up(after=False))
    ran = first.apply()
    assert (ran.code, proxy.count("POST")) == (1, 0), ran
    assert "cannot write the shared state" in ran.err
    assert REF not in remote.refs()
    server.clear()
    assert first.apply().code == 0
    assert len(listed(emulator.url, "SparkBatch")) == 1


def test_a_lock_that_is_written_when_its_run_has_given_up_runs_out(
    first: Workspace,
    second: Workspace,
    remote: Remote,
    server: GitServer,
    proxy: FaultProxy,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOYER_LOCK_LEASE", "1")
    late = Held(hangs_up=True)
    server.rule(PUSH, late, nth=1)
    server.rule(PUSH, hangs_up(after=False))
    ran = first.apply()
    assert (ran.code, proxy.count("POST")) == (1, 0), ran
    server.clear()
    late.release()
    assert lock(remote)["lease"] == 1
    monkeypatch.delenv("DEPLOYER_LOCK_LEASE")
    again = second.apply()
    assert again.code == 0, again
    assert len(listed(emulator.url, "SparkBatch")) == 1
    assert lock(remote) is None


def test_a_runner_that_is_killed_while_it_pushes_the_lock(
    first: Workspace,
    second: Workspace,
    remote: Remote,
    server: GitServer,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The push takes effect nevertheless: nobody is there to remove the lock."""
    monkeypatch.setenv("DEPLOYER_LOCK_LEASE", "1")
    held = Held()
    server.rule(PUSH, held, nth=1)
    with applying(first) as process:
        assert held.arrived.wait(10)
        process.kill()
    held.release()
    assert lock(remote) is not None
    monkeypatch.delenv("DEPLOYER_LOCK_LEASE")
    ran = second.apply()
    assert ran.code == 0, ran
    assert "taking over the lock of run" in ran.err
    assert len(listed(emulator.url, "SparkBatch")) == 1
    assert lock(remote) is None


@pytest.mark.parametrize("arrives", [True, False], ids=["created", "not created"])
def test_a_runner_that_is_killed_while_it_creates_a_job(
    first: Workspace,
    second: Workspace,
    remote: Remote,
    proxy: FaultProxy,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    arrives: bool,
) -> None:
    """Another machine knows what it meant to send, and looks for it."""
    monkeypatch.setenv("DEPLOYER_LOCK_LEASE", "1")
    proxy.rule("POST", "", interrupts(lambda: process.pid, signal.SIGKILL, after=arrives))
    with applying(first) as process:
        process.wait(10)
    proxy.clear()
    second.write("b.yaml", manifest("SparkBatch", "beta", SPECS["SparkBatch"]))
    monkeypatch.delenv("DEPLOYER_LOCK_LEASE")
    ran = second.apply()
    assert ran.code == 0, ran
    assert "taking over the lock of run" in ran.err
    assert ("may have submitted it" in ran.out) is not arrives
    assert sorted(job["name"] for job in listed(emulator.url, "SparkBatch")) == ["alpha", "beta"]
    assert ("taken-over", "") in events(remote)
    assert ("outcome", "found" if arrives else "not found") in events(remote)
    assert lock(remote) is None


def test_an_interrupt_does_not_stop_the_release(
    first: Workspace, remote: Remote, server: GitServer, proxy: FaultProxy
) -> None:
    """Everything was applied by then, and the command ends as it would have."""
    released = Held()
    server.rule(PUSH, released, nth=2)
    with applying(first) as process:
        assert released.arrived.wait(10)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "press Ctrl-C again" not in (line := process.stderr.readline()):
            assert line
        released.release()
        assert process.wait(10) == 0
    assert line == "interrupted: releasing the lock; press Ctrl-C again to exit now\n"
    assert (proxy.count("POST"), lock(remote)) == (1, None)
    assert ("end", "") in events(remote)


def test_a_lock_is_removed_although_its_holder_renews_it(
    first: Workspace, remote: Remote, server: GitServer
) -> None:
    renewed: list[str] = []

    def renews(call: Call) -> Answer | None:
        if len(renewed) < 2:
            renewed.append(put_lock(remote, nonce=str(len(renewed))))
        return call.forward()

    put_lock(remote)
    server.rule(PUSH, renews)
    ran = first.run("unlock", "--yes", str(LOCK["run"]))
    assert (ran.code, lock(remote), len(renewed)) == (0, None, 2), ran


def test_a_lock_that_another_run_takes_meanwhile_is_not_removed(
    first: Workspace, remote: Remote, server: GitServer
) -> None:
    def takes_it(call: Call) -> Answer | None:
        put_lock(remote, run="0f9c2c487658")
        return call.forward()

    put_lock(remote)
    server.rule(PUSH, takes_it, nth=1)
    ran = first.run("unlock", "--yes", str(LOCK["run"]))
    assert ran.code == 1, ran
    assert f"the lock is not held by run {LOCK['run']}, but by run 0f9c2c487658" in ran.err
    assert lock(remote)["run"] == "0f9c2c487658"


def test_a_ref_that_can_be_written_and_not_read_is_an_error(
    first: Workspace, second: Workspace, remote: Remote, proxy: FaultProxy
) -> None:
    remote.configure("uploadpack.hideRefs", "refs/deployer")
    assert first.apply().code == 0
    second.write("b.yaml", manifest("SparkBatch", "beta", SPECS["SparkBatch"]))
    ran = second.apply("--lock-timeout", "1s")
    assert (ran.code, proxy.count("POST")) == (1, 1), ran
    assert "must be able to read it" in ran.err


def test_a_lock_that_cannot_be_released_is_reported(
    first: Workspace,
    second: Workspace,
    remote: Remote,
    server: GitServer,
    proxy: FaultProxy,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The outcome is not in the state then: the next run looks for the job."""
    monkeypatch.setenv("DEPLOYER_LOCK_LEASE", "4")

    def last_push_before_the_release(call: Call) -> Answer:
        server.rule(PUSH, says(503, ""))
        return call.forward()

    proxy.rule("POST", "", last_push_before_the_release)
    ran = first.apply()
    assert "cannot release the lock, which runs out within 4 s" in ran.err, ran
    run = lock(remote)["run"]
    server.clear()
    assert second.run("unlock", run, "--yes").code == 0
    again = second.apply()
    assert (again.code, "no changes" in again.out) == (0, True), again
    assert len(listed(emulator.url, "SparkBatch")) == 1


# --- a remote that cannot be used

Break = Callable[[Workspace, Remote, GitServer, pytest.MonkeyPatch], None]


def _only_branches(
    first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.take_only_heads_and_tags()


def _protected(first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    first.project = {"state": BRANCH}
    first.write_project()
    remote.protect("deployer*", "GitHub")


def _read_only(first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.forbid_pushes()


def _no_credential(
    first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.credentials = CREDENTIALS


def _no_network(first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    git(first.folder, "remote", "set-url", "origin", f"http://127.0.0.1:{port}/project.git")


def _down(first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.rule(LIST_FOR_FETCH, says(500, "no"))


def _no_repository(
    first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(first.folder, "remote", "set-url", "origin", f"{server.url}/other.git")


def _no_remote(first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    git(first.folder, "remote", "rename", "origin", "upstream")


def _no_checkout(
    first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(first.folder / ".git")


def _no_git(first: Workspace, remote: Remote, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(first.folder))


# Whether the state can at least be read, and words of the error.
BREAKS: dict[Break, tuple[bool, str]] = {
    _only_branches: (True, "set state: {git: {branch: deployer-state}}"),
    _protected: (True, "allow whoever deploys to push to this branch"),
    _read_only: (True, "the permission to write"),
    _no_credential: (False, "give git a credential"),
    _no_network: (False, "check the network"),
    _down: (False, "returned error: 500"),
    _no_repository: (False, "check the URL of the remote"),
    _no_remote: (False, "set state.git.remote"),
    _no_checkout: (False, "is not in the work tree of a git repository"),
    _no_git: (False, "git needs git, which was not found on PATH"),
}


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda break_it: break_it.__name__.strip("_"))
def test_a_state_that_cannot_be_used_stops_apply_and_not_plan(
    first: Workspace,
    remote: Remote,
    server: GitServer,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Break,
) -> None:
    is_readable, words = BREAKS[break_it]
    break_it(first, remote, server, monkeypatch)
    ran = first.apply()
    assert (ran.code, proxy.count("POST")) == (1, 0), ran
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert words in line
    assert "Traceback" not in ran.err
    for verb in ("plan", "history"):
        read = first.run(verb)
        assert read.code == 0, read
        notes = [line for line in read.err.splitlines() if "only what was sent from this folder" in line]
        assert len(notes) == (0 if is_readable else 1), read


def test_a_fork_never_locks(
    first: Workspace,
    remote: Remote,
    server: GitServer,
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"head": {"repo": {"full_name": "fork/project"}}}}))
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request_target")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/project")
    ran = first.apply()
    assert (ran.code, proxy.count("POST"), server.count(PUSH)) == (1, 0, 0), ran
    assert "fork" in ran.err
    assert first.run("plan").code == 0
    put_lock(remote)
    for verb in (["unlock", str(LOCK["run"])], ["state", "compact"]):
        ran = first.run(*verb, "--yes")
        assert (ran.code, server.count(PUSH), lock(remote)) == (1, 0, LOCK), ran


# --- what is shown, and what git gets


def test_no_output_shows_the_credential_of_the_remote(
    first: Workspace, remote: Remote, server: GitServer, tmp_path: Path
) -> None:
    server.credentials = CREDENTIALS
    git(first.folder, "remote", "set-url", "origin", server.url_of(remote, CREDENTIALS))
    included = tmp_path / "git-credentials.config"
    included.write_text(f'[http "{server.url}/"]\n\textraheader = AUTHORIZATION: basic {BASIC}\n')
    git(first.folder, "config", f"includeIf.gitdir:{first.folder}/.git.path", str(included))
    shown: list[Ran] = []

    def run(*arguments: str) -> Ran:
        shown.append(first.run(*arguments))
        return shown[-1]

    server.rule(LIST_FOR_PUSH, says(403, f"no entry to {server.url_of(remote, CREDENTIALS)}"))
    assert run("apply", "--yes").code == 1
    server.clear()
    assert run("apply", "--yes").code == 0
    assert run("state", "show").code == 0
    assert run("state", "show", "--format", "json").code == 0
    put_lock(remote)
    assert run("unlock", str(LOCK["run"]), "--yes").code == 0
    assert run("state", "compact", "--yes").code == 0
    for fault in (says(500, TOKEN), hangs_up(after=False)):
        server.rule(LIST_FOR_FETCH, fault)
        assert run("plan").code == 0
        assert run("state", "show").code == 1
        server.clear()
    for ran in shown:
        assert TOKEN not in f"{ran.out}{ran.err}".replace(f"remote: {TOKEN}", "")
        assert BASIC not in f"{ran.out}{ran.err}"
    for path in (first.folder / ".deployer").rglob("*"):
        assert path.is_dir() or TOKEN not in path.read_text(errors="replace")


def test_words_of_the_host_steer_neither_a_terminal_nor_a_ci_runner(first: Workspace, remote: Remote) -> None:
    text = "no\\033[2J entry\\n::error::x\\n##vso[task.x]\\n"
    remote.hook("pre-receive", f"#!/bin/sh\nprintf '{text}' >&2\nexit 1\n")
    ran = first.apply()
    assert ran.code == 1
    assert "entry" in ran.err
    assert "\033" not in ran.err
    assert not re.search(r"^\s*::|##vso\[", ran.err, re.MULTILINE)


def test_a_lock_of_somebody_else_cannot_steer_a_terminal(first: Workspace, remote: Remote) -> None:
    put_lock(remote, author="\033[2J\r::error::x\nerror: y", command="\u202ex")
    for ran in (first.apply("--lock-timeout", "0s"), first.run("state", "show"), first.run("unlock", "x")):
        text = f"{ran.out}{ran.err}"
        assert "\033" not in text
        assert "\u202e" not in text
        assert not re.search(r"^(::|error: y)", text, re.MULTILINE)


def test_git_gets_no_credential_of_the_services(
    first: Workspace, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = {
        "HW_SECRET_KEY": "s1",
        "OS_PASSWORD": "s2",
        "HUAWEICLOUD_SDK_SK": "s3",
        "DEPLOYER_SECRET_DB": "s4",
        "DEPLOYER_SECRETS_VARIABLES": "MY_TOKEN",
        "MY_TOKEN": "s5",
    }
    for name, value in {**hidden, "SSH_AUTH_SOCK": "/run/agent"}.items():
        monkeypatch.setenv(name, value)
    recorded = recorded_git(tmp_path / "recorded", monkeypatch)
    ran = first.apply()
    assert ran.code == 0, ran
    assert sum("push" in command for command in recorded.commands()) == 2
    environments = recorded.environments()
    for environment in environments:
        assert not {"HW_AUTH_TOKEN", *hidden} & {*environment}
    assert any(environment.get("SSH_AUTH_SOCK") == "/run/agent" for environment in environments)


# --- import -----------------------------------------------------------------------------------------------


def test_imported_jobs_are_marked_under_the_shared_lock(
    first: Workspace, second: Workspace, proxy: FaultProxy, remote: Remote
) -> None:
    job = create(proxy.upstream, "FlinkJar", "clicks", SPECS["FlinkJar"])
    locked: list[Any] = []

    def look(call: Call) -> Answer:
        locked.append(lock(remote))
        return call.forward()

    proxy.rule("POST", f"{job}/tags/create", look)
    ran = first.run("import", "clicks", "--write-marks", "--yes")
    assert (ran.code, "marked FlinkJar clicks" in ran.out) == (0, True), ran.err
    assert [held["command"] for held in locked] == ["deployer import -t test"]
    assert lock(remote) is None
    assert ("outcome", "done") in events(remote)
    assert "clicks" in second.run("history").out
    assert first.plan()["summary"]["unchanged"] == 1


# --- doctor -------------------------------------------------------------------------------------------------


def shared_state_check(workspace: Workspace) -> dict[str, Any]:
    checks = workspace.run("doctor", "--format", "json").json["checks"]
    [found] = [check for check in checks if check["name"] == "shared state"]
    return dict(found)


def test_doctor_reads_the_state_and_does_not_write_it(
    first: Workspace, server: GitServer, remote: Remote
) -> None:
    assert first.apply().code == 0
    before, pushed = remote.refs(), server.count(PUSH)
    found = shared_state_check(first)
    assert (found["status"], found["advice"]) == ("ok", "")
    assert "can be read: 1 journal; writing is not tried" in found["message"]
    assert (remote.refs(), server.count(PUSH)) == (before, pushed)


def test_doctor_without_the_remote(first: Workspace, server: GitServer) -> None:
    server.rule(LIST_FOR_FETCH, hangs_up(after=False))
    found = shared_state_check(first)
    assert found["status"] == "failed"
    assert found["advice"] == "check the remote, the branch and the token of git"
    assert BASIC not in str(found)


# --- what a run blocks ------------------------------------------------------------------------------------


def test_the_lock_is_free_while_a_run_is_waited_for(
    first: Workspace, remote: Remote, proxy: FaultProxy, emulator: Emulator
) -> None:
    first.apply()
    [created] = listed(emulator.url, "SparkBatch")
    first.write("a.yaml", manifest("SparkBatch", "alpha", {**SPECS["SparkBatch"], "args": ["another"]}))
    seen: list[Any] = []

    def ends(_: Call) -> None:
        seen.append(lock(remote))
        emulator.store.end(created["id"], "success", "")

    proxy.rule("GET", f"/batches/{created['id']}", ends, nth=2)
    ran = first.apply("--retry-blocked", "60s")
    assert (ran.code, seen) == (0, [None]), ran
    assert len(listed(emulator.url, "SparkBatch")) == 2
    assert lock(remote) is None
    assert "it was blocked until run" in "".join(remote.files(REF).values())
