"""The tag of a template that lacks its end; Jinja only says where it noticed, at the end of the file."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from deployer.marks import Spot

_WITH_END = {"autoescape", "block", "call", "filter", "for", "if", "macro", "with"}


class Tag(NamedTuple):
    """A tag that has an end of its own. `indent` is its column where it stands first on its line, else 0."""

    word: str
    spot: Spot
    indent: int


def unclosed(source: str, tokens: Iterable[tuple[int, str, str]]) -> Tag | None:
    """The innermost tag that is open at the end of a template; None where none is.

    An end goes to the innermost tag, so it may have been meant for the one around it: where such an end is
    indented otherwise than its tag, that tag is the one which lacks its end.
    """
    lines = [0, *(newline.end() for newline in re.finditer("\n", source))]
    opened: list[Tag] = []
    doubtful: list[Tag] = []
    words: list[str] = []
    spot, indent, offset = Spot(1, 1), 0, 0
    for _, kind, text in tokens:
        offset = source.index(text, offset)
        if kind == "block_begin":
            line = bisect_right(lines, offset)
            spot = Spot(line, offset - lines[line - 1] + 1)
            indent = 0 if source[lines[line - 1] : offset].strip() else spot.column
            words = []
        elif kind in ("name", "operator"):
            words.append(text)
        elif kind == "block_end" and words:
            if words[0] in _WITH_END or _captures(words):
                opened.append(Tag(words[0], spot, indent))
            elif words[0].startswith("end") and opened:
                tag = opened.pop()
                if tag.indent and indent and tag.indent != indent:
                    doubtful.append(tag)
        offset += len(text)
    if not opened:
        return None
    return next((it for it in doubtful if it.word == opened[-1].word), opened[-1])


def _captures(words: list[str]) -> bool:
    """Whether these are the words of `{% set x %}` or `{% set x | filter %}`, which have an end."""
    rest = words[: words.index("|")] if "|" in words else words
    return words[0] == "set" and "=" not in rest
