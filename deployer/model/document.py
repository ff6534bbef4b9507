"""YAML documents: plain data, and where each of its values is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from deployer.model.data import Path


class Location(NamedTuple):
    """A location in an author's file: line and column count from 1.

    The line is 0 for the file as a whole. `via` lists what led to the location, nearest first: an `{% include %}`,
    an instance of a `forEach`, a merged default.
    """

    file: str
    line: int = 0
    column: int = 0
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Source(NamedTuple):
    """The file, relative to the project folder, and the line where a manifest starts; 0 if there is none."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


def usual_text(scalar: float) -> str:
    """Return a bool or number as text, as it is usually written."""
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)


class Tables(NamedTuple):
    """The locations in one document, by path.

    `keys` has the location of a mapping key or list item, `values` that of its value; `names` has, for a rendered
    scalar, the project's values that it uses. `typed` has the number or boolean of a quoted scalar that is exactly one
    expression. The content of an alias has the location of its anchor; paths inside
    a rendered value are not included.
    """

    keys: Mapping[Path, Location] = {}
    values: Mapping[Path, Location] = {}
    names: Mapping[Path, tuple[str, ...]] = {}
    typed: Mapping[Path, int | float] = {}

    def location(self, path: Path, *, of_key: bool) -> Location | None:
        """Return the location of `path`, or of its nearest ancestor that has one; None without any."""
        while path:
            if of_key and path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return None


class PlaceFinder(Protocol):
    """What finds the locations in one document when something asks: most documents have no problem."""

    def tables(self) -> Tables:
        """Find all locations."""

    def location(self, path: Path, *, of_key: bool) -> Location | None:
        """Find that of `path`, or of its nearest ancestor that has one; None without any."""


# In one document. Each takes up to a third of the time of finding all.
MAX_FOUND_SINGLY = 2


class Places:
    """The locations in one document, of which the first few are found singly."""

    __slots__ = ("_asked", "_source")

    def __init__(self, source: Tables | PlaceFinder) -> None:
        self._source = source
        self._asked = 0

    def __repr__(self) -> str:
        return repr(self.tables)

    @property
    def tables(self) -> Tables:
        if not isinstance(self._source, Tables):
            self._source = self._source.tables()
        return self._source

    def location(self, path: Path, *, of_key: bool) -> Location | None:
        """Return the location of `path`, or of its nearest ancestor that has one; None without any."""
        self._asked += 1
        source = self._source if self._asked <= MAX_FOUND_SINGLY else self.tables
        return source.location(path, of_key=of_key)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain data, and the location of each path in it.

    `start` is the location of its first value. `texts` has the source of unquoted scalars, at least of each bool and
    number that is written in an unusual way, such as `True` or `1.10`.
    """

    value: Any
    start: Location
    texts: Mapping[Path, str] = field(default_factory=dict)
    places: Places = field(default_factory=lambda: Places(Tables()))

    @property
    def keys(self) -> Mapping[Path, Location]:
        return self.places.tables.keys

    @property
    def values(self) -> Mapping[Path, Location]:
        return self.places.tables.values

    @property
    def names(self) -> Mapping[Path, tuple[str, ...]]:
        return self.places.tables.names

    @property
    def typed(self) -> Mapping[Path, int | float]:
        return self.places.tables.typed

    def location(self, path: Path, *, of_key: bool = False) -> Location:
        """Return the location of `path`, or of its nearest ancestor that has one."""
        return (path and self.places.location(path, of_key=of_key)) or self.start


@dataclass(frozen=True, slots=True)
class Manifest:
    """A document with a known kind; the rest is not checked yet.

    `file` is the file that was read; that of the document is another one if it is included.
    """

    document: Document
    kind: str
    file: str = ""

    @property
    def source(self) -> Source:
        return Source(self.document.start.file, self.document.start.line)
