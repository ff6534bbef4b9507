"""Query parameters: each module has a table of parameter -> Filter for its listing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.emulator.checks import ParameterError, one_of
from deployer.emulator.store import Condition

Read = Callable[[str, str], Any]

# Large enough for a time in milliseconds, small enough for SQLite.
_MOST = 2**53


def plain(_name: str, value: str) -> str:
    return value


def one_word(*words: str) -> Read:
    check = one_of(*words)

    def read(name: str, value: str) -> str:
        check(name, value)
        return value

    return read


def flag(name: str, value: str) -> bool:
    one_of("true", "false")(name, value.lower())
    return value.lower() == "true"


def whole(least: int = 0, most: int = _MOST) -> Read:
    def read(name: str, value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= most):
            raise ParameterError(f"the {name} is invalid")
        return int(value)

    return read


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on the store's columns with one `?`, and the conversion of its value from the query."""

    sql: str
    read: Read = plain


def conditions(filters: Mapping[str, Filter], query: Mapping[str, str]) -> list[Condition]:
    """Return the conditions of the `filters` in the query. Other parameters are ignored, as by the services."""
    return [(f.sql, f.read(name, query[name])) for name, f in filters.items() if name in query]


def option(query: Mapping[str, str], name: str, read: Read, default: Any) -> Any:
    return read(name, query[name]) if name in query else default
