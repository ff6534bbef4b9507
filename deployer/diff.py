"""Job and LiveJob -> field changes. The only module that knows deepdiff.

Nothing here knows a kind: what varies from field to field is a column of the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepdiff import DeepDiff

from deployer.model import FieldChange, Path, Spec
from deployer.redact import is_sensitive
from deployer.redact import text as redacted_text
from deployer.tables import Row, json_type

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def compare(
    rows: Sequence[Row], live: Spec, desired: Spec, unlisted: frozenset[str]
) -> tuple[FieldChange, ...]:
    """What differs, both specs being in the words of the listing. Fields in `unlisted` cannot drift."""
    changes: list[FieldChange] = []
    for row in rows:
        if row.same_as or row.location != "body" or row.name in unlisted:
            continue
        names = [row.name, *(other.name for other in rows if other.same_as == row.name)]
        was = canonical(row, _first(live, names))
        wanted = canonical(row, _first(desired, names))
        if was != wanted and not (row.filled and wanted is None):
            changes += _field_changes(row, was, wanted)
    return tuple(changes)


def _first(spec: Spec, names: Sequence[str]) -> Any:
    return next((spec[name] for name in names if name in spec), None)


def canonical(row: Row, value: Any) -> Any:
    """`value` in the form in which equal settings are equal: None when unset, empty or the default."""
    if row.text_map and isinstance(value, Mapping):
        value = {key: _as_text(item) for key, item in value.items() if item is not None}
    elif row.fields and isinstance(value, list):
        value = [_canonical_object(row.fields, item) for item in value]
    elif row.fields:
        value = _canonical_object(row.fields, value)
    if row.unordered and isinstance(value, list):
        value = sorted(value, key=lambda item: json.dumps(item, sort_keys=True))
    return None if value in _EMPTY or value == row.default else value


def _canonical_object(rows: Sequence[Row], value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    known = {row.name: row for row in rows}
    settled = {key: canonical(known[key], item) if key in known else item for key, item in value.items()}
    return {key: item for key, item in settled.items() if item is not None}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _field_changes(row: Row, live: Any, desired: Any) -> Iterator[FieldChange]:
    """The single differences inside one field; an unset side counts as an empty map or list."""
    empty: Any = {"object": {}, "array": []}.get(json_type(row.type)["type"])
    live = empty if live is None else live
    desired = empty if desired is None else desired
    difference = DeepDiff(
        live, desired, view="tree", ignore_numeric_type_changes=True, threshold_to_diff_deeper=0
    )
    nodes = [node for group in difference.values() for node in group]
    for path, node in sorted(
        ((tuple(node.path(output_format="list")), node) for node in nodes), key=_by_path
    ):
        yield _change(row, path, _present(node.t1), _present(node.t2))


def _by_path(item: tuple[Path, Any]) -> list[tuple[bool, Any]]:
    return [(isinstance(step, str), step) for step in item[0]]


def _present(value: Any) -> Any:
    """deepdiff's word for `not there` is an object of its own."""
    return None if type(value).__name__ == "NotPresent" else value


def _change(row: Row, path: Path, live: Any, desired: Any) -> FieldChange:
    pointer = "".join(f"/{_escape(step)}" for step in (row.name, *path))
    whole_map = bool(row.sensitive) and not path
    if whole_map or is_sensitive(row, path) or _hides_credentials(live) or _hides_credentials(desired):
        return FieldChange(pointer, None, None, sensitive=True)
    return FieldChange(pointer, live, desired)


def _hides_credentials(value: Any) -> bool:
    return any(redacted_text(leaf) != leaf for leaf in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{key}={item}" if isinstance(item, str) else key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _escape(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")
