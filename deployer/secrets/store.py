"""The values of secrets: read on demand, substituted into strings, and scrubbed from messages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.errors import DeployerError, nearest
from deployer.model import SecretStatus
from deployer.secrets.files import read_below, resolve_below
from deployer.secrets.references import FILTERS, SECRET, evaluate, has_reference, join, require_no_marks
from deployer.secrets.scrub import MASK, PART, encoded_forms, find, find_cut_off

MAX_BYTES = 64 * 1024

# What deployer.yaml may name is decided outside the repository, or a pull request could send any variable or file.
PREFIX = "DEPLOYER_SECRET_"
VARIABLES = "DEPLOYER_SECRETS_VARIABLES"
FOLDER = "DEPLOYER_SECRETS_DIR"
_FORBIDDEN_FOLDERS = ("/proc", "/dev", "/sys")


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The source of a secret: an environment variable or a file; the other is empty.

    If both are, it is the variable of its name.
    """

    name: str
    variable: str = ""
    file: str = ""


class _NotAllowed(ValueError):
    """A source that only deployer.yaml names; the message says what to do."""


class Secrets:
    """The values of secrets. Each is read once, when first used.

    They come from variables with `PREFIX` or listed in `VARIABLES`, and from files below the folder in `FOLDER`,
    which is not in the project `folder`. With `made_up` nothing is read: the value of NAME is `emulated-NAME`, which is
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

    def status(self, name: str) -> SecretStatus:
        """Return where a secret comes from, without reading its value."""
        source = self._sources.get(name)
        if source is None:
            return SecretStatus(name, "", "not listed under 'secrets' in deployer.yaml")
        if self._made_up:
            return SecretStatus(name, "", "made up for the emulator")
        where = _where(source, self._environment) + (f" in {FOLDER}" if source.file else "")
        try:
            if source.file:
                resolve_below(_secrets_folder(self._environment, self._folder), source.file)
                return SecretStatus(name, where, "set")
            is_set = bool(self._environment.get(_variable(source, self._environment)))
        except _NotAllowed as error:
            return SecretStatus(name, where, str(error))
        except OSError as error:
            return SecretStatus(name, where, f"cannot be read: {error.strerror or error}")
        except ValueError as error:
            return SecretStatus(name, where, str(error))
        return SecretStatus(name, where, "set" if is_set else "not set")

    def filled(self, value: Any) -> Any:
        """Replace all references in plain data by values. Raises DeployerError for one without a value."""
        filled = self._filled(value)
        require_no_marks(filled)
        return filled

    def _filled(self, value: Any) -> Any:
        if not has_reference(value):
            return value
        match value:
            case str():
                return join(evaluate(value, self._resolve_reference))
            case Mapping():
                return {self._filled(key): self._filled(item) for key, item in value.items()}
            case list():
                return [self._filled(item) for item in value]
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
    try:
        if source.file:
            content = read_below(_secrets_folder(environment, folder), source.file, MAX_BYTES)
            value = re.sub(r"\r?\n\Z", "", content.decode())
        else:
            value = environment[_variable(source, environment)]
            value.encode()  # bytes that are not UTF-8 are unpaired surrogates in Python
    except KeyError:
        reason = f"is not set{_renamed(source, environment)}"
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
    raise DeployerError(f"secret '{source.name}': the {_where(source, environment)} {reason}")


def _where(source: SecretSource, environment: Mapping[str, str]) -> str:
    if source.file:
        return f"file {source.file}"
    return f"variable {source.variable or _default_variable(source, environment)}"


def _default_variable(source: SecretSource, environment: Mapping[str, str]) -> str:
    """Return the variable of a secret's name: with the prefix, or as it is if it is listed."""
    return source.name if source.name in _listed(environment) else f"{PREFIX}{source.name}"


def _variable(source: SecretSource, environment: Mapping[str, str]) -> str:
    """Return the variable of a secret; raises _NotAllowed for one that only deployer.yaml names."""
    variable = source.variable or _default_variable(source, environment)
    if not variable.startswith(PREFIX) and variable not in _listed(environment):
        raise _NotAllowed(
            f"is not allowed: rename it to {PREFIX}{variable}, or list it in {VARIABLES}, outside the repository"
        )
    return variable


def _listed(environment: Mapping[str, str]) -> frozenset[str]:
    return frozenset(map(str.strip, environment.get(VARIABLES, "").split(",")))


def _renamed(source: SecretSource, environment: Mapping[str, str]) -> str:
    """Return a hint if the variable without the prefix is set, which was read before."""
    if source.variable or source.name not in environment:
        return ""
    return f" (the variable {source.name} is: rename it, or list it in {VARIABLES})"


def _secrets_folder(environment: Mapping[str, str], project: Path) -> Path:
    """Return the folder with the files of secrets; raises _NotAllowed if it is none outside the project."""
    named = environment.get(FOLDER, "").strip()
    if not named:
        raise _NotAllowed(f"is not allowed: {FOLDER} is not set; set it to a folder outside the project")
    real, inside = Path(os.path.realpath(named)), Path(os.path.realpath(project))
    if not Path(named).is_absolute():
        raise _NotAllowed(f"is not allowed: {FOLDER} must be an absolute path")
    if real.is_relative_to(inside) or inside.is_relative_to(real):
        raise _NotAllowed(
            f"is not allowed: {FOLDER} must be a folder outside the project that does not contain it"
        )
    if any(real.is_relative_to(forbidden) for forbidden in _FORBIDDEN_FOLDERS):
        raise _NotAllowed(f"is not allowed: {FOLDER} must not be in {', '.join(_FORBIDDEN_FOLDERS)}")
    return real
