"""Converts values of listing entries to the types of the parameter tables, however a service formats them.

Responses have numbers as strings, `true` as "true", an object as a JSON string. A value that cannot be
converted to the type of its row is an error: nothing is guessed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NoReturn, TypeVar

from deployer.kinds.tables import Row, json_type

MAX_DEPTH = 50

_Shared = TypeVar("_Shared", str, frozenset[str])

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_FLAGS = {"true": True, "false": False}


class ConversionError(ValueError):
    """A value that does not have the type of its row."""


@cache
def normalized_name(name: str) -> str:
    """Normalize a name: `className`, `class_name` and `ClassName` become equal."""
    return name.replace("_", "").casefold()


def by_normalized_name(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping by its normalized names; of two spellings the first that is not null is used."""
    found: dict[str, Any] = {}
    for name, value in holder.items():
        if found.get(key := normalized_name(str(name))) is None:
            found[key] = value
    return found


@lru_cache(maxsize=4096)
def shared(value: _Shared) -> _Shared:
    """Return the value that was equal before: for what thousands of live jobs have in common."""
    return value


def value_of(row: Row, value: Any) -> Any:
    """Return `value` in the type of `row`, None where it is unset. Raises ConversionError."""
    shape = json_type(row.type)
    match shape["type"]:
        case "string" if isinstance(value, str):
            return value
        case _ if value is None or value == "":
            return None
        case "array":
            return _list(row, shape, json_data(value) if isinstance(value, str) else value)
        case "object":
            return _mapping(row, json_data(value) if isinstance(value, str) else value)
        case "boolean":
            return _flag(row, value)
        case "integer" | "number" as expected if not isinstance(value, bool):
            return _number(value, whole=expected == "integer")
    raise ConversionError(row.name)


def _flag(row: Row, value: Any) -> bool:
    flag = _FLAGS.get(value.strip().casefold()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        raise ConversionError(row.name)
    return flag


def _list(row: Row, shape: Mapping[str, Any], items: Any) -> list[Any]:
    if not isinstance(items, list):
        raise ConversionError(row.name)
    if shape["items"]["type"] == "object":
        return [_object(row.fields, item) for item in items]
    return [_item(item) for item in items]


def _mapping(row: Row, fields: Any) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise ConversionError(row.name)
    if row.fields:
        return _object(row.fields, fields)
    return {shared(str(key)): None if item is None else _item(item) for key, item in fields.items()}


def as_text(value: Any) -> str:
    """Format a scalar as in a settings file: `true`, `1024`, and strings unchanged."""
    return value if isinstance(value, str) else json.dumps(value)


def json_data(text: str) -> Any:
    """Parse a JSON string; None if it is not JSON, or nested too deeply."""
    try:
        data = _JSON.decode(text)
    except (ValueError, RecursionError):
        return None
    # Each level takes an opening bracket.
    is_shallow = text.count("[") + text.count("{") <= MAX_DEPTH or _is_shallow(data)
    return data if is_shallow else None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse)


def _is_shallow(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return True
    return False


def _number(value: Any, *, whole: bool) -> int | float:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        text = value.strip()
        if not (_WHOLE if whole else _NUMBER).fullmatch(text):
            raise ConversionError(text)
        value = int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else float(text)
    if not isinstance(value, int | float):
        raise ConversionError(str(type(value)))
    if not math.isfinite(value) or (whole and value != int(value)):
        raise ConversionError(str(value))
    return int(value) if value == int(value) else value


def _item(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        raise ConversionError(str(type(value)))
    return json.dumps(value)


def _object(rows: Sequence[Row], value: Any) -> dict[str, Any]:
    """Return the fields of an object that have a row. Other fields cannot be requested: the service adds them."""
    if not isinstance(value, Mapping):
        raise ConversionError(str(type(value)))
    held = by_normalized_name(value)
    found = {row.name: value_of(row, held.get(normalized_name(row.name))) for row in rows}
    return {name: item for name, item in found.items() if item is not None}
