"""`deployer status`: the state of each job as a table and as JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

from deployer.emulator import Emulator
from deployer.report.status import HEADER, duration
from testing.faults import changed, listed, proxied, says
from testing.terminal import at_terminal
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest

HOME = "\x1b[H"


def write(workspace: Workspace, kind: str, name: str = "alpha", **more: Any) -> None:
    spec = {**SPECS[kind], **more.pop("spec", {})}
    workspace.write(f"{name}.yaml", manifest(kind, name, spec, **more))


def row(workspace: Workspace, name: str = "alpha") -> dict[str, Any]:
    [found] = [row for row in workspace.run("status", "--format", "json").json["jobs"] if row["name"] == name]
    return dict(found)


def end(workspace: Workspace, emulator: Emulator, state: str, result: str = "") -> None:
    found = row(workspace)
    emulator.store.end(int(found["id"]) if found["kind"] == "FlinkJar" else found["id"], state, result)


def test_the_table(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    write(workspace, "SparkBatch")
    write(workspace, "FlinkJar", "stream", lifecycle={"state": "stopped"})
    workspace.apply()
    write(workspace, "MrsJob", "report")
    clock.forward(30)
    ran = workspace.run("status")
    batch = listed(emulator.url, "SparkBatch")[0]["id"]
    stream = str(listed(emulator.url, "FlinkJar")[0]["job_id"])
    lines = ran.out.splitlines()
    at = [lines[0].index(title) for title in HEADER]
    cells = [[line[a:b].strip() for a, b in zip(at, [*at[1:], None], strict=True)] for line in lines]
    since = "2024-07-03 09:46:40"
    assert (ran.code, ran.err) == (0, "")
    assert cells == [
        [*HEADER],
        ["FlinkJar", "stream", "-", "stopped", "job_init", since, "-", stream, "same"],
        ["MrsJob", "report", "c-1", "present", "-", "-", "-", "-", "not deployed"],
        ["SparkBatch", "alpha", "q", "present", "running", since, "30s", batch, "same"],
    ]


def test_json(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    write(workspace, "FlinkJar")
    workspace.apply()
    clock.forward(200)
    assert row(workspace) == {
        "kind": "FlinkJar",
        "name": "alpha",
        "place": "",
        "source": "alpha.yaml:1",
        "desired": "running",
        "id": str(listed(emulator.url, "FlinkJar")[0]["job_id"]),
        "state": "job_running",
        "phase": "active",
        "submitted": 1_720_000_000_000,
        "since": "2024-07-03T09:46:40Z",
        "duration_seconds": 200,
        "manifest": "same",
        "drift": [],
        "next": None,
        "console_url": None,
    }


def test_what_is_not_deployed(workspace: Workspace) -> None:
    write(workspace, "SparkBatch")
    shown = row(workspace)
    unknown = ("id", "state", "phase", "submitted", "since", "duration_seconds", "drift")
    assert [shown[key] for key in unknown] == [None] * len(unknown)
    assert (shown["manifest"], shown["next"]) == ("not deployed", "create")


@pytest.mark.parametrize(
    ("kind", "state", "result"),
    [("SparkBatch", "dead", ""), ("MrsJob", "FINISHED", "FAILED")],
)
def test_what_has_ended_lasted_until_its_end(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str, state: str, result: str
) -> None:
    write(workspace, kind)
    workspace.apply()
    clock.forward(20)
    end(workspace, emulator, state, result)
    clock.forward(1000)
    assert row(workspace)["duration_seconds"] == 20


def test_a_session_has_ended_when_it_last_changed(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "SparkSession")
    workspace.apply()
    with proxied(workspace, emulator.url) as proxy:

        def set_update_time(answer: Any) -> None:
            answer["sessions"][0]["update_time"] = 1_720_000_007_000

        proxy.rule("GET", "/sessions", changed(set_update_time))
        assert row(workspace)["duration_seconds"] == 0  # it goes on
        end(workspace, emulator, "success")
        assert row(workspace)["duration_seconds"] == 7


def test_a_stream_that_has_ended_does_not_say_when(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "FlinkJar")
    workspace.apply()
    end(workspace, emulator, "job_finish")
    shown = row(workspace)
    assert (shown["since"], shown["duration_seconds"]) == ("2024-07-03T09:46:40Z", None)


def test_the_clock_is_the_services_own(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    clock.forward(20)
    with proxied(workspace, emulator.url) as proxy:

        def submitted_later(answer: Any) -> None:
            answer["sessions"][0]["create_time"] += 60_000

        proxy.rule("GET", "/batches", changed(submitted_later))
        assert row(workspace)["duration_seconds"] == 0

        def no_time(answer: Any) -> None:
            answer["sessions"][0]["create_time"] = None

        proxy.clear()
        proxy.rule("GET", "/batches", changed(no_time))
        shown = row(workspace)
    assert (shown["since"], shown["duration_seconds"]) == (None, None)


def test_drift(workspace: Workspace, clock: Clock) -> None:
    write(workspace, "SparkBatch", spec={"args": ["a", "b"], "numExecutors": 2})
    workspace.apply()
    clock.forward(5)
    write(workspace, "SparkBatch", spec={"args": ["a", "c"], "numExecutors": 4})
    shown = row(workspace)
    assert (shown["manifest"], shown["drift"], shown["next"]) == (
        "differs",
        ["/args/1", "/numExecutors"],
        "blocked",
    )
    assert workspace.run("status").out.rstrip().endswith("differs: args[1], numExecutors")


def test_much_drift_is_cut_in_the_table(workspace: Workspace, clock: Clock) -> None:
    write(workspace, "SparkBatch", spec={"args": list("abcde")})
    workspace.apply()
    write(workspace, "SparkBatch", spec={"args": list("vwxyz")})
    assert workspace.run("status").out.rstrip().endswith("differs: args[0], args[1], args[2] and 2 more")
    assert len(row(workspace)["drift"]) == 5


def test_drift_of_what_is_sensitive_is_told_by_name_only(workspace: Workspace) -> None:
    waive = {"literal-secret": "a test"}
    write(workspace, "SparkBatch", spec={"conf": {"fs.obs.secret.key": "hunter2"}}, waive=waive)
    assert workspace.apply().code == 0
    write(workspace, "SparkBatch", spec={"conf": {"fs.obs.secret.key": "hunter3"}}, waive=waive)
    for style, path in (("text", 'conf."fs.obs.secret.key"'), ("json", "/conf/fs.obs.secret.key")):
        ran = workspace.run("status", "--format", style)
        assert path in ran.out
        assert "hunter" not in ran.out + ran.err


def test_what_cannot_be_compared(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    with proxied(workspace, emulator.url) as proxy:

        def silent(answer: Any) -> None:
            answer["sessions"][0]["req_body"] = "?"

        proxy.rule("GET", "/batches", changed(silent))
        shown = row(workspace)
    assert (shown["manifest"], shown["drift"], shown["state"]) == ("not comparable", None, "starting")


def test_a_listing_that_fails_is_an_error_and_the_others_are_shown(
    workspace: Workspace, emulator: Emulator
) -> None:
    write(workspace, "SparkBatch")
    write(workspace, "MrsJob", "report")
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("GET", "/batches", says(500, {"error_code": "DLI.0999", "error_msg": "broken"}))
        ran = workspace.run("status", "--format", "json")
    assert (ran.code, [row["name"] for row in json.loads(ran.out)["jobs"]]) == (1, ["report"])
    assert ran.err.startswith("error: SparkBatch alpha in q: ")


def test_a_terminal_is_redrawn_until_an_interrupt(workspace: Workspace, emulator: Emulator) -> None:
    for number in range(9):
        write(workspace, "SparkBatch", f"job-{number}")
    workspace.apply()
    requests: list[int] = []

    def interrupt(process: subprocess.Popen[bytes], text: str) -> None:
        if text.count(HOME) >= 3 and not requests:
            requests.append(proxy.count("GET", "/batches"))
            process.send_signal(signal.SIGINT)

    with proxied(workspace, emulator.url) as proxy:
        shown = at_terminal(workspace.folder, "status", "--watch", columns=70, lines=8, seen=interrupt)
    pictures = shown.removesuffix("\r\ninterrupted\r\n").split(HOME)[1:]
    assert shown.startswith("\x1b[2J")
    assert len(pictures) >= 3
    for picture in pictures[:3]:
        lines = [line.removesuffix("\x1b[K") for line in picture.split("\r\n")][:-1]
        assert re.match(r"2024-07-03 09:46:40 UTC: tests -> test \(", lines[0])
        assert lines[-1] == "... 7 more lines"
        assert len(lines) == 7
        assert all(len(line) <= 70 for line in lines)
    # One reading for each picture, and the one that was under way.
    assert 3 <= requests[0] <= len(pictures) + 1


def test_what_is_watched_ends_when_nobody_reads_it(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "SparkBatch")
    workspace.apply()
    command = [sys.executable, "-m", "deployer", "status", "--watch", "--format", "json"]
    environment = {**os.environ, "HW_AUTH_TOKEN": TOKEN}
    with subprocess.Popen(
        command, cwd=workspace.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())
        assert first["jobs"][0]["state"] == "starting"
        process.stdout.close()
        end(workspace, emulator, "success")
        assert process.wait(30) == 0


def test_watching_ends_when_the_credential_is_refused(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, "SparkBatch")
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("GET", "/batches", says(401, {"error_code": "APIGW.0301", "error_msg": "refused"}), nth=3)
        ran = workspace.run("status", "--watch")
    assert (ran.code, proxy.count("GET", "/batches")) == (1, 3)
    assert ran.err.startswith("error: SparkBatch alpha in q: ")


@pytest.mark.parametrize("value", ["0", "0s", "1.5", "often", "alpha.yaml"])
def test_an_interval_is_a_time(workspace: Workspace, value: str) -> None:
    ran = workspace.run("status", f"--watch={value}")
    assert (ran.code, ran.out) == (3, "")
    assert "expected seconds from 1, or a time such as 30s or 5m" in ran.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m00s"),
        (192, "3m12s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86_399, "23h59m"),
        (86_400, "1d00h"),
        (900_000, "10d10h"),
    ],
)
def test_durations(seconds: int, words: str) -> None:
    assert duration(seconds) == words
