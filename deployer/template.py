"""Jinja over the text of a file, hygienic: text -> text with placeholders + line map.

The value of an expression never becomes document text. Top-level output is replaced by a placeholder of
private-use characters, the rendered text is parsed as YAML, and the placeholders in its scalars are then
filled: so a value can hold newlines, colons or quotes without changing the structure around it. Loops and
conditions do make structure. Text captured by a macro, call, set or filter block is a value like any other.

Where things stand is carried through rendering by marks: each piece of template text starts with its line
and column in the author's file, and so does each new line in it.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from deployer.document import PlainText, YamlText
from deployer.errors import Problem
from deployer.model import Position

_SLOT_OPEN, _SLOT_CLOSE, _MARK_OPEN, _MARK_CLOSE = "\ue000", "\ue001", "\ue002", "\ue003"
_MARKERS = re.compile(f"[{_SLOT_OPEN}-{_MARK_CLOSE}]")
_SLOT = re.compile(f"{_SLOT_OPEN}([0-9]+){_SLOT_CLOSE}")
_MARK = re.compile(f"{_MARK_OPEN}([0-9]+):([0-9]+){_MARK_CLOSE}")
_SYNTAX = re.compile(r"\{[{%#]")

# Jinja's own names that give another answer each time, or only decoration.
_UNREPEATABLE_FILTERS = ("random",)
_UNREPEATABLE_GLOBALS = ("lipsum", "cycler", "joiner")


class JsonText(str):
    """What `| tojson` gives: alone in an unquoted scalar it is the structure, elsewhere its text."""

    __slots__ = ()


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja with every top-level expression turned into a placeholder, and marks before template text."""

    slots: list[Any]

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        template.body = _hygienic(template.body, source.splitlines())
        template.set_environment(self)
        return template

    def slot(self, value: Any) -> str:
        """Keeps `value` for later and returns its placeholder. Called by compiled templates."""
        if isinstance(value, Undefined):
            str(value)  # StrictUndefined raises, and says which name it is
        if isinstance(value, str) and _MARKERS.search(value):
            raise ValueError("the value holds a character from U+E000 to U+E003, which is reserved")
        self.slots.append(value)
        return f"{_SLOT_OPEN}{len(self.slots) - 1}{_SLOT_CLOSE}"


def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["tojson"] = lambda value: JsonText(json.dumps(_plain(value), ensure_ascii=False))
    for name in _UNREPEATABLE_FILTERS:
        del environment.filters[name]
    for name in _UNREPEATABLE_GLOBALS:
        del environment.globals[name]
    return environment


_BASE = _environment()


def _hygienic(body: list[nodes.Node], lines: list[str]) -> list[nodes.Node]:
    """Rewrites statements that write to the document; what a block captures is left as it is."""
    result: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.CallBlock | nodes.FilterBlock) or getattr(node, "recursive", False):
            result += _captured(node)
        elif isinstance(node, nodes.Output):
            node.nodes = [_marked(child, lines) for child in node.nodes]
            result.append(node)
        else:
            if not isinstance(node, nodes.Macro | nodes.AssignBlock):
                for name in ("body", "else_", "elif_"):
                    if children := getattr(node, name, None):
                        setattr(node, name, _hygienic(children, lines))
            result.append(node)
    return result


def _captured(node: nodes.Node) -> list[nodes.Node]:
    """A block that writes captured text, as: `{% set it %}...{% endset %}{{ it }}`."""
    name = f"_captured_{node.lineno}"
    capture = nodes.AssignBlock(nodes.Name(name, "store"), None, [node])
    output = nodes.Output([_slot_call(nodes.Name(name, "load"))])
    for made in (capture, output):
        made.set_lineno(node.lineno)
    return [capture, output]


def _slot_call(expression: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute("slot"), [expression], [], None, None)


