"""Hints for the error codes of the services, from `schemas/error-hints.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from deployer.kinds.tables import load_data


@dataclass(frozen=True, slots=True)
class Hint:
    """The known facts about an error code; see the header of the file."""

    codes: tuple[str, ...]
    source: str
    hint: str = ""
    says: str = ""
    full: bool = False
    final: bool = False
    may_be_executed: bool = False
    throttled: bool = False
    missing: bool = False


_NOTHING = Hint((), "")


def find_hint(code: str, message: str) -> Hint:
    """Return the hint for a code and message; an empty one if none is known."""
    for hint in _by_code().get(_usual(code), ()):
        if re.search(hint.says, message, re.IGNORECASE):
            return hint
    return _NOTHING


def _usual(code: str) -> str:
    """Normalize a code: older gateways use APIG, and a number may have lost its leading zeros."""
    code = code.strip().upper()
    if code.startswith("APIG."):
        return code.replace("APIG.", "APIGW.", 1)
    return code.zfill(4) if code.isdecimal() else code


@cache
def _by_code() -> Mapping[str, tuple[Hint, ...]]:
    found: dict[str, tuple[Hint, ...]] = {}
    for row in load_data("error-hints.yaml"):
        hint = Hint(**{**row, "codes": tuple(row["codes"])})
        for code in hint.codes:
            found[code] = (*found.get(code, ()), hint)
    return found
