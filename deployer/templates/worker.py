"""The template renderer process: it receives tasks, returns responses, and has few other permissions.

The CPU time for one file is limited. A template that exceeds it is interrupted, and its line is known; one
that hangs in a single instruction ends the process, and `deployer.templates.sandbox` starts another.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from deployer.errors import Code, Problem
from deployer.model import Location
from deployer.templates import protocol
from deployer.templates.engine import Engine
from deployer.templates.problems import TimeLimitExceeded
from deployer.templates.rendered import RenderedText

INTERRUPTED_AFTER = 0.8 * protocol.SECONDS
MAX_OPEN_FILES = 16


def main() -> None:
    """Serve stdin and stdout; the first message has the settings of all tasks."""
    setup = protocol.read(sys.stdin.buffer)
    if setup is None:
        return
    common = protocol.decoded(setup)
    names = frozenset(common["names"])
    engine = Engine(Path(common["folder"]), common["values"], names, common["overlays"])
    _limit_process()
    gc.freeze()  # nothing of the program itself is garbage
    gc.enable()
    try:
        serve(engine, sys.stdin.buffer, sys.stdout.buffer)
    except TimeLimitExceeded:
        os._exit(protocol.OUT_OF_TIME)
    except MemoryError:
        os._exit(protocol.OUT_OF_MEMORY)
    except OSError:
        os._exit(0)  # the parent has closed the pipe


def _limit_process() -> None:
    """Limit the process: no writes (not even errors), little memory, few open files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if sys.platform == "win32":
        return
    import resource

    limits = {
        resource.RLIMIT_AS: protocol.MEMORY,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
    }
    for kind, limit in limits.items():
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError):  # the system does not support the limit, or has a lower one
            continue


def serve(engine: Engine, tasks: IO[bytes], responses: IO[bytes]) -> None:
    """Process tasks until the end of the input."""
    protocol.write(responses, protocol.READY)
    while (task := protocol.read(tasks)) is not None:
        with _limited():
            data = protocol.decoded(task)
            response = answers(engine, data["groups"]) if "groups" in data else _response(engine, **data)
        protocol.write(responses, response)


def _response(engine: Engine, file: str, text: str, each: Any, overlay: int = 0) -> bytes:
    started = time.process_time()
    result = engine.render(file, text, each, overlay)
    if isinstance(result, RenderedText):
        rendered = result.to_json()
        response = protocol.encoded({"rendered": rendered, "seconds": time.process_time() - started})
        if len(response) <= protocol.MAX_RESPONSE:
            return response
        result = (Problem(Location(file, 1, 1), "template output too large", Code.TEMPLATE_LIMIT),)
    problems = [protocol.from_problem(problem) for problem in result]
    seconds = time.process_time() - started
    costly = seconds > INTERRUPTED_AFTER / 2
    return protocol.encoded({"problems": problems, "costly": costly, "seconds": seconds})


def answers(engine: Engine, groups: Sequence[Any]) -> bytes:
    """Return the answers to groups of questions; see `deployer.templates.holes`."""
    started = time.process_time()
    answered = [
        answer and {"text": answer[0], "slots": [(slot.value, slot.text, slot.names) for slot in answer[1]]}
        for each, overlay, texts in groups
        for answer in engine.answers(texts, each, overlay)
    ]
    seconds = time.process_time() - started
    response = protocol.encoded({"answers": answered, "seconds": seconds})
    if len(response) <= protocol.MAX_RESPONSE:
        return response
    return protocol.encoded({"answers": [None] * len(answered), "seconds": seconds})


@contextmanager
def _limited() -> Iterator[None]:
    if sys.platform == "win32":
        yield  # no limit here but the timeout of the parent
        return
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGVTALRM, _interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, INTERRUPTED_AFTER)
    signal.setitimer(signal.ITIMER_PROF, protocol.SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _interrupt(*_: object) -> NoReturn:
    raise TimeLimitExceeded(f"the template exceeded {protocol.SECONDS:g} s of CPU time")
