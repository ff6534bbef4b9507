"""Strict YAML: text -> Document, with the author's location of every key and value.

Scalars are those of the YAML 1.2 core schema, and ambiguous scalars stay strings: `no`, `on`, dates, `1:30`,
`0123`, `.inf`. A duplicate key, a tag and a key that is not a string are errors. Anchors, aliases and merge keys
(`<<`) work, up to `MAX_NODES` and `MAX_DEPTH` after expansion. It is built from parser events instead of
composed nodes, so that depth and expansion are limited before any recursion.

Most documents are read by `values`, without locations. `Reader` reads those that it leaves, and finds the locations of
the others when something asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import yaml

from deployer.documents import reserved, values
from deployer.documents.budget import Budget
from deployer.documents.scalars import cost, events, find_unprintable
from deployer.documents.scalars import resolve as resolve
from deployer.errors import Code, Problem
from deployer.model import Document, Location, Path, Places, Tables

MAX_NODES = 100_000
MAX_FILE_NODES = 400_000
MAX_DOCUMENTS = 20_000
MAX_DEPTH = 64

# The start of the first line that is not empty, a comment or a directive. Not a repeated group of such lines: it takes
# 700 MB for 2 MiB of them.
_CONTENT = re.compile(r"^(?![ \t]*(?:#.*)?\r?\n|%.*\n)", re.MULTILINE)
_MARKER = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)


class InvalidPlaceholder(ValueError):
    """An invalid value of a placeholder; `location` is that of its expression."""

    def __init__(self, message: str, location: Location, code: Code = Code.NOT_DATA) -> None:
        super().__init__(message)
        self.location = location
        self.code = code


class YamlText(Protocol):
    """A text to parse, with its locations in the author's file and the values of its placeholders."""

    @property
    def text(self) -> str:
        """The text that YAML reads."""

    def location(self, line: int, column: int) -> Location:
        """Return the author's location of a position in the text, counted from 0."""

    def fill(self, scalar: str, *, plain: bool) -> Any:
        """Return the value of a scalar with placeholders: plain data. Raises InvalidPlaceholder."""

    def is_filled(self, scalar: str) -> bool:
        """Return whether a scalar has a placeholder."""

    def names(self, scalar: str) -> tuple[str, ...]:
        """Return the names of the project's values that the placeholders of a scalar use, such as `db.host`."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """Text without a template."""

    file: str
    text: str
    via: tuple[str, ...] = ()

    def location(self, line: int, column: int) -> Location:
        return Location(self.file, line + 1, column + 1, self.via)

    def fill(self, scalar: str, *, plain: bool) -> Any:  # noqa: ARG002 - the protocol's signature
        return scalar

    def is_filled(self, scalar: str) -> bool:  # noqa: ARG002 - the protocol's signature
        return False

    def names(self, scalar: str) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's signature
        return ()


def decode(file: str, content: bytes) -> str | Problem:
    """Return the text of a file, which must be UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"not UTF-8: byte 0x{content[error.start]:02x}"
        return Problem(Location(file, line, column), message, Code.ENCODING)


