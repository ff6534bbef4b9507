"""The real command under a profiler: the calls and the time of each function, in all threads and in the renderer.

Run as a script it is that command, of whatever checkout its Python has installed: it profiles `deployer ARGUMENTS`, and
keeps what the template renderer is sent. The renderer is killed at the end and cannot write files, so the same is sent
to another one, which is profiled.
"""

from __future__ import annotations

import cProfile
import json
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

_RENDERER = """#!/bin/sh
printf '%s\\0' "$@" > '{folder}/arguments'
tee '{folder}/sent' | exec '{python}' "$@"
"""
_RESULT = b"\n--- profile ---\n"

Profile = Mapping[str, tuple[int, float]]
"""The number of calls of each function, named `file:Class.function`, and the seconds in it without other functions.

From Python 3.12 on, where one profiler sees all threads, the seconds of several threads are mixed up."""


@dataclass(frozen=True)
class Profiled:
    """A finished command: its exit code, its output, and its profile.

    `modules` are those that it imported, without Python's own. `renderer` is the profile of the template renderer;
    empty if there was none.
    """

    code: int
    out: str
    profile: Profile
    modules: frozenset[str]
    renderer: Profile = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Returns the number of all calls, also in the renderer."""
        return sum(number for profile in (self.profile, self.renderer) for number, _ in profile.values())


def calls(profile: Profile, *functions: str) -> int:
    """Return the number of calls of functions, each named by the end of its path: `model/plan.py:Plan.steps`."""
    return sum(number for name, (number, _) in profile.items() if name.endswith(functions))


def profiled(
    folder: Path,
    scratch: Path,
    *arguments: str,
    environment: Mapping[str, str],
    python: str = sys.executable,
    timed: bool = False,
) -> Profiled:
    """Run `deployer ARGUMENTS` in a folder. `scratch` is a folder that does not exist yet.

    With `timed`, built-in functions are not counted: their time is that of the functions that call them.
    """
    scratch.mkdir()
    renderer = scratch / "python"
    renderer.write_text(_RENDERER.format(folder=scratch, python=python))
    renderer.chmod(0o755)
    own = [python, __file__, str(int(timed))]
    ran = subprocess.run(
        [*own, str(scratch / "result"), str(renderer), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    result = json.loads((scratch / "result").read_text())
    again = _renderer_profile(scratch, own) if (scratch / "sent").exists() else {}
    return Profiled(ran.returncode, ran.stdout, result["profile"], frozenset(result["modules"]), again)


def _renderer_profile(scratch: Path, own: list[str]) -> Profile:
    arguments = (scratch / "arguments").read_text().split("\0")[:-1]
    boot = arguments[arguments.index("-c") + 1 :]
    with (scratch / "sent").open("rb") as sent:
        ran = subprocess.run([*own, "renderer", *boot], stdin=sent, stdout=subprocess.PIPE, check=True)
    profile: Profile = json.loads(ran.stdout.rpartition(_RESULT)[2])
    return profile


def _profiler(timed: bool) -> cProfile.Profile:
    # The CPU time of the thread, as waiting for another one is no work. It takes longer to ask for.
    return cProfile.Profile(time.thread_time, builtins=False) if timed else cProfile.Profile()


def _profiled(action: Callable[[], object], timed: bool) -> tuple[int, Profile]:
    """Carry out `action`, and return its exit code, and the profile of all threads."""
    profilers = [_profiler(timed)]

    def of_a_thread(*_: object) -> None:
        sys.setprofile(None)
        try:
            profiler = _profiler(timed)
            profiler.enable()
        except ValueError:  # from Python 3.12 on, the first one profiles all threads
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
    found: dict[str, tuple[int, float]] = {}
    for profiler in profilers:
        for entry in profiler.getstats():
            number, seconds = found.get(_name(entry.code), (0, 0.0))
            found[_name(entry.code)] = (number + entry.callcount, seconds + entry.inlinetime)
    return code, found


def _name(code: CodeType | str) -> str:
    return code if isinstance(code, str) else f"{code.co_filename}:{code.co_qualname}"


def main() -> None:
    timed, result, *arguments = sys.argv[1:]
    sys.path.pop(0)
    if result == "renderer":
        boot, *sys.argv[1:] = arguments
        _, profile = _profiled(lambda: exec(boot, {"__name__": "__main__"}), timed == "1")  # noqa: S102
        sys.stdout.flush()
        sys.stdout.buffer.write(_RESULT + json.dumps(profile).encode())
        return
    sys.executable, *rest = arguments
    sys.argv = ["deployer", *rest]
    code, profile = _profiled(
        lambda: runpy.run_module("deployer", run_name="__main__", alter_sys=True), timed == "1"
    )
    modules = [name for name in sys.modules if name.partition(".")[0] not in sys.stdlib_module_names]
    Path(result).write_text(json.dumps({"profile": profile, "modules": modules}))
    sys.exit(code)


if __name__ == "__main__":
    main()
