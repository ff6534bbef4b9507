"""The text of a file -> its formatted text, which is proved to have the same values and comments; or why not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from deployer.documents.parse import parse
from deployer.errors import Problem
from deployer.formatting.expressions import HiddenText, LeftAlone, hidden
from deployer.formatting.layout import Unreadable, laid_out, noted
from deployer.model import Document
from deployer.templates.rendered import with_newlines

# Some seconds: the second reader is written in Python.
MAX_CHARACTERS = 256 * 2**10

_TABS = re.compile(r"[ \t]*\t[ \t]*(?=\r?\n|\Z)")
# Line breaks for some readers of YAML, and none for others or for editors.
_ODD_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")


def formatted(
    file: str, text: str, *, order: Sequence[str], is_template: bool
) -> str | LeftAlone | tuple[Problem, ...]:
    """Return a file's text as it should be; the problems of a file that cannot be read."""
    if odd := _ODD_BREAK.search(text):
        words = f"it has a line break that is not a newline (U+{ord(odd[0]):04X})"
        return LeftAlone(words, text.count("\n", 0, odd.start()) + 1)
    if not text.strip(" \r\n"):
        return ""
    if len(text) > MAX_CHARACTERS:
        return LeftAlone(f"it is larger than {MAX_CHARACTERS // 2**10} KiB")
    written = hidden(file, text, is_template=is_template)
    if isinstance(written, LeftAlone):
        return written
    if isinstance(written, Problem):
        return (written,)
    documents, problems = parse(written)
    if problems:
        return tuple(problems)
    try:
        return _proved(written, documents, text, order, is_template=is_template)
    except Unreadable:
        pass
    try:
        # The second reader refuses tabs at the ends of lines.
        stripped = replace(written, text=_TABS.sub("", written.text))
        return _proved(stripped, documents, text, order, is_template=is_template)
    except Unreadable:
        return LeftAlone("a second reader of YAML does not accept it")


def _proved(
    written: HiddenText, documents: Sequence[Document], text: str, order: Sequence[str], *, is_template: bool
) -> str | LeftAlone:
    """Return the text in its layout, if it has the `documents`. Raises Unreadable."""
    is_crlf = "\r\n" in text and not re.search(r"(?<!\r)\n", text)
    # Keys cannot be put in order where an alias would come before its anchor: then they stay as they are.
    for keys in (order, ()):
        layout = laid_out(with_newlines(written.text), keys)
        if isinstance(layout, LeftAlone):
            return layout
        result = written.restored(layout.replace("\n", "\r\n") if is_crlf else layout)
        if result == text or _is_proved(written, documents, result, keys, is_template=is_template):
            return result
    return LeftAlone("it could not be shown that its formatted text has the same values and comments")


def _is_proved(
    before: HiddenText, documents: Sequence[Document], text: str, order: Sequence[str], *, is_template: bool
) -> bool:
    """Return whether `text` has the documents, comments and anchors of the text before it, and is formatted."""
    after = hidden(before.file, text, is_template=is_template)
    if not isinstance(after, HiddenText):
        return False
    found, problems = parse(after)
    return (
        not problems
        and list(map(_content, found)) == list(map(_content, documents))
        and _noted(before) == _noted(after)
        and laid_out(with_newlines(after.text), order) == with_newlines(after.text)
    )


def _noted(text: HiddenText) -> list[str]:
    """Return the comments, anchors, aliases and directives, in no order."""
    return sorted(map(text.restored, noted(with_newlines(text.text))))


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
