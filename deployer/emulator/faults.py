"""Fault rules: which requests fail, and how. A client that handles them can handle the real services.

A rule comes from a file or a request to the emulator itself. The first rule that matches a request, and whose
nth match it is, is applied; every rule counts all requests that it matches.
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


# The conditions, the effects, and the details of effects.
_MEANT: Mapping[str, Check] = {"method": text(least=1), "path": text(), "nth": _one_or_more}
_HAPPENS: Mapping[str, Check] = {
    "delay": number(least=0, most=3600, whole=False),
    "status": number(least=200, most=599),
    "drop": boolean,
    "truncate": boolean,
    "stale": number(least=0, whole=False),
    "shift": number(),
    "repeat": boolean,
    "omit": list_of(text(least=1), least=1),
    "fill": map_of(_any_value),
}
_HOW: Mapping[str, Check] = {
    "after": boolean,
    "body": _any_value,
    "headers": map_of(text(pattern="[^\r\n]*")),
}
_check = record({**_MEANT, **_HAPPENS, **_HOW})


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault rule. `path` is searched in the path and query of a request; an empty `nth` means every request.

    `after`: delay, status and drop are applied after the request was executed. A `body` that is a string is sent
    unchanged. `stale` (seconds), `shift` (records) and `repeat` change the content of a listing, `omit` and `fill`
    the fields of its entries.
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
    omit: tuple[str, ...] = ()
    fill: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, call: Call) -> bool:
        return self.method in (None, call.method) and self.path.search(call.target) is not None


def read(data: Any) -> Rule:
    """Return the rule in `data`; raises ParameterError if it is invalid."""
    _check("", data)
    if not data.keys() & _HAPPENS.keys():
        raise ParameterError(f"the fault has no effect: one of {', '.join(_HAPPENS)} is required")
    nth = data.get("nth", [])
    try:
        path = re.compile(data.get("path", ""))
    except re.error as error:
        raise ParameterError(f"path is not a valid regular expression: {error}") from None
    omit = tuple(data.get("omit", ()))
    nth = frozenset(nth if isinstance(nth, list) else [nth])
    return Rule(**{**data, "path": path, "nth": nth, "omit": omit})


@dataclass(slots=True)
class _Armed:
    data: Mapping[str, Any]
    rule: Rule
    matched: int = 0
    met: int = 0


class Faults:
    """The active rules. Thread-safe."""

    def __init__(self, rules: Iterable[Any] = ()) -> None:
        self._lock = threading.Lock()
        self._armed: tuple[_Armed, ...] = ()
        for place, data in enumerate(rules, 1):
            try:
                self.add(data)
            except ParameterError as error:
                raise ParameterError(f"fault {place}: {error}") from None

    def add(self, data: Any) -> None:
        """Append a rule; raises ParameterError if it is invalid."""
        armed = _Armed(data, read(data))
        with self._lock:
            self._armed = (*self._armed, armed)

    def clear(self) -> None:
        self._armed = ()

    def shown(self) -> list[dict[str, Any]]:
        """Return the rules as they were specified, with the number of requests they matched and affected."""
        return [{**armed.data, "matched": armed.matched, "met": armed.met} for armed in self._armed]

    def meets(self, call: Call) -> Rule | None:
        if not self._armed:
            return None
        with self._lock:
            found = None
            for armed in self._armed:
                if armed.rule.matches(call):
                    armed.matched += 1
                    if found is None and (not armed.rule.nth or armed.matched in armed.rule.nth):
                        armed.met += 1
                        found = armed.rule
            return found
