"""`deployer logs`: control characters are escaped, and each line is printed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deployer.emulator import Emulator
from testing.faults import Answer, Call, FaultProxy, interrupts, listed, proxied, says
from testing.workspace import SPECS, Clock, Workspace, manifest


def write(workspace: Workspace, kind: str, name: str = "alpha", **more: Any) -> None:
    workspace.write(f"{name}.yaml", manifest(kind, name, SPECS[kind], **more))


class Service:
    """The log as it stands at each time that it is read from its beginning; then the job ends."""

    def __init__(self, emulator: Emulator, *logs: Sequence[str], most: int = 10_000) -> None:
        self._emulator = emulator
        self._logs = iter(logs)
        self._now: Sequence[str] = ()
        self._most = most

    def log(self, call: Call) -> Answer:
        query = parse_qs(urlsplit(call.path).query)
        start, size = int(query["from"][0]), min(int(query["size"][0]), self._most)
        if (start, size) == (0, 1):  # how long is it?
            self._now = next(self._logs, self._now)
        body = {"from": start, "total": len(self._now), "log": list(self._now[start : start + size])}
        return Answer(200, json.dumps(body).encode())

    def look(self, call: Call) -> Answer:
        """The job runs as long as there is another log to come."""
        self._logs = iter(rest := list(self._logs))
        if len(rest) <= 1:
            [job] = listed(self._emulator.url, "SparkBatch")
            self._emulator.store.end(job["id"], "success")
        return call.forward()


@pytest.fixture
def deployed(workspace: Workspace, clock: Clock) -> Workspace:
    """A workspace with the batch alpha, which runs."""
    write(workspace, "SparkBatch")
    workspace.apply()
    clock.forward(5)
    return workspace


@pytest.fixture
def proxy(deployed: Workspace, emulator: Emulator) -> Iterator[FaultProxy]:
    with proxied(deployed, emulator.url) as started:
        yield started


def serve(proxy: FaultProxy, service: Service) -> None:
    proxy.rule("GET", "/log", service.log)
    proxy.rule("GET", r"/batches/[^/]+$", service.look)


# --- what is shown ----------------------------------------------------------------------------------------


def test_the_log_of_a_job(deployed: Workspace) -> None:
    ran = deployed.run("logs")
    lines = ran.out.splitlines()
    assert (ran.code, ran.err, lines[0], lines[-1]) == (0, "", "stdout: ", "YARN Diagnostics: ")
    assert lines[1] == "2024-07-03 09:46:42 INFO Emulated: still running"


@pytest.mark.parametrize(("lines", "shown"), [("1", 1), ("3", 3), ("100", 6), ("5000", 6)])
def test_the_last_lines(deployed: Workspace, lines: str, shown: int) -> None:
    out = deployed.run("logs", "--lines", lines).out.splitlines()
    assert (len(out), out[-1]) == (shown, "YARN Diagnostics: ")


def test_a_long_log_is_read_in_pages(deployed: Workspace, emulator: Emulator, proxy: FaultProxy) -> None:
    long = [f"line {number}" for number in range(250)]
    serve(proxy, Service(emulator, long, most=100))
    out = deployed.run("logs", "--lines", "220").out.splitlines()
    assert out == long[-220:]


def test_several_jobs_have_their_names_before_each_line(workspace: Workspace, clock: Clock) -> None:
    write(workspace, "SparkBatch", "alpha")
    write(workspace, "SparkSession", "beta")
    workspace.apply()
    clock.forward(5)
    out = workspace.run("logs", "--lines", "2").out.splitlines()
    assert out == [
        f"{name} | {line}: " for name in ("alpha", "beta") for line in ("stderr", "YARN Diagnostics")
    ]
    alone = workspace.run("logs", "--lines", "2", "beta.yaml").out.splitlines()
    assert alone == ["stderr: ", "YARN Diagnostics: "]


def test_two_jobs_of_one_name_are_told_apart(workspace: Workspace, clock: Clock) -> None:
    workspace.write(
        "two.yaml", [manifest(kind, "alpha", SPECS[kind]) for kind in ("SparkBatch", "SparkSession")]
    )
    workspace.apply()
    clock.forward(5)
    out = workspace.run("logs", "--lines", "1").out.splitlines()
    assert [line.partition(" | ")[0] for line in out] == ["SparkBatch alpha in q", "SparkSession alpha in q"]


def test_the_run_that_counts_is_the_active_one(deployed: Workspace, emulator: Emulator, clock: Clock) -> None:
    [old] = [job["id"] for job in listed(emulator.url, "SparkBatch")]
    emulator.store.end(old, "success")
    write(deployed, "SparkBatch", lifecycle={"rerun": "2024-07-03T09:46:44Z"})
    assert deployed.apply().code == 0
    clock.forward(4)
    assert "09:46:47" in deployed.run("logs").out
    assert "09:46:42" not in deployed.run("logs").out


@pytest.mark.parametrize("kind", ["FlinkJar", "MrsJob"])
def test_kinds_without_logs(workspace: Workspace, clock: Clock, kind: str) -> None:
    write(workspace, kind, "mute")
    workspace.apply()
    ran = workspace.run("logs")
    assert (ran.code, ran.out, ran.err.count("note: ")) == (1, "", 1)
    assert "logs are not available for this kind of job" in ran.err
    write(workspace, "SparkBatch")
    workspace.apply()
    clock.forward(5)
    beside = workspace.run("logs")
    assert (
        beside.code,
        beside.out.startswith("alpha | "),
        "logs are not available for this kind of job" in beside.err,
    ) == (
        0,
        True,
        True,
    )


def test_what_is_not_deployed(workspace: Workspace) -> None:
    write(workspace, "SparkBatch")
    ran = workspace.run("logs")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "note: SparkBatch alpha in q: not deployed; no logs available\n"


def test_a_log_that_cannot_be_read(deployed: Workspace, proxy: FaultProxy) -> None:
    proxy.rule("GET", "/log", says(500, {"error_code": "DLI.0999", "error_msg": "broken"}))
    for options in ([], ["-f"]):
        ran = deployed.run("logs", *options)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("error: SparkBatch alpha in q: cannot read the log: ")


# --- what nobody obeys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[31mred\x1b[0m", ["\\u001b[31mred\\u001b[0m"]),
        ("::error file=a::b", ["\\u003a:error file=a::b"]),
        ("  ::set-env name=A::b", ["  \\u003a:set-env name=A::b"]),
        ("##[error]b", ["##\\u005berror]b"]),
        ("Foo::bar", ["Foo::bar"]),
        ("one\n::stop-commands::x\r\nthree", ["one", "\\u003a:stop-commands::x", "three"]),
        ("\tat com.example.Job", ["    at com.example.Job"]),
        ("\u202egnirts", ["\\u202egnirts"]),
        ("", [""]),
        ("--password hunter2 jdbc://me:hunter2@db", ["--password *** jdbc://***@db"]),
        ('{"secret_key": "hunter2"}', ['{"secret_key": ***']),
    ],
)
def test_hostile_lines(
    deployed: Workspace, emulator: Emulator, proxy: FaultProxy, line: str, shown: list[str]
) -> None:
    serve(proxy, Service(emulator, [line, "end"]))
    assert deployed.run("logs").out.split("\n") == [*shown, "end", ""]


def test_a_prefix_stands_before_each_line_of_what_holds_breaks(
    deployed: Workspace, emulator: Emulator, proxy: FaultProxy
) -> None:
    serve(proxy, Service(emulator, ["one\n::error::two"]))
    write(deployed, "FlinkJar", "mute")
    assert deployed.run("logs").out == "alpha | one\nalpha | ::error::two\n"


# --- following --------------------------------------------------------------------------------------------


def test_following_to_the_end(deployed: Workspace, clock: Clock) -> None:
    clock.tick = 2
    ran = deployed.run("logs", "-f")
    lines = ran.out.splitlines()
    seconds = [line.split()[1] for line in lines if "INFO" in line]
    assert (ran.code, ran.err) == (0, "note: SparkBatch alpha in q: the run is success\n")
    assert seconds[0] == "09:46:42"
    assert seconds[-1] == "09:47:39"
    assert seconds == sorted(set(seconds))
    assert len(seconds) == 58
    assert [line for line in lines if "INFO" not in line] == ["stdout: ", "stderr: ", "YARN Diagnostics: "]


@pytest.mark.parametrize(
    ("logs", "shown"),
    [
        ([["a"], ["a", "b"], ["a", "b", "c"]], ["a", "b", "c"]),
        ([["a"], ["a"], ["a"]], ["a"]),
        ([["a"], ["a", "a"], ["a", "a", "a"]], ["a", "a", "a"]),
        # What the run writes stands before its errors.
        ([["out", "err", "e1"], ["out", "o1", "err", "e1", "e2"]], ["out", "err", "e1", "o1", "e2"]),
        # Only the last lines are kept.
        ([["a", "b", "c"], ["b", "c", "d"], ["d", "e", "f"]], ["a", "b", "c", "d", "e", "f"]),
        # Shorter than before: another one, of which nothing has been shown.
        ([["a", "b", "c"], ["a", "x"]], ["a", "b", "c", "a", "x"]),
        ([["a", "b"], [], ["a"]], ["a", "b", "a"]),
        ([[], ["a"]], ["a"]),
    ],
)
def test_no_line_twice(
    deployed: Workspace, emulator: Emulator, proxy: FaultProxy, logs: list[list[str]], shown: list[str]
) -> None:
    serve(proxy, Service(emulator, *logs))
    ran = deployed.run("logs", "--follow")
    assert (ran.code, ran.out.splitlines()) == (0, shown)


def test_following_begins_with_the_last_lines(
    deployed: Workspace, emulator: Emulator, proxy: FaultProxy
) -> None:
    serve(proxy, Service(emulator, ["a", "b", "c"], ["a", "b", "c", "d"]))
    assert deployed.run("logs", "-f", "--lines", "1").out.splitlines() == ["c", "d"]


def test_following_only_what_comes(deployed: Workspace, emulator: Emulator, proxy: FaultProxy) -> None:
    serve(proxy, Service(emulator, ["a", "b"], ["a", "b", "c"]))
    assert deployed.run("logs", "-f", "--lines", "0").out == "c\n"


def test_what_has_ended_is_not_followed(deployed: Workspace, clock: Clock) -> None:
    clock.forward(100)
    ran = deployed.run("logs", "-f", "--lines", "1")
    assert (ran.code, ran.out) == (0, "YARN Diagnostics: \n")


def test_several_are_followed_together(workspace: Workspace, clock: Clock) -> None:
    for name in ("alpha", "beta"):
        write(workspace, "SparkBatch", name)
    workspace.apply()
    clock.tick = 3
    lines = workspace.run("logs", "-f").out.splitlines()
    for name in ("alpha", "beta"):
        own = [line for line in lines if line.startswith(f"{name} | ") and "INFO" in line]
        assert len(own) == len(set(own)) == 58


def test_a_follower_that_fails_does_not_stop_the_others(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    for name in ("alpha", "beta"):
        write(workspace, "SparkBatch", name)
    workspace.apply()
    clock.tick = 5
    [alpha] = [job["id"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "alpha"]
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("GET", rf"/batches/{alpha}$", says(500, {"error_code": "DLI.0999", "error_msg": "no"}))
        ran = workspace.run("logs", "-f")
    assert (ran.code, ran.err.count("error: SparkBatch alpha in q: ")) == (1, 1)
    assert "note: SparkBatch beta in q: the run is success" in ran.err


def test_ctrl_c_ends_it(deployed: Workspace, proxy: FaultProxy) -> None:
    proxy.rule("GET", r"/batches/[^/]+$", interrupts(os.getpid, after=False))
    ran = deployed.run("logs", "-f")
    assert (ran.code, ran.out.splitlines()[0], ran.err.strip()) == (130, "stdout: ", "interrupted")


def test_a_reader_that_goes_away_ends_it(deployed: Workspace) -> None:
    """The job runs on, and its clock stands still: without its reader the command would never end."""
    deployer = Path(sys.executable).parent / "deployer"
    with subprocess.Popen(
        [deployer, "logs", "-f"], cwd=deployed.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(timeout=20) == 0
