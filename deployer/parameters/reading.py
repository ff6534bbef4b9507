"""The values of a live run's parameters, as its listing shows them: told, or not told, and never guessed.

Strictly: values that can be read from one text each are put into the whole of every field that has parameters, and
hold only if the result is what is listed. Loosely, for a run of an older definition: each word with a parameter must be
found after the words that lead to it, `--date X` or `day = 'X'`, and all that is found must be the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.errors import DeployerError
from deployer.model import Parameter, Path, Spec, pointer
from deployer.parameters.layout import Hole, Layout, layout
from deployer.parameters.references import CLOSE, OPEN, concrete, has_mark
from deployer.secrets import references as secret_references
from deployer.secrets.compare import align_references

# Words of a live run that are compared.
MAX_WORDS = 20_000
# The words before a parameter that must be the same.
MAX_BEFORE = 4

_LETTER = re.compile(r"[^\W\d_]")
_BLANKS = re.compile(r"\s+")
_BLANKS_AND_MARKS = re.compile(f"\\s+|[{OPEN}{CLOSE}{secret_references.OPEN}{secret_references.CLOSE}]")
_BREAK = "\0"


@dataclass(frozen=True, slots=True)
class Told:
    """The values of a run. `is_strict`: everything that has parameters is as the definition would send it."""

    values: Mapping[str, str]
    is_strict: bool


@dataclass(frozen=True, slots=True)
class NotTold:
    """A run whose values are not certain. `path` is the first place without a value, and `live` what is there.

    `live` may be a secret, and None if there is nothing.
    """

    path: str
    live: Any = None


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the strings of plain data with their paths; keys have no marks."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from texts(item, (*path, index))


def marked(spec: Spec) -> dict[str, Any]:
    """Return the fields of a spec that have parameters."""
    return {name: value for name, value in spec.items() if has_mark(value)}


def read(
    spec: Spec,
    parameters: Mapping[str, Parameter],
    live: Spec,
    unobserved: Collection[str],
    expect: Callable[[Spec], Spec],
) -> Told | NotTold:
    """Return the values of a live run of the definition `spec`, or of an older one.

    `unobserved` are the fields that `live` does not show; `expect` returns a spec as the listing shows it.
    """
    fields = {name: value for name, value in marked(expect(spec)).items() if name not in unobserved}
    found = _strictly(spec, fields, parameters, live, expect)
    if isinstance(found, Told):
        return found
    values = _loosely(fields, parameters, live)
    return Told(values, is_strict=False) if values is not None else found


# --- strictly --------------------------------------------------------------------------------------------------------


def _strictly(
    spec: Spec,
    fields: Spec,
    parameters: Mapping[str, Parameter],
    live: Spec,
    expect: Callable[[Spec], Spec],
) -> Told | NotTold:
    values: dict[str, str] = {}
    first = ""
    for path, text in texts(fields):
        if OPEN not in text:
            continue
        first = first or pointer(path)
        place = layout(text, parameters)
        if not place.names:
            continue
        listed = _at(live, path)
        read_values = place.read(listed, parameters) if isinstance(listed, str) else None
        if read_values is None or any(
            values.get(name, value) != value for name, value in read_values.items()
        ):
            return NotTold(pointer(path), listed)
        values |= read_values
    if {*parameters} - {*values}:
        return NotTold(first)
    try:
        filled = expect(concrete(spec, values))
    except (DeployerError, ValueError):
        return NotTold(first)
    for name in fields:
        if not _is_as_sent(live.get(name), filled[name]):
            path, listed = _first_difference(live.get(name), filled[name], (name,))
            return NotTold(pointer(path), listed)
    return Told(values, is_strict=True)


def _is_as_sent(live: Any, filled: Any) -> bool:
    """Return whether a field is listed as it would be sent. Services add settings to those of a mapping."""
    if isinstance(live, Mapping) and isinstance(filled, Mapping):
        live = {key: item for key, item in live.items() if key in filled}
    return bool(align_references(live, filled) == live)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _first_difference(live: Any, filled: Any, path: Path) -> tuple[Path, Any]:
    for inner, text in texts(filled, path):
        listed = _at(live, inner[len(path) :])
        if not isinstance(listed, str) or align_references(listed, text) != listed:
            return inner, listed
    return path, None


# --- loosely -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Word:
    """A word with parameters, and the literal words before it that lead to it."""

    before: tuple[str, ...]
    layout: Layout


def _loosely(fields: Spec, parameters: Mapping[str, Parameter], live: Spec) -> dict[str, str] | None:
    """Return the values that all words with parameters show alike; None if they are not certain."""
    if any(_BLANKS.search(value) for parameter in parameters.values() for value in parameter.values):
        return None
    values: dict[str, str] = {}
    for name, value in fields.items():
        listed = _words(live.get(name))
        if len(listed) > MAX_WORDS:
            return None
        for word in _leading(_words(value), parameters):
            if word is None:
                return None
            found = [
                read_values
                for at, candidate in enumerate(listed)
                if tuple(listed[max(0, at - len(word.before)) : at]) == word.before
                and (read_values := word.layout.read(candidate, parameters)) is not None
            ]
            if not found:
                return None
            for read_values in found:
                for parameter, text in read_values.items():
                    if values.setdefault(parameter, text) != text:
                        return None
    return None if {*parameters} - {*values} else values


def _leading(words: Sequence[str], parameters: Mapping[str, Parameter]) -> Iterator[_Word | None]:
    """Yield the readable words with parameters; None for one that nothing leads to."""
    for at, word in enumerate(words):
        if OPEN not in word:
            continue
        place = layout(word, parameters)
        if not place.names:
            continue
        before: list[str] = []
        # What stands before the value must have a letter: a quote or a slash leads to nothing.
        while not _names_something(before, place):
            number = at - len(before) - 1
            if number < 0 or len(before) == MAX_BEFORE or _is_varying(words[number]):
                yield None
                return
            before.insert(0, words[number])
        yield _Word(tuple(before), place)


def _names_something(before: Sequence[str], place: Layout) -> bool:
    first = place.elements[0]
    literal = first if isinstance(first, str) else ""
    return bool(_LETTER.search("".join(before) + literal))


def _is_varying(word: str) -> bool:
    return any(isinstance(element, Hole) for element in layout(word, {}).elements)


def _words(value: Any) -> list[str]:
    """Return the words of a field: a key is before its value, and a break begins the first word of each text."""
    words: list[str] = []
    for path, text in texts(value):
        words += [f"{_BREAK}{step}:" for step in path if isinstance(step, str)]
        first, *rest = _split(text)
        words += [_BREAK + first, *rest]
    return words


def _split(text: str) -> list[str]:
    """Split a text at blanks, but not inside of a mark."""
    if OPEN not in text:
        return _BLANKS.split(text)
    words, begin, depth = list[str](), 0, 0
    for found in _BLANKS_AND_MARKS.finditer(text):
        if found[0] in (OPEN, secret_references.OPEN):
            depth += 1
        elif found[0] in (CLOSE, secret_references.CLOSE):
            depth -= 1
        elif not depth:
            words.append(text[begin : found.start()])
            begin = found.end()
    return [*words, text[begin:]]
