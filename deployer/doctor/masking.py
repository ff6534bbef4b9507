"""Values of a service -> what may stand in a public issue: types, lengths and patterns.

Names of fields and words for states are the service's own, not a user's: they are shown if they look like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from deployer.kinds.coerce import json_data

_MAX_PATTERN = 40
# What a service calls a field or a state: not a UUID, a number, or a host.
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}[0-9]{0,2}")
_CODE = re.compile(r"[A-Za-z]{0,8}\.?[0-9]{1,10}|is_success=false")
# Of a value that a user chooses; a shorter one is a word of the service as well.
_MIN_PRIVATE = 3
_KEPT = frozenset("-_./: ")


def shape(value: Any) -> str:
    """Describe a value without it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return f"integer ({len(str(abs(value))) if abs(value) < 10**30 else 'more than 30'} digits)"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return _text_shape(value)
    if isinstance(value, list):
        types = sorted({type_name(item) for item in value})
        return f"array of {' or '.join(types)}" if types else "empty array"
    return f"object ({len(value)} fields)"


def type_name(value: Any) -> str:
    """Return the JSON type of a value."""
    if isinstance(value, bool):
        return "boolean"
    names = {
        type(None): "null",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return names.get(type(value), "value")


def _text_shape(value: str) -> str:
    if value[:1] in {"{", "["} and isinstance(json_data(value), dict | list):
        return f"string (JSON, length {len(value)})"
    if not value:
        return "empty string"
    return f"string (length {len(value)}, pattern {pattern(value)})"


def pattern(value: str) -> str:
    """Return the pattern of a text: `9{4}-9{2}` for a date."""
    parts = []
    for sign, run in groupby(value[: 4 * _MAX_PATTERN], _class):
        length = len([*run])
        parts.append(f"{sign}{{{length}}}" if length > 1 else sign)
    found = "".join(parts)
    return found if len(found) <= _MAX_PATTERN else f"{found[:_MAX_PATTERN]}..."


def _class(char: str) -> str:
    if char.isascii() and char.isalnum():
        return "9" if char.isdigit() else "a"
    return char if char in _KEPT else "?"


def word(value: object, private: frozenset[str] = frozenset()) -> str:
    """Return the name of a field or the word for a state; masked if it may be a value of a user.

    `private` are known values, in lower case.
    """
    given = str(value) if isinstance(value, str | int) else ""
    if _WORD.fullmatch(given) and given.casefold() not in private:
        return given
    return f"(masked: {shape(value)})"


def code(value: str) -> str:
    """Return an error code of a service; masked if it is none."""
    return value if not value or _CODE.fullmatch(value) else f"(masked: {shape(value)})"


def private_values(values: Iterable[Any], but: frozenset[str]) -> frozenset[str]:
    """Return the texts in responses, in lower case, without those of the fields `but`."""
    return frozenset(
        text.casefold() for value in values for text in _texts(value, but) if len(text) >= _MIN_PRIVATE
    )


def _texts(value: Any, but: frozenset[str]) -> Iterator[str]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item[:200]
        elif isinstance(item, dict):
            pending += [inner for name, inner in item.items() if name not in but]
        elif isinstance(item, list):
            pending += item
