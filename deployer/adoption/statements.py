"""The arguments of a SQL job, as pieces of a text in which an item with a comma cannot be told from two -> items.

It is a guess: options stand for themselves, and what follows the start of a statement belongs to the statement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deployer.kinds.printed_list import SEPARATOR

# --hivevar, -e, --hiveconf=x=1: two hyphens also begin a comment of SQL, which has a space or a line after them.
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*(?:[= \t].*)?")
# In the middle of a statement one hyphen may be a minus, as in `select a, -b`.
_LONG_OPTION = re.compile(r"--[A-Za-z][\w.-]*(?:=\S*)?")
_VERBS = (
    "select|insert|create|drop|alter|with|use|set|msck|load|merge|truncate|update|delete|from|show|desc|describe|explain|"
    "analyze|refresh|add|cache|uncache|export|import|grant|revoke|reload|reset|replace|values|table|call"
)
# A word alone, as in `--database, export`, is the value of an option.
_STATEMENT = re.compile(rf"\s*(?:--|/\*|\(|(?:{_VERBS})(?=[\s(*\"'`/;]))", re.IGNORECASE)


def joined(pieces: Sequence[str]) -> list[str]:
    """Return the pieces of a printed list with those of each statement as one item."""
    items: list[str] = []
    statement: list[str] = []

    def end() -> None:
        if statement:
            items.append(SEPARATOR.join(statement))
            statement.clear()

    for piece in pieces:
        is_ended = bool(statement) and statement[-1].rstrip().endswith(";")
        if _LONG_OPTION.fullmatch(piece) or (is_ended and _starts(piece)):
            end()
        if statement or _starts(piece):
            statement.append(piece)
        else:
            items.append(piece)
    end()
    return items


def _starts(piece: str) -> bool:
    return not _OPTION.fullmatch(piece) and bool(_STATEMENT.match(piece))
