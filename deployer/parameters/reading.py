"""The values of a live run's parameters, as its listing shows them: told, or not told, and never guessed.

Strictly: values that can be read from one text each are put into the whole of every field that has parameters, and
hold only if the result is what is listed. Loosely, for a run of an older definition: each word with a parameter must be
found after the words that lead to it, `--date X` or `day = 'X'`, with the same values everywhere, and where only its
place leads to it, `job.jar X`, no other word may be one.

A request tells nothing but what it says: an older definition that sent just what the present one sends for other values
is read with these. The marks of a batch come first, unless what was sent says otherwise: see `is_contradicted`.
"""

from __future__ import annotations

import itertools
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
    """A run whose values are not certain. `steps` lead to the first place without a value, and `live` is there.

    `live` may be a secret, and None if there is nothing.
    """

    steps: Path = ()
    live: Any = None

    @property
    def path(self) -> str:
        return pointer(self.steps)


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
    fields = _observed(expect(spec), unobserved)
    found = _strictly(spec, fields, parameters, live, expect)
    if isinstance(found, Told):
        return found
    values = _loosely(fields, parameters, live)
    return Told(values, is_strict=False) if values is not None else found


def is_contradicted(
    values: Mapping[str, str],
    spec: Spec,
    parameters: Mapping[str, Parameter],
    live: Spec,
    unobserved: Collection[str],
    expect: Callable[[Spec], Spec],
) -> bool:
    """Return whether a live run shows other values than `values`, which its marks say; see `read`.

    A batch that is copied in the console keeps the marks, whatever is edited in the copy.
    """
    fields = _observed(expect(spec), unobserved)
    in_place = (
        layout(text, parameters).read(listed, parameters)
        for path, text in texts(fields)
        if OPEN in text and isinstance(listed := at(live, path), str)
    )
    in_words = (found for line in _lines(fields, parameters, live) for found in _found(line, parameters))
    return any(found and _differ(found, values) for found in itertools.chain(in_place, in_words))


def _observed(expected: Spec, unobserved: Collection[str]) -> dict[str, Any]:
    """Return the fields that have parameters, as the listing shows them, without those that it does not show."""
    return {name: value for name, value in expected.items() if name not in unobserved and has_mark(value)}


def _differ(found: Mapping[str, str], values: Mapping[str, str]) -> bool:
    """Return whether a parameter of both has two values."""
    return any(values.get(name, value) != value for name, value in found.items())


# --- strictly --------------------------------------------------------------------------------------------------------


def _strictly(
    spec: Spec,
    fields: Spec,
    parameters: Mapping[str, Parameter],
    live: Spec,
    expect: Callable[[Spec], Spec],
) -> Told | NotTold:
    values: dict[str, str] = {}
    first: Path = ()
    for path, text in texts(fields):
        if OPEN not in text:
            continue
        first = first or path
        place = layout(text, parameters)
        if not place.names:
            continue
        listed = at(live, path)
        read_values = place.read(listed, parameters) if isinstance(listed, str) else None
        if read_values is None or _differ(read_values, values):
            return NotTold(path, listed)
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
            return NotTold(path, listed)
    return Told(values, is_strict=True)


def _is_as_sent(live: Any, filled: Any) -> bool:
    """Return whether a field is listed as it would be sent. Services add settings to those of a mapping."""
    if isinstance(live, Mapping) and isinstance(filled, Mapping):
        live = {key: item for key, item in live.items() if key in filled}
    return bool(align_references(live, filled) == live)


def at(value: Any, path: Path) -> Any:
    """Return the value at a path of plain data; None if there is none."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _first_difference(live: Any, filled: Any, path: Path) -> tuple[Path, Any]:
    for inner, text in texts(filled, path):
        listed = at(live, inner[len(path) :])
        if not isinstance(listed, str) or align_references(listed, text) != listed:
            return inner, listed
    return path, None


# --- loosely -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a definition with parameters, and the literal words before it that lead to it.

    `is_last`: no other word of its text follows.
    """

    text: str
    before: tuple[str, ...]
    layout: Layout
    is_led: bool = True
    is_last: bool = False

    @property
    def is_named(self) -> bool:
        """Whether an option or a name leads to the word: `--date X`, `day = X`, or what it begins with itself."""
        if not self.before:
            return self.is_led
        last = self.before[-1].removeprefix(_BREAK)
        return last.startswith("-") or last.endswith(("=", ":"))

    def is_at(self, number: int, words: Sequence[str]) -> bool:
        """Return whether the words before that number lead to it."""
        begin = number - len(self.before)
        return begin >= 0 and tuple(words[begin:number]) == self.before


def _loosely(fields: Spec, parameters: Mapping[str, Parameter], live: Spec) -> dict[str, str] | None:
    """Return the values that all words with parameters show alike; None if they are not certain."""
    if any(_BLANKS.search(value) for parameter in parameters.values() for value in parameter.values):
        return None
    values: dict[str, str] = {}
    lines = [*_lines(fields, parameters, live)]
    for line in lines:
        for found in _found(line, parameters):
            if found is None or _differ(found, values):
                return None
            values |= found
    if {*parameters} - {*values} or not all(_is_confirmed(line, parameters, values) for line in lines):
        return None
    return values


