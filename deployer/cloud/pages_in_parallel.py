"""Reads the pages of a listing concurrently.

It may only say that pages together show every job that is there all the time. All else is left to
`deployer.cloud.paging`, which reads one page after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from deployer.cloud.page import Page
from deployer.kinds.kind import Entry, Paging, text

MAX_ROUNDS = 3

# Reads the pages at several offsets.
AllOf = Callable[[Callable[[int], Page], Sequence[int]], Sequence[Page]]


def read_in_parallel(
    read: Callable[[int], Page], paging: Paging, identifier: str, first: Page, all_of: AllOf
) -> dict[str, Entry] | None:
    """Return all entries by their field `identifier`; None if one of them may be missing."""
    read_pages = _overlapping if paging is Paging.RECORD else _unmoved
    pages = read_pages(read, identifier, first, all_of)
    found = {
        key: entry for page in pages for key, entry in zip(_ids(page, identifier), page.entries, strict=True)
    }
    # A service may ignore the offset, and show entries without an id.
    return found if pages and len(found) >= first.total and "" not in found else None


def _overlapping(read: Callable[[int], Page], identifier: str, first: Page, all_of: AllOf) -> Sequence[Page]:
    """Read pages that begin with the last job of the one before; empty if they do not.

    Each page is a part of a list in one order, so between two pages that share a job there is no other, whenever
    they were read. Jobs that were added between two reads separate pages: the second is then read again.
    """
    step = len(first.entries) - 1
    chain = [(0, first)]
    missing = [*range(step, first.total - 1, step)] if step else []
    for _ in range(MAX_ROUNDS):
        # By offset; of two pages at one offset, the one that was read again shows the newer jobs.
        chain = sorted(
            [*zip(missing, all_of(read, missing), strict=True), *chain], key=lambda placed: placed[0]
        )
        missing = [
            lower for (_, upper), (lower, page) in pairwise(chain) if not _share(upper, page, identifier)
        ]
        start, last = chain[-1]
        if start + len(last.entries) < max(page.total for _, page in chain):
            missing.append(start + max(0, len(last.entries) - 1))
        if not missing:
            return [page for _, page in chain]
    return []


def _share(upper: Page, lower: Page, identifier: str) -> bool:
    """Return whether the last job of a page is also on the one after it: first, unless others were added."""
    if not upper.entries:
        return False
    last = text(upper.entries[-1].get(identifier))
    return any(text(entry.get(identifier)) == last for entry in lower.entries)


def _unmoved(read: Callable[[int], Page], identifier: str, first: Page, all_of: AllOf) -> Sequence[Page]:
    """Read numbered pages, which cannot overlap; empty unless the first page is the same before and afterwards.

    A new job would be on it, and without new jobs the total shows that one was removed.
    """
    pages = [first, *all_of(read, range(2, first.more + 2))]
    if any(page.total != first.total for page in pages):
        return []
    again = read(1)
    is_same = again.total == first.total and _ids(first, identifier) == _ids(again, identifier)
    return pages if is_same else []


def _ids(page: Page, identifier: str) -> list[str]:
    return [text(entry.get(identifier)) for entry in page.entries]
