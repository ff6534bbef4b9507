"""An apply of all kinds, in which each request fails in each way; then apply until no change is left.

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
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deployer.emulator import Emulator
from deployer.emulator.flink_family import FAMILY as FLINK
from testing.faults import Answer, Call, Fault, FaultProxy, cut, hangs_up, listed, says, truncated
from testing.processes import Commands, commands
from testing.slow import sampled
from testing.workspace import SPECS, TOKEN, Clock, Ran, Workspace, manifest

FULL = bool(os.environ.get("DEPLOYER_FULL_MATRIX"))

# How many calls an apply of it makes when all goes well, and which of those that write submit something.
WRITES, READS = 16, 44
SUBMITS = {"mr": 11, "batch": 12, "replaced": 14, "session": 15}

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
POINTS = ("before", "sent", "answered")
ERROR = {"error_code": "DLI.0999", "error_msg": "Service unavailable."}
FAILURES: dict[str, Fault] = {
    "error before": says(500, ERROR),
    "error after": says(500, ERROR, after=True),
    "hangs up before": hangs_up(after=False),
    "hangs up after": hangs_up(after=True),
    "truncated": truncated,
    "502 after": says(502, "<html>", after=True),
    "cut": cut,
}


def stream(name: str, **spec: Any) -> dict[str, Any]:
    return manifest("FlinkJar", name, {**SPECS["FlinkJar"], **spec})


BATCH = SPECS["SparkBatch"]
TAGS = [{"key": "team", "value": "a"}, {"key": "old", "value": "1"}]
NEW_TAGS = [{"key": "team", "value": "b"}]
BEFORE = [stream("restarted"), stream("tuned", tags=TAGS), manifest("SparkBatch", "replaced", BATCH)]
DESIRED = [
    manifest("SparkBatch", "batch", BATCH),
    manifest("SparkBatch", "replaced", {**BATCH, "className": "com.B"}, lifecycle={"onChange": "replace"}),
    manifest("SparkSession", "session", SPECS["SparkSession"]),
    manifest("MrsJob", "mr", SPECS["MrsJob"]),
    stream("fresh"),
    stream("restarted", parallel_number=2),
    stream("tuned", resume_max_num=4, tags=NEW_TAGS),
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
            number = sum((earlier.method != "GET") is writes for earlier in self.calls) - 1
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
    met: int = 0

    def apply(self, *options: str) -> Ran:
        """One apply a while later, with what is planned for its calls; the next one meets no fault."""
        self.clock.forward(4)
        ran = self.commands.run(self.workspace.folder, "apply", "--yes", *options)
        self.wire += self.proxy.calls
        self.met = self.proxy.met
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
            if rounds[-1].out.endswith("Apply complete: 0 applied.\n"):
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
        tags = {tag["key"]: tag["value"] for tag in bodies["tuned"]["tags"]}
        assert tags.pop("deployer-fingerprint").startswith("v1-")
        assert tags == {"team": "b", "deployer": "tests"}


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
        workspace = Workspace(folder / "project", None, proxy.url)
        workspace.write("jobs.yaml", BEFORE)
        assert runner.run(workspace.folder, "apply", "--yes").code == 0
    workspace.write("jobs.yaml", DESIRED)
    return folder


@pytest.fixture
def scene(tmp_path: Path, seed: Path, runner: Commands, proxy: Matrix) -> Iterator[Scene]:
    shutil.copytree(seed, tmp_path / "s")
    # It moves whenever the emulator asks, so that waiting for a state ends.
    clock = Clock(now=1_720_000_010.0, tick=0.2)
    with Emulator(tmp_path / "s" / "emulator.db", token=TOKEN, clock=clock) as server:
        proxy.upstream = server.url
        proxy.clear()
        workspace = Workspace(tmp_path / "s" / "project", None, proxy.url)
        yield Scene(workspace, runner, proxy, server, clock)


def test_all_goes_well(scene: Scene) -> None:
    ran = scene.apply("--parallelism", "1")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Apply complete: 7 applied.")
    writes = [call for call in scene.wire if call.method != "GET"]
    assert (len(writes), len(scene.wire) - len(writes)) == (WRITES, READS)
    assert {name_of({"job_name": "", **writes[at].json}): at for at in SUBMITS.values()} == SUBMITS
    assert len(scene.converges(after=ran)) == 2


CALLS = [*map(Nth, range(WRITES)), *(Nth(number, writes=False) for number in range(READS))]


def kills() -> Iterator[tuple[Nth, int, str]]:
    """Each call that writes meets each point, some of the reads one; the signals take turns."""
    for nth in CALLS:
        for at, point in enumerate(POINTS):
            if FULL:
                yield from ((nth, by, point) for by in SIGNALS)
            elif nth.writes or nth.number % 12 == at:
                yield nth, SIGNALS[(nth.number + at) % 3], point


@pytest.mark.parametrize(("nth", "by", "point"), sampled(kills(), 12), ids=str)
def test_killed(scene: Scene, nth: Nth, by: int, point: str) -> None:
    ran = scene.killed(nth, by, point)
    assert scene.met == 1
    scene.converges(after=ran)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("number", sampled(range(WRITES), 4))
def test_killed_and_on_from_another_checkout(scene: Scene, number: int, point: str) -> None:
    """Without the journal: what was submitted is found in the listings."""
    ran = scene.killed(Nth(number), signal.SIGKILL, point)
    shutil.rmtree(scene.workspace.folder / ".deployer")
    scene.converges(after=ran)


@pytest.mark.parametrize("by", sampled(SIGNALS, 3), ids=str)
@pytest.mark.parametrize("number", sampled([2, 6], 2))
def test_killed_with_others_beside_it(scene: Scene, number: int, by: int) -> None:
    scene.fails(Nth(number), scene.sends(by, "sent"))
    scene.converges(after=scene.apply("--parallelism", "4"))


# The calls of one sort, in all changes at once: they do not depend on each other.
SORTS = {
    "submit": "POST .*/(batches|sessions|flink-jobs|job-executions)$",
    "end": "POST .*/stop$|DELETE .*/batches/",
    "update": "PUT |POST .*/tags/",
    "start": "POST .*/run$",
}


def code(failure: str, sort: str) -> int:
    """How an apply ends in which each call of a sort failed once."""
    match failure:
        case "error before":
            # It may have been carried out in spite of the error; what the service has responded to is not repeated.
            return 7
        case "error after":
            # A create and a start are found at once; an end takes its time, and nothing shows a change of tags.
            return 0 if sort in {"submit", "start"} else 7
        case "hangs up before":
            # It cannot be told whether it will still be carried out; a second stop or update does no harm.
            return 7 if sort in {"submit", "start"} else 0
    return 0


@pytest.mark.parametrize("sort", sampled(SORTS, 2))
@pytest.mark.parametrize("failure", sampled(FAILURES if FULL else [*FAILURES][:5], 5))
def test_writes_fail(scene: Scene, failure: str, sort: str) -> None:
    met = set()

    def meets(nth: Nth, call: Call) -> bool:
        asked = f"{call.method} {call.path}"
        if not re.search(SORTS[sort], asked) or (asked, call.body) in met:
            return False
        met.add((asked, call.body))
        return True

    scene.proxy.fault, scene.proxy.meets = FAILURES[failure], meets
    ran = scene.apply("--parallelism", "1")
    assert ran.code == code(failure, sort), ran
    assert len(met) >= 2
    scene.converges(after=ran)


@pytest.mark.parametrize("at", sampled(range(READS) if FULL else range(8), 4))
def test_reads_fail(scene: Scene, at: int) -> None:
    """Every eighth read, or each alone: before the first write, between two and after the last."""
    fault = list(FAILURES.values())[at % len(FAILURES)]
    scene.proxy.fault = fault
    scene.proxy.meets = lambda nth, _: not nth.writes and (nth.number == at if FULL else nth.number % 8 == at)
    ran = scene.apply("--parallelism", "1")
    assert ran.code in {0, 8}, ran
    scene.converges(after=ran)


if FULL:

    @pytest.mark.parametrize("nth", CALLS, ids=str)
    @pytest.mark.parametrize("failure", FAILURES)
    def test_one_call_fails(scene: Scene, nth: Nth, failure: str) -> None:
        """Every call with every failure takes minutes."""
        scene.fails(nth, FAILURES[failure])
        ran = scene.apply("--parallelism", "1")
        assert scene.met == 1
        scene.converges(after=ran)


# --- listings that lag ----------------------------------------------------------------------------------


@dataclass
class Lag:
    """Listings that show nothing that is newer than `since`, for some time of the real clock."""

    emulator: Emulator
    seconds: float = 0.7
    until: float = 0.0

    def begin(self) -> None:
        if not self.until:
            self.until = time.monotonic() + self.seconds
            # An hour of the emulator's clock: whatever the apply has made.
            for listing in ("/batches[?]", "/sessions[?]", "/streaming/jobs[?]", "/job-executions[?]"):
                self.emulator.faults.add({"method": "GET", "path": listing, "stale": 24})

    def look(self) -> None:
        if self.until and time.monotonic() > self.until:
            self.emulator.faults.clear()


@pytest.mark.parametrize(
    ("nth", "killed"), sampled([(SUBMITS["session"], False), *((nth, True) for nth in SUBMITS.values())], 3)
)
def test_a_submit_is_lost_and_its_listing_lags(scene: Scene, nth: int, killed: bool) -> None:
    """It is found, or waited for, once the settling delay is over."""
    scene.workspace.write_project(polling={"interval": "0s", "consistencyDelay": "1s"})
    lag = Lag(scene.emulator)
    kill = scene.sends(signal.SIGKILL, "sent")

    def fault(call: Call) -> None:
        (kill if killed else Call.forward)(call)
        lag.begin()

    def meets(at: Nth, call: Call) -> bool:
        lag.look()
        return at == Nth(nth) and not lag.until

    scene.proxy.fault, scene.proxy.meets = fault, meets
    ran = scene.apply("--parallelism", "1")
    assert ran.code == (-signal.SIGKILL if killed else 0), ran
    scene.proxy.meets = meets
    scene.converges(after=ran)
