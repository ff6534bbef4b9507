"""The fields of a change in the order of its reports: what decides what runs comes first, and nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from deployer.kinds.kind import Kind
from deployer.kinds.tables import Row
from deployer.model import FieldChange, Job, Path, Step, pointer
from deployer.secrets.redact import masked

NOT_IN_REFERENCE = "not in the API reference, allowed by waive: unknown-field"


def change_fields(
    kind: Kind, job: Job, differences: Sequence[FieldChange], steps: Sequence[Step], *, is_new: bool
) -> tuple[FieldChange, ...]:
    """Return the differences, or all fields of a new job, and the fields without a row that are sent."""
    unknown = {pointer(path): path for path in _unknown_sent(kind, job, differences, steps)}
    # Masking takes longer than the rest of a plan, and most changes show no value of the manifest.
    shown = masked(kind.spellings, job.spec) if is_new or unknown else {}
    fields = [
        replace(field, note=NOT_IN_REFERENCE) if unknown.pop(field.path, None) else field
        for field in (_all_fields(kind, shown) if is_new else differences)
    ]
    fields += (
        FieldChange(at, None, _value(shown, path), note=NOT_IN_REFERENCE) for at, path in unknown.items()
    )
    return tuple(sorted(fields, key=lambda field: _rank(kind.deciding, field.path)))


@lru_cache(maxsize=10_000)  # the jobs of a project have the same fields
def _rank(deciding: tuple[str, ...], path: str) -> int:
    """Return the position of the first pattern of a kind that matches a field, or the field around it."""
    ranks = (
        rank
        for rank, pattern in enumerate(deciding)
        if fnmatchcase(path, pattern) or path.startswith(f"{pattern}/")
    )
    return next(ranks, len(deciding))


def _all_fields(kind: Kind, shown: Mapping[str, Any]) -> Iterator[FieldChange]:
    """Yield the fields of a new job; the settings in a map are a field each."""
    for name, value in shown.items():
        row = kind.spellings.get(name)
        if row and row.text_map and isinstance(value, Mapping) and value:
            yield from (FieldChange(pointer((name, key)), None, item) for key, item in value.items())
        else:
            yield FieldChange(pointer((name,)), None, value)


def _unknown_sent(
    kind: Kind, job: Job, differences: Sequence[FieldChange], steps: Sequence[Step]
) -> Iterator[Path]:
    """Yield the unknown fields that a change sends: an update sends the fields that differ only."""
    if Step.CREATE in steps:
        yield from _unknown(kind.spellings, job.spec, ())
    elif Step.UPDATE in steps:
        names = {field.name for field in differences}
        yield from (path for path in _unknown(kind.spellings, job.spec, ()) if path[0] in names)


def _unknown(rows: Mapping[str, Row], value: Any, path: Path) -> Iterator[Path]:
    """Yield the paths of the fields without a row."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(rows, item, (*path, index))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            row = rows.get(key)
            if row is None:
                yield (*path, key)
            elif row.fields:
                inner = {name: field for field in row.fields for name in (field.name, *field.aliases)}
                yield from _unknown(inner, item, (*path, key))


def _value(shown: Any, path: Path) -> Any:
    for step in path:
        shown = shown[step]
    return shown
