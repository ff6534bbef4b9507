"""Job and LiveJob -> field changes. The only module that knows deepdiff.

It does not depend on the kind: how a field is compared is a column of the parameter table.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deployer.kinds.coerce import as_text
from deployer.kinds.tables import Row, json_type
from deployer.model import FieldChange, Path, Spec, pointer
from deployer.planning.parts import parts
from deployer.planning.same import is_same
from deployer.secrets.compare import align_references
from deployer.secrets.redact import is_sensitive, masked_value, redacted, secret_items
from deployer.secrets.references import has_reference
from deployer.secrets.scrub import MASK

MAX_ITEMS = 2000

_EMPTY: tuple[Any, ...] = (None, "", [], {})
_MEMORY = re.compile(r"([0-9]{1,15}) ?([kmgt]?)b?", re.IGNORECASE)
_UNITS = "KMGT"
_NOTHING = object()


def compare(
    rows: Sequence[Row], live: Spec, desired: Spec, unobserved: frozenset[str]
) -> tuple[FieldChange, ...]:
    """Return the differences of two specs as listed. Fields in `unobserved` cannot drift."""
    changes: list[FieldChange] = []
    for row, names in _compared(rows, unobserved):
        listed, requested = _first(live, names), _first(desired, names)
        if is_same(listed, requested):
            continue
        live_value, desired_value = normal_forms(row, listed, requested)
        if live_value != desired_value:
            changes += _field_changes(row, live_value, desired_value, requested)
    return tuple(changes)


def live_only(
    rows: Sequence[Row], live: Spec, desired: Spec, unobserved: frozenset[str]
) -> tuple[FieldChange, ...]:
    """Return the fields, and the keys of fields, that only the live spec has, whether or not they are a difference."""
    changes: list[FieldChange] = []
    for row, names in _compared(rows, unobserved):
        live_value, requested = normalize(row, _first(live, names)), _first(desired, names)
        desired_value = normalize(row, requested)
        without: Any = None
        if isinstance(live_value, Mapping) and isinstance(desired_value, Mapping):
            live_value = {key: item for key, item in live_value.items() if key not in desired_value}
            without = {}
        elif desired_value is not None:
            continue
        if live_value not in _EMPTY and has_reference(requested):
            # Even a key of the live job may be a secret that was sent.
            changes.append(_change(row, (), None, None, hidden=True))
        elif live_value not in _EMPTY:
            changes += _field_changes(row, live_value, without, None)
    return tuple(changes)


def not_compared(rows: Sequence[Row], desired: Spec, unobserved: frozenset[str]) -> tuple[str, ...]:
    """Return the paths of the fields of a manifest that cannot be compared: the live job does not show them."""
    compared = {row.name for row in rows if row.location != "body"}
    compared |= {row.name for row in rows if (row.same_as or row.name) not in unobserved}
    return tuple(pointer((name,)) for name in desired if name not in compared)


def _compared(rows: Sequence[Row], unobserved: frozenset[str]) -> Iterator[tuple[Row, list[str]]]:
    """Yield the rows of the fields that are compared, each with all names of its field."""
    synonyms: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.same_as:
            synonyms[row.same_as].append(row.name)
    for row in rows:
        if not row.same_as and row.location == "body" and row.name not in unobserved:
            yield row, [row.name, *synonyms.get(row.name, ())]


def _first(spec: Spec, names: Sequence[str]) -> Any:
    for name in names:
        if name in spec:
            return spec[name]
    return None


def _restrict_to_desired(live: Any, desired: Any) -> Any:
    """Return the part of `live` that the manifest sets; the service filled in the rest."""
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        return {key: value for key, value in live.items() if key in desired}
    return None if desired is None else live


def normal_forms(row: Row, listed: Any, requested: Any) -> tuple[Any, Any]:
    """Return a live and a desired value in the forms in which they are compared."""
    live_value = normalize(row, listed)
    # Aligned before a default becomes None: a secret may well have that value.
    normalized = _normalized(row, listed), _normalized(row, requested)
    desired_value = normalize(row, align_references(*normalized, unordered=row.unordered))
    return _restrict_to_desired(live_value, desired_value) if row.filled else live_value, desired_value


def normalize(row: Row, value: Any) -> Any:
    """Return `value` in normal form: None if unset, empty or the default."""
    value = _normalized(row, value)
    return None if value in _EMPTY or value == _normalized(row, row.default) else value


def _normalized(row: Row, value: Any) -> Any:
    if row.text_map and isinstance(value, Mapping):
        value = {key: as_text(item) for key, item in value.items() if item is not None}
    elif row.fields and isinstance(value, list):
        value = [_canonical_object(row.fields, item) for item in value]
    elif row.fields:
        value = _canonical_object(row.fields, value)
    if row.unordered and isinstance(value, list):
        value = sorted(value, key=lambda item: json.dumps(item, sort_keys=True))
    if row.memory and isinstance(value, str):
        value = _memory(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _memory(value: str) -> str:
    """Return a size in its largest unit: `4096M`, `4 GB` and `4` are all 4G. Other strings are unchanged."""
    match = _MEMORY.fullmatch(value)
    if not match:
        return value
    size, unit = int(match[1]), _UNITS.index((match[2] or "G").upper())
    while size and size % 1024 == 0 and unit + 1 < len(_UNITS):
        size, unit = size // 1024, unit + 1
    return f"{size}{_UNITS[unit]}"


def _canonical_object(rows: Sequence[Row], value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    # A key without a row cannot be set in a manifest: the service added it.
    normalized = {row.name: normalize(row, value.get(row.name)) for row in rows}
    return {key: item for key, item in normalized.items() if item is not None}


def _field_changes(row: Row, live: Any, desired: Any, requested: Any) -> Iterator[FieldChange]:
    """Yield the single differences inside one field; an unset side counts as an empty map or list.

    A pointer is a path in the desired value, or in the live value for what was removed. `requested` is the value
    in the manifest. If it refers to a secret, the live value of a moved item may be that secret.
    """
    marked = has_reference(requested)
    empty: Any = {"object": {}, "array": []}.get(json_type(row.type)["type"])
    if isinstance(live, Mapping) or isinstance(desired, Mapping):
        empty = {}  # of a map in a string too
    live = empty if live is None else live
    desired = empty if desired is None else desired
    if isinstance(live, list) and isinstance(desired, list):
        added = _additional_items(live, desired)
        if max(len(live), len(desired)) > MAX_ITEMS:
            # Comparing item by item would take minutes, and the result would be unreadable.
            yield _change(row, (), live, desired, hidden=marked, additional=added is not None)
            return
        if added is not None:
            for index in added:
                hidden = marked or _is_secret_item(live, (index,))
                yield _change(row, (index,), live[index], None, hidden=hidden, additional=True)
            return
    for path, before, live_value, desired_value in parts(live, desired):
        moved = marked and (not path or desired_value is None or any(isinstance(step, int) for step in path))
        hidden = moved or _is_secret_item(live, before) or _is_secret_item(desired, path)
        additional = desired_value is None and not _is_given(requested, path)
        yield _change(row, path, live_value, desired_value, hidden=hidden, additional=additional)


def _additional_items(live: list[Any], desired: list[Any]) -> list[int] | None:
    """Return the indexes of the live items that the manifest does not have; None if other items differ too."""
    left = iter(desired)
    wanted = next(left, _NOTHING)
    indexes = []
    for index, item in enumerate(live):
        if item == wanted:
            wanted = next(left, _NOTHING)
        else:
            indexes.append(index)
    return indexes if wanted is _NOTHING else None


def _is_given(requested: Any, path: Path) -> bool:
    """Return whether the manifest has a value at `path`, which may be the default; the items of a list are given."""
    for step in path:
        if not isinstance(requested, Mapping):
            return requested is not None
        requested = requested.get(step)
    return requested is not None


def _is_secret_item(value: Any, path: Path) -> bool:
    """Return whether the item at `path` of a list is secret because of those next to it, as after `--password`."""
    if not isinstance(value, list) or len(path) != 1 or not isinstance(path[0], int):
        return False
    first = max(0, path[0] - 2)
    return path[0] - first in secret_items(value[first : path[0] + 3])


def _change(
    row: Row, path: Path, live: Any, desired: Any, *, hidden: bool, additional: bool = False
) -> FieldChange:
    at = pointer((row.name, *path))
    secret = hidden or is_sensitive(row, path) or (bool(row.sensitive) and not path)
    if secret or has_reference([live, desired]) or _has_secret_key(live) or _has_secret_key(desired):
        return FieldChange(at, None, None, sensitive=True, additional=additional)
    # Only the credentials inside are masked: they must not hide the rest of a change.
    shown_live, shown_desired = masked_value(live), masked_value(desired)
    if (shown_live, shown_desired) == (live, desired):
        return FieldChange(at, live, desired, additional=additional)
    # Of two formats, such as a list and its text, one may not show where the credentials are.
    same_format = None in (live, desired) or type(live) is type(desired)
    if not same_format or shown_live == shown_desired or MASK in (shown_live, shown_desired):
        return FieldChange(at, None, None, sensitive=True, additional=additional)
    return FieldChange(at, shown_live, shown_desired, additional=additional)


def _has_secret_key(value: Any) -> bool:
    """Return whether the key of a mapping has a credential inside."""
    if isinstance(value, Mapping):
        keys = map(str, value)
        return any(redacted(key) != key for key in keys) or any(map(_has_secret_key, value.values()))
    return isinstance(value, list) and any(map(_has_secret_key, value))
