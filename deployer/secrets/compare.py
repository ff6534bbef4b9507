"""Compares desired strings with secret references to live strings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deployer.errors import DeployerError
from deployer.secrets.references import evaluate, has_reference

MAX_PAIRS = 100_000


def align_references(live: Any, desired: Any, *, unordered: bool = False) -> Any:
    """Return `desired`, with each string that has references replaced by the live string if that matches.

    The values of the references are unknown, so a reference matches any text. The items of a list are compared by
    their index. In an `unordered` list, an item with references is paired with any live item that matches it and
    that is not equal to an item without references.
    """
    match live, desired:
        case Mapping(), Mapping():
            return {
                key: align_references(live[key], item) if key in live else item
                for key, item in desired.items()
            }
        case list(), list() if unordered:
            return _paired(live, desired)
        case list(), list():
            return _by_index(live, desired)
        case str(), str() if has_reference(desired) and _matches(live, desired):
            return live
    return desired


def _by_index(live: list[Any], desired: list[Any]) -> list[Any]:
    return [*map(align_references, live, desired), *desired[len(live) :]]


def _matches(live: str, desired: str) -> bool:
    """Return whether `live` matches `desired` with any value, possibly empty, for each reference."""
    try:
        first, *between, last = evaluate(desired, lambda _word, _inside: "")[::2]
    except DeployerError:
        return False
    position, end = len(first), len(live) - len(last)
    if position > end or not live.startswith(first) or not live.endswith(last):
        return False
    for literal in between:
        found = live.find(literal, position, end)
        if found < 0:
            return False
        position = found + len(literal)
    return True


def _paired(live: list[Any], desired: list[Any]) -> list[Any]:
    """Return `desired`, with as many items with references as possible replaced, each by another live item."""
    wanted = Counter(json.dumps(item, sort_keys=True) for item in desired if not has_reference(item))
    free: list[Any] = []
    for item in live:
        key = json.dumps(item, sort_keys=True)
        if wanted[key] > 0:
            wanted[key] -= 1
        else:
            free.append(item)
    marked = [number for number, item in enumerate(desired) if has_reference(item)]
    if len(marked) * len(free) > MAX_PAIRS:
        return _by_index(live, desired)
    fits = [
        [at for at, item in enumerate(free) if align_references(item, desired[number]) == item]
        for number in marked
    ]
    result = [*desired]
    for at, index in _matching(fits).items():
        result[marked[index]] = free[at]
    return result


def _matching(fits: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return a maximum matching from right to left items; `fits[left]` are the candidates of an item.

    A greedy assignment could assign to `*` the only candidate of `a*`, and an unchanged job would look changed.
    """
    owner: dict[int, int] = {}
    unavailable: set[int] = set()

    def find_partner(left: int, seen: set[int]) -> bool:
        for right in fits[left]:
            if right not in seen:
                seen.add(right)
                if right not in owner or find_partner(owner[right], seen):
                    owner[right] = left
                    return True
        return False

    for left in range(len(fits)):
        seen = set(unavailable)
        if not find_partner(left, seen):
            unavailable = seen  # these are all assigned, to items that have no other candidate
    return owner
