"""Pages of a listing -> all of its entries, while others add jobs to it and take some away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.errors import ResponseLost
from deployer.kinds.kind import Entry, Paging

MAX_PAGES = 10_000
MAX_READS = 3


@dataclass(frozen=True, slots=True)
class Page:
    """One page, and how many entries the service announces on all pages together. `where` is its call."""

    entries: Sequence[Entry]
    total: int
    request_line: str

    @property
    def more(self) -> int:
        """Returns the number of pages of this size after the first one."""
        left = max(0, self.total - len(self.entries))
        return -(-left // max(1, len(self.entries)))


class _ListingChangedError(Exception):
    """A removal during reading: an entry may have moved to a page that was read already."""


def read_to_end(
    read: Callable[[int], Page], paging: Paging, identifier: str, first: Page | None = None
) -> list[Entry]:
    """Returns all entries, each once, by their field `identifier`; `read` gets the page at an offset.

    `first` is the first page where that was read before. Raises AnswerLost when it cannot be all of them,
    though it was read several times.
    """
    said = ""
    for _ in range(MAX_READS):
        try:
            return _read_once(read, paging, identifier, first or read(paging.value))
        except _ListingChangedError as error:
            said, first = str(error), None
    raise ResponseLost(f"{said}; read {MAX_READS} times")


def _read_once(read: Callable[[int], Page], paging: Paging, identifier: str, page: Page) -> list[Entry]:
    at_first = page.total
    found: dict[str, Entry] = {}
    offset, count = paging.value, 0
    if page.more >= MAX_PAGES:
        words = f"the listing announces {page.total} jobs, {len(page.entries)} on a page"
        raise ResponseLost(
            f"{page.request_line}: {words}: more than the {MAX_PAGES} pages that are read at most"
        )
    for _ in range(MAX_PAGES):
        for entry in page.entries:
            # The newest come first, so one that was added moves others to the next page: they are the same.
            said = entry.get(identifier)
            found[f"without id {len(found)}" if said in (None, "") else str(said)] = entry
        count += len(page.entries)
        if count >= page.total:
            if len(found) < at_first:
                words = f"{len(found)} different jobs where {at_first} were announced"
                raise _ListingChangedError(f"{page.request_line}: the pages of the listing hold {words}")
            return list(found.values())
        if not page.entries:
            raise _ListingChangedError(
                f"{page.request_line}: the listing ends after {count} of {page.total} jobs"
            )
        offset += len(page.entries) if paging is Paging.RECORD else 1
        before, page = page.total, read(offset)
        if page.total < before:
            raise _ListingChangedError(
                f"{page.request_line}: the listing went from {before} to {page.total} jobs"
            )
    raise ResponseLost(f"{page.request_line}: the listing has more than {MAX_PAGES} pages")


def entries_of(value: Any) -> list[Any] | None:
    """Returns the entries of a page: an array, or a map with arrays (MRS's reference of 2021)."""
    if isinstance(value, Mapping):
        arrays = list(value.values())
        if not arrays or not all(isinstance(array, list) for array in arrays):
            return None
        return [entry for array in arrays for entry in array]
    return value if isinstance(value, list) else None
