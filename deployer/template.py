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
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from jinja2 import (
    DictLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    Undefined,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from deployer.document import MAX_DEPTH, MAX_DIGITS, PlainText, Unfillable, YamlText
from deployer.errors import Code, Problem
from deployer.model import Place

_SLOT_OPEN, _SLOT_CLOSE, _MARK_OPEN, _MARK_CLOSE = "\ue000", "\ue001", "\ue002", "\ue003"
_MARKERS = re.compile(f"[{_SLOT_OPEN}-{_MARK_CLOSE}]")
_ESCAPED_MARKERS = re.compile(r"\\(u|U0000)[eE]00[0-3]")
_RESERVED = "the characters U+E000 to U+E003 are reserved in templates"
_UNUSABLE = re.compile(f"[{_SLOT_OPEN}-{_MARK_CLOSE}\ud800-\udfff]|<[\\w .]+ at 0x[0-9a-f]+>")
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

    slots: list[tuple[Any, Place]]
    file: str

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        pieces = [piece for output in template.find_all(nodes.Output) for piece in output.nodes]
        places = dict(zip(map(id, pieces), self._places(source), strict=True))
        template.body = _hygienic(template.body, places)
        template.set_environment(self)
        return template

    def _places(self, source: str) -> Iterator[Place]:
        """Where each piece of template text and each output expression begins, in order."""
        lines = [0, *(newline.end() for newline in re.finditer("\n", source))]
        offset = 0
        for _, token, text in self.lexer.tokeniter(source, None):
            # Only blanks that `{%-` takes away can stand between two tokens.
            offset = source.index(text, offset)
            if token in ("data", "variable_begin"):
                line = bisect_right(lines, offset)
                yield Place("", line, offset - lines[line - 1] + 1)
            offset += len(text)

    def slot(self, value: Any, line: int, column: int) -> str:
        """Keeps `value` for later and returns its placeholder. Called by compiled templates."""
        place = Place(self.file, line, column)
        data = _data(value, place)
        self.slots.append((JsonText(data) if isinstance(value, JsonText) else data, place))
        return f"{_SLOT_OPEN}{len(self.slots) - 1}{_SLOT_CLOSE}"

    def captured(self, value: Any, line: int, column: int) -> str:
        """The text of an expression inside a block that captures text. Called by compiled templates."""
        return _as_text(_data(value, Place(self.file, line, column)), Place(self.file, line, column))


def _to_json(value: Any, indent: int | None = None) -> JsonText:
    return JsonText(json.dumps(_plain(value), ensure_ascii=False, indent=indent))


def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.loader = DictLoader({})
    environment.filters["tojson"] = _to_json
    for name in _UNREPEATABLE_FILTERS:
        del environment.filters[name]
    for name in _UNREPEATABLE_GLOBALS:
        del environment.globals[name]
    return environment


_BASE = _environment()


def _hygienic(
    body: list[nodes.Node],
    places: Mapping[int, Place],
    *,
    capturing: bool = False,
    recursive: bool = False,
) -> list[nodes.Node]:
    """Rewrites all output: into placeholders, or into text inside a block that captures it.

    `recursive` says that `loop(...)` calls the recursive loop around it: what that writes is rewritten here.
    """
    result: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Output):
            node.nodes = [
                made
                for piece in node.nodes
                for made in _rewritten(piece, places[id(piece)], capturing=capturing, recursive=recursive)
            ]
            result.append(node)
            continue
        captures = isinstance(node, nodes.Macro | nodes.CallBlock | nodes.FilterBlock | nodes.AssignBlock)
        for name in ("body", "else_", "elif_"):
            if children := getattr(node, name, None):
                calls_loop = name == "body" and node.recursive if isinstance(node, nodes.For) else recursive
                inner = _hygienic(
                    children,
                    places,
                    capturing=capturing or captures,
                    recursive=calls_loop and not isinstance(node, nodes.Block),
                )
                setattr(node, name, inner)
        writes = isinstance(node, nodes.CallBlock | nodes.FilterBlock)
        result += _captured(node) if writes and not capturing else [node]
    return result


def _captured(node: nodes.Node) -> list[nodes.Node]:
    """A block that writes captured text, as: `{% set it %}...{% endset %}{{ it }}`."""
    name = f"_captured_{node.lineno}"
    capture = nodes.AssignBlock(nodes.Name(name, "store"), None, [node])
    output = nodes.Output([_call("slot", nodes.Name(name, "load"), Place("", node.lineno, 1))])
    for made in (capture, output):
        made.set_lineno(node.lineno)
    return [capture, output]


def _call(method: str, expression: nodes.Expr, place: Place) -> nodes.Call:
    arguments = [expression, nodes.Const(place.line), nodes.Const(place.column)]
    call = nodes.Call(nodes.EnvironmentAttribute(method), arguments, [], None, None)
    call.set_lineno(expression.lineno)
    return call


def _rewritten(piece: nodes.Expr, place: Place, *, capturing: bool, recursive: bool) -> Iterator[nodes.Expr]:
    """A piece of template text, or an expression that is written."""
    if isinstance(piece, nodes.TemplateData):
        if not capturing:
            first, *rest = piece.data.split("\n")
            lines = [
                _mark(Place("", place.line + number, 1)) + line for number, line in enumerate(rest, start=1)
            ]
            piece.data = "\n".join([_mark(place) + first, *lines])
        yield piece
        return
    if capturing:
        yield _call("captured", piece, place)
        return
    yield nodes.TemplateData(_mark(place), lineno=piece.lineno)
    calls = piece.node if isinstance(piece, nodes.Call) else None
    is_loop = recursive and isinstance(calls, nodes.Name) and calls.name == "loop"
    yield piece if is_loop else _call("slot", piece, place)


