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

_NAME = (
    r"(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:access|secret|api|private)[._-]?key"
    r"|(?<![a-z0-9])[as]k)"
)
_VALUE = r"(?:(?:(\\*[\"']).*?(?:\2|$)[^\s,;&\"']*)+|[^\s,;&\"']+)"
_OPTION = rf"(?<![\w-])--?[\w.-]{{0,64}}?{_NAME}"

_IN_TEXT = (
    # obs://AK:SK@host, jdbc:mysql://user:password@host; but not a port: hdfs://host:8020/reports@2024
    re.compile(
        r"(?<=://)[^/\s:@\"']{0,256}:(?!//|[0-9]{1,5}(?:[^\w@%+.~-]|$))"
        r"[^\s@\"']{0,512}(?:@[^\s@/\"']{0,512})*(?=@)"
    ),
    # password=..., "secret_key": ...
    re.compile(rf"({_NAME}[\\\"']*\s*[=:]\s*){_VALUE}", re.IGNORECASE | re.MULTILINE),
    # --password x
    re.compile(rf"({_OPTION}\s+)(?!-){_VALUE}", re.IGNORECASE | re.MULTILINE),
)
_IS_OPTION = re.compile(_OPTION, re.IGNORECASE)


def text(value: str) -> str:
    """`value` with the credentials inside it masked."""
    url, *named = _IN_TEXT
    value = url.sub(MASK, value)
    for pattern in named:
        value = pattern.sub(lambda match: f"{match[1]}{MASK}", value)
    return value


def announces_secret(value: object) -> bool:
    """Whether an item of a list is an option whose value, the next item, is secret: `--password`."""
    return isinstance(value, str) and bool(_IS_OPTION.fullmatch(value))


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
    if row is not None and row.sensitive and not path and isinstance(value, str):
        return MASK  # a map that is written as text: its keys cannot be told apart
    if isinstance(value, Mapping):
        return {key: _masked(row, (*path, key), item) for key, item in value.items()}
    if isinstance(value, list):
        before = [None, *value]
        return [
            MASK if announces_secret(previous) else _masked(row, (*path, index), item)
            for index, (previous, item) in enumerate(zip(before, value, strict=False))
        ]
    return text(value) if isinstance(value, str) else value
