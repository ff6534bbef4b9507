"""Faults by rule: which calls go wrong, and how. A client that survives them survives the real services.

A rule is data, from a file or a call to the emulator itself. A call meets the first rule that matches it and
of which it is the nth; every rule counts all calls that it matches.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.emulator.api import Call
from deployer.emulator.checks import Check, ParameterError, boolean, list_of, map_of, number, record, text

_which = number(least=1)


def _one_or_more(path: str, value: Any) -> None:
    (list_of(_which, least=1) if isinstance(value, list) else _which)(path, value)


def _any_value(_path: str, _value: Any) -> None:
    pass


# What can be said of the calls that are meant, and what can happen to them.
_MEANT: Mapping[str, Check] = {"method": text(least=1), "path": text(), "nth": _one_or_more}
_HAPPENS: Mapping[str, Check] = {
    "delay": number(least=0, most=3600, whole=False),
    "status": number(least=200, most=599),
    "drop": boolean,
    "truncate": boolean,
    "stale": number(least=0, whole=False),
    "shift": number(),
    "repeat": boolean,
}
_HOW: Mapping[str, Check] = {
    "after": boolean,
    "body": _any_value,
    "headers": map_of(text(pattern="[^\r\n]*")),
}
_check = record({**_MEANT, **_HAPPENS, **_HOW})


@dataclass(frozen=True, slots=True)
class Rule:
    """`path` is searched for in a call's path and query; an empty `nth` means every call.

    `after` says that delay, status and drop come when the call was carried out. A `body` that is text is sent
    as it is. `stale` (seconds), `shift` (records) and `repeat` change what a listing shows.
    """

    path: re.Pattern[str]
    method: str | None = None
    nth: frozenset[int] = frozenset()
    after: bool = False
    delay: float = 0
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    truncate: bool = False
    stale: float = 0
    shift: int = 0
    repeat: bool = False

    def matches(self, call: Call) -> bool:
        return self.method in (None, call.method) and self.path.search(call.target) is not None


def read(data: Any) -> Rule:
    """Raises ParameterError when this is no rule."""
    _check("", data)
    if not data.keys() & _HAPPENS.keys():
        raise ParameterError(f"nothing happens: one of {', '.join(_HAPPENS)} must be given")
    nth = data.get("nth", [])
    try:
        path = re.compile(data.get("path", ""))
    except re.error as error:
        raise ParameterError(f"path is no regular expression: {error}") from None
    return Rule(**{**data, "path": path, "nth": frozenset(nth if isinstance(nth, list) else [nth])})


@dataclass(slots=True)
class _Armed:
    data: Mapping[str, Any]
    rule: Rule
    matched: int = 0
    met: int = 0


class Faults:
    """The rules that hold. Safe for threads."""

    def __init__(self, rules: Iterable[Any] = ()) -> None:
        self._lock = threading.Lock()
        self._armed: tuple[_Armed, ...] = ()
        for place, data in enumerate(rules, 1):
            try:
                self.add(data)
            except ParameterError as error:
                raise ParameterError(f"fault {place}: {error}") from None

    def add(self, data: Any) -> None:
        """The rule comes after those that there are; raises ParameterError when it is none."""
        armed = _Armed(data, read(data))
        with self._lock:
            self._armed = (*self._armed, armed)

    def clear(self) -> None:
        self._armed = ()

    def shown(self) -> list[dict[str, Any]]:
        """The rules as they were given, with how many calls they matched, and how many of these met them."""
        return [{**it.data, "matched": it.matched, "met": it.met} for it in self._armed]

    def meets(self, call: Call) -> Rule | None:
        if not self._armed:
            return None
        with self._lock:
            found = None
            for it in self._armed:
                if it.rule.matches(call):
                    it.matched += 1
                    if found is None and (not it.rule.nth or it.matched in it.rule.nth):
                        it.met += 1
                        found = it.rule
            return found
