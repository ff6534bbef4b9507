"""The values of parameters: what a value of each type is, how wide, in which order; and lists and ranges of them.

A value comes from a command line or the form of a CI system, and goes into SQL, paths and command lines. So only the
characters of `SAFE` are in it, and it is neither an option nor a comment of SQL; or it is one of the texts that the
manifest lists.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache

from deployer.errors import nearest
from deployer.model import Parameter, ParameterType
from deployer.parameters import dates

MAX_LENGTH = 256
MAX_PATTERN = 200
# The runs of one command.
MAX_VALUES = 10_000
MAX_SHOWN = 60

SAFE = "A-Za-z0-9_.:/=+@-"
RANGE = ".."
ALL = "*"

_TEXT = re.compile(f"(?!-|.*--)[{SAFE}]{{1,{MAX_LENGTH}}}")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_HOUR = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3])")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NOT_LISTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\uf8ff]")
ORDERED = (ParameterType.DATE, ParameterType.MONTH, ParameterType.HOUR, ParameterType.INTEGER)
_WIDTHS = {ParameterType.DATE: 10, ParameterType.MONTH: 7, ParameterType.HOUR: 13}
_EXAMPLES = {
    ParameterType.DATE: "2000-01-01",
    ParameterType.MONTH: "2000-01",
    ParameterType.HOUR: "2000-01-01T00",
    ParameterType.INTEGER: "0",
}
_WORDS = {
    ParameterType.DATE: "a date such as 2024-07-04",
    ParameterType.MONTH: "a month such as 2024-07",
    ParameterType.HOUR: "an hour such as 2024-07-04T13",
    ParameterType.INTEGER: "an integer such as 0, 7 or -12",
    ParameterType.TEXT: f"1 to {MAX_LENGTH} characters of {SAFE}, without -- and no - at its start",
}

# A part of a pattern: a set of characters or one of them, and how often it stands there.
_SET = r"\[(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_.:/=+@](?!-[^\]])|-(?=\])|(?<=\[)-)+\]"
_PART = re.compile(
    rf"(?P<set>{_SET}|\\[.+]|[A-Za-z0-9_:/=@-])(?P<times>[?*+]|\{{[0-9]{{1,3}}(?:,[0-9]{{0,3}})?\}})?"
)
# Each takes as many tries as a text has characters, for each of the others.
_MAX_VARIABLE = 3
_VARIABLE = re.compile(r"[?*+]|\{[0-9]+,[0-9]*\}")


def problem(parameter: Parameter, text: str) -> str:
    """Return why `text` is no value of the parameter, after its name; empty if it is one."""
    if parameter.type is ParameterType.VALUES:
        if text in parameter.values:
            return ""
        return f"must be one of the listed values, got {_quoted(text)}{nearest(text, parameter.values)}"
    if not _is_of_type(parameter.type, text):
        return f"must be {_WORDS[parameter.type]}, got {_quoted(text)}"
    if parameter.pattern and not _compiled(parameter.pattern).fullmatch(text):
        return f"must match {parameter.pattern}, got {_quoted(text)}"
    return ""


def is_value(parameter: Parameter, text: str) -> bool:
    """Return whether `text` is a value of the parameter, whatever its `from` is."""
    return not problem(parameter, text)


def too_early(parameter: Parameter, text: str) -> str:
    """Return why a value is before the first one, after the name; empty if it is not."""
    if parameter.earliest and position(parameter, text) < position(parameter, parameter.earliest):
        return f"must not be before {parameter.earliest} (its 'from'), got {_quoted(text)}"
    return ""


def _is_of_type(type_: ParameterType, text: str) -> bool:
    match type_:
        case ParameterType.DATE:
            return dates.parsed(text) is not None
        case ParameterType.MONTH:
            return _MONTH.fullmatch(text) is not None and not text.startswith("0000")
        case ParameterType.HOUR:
            found = _HOUR.fullmatch(text)
            return found is not None and dates.parsed(found[1]) is not None
        case ParameterType.INTEGER:
            return _INTEGER.fullmatch(text) is not None
    return _TEXT.fullmatch(text) is not None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}...")


# --- what the manifest says about the values ---------------------------------------------------------------------


def pattern_problem(pattern: str) -> str:
    """Return why a pattern is not allowed; empty if it is.

    It has no groups and few parts of variable length: a pull request could write one that takes hours to match.
    """
    at, variable = 0, 0
    while at < len(pattern):
        part = _PART.match(pattern, at)
        if not part or not _is_compiled(part[0]):
            rest = pattern[at : at + 10]
            return f"cannot have {rest!r}: it has sets such as [a-z0-9] and characters of {SAFE}"
        variable += bool(_VARIABLE.fullmatch(part["times"] or ""))
        at = part.end()
    if not pattern or len(pattern) > MAX_PATTERN:
        return f"must have 1 to {MAX_PATTERN} characters"
    if variable > _MAX_VARIABLE:
        return f"must have at most {_MAX_VARIABLE} parts of variable length (+, *, ?, {{1,8}})"
    if not _is_of_type(ParameterType.TEXT, example := _matching(pattern)):
        return f"matches {_quoted(example)}, but a text must be {_WORDS[ParameterType.TEXT]}"
    return ""


def _is_compiled(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError):
        return False
    return True


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def listed_problem(values: Sequence[str]) -> str:
    """Return why texts cannot be the values of a parameter; empty if they can."""
    if not values:
        return "'values' must not be empty"
    if len(values) > MAX_VALUES:
        return f"'values' must have at most {MAX_VALUES:,} texts, got {len(values):,}"
    for value in values:
        if not value or len(value) > MAX_LENGTH:
            return f"a value must have 1 to {MAX_LENGTH} characters, got {_quoted(value)}"
        if _NOT_LISTABLE.search(value):
            return f"a value must have no control characters, got {_quoted(value)}"
        if ", " in value or value != value.strip() or value.startswith(",") or value.endswith(","):
            # MRS lists its arguments in one text, with a comma and a blank between two of them.
            return f"a value must not contain ', ', nor begin or end with a blank or a comma, got {_quoted(value)}"
        if value == ALL:
            return "a value must not be '*', which stands for all values"
    if len({*values}) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        return f"'values' has {_quoted(twice)} twice"
    return ""


def has_order(type_: ParameterType) -> bool:
    """Return whether values of a type have ranges, and `from`."""
    return type_ in ORDERED


def sample(parameter: Parameter) -> str:
    """Return a value to check a manifest with: the default, or any."""
    if parameter.default is not None:
        return parameter.default
    if parameter.values:
        return parameter.values[0]
    if parameter.type is ParameterType.TEXT:
        return _matching(parameter.pattern) if parameter.pattern else "x"
    return _EXAMPLES[parameter.type]


def _matching(pattern: str) -> str:
    """Return a short text that matches a pattern."""
    text = ""
    for part in _PART.finditer(pattern):
        times = part["times"] or "{1}"
        least = int(re.findall("[0-9]+", times)[0]) if times.startswith("{") else int(times == "+")
        text += _member(part["set"]) * least
    return text or _member(_PART.findall(pattern)[0][0])


def _member(characters: str) -> str:
    """Return a character of a set; a letter or digit if it has one."""
    inside = characters.strip("[]").removeprefix("\\")
    return next(filter(str.isalnum, inside), inside[:1])


def width(parameter: Parameter) -> int | None:
    """Return the number of characters of every value; None if it varies."""
    if parameter.values:
        widths = {len(value) for value in parameter.values}
        return widths.pop() if len(widths) == 1 else None
    return _WIDTHS.get(parameter.type)


# --- order, ranges and lists --------------------------------------------------------------------------------------


def position(parameter: Parameter, value: str) -> int:
    """Return the place of a value in the order of its type: that of the next value is one higher.

    Texts have no order: theirs is 0.
    """
    match parameter.type:
        case ParameterType.DATE:
            return date.fromisoformat(value).toordinal()
        case ParameterType.MONTH:
            return int(value[:4]) * 12 + int(value[5:]) - 1
        case ParameterType.HOUR:
            return date.fromisoformat(value[:10]).toordinal() * 24 + int(value[11:])
        case ParameterType.INTEGER:
            return int(value)
        case ParameterType.VALUES:
            return parameter.values.index(value)
    return 0


def value_at(parameter: Parameter, at: int) -> str:
    """Return the value at a position of a type with an order."""
    match parameter.type:
        case ParameterType.DATE:
            return date.fromordinal(at).isoformat()
        case ParameterType.MONTH:
            return f"{at // 12:04}-{at % 12 + 1:02}"
        case ParameterType.HOUR:
            return f"{date.fromordinal(at // 24).isoformat()}T{at % 24:02}"
        case ParameterType.INTEGER:
            return str(at)
    raise ValueError(f"values of type {parameter.type} have no order")


def selected(parameter: Parameter, words: str) -> list[str]:
    """Return the values that `a`, `a,b`, `A..B` or `*` select, in order and each once.

    Both ends of a range are included. Raises ValueError, with a message that begins with the parameter's name.
    """
    if parameter.values and words in parameter.values:
        return [words]
    if words == ALL:
        if not parameter.values:
            raise _error(parameter, f"has no list of values, so {ALL!r} cannot select them")
        return [*parameter.values]
    found: dict[str, None] = {}
    for word in words.split(","):
        first, is_range, last = word.partition(RANGE)
        values = (
            _between(parameter, first, last)
            if is_range and has_order(parameter.type)
            else [_valid(parameter, word)]
        )
        found |= dict.fromkeys(values)
        if len(found) > MAX_VALUES:
            raise _error(parameter, f"selects more than {MAX_VALUES:,} values")
    return sorted(found, key=lambda value: position(parameter, value))


def _between(parameter: Parameter, first: str, last: str) -> list[str]:
    begin, end = (position(parameter, _valid(parameter, value)) for value in (first, last))
    if end < begin:
        raise _error(parameter, f"range {first}{RANGE}{last} ends before it begins")
    if end - begin >= MAX_VALUES:
        raise _error(
            parameter, f"range {first}{RANGE}{last} has {end - begin + 1:,} values; at most {MAX_VALUES:,}"
        )
    return [value_at(parameter, at) for at in range(begin, end + 1)]


def _valid(parameter: Parameter, text: str) -> str:
    if message := problem(parameter, text) or too_early(parameter, text):
        raise _error(parameter, message)
    return text


def _error(parameter: Parameter, message: str) -> ValueError:
    return ValueError(f"'{parameter.name}' {message}")


def combinations(
    parameters: Mapping[str, Parameter], chosen: Mapping[str, Sequence[str]]
) -> list[dict[str, str]]:
    """Return all combinations of chosen values, and of the defaults of the others, in order.

    Raises ValueError if there are too many, if a parameter has neither, or for one that is not known.
    """
    for name in chosen:
        if name not in parameters:
            raise ValueError(f"unknown parameter '{name}'{nearest(name, sorted(parameters))}")
    missing = [name for name in parameters if name not in chosen and parameters[name].default is None]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise ValueError(f"{names} must be given: no default")
    lists = {name: chosen.get(name) or [parameters[name].default or ""] for name in parameters}
    count = 1
    for values in lists.values():
        count *= len(values)
    if count > MAX_VALUES:
        raise ValueError(f"the values have {count:,} combinations; at most {MAX_VALUES:,}")
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def in_ranges(parameter: Parameter, values: Iterable[str]) -> list[str]:
    """Return values in order, neighbours as a range: `2024-07-01..2024-07-03`."""
    ordered = sorted({*values}, key=lambda value: (position(parameter, value), value))
    if not has_order(parameter.type):
        return ordered
    groups: list[list[str]] = []
    for value in ordered:
        if groups and position(parameter, value) == position(parameter, groups[-1][-1]) + 1:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [group[0] if len(group) == 1 else f"{group[0]}{RANGE}{group[-1]}" for group in groups]
