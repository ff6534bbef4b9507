"""Hides the expressions of a template, so that its text can be read as YAML without rendering it."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from deployer.documents.reserved import MESSAGE, RESERVED
from deployer.errors import Code, Problem
from deployer.model import Location
from deployer.templates.rendered import PLACEHOLDER, PLACEHOLDER_OPEN, placeholder_of, with_newlines

_TAG = re.compile(r"\{[{%#]")
# What Jinja's lexer tells apart inside an expression: strings, brackets, and the end.
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[{(\[]|\}\}|[})\]]|['\"]", re.DOTALL)
_PAIRS = {"}": "{", ")": "(", "]": "["}
_WHAT = {"{%": "a statement ({% %})", "{#": "a comment of the template ({# #})"}


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A file that is not formatted; `reason` says why, with a location if there is one."""

    reason: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class HiddenText:
    """A text with a placeholder for each expression, which is part of a scalar; as `documents.parse` reads it."""

    file: str
    text: str
    expressions: tuple[str, ...] = ()
    # Where the pieces of `text` start, in it and in the author's text.
    starts: tuple[int, ...] = (0,)
    author_starts: tuple[int, ...] = (0,)
    author: str = ""

    def location(self, line: int, column: int) -> Location:
        """Return the author's location of a position in the text, counted from 0."""
        if not self.expressions:
            return Location(self.file, line + 1, column + 1)
        offset = 0
        for _ in range(line):
            offset = self.text.find("\n", offset) + 1
        offset += column
        piece = bisect_right(self.starts, offset) - 1
        # An odd piece is an expression: a position in its placeholder is its start.
        at = self.author_starts[piece] + (0 if piece % 2 else offset - self.starts[piece])
        return _location(self.file, self.author, at)

    def fill(self, scalar: str, *, plain: bool) -> Any:
        """Return the scalar with its expressions. Whether it is quoted matters: only then it is always a string."""
        return f"{'plain' if plain else 'quoted'}: {with_newlines(self.restored(scalar))}"

    def is_filled(self, scalar: str) -> bool:
        """Return whether a scalar has a placeholder."""
        return bool(self.expressions) and PLACEHOLDER_OPEN in scalar

    def names(self, scalar: str) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's signature
        """Return no names: nothing is rendered."""
        return ()

    def restored(self, text: str) -> str:
        """Return `text` with the expressions in place of their placeholders."""
        if not self.expressions:
            return text
        return PLACEHOLDER.sub(lambda match: self.expressions[int(match[1])], text)


def hidden(file: str, text: str, *, is_template: bool) -> HiddenText | LeftAlone | Problem:
    """Return `text` with its expressions hidden; a problem if it has one that Jinja would refuse to read."""
    if bad := RESERVED.search(text):
        return Problem(_location(file, text, bad.start()), MESSAGE, Code.RESERVED_CHARACTER)
    if not is_template:
        return HiddenText(file, text)
    numbers: dict[str, int] = {}
    pieces: list[str] = []
    starts, author_starts = [0], [0]
    end = 0
    while tag := _TAG.search(text, end):
        if what := _WHAT.get(tag[0]):
            return LeftAlone(f"it has {what}", _line(text, tag.start()))
        close = _close(text, tag.end())
        if close is None:
            message = "the expression '{{' is not closed"
            return Problem(_location(file, text, tag.start()), message, Code.TEMPLATE_SYNTAX)
        expression = text[tag.start() : close]
        if expression[2] in "-+" or expression[-3] in "-+":
            reason = "it has an expression that removes or keeps the spaces around it ({{- -}})"
            return LeftAlone(reason, _line(text, tag.start()))
        pieces += [text[end : tag.start()], placeholder_of(numbers.setdefault(expression, len(numbers)))]
        for piece, start in zip(pieces[-2:], (tag.start(), close), strict=True):
            starts.append(starts[-1] + len(piece))
            author_starts.append(start)
        end = close
    pieces.append(text[end:])
    return HiddenText(file, "".join(pieces), tuple(numbers), tuple(starts), tuple(author_starts), text)


def _close(text: str, start: int) -> int | None:
    """Return where an expression ends whose code starts at `start`; None if it does not end."""
    open_brackets: list[str] = []
    at = start
    while token := _TOKEN.search(text, at):
        at = token.end()
        match token[0]:
            case "}}" if not open_brackets:
                return at
            case "{" | "(" | "[":
                open_brackets.append(token[0])
            case "}}":
                # The first of two that close two mappings, or one and the expression.
                at = token.start() + 1
                if open_brackets.pop() != "{":
                    return None
            case "'" | '"':
                return None
            case "}" | ")" | "]" as bracket:
                if not open_brackets or open_brackets.pop() != _PAIRS[bracket]:
                    return None
    return None


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _location(file: str, text: str, offset: int) -> Location:
    return Location(file, _line(text, offset), offset - text.rfind("\n", 0, offset))
