"""Reading all pages of a listing while it changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployer.cloud.page import Page
from deployer.cloud.paging import MAX_PAGES, MAX_READS, entries_of, read_to_end
from deployer.errors import ResponseLost
from deployer.kinds.kind import Entry, Paging


@dataclass
class Service:
    """Lists the newest first. Before each answer it takes the next step: some are added, and one gone."""

    jobs: list[int]
    paging: Paging
    size: int
    steps: list[tuple[int, int | None]] = field(default_factory=list)
    calls: int = 0
    order: random.Random | None = None

    def read(self, offset: int) -> Page:
        self.calls += 1
        if self.steps:
            added, gone = self.steps.pop(0)
            self.jobs[:0] = [1000 * self.calls + number for number in range(added)]
            if gone is not None and self.jobs:
                del self.jobs[gone % len(self.jobs)]
        start = offset if self.paging is Paging.RECORD else (offset - 1) * self.size
        page: list[Entry] = [{"id": number} for number in self.jobs[start : start + self.size]]
        return Page(page, len(self.jobs), "GET jobs")

    def read_to_end(self) -> list[Any]:
        return [entry["id"] for entry in read_to_end(self.read, self.paging, "id", all_of=self.all_of)]

    def all_of(self, read: Callable[[int], Page], offsets: Sequence[int]) -> list[Page]:
        """Answer requests that are sent at the same time, in any order."""
        numbers = list(range(len(offsets)))
        if self.order:
            self.order.shuffle(numbers)
        pages = {number: read(offsets[number]) for number in numbers}
        return [pages[number] for number in range(len(offsets))]


pagings = pytest.mark.parametrize("paging", Paging)
steps = st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 30)), max_size=12)


@pagings
@settings(max_examples=300, derandomize=True, deadline=None)
@given(count=st.integers(0, 25), size=st.integers(1, 6), steps=steps, seed=st.integers(0, 1000))
@example(count=4, size=2, steps=[(0, None), (0, 0)], seed=0)
@example(count=6, size=2, steps=[(0, None), (1, None), (0, 0)], seed=0)
@example(count=4, size=2, steps=[(0, None), (1, 1)], seed=0)
def test_what_is_there_all_the_time_is_read_once_or_it_is_an_error(
    paging: Paging, count: int, size: int, steps: list[tuple[int, int | None]], seed: int
) -> None:
    there = list(range(count))
    service = Service(list(there), paging, size, list(steps), order=random.Random(seed))  # noqa: S311
    try:
        found = service.read_to_end()
    except ResponseLost:
        # What is only added moves nothing away, and one that is gone costs one reading.
        assert sum(gone is not None for _, gone in steps) >= MAX_READS
        return
    assert len(found) == len(set(found))
    assert {job for job in there if job in service.jobs} <= set(found)


@pagings
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 201])
def test_no_page_too_many_is_read(paging: Paging, count: int) -> None:
    service = Service(list(range(count)), paging, 100)
    assert service.read_to_end() == list(range(count))
    # Numbered pages are read concurrently, and then the first one once more; others overlap by one job.
    again = count > 200 if paging is Paging.PAGE else count == 200
    assert service.calls == max(1, -(-count // 100)) + again


@pagings
def test_what_moved_once_is_read_again(paging: Paging) -> None:
    service = Service(list(range(10)), paging, 4, [(0, None), (0, 0)])
    assert service.read_to_end() == list(range(1, 10))
    # The concurrent attempt reads pages again that do not begin with the end of another.
    assert service.calls == 3 + (4 if paging is Paging.RECORD else 0) + 3


@pagings
def test_a_page_that_was_read_before_is_not_read_again(paging: Paging) -> None:
    service = Service(list(range(10)), paging, 4)
    first = service.read(paging.value)
    assert len(read_to_end(service.read, paging, "id", first)) == 10
    assert service.calls == 3 + (paging is Paging.PAGE)


def test_new_jobs_between_two_pages_cost_two_pages_more() -> None:
    """The pages after the first are read concurrently: the last one before two jobs are added, the others after."""
    service = Service(list(range(40)), Paging.RECORD, 10, [(0, None), (0, None), (2, None)])

    def last_first(read: Callable[[int], Page], offsets: Sequence[int]) -> list[Page]:
        return [read(offset) for offset in reversed(offsets)][::-1]

    entries = read_to_end(service.read, Paging.RECORD, "id", all_of=last_first)
    assert {entry["id"] for entry in entries} >= set(range(40))
    # One between those that were read before and after, and one at the end.
    assert service.calls == 5 + 2


@pytest.mark.parametrize("paging", Paging)
def test_totals_that_contradict_each_other_are_an_error(paging: Paging) -> None:
    """The first pages and those after the 40th job say 40, the ones between 100."""
    service = Service(list(range(100)), paging, 10)

    def humped(offset: int) -> Page:
        page = service.read(offset)
        start = offset if paging is Paging.RECORD else 10 * (offset - 1)
        return Page(page.entries, 100 if 10 <= start < 30 else 40, "GET jobs")

    with pytest.raises(ResponseLost, match="the list changed from 100 to 40 jobs"):
        read_to_end(humped, paging, "id", all_of=service.all_of)


def test_jobs_that_are_removed_in_front_while_others_are_added_at_the_end_are_not_missed() -> None:
    """The oldest come first, and the total stays the same."""
    jobs = list(range(60))

    def sliding(offset: int) -> Page:
        jobs.append(jobs.pop(0) + 60)
        return Page([{"id": number} for number in jobs[offset : offset + 10]], 60, "GET jobs")

    with pytest.raises(ResponseLost, match="changed while reading"):
        read_to_end(sliding, Paging.RECORD, "id")


def test_a_listing_without_an_end_is_an_error() -> None:
    """A service that always announces more, as it may when it ignores the offset."""
    read = 0

    def endless(_: int) -> Page:
        nonlocal read
        read += 1
        return Page([{"id": read}], read + 5, "GET jobs")

    with pytest.raises(ResponseLost, match=f"GET jobs: the list has more than {MAX_PAGES} pages"):
        read_to_end(endless, Paging.RECORD, "id")
    assert read > MAX_PAGES


def test_a_listing_that_is_too_long_is_an_error_at_once() -> None:
    pages = [Page([{"id": number} for number in range(100)], 100 * MAX_PAGES + 1, "GET jobs")]
    words = f"reports {100 * MAX_PAGES + 1} jobs at 100 per page, more than the maximum of {MAX_PAGES} pages"
    with pytest.raises(ResponseLost, match=words):
        read_to_end(lambda _: pages.pop(), Paging.PAGE, "id")


def test_entries_without_an_id_are_all_kept() -> None:
    page = Page([{"name": "a"}, {"name": "a"}, {"id": None}], 3, "GET jobs")
    assert len(read_to_end(lambda _: page, Paging.RECORD, "id")) == 3


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ([], []),
        ([1], [1]),
        ({"a": [1], "b": [2]}, [1, 2]),
        ({"a": []}, []),
        ({}, None),
        ({"a": 1}, None),
        ({"a": [1], "b": None}, None),
        (None, None),
        ("[]", None),
    ],
)
def test_entries_of(value: Any, entries: list[Any] | None) -> None:
    assert entries_of(value) == entries


@pytest.mark.parametrize(
    ("size", "seconds", "words"),
    [(30 << 20, 0, "larger than 128 MB"), (0, 100, "not complete within 30 minutes")],
)
def test_a_listing_that_is_too_large_or_too_slow(size: int, seconds: float, words: str) -> None:
    """Each page alone is within the limits of a response."""
    read = 0

    def page(_: int) -> Page:
        nonlocal read
        read += 1
        return Page([{"id": read}], 1000, "GET jobs", size)

    with pytest.raises(ResponseLost, match=f"GET jobs: the list .*{words}$"):
        read_to_end(page, Paging.RECORD, "id", now=lambda: read * seconds)
    assert read < 20
