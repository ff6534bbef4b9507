"""Whether a listed and a desired value are the same as they stand.

It may say yes of equal plain values, and nothing else. A no is not a difference: `deployer.planning.diff` then
compares the values in their normal form.
"""

from __future__ import annotations

from typing import Any

_SCALARS = (str, int, bool, float)


def is_same(live: Any, desired: Any) -> bool:
    """Return whether both are unset, or equal and of the same types: 1, 1.0 and true are equal, but not as texts."""
    if type(live) is not type(desired) or live != desired:
        return False
    if isinstance(live, list | dict):
        items = live.values() if isinstance(live, dict) else live
        return all(type(item) is str for item in items)
    return live is None or type(live) in _SCALARS
