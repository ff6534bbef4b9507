"""The protocol between the command and its template renderer: JSON, prefixed with its length in bytes.

JSON instead of pickle: a template that escapes the sandbox must not get into the command.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

from deployer.errors import Code, Problem
from deployer.model import Location

MAX_RESPONSE = 16 * 2**20
# The limits of one file, and the exit codes of a process that exceeds them.
SECONDS = 1.0
MEMORY = 512 * 2**20
OUT_OF_TIME, OUT_OF_MEMORY = 3, 4
# The message of the renderer when it accepts tasks.
READY = b"ready"

_LENGTH = struct.Struct(">I")


def encoded(data: Any) -> bytes:
    """Return `data` as JSON; unpaired surrogates, which a template can create, are preserved."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def decoded(message: bytes) -> Any:
    """Parse JSON. Raises ValueError or RecursionError."""
    return json.loads(message.decode("utf-8", "surrogatepass"))


def write(stream: IO[bytes], message: bytes) -> None:
    stream.write(_LENGTH.pack(len(message)) + message)
    stream.flush()


def read(stream: IO[bytes], limit: int | None = None) -> bytes | None:
    """Return the next message; None at the end, or for an invalid message."""
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
    """Restore the result of `from_problem`, with `via` added; raises ValueError or TypeError."""
    (file, line, column, chain), message, code = data
    if not all(isinstance(text, str) for text in (file, message, *chain)) or line + column < 0:
        raise ValueError("not a problem")
    return Problem(Location(file, line, column, (*chain, *via)), message, Code(code))
