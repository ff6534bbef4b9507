"""Long lines as several that fit a terminal: nothing is left out, neither words nor spaces."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.escape import without_command_at_start
from deployer.report.table import columns_of

_LEAST = 20
_BETWEEN = (" ", ",;|&", "/", "=:.-_")  # the best first
_WORD = 24  # a line ends so many columns early rather than within a word


def wrapped(line: str, width: int | None, indent: str) -> Iterator[str]:
    """Yield the parts of a line that fit `width`, all but the first below `indent`; None: there is no limit."""
    if width is None or columns_of(line) <= width:
        yield line
        return
    start = ""
    while line:
        end = _end(line, max(width - len(start), _LEAST))
        # No part becomes a command of a CI runner because it is at the start of a line.
        yield without_command_at_start(f"{start}{line[:end]}")
        line, start = line[end:], indent


def _end(line: str, width: int) -> int:
    """Return where the first part of a line ends: after a space if one is near, else after a sign between words."""
    if len(line) <= width and columns_of(line) <= width:
        return len(line)
    end = min(width, len(line))
    while end > 1 and columns_of(line[:end]) > width:
        end -= 1
    for signs in _BETWEEN:
        at = max(line.rfind(sign, max(1, end - _WORD), end) for sign in signs)
        if at >= 0 and line[:at].strip():
            return at + 1
    return end
