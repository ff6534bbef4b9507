"""The key of a run among those of its job: its values as one text, `date=2024-07-04,region=north`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

# What separates two values, what an escape begins with, and what is not visible.
_ESCAPED = re.compile(r"[%,\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def run_key(values: Mapping[str, str]) -> str:
    """Return the key of values by the names of their parameters, sorted; empty without any."""
    return ",".join(f"{name}={_ESCAPED.sub(_escape, values[name])}" for name in sorted(values))


def values_of(key: str) -> dict[str, str]:
    """Return the values in a key."""
    pairs = (pair.partition("=") for pair in key.split(",")) if key else ()
    return {name: unquote(value, errors="strict") for name, _, value in pairs}


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())