def _mark(place: Place) -> str:
    return f"{_MARK_OPEN}{place.line}:{place.column}{_MARK_CLOSE}"


@dataclass(frozen=True, slots=True)
class RenderedText:
    """A rendered template. `pieces[line]` lists (column, author's line, author's column), in order."""

    file: str
    text: str
    pieces: tuple[tuple[tuple[int, int, int], ...], ...]
    slots: tuple[tuple[Any, Place], ...]

    def place(self, line: int, column: int) -> Place:
        for number in range(min(line, len(self.pieces) - 1), -1, -1):
            pieces = self.pieces[number]
            last = bisect_right(pieces, column, key=itemgetter(0)) if number == line else len(pieces)
            if last:
                start, author_line, author_column = pieces[last - 1]
                return Place(self.file, author_line, author_column + (column - start) * (number == line))
        return Place(self.file, 1, 1)

    def is_filled(self, scalar: str) -> bool:
        return _SLOT_OPEN in scalar

    def names(self, scalar: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def fill(self, scalar: str, *, plain: bool) -> Any:
        if plain and (alone := _SLOT.fullmatch(scalar)):
            value, _ = self.slots[int(alone[1])]
            return json.loads(value) if isinstance(value, JsonText) else value
        return _SLOT.sub(lambda match: _as_text(*self.slots[int(match[1])]), scalar)


def _data(value: Any, place: Place) -> Any:
    """Plain data of what the expression at `place` gives. Raises Unfillable for what is not data."""
    try:
        return _plain(value)
    except (ValueError, TemplateError) as error:
        raise Unfillable(str(error), place) from None


def _plain(value: Any, depth: int = 0) -> Any:
    """Plain data of a template value. Raises ValueError, or UndefinedError saying what is undefined."""
    if depth > MAX_DEPTH:
        raise ValueError(f"the value is nested deeper than {MAX_DEPTH} levels")
    match value:
        case Undefined():
            value._fail_with_undefined_error()
        case None | bool():
            return value
        case int() | float() if abs(value) < 10**MAX_DIGITS:
            return value
        case str() if not _UNUSABLE.search(value):
            return str(value)
        case list() | tuple() | range():
            return [_plain(item, depth + 1) for item in value]
        case Mapping():
            return {_plain_key(key): _plain(item, depth + 1) for key, item in value.items()}
    raise ValueError(f"the expression gives {_what(value)}")


def _what(value: Any) -> str:
    """What `value` is that it cannot be data."""
    match value:
        case int() | float():
            return f"a number that is not finite, or has more than {MAX_DIGITS} digits"
        case str():
            return "text with half a character, one from U+E000 to U+E003, or the address of an object in it"
        case _ if callable(value):
            return "a function; a key of that name is written x['name']"
        case _:
            return f"a {type(value).__name__}, which is not data; try '| list'"


def _plain_key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError("a mapping key must be text")
    return str(_plain(key))


def _as_text(value: Any, place: Place) -> str:
    if isinstance(value, dict | list):
        what = "mapping" if isinstance(value, dict) else "list"
        raise Unfillable(f"a {what} cannot stand inside text; use '| tojson' or '| join(...)'", place)
    return value if isinstance(value, str) else json.dumps(value)


def _rendered(file: str, text: str, slots: list[tuple[Any, Place]]) -> RenderedText:
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
    return RenderedText(file, "".join(clean), tuple(map(tuple, pieces)), tuple(slots))


def render(file: str, text: str, values: Mapping[str, Any]) -> YamlText | Problem:
    """`text` rendered with `values`; text without Jinja syntax comes back as it is, at no cost."""
    if not _SYNTAX.search(text):
        return PlainText(file, text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if bad := _MARKERS.search(text):
        return Problem(_place(file, text, bad.start()), _RESERVED, Code.RESERVED_CHARACTER)
    environment = _BASE.overlay()
    environment.slots = []
    environment.file = file
    try:
        code = environment.compile(text, file, file)
        template = environment.template_class.from_code(
            environment, code, environment.make_globals(None), None
        )
        rendered = _rendered(file, template.render(MappingProxyType(dict(values))), environment.slots)
    except Unfillable as error:
        return Problem(error.place, f"template: {error}", Code.NOT_DATA)
    except Exception as error:  # noqa: BLE001 - a template can raise anything, and it is the author's
        return Problem(_error_place(error, file, text), f"template: {_reason(error)}", Code.TEMPLATE_ERROR)
    if escaped := _ESCAPED_MARKERS.search(rendered.text):
        place = _place(file, rendered.text, escaped.start())
        place = rendered.place(place.line - 1, place.column - 1)
        return Problem(place, _RESERVED, Code.RESERVED_CHARACTER)
    return rendered


def _place(file: str, text: str, offset: int) -> Place:
    return Place(file, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _error_place(error: Exception, file: str, text: str) -> Place:
    """The line of the template that raised (Jinja puts frames of it into the traceback), at its first tag."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == file]
    if isinstance(error, TemplateSyntaxError):
        lines.append(error.lineno)
    line = min(lines[-1] if lines else 1, text.rstrip().count("\n") + 1)
    written = text.split("\n")[line - 1]
    tag = _SYNTAX.search(written) or re.search(r"\S", written)
    return Place(file, line, tag.start() + 1 if tag else 1)


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return "include, import and extends are not available in this version"
    if isinstance(error, TemplateError):
        return error.message or type(error).__name__
    if isinstance(error, SyntaxError):
        return error.msg
    if isinstance(error, RecursionError):
        return "it calls itself too often, or is nested too deeply"
    return f"{type(error).__name__}: {error}"
