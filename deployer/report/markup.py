"""The templates of reports, and what makes text safe in Markdown and HTML.

They are files of this package; the environment has nothing to do with that of the manifests. In Markdown each
expression of a template becomes a code span, unless one of the filters made it safe: only in code nothing is
interpreted, no @name is notified, and no address becomes a link.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.environment import TemplateModule
from markupsafe import Markup

from deployer.escape import printable

_BACKTICKS = re.compile("`+")
MAX_TICKS = 100


def code(text: str) -> Markup:
    """Return a code span of Markdown that its text cannot end."""
    clean = without_comment(printable(text))
    if not clean.strip():
        clean = f'"{clean}"'
    ticks = "`" * (_longest(clean) + 1)
    # One space at each side is taken off again.
    around = " " if clean.startswith(("`", " ")) or clean.endswith(("`", " ")) else ""
    return Markup(f"{ticks}{around}{clean}{around}{ticks}")  # noqa: S704 - this is what makes it safe


def cell(text: str) -> Markup:
    """Return a code span in a cell of a table: even in code, a `|` would begin the next one."""
    return code(printable(text).replace("|", "\\u007c"))


def html_code(text: str) -> Markup:
    """Return code in a line of HTML, which is not Markdown."""
    return Markup("<code>{}</code>").format(printable(text))


def fence(lines: Sequence[str], language: str) -> Markup:
    """Return a fenced block of lines, each of which is safe for a terminal."""
    shown = [without_comment(line) for line in lines]
    ticks = "`" * max(3, 1 + max(map(_longest, shown), default=0))
    block = "\n".join([f"{ticks}{language}", *shown, ticks])
    return Markup(block)  # noqa: S704 - this is what makes it safe


def _longest(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)


def without_comment(text: str) -> str:
    """Return `text` without the beginning of a comment: nobody but this report writes the mark of a comment."""
    return text.replace("<!--", "<\\u0021--")


def _trusted(text: object) -> Markup:
    """Return words of this program."""
    return Markup(text)  # noqa: S704


def _finalized(item: Any) -> Any:
    return code(item) if isinstance(item, str) and not isinstance(item, Markup) else item


@cache
def markdown(template: str = "plan.md.jinja") -> TemplateModule:
    """Return the macros of a Markdown report."""
    environment = Environment(
        loader=PackageLoader("deployer.report"),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "html_code": html_code, "fence": fence, "trusted": _trusted}
    return environment.get_template(template).module


@cache
def html() -> Environment:
    """Return the environment of the page: each expression is escaped, and safe for a terminal too."""
    return Environment(
        loader=PackageLoader("deployer.report"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(item: Any) -> Any:
    return printable(item) if isinstance(item, str) and not isinstance(item, Markup) else item


def source(name: str) -> Markup:
    """Return a style or a script of the page as it is."""
    environment = html()
    loader = environment.loader
    text = loader.get_source(environment, name)[0] if loader else ""
    return Markup(text)  # noqa: S704 - a file of this package
