"""The template renderer process: it receives tasks, returns responses, and has few other permissions.

The CPU time for one file is limited. A template that exceeds it is interrupted, and its line is known; one
that hangs in a single instruction ends the process, and `deployer.templates.sandbox` starts another.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from deployer.errors import Code, Problem
from deployer.model import Location
from deployer.templates import protocol as wire
from deployer.templates.engine import Engine
from deployer.templates.problems import TimeLimitExceeded
from deployer.templates.rendered import RenderedText

INTERRUPTED_AFTER = 0.8 * wire.SECONDS
MAX_OPEN_FILES = 16


def main() -> None:
    """Serve stdin and stdout; the first message has the settings of all tasks."""
    setup = wire.read(sys.stdin.buffer)
    if setup is None:
        return
    common = wire.decoded(setup)
    engine = Engine(Path(common["folder"]), common["values"], frozenset(common["names"]))
    _limit_process()
    try:
        serve(engine, sys.stdin.buffer, sys.stdout.buffer)
    except TimeLimitExceeded:
        os._exit(wire.OUT_OF_TIME)
    except MemoryError:
        os._exit(wire.OUT_OF_MEMORY)
    except OSError:
        os._exit(0)  # the parent has closed the pipe


def _limit_process() -> None:
    """Limits the process: no writes (not even errors), little memory, few open files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if sys.platform == "win32":
        return
    import resource

    limits = {
        resource.RLIMIT_AS: wire.MEMORY,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
    }
    for kind, limit in limits.items():
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError):  # the system does not support the limit, or has a lower one
            continue


def serve(engine: Engine, tasks: IO[bytes], answers: IO[bytes]) -> None:
    """Process tasks until the end of the input."""
    wire.write(answers, wire.READY)
    while (task := wire.read(tasks)) is not None:
        with _limited():
            answer = _answer(engine, **wire.decoded(task))
        wire.write(answers, answer)


def _answer(engine: Engine, file: str, text: str, each: Any) -> bytes:
    begun = time.process_time()
    result = engine.render(file, text, each)
    if isinstance(result, RenderedText):
        answer = wire.encoded({"rendered": result.to_json()})
        if len(answer) <= wire.MAX_ANSWER:
            return answer
        result = (Problem(Location(file, 1, 1), "template output too large", Code.TEMPLATE_LIMIT),)
    costly = time.process_time() - begun > INTERRUPTED_AFTER / 2
    return wire.encoded({"problems": [wire.from_problem(problem) for problem in result], "costly": costly})


@contextmanager
def _limited() -> Iterator[None]:
    if sys.platform == "win32":
        yield  # no limit here but the timeout of the parent
        return
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGVTALRM, _interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, INTERRUPTED_AFTER)
    signal.setitimer(signal.ITIMER_PROF, wire.SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _interrupt(*_: object) -> NoReturn:
    raise TimeLimitExceeded(f"the template exceeded {wire.SECONDS:g} s of CPU time")
