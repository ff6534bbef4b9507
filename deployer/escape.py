"""Untrusted text made safe for a terminal, the log of a CI runner, or a web page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

MAX_VALUE = 160
HIDDEN = "(hidden)"  # stands for a live value that a plan may not show
_CONTEXT = 40
_ON_ONE_LINE = json.JSONEncoder(ensure_ascii=False, sort_keys=True)

# Printable for Python, but nothing is seen of them: the Default_Ignorable_Code_Points of Unicode that are letters or
# marks (fillers, variation selectors, U+034F, U+17B4 and U+17B5), and the characters whose glyph is blank. All
# other ignorable ones are format characters or unassigned, which are not printable for Python either.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\ufffc"
    "\U00013441\U00013442\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
# What a CI runner interprets anywhere in a line: ##[command] (GitHub, Azure), ##vso[command] (Azure),
# ##teamcity[message], and section_start:TIME:NAME (GitLab). Without its last character it is text.
_COMMAND = re.compile(r"##\w*\[|section_(?:start|end):(?=[0-9])", re.IGNORECASE)


def is_visible(text: str) -> bool:
    """Return whether every character of a line can be seen."""
    return text.isprintable() and (text.isascii() or not _INVISIBLE.search(text))


def printable(text: str) -> str:
    """Return `text` on one line: control, bidirectional and other invisible characters become escapes.

    So does one character of what a CI runner interprets as a command anywhere in a line.
    """
    if not is_visible(text):
        text = "".join(char if is_visible(char) else _escape(char) for char in text)
    return without_commands(text)


def without_commands(text: str) -> str:
    """Return `text` with an escape in what a CI runner interprets as a command anywhere in a line.

    The escape is one of JSON, and of a double-quoted YAML string.
    """
    if "##" not in text and "_" not in text:
        return text
    return _COMMAND.sub(lambda match: f"{match[0][:-1]}{_escape(match[0][-1])}", text)


def command_escapes(text: str) -> Iterator[tuple[int, str]]:
    """Yield the position of each character that `without_commands` replaces, and its escape."""
    for match in _COMMAND.finditer(text):
        yield match.end() - 1, _escape(match[0][-1])


def log_lines(text: str, prefix: str = "") -> Iterator[str]:
    """Yield the lines of a log line with breaks, such that neither a terminal nor a CI runner interprets them."""
    for line in text.splitlines() or [""]:
        yield without_command_at_start(f"{prefix}{printable(line.expandtabs(4))}")


def without_command_at_start(line: str) -> str:
    """Return `line` with an escape in :: at its start, also after spaces: a GitHub runner's command."""
    return line.replace(":", "\\u003a", 1) if line.lstrip().startswith("::") else line


def _escape(char: str) -> str:
    if ord(char) < 0x20:
        return json.dumps(char)[1:-1]
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def json_text(data: Any) -> str:
    """Return `data` as an indented JSON document, in ASCII and without what a CI runner interprets."""
    return without_commands(json.dumps(data, indent=2))


def value(item: Any) -> str:
    """Return a value as JSON, on one line."""
    return printable(_ON_ONE_LINE.encode(item))


def pair(live: Any, desired: Any) -> tuple[str, str]:
    """Return both values; where they are long, all parts in which they differ. A value without the other is whole."""
    texts = value(live), value(desired)
    if live is None or desired is None or max(map(len, texts)) <= MAX_VALUE:
        return texts
    from deployer.hunks import differing_parts  # on use: few plans have long values

    return differing_parts(*texts)


def first_difference(one: str, other: str) -> tuple[str, str]:
    """Return both texts; where they are long, a part of limited length around their first difference."""
    if max(len(one), len(other)) <= MAX_VALUE:
        return one, other
    length = min(len(one), len(other))
    first = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), length)
    start = max(0, first - _CONTEXT)
    return _excerpt(one, start), _excerpt(other, start)


def _excerpt(text: str, start: int) -> str:
    end = start + MAX_VALUE
    before = f"({start} characters) ..." if start else ""
    after = f"... ({len(text) - end} more)" if len(text) > end else ""
    return f"{before}{text[start:end]}{after}"
