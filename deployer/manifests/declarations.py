"""What a manifest says of each of its parameters: a type or a list of values, a default, and the first value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from deployer.errors import Code, Problem
from deployer.model import Document, Parameter, ParameterType, Path, usual_text
from deployer.parameters import types
from deployer.parameters.references import NAME

KEY = "parameters"

_TYPES = [str(kind) for kind in ParameterType if kind is not ParameterType.VALUES]


def as_texts(document: Document, value: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest whose parameters are texts, as they are written: `default: 7`, `values: [10, 20]`."""
    raw = value.get(KEY)
    if not isinstance(raw, dict):
        return value
    texts = {
        name: _as_text(document, (KEY, name), item) if isinstance(item, dict) else item
        for name, item in raw.items()
    }
    return {**value, KEY: texts}


def _as_text(document: Document, path: Path, item: Any) -> Any:
    match item:
        case dict():
            return {key: _as_text(document, (*path, key), inner) for key, inner in item.items()}
        case list():
            return [_as_text(document, (*path, index), inner) for index, inner in enumerate(item)]
        case int() | float():
            return document.texts.get(path, usual_text(item))
    return item


def declared(document: Document, raw: Any) -> tuple[dict[str, Parameter], list[Problem]]:
    """Return the parameters that a manifest declares, as texts, and their problems.

    What the schema refuses is left to it.
    """
    found: dict[str, Parameter] = {}
    problems: list[Problem] = []
    for name, given in raw.items() if isinstance(raw, dict) else ():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            continue
        if not isinstance(given, dict):
            found[name] = Parameter(name, ParameterType.TEXT)
            continue
        parameter = _parameter(name, given)
        wrong = list(_wrong(parameter, given))
        # Of a wrong one, only the type is used to check the rest.
        found[name] = replace(parameter, pattern="", default=None, earliest="") if wrong else parameter
        for key, message in wrong:
            place = document.location(
                (KEY, name, key) if key in given else (KEY, name), of_key=key not in given
            )
            problems.append(
                Problem(place, f"'{name}': {message}", Code.PARAMETER_TYPE, rule="parameter-type")
            )
    return found, problems


def _parameter(name: str, given: Mapping[str, Any]) -> Parameter:
    type_, values = given.get("type"), given.get("values")
    texts = tuple(item for item in values if isinstance(item, str)) if isinstance(values, list) else ()
    of_type = ParameterType(type_) if type_ in _TYPES else ParameterType.TEXT
    kind = ParameterType.VALUES if texts else of_type
    return Parameter(name, kind, texts, *(_text(given, key) for key in ("pattern", "default", "from")))


def _text(given: Mapping[str, Any], key: str) -> Any:
    found = given.get(key)
    return found if isinstance(found, str) else None if key == "default" else ""


def _wrong(parameter: Parameter, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a parameter, each with the key that it is about."""
    type_, values = given.get("type"), given.get("values")
    if not {"type", "values", "pattern"} & {*given} and {*given} <= {"default", "from", "description"}:
        yield "type", f"give its type ({', '.join(_TYPES)}), or its values"
    if "values" in given and {"type", "pattern"} & {*given}:
        yield "values", "give either values or a type"
    is_text = isinstance(values, list) and len(values) == len(parameter.values)
    if is_text and (wrong := types.listed_problem(parameter.values)):
        yield "values", wrong
    if "pattern" in given and type_ not in (None, ParameterType.TEXT):
        yield "pattern", f"a pattern is for type text, not for type {type_}"
    elif isinstance(given.get("pattern"), str) and (wrong := types.pattern_problem(parameter.pattern)):
        yield "pattern", f"pattern {wrong}"
        return
    is_known = type_ is None or type_ in _TYPES
    if is_known:
        yield from _wrong_values(parameter)


def _wrong_values(parameter: Parameter) -> Iterator[tuple[str, str]]:
    first, default = parameter.earliest, parameter.default
    if first and parameter.type not in types.ORDERED:
        yield "from", f"'from' is for types with an order: {', '.join(types.ORDERED)}"
        first = ""
    elif first and (wrong := types.problem(parameter, first)):
        yield "from", f"'from' {wrong}"
        first = ""
    if default is None:
        return
    if (wrong := types.problem(parameter, default)) or (
        first and (wrong := types.too_early(parameter, default))
    ):
        yield "default", f"'default' {wrong}"
