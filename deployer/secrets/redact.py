"""Masks secret fields, and credentials inside text.

The same rules mask both sides of a diff, so that a masked value never looks like a change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from deployer.kinds.tables import Row
from deployer.model import Path
from deployer.secrets.plain import IN_NAMES, is_plain
from deployer.secrets.references import display_text, has_reference
from deployer.secrets.scrub import MASK
from deployer.secrets.settings_text import masked_settings

# The name of a secret, a value after it, and a command-line option with such a name.
NAME = (
    r"(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:access|secret|api|private)[._-]?key"
    r"|(?<![a-z0-9])[as]k)"
)
VALUE = r"(?:(?:(\\*[\"']).*?(?:\2|$)[^\s,;&\"']*)+|[^\s,;&\"']+)"
# Short names count only as options, and only those that are hardly ever anything else: -p may well be a port.
_SHORT = r"(?:(?:db|jdbc|user)[._-]?)?(?:pw|pass)"
OPTION = rf"(?<![\w-])--?(?:[\w.-]{{0,64}}?{NAME}|{_SHORT})"

# An access key and its secret key, as the vendor makes them: 20 and 40 characters. A hash in hexadecimal, or an
# identifier, is no secret key: it has upper case, lower case and digits, and not only those of a hash.
_AK = r"(?<![A-Za-z0-9])(?=[0-9]*[A-Z])[A-Z0-9]{20}(?![A-Za-z0-9])"
_SK = (
    r"(?<![A-Za-z0-9])(?=[A-Z0-9]*[a-z])(?=[a-z0-9]*[A-Z])(?=[A-Za-z]*[0-9])(?=[0-9A-Fa-f]*[G-Zg-z])"
    r"[A-Za-z0-9]{40}(?![A-Za-z0-9])"
)
# Both in one string, in any order, not far from each other.
_PAIRS = tuple(rf"(?s){first}(?P<between>.{{1,80}}?){second}" for first, second in ((_AK, _SK), (_SK, _AK)))
_SECRET_LENGTH, _PAIR_LENGTH = 40, 61

# obs://AK:SK@host, jdbc:mysql://user:password@host; but not a port: hdfs://host:8020/reports@2024
_IN_URL = (
    r"(?<=://)[^/\s:@\"']{0,256}+:(?!//|[0-9]{1,5}(?:[^\w@%+.~-]|$))"
    r"[^\s@\"']{0,512}+(?:@[^\s@/\"']{0,512}+)*(?=@)"
)
_AFTER_NAME = (
    # password=..., "secret_key": ..., token == ...
    rf"(?im)({NAME}[\\\"']*\s*(?:[=:]=?|!=)\s*){VALUE}",
    # --password x
    rf"(?im)({OPTION}\s+)(?!-){VALUE}",
    # --pw=x
    rf"(?im)((?<![\w-])--?{_SHORT}=){VALUE}",
)
_IS_OPTION = rf"(?i){OPTION}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first needed: all of them take 20 ms, and most runs have nothing to mask."""
    return re.compile(pattern)


def key_pair() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of an access key and of a secret key."""
    return _compiled(_AK), _compiled(_SK)


def redacted(value: str) -> str:
    """Return `value` with the credentials inside it masked."""
    if "://" in value:
        value = _compiled(_IN_URL).sub(MASK, value)
    folded = value.casefold()
    if any(part in folded for part in IN_NAMES):  # many times faster, and most text has none
        for pattern in _AFTER_NAME:
            value = _compiled(pattern).sub(lambda match: f"{match[1]}{MASK}", value)
    if len(value) >= _PAIR_LENGTH and all(key.search(value) for key in key_pair()):
        for pattern in _PAIRS:
            value = _compiled(pattern).sub(rf"{MASK}\g<between>{MASK}", value)
    return value


def is_secret_option(value: object) -> bool:
    """Return whether an item of a list is an option whose value, the next item, is secret: `--password`."""
    return isinstance(value, str) and bool(_compiled(_IS_OPTION).fullmatch(value))


def secret_items(items: Sequence[object]) -> frozenset[int]:
    """Return the indexes of the items of a list that are secret because of their neighbours.

    Those are the value after an option such as --password, and an access key with its secret key, with at most an
    option between them.
    """
    found = {at for at, item in enumerate(items[:-1], start=1) if is_secret_option(item)}
    access_key, secret_key = key_pair()
    bare = [item.rpartition("=")[2] if isinstance(item, str) else "" for item in items]
    for at, item in enumerate(bare):
        if len(item) != _SECRET_LENGTH or not secret_key.fullmatch(item):
            continue
        for other in (at - 2, at - 1, at + 1, at + 2):
            if not 0 <= other < len(bare) or not access_key.fullmatch(bare[other]):
                continue
            between = items[(at + other) // 2]
            if abs(at - other) == 1 or (isinstance(between, str) and between.startswith("-")):
                found |= {at, other}
    return frozenset(found)


def is_sensitive(row: Row, path: Path) -> bool:
    """Return whether the table marks the value at `path` below the field `row` as secret."""
    if isinstance(row.sensitive, bool):
        return row.sensitive
    return bool(path) and any(fnmatchcase(str(path[0]).casefold(), pattern) for pattern in row.sensitive)


def masked(rows: Mapping[str, Row], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with secrets masked; `rows` are those of its fields, by each of their names."""
    if is_plain(rows, spec):
        return dict(spec)
    return {name: _masked(rows.get(name), (), value) for name, value in spec.items()}


def masked_value(value: Any) -> Any:
    """Return a value of any field with the credentials inside it masked."""
    return _masked(None, (), value)


def literal_secrets(rows: Mapping[str, Row], spec: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths in a spec of values that would be masked and are no secret reference."""
    return iter(()) if is_plain(rows, spec) else _differences(spec, masked(rows, spec), ())


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
        # A map in a string; in another format its keys cannot be distinguished.
        shown = masked_settings(value, lambda key, item: _masked_setting(row, key, item))
        return MASK if shown is None else redacted(shown)
    if isinstance(value, Mapping):
        return {key: _masked_item(row, (*path, key), item) for key, item in value.items()}
    if isinstance(value, list):
        secret = secret_items(value)
        return [
            MASK if index in secret and not _has_reference(item) else _masked(row, (*path, index), item)
            for index, item in enumerate(value)
        ]
    return redacted(value) if isinstance(value, str) else value


def _masked_item(row: Row | None, path: Path, value: Any) -> Any:
    """Return the value of a key, which may be the name of a secret."""
    if isinstance(value, str) and value and not _has_reference(value):
        pair = f"{path[-1]}={value}"
        if redacted(pair) != pair and redacted(value) == value:
            return MASK
    return _masked(row, path, value)


def _masked_setting(row: Row, key: str, value: Any) -> Any:
    """Return a setting in a string; a value that is more than a string is secret if any part of it is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if is_sensitive(row, (key,)) or redacted(text) != text or redacted(f"{key}={text}") != f"{key}={text}":
        return value if value in (None, "") else MASK
    return value


def _has_reference(value: object) -> bool:
    return isinstance(value, str) and has_reference(value)
