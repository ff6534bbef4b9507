"""Long values as short ones: with the part in which two differ, or with their heads and tails."""

from __future__ import annotations

from collections.abc import Sequence

from deployer.escape import printable

_AROUND = 10  # equal characters that are kept before a difference, and fewer after it
_LEAST_LINE = 500  # characters of a line of which the middle is left out: the first difference is in its head
_NOTE = 50  # characters of a note on what is left out
LEAST = 2 * (_LEAST_LINE + 1) + _NOTE  # characters in which both values of a field are seen


def cut(words: str, most: int) -> str:
    """Return words on one line of limited length."""
    line = printable(words[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"


def differing(one: str, other: str, most: int) -> tuple[str, str]:
    """Return two texts, each of at most `most` characters: without equal ones far from the first difference."""
    length = min(len(one), len(other))
    head = next((at for at in range(length) if one[at] != other[at]), length)
    tail = next((at for at in range(length - head) if one[-1 - at] != other[-1 - at]), length - head)
    start = max(0, head - _AROUND)
    # An ellipsis saves nothing if it stands for one character.
    start = start if start > 1 else 0
    tail = max(0, tail - _AROUND // 2)
    tail = tail if tail > 1 else 0
    one, other = (
        f"{'…' if start else ''}{text[start : len(text) - tail]}{'…' if tail else ''}"
        for text in (one, other)
    )
    return cut(one, most), cut(other, most)


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """Return lines of at most `most` characters in all: their head and their tail, and how much is left out."""
    longest = max(_LEAST_LINE, most // min(len(lines), 4) - 1)
    short = [_without_middle(line, longest) for line in lines]
    if sum(len(line) + 1 for line in short) <= most:
        return short
    half = (most - _NOTE) // 2
    first = _fitting(short, half)
    last = _fitting(short[first:][::-1], half)
    left_out = sum(len(line) + 1 for line in lines[first : len(lines) - last])
    return [*short[:first], f"!   ... {left_out:,} characters left out ...", *short[len(short) - last :]]


def _fitting(lines: Sequence[str], most: int) -> int:
    """Count how many of the lines, from the first on, fit."""
    for number, line in enumerate(lines):
        most -= len(line) + 1
        if most < 0:
            return number
    return len(lines)


def _without_middle(line: str, most: int) -> str:
    if len(line) <= most:
        return line
    half = (most - _NOTE) // 2
    return f"{line[:half]} ... ({len(line) - 2 * half:,} characters left out) ... {line[-half:]}"
