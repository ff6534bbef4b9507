"""The layout of a YAML text: indentation, quotes, the ends of lines, and the order of the keys of a manifest.

ruamel.yaml reads the structure, with the position of everything. Lines are moved and shifted; what has no rule here
stays as its author wrote it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from deployer.documents.scalars import resolve
from deployer.formatting.expressions import LeftAlone

INDENT = 2
# The order of the keys of a manifest, and of deployer.yaml; all others of the latter stay as they are.
ENVELOPE = (
    "forEach",
    "apiVersion",
    "kind",
    "metadata",
    "parameters",
    "spec",
    "lifecycle",
    "dependsOn",
    "waive",
    "enabled",
)
PROJECT = ("apiVersion", "kind", "metadata")

_MARKER = re.compile(r"(?:---|\.\.\.)(?=[ \t]|$)|%")
_BLOCK_HEADER = re.compile(r"(?:&\S+[ \t]+)?([|>])([-+0-9]*)")
# Between a key and its value on the same line.
_WIDE_GAP = re.compile(" *: +")
# Strings that no version of YAML takes for anything else.
_PLAIN = re.compile(r"[A-Za-z](?:[\w./-]|:(?=[\w/]))*(?: \w(?:[\w./-]|:(?=[\w/]))*)*", re.ASCII)
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"))


class Unreadable(Exception):
    """A text that ruamel.yaml cannot read; the careful reader may have accepted it."""


@dataclass(slots=True)
class _Node:
    """A value. The marks have `line`, `column` and `index`; a mapping has keys and values in turn."""

    shape: str  # scalar, alias, map, list
    start: Any
    end: Any
    style: str | None = None  # of a scalar: ' " | > or None
    is_flow: bool = False
    value: str = ""
    children: list[_Node] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Returns whether nothing is written. Its marks are then those of what follows."""
        return bool(self.start.index == self.end.index)


class _Column(NamedTuple):
    """The column of a block mapping or list: as it was, and as it will be."""

    old: int
    new: int


class _Block(NamedTuple):
    """The lines of a block scalar, `first` to before `end`; they move by the same number of columns."""

    first: int
    end: int
    old: int
    new: int


