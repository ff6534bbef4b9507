"""Masks secret fields, and credentials inside text.

The same rules mask both sides of a diff, so that a masked value never looks like a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from deployer.kinds.tables import Row
from deployer.model import Path
from deployer.secrets.references import display_text, has_reference
from deployer.secrets.scrub import MASK

# The name of a secret, a value after it, and a command-line option with such a name.
NAME = (
    r"(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:access|secret|api|private)[._-]?key"
    r"|(?<![a-z0-9])[as]k)"
)
VALUE = r"(?:(?:(\\*[\"']).*?(?:\2|$)[^\s,;&\"']*)+|[^\s,;&\"']+)"
OPTION = rf"(?<![\w-])--?[\w.-]{{0,64}}?{NAME}"

_IN_TEXT = (
    # obs://AK:SK@host, jdbc:mysql://user:password@host; but not a port: hdfs://host:8020/reports@2024
    re.compile(
        r"(?<=://)[^/\s:@\"']{0,256}+:(?!//|[0-9]{1,5}(?:[^\w@%+.~-]|$))"
        r"[^\s@\"']{0,512}+(?:@[^\s@/\"']{0,512}+)*(?=@)"
    ),
    # password=..., "secret_key": ..., token == ...
    re.compile(rf"({NAME}[\\\"']*\s*(?:[=:]=?|!=)\s*){VALUE}", re.IGNORECASE | re.MULTILINE),
    # --password x
    re.compile(rf"({OPTION}\s+)(?!-){VALUE}", re.IGNORECASE | re.MULTILINE),
)
_IS_OPTION = re.compile(OPTION, re.IGNORECASE)

# One of these is in every NAME. Searching them first is many times faster, and most text has none.
_IN_NAMES = ("pass", "pwd", "secret", "token", "credential", "key", "ak", "sk")


def redacted(value: str) -> str:
    """Return `value` with the credentials inside it masked."""
    url, *named = _IN_TEXT
    if "://" in value:
        value = url.sub(MASK, value)
    folded = value.casefold()
    if any(part in folded for part in _IN_NAMES):
        for pattern in named:
            value = pattern.sub(lambda match: f"{match[1]}{MASK}", value)
    return value


def is_secret_option(value: object) -> bool:
    """Return whether an item of a list is an option whose value, the next item, is secret: `--password`."""
    return isinstance(value, str) and bool(_IS_OPTION.fullmatch(value))


def is_sensitive(row: Row, path: Path) -> bool:
    """Return whether the table marks the value at `path` below the field `row` as secret."""
    if isinstance(row.sensitive, bool):
        return row.sensitive
    return bool(path) and any(fnmatchcase(str(path[0]).casefold(), pattern) for pattern in row.sensitive)


def masked(rows: Mapping[str, Row], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with secrets masked; `rows` are those of its fields, by each of their names."""
    return {name: _masked(rows.get(name), (), value) for name, value in spec.items()}


def literal_secrets(rows: Mapping[str, Row], spec: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths in a spec of values that would be masked and are no secret reference."""
    return _differences(spec, masked(rows, spec), ())


def _differences(value: Any, printed: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping) and isinstance(printed, Mapping):
        for key, item in value.items():
            yield from _differences(item, printed[key], (*path, key))
    elif isinstance(value, list) and isinstance(printed, list):
        for index, (item, other) in enumerate(zip(value, printed, strict=True)):
            yield from _differences(item, other, (*path, index))
    elif value and value != printed and not has_reference(value):
        yield path


def _masked(row: Row | None, path: Path, value: Any) -> Any:
    if _has_reference(value):
        return display_text(value)
    if row is not None and is_sensitive(row, path):
        return MASK
    if row is not None and row.sensitive and not path and isinstance(value, str):
        return MASK  # a map in a string: its keys cannot be distinguished
    if isinstance(value, Mapping):
        return {key: _masked(row, (*path, key), item) for key, item in value.items()}
    if isinstance(value, list):
        before = [None, *value]
        return [
            MASK
            if is_secret_option(previous) and not _has_reference(item)
            else _masked(row, (*path, index), item)
            for index, (previous, item) in enumerate(zip(before, value, strict=False))
        ]
    return redacted(value) if isinstance(value, str) else value


def _has_reference(value: object) -> bool:
    return isinstance(value, str) and has_reference(value)
