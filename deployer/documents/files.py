"""Reads the files of a project as text; refuses files outside of it, hidden files and large files."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from deployer.documents.budget import Budget
from deployer.documents.parse import PlainText, decode, parse
from deployer.errors import Code, InvalidInput, Problem
from deployer.model import Document, Location

# Of a document, and of a file with several: an error in YAML or in a template is looked for in all of a document.
MAX_BYTES = 2 * 2**20
MAX_FILE_BYTES = 8 * 2**20


def read_text(folder: Path, file: str, *, inside: bool = True) -> str | Problem:
    """Read `file`, relative to `folder`. With `inside`, paths and links must stay in the folder.

    Hidden files are refused too: `.git/config` has a token on many CI machines, and a pull request could print it.
    """
    path = folder / file
    try:
        if inside:
            real, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
            if not real.is_relative_to(root):
                return Problem(Location(file), "is outside the project folder", Code.OUTSIDE_PROJECT)
            if is_hidden(real.relative_to(root)):
                return Problem(Location(file), "refers to a hidden file or folder", Code.OUTSIDE_PROJECT)
        if path.exists() and not path.is_file():
            return _unreadable(file, "not a file")
        with path.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return _unreadable(file, error.strerror)
    except ValueError:
        return _unreadable(file, "not a valid file name")
    if words := _too_large(content):
        return Problem(Location(file), words, Code.TOO_LARGE)
    return decode(file, content)


def _too_large(content: bytes) -> str:
    """Return what of a file is too large; empty if nothing is."""
    start = 0
    while len(content) - start > MAX_BYTES:
        marker = content.rfind(b"\n---", start, start + MAX_BYTES + len("---"))
        if marker < 0:
            words = f"larger than {MAX_BYTES // 2**20} MiB"
            return f"a document is {words}" if b"\n---" in content else words
        start = marker + 1
    return f"larger than {MAX_FILE_BYTES // 2**20} MiB" if len(content) > MAX_FILE_BYTES else ""


def is_hidden(path: PurePath) -> bool:
    """Return whether a name in a relative path starts with a dot."""
    return any(part.startswith(".") for part in path.parts)


def _unreadable(file: str, reason: str | None) -> Problem:
    return Problem(Location(file), f"cannot read file: {reason}", Code.UNREADABLE_FILE)


def read_mapping(folder: Path, file: str, *, inside: bool = True, budget: Budget | None = None) -> Document:
    """Return the only document of a file, a mapping; an empty file is an empty mapping. Raises InvalidInput."""
    text = read_text(folder, file, inside=inside)
    if isinstance(text, Problem):
        raise InvalidInput([text], folder)
    documents, problems = parse(PlainText(file, text), budget)
    if budget and budget.exceeded:
        raise InvalidInput([budget.exceeded], folder)
    if problems:
        raise InvalidInput(problems, folder)
    if not documents:
        return Document({}, Location(file, 1, 1))
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        message = "expected a single YAML mapping"
        raise InvalidInput([Problem(Location(file, 1, 1), message, Code.ONE_MAPPING)], folder)
    return documents[0]
