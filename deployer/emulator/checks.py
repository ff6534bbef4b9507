"""Checks for request bodies: each takes the path of a value and the value, and may raise ParameterError.

Null is always a wrong type: no page documents that it unsets a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

Check = Callable[[str, Any], None]


class ParameterError(Exception):
    """A description of a wrong parameter; the service adds its error code."""


def text(*, least: int = 0, most: int | None = None, pattern: str = "") -> Check:
    """Return a check for a string of `least` to `most` characters; `pattern` must match all of it."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, str):
            raise ParameterError(f"{path} must be a string")
        if len(value) < least:
            raise ParameterError(f"{path} must have at least {least} characters")
        if most is not None and len(value) > most:
            raise ParameterError(f"{path} must have at most {most} characters")
        if pattern and not re.fullmatch(pattern, value):
            raise ParameterError(f"{path} must match {pattern}")

    return check


def number(*, least: float | None = None, most: float | None = None, whole: bool = True) -> Check:
    """Return a check for an integer, or any number if not `whole`; true is not 1."""

    def check(path: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise ParameterError(f"{path} must be {'an integer' if whole else 'a number'}")
        if least is not None and value < least:
            raise ParameterError(f"{path} must be at least {least}")
        if most is not None and value > most:
            raise ParameterError(f"{path} must be at most {most}")

    return check


def boolean(path: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ParameterError(f"{path} must be true or false")


def one_of(*values: str | int) -> Check:
    """Return a check for one of `values`, of their type."""

    def check(path: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value not in values:
            raise ParameterError(f"{path} must be one of {', '.join(map(str, values))}")

    return check


def list_of(item: Check, *, least: int = 0, most: int | None = None) -> Check:
    def check(path: str, value: Any) -> None:
        if not isinstance(value, list):
            raise ParameterError(f"{path} must be an array")
        if len(value) < least or (most is not None and len(value) > most):
            raise ParameterError(f"{path} must not have {len(value)} elements")
        for index, element in enumerate(value):
            item(f"{path}[{index}]", element)

    return check


def map_of(item: Check) -> Check:
    """Return a check for an object with any keys."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise ParameterError(f"{path} must be an object")
        for key, element in value.items():
            item(f"{path}.{key}", element)

    return check


def record(fields: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """Return a check for an object with only the keys of `fields`; the path of a whole body is empty."""

    def check(path: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise ParameterError(f"{path or 'the body'} must be an object")
        place = f"{path}." if path else ""
        for key in required:
            if key not in value:
                raise ParameterError(f"{place}{key} is missing")
        for key, element in value.items():
            if key not in fields:
                raise ParameterError(f"{place}{key} is not a parameter of this call")
            fields[key](f"{place}{key}", element)

    return check
