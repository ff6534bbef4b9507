"""The positions of secrets in a spec, as JSON Pointers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployer.model import Path, pointer
from deployer.secrets.references import has_reference


def secret_pointers(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the pointers of the values with secrets, sorted. One in a list is that of the list: items move."""
    return tuple(sorted(set(map(pointer, _paths(spec, ())))))


def is_covered(path: str, pointers: tuple[str, ...]) -> bool:
    """Return whether the value at `path` is, contains or is a part of one at `pointers`."""
    return any(
        path == secret or path.startswith(f"{secret}/") or secret.startswith(f"{path}/")
        for secret in pointers
    )


def _paths(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(item, (*path, key))
    elif has_reference(value):
        yield path
