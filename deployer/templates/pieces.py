"""Splits a text into data and tags, as Jinja does; or not at all, where that is not certain."""

from __future__ import annotations

import re

from deployer.documents import reserved
from deployer.templates.rendered import with_newlines

# ASCII without braces (so that the first `}` ends the tag) and without `#`; in strings on one line, all but braces.
# Jinja removes the spaces after `-}}`; and `+` has a meaning there that nobody uses.
# Bounded, as each repetition of a group takes memory; and not possessive, which Python 3.11 gets wrong before 3.11.5.
_STRING = (
    r"""'(?:[^'\\{}\x00-\x1f]|\\[^{}\x00-\x1f]){0,1000}'|"(?:[^"\\{}\x00-\x1f]|\\[^{}\x00-\x1f]){0,1000}\""""
)
_CODE = rf"(?!\+)(?:[ \t\n!$&(-\[\]-z|~]|%(?!\}})|{_STRING}){{0,5000}}(?<!\+)"
# A file name that starts with a dot is relative to the file.
_NAME = r"""(?:'[^.'"][^'"]*'|"[^.'"][^'"]*")"""
_STATEMENT = rf"(?:if|elif|else|endif|for|endfor|set)\b|(?:import|from)\s*{_NAME}\s*(?:as|import)\b"
_TAG = re.compile(
    rf"((?:\{{\{{{_CODE}\}}\}}|\{{%(?=-?\s*(?:{_STATEMENT})){_CODE}%\}}|\{{\#(?!\+)[^{{}}#]*(?<!\+)\#\}})"
    r"(?:(?<=-[}%#]\})\s*+)?)|\{[{%#]"
)
_REMOVES_BEFORE = re.compile(r"\{[{%#]-")


def split(text: str) -> list[str] | None:
    """Return data and tags in turn; None without tags, or if it is not certain that Jinja sees the same ones."""
    if (not text.isascii() and reserved.RESERVED.search(text)) or reserved.ESCAPED.search(text):
        return None
    text = with_newlines(text)
    pieces: list[str] = _TAG.split(text)
    if None in pieces or len(pieces) == 1:
        return None
    if _REMOVES_BEFORE.search(text):
        for number in range(1, len(pieces), 2):
            if _REMOVES_BEFORE.match(pieces[number]):
                data = pieces[number - 1].rstrip()
                # The removed spaces are part of the tag.
                pieces[number] = pieces[number - 1][len(data) :] + pieces[number]
                pieces[number - 1] = data
    return pieces
