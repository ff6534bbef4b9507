"""Credentials in a live spec -> references to secrets. No value of a credential leaves this module.

What counts as one: what validate would report as a plain-text secret, what the ownership metadata of the job names, and
what the service itself shows masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.kinds.coerce import as_text
from deployer.kinds.kind import Kind
from deployer.kinds.ownership import recorded_secret_pointers
from deployer.model import LiveJob, Path, leaves, pointer
from deployer.secrets.pointers import is_covered
from deployer.secrets.redact import is_secret_option, literal_secrets, masked, redacted
from deployer.secrets.references import reference
from deployer.secrets.scrub import MASK

MAX_NAME = 100
# A shorter value may be a part of other text by chance.
MIN_SHARED = 6

# As a service shows a value that it hides.
_MASKED = re.compile(r"\*+")
# A value with the quotes around it, which are no part of the secret.
_QUOTED = re.compile(r"(?P<quote>[\"'])(?P<inside>[^\"'\\]+)(?P=quote)")
# What stands before the host of a URL.
_IN_URL = "user:password"
_LONG_MASK = re.compile(r"\*{3,}")


class HiddenInKeyError(ValueError):
    """A credential in the key of a mapping, where a manifest cannot refer to a secret."""


@dataclass(frozen=True, slots=True)
class Found:
    """A secret of a spec: the name given to it, and where it is.

    `form` is that of its value, if it is more than one word. `is_masked`: the service does not show its value.
    """

    name: str
    path: Path
    form: str = ""
    is_masked: bool = False


@dataclass(slots=True, repr=False)
class SecretNames:
    """The names of the secrets that are found: one for each value. `taken` are those of other secrets."""

    taken: set[str]
    _by_value: dict[str, str] = field(default_factory=dict)

    def of(self, value: str, words: str) -> str:
        """Return the name of a value, made of `words` if it is new; each masked value has a name of its own."""
        if value in self._by_value:
            return self._by_value[value]
        name = self._unused(words)
        if not _MASKED.fullmatch(value):
            self._by_value[value] = name
        return name

    def _unused(self, words: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_").upper()[:MAX_NAME].strip("_")
        plain = f"JOB_{plain}" if not plain or plain[0].isdigit() else plain
        name, number = plain, 1
        while name in self.taken:
            number += 1
            name = f"{plain}_{number}"
        self.taken.add(name)
        return name


def with_references(
    kind: Kind, live: LiveJob, spec: Mapping[str, Any], names: SecretNames
) -> tuple[dict[str, Any], list[Found]]:
    """Return a spec with references in place of credentials, and the secrets. Raises HiddenInKeyError."""
    for path, key in _keys(spec, ()):
        if redacted(key) != key:
            raise HiddenInKeyError(pointer(path))
    whole, partly = _secret_paths(kind, live, spec)
    found: list[Found] = []
    values: dict[str, str] = {}

    def name_of(value: str, path: Path, form: str = "") -> str:
        name = names.of(value, f"{live.identity.name}_{_label(spec, path)}")
        is_masked = bool(_MASKED.fullmatch(value))
        if not is_masked:
            values[value] = name
        found.append(Found(name, path, form, is_masked))
        return reference(name)

    def replaced(path: Path, value: Any) -> Any:
        if path in whole or any(path[:length] in whole for length in range(1, len(path))):
            return name_of(as_text(value), path)
        if path in partly and isinstance(value, str):
            return _in_parts(value, lambda secret, form="": name_of(secret, path, form))
        return value

    made = _mapped(spec, replaced, ())
    made = _mapped(made, lambda _path, value: _without(value, values), ())
    return made, found


def _secret_paths(kind: Kind, live: LiveJob, spec: Mapping[str, Any]) -> tuple[set[Path], set[Path]]:
    """Return the paths of values that are secret as a whole, and of those with a credential inside."""
    whole: set[Path] = set()
    partly: set[Path] = set()
    shown = masked(kind.spellings, spec)
    for path in literal_secrets(kind.spellings, spec):
        (whole if _at(shown, path) == MASK else partly).add(path)
    pointers = recorded_secret_pointers(kind, live)
    for path, value in leaves(dict(spec)):
        is_recorded = bool(pointers) and value not in (None, "") and is_covered(pointer(path), pointers)
        if isinstance(value, str) and (_LONG_MASK.search(value) or _is_hidden_setting(path, value)):
            is_recorded = True
        if is_recorded:
            whole.add(path)
    # The place is known to everybody, and a manifest needs it.
    known = {(name,) for name in (*kind.path_fields, *kind.place_fields)}
    return whole - known, partly - known - whole


def _is_hidden_setting(path: Path, value: str) -> bool:
    """Return whether a service hides the value of a key: `*` alone is a pattern elsewhere."""
    return bool(_MASKED.fullmatch(value)) and len(path) > 1 and isinstance(path[-1], str)


def _in_parts(value: str, refer: Callable[..., str]) -> str:
    """Return a string with references for the credentials in it; for all of it if they cannot be told apart."""
    shown = redacted(value)
    literals = shown.split(MASK)
    match = re.fullmatch("(.+?)".join(map(re.escape, literals)), value, re.DOTALL)
    if MASK in value or match is None or redacted(MASK.join(literals)) != shown:
        return refer(value)
    # Between two literals without a length nothing says where one credential ends.
    if any(not literal for literal in literals[1:-1]):
        return refer(value)
    pieces = [literals[0]]
    for secret, literal in zip(match.groups(), literals[1:], strict=True):
        is_in_url = pieces[-1].endswith("://") and literal.startswith("@")
        quoted = _QUOTED.fullmatch(secret)
        if quoted:
            pieces += [quoted["quote"], refer(quoted["inside"]), quoted["quote"], literal]
        else:
            pieces += [refer(secret, _IN_URL if is_in_url else ""), literal]
    return "".join(pieces)


def _without(value: Any, values: Mapping[str, str]) -> Any:
    """Return a value without the known credentials that also stand in it."""
    if not isinstance(value, str):
        return value
    for secret in sorted(values, key=len, reverse=True):
        if len(secret) >= MIN_SHARED and secret in value:
            value = value.replace(secret, reference(values[secret]))
    return value


def _label(spec: Mapping[str, Any], path: Path) -> str:
    """Return words for a value: the option before it, its key, or its field and number."""
    *above, last = path
    if isinstance(last, str):
        return last
    items = _at(spec, tuple(above))
    before = items[last - 1] if isinstance(items, list) and last else None
    if is_secret_option(before):
        return str(before)
    return f"{'_'.join(map(str, above))}_{last + 1}"


def _mapped(value: Any, change: Callable[[Path, Any], Any], path: Path) -> Any:
    """Return plain data with each scalar replaced."""
    if isinstance(value, Mapping):
        return {key: _mapped(item, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change, (*path, index)) for index, item in enumerate(value)]
    return value if value is None else change(path, value)


def _keys(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield path, str(key)
            yield from _keys(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _keys(item, (*path, index))


def _at(value: Any, path: Path) -> Any:
    """Return the value at a path; None where there is none."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value