@dataclass(slots=True)
class _Lines:
    """What is known of the lines of a text by their numbers."""

    texts: list[str]
    indents: dict[int, _Column] = field(default_factory=dict)
    """Lines that start with a key, an item or a value."""
    open: dict[int, tuple[_Column, ...]] = field(default_factory=dict)
    """The mappings and lists around such a line, and those that start on it."""
    continued: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Lines inside of a value: the line where it starts, and their smallest column."""
    blocks: dict[int, _Block] = field(default_factory=dict)
    """Block scalars by their first line."""
    quoted: set[int] = field(default_factory=set)
    """Lines that end inside of quotes."""
    edits: dict[int, list[tuple[int, int, str]]] = field(default_factory=dict)
    """Replaced columns of a line."""


def laid_out(text: str, order: Sequence[str]) -> str | LeftAlone:
    """Return a text whose lines end with newlines in the layout of the project. Raises Unreadable."""
    tokens = _tokens(text)
    try:
        documents = _documents(_yaml().parse(text))
    except (YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    names = [type(token).__name__ for token in tokens]
    for token, name in zip(tokens, names, strict=True):
        if name == "KeyToken" and text[token.start_mark.index : token.start_mark.index + 2] in (
            "? ",
            "?\n",
            "?",
        ):
            return LeftAlone("it has a key that is written with '?'", token.start_mark.line + 1)
    dashes = [
        token.start_mark
        for token, name in zip(tokens, names, strict=True)
        if name == "BlockEntryToken" and text[token.start_mark.index] == "-"
    ]
    lines = _Lines(text.split("\n"))
    walk = _Walk(text, lines, dashes)
    for document in documents:
        walk.visit(document, _Column(-1, -INDENT), ())
    moved = _shifted(lines)
    moved = _ordered(moved, lines, documents, order)
    return _ended(moved, lines, documents)


def noted(text: str) -> list[str]:
    """Return the comments, anchors, aliases and directives of a text. Raises Unreadable."""
    found: list[str] = []
    end = 0
    for token in _tokens(text):
        name, start = type(token).__name__, token.start_mark.index
        found += _comments_in(text[end:start])
        end = max(end, token.end_mark.index)
        if name in ("AnchorToken", "AliasToken", "TagToken", "DirectiveToken"):
            found.append(f"{name} {token.value}")
        elif name == "ScalarToken" and token.style in ("|", ">"):
            found += _comments_in(text[start:end].partition("\n")[0])
    return [*found, *_comments_in(text[end:])]


def _tokens(text: str) -> list[Any]:
    try:
        return list(_yaml().scan(text))
    except (YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None


def _comments_in(gap: str) -> Iterator[str]:
    for line in gap.split("\n"):
        if (at := line.find("#")) >= 0:
            yield line[at:].rstrip(" \t")


def _yaml() -> Any:
    return YAML(typ="safe", pure=True)


def _documents(events: Any) -> list[_Node]:
    """Return the root of each document."""
    roots: list[_Node] = []
    stack: list[_Node] = []
    for event in events:
        name = type(event).__name__
        if name in ("MappingEndEvent", "SequenceEndEvent"):
            stack.pop().end = event.end_mark
            continue
        if name in ("MappingStartEvent", "SequenceStartEvent"):
            shape = "map" if name.startswith("Mapping") else "list"
            node = _Node(shape, event.start_mark, event.end_mark, is_flow=bool(event.flow_style))
        elif name == "ScalarEvent":
            style = event.style if event.style in ("'", '"', "|", ">") else None
            node = _Node("scalar", event.start_mark, event.end_mark, style, value=event.value)
        elif name == "AliasEvent":
            node = _Node("alias", event.start_mark, event.end_mark)
        else:
            continue
        (stack[-1].children if stack else roots).append(node)
        if node.shape in ("map", "list"):
            stack.append(node)
    return roots


class _Walk:
    """A walk through the values of a text, which finds what its lines are."""

    def __init__(self, text: str, lines: _Lines, dashes: Sequence[Any]) -> None:
        self.text = text
        self.lines = lines
        self.dashes = dashes
        self.dash_indexes = [dash.index for dash in dashes]

    def visit(self, node: _Node, parent: _Column, around: tuple[_Column, ...]) -> None:
        """Find the lines of a value in the mapping or list at the columns `parent`."""
        is_block = node.shape in ("map", "list") and not node.is_flow and bool(node.children)
        if not is_block:
            self._leaf(node, parent, around)
            return
        new = max(0, parent.new + INDENT)
        if node.shape == "map":
            here = _Column(node.children[0].start.column, new)
            # An anchor on a line of its own.
            if node.start.line < node.children[0].start.line:
                self._begins(node.start, _Column(node.start.column, new), around)
            self._mapping(node, here, (*around, here))
        else:
            first = self._dash(node.children[0])
            here = _Column(first.column, new)
            if node.start.line < first.line:
                self._begins(node.start, _Column(node.start.column, new), around)
            self._list(node, here, (*around, here))

    def _mapping(self, node: _Node, here: _Column, around: tuple[_Column, ...]) -> None:
        for number, child in enumerate(node.children):
            if number % 2:
                self.visit(child, here, around)
            else:
                self._begins(child.start, here, around)
                if child.shape in ("map", "list"):
                    self._leaf(child, here, around)
            self._quotes(child)
        for key, value in zip(node.children[::2], node.children[1::2], strict=True):
            gap = self.text[key.end.index : value.start.index]
            if not value.is_empty and _WIDE_GAP.fullmatch(gap) and gap != ": ":
                self._edit(key.end.line, key.end.column, value.start.column, ": ")

    def _list(self, node: _Node, here: _Column, around: tuple[_Column, ...]) -> None:
        for child in node.children:
            dash = self._dash(child)
            self._begins(dash, here, around)
            is_beside = child.start.line == dash.line and not child.is_empty
            if is_beside and self.text[dash.index + 1 : child.start.index] != " ":
                self._edit(dash.line, dash.column + 1, child.start.column, " ")
            self.visit(child, here, around)
            self._quotes(child, may_be_plain=False)

    def _dash(self, item: _Node) -> Any:
        return self.dashes[bisect_left(self.dash_indexes, item.start.index) - 1]

    def _leaf(self, node: _Node, parent: _Column, around: tuple[_Column, ...]) -> None:
        """Find the lines of a scalar, an alias, or a flow collection."""
        if node.is_empty:
            return
        first, last = node.start.line, node.end.line
        self._begins(node.start, _Column(node.start.column, max(0, parent.new + INDENT)), around)
        if node.style in ("|", ">"):
            self._block(node, parent)
            return
        least = 0 if node.shape in ("map", "list") else parent.new + 1
        for line in range(first + 1, last + 1):
            self.lines.continued.setdefault(line, (first, max(0, least)))
        self._find_quoted(node)

    def _find_quoted(self, node: _Node) -> None:
        if node.style in ("'", '"'):
            self.lines.quoted.update(range(node.start.line, node.end.line))
        for child in node.children:
            self._find_quoted(child)

    def _begins(self, mark: Any, column: _Column, around: tuple[_Column, ...]) -> None:
        """Note that something starts at `mark`; it sets the indentation if it is the first in its line."""
        line = mark.line
        if line >= len(self.lines.texts):
            return
        before = self.lines.texts[line][: mark.column]
        if not before.strip(" ") and line not in self.lines.indents and self.lines.texts[line].strip():
            self.lines.indents[line] = _Column(mark.column, column.new)
        self.lines.open[line] = around

    def _block(self, node: _Node, parent: _Column) -> None:
        """Find the lines of a block scalar."""
        header = _BLOCK_HEADER.match(self.text, node.start.index)
        texts = self.lines.texts
        end = min(node.end.line + (1 if node.end.column else 0), len(texts))
        first = node.start.line + 1
        while end > first and not texts[end - 1].strip():
            # The empty lines at its end, and after it, stay as they are.
            end -= 1
        digits = re.sub(r"[^0-9]", "", header[2]) if header else ""
        filled = next((line for line in texts[first:end] if line.strip(" ")), "")
        old = len(filled) - len(filled.lstrip(" "))
        new = parent.new + INDENT
        if digits:
            old, new = parent.old + int(digits), parent.new + int(digits)
        # A document that is nothing but a block scalar stays as it is.
        if parent.new < 0 or header is None:
            new = old
        last = min(node.end.line + (1 if node.end.column else 0), len(texts))
        self.lines.blocks[first] = _Block(first, max(end, last), old, new)

    def _quotes(self, node: _Node, *, may_be_plain: bool = True) -> None:
        """Use double quotes; none around a key or a value of a block mapping that needs none."""
        if node.is_flow:
            for child in node.children:
                self._quotes(child, may_be_plain=False)
        if node.shape != "scalar" or node.style not in ("'", '"') or node.start.line != node.end.line:
            return
        written = self.text[node.start.index : node.end.index]
        if written[:1] != node.style:
            return  # it has an anchor
        inner = written[1:-1]
        if may_be_plain and is_plain(inner):
            quoted = inner
        elif node.style == "'" and not re.search(r"[\"\\\ue000]", inner):
            quoted = f'"{inner.replace(chr(39) * 2, chr(39))}"'
        else:
            return
        self._edit(node.start.line, node.start.column, node.end.column, quoted)

    def _edit(self, line: int, start: int, end: int, text: str) -> None:
        self.lines.edits.setdefault(line, []).append((start, end, text))


def is_plain(text: str) -> bool:
    """Return whether a string needs no quotes, whichever version of YAML reads it."""
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _WORDS and resolve(text) == text


def _shifted(lines: _Lines) -> list[str]:
    """Return the lines with their new indentation, quotes and ends."""
    in_block = {line: block for block in lines.blocks.values() for line in range(block.first, block.end)}
    shifts: dict[int, int] = {}
    moved: list[str] = []
    around = _Around(lines)
    for number, text in enumerate(lines.texts):
        block = in_block.get(number)
        if block:
            moved.append(_in_block(text, block))
            continue
        for start, end, replaced in sorted(lines.edits.get(number, ()), reverse=True):
            text = text[:start] + replaced + text[end:]
        if number not in lines.quoted:
            text = text.rstrip(" \t")
        column = len(text) - len(text.lstrip(" "))
        rest = text[column:]
        if not rest and number not in lines.quoted:
            moved.append("")
            continue
        new = column
        if number in lines.continued:
            owner, least = lines.continued[number]
            new = max(least, column + shifts.get(owner, 0)) if rest else column
        elif number in lines.indents:
            new = lines.indents[number].new
        elif rest.startswith("#"):
            new = around.of_comment(number, column)
        shifts[number] = new - column
        moved.append(" " * new + rest)
    return moved


def _in_block(text: str, block: _Block) -> str:
    if not text.strip(" ") and len(text) <= block.old:
        return ""
    return " " * block.new + text[block.old :]


class _Around:
    """The mappings and lists around a comment that has a line of its own."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._numbers = sorted(lines.open)
        texts = lines.texts
        inside = {line for block in lines.blocks.values() for line in range(block.first, block.end)}
        inside |= lines.continued.keys()
        self._markers = [
            number for number, text in enumerate(texts) if number not in inside and _MARKER.match(text)
        ]

    def of_comment(self, line: int, column: int) -> int:
        """Return the new column of a comment: it moves with what it stands beside."""
        following, before = self._neighbour(line, 1), self._neighbour(line, -1)
        # Above a list that is not indented it is about the first item; after one, about what encloses the list.
        exact = [here for here in following if here.old == column][-1:]
        exact += [here for here in before if here.old == column][:1]
        if exact:
            return exact[0].new
        enclosing = [here for here in (*before, *following) if here.old < column]
        if not enclosing:
            return 0 if (*before, *following) else column
        nearest = max(enclosing, key=lambda here: here.old)
        return max(0, column + nearest.new - nearest.old)

    def _neighbour(self, line: int, step: int) -> tuple[_Column, ...]:
        """Return what is open at the nearest line of the same document that starts something."""
        at = bisect_left(self._numbers, line)
        at = at if step > 0 else at - 1
        if not 0 <= at < len(self._numbers):
            return ()
        found = self._numbers[at]
        low, high = sorted((line, found))
        marker = bisect_left(self._markers, low)
        if marker < len(self._markers) and self._markers[marker] <= high:
            # Another document; but `--- |` and the like start on the line of their marker.
            return ()
        return self._lines.open[found]


