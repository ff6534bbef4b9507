"""What must not be shown: which fields are secret, and credentials inside text.

The same rules mask both sides of a diff, so that a masked value never looks like a change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from deployer.model import Path
from deployer.tables import Row

MASK = "***"

_IN_TEXT = (
    # obs://AK:SK@host, jdbc:mysql://user:password@host
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]*(?=@)"),
    # password=..., secret_key: ..., --password x
    re.compile(
        r"(?i)(?:(?<=password)|(?<=passwd)|(?<=secret)|(?<=token)|(?<=access\.key)|(?<=secret\.key)"
        r"|(?<=access_key)|(?<=secret_key)|(?<=access-key)|(?<=secret-key))(\s*[=:]\s*|\s+)[^\s,;&\"']+"
    ),
)


def text(value: str) -> str:
    """`value` with the credentials inside it masked."""
    value = _IN_TEXT[0].sub(MASK, value)
    return _IN_TEXT[1].sub(lambda match: f"{match[1]}{MASK}", value)


def is_sensitive(row: Row, path: Path) -> bool:
    """Whether the value at `path` below the field `row` is secret, by the table's word."""
    if isinstance(row.sensitive, bool):
        return row.sensitive
    return bool(path) and any(fnmatchcase(str(path[0]).casefold(), pattern) for pattern in row.sensitive)


def masked(rows: tuple[Row, ...], spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec that can be shown."""
    by_name = {row.name: row for row in rows}
    return {name: _masked(by_name.get(name), (), value) for name, value in spec.items()}


def _masked(row: Row | None, path: Path, value: Any) -> Any:
    if row is not None and is_sensitive(row, path):
        return MASK
    if isinstance(value, Mapping):
        return {key: _masked(row, (*path, key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(row, (*path, index), item) for index, item in enumerate(value)]
    return text(value) if isinstance(value, str) else value
