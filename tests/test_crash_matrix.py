"""An apply of all kinds, and each of its calls goes wrong in each way; then apply again until there is nothing to do.

Whatever happened, exactly the desired jobs exist, none was submitted twice, and no stream lost its state. The
commands run in processes of their own, so that they can be killed. DEPLOYER_FULL_MATRIX=1 runs every call
with every failure; without it each call meets a part of them, and each call that writes most.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import SPECS, TOKEN, Clock, Ran, Workspace, manifest
from faults import Answer, Call, Fault, FaultProxy, cut, hangs_up, listed, says, truncated
from processes import Commands, commands

from deployer.emulator import Emulator
from deployer.emulator.flink_family import FAMILY as FLINK

FULL = bool(os.environ.get("DEPLOYER_FULL_MATRIX"))

# How many calls an apply of it makes when all goes well.
WRITES, READS = 11, 28

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
POINTS = ("before", "sent", "answered")
ERROR = {"error_code": "DLI.0999", "error_msg": "Service unavailable."}
FAILURES: dict[str, Fault] = {
    "error before": says(500, ERROR),
    "error after": says(500, ERROR, after=True),
    "502 after": says(502, "<html>", after=True),
    "hangs up before": hangs_up(after=False),
    "hangs up after": hangs_up(after=True),
    "truncated": truncated,
    "cut": cut,
}


def stream(name: str, **spec: Any) -> dict[str, Any]:
    return manifest("FlinkJar", name, {**SPECS["FlinkJar"], **spec})


BATCH = SPECS["SparkBatch"]
BEFORE = [stream("restarted"), stream("tuned"), manifest("SparkBatch", "replaced", BATCH)]
DESIRED = [
    manifest("SparkBatch", "batch", BATCH),
    manifest("SparkBatch", "replaced", {**BATCH, "className": "com.B"}, lifecycle={"onChange": "replace"}),
    manifest("SparkSession", "session", SPECS["SparkSession"]),
    manifest("MrsJob", "mr", SPECS["MrsJob"]),
    stream("fresh"),
    stream("restarted", parallel_number=2),
    stream("tuned", resume_max_num=4),
]


class Nth(NamedTuple):
    """A call by its ordinal among those that write, or those that read; the first is 0."""

    number: int
    writes: bool = True

    def __str__(self) -> str:
        return f"{'write' if self.writes else 'read'}-{self.number}"


class Matrix(FaultProxy):
    """A proxy in which `fault` meets the calls of which `meets` says so."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.clear()

    def fault_for(self, call: Call) -> Fault:
        with self._lock:
            self.calls.append(call)
            writes = call.method != "GET"
            number = sum((one.method != "GET") is writes for one in self.calls) - 1
            if not self.meets(Nth(number, writes), call):
                return Call.forward
            self.met += 1
            return self.fault

    def clear(self) -> None:
        super().clear()
        self.met = 0
        self.fault: Fault = Call.forward
        self.meets: Callable[[Nth, Call], bool] = lambda _nth, _call: False


@dataclass
class Scene:
    """The project, the command, the proxy, and an emulator that has the jobs of BEFORE."""

    workspace: Workspace
    commands: Commands
    proxy: Matrix
    emulator: Emulator
    clock: Clock
    wire: list[Call] = field(default_factory=list)

    def apply(self, *options: str) -> Ran:
        """One apply a while later, with what is planned for its calls; the next one meets no fault."""
        self.clock.forward(5)
        ran = self.commands.run(self.workspace.folder, "apply", "--yes", *options)
        self.wire += self.proxy.calls
        self.proxy.clear()
        assert "Traceback" not in ran.err
        assert "internal error" not in ran.err
        return ran

    def fails(self, nth: Nth, fault: Fault) -> None:
        self.proxy.fault, self.proxy.meets = fault, lambda at, _call: at == nth

    def killed(self, nth: Nth, by: int, point: str) -> Ran:
        """An apply that gets a signal at one of its calls."""
        self.fails(nth, self.sends(by, point))
        ran = self.apply("--parallelism", "1")
        assert ran.code == -by if by == signal.SIGKILL else ran.code in {-by, 130}, ran
        return ran

    def sends(self, by: int, point: str) -> Fault:
        def send() -> None:
            os.kill(self.commands.pid(), by)

        def fault(call: Call) -> Answer | None:
            if point == "before":
                send()
                return None if by == signal.SIGKILL else call.forward()
            answer = call.forward()
            if point == "sent":
                send()
                return answer
            return replace(answer, then=send)

        return fault

    def converges(self, *, after: Ran) -> list[Ran]:
        """Applies until there is nothing to do, and looks at what is there then."""
        rounds = [after]
        for _ in range(4):
            rounds.append(self.apply("--parallelism", "1"))
            assert rounds[-1].code == 0, rounds
            if rounds[-1].out.endswith("Applied: nothing to do.\n"):
                break
        else:
            pytest.fail(f"no end: {rounds}")
        self.check()
        return rounds

    def check(self) -> None:
        names = {kind: sorted(map(name_of, listed(self.emulator.url, kind))) for kind in SPECS}
        assert names == {
            "SparkBatch": ["batch", "replaced", "replaced"],
            "SparkSession": ["session"],
            "MrsJob": ["mr"],
            "FlinkJar": ["fresh", "restarted", "tuned"],
        }
        batches = {(job["name"], job["state"] == "dead") for job in listed(self.emulator.url, "SparkBatch")}
        assert batches == {("batch", False), ("replaced", False), ("replaced", True)}
        assert {job["status"] for job in listed(self.emulator.url, "FlinkJar")} == {"job_running"}
        # Stopped with a savepoint and started from it, each time; the others have never been stopped.
        [_, runs] = self.emulator.store.find(FLINK, "pid")
        state = {run.name: (bool(run.restored), bool(run.savepoint)) for run in runs}
        assert state == {"fresh": (False, False), "restarted": (True, False), "tuned": (False, False)}
        number = next(run.number for run in runs if run.name == "restarted")
        sent = [call.json for call in self.wire if re.search("jobs/(run|stop)$", call.path)]
        savepoints = [body for body in sent if body["job_ids"] == [number]]
        assert {(k, v) for body in savepoints for k, v in body.items() if k != "job_ids"} <= {
            ("resume_savepoint", True),
            ("trigger_savepoint", True),
        }
        bodies = {run.name: json.loads(run.body) for run in runs}
        assert bodies["restarted"]["parallel_number"] == 2
        assert bodies["tuned"]["resume_max_num"] == 4


