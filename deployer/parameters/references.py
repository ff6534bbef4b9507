"""Marks of parameters in strings: the results of `{{ param("date") }}`, which each run fills with its own value.

A mark is part of a scalar and has characters that authors cannot use::

    OPEN param SEP NAME CLOSE                   the value
    OPEN date SEP DAYS SEP FORM SEP NAME CLOSE  the value, a date, in another form and some days later
    OPEN FILTER SEP text CLOSE                  the result of a filter for `text`, which has marks itself

They are not those of secrets, so a string may hold both; a filter of a text with a secret is that of secrets, and has
the marks of parameters inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.errors import DeployerError
from deployer.parameters import dates
from deployer.secrets.references import FILTERS, MAX_FILLED, has_reference, texts_in

OPEN, SEP, CLOSE = "\ue007", "\ue008", "\ue009"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
RESERVED = re.compile(f"[{OPEN}-{CLOSE}]")

_PARAM, _DATE = "param", "date"
_TOKEN = re.compile(
    f"({OPEN}{_PARAM}{SEP}{NAME.pattern}{CLOSE}|{OPEN}{_DATE}{SEP}[^{OPEN}-{CLOSE}]*{SEP}[^{OPEN}-{CLOSE}]*{SEP}"
    f"{NAME.pattern}{CLOSE}|{OPEN}(?:{'|'.join(FILTERS)}){SEP}|{CLOSE})"
)
_DAMAGED = "damaged mark of a parameter"


@dataclass(frozen=True, slots=True)
class Use:
    """A value in a string; a date may be in another `form`, and `days` later."""

    name: str
    form: str = ""
    days: int = 0

    def text(self, value: str) -> str:
        """Return the value as it stands there. Raises ValueError for a date outside of the calendar."""
        return dates.formatted(value, self.form, self.days) if self.form else value

    @property
    def mark(self) -> str:
        if self.form:
            return f"{OPEN}{_DATE}{SEP}{self.days}{SEP}{self.form}{SEP}{self.name}{CLOSE}"
        return f"{OPEN}{_PARAM}{SEP}{self.name}{CLOSE}"

    def __str__(self) -> str:
        days = f", days={self.days}" if self.days else ""
        return f"param({self.name} | date('{self.form}'{days}))" if self.form else f"param({self.name})"


@dataclass(frozen=True, slots=True)
class Filtered:
    """The result of a filter for a text with marks."""

    filter: str
    inside: tuple[Piece, ...]

    def __str__(self) -> str:
        return f"{self.filter}({''.join(map(str, self.inside))})"


Piece = str | Use | Filtered


def reference(name: str) -> str:
    """Return the mark of a parameter; raises ValueError for an invalid name."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a parameter")
    return Use(name).mark


def single_use(text: str) -> Use | None:
    """Return the use that a text is, if it is nothing else."""
    pieces = split(text)
    return pieces[0] if len(pieces) == 1 and isinstance(pieces[0], Use) else None


def deferred_reference(filter_name: str, text: str) -> str:
    """Return the mark of the result of one of the filters for `text`."""
    if filter_name not in FILTERS:
        raise ValueError(f"{filter_name!r} is not a filter for parameters")
    return f"{OPEN}{filter_name}{SEP}{text}{CLOSE}"


def has_mark(value: object) -> bool:
    """Return whether any string in plain data has a mark, or a part of one."""
    return any(RESERVED.search(text) for text in texts_in(value))


def split(text: str) -> tuple[Piece, ...]:
    """Return the text around marks, and what the marks stand for. Raises DeployerError for a damaged mark."""
    levels: list[list[Piece]] = [[]]
    filters: list[str] = []
    for number, piece in enumerate(_TOKEN.split(text)):
        if number % 2 == 0:
            if RESERVED.search(piece):
                raise DeployerError(_DAMAGED)
            levels[-1] += [piece] if piece else []
        elif piece == CLOSE:
            if not filters:
                raise DeployerError(_DAMAGED)
            inside = tuple(levels.pop())
            levels[-1].append(Filtered(filters.pop(), inside))
        elif piece.endswith(SEP):
            filters.append(piece[1:-1])
            levels.append([])
        else:
            levels[-1].append(_use(piece))
    if filters:
        raise DeployerError(_DAMAGED)
    return tuple(levels[0])


def _use(mark: str) -> Use:
    word, *parts = mark[1:-1].split(SEP)
    if word == _PARAM:
        return Use(parts[0])
    days, form, name = parts
    if dates.form_problem(form) or not re.fullmatch("-?[0-9]{1,5}", days):
        raise DeployerError(_DAMAGED)
    return Use(name, form, int(days))


def uses(text: str) -> Iterator[Use]:
    """Yield the uses in a text, those inside of filters too."""
    return _uses(split(text))


def _uses(pieces: Sequence[Piece]) -> Iterator[Use]:
    for piece in pieces:
        if isinstance(piece, Use):
            yield piece
        elif isinstance(piece, Filtered):
            yield from _uses(piece.inside)


def filled_text(text: str, values: Mapping[str, str]) -> str:
    """Replace all marks in a text by values.

    Raises DeployerError for one without a value, and ValueError for a date outside of the calendar.
    """
    if not RESERVED.search(text):
        return text
    filled = _joined(split(text), values)
    if RESERVED.search(filled):
        raise DeployerError(_DAMAGED)
    return filled


def _joined(pieces: Sequence[Piece], values: Mapping[str, str]) -> str:
    texts = [_text(piece, values) for piece in pieces]
    if sum(map(len, texts)) > MAX_FILLED:
        raise DeployerError(f"a string with parameters exceeds {MAX_FILLED} characters after substitution")
    return "".join(texts)


def _text(piece: Piece, values: Mapping[str, str]) -> str:
    match piece:
        case Use():
            if piece.name not in values:
                raise DeployerError(f"parameter '{piece.name}' has no value")
            return piece.text(values[piece.name])
        case Filtered():
            return FILTERS[piece.filter](_joined(piece.inside, values))
    return piece


def concrete(spec: Any, values: Mapping[str, str]) -> Any:
    """Return a spec with all marks replaced by values; what has no mark is the same object."""
    return _each_text(spec, lambda text: filled_text(text, values))


def shown(value: Any) -> Any:
    """Return plain data as a definition is shown: `--date=param(date)`.

    A string with a secret stays as it is, and is masked as a whole.
    """
    return _each_text(value, _shown_text)


def _shown_text(text: str) -> str:
    if not RESERVED.search(text) or has_reference(text):
        return text
    try:
        return "".join(map(str, split(text)))
    except DeployerError:
        return RESERVED.sub("", text)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case Mapping():
            items = {change(key): _each_text(item, change) for key, item in value.items()}
            return value if all(items.get(key) is item for key, item in value.items()) else items
        case list() | tuple():
            listed = [_each_text(item, change) for item in value]
            return value if all(map(lambda one, other: one is other, listed, value)) else listed
    return value