@dataclass(frozen=True, slots=True)
class _Line:
    """The words of a text or a list in a definition, and those that are listed in its place.

    `varying` are those with parameters, `literal` those that are always the same.
    """

    words: Sequence[str]
    varying: tuple[_Word, ...]
    literal: frozenset[str]
    listed: Sequence[str]


def _lines(fields: Spec, parameters: Mapping[str, Parameter], live: Spec) -> Iterator[_Line]:
    for name, value in fields.items():
        listed = _sequences(live.get(name))
        for key, words in _sequences(value).items():
            literal = frozenset(word for word in words if not _is_varying(word))
            varying = tuple(
                _word(words, number, parameters) for number, word in enumerate(words) if OPEN in word
            )
            found = listed.get(key, [])
            yield _Line(words, varying, literal, found if len(found) <= MAX_WORDS else ())


def _found(line: _Line, parameters: Mapping[str, Parameter]) -> Iterator[dict[str, str] | None]:
    """Yield the values of each word with parameters wherever it stands; None for one that is not certain."""
    for word in line.varying:
        if word.layout.names:
            if _literals_after(word, line.listed, line.literal) > _literals_after(
                word, line.words, line.literal
            ):
                yield None  # a value may look like a literal word
            others = [each for each in line.varying if each != word]
            yield from _of_word(word, line.listed, parameters, line.literal, others)


def _literals_after(word: _Word, words: Sequence[str], literal: Collection[str]) -> int:
    """Return how often a literal word stands where the word would."""
    if not word.is_led or len(words) > MAX_WORDS:
        return 0
    return sum(text in literal and word.is_at(number, words) for number, text in enumerate(words))


def _is_confirmed(line: _Line, parameters: Mapping[str, Parameter], values: Mapping[str, str]) -> bool:
    """Return whether all words with parameters, also those that cannot be read, are listed with these values.

    Where only the word before leads to one, as in `job.jar X`, any other word that may be a value is one too many; so
    is `--date=Y` beside `--date X`.
    """
    explained: set[int] = set()
    for word in line.varying:
        try:
            filled = concrete(word.text, values)
        except (DeployerError, ValueError):
            return False
        found = {
            number
            for number, text in enumerate(line.listed)
            if word.is_at(number, line.listed) and align_references(text, filled) == text
        }
        if not found:
            return False
        explained |= found
    others = [
        text
        for number, text in enumerate(line.listed)
        if number not in explained and text not in line.literal
    ]
    options = tuple(f"{word.before[-1]}=" for word in line.varying if word.before)
    if any(text.startswith(options) for text in others):
        return False
    unnamed = [word.layout for word in line.varying if word.layout.names and not word.is_named]
    return not any(
        place.read(part, parameters) is not None
        for place in unnamed
        for text in others
        for part in {text, _BREAK + text.partition("=")[2], text.partition("=")[2]}
    )


def _of_word(
    word: _Word,
    listed: Sequence[str],
    parameters: Mapping[str, Parameter],
    literal: Collection[str],
    others: Sequence[_Word],
) -> Iterator[dict[str, str] | None]:
    if not word.is_led:
        yield None
        return
    is_found = False
    for number, text in enumerate(listed):
        values = word.layout.read(text, parameters) if word.is_at(number, listed) else None
        if values is None or text in literal:
            continue
        # It may be another word of the definition, from which this one was removed; or there may be one more.
        may_be_another = any(
            other.is_at(number, listed) and other.layout.may_be(text, parameters) for other in others
        )
        is_found = True
        after = listed[number + 1] if number + 1 < len(listed) else ""
        is_first_of_two = bool(word.before and after) and word.layout.read(after, parameters) is not None
        goes_on = word.is_last and bool(after) and not after.startswith(_BREAK)
        yield None if may_be_another or is_first_of_two or goes_on else values
    if not is_found:
        yield None


def _word(words: Sequence[str], number: int, parameters: Mapping[str, Parameter]) -> _Word:
    """Return a word with the words that lead to it; without any if nothing does."""
    text = words[number]
    place = layout(text, parameters)
    is_last = number + 1 == len(words) or words[number + 1].startswith(_BREAK)
    before: list[str] = []
    # What stands before the value must have a letter: a quote or a slash leads to nothing.
    while not _names_something(before, place):
        previous = number - len(before) - 1
        if previous < 0 or len(before) == MAX_BEFORE or _is_varying(words[previous]):
            return _Word(text, (), place, is_led=False)
        before.insert(0, words[previous])
    return _Word(text, tuple(before), place, is_last=is_last)


def _names_something(before: Sequence[str], place: Layout) -> bool:
    first = place.elements[0]
    literal = first if isinstance(first, str) else ""
    return bool(_LETTER.search("".join(before) + literal))


def _is_varying(word: str) -> bool:
    return any(isinstance(element, Hole) for element in layout(word, {}).elements)


def _sequences(value: Any) -> dict[str, list[str]]:
    """Return the words of a field in order; those of a mapping by its keys, each with the key as its first word."""
    if isinstance(value, Mapping):
        return {str(key): [f"{_BREAK}{key}:", *_words(item)] for key, item in value.items()}
    return {"": _words(value)}


def _words(value: Any) -> list[str]:
    """Return the words of strings; a break begins the first word of each, and a key is before its value."""
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
