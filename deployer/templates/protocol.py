"""What passes between a run and the process that renders its templates: JSON, after its length in bytes.

JSON and not pickle: whoever breaks out of a template must not get into the run.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

from deployer.errors import Code, Problem
from deployer.model import Location

MAX_ANSWER = 16 * 2**20
# What one file may take, and how the process ends that notices that it took more.
SECONDS = 1.0
MEMORY = 512 * 2**20
OUT_OF_TIME, OUT_OF_MEMORY = 3, 4
# What it says once it can be given tasks.
READY = b"ready"

_LENGTH = struct.Struct(">I")


def encoded(data: Any) -> bytes:
    """Returns `data` as JSON; half characters, which a template can make, come through."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def decoded(message: bytes) -> Any:
    """Parses JSON. Raises ValueError or RecursionError."""
    return json.loads(message.decode("utf-8", "surrogatepass"))


def write(stream: IO[bytes], message: bytes) -> None:
    stream.write(_LENGTH.pack(len(message)) + message)
    stream.flush()


def read(stream: IO[bytes], limit: int | None = None) -> bytes | None:
    """Returns the next message; None at the end, or where what comes is none."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if limit is not None and length > limit:
        return None
    message = stream.read(length)
    return message if len(message) == length else None


def from_problem(problem: Problem) -> list[Any]:
    return [problem.location, problem.message, problem.code]


def to_problem(data: Any, via: tuple[str, ...]) -> Problem:
    """Restores what `from_problem` returned, with `via` added; raises ValueError or TypeError."""
    (file, line, column, chain), message, code = data
    if not all(isinstance(text, str) for text in (file, message, *chain)) or line + column < 0:
        raise ValueError("not a problem")
    return Problem(Location(file, line, column, (*chain, *via)), message, Code(code))