class _Entry(NamedTuple):
    """A key of a document with its value: the lines of its comments, from `lead`, and its own, to before `end`."""

    key: str
    lead: int
    first: int
    end: int


def _ordered(moved: list[str], lines: _Lines, documents: Sequence[_Node], order: Sequence[str]) -> list[str]:
    """Return the lines with the keys of each document in order, if all of them are known."""
    result = list(moved)
    for number, document in enumerate(documents):
        limit = documents[number + 1].start.line if number + 1 < len(documents) else len(moved)
        entries = _entries(moved, lines, document, limit)
        if entries is None:
            continue
        ranks: Mapping[str, int] = {key: rank for rank, key in enumerate(order)}
        wanted = sorted(entries, key=lambda entry: ranks.get(entry.key, len(order)))
        if order is ENVELOPE and any(entry.key not in ranks for entry in entries):
            continue
        if wanted == entries:
            continue
        texts: list[str] = []
        for place, entry in enumerate(wanted):
            # The comments at the top of a document are about all of it.
            lead = [] if entry is entries[0] else moved[entry.lead : entry.first]
            if place == 0 and not any(lead):
                lead = []
            texts += [*lead, *moved[entry.first : entry.end]]
        result[entries[0].first : entries[-1].end] = texts
        # What a reordered document gained or lost in empty lines, another document must not be moved by.
        missing = entries[-1].end - entries[0].first - len(texts)
        result[entries[0].first + len(texts) : entries[0].first + len(texts)] = [_GONE] * missing
    return [text for text in result if text is not _GONE]


