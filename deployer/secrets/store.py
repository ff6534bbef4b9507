"""The values of secrets: read on demand, substituted into strings, and scrubbed from messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.errors import DeployerError, nearest
from deployer.secrets.references import FILTERS, SECRET, evaluate, has_reference, join
from deployer.secrets.scrub import MASK, PART, encoded_forms, find, find_cut_off

MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The source of a secret: an environment variable or a file; the other is empty."""

    name: str
    variable: str = ""
    file: str = ""


class Secrets:
    """The values of secrets. Each is read once, when first used.

    Files are relative to `folder`. With `made_up` nothing is read: the value of NAME is `emulated-NAME`, which is
    not secret and not scrubbed.
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
        """Return the reason for each of the `wanted` names without a value."""
        lines: list[str] = []
        for name in sorted(set(wanted)):
            try:
                self._value(name)
            except DeployerError as error:
                lines.append(str(error))
        return lines

    def filled(self, value: Any) -> Any:
        """Replace all references in plain data by values. Raises DeployerError for one without a value."""
        match value:
            case str() if has_reference(value):
                return join(evaluate(value, self._resolve_reference))
            case Mapping():
                return {self.filled(key): self.filled(item) for key, item in value.items()}
            case list():
                return [self.filled(item) for item in value]
        return value

    def scrubbed(self, text: str) -> str:
        """Return a message with all values used so far replaced by `***`, in any encoding.

        A complete value is replaced however short it is, together with unrelated matches: a garbled message
        is less harmful than a secret in a log. Parts of a value are replaced if they have `PART` characters:
        its lines, the inside of longer base64, and its rest where the text starts, ends or is cut off with `...`.
        """
        forms = tuple(self._forms)  # another thread may add to them
        backwards = (form[::-1] for form in forms if form[-PART:] in text)
        spans = [span for form in forms for span in find(form, text)]
        spans += find_cut_off(forms, text)
        spans += ((len(text) - end, len(text) - start) for start, end in find_cut_off(backwards, text[::-1]))
        pieces: list[str] = []
        position = 0
        for start, end in sorted(spans):
            if start > position or not pieces:
                pieces += [text[position:start], MASK]
            position = max(position, end)
        return "".join([*pieces, text[position:]])

    def _resolve_reference(self, word: str, inside: str) -> str:
        """Return the value of a reference: `inside` is the name of a secret, or the text for a filter."""
        return self._value(inside) if word == SECRET else self._remember(FILTERS[word](inside))

    def _value(self, name: str) -> str:
        source = self._sources.get(name)
        if source is None:
            known = nearest(name, sorted(self._sources))
            raise DeployerError(f"secret '{name}' is not listed under 'secrets' in deployer.yaml{known}")
        if self._made_up:
            return f"emulated-{name}"
        if name not in self._values:
            self._values[name] = self._remember(_read(source, self._environment, self._folder))
        return self._values[name]

    def _remember(self, value: str) -> str:
        """Remember a value, to scrub it."""
        if not self._made_up and value not in self._kept_values:
            self._kept_values.add(value)
            self._forms.update(filter(None, encoded_forms(value)))
        return value


def _read(source: SecretSource, environment: Mapping[str, str], folder: Path) -> str:
    where = f"the variable {source.variable}" if source.variable else f"the file {source.file}"
    try:
        if source.variable:
            value = environment[source.variable]
            value.encode()  # bytes that are not UTF-8 are unpaired surrogates in Python
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
    # Raised here, so that no exception with the content is its context.
    raise DeployerError(f"secret '{source.name}': {where} {reason}")


def _content(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"is longer than {MAX_BYTES // 1024} KiB")
    return re.sub(r"\r?\n\Z", "", content.decode())
