"""The first line of a report in Markdown: by it, the comment of a project and target is found again."""

from __future__ import annotations

import hashlib
from urllib.parse import quote


def marker(project: str, target: str, about: str = "") -> str:
    """Return the line, which is not shown. `about` is what the report is about if that is no plan: a plain word."""
    words = " ".join(filter(None, (_marked(project), _marked(target), about)))
    return f"<!-- deployer: {words} -->"


def is_of_target(line: str, target: str) -> bool:
    """Return whether a line is the marker of a plan of a target, of whatever project."""
    words = line.removeprefix("<!-- deployer: ").removesuffix(" -->").split(" ")
    return len(words) == 2 and line == f"<!-- deployer: {words[0]} {_marked(target)} -->"


def _marked(name: str) -> str:
    safe = quote(name, safe="", errors="replace").replace("--", "-%2D") or "-"
    return safe if len(safe) <= 200 else hashlib.sha256(name.encode(errors="replace")).hexdigest()
