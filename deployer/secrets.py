"""`{{ secret("NAME") }}`: marks in text for values that only `apply` sees, and those values.

A mark stands inside a scalar and is made of characters that authors cannot write::

    OPEN secret SEP NAME CLOSE      the value of NAME
    OPEN FILTER SEP text CLOSE      what a filter makes of `text`, which holds marks itself

A scalar that holds a mark is secret everywhere, its other text too.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, quote_plus

from deployer.errors import DeployerError, nearest

MASK = "***"
MAX_BYTES = 64 * 1024
MAX_FILLED = 256 * 1024
MAX_PAIRS = 100_000
PART = 6

OPEN, SEP, CLOSE = "\ue004", "\ue005", "\ue006"
RESERVED = re.compile(f"[{OPEN}-{CLOSE}]")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

FILTERS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "b64encode": lambda text: base64.b64encode(text.encode()).decode(),
        "sha256": lambda text: hashlib.sha256(text.encode()).hexdigest(),
        "urlencode": lambda text: quote(text, safe="/"),
    }
)

_SECRET = "secret"  # noqa: S105 - the word in a mark
_SECRET_MARK = re.compile(f"{OPEN}{_SECRET}{SEP}({NAME.pattern}){CLOSE}")
_DAMAGED = "the mark of a secret is damaged"
_ELLIPSIS = re.compile(r"(?=\.\.|\u2026)")
_TOKEN = re.compile(f"({OPEN}{_SECRET}{SEP}{NAME.pattern}{CLOSE}|{OPEN}(?:{'|'.join(FILTERS)}){SEP}|{CLOSE})")


def mark(name: str) -> str:
    """The mark for the value of a secret; raises ValueError where `name` is none."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a secret")
    return f"{OPEN}{_SECRET}{SEP}{name}{CLOSE}"


def deferred(filter_name: str, text: str) -> str:
    """The mark for what one of `FILTERS` makes of `text` once its marks are filled."""
    if filter_name not in FILTERS:
        raise ValueError(f"{filter_name!r} is not a filter for secrets")
    return f"{OPEN}{filter_name}{SEP}{text}{CLOSE}"


def holds_mark(value: object) -> bool:
    """Whether any text in plain data holds a mark, or a part of one."""
    return any(RESERVED.search(text) for text in _texts(value))


def marked(value: object) -> list[str]:
    """The texts in plain data that hold marks, sorted."""
    return sorted(text for text in _texts(value) if RESERVED.search(text))


def names(value: object) -> frozenset[str]:
    """The secrets that plain data asks for."""
    return frozenset(name for text in _texts(value) for name in _SECRET_MARK.findall(text))


def shown(text: str) -> str:
    """What a person sees of a scalar that holds marks: the names, and nothing else of it."""
    return f"{_SECRET}({', '.join(sorted(names(text)))})"


