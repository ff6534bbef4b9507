"""Concurrent calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 16

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_parallel(call: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """Call `call` for each item and return the results in order; stop at the first failure."""
    if len(items) < 2:
        return [call(item) for item in items]
    # Not as a context manager: that would wait for the running requests.
    pool = ThreadPoolExecutor(min(THREADS, len(items)))
    try:
        return list(pool.map(call, items))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
