"""The positions of secrets in a spec, as JSON Pointers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployer.secrets.references import has_reference


def secret_pointers(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the pointers of the values with secrets, sorted. One in a list is that of the list: items move."""
    return tuple(sorted(set(_pointers(spec, ""))))


def is_covered(path: str, pointers: tuple[str, ...]) -> bool:
    """Return whether the value at `path` is, contains or is a part of one at `pointers`."""
    return any(
        path == pointer or path.startswith(f"{pointer}/") or pointer.startswith(f"{path}/")
        for pointer in pointers
    )


def _pointers(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pointers(item, f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}")
    elif has_reference(value):
        yield path
