"""The fragments of JSON Schema in `schemas/parts.yaml`, whose header documents their format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from deployer.kinds.tables import load_data

API_VERSION = "deployer/v1"
Schema = dict[str, Any]

_NAME = re.compile(r"\$\{(\w+)\}")


def fill(part: Any, **values: Any) -> Any:
    """Return `part` with each `${name}` replaced by its value. Raises KeyError for a name without a value."""
    match part:
        case dict():
            return {key: fill(item, **values) for key, item in part.items()}
        case list():
            return [fill(item, **values) for item in part]
        case str() if alone := _NAME.fullmatch(part):
            return values[alone[1]]
        case str():
            return _NAME.sub(lambda match: values[match[1]], part)
    return part


@cache
def parts() -> Mapping[str, Any]:
    """Read the fragments, by name. Needed only to generate schemas; validation uses the generated files."""
    loaded: Mapping[str, Any] = load_data("parts.yaml")
    return loaded
