"""Changed entries of a response: without some fields, or with more than was requested.

For faults only. Entries are those of a listing, the one of a detail response, and the response to a create.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deployer.emulator.api import json_text

# Where the listings and detail responses of the services have their entries.
_LISTS = ("sessions", "job_list", "jobs")
_DETAIL = "job_detail"
_IDS = ("id", "job_id")

# The fields that MRS lists as Java prints them.
_PRINTED = ("arguments", "properties")


def changed(body: Any, omit: Iterable[str], fill: Mapping[str, Any]) -> Any:
    """Return a response body, of which every entry loses the fields `omit` and gains `fill`."""
    data = json.loads(json_text(body))
    for entry in _entries(data):
        for name in omit:
            entry.pop(name, None)
        for name, more in fill.items():
            add = _printed if name in _PRINTED else _filled
            entry[name] = add(entry.get(name), more)
    return data


def _entries(body: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(body, dict):
        return
    listed = next((body[name] for name in _LISTS if name in body), None)
    if isinstance(listed, list):
        yield from (entry for entry in listed if isinstance(entry, dict))
    elif isinstance(listed, dict):
        yield from _entries(listed)
    elif isinstance(body.get(_DETAIL), dict):
        yield body[_DETAIL]
    elif any(name in body for name in _IDS):
        yield body


def _filled(value: Any, more: Any) -> Any:
    """Add `more` to a value: to an object or a list, or to the one in a JSON string."""
    if isinstance(value, dict) and isinstance(more, Mapping):
        return {**value, **{key: _filled(value.get(key), item) for key, item in more.items()}}
    if isinstance(value, list) and isinstance(more, list):
        return [*value, *more]
    if isinstance(value, str) and isinstance(more, Mapping | list):
        return json_text(_filled(json.loads(value), more))
    return more


def _printed(value: Any, more: Any) -> Any:
    """Add `more` to a list or map as Java prints it: `[a, b]`, `{k=v}`."""
    if not isinstance(value, str) or not isinstance(more, Mapping | list):
        return more
    items = [f"{key}={item}" for key, item in more.items()] if isinstance(more, Mapping) else more
    inner = [value[1:-1]] if value[1:-1] else []
    return f"{value[:1]}{', '.join([*inner, *map(str, items)])}{value[-1:]}"