def parse(source: YamlText, budget: Budget | None = None) -> tuple[list[Document], list[Problem]]:
    """Return the valid documents of `source` and all problems of the others; skips empty ones.

    Stops when the `budget` is exceeded.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    size = 0
    text = source.text
    for number, part in enumerate(parts(text)):
        if size > MAX_FILE_NODES or number > MAX_DOCUMENTS:
            message = f"the file has more than {MAX_DOCUMENTS} documents or {MAX_FILE_NODES} values"
            problems.append(Problem(source.location(part.line, 0), message, Code.YAML_LIMIT))
            break
        found = _quickly(source, text, part) or _carefully(source, text, part)
        documents += found.documents
        problems += found.problems
        size += found.size
        if budget and budget.spend(
            source.location(part.line, 0),
            documents=len(found.documents),
            values=found.size,
            problems=len(found.problems),
        ):
            break
    return documents, problems


class Part(NamedTuple):
    """A part of a text, from one `---` to the next; `line` is its first line."""

    line: int
    start: int
    end: int


class _Found(NamedTuple):
    """What a part of a text has; `size` counts its values."""

    documents: list[Document]
    problems: list[Problem]
    size: int


def parts(text: str) -> Iterator[Part]:
    """Split text at `---` lines, so that errors stay in one document."""
    content = _CONTENT.search(text)
    first = content.start() if content else 0
    line = start = 0
    for marker in _MARKER.finditer(text):
        if (end := marker.start()) > first:
            yield Part(line, start, end)
            line += text.count("\n", start, end)
            start = end
    yield Part(line, start, len(text))


def _quickly(source: YamlText, text: str, part: Part) -> _Found | None:
    """Return the document of a part, whose locations are found when asked for; None if it has anything special."""
    quick = values.read(source, part.line, text[part.start : part.end])
    if quick is None:
        return None
    places = Places(_ReadQuickly(source, part))
    return _Found([Document(quick.value, quick.start, {}, places)], [], quick.size)


def _carefully(source: YamlText, text: str, part: Part) -> _Found:
    reader = Reader(source, part.line)
    documents = list(reader.documents(text[part.start : part.end]))
    return _Found(documents, reader.problems, reader.size)


class _ReadQuickly(NamedTuple):
    """A part that was read quickly, and is read again to find its locations."""

    source: YamlText
    part: Part

    def tables(self) -> Tables:
        (document,) = _carefully(self.source, self.source.text, self.part).documents
        return document.places.tables

    def location(self, path: Path, *, of_key: bool) -> Location:
        text = self.source.text[self.part.start : self.part.end]
        return values.locate(self.source, self.part.line, text, path, of_key=of_key)


class _Leaf(NamedTuple):
    """A scalar. `text` is the author's text, None if it is quoted or filled in."""

    value: Any
    text: str | None = None


_Tree = dict[str, Any] | list[Any] | _Leaf


class _Built(NamedTuple):
    """A finished value: `size` counts its nodes, `depth` its levels, after alias expansion."""

    tree: _Tree
    size: int = 1
    depth: int = 0


def _built(value: Any) -> _Built:
    """Return a filled-in value."""
    if not isinstance(value, dict | list):
        return _Built(_Leaf(value), cost(value) if isinstance(value, str) else 1)
    children = [_built(item) for item in (value.values() if isinstance(value, dict) else value)]
    trees = [child.tree for child in children]
    tree: _Tree = dict(zip(value, trees, strict=True)) if isinstance(value, dict) else trees
    size = 1 + sum(child.size for child in children)
    return _Built(tree, size, 1 + max((child.depth for child in children), default=0))


@dataclass(slots=True)
class _Node:
    """A collection under construction. `key` is the mapping key without its value yet."""

    path: Path
    tree: dict[str, _Tree] | list[_Tree]
    anchor: str | None
    size: int = 1
    depth: int = 1
    key: str | None = None
    merges: bool = False
    merged: list[dict[str, _Tree]] = field(default_factory=list)
    keys: dict[str, Location] = field(default_factory=dict)

    @property
    def wants_key(self) -> bool:
        return isinstance(self.tree, dict) and self.key is None

    def next_path(self) -> Path:
        return (*self.path, len(self.tree) if isinstance(self.tree, list) else self.key or "")


class _UnreadableDocument(Exception):
    """A problem that stops the parsing of a document; it is recorded already."""


