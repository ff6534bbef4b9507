"""The careful path of validation: the errors of jsonschema as problems with messages and locations."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from deployer.errors import Code, Problem, nearest, similar
from deployer.model import Document, Location, Path
from deployer.schema.rules import MEMORY_UNIT, OF_THE_SCHEMA, ONE_SPELLING, UNKNOWN_FIELD
from deployer.schema.stored import stored_schema
from deployer.secrets import redact
from deployer.secrets.references import has_reference

# Errors of one document, of which fewer are shown.
MAX_ERRORS = 1000


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """Check JSON Schema's `pattern`, in which `$` is the end; Python's also matches before a final newline."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


Validator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern}
)


@cache
def schema_validator(name: str) -> Draft202012Validator:
    """Return the validator of a generated schema: that of a kind, of `Project` or of `Plan`."""
    return Validator(stored_schema(name))


def violations(document: Document, value: Any, name: str) -> list[Problem]:
    """Find the violations of the schema `name` (a kind, or Project) in `value`, the data of `document`."""
    found = itertools.islice(schema_validator(name).iter_errors(value), MAX_ERRORS)
    errors = [error for error in found if not _of_a_secret(error)]
    # For a value of the wrong type, other errors are not useful.
    mistyped = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    return [
        problem
        for error in errors
        if error.validator == "type" or tuple(error.absolute_path) not in mistyped
        for problem in _problems(document, error)
    ]


# Keywords that depend on the value itself, which is unknown before the request.
_OF_VALUES = {"pattern", "enum", "const", "minLength", "maxLength", "not"}


def _of_a_secret(error: ValidationError) -> bool:
    return error.validator in _OF_VALUES and isinstance(error.instance, str) and has_reference(error.instance)


def _problems(document: Document, error: ValidationError) -> Iterator[Problem]:
    path: Path = tuple(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    if "propertyNames" in error.schema_path:
        # The error has the path of the mapping, and the key as its instance.
        location = document.location((*path, instance), of_key=True)
        yield Problem(location, _message(error, (*path, instance)), Code.WRONG_VALUE)
    elif error.validator == "additionalProperties":
        known = schema["properties"]
        # A renamed field is known so that its error can name the new one; it is not suggested.
        current = [name for name in known if known[name].get("not") != {}]
        for key in instance:
            if key not in known:
                where = f" in {_describe_path(path)}" if path else ""
                message = f"unknown field '{key}'{where}{nearest(str(key), current)}"
                # Only the API's own part of a manifest can have valid unknown fields.
                rule = UNKNOWN_FIELD if path[:1] == ("spec",) else ""
                # A key from a template's value has no location.
                location = document.keys.get((*path, key)) or document.location(path)
                yield Problem(location, message, Code.UNKNOWN_FIELD, rule=rule)
    elif error.validator == "required":
        missing = error.message.split("'")[1]
        where = f" in {_describe_path(path)}" if path else ""
        message = f"missing required field '{missing}'{where}"
        yield Problem(document.location(path, of_key=True), message, Code.MISSING_FIELD)
    elif error.validator == "anyOf" and (inner := _closest_alternative(error)):
        for child in inner:
            yield from _problems(document, child)
    else:
        # The $comment of a schema is the id of its rule.
        rule = schema.get("$comment", "") if error.validator in {"oneOf", "not", "pattern"} else ""
        code = _CODES.get(rule, Code.WRONG_TYPE if error.validator == "type" else Code.WRONG_VALUE)
        location = (
            _spelling_problem(document, error, path) if rule == ONE_SPELLING else document.location(path)
        )
        yield Problem(location, _message(error, path), code, rule=rule)


_CODES = {ONE_SPELLING: Code.ONE_SPELLING, MEMORY_UNIT: Code.MEMORY_UNIT}


def _spelling_problem(document: Document, error: ValidationError, path: Path) -> Location:
    """Return the location of the last synonym that is set; if none is, that of the mapping."""
    schema: Any = error.schema
    alternatives: Any = schema.get("oneOf") or [schema["not"]]
    given: Any = error.instance
    names = {name for alternative in alternatives for name in alternative["required"] if name in given}
    return max(
        (document.location((*path, name), of_key=True) for name in names),
        default=document.location(path, of_key=True),
    )


def _closest_alternative(error: ValidationError) -> list[ValidationError]:
    """Return the errors of the only alternative with the right type, if any."""
    alternatives: dict[Any, list[ValidationError]] = {}
    for child in error.context or ():
        alternatives.setdefault(child.schema_path[0], []).append(child)
    fitting = [
        children
        for children in alternatives.values()
        if not any(child.validator == "type" and len(child.path) == 0 for child in children)
    ]
    return fitting[0] if len(fitting) == 1 else []


_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _message(error: ValidationError, path: Path) -> str:
    what = f"'{path[-1]}'" if path and isinstance(path[-1], str) else _describe_path(path) or "the document"
    limit: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "type":
            wanted = [limit] if isinstance(limit, str) else limit
            words = " or ".join(_TYPES[name] for name in wanted)
            # Quotes may not be enough: "5" is no duration, 5s is.
            fits = re.search(schema.get("pattern", ""), str(value))
            example = "" if fits else _example_suffix(schema)
            quote = "string" in wanted and not example
            return f"{what} must be {words}{example}, got {describe(value, quote=quote)}"
        case "enum":
            hint = similar(value, limit) if isinstance(value, str) else ""
            return f"{what} must be one of {', '.join(map(str, limit))}, got {describe(value)}{hint}"
        case "const":
            return f"{what} must be {limit!r}, got {describe(value)}"
        case "maxLength" | "minLength":
            word = "at most" if error.validator == "maxLength" else "at least"
            return f"{what} must have {word} {limit} characters, got {len(value)}"
        case "maximum" | "minimum":
            word = "at most" if error.validator == "maximum" else "at least"
            return f"{what} must be {word} {limit}, got {value}"
        case "minProperties":
            return f"{what} must not be empty"
        case "maxProperties":
            return f"{what} must have at most {limit} entries, got {len(value)}"
        case "pattern" if (rule := schema.get("$comment")) in OF_THE_SCHEMA:
            return f"{what}: {OF_THE_SCHEMA[rule][0]}; got {describe(value)}"
        case "pattern":
            return f"{what} must match {limit}{_example_suffix(schema)}; got {describe(value)}"
        case _:
            return str(schema.get("description") or error.message)


def _example_suffix(schema: Any) -> str:
    """Return `, for example 30m`, where a pattern has an example or a default."""
    examples = [
        example
        for example in (*schema.get("examples", ()), schema.get("default"))
        if isinstance(example, str)
    ]
    return f", for example {examples[0]}" if "pattern" in schema and examples else ""


def describe(value: Any, *, quote: bool = False) -> str:
    """Describe a value for an error message."""
    match value:
        case None:
            return "null"
        case bool():
            words = f"the boolean {str(value).lower()}"
        case int() | float():
            words = f"the number {value}"
        case str() if has_reference(value):
            return "a secret"
        case str():
            shown = redact.redacted(value)
            return repr(shown if len(shown) <= 60 else f"{shown[:57]}...")
        case list():
            return "a list"
        case _:
            return "a mapping"
    return f"{words} (quote it)" if quote else words


def _describe_path(path: Path) -> str:
    """Format a path, as in `spec.groups[0].name`."""
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return words.removeprefix(".")
