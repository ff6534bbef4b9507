"""Counts the function calls of the real command, in all its threads, and of its template renderer.

Run as a script it is that command: it profiles `deployer ARGUMENTS`, and keeps what the renderer is sent. The renderer
is killed at the end and cannot write files, so the same is then sent to another one, which is profiled.
"""

from __future__ import annotations

import cProfile
import json
import os
import runpy
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

_RENDERER = """#!/bin/sh
printf '%s\\n' "$@" > '{folder}/arguments'
tee '{folder}/sent' | exec '{python}' "$@"
"""
_COUNTS = b"\n--- counts ---\n"


@dataclass(frozen=True)
class Counted:
    """A finished command: its exit code, its output, and the number of calls by `file:function`.

    `modules` are those that it imported, without Python's own. `renderer` are the calls of the template renderer; empty
    if there was none.
    """

    code: int
    out: str
    calls: Mapping[str, int]
    modules: frozenset[str]
    renderer: Mapping[str, int] = field(default_factory=dict)


def of(calls: Mapping[str, int], *functions: str) -> int:
    """Return the number of calls of functions, each named by the end of its path: `model.py:Plan.steps`."""
    return sum(number for name, number in calls.items() if name.endswith(functions))


def counted(folder: Path, scratch: Path, *arguments: str, environment: Mapping[str, str]) -> Counted:
    """Run `deployer ARGUMENTS` in a folder. `scratch` is a folder that does not exist yet."""
    scratch.mkdir()
    python = scratch / "python"
    python.write_text(_RENDERER.format(folder=scratch, python=sys.executable))
    python.chmod(0o755)
    command = [sys.executable, __file__, str(scratch / "counts"), str(python), *arguments]
    ran = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=False
    )
    counts = json.loads((scratch / "counts").read_text())
    renderer = _renderer_calls(scratch) if (scratch / "sent").exists() else {}
    return Counted(ran.returncode, ran.stdout, counts["calls"], frozenset(counts["modules"]), renderer)


def _renderer_calls(scratch: Path) -> dict[str, int]:
    arguments = (scratch / "arguments").read_text().splitlines()
    boot = arguments[arguments.index("-c") + 1 :]
    with (scratch / "sent").open("rb") as sent:
        again = [sys.executable, __file__, "--renderer", *boot]
        ran = subprocess.run(again, stdin=sent, stdout=subprocess.PIPE, check=True)
    calls: dict[str, int] = json.loads(ran.stdout.rpartition(_COUNTS)[2])
    return calls


def _profiled(action: Callable[[], object]) -> tuple[int, dict[str, int]]:
    """Carry out `action`, and return its exit code, and the calls of all threads by `file:function`."""
    profilers = [cProfile.Profile(builtins=True)]

    def of_a_thread(*_: object) -> None:
        sys.setprofile(None)
        try:
            profiler = cProfile.Profile()
            profiler.enable()
        except ValueError:  # from Python 3.12 on, the first one counts all threads
            return
        profilers.append(profiler)

    threading.setprofile(of_a_thread)
    code = 0
    profilers[0].enable()
    try:
        action()
    except SystemExit as end:
        code = int(end.code or 0)
    profilers[0].disable()
    threading.setprofile(None)
    calls: Counter[str] = Counter()
    for profiler in profilers:
        for entry in profiler.getstats():
            calls[_name(entry.code)] += entry.callcount
    return code, dict(calls)


def _name(code: CodeType | str) -> str:
    return code if isinstance(code, str) else f"{code.co_filename}:{code.co_qualname}"


def main() -> None:
    own, *arguments = sys.argv[1:]
    if own == "--renderer":
        boot, *sys.argv[1:] = arguments
        sys.path.pop(0)
        _, calls = _profiled(lambda: exec(boot, {"__name__": "__main__"}))  # noqa: S102 - what -c would run
        sys.stdout.flush()
        sys.stdout.buffer.write(_COUNTS + json.dumps(calls).encode())
        return
    sys.path[0] = ""
    python, *rest = arguments
    sys.executable = python
    sys.argv = ["deployer", *rest]
    code, calls = _profiled(lambda: runpy.run_module("deployer", run_name="__main__", alter_sys=True))
    modules = [name for name in sys.modules if name.partition(".")[0] not in sys.stdlib_module_names]
    Path(own).write_text(json.dumps({"calls": calls, "modules": modules}))
    sys.exit(code)


if __name__ == "__main__":
    main()
