"""Pages of a listing -> all of its entries, while others add and remove jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from deployer.cloud.page import Page
from deployer.cloud.pages_in_parallel import AllOf, read_in_parallel
from deployer.cloud.parallel import in_parallel
from deployer.errors import ResponseLost
from deployer.kinds.kind import Entry, Paging, text

MAX_PAGES = 10_000
MAX_READS = 3

# Of a whole list: more than fits into memory, or would ever be read.
MAX_MEGABYTES = 128
MAX_MINUTES = 30


class _ListingChangedError(Exception):
    """A removal while reading: an entry may have moved to a page that was already read."""


def read_to_end(
    read: Callable[[int], Page],
    paging: Paging,
    identifier: str,
    first: Page | None = None,
    *,
    now: Callable[[], float] = time.monotonic,
    all_of: AllOf = in_parallel,
) -> list[Entry]:
    """Return all entries, each once, by their field `identifier`; `read` reads the page at an offset, in any thread.

    `all_of` calls it for several offsets. `first` is the first page if it was read before. Raises ResponseLost if
    the result is still incomplete after several attempts, or if the list is too long.
    """
    reason = ""
    read = _limited(read, now)
    first = first or read(paging.value)
    if 1 < first.more < MAX_PAGES:
        found = read_in_parallel(read, paging, identifier, first, all_of)
        if found is not None:
            return list(found.values())
        first = None
    for _ in range(MAX_READS):
        try:
            return _read_once(read, paging, identifier, first or read(paging.value))
        except _ListingChangedError as error:
            reason, first = str(error), None
    raise ResponseLost(f"{reason}; gave up after {MAX_READS} attempts")


def _limited(read: Callable[[int], Page], now: Callable[[], float]) -> Callable[[int], Page]:
    """Return `read` with limits for all of its pages together."""
    end, left = now() + 60 * MAX_MINUTES, MAX_MEGABYTES << 20
    counting = threading.Lock()

    def read_page(offset: int) -> Page:
        nonlocal left
        page = read(offset)
        with counting:
            left -= page.size
        if left < 0:
            raise ResponseLost(f"{page.request_line}: the list is larger than {MAX_MEGABYTES} MB")
        if now() > end:
            raise ResponseLost(f"{page.request_line}: the list was not complete within {MAX_MINUTES} minutes")
        return page

    return read_page


def _read_once(read: Callable[[int], Page], paging: Paging, identifier: str, page: Page) -> list[Entry]:
    at_first = page.total
    found: dict[str, Entry] = {}
    offset, count = paging.value, 0
    if page.more >= MAX_PAGES:
        words = f"the list reports {page.total} jobs at {len(page.entries)} per page"
        raise ResponseLost(f"{page.request_line}: {words}, more than the maximum of {MAX_PAGES} pages")
    for _ in range(MAX_PAGES):
        for entry in page.entries:
            # The newest come first, so a new job moves others to the next page: these are read twice.
            entry_id = entry.get(identifier)
            found[f"without id {len(found)}" if entry_id in (None, "") else str(entry_id)] = entry
        count += len(page.entries)
        if count >= page.total:
            if len(found) < at_first:
                words = f"{len(found)} different jobs instead of {at_first}"
                raise _ListingChangedError(f"{page.request_line}: inconsistent list pages: {words}")
            return list(found.values())
        if not page.entries:
            raise _ListingChangedError(
                f"{page.request_line}: the list ended after {count} of {page.total} jobs"
            )
        offset += len(page.entries) if paging is Paging.RECORD else 1
        # Where it can be, the last job is read again: while others are removed and added, a page may begin after it.
        last = text(page.entries[-1].get(identifier)) if len(page.entries) > 1 else ""
        if last and paging is Paging.RECORD:
            offset, count = offset - 1, count - 1
        before, page = page.total, read(offset)
        if (
            last
            and paging is Paging.RECORD
            and last not in (text(entry.get(identifier)) for entry in page.entries)
        ):
            raise _ListingChangedError(f"{page.request_line}: the list changed while reading")
        if page.total < before:
            raise _ListingChangedError(
                f"{page.request_line}: the list changed from {before} to {page.total} jobs while reading"
            )
    raise ResponseLost(f"{page.request_line}: the list has more than {MAX_PAGES} pages")


def entries_of(value: Any) -> list[Any] | None:
    """Return the entries of a page: an array, or an object of arrays (MRS API reference of 2021)."""
    if isinstance(value, Mapping):
        arrays = list(value.values())
        if not arrays or not all(isinstance(array, list) for array in arrays):
            return None
        return [entry for array in arrays for entry in array]
    return value if isinstance(value, list) else None
