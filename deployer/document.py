"""Strict YAML: text -> Document, with the author's position of everything in it.

Scalars are those of the YAML 1.2 core schema, and what could surprise stays text: `no`, `on`, dates, `1:30`,
`0123`, `.inf`. A duplicate key, a tag and a key that is not text are errors. Anchors, aliases and merge keys
(`<<`) work, up to `MAX_NODES` after expansion. It is built from parser events and not from composed nodes,
so that depth and expansion are bounded before anything can recurse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

import yaml

from deployer.errors import Problem
from deployer.model import Document, Path, Position

MAX_NODES = 200_000
MAX_DEPTH = 64

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,39})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_STR_TAGS = {None, "!", "tag:yaml.org,2002:str"}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class YamlText(Protocol):
    """What is parsed: the text, how its places map to the author's, and what fills its placeholders."""

    @property
    def text(self) -> str:
        """What YAML reads."""

    def position(self, line: int, column: int) -> Position:
        """The author's position of a place in `text`, counted from 0."""

    def fill(self, scalar: str, *, plain: bool) -> Any:
        """The value of a scalar that holds placeholders. Raises ValueError saying what cannot be filled."""

    def is_filled(self, scalar: str) -> bool:
        """Whether a scalar holds a placeholder."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """Text without a template in it."""

    text: str

    def position(self, line: int, column: int) -> Position:
        return Position(line + 1, column + 1)

    def fill(self, scalar: str, *, plain: bool) -> Any:  # noqa: ARG002 - the protocol's signature
        return scalar

    def is_filled(self, scalar: str) -> bool:  # noqa: ARG002 - the protocol's signature
        return False


def decode(file: str, content: bytes) -> str:
    """The text of a file; raises ValueError with what is wrong and where when it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{file}:{line}: not UTF-8: byte 0x{content[error.start]:02x}") from None


