"""Whole processes: the wall time, CPU time and peak memory of commands, and their medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_LAUNCH = str(Path(__file__).with_name("launch.py"))
# A command that takes longer is too slow to compare.
_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Command:
    """A command to measure, and where it runs."""

    name: str
    arguments: Sequence[str]
    folder: Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command used: seconds, and MB. CPU includes the processes that it started and waited for.

    `peak` is that of its largest process, `together` that of all its processes at one time.
    """

    wall: float
    cpu: float
    peak: float
    together: float = 0.0
    code: int = 0


def environment() -> dict[str, str]:
    """Return the environment of commands: that of this process without its credentials, and a token."""
    others = ("HW_", "OS_", "HUAWEICLOUD_", "DEPLOYER_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(others) and name != "CI"}
    return {**kept, "NO_COLOR": "1", "HW_AUTH_TOKEN": "bench"}


def measured(command: Command, log: Path, *, together: bool = False) -> Cost:
    """Run a command once; its output goes to `log`. With `together`, that memory is sampled, on Linux."""
    watch = str(int(together and sys.platform == "linux"))
    result = log.with_suffix(".cost")
    with log.open("wb") as output:
        subprocess.run(
            [sys.executable, "-I", "-S", _LAUNCH, str(result), watch, *command.arguments],
            cwd=command.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
            timeout=_SECONDS,
        )
    wall, cpu, peak, sampled, code = result.read_text().split()
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return Cost(float(wall), float(cpu), int(peak) / unit, int(sampled) * 1024 / 1e6, int(code))


def repeated(commands: Sequence[Command], runs: int, log: Path, note: Callable[[str], object]) -> list[Cost]:
    """Run all commands in turn, several times: a busy moment of the machine meets each. Return their medians.

    A command that fails is not run again.
    """
    costs: list[list[Cost]] = [[] for _ in commands]
    for turn in range(runs):
        for command, found in zip(commands, costs, strict=True):
            if found and found[-1].code:
                continue
            note(f"{command.name} ({turn + 1} of {runs})")
            found.append(measured(command, log))
            if found[-1].code:
                end = "\n  ".join(log.read_text(errors="replace").splitlines()[-5:])
                note(f"{command.name} exited with {found[-1].code}:\n  {end}")
    medians = [_median(found) for found in costs]
    for place, command in enumerate(commands):
        if not medians[place].code:
            sample = measured(command, log, together=True)
            medians[place] = replace(medians[place], together=sample.together)
    return medians


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.peak for cost in costs),
        code=costs[-1].code,
    )
