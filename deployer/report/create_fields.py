"""The fields of several new jobs in one table: what is the same for all of them but for their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deployer.model import FieldChange

# Stands for the name of each job of a group of creates, with a note at the field.
NAME = "<name>"
NAME_NOTE = f"{NAME}: that of the job"


def field_key(field: FieldChange) -> object:
    """Return what is the same of two fields that are shown alike."""
    # The text of the values, because they may be mappings, and 1 equals true.
    values = (field.live, field.desired)
    return field.path, repr(values), field.sensitive, field.note, field.live_hidden


def own_fields(columns: Sequence[Sequence[FieldChange]]) -> list[int]:
    """Return the numbers of the fields that are not the same for all."""
    return [number for number, column in enumerate(columns) if len({*map(field_key, column)}) > 1]


def column(fields: Sequence[FieldChange], names: Sequence[str]) -> Sequence[FieldChange]:
    """Return a field of several creates: with NAME for their names if it is the same for all of them then."""
    if len({*map(field_key, fields)}) == 1:
        return fields
    if any(
        field.sensitive or not name or NAME in repr(field) for field, name in zip(fields, names, strict=True)
    ):
        return fields
    note = "; ".join(filter(None, (fields[0].note, NAME_NOTE)))
    named = [
        replace(field, desired=_with_name(field.desired, name), note=note)
        for field, name in zip(fields, names, strict=True)
    ]
    most = Counter(map(field_key, named)).most_common(1)[0][1]
    return named if most > 1 else fields


def _with_name(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace(name, NAME)
    if isinstance(value, Mapping):
        return {key: _with_name(item, name) for key, item in value.items()}
    return [_with_name(item, name) for item in value] if isinstance(value, list) else value