def _marked(node: nodes.Expr, lines: list[str]) -> nodes.Expr:
    if not isinstance(node, nodes.TemplateData):
        call = _slot_call(node)
        call.set_lineno(node.lineno)
        return call
    first, *rest = node.data.split("\n")
    # Where the piece starts inside its line is not told by the lexer; its text tells, as a rule.
    column = lines[node.lineno - 1].find(first) + 1 if first and node.lineno <= len(lines) else 1
    marked = [f"{_mark(node.lineno, max(column, 1))}{first}"]
    marked += [f"{_mark(node.lineno + number, 1)}{line}" for number, line in enumerate(rest, start=1)]
    node.data = "\n".join(marked)
    return node


def _mark(line: int, column: int) -> str:
    return f"{_MARK_OPEN}{line}:{column}{_MARK_CLOSE}"


@dataclass(frozen=True, slots=True)
class RenderedText:
    """A rendered template. `pieces[line]` lists (column, author's line, author's column), in order."""

    text: str
    pieces: tuple[tuple[tuple[int, int, int], ...], ...]
    slots: tuple[Any, ...]

    def position(self, line: int, column: int) -> Position:
        for number in range(min(line, len(self.pieces) - 1), -1, -1):
            before = [piece for piece in self.pieces[number] if number < line or piece[0] <= column]
            if before:
                start, author_line, author_column = before[-1]
                return Position(author_line, author_column + max(0, column - start) * (number == line))
        return Position(1, 1)

    def is_filled(self, scalar: str) -> bool:
        return _SLOT_OPEN in scalar

    def fill(self, scalar: str, *, plain: bool) -> Any:
        if plain and (alone := _SLOT.fullmatch(scalar)):
            value = self.slots[int(alone[1])]
            return json.loads(value) if isinstance(value, JsonText) else _plain(value)
        return _SLOT.sub(lambda match: _as_text(self.slots[int(match[1])]), scalar)


def _plain(value: Any) -> Any:
    """Plain data of a template value. Raises ValueError for what is not data."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range | set | frozenset):
        return [_plain(item) for item in value]
    raise ValueError(f"the expression gives a {type(value).__name__}, which is not data; try '| list'")


def _as_text(value: Any) -> str:
    value = _plain(value)
    if isinstance(value, dict | list):
        what = "mapping" if isinstance(value, dict) else "list"
        raise ValueError(f"a {what} cannot stand inside text; use '| tojson' or '| join(...)'")
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _rendered(text: str, slots: list[Any]) -> RenderedText:
    clean: list[str] = []
    pieces: list[list[tuple[int, int, int]]] = [[]]
    column = 0
    parts = _MARK.split(text)
    for number in range(0, len(parts), 3):
        if number:
            pieces[-1].append((column, int(parts[number - 2]), int(parts[number - 1])))
        piece = parts[number]
        clean.append(piece)
        newlines = piece.count("\n")
        pieces += [[] for _ in range(newlines)]
        column = len(piece) - piece.rfind("\n") - 1 if newlines else column + len(piece)
    return RenderedText("".join(clean), tuple(map(tuple, pieces)), tuple(slots))


def render(file: str, text: str, values: Mapping[str, Any]) -> YamlText | Problem:
    """`text` rendered with `values`; text without Jinja syntax comes back as it is, at no cost."""
    if not _SYNTAX.search(text):
        return PlainText(text)
    if bad := _MARKERS.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        return Problem(file, line, 1, "the characters U+E000 to U+E003 are reserved in templates")
    environment = _BASE.overlay()
    environment.slots = []
    try:
        code = environment.compile(text, file, file)
        template = environment.template_class.from_code(
            environment, code, environment.make_globals(None), None
        )
        return _rendered(template.render(MappingProxyType(dict(values))), environment.slots)
    except TemplateSyntaxError as error:
        return Problem(file, error.lineno, 1, f"template: {error.message}")
    except Exception as error:  # noqa: BLE001 - a template can raise anything, and it is the author's
        return Problem(file, _error_line(error, file), 1, f"template: {_reason(error)}")


def _error_line(error: Exception, file: str) -> int:
    """The line of the template that raised: Jinja puts frames of the template into the traceback."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] or 1 if lines else 1


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateError):
        return error.message or type(error).__name__
    return f"{type(error).__name__}: {error}"
