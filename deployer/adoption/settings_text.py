"""The data of a settings string -> the string, in the format in which it was listed: pairs, an object, or lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.kinds.coerce import json_data

_PAIR = {"key", "value"}


def written(listed: str, read: Mapping[str, Any], made: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the string for `made`, and what of the listed one it does not have.

    `made` is the data that was `read` from the string, with references to secrets in some values.
    """
    data = json_data(listed)
    if isinstance(data, list):
        return _pairs(data, read, made)
    if isinstance(data, dict):
        return json.dumps(made, ensure_ascii=False), []
    lines = [line for line in listed.splitlines() if line.strip()]
    repeated = [key for key in read if sum(line.partition("=")[0].strip() == key for line in lines) > 1]
    if read == made and not repeated:
        return listed, []
    return "\n".join(f"{key}={value}" for key, value in made.items()), [
        f"an earlier value of {key}" for key in repeated
    ]


def _pairs(
    data: list[dict[str, Any]], read: Mapping[str, Any], made: Mapping[str, Any]
) -> tuple[str, list[str]]:
    """Return a list of keys and values without what no manifest is checked for: that may be a credential."""
    names = ["" if item["key"] is None else str(item["key"]) for item in data]
    last = {name: at for at, name in enumerate(names)}
    entries, dropped = list[Any](), list[str]()
    for at, (name, item) in enumerate(zip(names, data, strict=True)):
        if last[name] != at:
            dropped.append(f"an earlier value of {name}")
            continue
        if item.keys() - _PAIR:
            dropped.append(f"what is beside key and value of {name}")
        entry = {"key": name if isinstance(item["key"], dict | list) else item["key"]}
        if "value" in item:
            entry["value"] = item["value"] if made[name] == read[name] else made[name]
        entries.append(entry)
    return json.dumps(entries, ensure_ascii=False), dropped


def has_pairs(text: Any) -> bool:
    """Return whether a string is a JSON list, as one of keys and values is."""
    return isinstance(text, str) and isinstance(json_data(text), list)
