"""`python -m bench.stages`: the microseconds of a manifest in each stage of validate and plan.

They are the CPU time of runs without a profiler, divided as a profiler sees it; it makes small functions look slower
than they are, so a stage of many small ones is shown too large. What a run with one job takes is subtracted.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench import pages, shapes
from bench.machine import machine
from bench.processes import Command, environment, measured
from bench.profiled import profiled
from bench.served import served
from bench.shapes import PARALLELISM, SHAPES
from bench.table import Table, as_markdown, as_text

# The stage of a function is the first whose pattern is found in the path of its file.
_STAGES: Mapping[str, str] = {
    "reading the file": r"documents/files\.py|pathlib|posixpath|genericpath|codecs|<frozen os>|/os\.py",
    "JSON of messages and listings": r"/json/",
    "messages between the processes": r"templates/(protocol|sandbox|worker|renderer)|(queue|threading|subprocess)\.py",
    "template": r"jinja2|markupsafe|deployer/templates/",
    "YAML": r"deployer/documents/|/yaml/",
    "rules": r"deployer/schema/rules",
    "schema": r"deployer/schema/|jsonschema|referencing|rpds|/attr/",
    "literal secrets": r"deployer/secrets/",
    "jobs": r"deployer/(manifests|project|model)",
    "listing entry": r"deployer/(cloud|kinds)|/(http|email|requests|urllib3)/|(ssl|socket)\.py",
    "planning": r"deployer/planning/|deepdiff",
}
_OTHER = "other"
_RUNS = 3


def stage(function: str) -> str:
    """Return the stage of a function, which is named by its file."""
    return next((name for name, pattern in _STAGES.items() if re.search(pattern, function)), _OTHER)


class Stages:
    """The profiles of one deployer, by its Python; `folder` is for the projects."""

    def __init__(self, python: str, folder: Path, jobs: int) -> None:
        self._python, self._folder, self._jobs = python, folder, jobs
        self._deployer = str(Path(python).with_name("deployer"))

    def of(self, *arguments: str) -> dict[str, float]:
        """Return the microseconds of a manifest in each stage of a verb."""
        many, cpu_of_many = self._run(self._jobs, *arguments)
        one, cpu_of_one = self._run(1, *arguments)
        seconds = {name: many[name] - one[name] for name in (*_STAGES, _OTHER)}
        scale = (cpu_of_many - cpu_of_one) / sum(seconds.values()) / (self._jobs - 1)
        return {name: 1e6 * scale * value for name, value in seconds.items()}

    def _run(self, jobs: int, *arguments: str) -> tuple[dict[str, float], float]:
        """Return the profiled seconds of each stage, and the CPU seconds without the profiler."""
        folder = self._folder / f"{jobs}"
        if not folder.exists():
            shapes.write(SHAPES["files"], jobs, folder)
        log = self._folder / "output.log"
        with served(self._deployer, self._folder / f"{jobs}.db") as emulator:
            shapes.write_project(folder, emulator.url)
            deploy = [self._deployer, "apply", "--yes", "--parallelism", str(PARALLELISM)]
            measured(Command("apply", deploy, folder), log)
            command = Command(arguments[0], [self._deployer, *arguments], folder)
            cpu = statistics.median(measured(command, log).cpu for _ in range(_RUNS))
            scratch = Path(tempfile.mkdtemp(dir=self._folder), "profile")
            ran = profiled(
                folder, scratch, *arguments, environment=environment(), python=self._python, timed=True
            )
        found = dict.fromkeys((*_STAGES, _OTHER), 0.0)
        for profile in (ran.profile, ran.renderer):
            for function, (_, seconds) in profile.items():
                found[stage(function)] += seconds
        return found, cpu


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000, help="default %(default)s")
    parser.add_argument(
        "--before", metavar="PYTHON", help="the Python of another checkout, to compare this one with"
    )
    parser.add_argument("--write", action="store_true", help=f"write {pages.PAGE.name}")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        header, columns = ["stage"], []
        for name, python in (("before", chosen.before), ("now", sys.executable)):
            if python:
                work = Path(folder, name)
                work.mkdir()
                stages = Stages(str(Path(python).absolute()), work, chosen.jobs)
                for verb in ("validate", "plan"):
                    header.append(f"{verb}{f', {name}' if chosen.before else ''}")
                    columns.append(stages.of(verb))
    rows = [[name, *(f"{column[name]:.0f}" for column in columns)] for name in (*_STAGES, _OTHER)]
    rows.append(["all", *(f"{sum(column.values()):.0f}" for column in columns)])
    table = Table(f"Microseconds of a manifest, of {chosen.jobs}, one file each", header, rows)
    sys.stdout.write(f"{machine()}\n\n{as_text(table)}\n")
    if chosen.write:
        pages.insert("stages", f"Measured on: {machine()}.\n\n{as_markdown(table)}")


if __name__ == "__main__":
    main()
