"""Aligns a list that the service returns as Java prints it, `[a, b]`, with the list of a manifest.

An item with a comma and a space cannot be distinguished from two items. Where the manifest has such items, the pieces
of the live text are joined to items like those of the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

SEPARATOR = ", "

# Aligning more pieces may take seconds.
MAX_PIECES = 1000


def printed(items: Sequence[str]) -> str:
    """Return a list as Java prints it."""
    return f"[{SEPARATOR.join(items)}]"


def align(pieces: Sequence[str], desired: Sequence[str]) -> tuple[list[str], list[str]] | tuple[str, str]:
    """Return the live and the desired items; both lists as text where the live items are ambiguous.

    `pieces` are those of the live text. The results are equal exactly if the lists are printed alike.
    """
    split = [item.split(SEPARATOR) for item in desired]
    if printed(pieces) == printed(desired):
        return [*desired], [*desired]
    flat = [piece for item in split for piece in item]
    if len(flat) == len(split) or max(len(flat), len(pieces)) > MAX_PIECES:
        return [*pieces], flat
    owners = _owners(pieces, flat, split)
    if owners is None:
        return printed(pieces), printed(desired)
    owned = groupby(zip(owners, pieces, strict=True), key=lambda pair: pair[0])
    return [SEPARATOR.join(piece for _, piece in group) for _, group in owned], [*desired]


def _owners(pieces: Sequence[str], flat: Sequence[str], split: Sequence[Sequence[str]]) -> list[int] | None:
    """Return for each live piece the index of its item in the manifest, negative for one of its own."""
    from difflib import SequenceMatcher  # on use: few lists are ambiguous

    of_flat = [index for index, item in enumerate(split) for _ in item]
    owners: list[int] = []
    for tag, first, end, start, stop in SequenceMatcher(None, pieces, flat).get_opcodes():
        count, candidates = end - first, of_flat[start:stop]
        if tag == "delete":
            around = of_flat[max(0, start - 1) : start + 1]
            if start > 0 and len({*around}) == 1 and len(around) == 2:
                owners += around[:1] * count  # in the middle of an item
            elif any(len(split[index]) > 1 for index in around):
                return None
            else:
                owners += [-1 - position for position in range(first, end)]
        elif tag == "equal" or (
            all(len(split[index]) == 1 for index in candidates) and count == len(candidates)
        ):
            owners += candidates
        elif count and len({*candidates}) == 1 and len(split[candidates[0]]) > 1:
            owners += candidates[:1] * count
        elif count:
            return None
    return owners