def _texts(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        match pending.pop():
            case str() as text:
                yield text
            case Mapping() as mapping:
                pending += [*mapping, *mapping.values()]
            case list() | tuple() as items:
                pending += items


def _evaluated(text: str, value: Callable[[str, str], str]) -> list[str]:
    """The text in turns with what stands for its marks: literal, value, literal, ..., literal.

    `value` takes the word of a mark, and the name or the evaluated text in it. Raises DeployerError for a
    mark that is damaged.
    """
    texts: list[list[str]] = [[]]
    filters: list[str] = []
    for number, piece in enumerate(_TOKEN.split(text)):
        if number % 2 == 0:
            if RESERVED.search(piece):
                raise DeployerError(_DAMAGED)
            texts[-1].append(piece)
        elif secret := _SECRET_MARK.fullmatch(piece):
            texts[-1].append(value(_SECRET, secret[1]))
        elif piece != CLOSE:
            filters.append(piece[1:-1])
            texts.append([])
        elif filters:
            inside = _joined(texts.pop())
            texts[-1].append(value(filters.pop(), inside))
        else:
            raise DeployerError(_DAMAGED)
    if filters:
        raise DeployerError(_DAMAGED)
    return texts[0]


def _joined(pieces: Sequence[str]) -> str:
    """The pieces in one. Values and filters can make a short text very long, so it is measured first."""
    if sum(map(len, pieces)) > MAX_FILLED:
        raise DeployerError(
            f"text with secrets is longer than {MAX_FILLED} characters once they are filled in"
        )
    return "".join(pieces)


def aligned(live: Any, desired: Any, *, unordered: bool = False) -> Any:
    """`desired`, with live text wherever it matches desired text with anything in the place of its marks.

    What does not match stays as it is desired. Items are aligned by their index; those of an `unordered` list
    with any live item that fits and is not wanted by an item without marks.
    """
    match live, desired:
        case Mapping(), Mapping():
            return {key: aligned(live[key], item) if key in live else item for key, item in desired.items()}
        case list(), list() if unordered:
            return _paired(live, desired)
        case list(), list():
            return _by_index(live, desired)
        case str(), str() if holds_mark(desired) and _matches(live, desired):
            return live
    return desired


def _by_index(live: list[Any], desired: list[Any]) -> list[Any]:
    return [*map(aligned, live, desired), *desired[len(live) :]]


def _matches(live: str, desired: str) -> bool:
    """Whether `live` is `desired` with any text, also none, in the place of each mark."""
    try:
        first, *between, last = _evaluated(desired, lambda _word, _inside: "")[::2]
    except DeployerError:
        return False
    position, end = len(first), len(live) - len(last)
    if position > end or not live.startswith(first) or not live.endswith(last):
        return False
    for literal in between:
        found = live.find(literal, position, end)
        if found < 0:
            return False
        position = found + len(literal)
    return True


def _paired(live: list[Any], desired: list[Any]) -> list[Any]:
    """`desired` with a live item of its own for as many of the items with marks as can have one."""
    wanted = Counter(json.dumps(item, sort_keys=True) for item in desired if not holds_mark(item))
    free: list[Any] = []
    for item in live:
        key = json.dumps(item, sort_keys=True)
        if wanted[key] > 0:
            wanted[key] -= 1
        else:
            free.append(item)
    marked = [number for number, item in enumerate(desired) if holds_mark(item)]
    if len(marked) * len(free) > MAX_PAIRS:
        return _by_index(live, desired)
    fits = [
        [at for at, item in enumerate(free) if aligned(item, desired[number]) == item] for number in marked
    ]
    result = [*desired]
    for at, index in _matching(fits).items():
        result[marked[index]] = free[at]
    return result


def _matching(fits: Sequence[Sequence[int]]) -> dict[int, int]:
    """Which of the left has each of the right, where `fits[left]` are those it can have; as many as can be.

    Were each to take the first that is free, `*` could take what alone fits `a*`, and a job that is the same
    would look changed.
    """
    owner: dict[int, int] = {}
    lost: set[int] = set()

    def gets_one(left: int, seen: set[int]) -> bool:
        for right in fits[left]:
            if right not in seen:
                seen.add(right)
                if right not in owner or gets_one(owner[right], seen):
                    owner[right] = left
                    return True
        return False

    for left in range(len(fits)):
        seen = set(lost)
        if not gets_one(left, seen):
            lost = seen  # all of these are taken by such as can have no other
    return owner


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where the value of a secret comes from: a variable of the environment or a file, the other is empty."""

    name: str
    variable: str = ""
    file: str = ""


class Secrets:
    """The values of secrets. Each is read when it is first asked for, and once.

    `folder` is what the files are relative to. With `made_up` nothing is read: the value of NAME is
    `emulated-NAME`, which is no secret and is not scrubbed.
    """

    def __init__(
        self,
        sources: Mapping[str, SecretSource],
        environment: Mapping[str, str],
        folder: Path,
        *,
        made_up: bool = False,
    ) -> None:
        self._sources = sources
        self._environment = environment
        self._folder = folder
        self._made_up = made_up
        self._values: dict[str, str] = {}
        self._kept_values: set[str] = set()
        self._forms: set[str] = set()

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._sources))})"

    def missing(self, wanted: Iterable[str]) -> list[str]:
        """A line for each of the `wanted` names that has no value, and why."""
        lines: list[str] = []
        for name in sorted(set(wanted)):
            try:
                self._value(name)
            except DeployerError as error:
                lines.append(str(error))
        return lines

    def filled(self, value: Any) -> Any:
        """Plain data with the values in the place of all marks. Raises DeployerError where one has none."""
        match value:
            case str() if holds_mark(value):
                return _joined(_evaluated(value, self._of_mark))
            case Mapping():
                return {self.filled(key): self.filled(item) for key, item in value.items()}
            case list():
                return [self.filled(item) for item in value]
        return value

    def scrubbed(self, text: str) -> str:
        """A message with all that was ever filled in replaced by `***`, however it is encoded.

        A value goes whole however short it is: then much else goes with it, but a garbled message is a
        smaller harm than a secret in a log. Parts of a value go when they have `PART` characters: its lines,
        the inside of longer base64, and what is left of it where the text begins, ends or says `...`.
        """
        forms = tuple(self._forms)  # another thread may add to them
        backwards = (form[::-1] for form in forms if form[-PART:] in text)
        spans = [span for form in forms for span in _found(form, text)]
        spans += _cut_off(forms, text)
        spans += ((len(text) - end, len(text) - start) for start, end in _cut_off(backwards, text[::-1]))
        pieces: list[str] = []
        position = 0
        for start, end in sorted(spans):
            if start > position or not pieces:
                pieces += [text[position:start], MASK]
            position = max(position, end)
        return "".join([*pieces, text[position:]])

    def _of_mark(self, word: str, inside: str) -> str:
        """What stands for a mark: `inside` is the name of a secret, or the text for a filter."""
        return self._value(inside) if word == _SECRET else self._kept(FILTERS[word](inside))

    def _value(self, name: str) -> str:
        source = self._sources.get(name)
        if source is None:
            known = nearest(name, sorted(self._sources))
            raise DeployerError(f"secret '{name}' is not listed under 'secrets' in deployer.yaml{known}")
        if self._made_up:
            return f"emulated-{name}"
        if name not in self._values:
            self._values[name] = self._kept(_read(source, self._environment, self._folder))
        return self._values[name]

    def _kept(self, value: str) -> str:
        """Remembers a value, to scrub it."""
        if not self._made_up and value not in self._kept_values:
            self._kept_values.add(value)
            self._forms.update(filter(None, _forms(value)))
        return value


def _read(source: SecretSource, environment: Mapping[str, str], folder: Path) -> str:
    where = f"the variable {source.variable}" if source.variable else f"the file {source.file}"
    try:
        if source.variable:
            value = environment[source.variable]
            value.encode()  # what is not UTF-8 in the environment is half characters in Python
        else:
            value = _content(folder / source.file)
    except KeyError:
        reason = "is not set"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except UnicodeError:
        reason = "is not UTF-8"
    except ValueError as error:
        reason = str(error)
    else:
        if value:
            return value
        reason = "is empty"
    # Raised out here, so that no exception with the content in it is its context.
    raise DeployerError(f"secret '{source.name}': {where} {reason}")


def _content(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"is longer than {MAX_BYTES // 1024} KiB")
    return re.sub(r"\r?\n\Z", "", content.decode())


def _lower(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)


def _json_ascii(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _repr(text: str) -> str:
    return repr(text)[1:-1]


def _repr_beside_quotes(text: str) -> str:
    return repr(f'"{text}')[2:-1]


# How text looks inside other text. JSON and repr are also found inside each other.
_NESTED: tuple[Callable[[str], str], ...] = (_json_ascii, _json, _repr, _repr_beside_quotes)
_ESCAPES: tuple[Callable[[str], str], ...] = (
    *_NESTED,
    lambda text: _json_ascii(text).replace("/", "\\/"),
    lambda text: re.sub("[<>&='\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", _json(text)),
    lambda text: repr(text.encode())[2:-1],
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe="/"),
    quote_plus,
    lambda text: _lower(quote(text, safe="")),
    lambda text: _lower(quote(text, safe="/")),
    lambda text: _lower(quote_plus(text)),
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    lambda text: html.escape(text, quote=False),
)


def _forms(value: str) -> Iterator[str]:
    """All that `value` may look like in a message."""
    # JSON stands in JSON, and all of that in a URL: the inner form, and then how it is written again.
    inner = {value, *(nested(value) for nested in _NESTED)}
    inner |= {nested(form) for nested in _NESTED for form in inner}
    escaped = inner | {escape(form) for escape in _ESCAPES for form in inner}
    yield from escaped
    yield from (nested(form) for nested in _NESTED for form in escaped - inner)
    for data in {text.encode() for text in (value, _json(value), _json_ascii(value))}:
        yield from (data.hex(), data.hex().upper())
        for form in set(_base64(data)):
            yield from (form, *(escape(form) for escape in _ESCAPES))
    lines = value.splitlines()
    for line in map(str.strip, lines if len(lines) > 1 else ()):
        if len(line) >= PART:
            yield from (line, *(escape(line) for escape in _ESCAPES))


def _base64(data: bytes) -> Iterator[str]:
    """`data` in base64, alone and as it looks inside that of longer data: at each of three alignments."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(data).decode()
        yield from (alone, alone.rstrip("="))
        for before in range(3):
            whole = encode(bytes(before) + data).decode()
            # A character stands for 6 bits: those that hold bits of what is around it are left out.
            inside = whole[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
            if len(inside) >= PART:
                yield inside


def _found(form: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + len(form))


def _cut_off(forms: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Where `text` ends, or is cut off with `...`, after the beginning of one of `forms`."""
    ends = [*(match.start() for match in _ELLIPSIS.finditer(text)), len(text)]
    for form in forms:
        head = form[:PART]
        if len(form) <= PART or head not in text:
            continue
        for end in ends:
            at = text.find(head, max(0, end - len(form)), end)
            while at >= 0 and not form.startswith(text[at:end]):
                at = text.find(head, at + 1, end)
            if at >= 0:
                yield at, end