_GONE = "\ue000gone"


def _entries(moved: Sequence[str], lines: _Lines, document: _Node, limit: int) -> list[_Entry] | None:
    """Return the keys of a document in their order; None if they cannot be moved."""
    if document.shape != "map" or document.is_flow or document.start.line != document.children[0].start.line:
        return None
    keys, values = document.children[::2], document.children[1::2]
    if any(key.shape != "scalar" or key.start.line not in lines.indents for key in keys):
        return None
    firsts = [key.start.line for key in keys]
    entries: list[_Entry] = []
    lead = firsts[0]
    for number, (key, value) in enumerate(zip(keys, values, strict=True)):
        following = firsts[number + 1] if number + 1 < len(keys) else limit
        end = _last_line(value, lines) + 1
        end = max(end, firsts[number] + 1)
        # Comments that are indented are about this key, all others about the next one.
        for line in range(end, following):
            if moved[line] and not moved[line].startswith(" "):
                break
            if moved[line]:
                end = line + 1
        entries.append(_Entry(key.value, lead, firsts[number], end))
        lead = end
    return entries


def _last_line(node: _Node, lines: _Lines) -> int:
    if node.is_empty:
        return -1
    if node.shape in ("map", "list") and not node.is_flow and node.children:
        # The last value may be empty; then its key counts.
        return max([_last_line(child, lines) for child in node.children[-2:]])
    if node.style in ("|", ">"):
        block = lines.blocks[node.start.line + 1]
        last = block.end - 1
        if not _keeps(lines, node):
            while last >= block.first and not lines.texts[last].strip():
                last -= 1
        return max(last, block.first - 1)
    last_line: int = node.end.line
    return last_line


def _keeps(lines: _Lines, node: _Node) -> bool:
    """Return whether the empty lines at the end of a block scalar belong to it."""
    header = _BLOCK_HEADER.match(lines.texts[node.start.line], node.start.column)
    return header is None or "+" in header[2]


def _ended(moved: list[str], lines: _Lines, documents: Sequence[_Node]) -> str:
    """Return the lines as a text that ends with one newline, unless the last value would change."""
    text = "\n".join(moved)
    last = _last_leaf(documents[-1]) if documents else None
    # ruamel.yaml does not count spaces after the last line break.
    end = len("\n".join(lines.texts).rstrip(" "))
    is_at_end = last is not None and last.style in ("|", ">") and last.end.index >= end
    if is_at_end and last is not None and (_keeps(lines, last) or not text.endswith("\n")):
        return text
    return text.rstrip("\n") + "\n" if text.strip("\n") else ""


def _last_leaf(node: _Node) -> _Node:
    return _last_leaf(node.children[-1]) if node.children and not node.is_flow else node
