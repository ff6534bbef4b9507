"""A manifest as data with comments -> the text of a template that renders to exactly this data.

Strings may have references to secrets, which become `{{ secret("NAME") }}`. What a template would evaluate in any other
string is escaped.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from deployer.documents.dump import dump
from deployer.documents.reserved import ESCAPED, RESERVED
from deployer.escape import is_visible, printable
from deployer.secrets.references import CLOSE, NAME, OPEN, SECRET, SEP

WIDTH = 100

_INDENT = "  "
# A reference to a secret, a variable of DLI, and the beginning of what a template evaluates.
_SPECIAL = (
    rf"{OPEN}{SECRET}{SEP}(?P<secret>{NAME.pattern}){CLOSE}"
    r"|\{\{(?P<variable>[A-Za-z_][A-Za-z0-9_.-]*)\}\}|(?P<begin>\{[{%#])"
)
_SPECIAL_IN = {
    quote: re.compile(_SPECIAL.translate(escapes))
    # In double quotes the characters of a reference may be escapes.
    for quote, escapes in (
        ('"', {}),
        ("'", {ord(char): f"(?:{char}|\\\\u{ord(char):04X})" for char in (OPEN, SEP, CLOSE)}),
    )
}
_BEGIN = re.compile(r"\{(?=[{%#])")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping: its value, and the comments above it. The value may be a block of entries.

    Without a key it has comments only.
    """

    key: str
    value: Any = None
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping whose keys may have comments."""

    entries: tuple[Entry, ...]


def data(value: Any) -> Any:
    """Return the plain data of a value."""
    if isinstance(value, Block):
        return {entry.key: data(entry.value) for entry in value.entries if entry.key}
    return value


def text(block: Block, comments: Sequence[str] = (), *, quoted: bool = False) -> str:
    """Return the document of a block, with `comments` above it; with `quoted` in ASCII, which is always readable."""
    lines = [*_commented(comments, ""), *_lines(block, "", quoted=quoted)]
    return _as_template("\n".join(lines) + "\n")


def _lines(block: Block, indent: str, *, quoted: bool) -> Iterator[str]:
    for entry in block.entries:
        yield from _commented(entry.comments, indent)
        if isinstance(entry.value, Block) and data(entry.value):
            yield from (
                f"{indent}{line}" for line in dump({entry.key: None}).replace(" null", "").splitlines()
            )
            yield from _lines(entry.value, f"{indent}{_INDENT}", quoted=quoted)
        elif entry.key:
            written = _dumped({entry.key: data(entry.value)}, quoted=quoted)
            yield from (f"{indent}{line}" if line else "" for line in written.splitlines())


def _dumped(value: Any, *, quoted: bool) -> str:
    """Return YAML in which every character can be seen, on lines that are not broken inside a reference."""
    if not quoted:
        written = dump(value, as_blocks=True, width=math.inf)
        if is_visible(RESERVED.sub("", written).replace("\n", "")):
            return written
    return dump(value, allow_unicode=False, width=math.inf)


def _commented(comments: Sequence[str], indent: str) -> Iterator[str]:
    for comment in comments:
        # A template evaluates comments too, and no file may contain reserved characters, also not as escapes.
        shown = ESCAPED.sub("?", _BEGIN.sub("{ ", printable(RESERVED.sub("?", comment))))
        wrapped = textwrap.wrap(
            shown, WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False
        )
        yield from (f"{indent}# {line}" for line in wrapped)


def _as_template(text: str) -> str:
    """Return YAML as a template for it: in each scalar, with quotes other than those around it."""
    pieces: list[str] = []
    position = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):  # the loader in C counts in bytes
        if isinstance(event, yaml.ScalarEvent) and event.start_mark and event.end_mark:
            start, end = event.start_mark.index, event.end_mark.index
            quote = "'" if event.style == '"' else '"'
            pieces += [text[position:start], _escaped(text[start:end], quote)]
            position = end
    return "".join([*pieces, text[position:]])


def _escaped(scalar: str, quote: str) -> str:
    def replacement(match: re.Match[str]) -> str:
        if match["secret"]:
            return f"{{{{ secret({quote}{match['secret']}{quote}) }}}}"
        if match["variable"]:
            return f"{{{{ dli_var({quote}{match['variable']}{quote}) }}}}"
        return f"{{{{ {quote}{match['begin']}{quote} }}}}"

    return _SPECIAL_IN[quote].sub(replacement, scalar)
