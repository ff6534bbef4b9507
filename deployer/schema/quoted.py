"""Quoted expressions where the schema wants a number or a boolean: `numExecutors: "{{ executors }}"`.

Quotes mean text, but where text is wrong in any case, an expression that is the whole scalar keeps the type of its
value, as it does without quotes. Editors and formatters of YAML need the quotes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from deployer.model import Document, Path
from deployer.schema.stored import stored_schema

# For a mapping the fields, for a list its items, for a scalar the types of its values; None if all may be text.
_Wanted = dict[str, Any] | list[Any] | tuple[type, ...] | None
_TYPES: dict[str, tuple[type, ...]] = {"integer": (int, float), "number": (int, float), "boolean": (bool,)}


def with_types(document: Document, value: dict[str, Any], name: str) -> dict[str, Any]:
    """Return `value`, the data of `document`, as the schema `name` wants its quoted expressions."""
    typed: dict[str, Any] = _with_types(document, value, _wanted(name), ())
    return typed


def _with_types(document: Document, value: Any, wanted: _Wanted, path: Path) -> Any:
    if isinstance(wanted, tuple):
        return _typed(document, value, wanted, path) if isinstance(value, str) else value
    changed = value
    if isinstance(wanted, dict) and isinstance(value, dict):
        for key, inner in wanted.items():
            if key in value:
                item = _with_types(document, value[key], inner, (*path, key))
                if item is not value[key]:
                    changed = dict(value) if changed is value else changed
                    changed[key] = item
    elif isinstance(wanted, list) and isinstance(value, list):
        items = [_with_types(document, item, wanted[0], (*path, index)) for index, item in enumerate(value)]
        changed = value if all(map(lambda one, other: one is other, items, value)) else items
    return changed


def _typed(document: Document, value: str, types: tuple[type, ...], path: Path) -> Any:
    found = document.typed.get(path, value)
    # A boolean is an integer for Python only.
    return found if isinstance(found, types) and isinstance(found, bool) is (bool in types) else value


@cache
def _wanted(name: str) -> _Wanted:
    return _wanted_by(stored_schema(name))


def _wanted_by(schema: Any) -> _Wanted:
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        return _TYPES[kind]
    if "properties" in schema:
        fields = {key: _wanted_by(inner) for key, inner in schema["properties"].items()}
        return {key: inner for key, inner in fields.items() if inner} or None
    items = _wanted_by(schema["items"]) if "items" in schema else None
    return [items] if items else None
