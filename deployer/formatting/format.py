"""The text of a file -> its formatted text, which is proved to have the same values and comments; or why not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from deployer.documents.parse import parse
from deployer.errors import Problem
from deployer.formatting import layout
from deployer.formatting.expressions import HiddenText, LeftAlone, hidden, texts_of
from deployer.model import Document

# Line breaks for some readers of YAML, and none for others or for editors.
_ODD_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")


def formatted(
    file: str, text: str, *, order: Sequence[str], is_template: bool
) -> str | LeftAlone | tuple[Problem, ...]:
    """Return a file's text as it should be; the problems of a file that cannot be read."""
    if odd := _ODD_BREAK.search(text):
        words = f"it has a line break that is not a newline (U+{ord(odd[0]):04X})"
        return LeftAlone(words, text.count("\n", 0, odd.start()) + 1)
    is_crlf = "\r\n" in text and not re.search(r"(?<!\r)\n", text)
    lines = text.replace("\r\n", "\n")
    if not lines.strip(" \t\n"):
        return "" if not lines.strip("\n") else LeftAlone("it is empty but for spaces")
    before = hidden(file, lines, is_template=is_template)
    if isinstance(before, LeftAlone):
        return before
    if isinstance(before, Problem):
        return (before,)
    documents, problems = parse(before)
    if problems:
        return tuple(problems)
    # Keys cannot be put in order where an alias would come before its anchor: then they stay as they are.
    for keys in dict.fromkeys((tuple(order), ())):
        after = _formatted(before, order if keys else ())
        if isinstance(after, LeftAlone):
            return after
        if after == before.text:
            return text
        result = before.restored(after)
        if _is_same(before, documents, result, is_template=is_template) and _is_stable(
            file, result, order, is_template=is_template
        ):
            return result.replace("\n", "\r\n") if is_crlf else result
    return LeftAlone("it could not be shown that its formatted text has the same values and comments")


def _formatted(text: HiddenText, order: Sequence[str]) -> str | LeftAlone:
    try:
        return layout.laid_out(text.text, order)
    except layout.Unreadable:
        return LeftAlone("a second reader of YAML does not accept it")


def _is_same(before: HiddenText, documents: Sequence[Document], text: str, *, is_template: bool) -> bool:
    """Return whether `text` has the documents, the comments and the anchors of the text before it."""
    after = hidden(before.file, text, is_template=is_template)
    if not isinstance(after, HiddenText):
        return False
    found, problems = parse(after)
    try:
        return (
            not problems
            and list(map(_content, found)) == list(map(_content, documents))
            and texts_of(before, layout.comments(before.text)) == texts_of(after, layout.comments(after.text))
            and sorted(layout.anchors(before.text)) == sorted(layout.anchors(after.text))
        )
    except layout.Unreadable:
        return False


def _is_stable(file: str, text: str, order: Sequence[str], *, is_template: bool) -> bool:
    """Return whether formatting a formatted text changes nothing."""
    again = hidden(file, text, is_template=is_template)
    return isinstance(again, HiddenText) and _formatted(again, order) == again.text


def _content(document: Document) -> tuple[str, list[tuple[str, str]]]:
    """Return a document's values, the order of all keys but the outermost, and the texts of numbers and the like."""
    value = document.value
    if isinstance(value, dict):
        value = dict(sorted(value.items()))
    typed = [
        (repr(path), text)
        for path, text in document.texts.items()
        if not isinstance(_at(document.value, path), str)
    ]
    return json.dumps(value), sorted(typed)


def _at(value: object, path: Sequence[str | int]) -> object:
    for step in path:
        value = value[step]  # type: ignore[index]
    return value
