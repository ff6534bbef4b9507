"""Two different values of a field -> the parts that differ, by DeepDiff.

Without it only what needs no search is said: that two values are not both maps or both lists, or that one is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from deployer.model import Path


class Part(NamedTuple):
    """A difference. `path` leads to it in the desired value, or in the live one for what was removed.

    `before` leads to it in the live value, if it was there.
    """

    path: Path
    before: Path
    live: Any
    desired: Any


def parts(live: Any, desired: Any) -> list[Part]:
    """Return the parts in which two values differ, in the order of their paths."""
    found = _without_search(live, desired)
    return sorted(by_search(live, desired) if found is None else found, key=_by_path)


def _without_search(live: Any, desired: Any) -> list[Part] | None:
    if not (_are(Mapping, live, desired) or _are(list, live, desired)):
        return [Part((), (), live, desired)]
    if not live:
        return [Part((step,), (step,), None, value) for step, value in _items(desired)]
    if not desired:
        return [Part((step,), (step,), value, None) for step, value in _items(live)]
    return None


def _are(kind: type, live: Any, desired: Any) -> bool:
    return isinstance(live, kind) and isinstance(desired, kind)


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, Mapping) else enumerate(value)


def by_search(live: Any, desired: Any) -> list[Part]:
    """Return what DeepDiff finds."""
    # On use: most plans have nothing to search, and it takes longer to import than such a plan to make.
    from deepdiff import DeepDiff

    # By default DeepDiff ignores keys that begin with two underscores.
    difference = DeepDiff(
        live, desired, view="tree", ignore_private_variables=False, threshold_to_diff_deeper=0
    )
    return [
        Part(
            tuple(node.path(output_format="list", use_t2=True)),
            tuple(node.path(output_format="list")),
            _or_none(node.t1),
            _or_none(node.t2),
        )
        for group in difference.values()
        for node in group
    ]


def _by_path(part: Part) -> list[tuple[bool, Any]]:
    return [(isinstance(step, str), step) for step in part.path]


def _or_none(value: Any) -> Any:
    """Return None for deepdiff's `not present` object."""
    return None if type(value).__name__ == "NotPresent" else value
