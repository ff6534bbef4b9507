"""What both readers of YAML share: the parser's events, and the type and the cost of a scalar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

import yaml

MAX_DIGITS = 40
# YAML's printable characters, except those that are a line break for libyaml but not for editors.
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_PRINTABLE_ASCII = re.compile(r"[\t\n\r\x20-\x7e]*")

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def find_unprintable(text: str) -> re.Match[str] | None:
    """Return the first character of a text that YAML does not allow as it is; None if there is none."""
    # The pattern of all of Unicode takes some milliseconds to compile.
    return None if _PRINTABLE_ASCII.fullmatch(text) else re.search(_UNPRINTABLE, text)


def resolve(text: str) -> Any:
    """Return the value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text.lstrip("+-")) > MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and isfinite(number := float(text)):
        return number
    return text


def cost(text: str) -> int:
    """Return the cost of a scalar: one, or more if it is long."""
    return 1 + len(text) // 128


def events(text: str) -> Iterator[Any]:
    """Yield the events of `yaml.parse`, but faster."""
    loader = LOADER(text)
    try:
        yield from iter(loader.get_event, None)
    finally:
        loader.dispose()
