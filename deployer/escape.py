"""Untrusted text made safe for a terminal or a web page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MAX_VALUE = 160
COMMAND, COMMAND_ESCAPED = "##[", "##\\u005b"
_CONTEXT = 40


def printable(text: str) -> str:
    """Return `text` on one line: control, bidirectional and other invisible characters become escapes.

    So does the bracket of what a GitHub runner interprets as a command anywhere in a line.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    return text.replace(COMMAND, COMMAND_ESCAPED)


def log_lines(text: str, prefix: str = "") -> Iterator[str]:
    """Yield the lines of a log line with breaks, such that neither a terminal nor a CI runner interprets them.

    A GitHub runner interprets a line that begins with :: as a command.
    """
    for line in text.splitlines() or [""]:
        clean = f"{prefix}{printable(line.expandtabs(4))}"
        yield clean.replace(":", "\\u003a", 1) if clean.lstrip().startswith("::") else clean


def _escape(char: str) -> str:
    if ord(char) < 0x20:
        return json.dumps(char)[1:-1]
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def value(item: Any) -> str:
    """Return a value as JSON, on one line."""
    return printable(json.dumps(item, ensure_ascii=False, sort_keys=True))


def pair(live: Any, desired: Any) -> tuple[str, str]:
    """Return both values; where they are long, the part around their first difference."""
    texts = value(live), value(desired)
    if max(map(len, texts)) <= MAX_VALUE:
        return texts
    first = next((n for n, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(0, first - _CONTEXT)
    return _excerpt(texts[0], start), _excerpt(texts[1], start)


def _excerpt(text: str, start: int) -> str:
    end = start + MAX_VALUE
    before = f"({start} characters) ..." if start else ""
    after = f"... ({len(text) - end} more)" if len(text) > end else ""
    return f"{before}{text[start:end]}{after}"