def resolve(text: str) -> Any:
    """The value of an unquoted scalar."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and isfinite(number := float(text)):
        return number
    return text


def parse(file: str, source: YamlText) -> tuple[list[Document], list[Problem]]:
    """The sound documents of `source`, and everything wrong in the others. Empty documents are left out."""
    reader = _Reader(file, source)
    return list(reader.documents()), reader.problems


@dataclass(slots=True)
class _Node:
    """A collection under construction. `key` is the mapping key that waits for its value."""

    path: Path
    value: dict[str, Any] | list[Any]
    anchor: str | None
    start: Position
    size: int = 1
    key: str | None = None
    has_key: bool = False
    merged: list[dict[str, Any]] = field(default_factory=list)

    def next_path(self) -> Path:
        return (*self.path, len(self.value) if isinstance(self.value, list) else self.key or "")


class _Stop(Exception):
    """The rest of the file cannot be read; its problem is recorded."""


class _Reader:
    def __init__(self, file: str, source: YamlText) -> None:
        self.file = file
        self.source = source
        self.problems: list[Problem] = []
        self._reset(Position(1, 1))

    def _reset(self, start: Position) -> None:
        self.start = start
        self.problems_before = len(self.problems)
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self.texts: dict[Path, str] = {}
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.stack: list[_Node] = []
        self.root: Any = None
        self.nodes = 0

    def documents(self) -> Iterator[Document]:
        if bad := _UNPRINTABLE.search(self.source.text):
            line = self.source.text.count("\n", 0, bad.start())
            column = bad.start() - (self.source.text.rfind("\n", 0, bad.start()) + 1)
            self._problem(
                self.source.position(line, column), f"the character {bad[0]!r} is not allowed in YAML"
            )
            return
        handlers: dict[type, Callable[[Any], None]] = {
            yaml.MappingStartEvent: lambda event: self._open(event, {}),
            yaml.SequenceStartEvent: lambda event: self._open(event, []),
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
        }
        try:
            for event in yaml.parse(self.source.text, Loader=_LOADER):
                if isinstance(event, yaml.DocumentStartEvent):
                    self._reset(self._position(event.start_mark))
                elif isinstance(event, yaml.DocumentEndEvent):
                    if self.root is not None and len(self.problems) == self.problems_before:
                        yield Document(self.file, self.root, self.start, self.keys, self.values, self.texts)
                elif handler := handlers.get(type(event)):
                    handler(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            position = self._position(mark) if mark else Position(1, 1)
            self._problem(position, " ".join(filter(None, (error.context, error.problem))))
        except _Stop:
            return

    def _position(self, mark: Any) -> Position:
        return self.source.position(mark.line, mark.column)

    def _problem(self, position: Position, message: str) -> None:
        self.problems.append(Problem(self.file, position.line, position.column, message))

    def _stop(self, event: Any, message: str) -> _Stop:
        self._problem(self._position(event.start_mark), message)
        return _Stop()

    def _open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        position = self._position(event.start_mark)
        if event.tag not in (None, "!"):
            self._problem(position, f"the tag {event.tag!r} is not supported; leave it out")
        if len(self.stack) >= MAX_DEPTH:
            raise self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        path: Path = ()
        if self.stack:
            parent = self.stack[-1]
            if isinstance(parent.value, dict) and not parent.has_key:
                raise self._stop(event, "a mapping key must be text")
            path = parent.next_path()
            self.values[path] = position
        else:
            # A document starts where its first key stands, not at the `---` before it.
            self.start = position
        self.stack.append(_Node(path, value, event.anchor, position))

    def _close(self, event: Any) -> None:
        node = self.stack.pop()
        if isinstance(node.value, dict):
            for source in node.merged:
                for key, value in source.items():
                    node.value.setdefault(key, value)
        if node.anchor:
            self.anchors[node.anchor] = (node.value, node.size)
        self._add(event, node.value, node.size)

    def _scalar(self, event: Any) -> None:
        position = self._position(event.start_mark)
        if event.tag not in _STR_TAGS:
            self._problem(position, f"the tag {event.tag!r} is not supported; leave it out")
        plain = not event.style and event.tag is None
        parent = self.stack[-1] if self.stack else None
        if parent and isinstance(parent.value, dict) and not parent.has_key:
            self._key(parent, event, position)
            return
        value: Any = event.value
        try:
            if self.source.is_filled(value):
                value = self.source.fill(value, plain=plain)
            elif plain:
                value = resolve(value)
        except ValueError as error:
            self._problem(position, str(error))
        if parent:
            path = parent.next_path()
            self.values[path] = position
            if plain and not self.source.is_filled(event.value):
                self.texts[path] = event.value
        else:
            self.start = position
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        self._add(event, value, 1)

    def _key(self, parent: _Node, event: Any, position: Position) -> None:
        key = event.value
        if self.source.is_filled(key):
            try:
                filled = self.source.fill(key, plain=not event.style)
            except ValueError as error:
                self._problem(position, str(error))
                filled = key
            if isinstance(filled, dict | list) or filled is None:
                self._problem(position, "a mapping key must be text")
                filled = key
            key = filled if isinstance(filled, str) else str(filled)
        parent.key, parent.has_key = key, True
        path = (*parent.path, key)
        if path in self.keys:
            first = self.keys[path]
            self._problem(position, f"the key '{key}' stands twice; first at {first.line}:{first.column}")
        else:
            self.keys[path] = position

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            own = any(node.anchor == event.anchor for node in self.stack)
            why = "stands inside its own anchor" if own else "has no anchor before it"
            raise self._stop(event, f"the alias '*{event.anchor}' {why}")
        value, size = self.anchors[event.anchor]
        if self.stack:
            parent = self.stack[-1]
            if isinstance(parent.value, dict) and not parent.has_key:
                raise self._stop(event, "a mapping key must be text")
            self.values[parent.next_path()] = self._position(event.start_mark)
        self._add(event, value, size)

    def _add(self, event: Any, value: Any, size: int) -> None:
        """Puts a finished value into the collection around it; `size` counts its nodes after expansion."""
        if not self.stack:
            self.root = value
            return
        parent = self.stack[-1]
        parent.size += size
        if parent.size > MAX_NODES:
            raise self._stop(event, f"more than {MAX_NODES} values after its aliases are expanded")
        if isinstance(parent.value, list):
            path = parent.next_path()
            self.keys.setdefault(path, self.values[path])
            parent.value.append(value)
            return
        key, parent.has_key = parent.key or "", False
        if key == "<<":
            sources = value if isinstance(value, list) else [value]
            if all(isinstance(source, dict) for source in sources):
                parent.merged += sources
            else:
                self._problem(
                    self._position(event.start_mark), "'<<' merges a mapping, or a list of mappings"
                )
        else:
            parent.value[key] = value