class Reader:
    """The careful reader of one document between two `---`, from `first_line` on."""

    def __init__(self, source: YamlText, first_line: int) -> None:
        self.source = source
        self.first_line = first_line
        self.problems: list[Problem] = []
        self.size = 0
        self._reset(source.location(first_line, 0))

    def _reset(self, start: Location) -> None:
        self.start = start
        self.problems_before = len(self.problems)
        self.keys: dict[Path, Location] = {}
        self.values: dict[Path, Location] = {}
        self.texts: dict[Path, str] = {}
        self.names: dict[Path, tuple[str, ...]] = {}
        self.typed: dict[Path, int | float] = {}
        self.anchors: dict[str, _Built] = {}
        self.stack: list[_Node] = []
        self.root: _Tree = _Leaf(None)
        self.written: dict[int, tuple[_Tree, Path]] = {}

    def documents(self, text: str) -> Iterator[Document]:
        if bad := find_unprintable(text):
            line, column = (
                text.count("\n", 0, bad.start()),
                bad.start() - text.rfind("\n", 0, bad.start()) - 1,
            )
            message = f"character {bad[0]!a} is not allowed; use an escape in double quotes"
            self._problem(self.source.location(self.first_line + line, column), message, Code.YAML_CHARACTER)
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
            for event in events(text):
                if isinstance(event, yaml.DocumentStartEvent):
                    self._reset(self._location(event.start_mark))
                elif isinstance(event, yaml.DocumentEndEvent):
                    value = self._plain(self.root, ())
                    if value is not None and len(self.problems) == self.problems_before:
                        tables = Tables(self.keys, self.values, self.names, self.typed)
                        yield Document(value, self.start, self.texts, Places(tables))
                elif handler := handlers.get(type(event)):
                    handler(event)
        except yaml.MarkedYAMLError as error:
            self._unreadable(error, text.rstrip())
        except _UnreadableDocument:
            pass
        # What was read in vain counts too.
        self.size += sum(node.size for node in self.stack)

    def _unreadable(self, error: yaml.MarkedYAMLError, text: str) -> None:
        """Report libyaml's error where it was detected, or where an unclosed construct starts."""
        start: Any = error.context_mark or error.problem_mark
        mark: Any = error.problem_mark or start
        message = " ".join(filter(None, (error.problem, error.context)))
        lines = text.split("\n")
        is_tab = mark.line < len(lines) and lines[mark.line][mark.column :].startswith("\t")
        if is_tab:
            message = "a tab character; YAML is indented with spaces"
        last_line = text.count("\n")
        if mark.line <= last_line:
            if start.line < mark.line and not is_tab:
                message += f" that begins at line {self._location(start).line}"
            location = self._location(mark)
        elif start.line <= last_line:
            location = self._location(start)
        else:
            end = max(0, len(text) - text.rfind("\n") - 2)
            location = self.source.location(self.first_line + last_line, end)
        self._problem(location, message, Code.YAML_SYNTAX)

    def _plain(self, tree: _Tree, path: Path) -> Any:
        """Return the data of a tree; record its texts, and the locations of values repeated by aliases."""
        if path and (found := self.written.get(id(tree))) and found[1] != path:
            self._copy_locations(tree, found[1], path)
        if isinstance(tree, dict):
            return {key: self._plain(item, (*path, key)) for key, item in tree.items()}
        if isinstance(tree, list):
            return [self._plain(item, (*path, index)) for index, item in enumerate(tree)]
        if tree.text is not None:
            self.texts[path] = tree.text
        return tree.value

    def _copy_locations(self, tree: _Tree, written: Path, path: Path) -> None:
        """Copy the locations below `written` to the same keys below `path`."""
        for step in tree if isinstance(tree, dict) else range(len(tree)):
            for locations in (self.keys, self.values):
                if (location := locations.get((*written, step))) and (*path, step) not in locations:
                    locations[*path, step] = location

    def _location(self, mark: Any) -> Location:
        return self.source.location(self.first_line + mark.line, mark.column)

    def _problem(self, location: Location, message: str, code: Code) -> None:
        self.problems.append(Problem(location, message, code))

    def _stop(self, event: Any, message: str, code: Code) -> _UnreadableDocument:
        self._problem(self._location(event.start_mark), message, code)
        return _UnreadableDocument()

    def _begin(self, event: Any) -> Location:
        """Record the location of a value. A document starts at its first value, not at the `---` before it."""
        location = self._location(event.start_mark)
        if not self.stack:
            self.start = location
            return location
        parent = self.stack[-1]
        if parent.wants_key:
            raise self._stop(event, "mapping keys must be strings", Code.YAML_KEY)
        path = parent.next_path()
        self.values[path] = location
        if isinstance(parent.tree, list):
            self.keys[path] = location
        return location

    def _no_tag(self, event: Any) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
            message = f"YAML tag {tag!r} is not supported; remove it (quote a value to make it a string)"
            self._problem(self._location(event.start_mark), message, Code.YAML_TAG)

    def _open(self, event: Any, tree: dict[str, _Tree] | list[_Tree]) -> None:
        self._no_tag(event)
        if len(self.stack) >= MAX_DEPTH:
            raise self._stop(event, f"nested deeper than {MAX_DEPTH} levels", Code.YAML_LIMIT)
        self._begin(event)
        path = self.stack[-1].next_path() if self.stack else ()
        self.stack.append(_Node(path, tree, event.anchor))

    def _close(self, event: Any) -> None:
        node = self.stack.pop()
        self.written[id(node.tree)] = node.tree, node.path
        if isinstance(node.tree, dict):
            for source in node.merged:
                self._copy_locations(source, self.written.get(id(source), (source, node.path))[1], node.path)
                for key, value in source.items():
                    node.tree.setdefault(key, value)
        self._add(event, _Built(node.tree, node.size, node.depth), node.anchor)

    def _scalar(self, event: Any) -> None:
        self._no_tag(event)
        if self.stack and self.stack[-1].wants_key:
            self._key(self.stack[-1], event)
            return
        self._begin(event)
        text, plain = event.value, not event.style
        if self.source.is_filled(text):
            if self.stack:
                self.names[self.stack[-1].next_path()] = self.source.names(text)
            filled = self._filled(event)
            if self.stack and not plain:
                self._keep_type(text)
            built = _built(filled)
        else:
            self._no_reserved(event)
            built = _Built(_Leaf(resolve(text), text) if plain else _Leaf(text), cost(text))
        self._add(event, built, event.anchor)

    def _no_reserved(self, event: Any) -> None:
        if reserved.RESERVED.search(event.value):
            self._problem(self._location(event.start_mark), reserved.MESSAGE, Code.RESERVED_CHARACTER)

    def _keep_type(self, text: str) -> None:
        """Record the number or boolean of a quoted scalar that is exactly one expression."""
        with suppress(InvalidPlaceholder):
            value = self.source.fill(text, plain=True)
            if isinstance(value, int | float):
                self.typed[self.stack[-1].next_path()] = value

    def _filled(self, event: Any) -> Any:
        try:
            return self.source.fill(event.value, plain=not event.style)
        except InvalidPlaceholder as error:
            self._problem(error.location, str(error), error.code)
            return event.value

    def _key(self, parent: _Node, event: Any) -> None:
        location = self._location(event.start_mark)
        key, plain = event.value, not event.style
        parent.merges = plain and key == "<<"
        if self.source.is_filled(key):
            value = self._filled(event)
        else:
            self._no_reserved(event)
            value = resolve(key) if plain else key
        if isinstance(value, str):
            key = value
        else:
            self._problem(location, "mapping keys must be strings; quote the key", Code.YAML_KEY)
        if event.anchor:
            self.anchors[event.anchor] = _Built(_Leaf(key))
        if first := parent.keys.get(key):
            where = "" if first.file == location.file else f"{first.file}:"
            message = f"duplicate key '{key}', first defined at {where}{first.line}:{first.column}"
            self._problem(location, message, Code.DUPLICATE_KEY)
        parent.keys.setdefault(key, location)
        parent.key = key
        self.keys[parent.next_path()] = location

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            own = any(node.anchor == event.anchor for node in self.stack)
            reason = "is inside its own anchor" if own else "has no preceding anchor"
            raise self._stop(event, f"alias '*{event.anchor}' {reason}", Code.YAML_ALIAS)
        self._begin(event)
        self._add(event, self.anchors[event.anchor], None)

    def _add(self, event: Any, built: _Built, anchor: str | None) -> None:
        """Add a finished value to the enclosing collection."""
        if len(self.stack) + built.depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels after alias expansion"
            raise self._stop(event, message, Code.YAML_LIMIT)
        if anchor:
            self.anchors[anchor] = built
        if not self.stack:
            self.root = built.tree
            self.size += built.size
            return
        parent = self.stack[-1]
        parent.size += built.size
        parent.depth = max(parent.depth, built.depth + 1)
        if parent.size > MAX_NODES:
            message = f"more than {MAX_NODES} values after alias expansion (long strings count as several)"
            raise self._stop(event, message, Code.YAML_LIMIT)
        if isinstance(parent.tree, list):
            parent.tree.append(built.tree)
            return
        path, key = parent.next_path(), parent.key or ""
        parent.key = None
        if not parent.merges:
            parent.tree[key] = built.tree
            return
        sources = built.tree if isinstance(built.tree, list) else [built.tree]
        for source in sources:
            if isinstance(source, dict):
                parent.merged.append(source)
            else:
                message = "'<<' requires a mapping or a list of mappings"
                self._problem(self.values[path], message, Code.YAML_SYNTAX)
