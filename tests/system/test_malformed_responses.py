"""Malformed responses during an apply: no job is submitted twice because of them."""

from __future__ import annotations

import gzip
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import Answer, Call, Fault, FaultProxy, hangs_up, listed, says
from testing.processes import commands
from testing.workspace import SPECS, Clock, Workspace, manifest

BATCHES = "/batches$"


def batch(name: str = "alpha", **lifecycle: str) -> dict[str, Any]:
    return manifest("SparkBatch", name, SPECS["SparkBatch"], lifecycle=lifecycle)


def sent_as(write: Callable[[bytes], bytes]) -> Fault:
    """The true answer's body in other bytes, head and all."""

    def fault(call: Call) -> Answer:
        answer = call.forward()
        return replace(answer, raw=write(answer.body))

    return fault


def head(*headers: str, first: str = "HTTP/1.1 200 OK") -> bytes:
    lines = [first, "Content-Type: application/json", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


def sized(body: bytes, *headers: str, first: str = "HTTP/1.1 200 OK", add: int = 0) -> bytes:
    return head(f"Content-Length: {len(body) + add}", *headers, first=first) + body


CHUNKED = head("Transfer-Encoding: chunked")
LOST: dict[str, Callable[[bytes], bytes]] = {
    "a chunk that is cut": lambda body: CHUNKED + b"%x\r\n" % len(body) + body[:9],
    "chunks without an end": lambda body: CHUNKED + b"%x\r\n" % len(body) + body + b"\r\n",
    "a chunk without a size": lambda body: CHUNKED + b"zz\r\n" + body,
    "no gzip": lambda body: sized(body, "Content-Encoding: gzip"),
    "too short a length": lambda body: sized(body, add=-3),
    "too long a length": lambda body: sized(body, add=3),
    "two lengths": lambda body: sized(body, "Content-Length: 3"),
    "a head only": lambda body: sized(body)[: -len(body)],
    "half a head": lambda _: b"HTTP/1.1 200 OK\r\nContent-Ty",
    "no status": lambda body: sized(body, first="HTTP/1.1 fine"),
    "no head": lambda body: body,
    "endless headers": lambda body: sized(body, *[f"X-{number}: 1" for number in range(200)]),
    "a long header": lambda body: sized(body, "X-Long: " + 70_000 * "x"),
    "not a number": lambda _: sized(b"[NaN]"),
}
FINE: dict[str, Callable[[bytes], bytes]] = {
    "chunks": lambda body: CHUNKED + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n",
    "gzip": lambda body: sized(gzip.compress(body), "Content-Encoding: gzip"),
    "HTTP/1.0": lambda body: head(first="HTTP/1.0 200 OK") + body,
    "100 first": lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" + sized(body),
    "a byte order mark": lambda body: sized(b"\xef\xbb\xbf" + body),
    "a wrong date": lambda body: sized(body, "Date: Tue, 99 Foo 99999 99:99:99 GMT"),
}
# What a redirect is to, nobody need know.
ELSEWHERE = ["http://[bad", "http://\xff\xfe/", "//", "http://127.0.0.1:9/"]


@pytest.mark.parametrize("odd", [*LOST, *FINE])
def test_a_submit_whose_answer_is_odd(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, odd: str
) -> None:
    # A look may meet the connection that the server is just closing.
    workspace.write_project(retry={"attempts": 3, "capacityTimeout": "0s"})
    workspace.write("a.yaml", batch())
    proxy.rule("POST", BATCHES, sent_as({**LOST, **FINE}[odd]))
    applied = workspace.apply()
    assert (applied.code, len(listed(emulator.url, "SparkBatch"))) == (0, 1), applied
    assert ("response lost" in applied.out) == (odd in LOST)


@pytest.mark.parametrize("location", ELSEWHERE)
def test_a_redirect_is_an_error_of_one_job(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, location: str
) -> None:
    workspace.write("a.yaml", [batch("alpha"), manifest("SparkSession", "beta", SPECS["SparkSession"])])
    answer = head(
        "Content-Length: 0", "Connection: close", f"Location: {location}", first="HTTP/1.1 302 Found"
    )
    proxy.rule("POST", BATCHES, lambda _: Answer(302, b"", raw=answer))
    applied = workspace.apply()
    assert applied.code == 8
    assert "redirects are not followed" in applied.out
    assert len(listed(emulator.url, "SparkSession")) == 1


@pytest.mark.parametrize("kind", ["SparkBatch", "FlinkJar", "MrsJob"])
def test_the_answers_of_two_submits_are_swapped(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, kind: str
) -> None:
    """Each is found by its name, and only the stream that should run is started."""
    idle = {"lifecycle": {"state": "stopped"}} if kind == "FlinkJar" else {}
    workspace.write(
        "a.yaml", [manifest(kind, "one", SPECS[kind]), manifest(kind, "two", SPECS[kind], **idle)]
    )
    both = threading.Barrier(2)
    answers: list[Answer] = []

    def swapped(call: Call) -> Answer:
        mine = call.forward()
        answers.append(mine)
        both.wait(10)
        return next(answer for answer in answers if answer is not mine)

    proxy.rule("POST", "/(batches|flink-jobs|job-executions)$", swapped)
    applied = workspace.apply("--parallelism", "2")
    assert applied.code == 0
    clock.forward(10)
    names = {str(job.get("id") or job["job_id"]): job for job in listed(emulator.url, kind)}
    reported = re.findall(r"^accepted +create \w+ (one|two).*? \(id (\S+)\): ", applied.out, re.MULTILINE)
    assert {
        name: names[identifier].get("name") or names[identifier]["job_name"] for name, identifier in reported
    } == {
        "one": "one",
        "two": "two",
    }
    if idle:
        assert {job["name"]: job["status"] for job in names.values()} == {
            "one": "job_running",
            "two": "job_init",
        }
    assert workspace.apply().out.endswith("Apply complete: 0 applied.\n")


def test_the_id_of_an_earlier_run_is_not_believed(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    workspace.write("a.yaml", batch())
    workspace.apply()
    [earlier] = listed(emulator.url, "SparkBatch")
    clock.forward(100)
    workspace.write("a.yaml", batch(rerun="2024-07-03T09:47:00Z"))
    proxy.rule("POST", BATCHES, says(200, earlier, after=True))
    applied = workspace.apply()
    [run] = [job for job in listed(emulator.url, "SparkBatch") if job["id"] != earlier["id"]]
    assert applied.code == 0
    assert f"(id {run['id']}): submitted (response lost; found in the job list)" in applied.out


def test_a_submit_that_failed_inside_the_service_is_looked_for(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    workspace.write("a.yaml", batch())
    error = {"error_code": "DLI.0999", "error_msg": "Service unavailable."}
    proxy.rule("POST", BATCHES, says(500, error, after=True))
    applied = workspace.apply()
    assert (applied.code, len(listed(emulator.url, "SparkBatch"))) == (0, 1)
    assert "found in the job list, although the service reported: " in applied.out


def test_what_has_just_ended_need_not_be_cancelled(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    workspace.write("a.yaml", batch())
    workspace.apply()
    clock.forward(10)
    other = manifest("SparkBatch", "alpha", {**SPECS["SparkBatch"], "className": "com.B"})
    workspace.write("a.yaml", {**other, "lifecycle": {"onChange": "replace"}})

    def late(call: Call) -> Answer:
        clock.forward(100)
        return call.forward()

    proxy.rule("DELETE", "batches", late)
    applied = workspace.apply()
    assert applied.code == 0
    assert "had already ended (success), new run submitted" in applied.out


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ("stop", "stop requested, but GET "),
        ("run", "stopped with a savepoint, updated parallel_number, started, but GET "),
    ],
)
def test_what_was_carried_out_of_a_restart_is_told(
    workspace: Workspace, proxy: FaultProxy, clock: Clock, after: str, words: str
) -> None:
    stream = SPECS["FlinkJar"]
    workspace.write("a.yaml", manifest("FlinkJar", "alpha", stream))
    workspace.apply()
    clock.forward(10)
    workspace.write("a.yaml", manifest("FlinkJar", "alpha", {**stream, "parallel_number": 2}))
    clock.tick = 0.5

    def then_silent(call: Call) -> Answer:
        proxy.rule("GET", "/jobs/1$", hangs_up(after=False), nth=1)
        return call.forward()

    proxy.rule("POST", f"/jobs/{after}$", then_silent)
    applied = workspace.apply()
    assert (applied.code, words in applied.out) == (8, True), applied.out
    proxy.clear()
    clock.forward(10)
    assert workspace.apply().code == 0
    clock.forward(10)
    assert workspace.apply().out.endswith("Apply complete: 0 applied.\n")


def test_an_apply_just_after_another_knows_what_is_not_listed_yet(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """By its id, without waiting."""
    workspace.write("a.yaml", batch())
    clock.forward(10)
    assert workspace.apply().code == 0
    workspace.write_project(polling={"interval": "0s", "consistencyDelay": "1m"})
    emulator.faults.add({"method": "GET", "path": "/batches[?]", "stale": 5})
    assert "no changes" in workspace.run("plan").out
    again = workspace.apply()
    assert again.out.endswith("Apply complete: 0 applied.\n")
    assert "waiting" not in again.err


def test_the_second_interrupt_ends_at_once(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, tmp_path: Path
) -> None:
    """Also where a call is under way that would take minutes; and the call is told of as unknown."""
    workspace.write("a.yaml", batch())
    gone = threading.Event()
    with commands(tmp_path) as real:

        def twice(call: Call) -> None:
            os.kill(real.pid(), signal.SIGINT)
            while b"interrupted:" not in (tmp_path / "err").read_bytes():
                time.sleep(0.01)
            os.kill(real.pid(), signal.SIGTERM)
            call.wait_for_hang_up()
            gone.set()

        proxy.rule("POST", BATCHES, twice)
        ran = real.run(workspace.folder, "apply", "--yes")
    assert ran.code == 130
    assert "unknown  create SparkBatch alpha in q: interrupted while a request was running" in ran.out
    assert gone.wait(10)


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_an_interrupt_while_listings_are_read_ends_at_once(
    workspace: Workspace, proxy: FaultProxy, tmp_path: Path, verb: str
) -> None:
    """Also where the reading is done in threads."""
    workspace.write("a.yaml", manifest("FlinkJar", "alpha", SPECS["FlinkJar"]))
    assert workspace.apply().code == 0
    gone = threading.Event()
    with commands(tmp_path) as real:

        def once(call: Call) -> None:
            os.kill(real.pid(), signal.SIGINT)
            call.wait_for_hang_up()
            gone.set()

        proxy.rule("GET", "/tags", once)
        ran = real.run(workspace.folder, verb, *(["--yes"] if verb == "apply" else []))
    assert (ran.code, ran.out, ran.err.strip()) == (130, "", "interrupted")
    assert gone.wait(10)