def name_of(job: dict[str, Any]) -> str:
    return str(job.get("name") or job.get("job_name"))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with commands(tmp_path_factory.mktemp("output")) as running:
        yield running


@pytest.fixture(scope="module")
def proxy() -> Iterator[Matrix]:
    with Matrix("") as running:
        yield running


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory, runner: Commands, proxy: Matrix) -> Path:
    """A folder with the project and the emulator's database, once the jobs of BEFORE run."""
    folder = tmp_path_factory.mktemp("seed")
    with Emulator(folder / "emulator.db", token=TOKEN, clock=Clock(tick=0.1)) as server:
        proxy.upstream = server.url
        workspace = Workspace(folder / "project", None, proxy.url)  # type: ignore[arg-type]
        workspace.write("jobs.yaml", BEFORE)
        assert runner.run(workspace.folder, "apply", "--yes").code == 0
    workspace.write("jobs.yaml", DESIRED)
    return folder


@pytest.fixture
def scene(tmp_path: Path, seed: Path, runner: Commands, proxy: Matrix) -> Iterator[Scene]:
    shutil.copytree(seed, tmp_path / "s")
    # It moves whenever the emulator asks, so that waiting for a state ends.
    clock = Clock(now=1_720_000_010.0, tick=0.3)
    with Emulator(tmp_path / "s" / "emulator.db", token=TOKEN, clock=clock) as server:
        proxy.upstream = server.url
        proxy.clear()
        workspace = Workspace(tmp_path / "s" / "project", None, proxy.url)  # type: ignore[arg-type]
        yield Scene(workspace, runner, proxy, server, clock)


def test_all_goes_well(scene: Scene) -> None:
    ran = scene.apply("--parallelism", "1")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Applied: 7 done.")
    writes = sum(call.method != "GET" for call in scene.wire)
    assert (writes, len(scene.wire) - writes) == (WRITES, READS)
    assert len(scene.converges(after=ran)) == 2


CALLS = [*map(Nth, range(WRITES)), *(Nth(number, writes=False) for number in range(READS))]


def kills() -> Iterator[tuple[Nth, int, str]]:
    """Each call that writes meets each point, each read one; the signals take turns."""
    for nth in CALLS:
        for at, point in enumerate(POINTS):
            if FULL:
                yield from ((nth, by, point) for by in SIGNALS)
            elif nth.writes or nth.number % 6 == at:
                yield nth, SIGNALS[(nth.number + at) % 3], point


@pytest.mark.parametrize(("nth", "by", "point"), list(kills()), ids=str)
def test_killed(scene: Scene, nth: Nth, by: int, point: str) -> None:
    ran = scene.killed(nth, by, point)
    assert len(scene.converges(after=ran)) <= 4


@pytest.mark.parametrize("nth", CALLS, ids=str)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_call_fails(scene: Scene, nth: Nth, failure: str) -> None:
    scene.fails(nth, FAILURES[failure])
    ran = scene.apply("--parallelism", "1")
    print(nth, failure, ran.code, [line for line in ran.out.splitlines() if re.match("failed|unknown|ref|skip", line)])
    scene.converges(after=ran)
