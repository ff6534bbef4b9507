"""Settings in a string: as JSON, a list of keys and values or a mapping, or as lines of key=value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from deployer.kinds.coerce import json_data


def masked_settings(text: str, masked: Callable[[str, Any], Any]) -> str | None:
    """Return the settings with each value as `masked(key, value)` returns it; None if they have no keys.

    Where no value is masked the text is unchanged.
    """
    data = json_data(text)
    if isinstance(data, list) and all(_is_setting(item) for item in data):
        shown: Any = [
            {**item, "value": masked(item["key"], item["value"])} if "value" in item else item
            for item in data
        ]
    elif isinstance(data, dict):
        shown = {key: masked(key, value) for key, value in data.items()}
    elif data is None:
        return _masked_lines(text, masked)
    else:
        return None
    return text if shown == data else json.dumps(shown, ensure_ascii=False)


def _is_setting(item: Any) -> bool:
    # Another key could have anything.
    return isinstance(item, dict) and isinstance(item.get("key"), str) and item.keys() <= {"key", "value"}


def _masked_lines(text: str, masked: Callable[[str, Any], Any]) -> str | None:
    lines = []
    for line in text.splitlines(keepends=True):
        content = line.rstrip("\r\n")
        key, equals, value = content.partition("=")
        if not content.strip():
            lines.append(line)
        elif equals and key.strip():
            lines.append(f"{key}={masked(key.strip(), value)}{line[len(content) :]}")
        else:
            return None
    return "".join(lines)
