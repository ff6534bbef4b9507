"""Writes tables and the plot into docs/performance.md, between the markers that name them."""

from __future__ import annotations

import re
from pathlib import Path

_DOCS = Path(__file__).parents[1] / "docs"
PAGE = _DOCS / "performance.md"
PLOT = _DOCS / "performance.svg"


def insert(name: str, text: str, file: Path = PAGE) -> None:
    """Replace what is between `<!-- NAME -->` and `<!-- end of NAME -->` in a page."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    page = file.read_text()
    if not between.search(page):
        raise ValueError(f"{file} has no lines <!-- {name} --> and <!-- end of {name} -->")
    file.write_text(between.sub(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page))
