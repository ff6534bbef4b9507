"""The parts in which two long texts differ, with what surrounds them.

Only what is equal is left out, with the number of its characters: two texts that differ never look the same.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

CONTEXT = 40
MIN_LEFT_OUT = 40  # shorter than this, a note on what is left out is no shorter

_MAX_LEVEL = 12
# The words of a text; an escape is one of them.
_WORDS = re.compile(r"\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\.|\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of both texts: the same on both sides if `is_equal`."""

    live: str
    desired: str
    is_equal: bool


class _Span(NamedTuple):
    """A span of the words of both texts, each from its start to before its end."""

    live: int
    live_end: int
    desired: int
    desired_end: int


def differing_parts(live: str, desired: str) -> tuple[str, str]:
    """Return both texts without what is far from all differences."""
    parts = list(parts_of(live, desired))
    last = len(parts) - 1
    shown = [
        (_equal(part.live, is_first=at == 0, is_last=at == last),) * 2
        if part.is_equal
        else (part.live, part.desired)
        for at, part in enumerate(parts)
    ]
    return "".join(left for left, _ in shown), "".join(right for _, right in shown)


def _equal(text: str, *, is_first: bool, is_last: bool) -> str:
    """Return an equal part without its middle, or without the outer end of the first and the last one."""
    before = 0 if is_first else CONTEXT
    after = 0 if is_last else CONTEXT
    left_out = len(text) - before - after
    if left_out < MIN_LEFT_OUT:
        return text
    head, tail = text[:before], text[len(text) - after :]
    note = f"({left_out} equal characters)"
    return f"{head}{'' if is_first else '... '}{note}{'' if is_last else ' ...'}{tail}"


def parts_of(live: str, desired: str) -> Iterator[Part]:
    """Yield the parts of two texts in order; equal and differing ones alternate."""
    equal = ""
    left, right = _WORDS.findall(live), _WORDS.findall(desired)
    at = 0
    for span in _differences(left, right):
        equal += "".join(left[at : span.live])
        one = "".join(left[span.live : span.live_end])
        two = "".join(right[span.desired : span.desired_end])
        at = span.live_end
        # Inside a word too: the words of a text may be very long.
        head = _common(one, two)
        tail = _common(one[head:][::-1], two[head:][::-1])
        yield Part(equal + one[:head], equal + one[:head], is_equal=True)
        yield Part(one[head : len(one) - tail], two[head : len(two) - tail], is_equal=False)
        equal = one[len(one) - tail :]
    equal += "".join(left[at:])
    yield Part(equal, equal, is_equal=True)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the equal items at the start of both."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _differences(left: Sequence[str], right: Sequence[str]) -> list[_Span]:
    """Return the spans that differ, in order: between words that are equal, and unique in what is around them.

    Unlike difflib it takes no more than some seconds, whatever the texts are: where no word is unique, all of the
    span differs.
    """
    spans = [_Span(0, len(left), 0, len(right))]
    for _ in range(_MAX_LEVEL):
        inner = [part for span in spans for part in _split(left, right, span)]
        if inner == spans:
            break
        spans = inner
    return spans


def _split(left: Sequence[str], right: Sequence[str], span: _Span) -> Iterator[_Span]:
    """Yield the spans inside of one that may differ, without the equal words between them."""
    one, two = left[span.live : span.live_end], right[span.desired : span.desired_end]
    head = _common(one, two)
    tail = _common(one[head:][::-1], two[head:][::-1])
    at, other = span.live + head, span.desired + head
    end, other_end = span.live_end - tail, span.desired_end - tail
    for anchor, other_anchor in _anchors(one[head : len(one) - tail], two[head : len(two) - tail]):
        inner = _Span(at, span.live + head + anchor, other, span.desired + head + other_anchor)
        if inner.live < inner.live_end or inner.desired < inner.desired_end:
            yield inner
        at, other = inner.live_end + 1, inner.desired_end + 1
    if at < end or other < other_end:
        yield _Span(at, end, other, other_end)


def _anchors(one: Sequence[str], two: Sequence[str]) -> list[tuple[int, int]]:
    """Return the positions of words that are unique on both sides, in the same order on both sides."""
    counts, other_counts = Counter(one), Counter(two)
    places = {word: at for at, word in enumerate(two) if other_counts[word] == 1}
    pairs = [(at, places[word]) for at, word in enumerate(one) if counts[word] == 1 and word in places]
    # The longest series of pairs that rises on both sides.
    ends: list[int] = []
    indexes: list[int] = []
    previous: list[int] = []
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        ends[length : length + 1] = [place]
        indexes[length : length + 1] = [index]
        previous.append(indexes[length - 1] if length else -1)
    chosen = []
    index = indexes[-1] if indexes else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = previous[index]
    return chosen[::-1]
