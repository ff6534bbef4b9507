"""What is measured: each shape and number of jobs with its verbs, its floor, and the peers on as many files."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bench import peers, shapes
from bench.processes import Command, Cost, measured, repeated
from bench.served import served
from bench.shapes import PARALLELISM, SHAPES

DELAY = 0.05
_START_UP_RUNS = 15
_FLOOR = str(Path(__file__).with_name("floor.py"))
_APPLY = ("apply", "--yes", "--parallelism", str(PARALLELISM))


@dataclass(frozen=True, slots=True)
class Result:
    """The cost of a tool with a number of jobs. `calls` counts the requests of an apply.

    `sending` is the part of its time from the first write to the last, in seconds.
    """

    shape: str
    jobs: int
    tool: str
    cost: Cost
    calls: int = 0
    sending: float = 0.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What to measure, and with which programs. `work` keeps the projects, also for the next time."""

    work: Path
    deployer: str
    programs: dict[str, str | None]
    jobs: Sequence[int]
    shapes: Sequence[str]
    verbs: Sequence[str]
    runs: int
    note: Callable[[str], object]
    seen: set[int] = field(default_factory=set)

    def results(self) -> Iterator[Result]:
        """Measure everything."""
        if "start-up" in self.verbs:
            yield from self._start_up()
        for name in self.shapes:
            for jobs in SHAPES[name].sizes or self.jobs:
                yield from self._unchanged(name, jobs)
                if "apply" in self.verbs:
                    yield from self._applied(name, jobs)

    def _project(self, name: str, jobs: int) -> Path:
        folder = self.work / f"{name}-{jobs}"
        if not folder.exists():
            shapes.write(SHAPES[name], jobs, folder)
        return folder

    def _log(self) -> Path:
        return self.work / "output.log"

    def _deployer(self, folder: Path, *arguments: str) -> Command:
        return Command(f"deployer {arguments[0]}, {folder.name}", [self.deployer, *arguments], folder)

    def _unchanged(self, name: str, jobs: int) -> Iterator[Result]:
        """Measure validate, and plan when all jobs are deployed, beside the floor and the peers."""
        folder = self._project(name, jobs)
        commands = {"validate": self._deployer(folder, "validate")} if "validate" in self.verbs else {}
        if name == "files":
            commands["floor: libyaml"] = Command("libyaml", [sys.executable, _FLOOR, "yaml", "."], folder)
        commands |= self._peers(jobs)
        if "plan" not in self.verbs:
            yield from self._measured(name, jobs, commands)
            return
        database = self.work / f"{name}-{jobs}.db"
        filled = database.exists()
        with served(self.deployer, database) as emulator:
            shapes.write_project(folder, emulator.url)
            if not filled:
                self.note(f"deploys {folder.name}")
                filled = measured(self._deployer(folder, *_APPLY), self._log()).code == 0
            if filled:
                plan = self._deployer(folder, "plan", "--detailed-exitcode")
                commands["plan"] = plan
                if name == "files":
                    listing = [sys.executable, _FLOOR, "listing", emulator.url]
                    commands["floor: listing"] = Command("listing", listing, folder)
            yield from self._measured(name, jobs, commands)
        if not filled:
            database.unlink(missing_ok=True)

    def _peers(self, jobs: int) -> dict[str, Command]:
        """Return the commands of the peers, the first time that this number of jobs is measured."""
        found: dict[str, Command] = {}
        if jobs in self.seen or "peers" not in self.verbs:
            return found
        self.seen.add(jobs)
        for name, program in self.programs.items():
            if program and jobs <= peers.PEERS[name].most:
                folder = self.work / f"{name}-{jobs}"
                self.note(f"prepares {folder.name}")
                found[name] = peers.command(name, program, jobs, folder, self.deployer)
        return found

    def _measured(self, name: str, jobs: int, commands: dict[str, Command]) -> Iterator[Result]:
        runs = self.runs if jobs < 2000 else min(self.runs, 3)
        costs = repeated([*commands.values()], runs, self._log(), self.note)
        for tool, cost in zip(commands, costs, strict=True):
            # The peers read files, in whatever shape the jobs of this round are.
            yield Result("files" if tool in self.programs else name, jobs, tool, cost)

    def _applied(self, name: str, jobs: int) -> Iterator[Result]:
        """Measure an apply of new jobs to a service that takes `DELAY` for each request; once, as it is long."""
        folder = self._project(name, jobs)
        database = self.work / "new.db"
        for file in self.work.glob("new.db*"):
            file.unlink()
        shutil.rmtree(folder / ".deployer", ignore_errors=True)
        with served(self.deployer, database) as emulator:
            shapes.write_project(folder, emulator.url)
            emulator.count(DELAY)
            command = self._deployer(folder, *_APPLY)
            self.note(command.name)
            cost = measured(command, self._log())
            yield Result(name, jobs, "apply", cost, emulator.counted, _sending(folder))

    def _start_up(self) -> Iterator[Result]:
        folder = self._project("files", 1)
        with served(self.deployer, self.work / "files-1.db") as emulator:
            shapes.write_project(folder, emulator.url)
            measured(self._deployer(folder, *_APPLY), self._log())
            commands = {
                "python -c pass": Command("python", [sys.executable, "-c", "pass"], folder),
                "--version": self._deployer(folder, "--version"),
                "--help": self._deployer(folder, "--help"),
                "plan": self._deployer(folder, "plan", "--detailed-exitcode"),
            }
            costs = repeated([*commands.values()], _START_UP_RUNS, self._log(), self.note)
        for tool, cost in zip(commands, costs, strict=True):
            yield Result("files", 1, tool, cost)


def _sending(folder: Path) -> float:
    """Return the seconds from the first write to the last outcome in the journal of an apply."""
    lines = (folder / ".deployer" / "journal.jsonl").read_text().splitlines()
    times = [datetime.fromisoformat(json.loads(line)["time"]) for line in lines]
    return (max(times) - min(times)).total_seconds() if times else 0.0
