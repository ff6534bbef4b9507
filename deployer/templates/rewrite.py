"""Rewrites the tree of a template, so that the value of an expression never becomes text of the document.

Top-level output is replaced by placeholders, and markers encode the location of each piece of text, and of
each new line in it, in the author's file. Captured text is a value like any other. The rewritten tree calls
methods of the environment: `slot`, `captured`, `joined`, `included`, `imported`, `imported_names`,
`inherited` and `recursed`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jinja2 import TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.visitor import NodeTransformer

from deployer.templates.source_map import INCLUDE_END, Position, marker
from deployer.templates.value_usage import Names, bound_names, used_values

# Names that Jinja binds; no values of the project.
_SPECIAL = ("self", "super", "loop", "caller", "varargs", "kwargs")
_BEGINS = frozenset(("data", "variable_begin", "block_begin"))
_WORDS: dict[type[nodes.Node], Sequence[str]] = {
    nodes.If: ("if", "elif"),
    nodes.For: ("for",),
    nodes.Assign: ("set",),
    nodes.AssignBlock: ("set",),
    nodes.Macro: ("macro",),
    nodes.CallBlock: ("call",),
    nodes.FilterBlock: ("filter",),
    nodes.Block: ("block",),
    nodes.Include: ("include",),
    nodes.Import: ("import",),
    nodes.FromImport: ("from",),
    nodes.Extends: ("extends",),
    nodes.With: ("with",),
    nodes.ScopedEvalContextModifier: ("autoescape",),
}


class CaptureCodeGenerator(CodeGenerator):
    """Jinja's code generator, except that the text of a recursive loop is not captured like other buffered text."""

    def return_buffer_contents(self, frame: Frame, force_unescaped: bool = False) -> None:
        if force_unescaped:
            super().return_buffer_contents(frame, force_unescaped)
        else:
            self.writeline(f"return ''.join({frame.buffer})")

    def visit_Call(  # noqa: N802 - the base's name
        self, node: nodes.Call, frame: Frame, forward_caller: bool = False
    ) -> None:
        if not isinstance(node.node, nodes.EnvironmentAttribute):
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        # Our own methods are called without the checks of the sandbox.
        self.write(f"environment.{node.node.name}(")
        for argument in node.args:
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")


class _ConcatRewriter(NodeTransformer):
    """A transformer of `a ~ b` into a call, because Jinja converts all operands to strings."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the base's name
        self.generic_visit(node)
        return _call("joined", *node.nodes, lineno=node.lineno)


def rewrite(
    tree: nodes.Template,
    source: str,
    tokens: Iterable[tuple[int, str, str]],
    file: str,
    number: int,
    functions: Iterable[str],
) -> frozenset[str]:
    """Rewrite `tree` in place, and return the names that it binds. `number` is that of `file` in markers.

    `functions` are names of functions, which are not values either.
    """
    bound = bound_names(tree)
    layout = _Layout(source, tokens, file)
    if layout.joins:
        _ConcatRewriter().visit(tree)
    pieces = [piece for output in tree.find_all(nodes.Output) for piece in output.nodes]
    positions = dict(zip(map(id, pieces), layout.pieces, strict=True))
    rewriter = _Rewriter(file, number, positions, layout.tags, {*_SPECIAL, *functions, *bound})
    extends = [node for node in tree.body if isinstance(node, nodes.Extends)]
    tree.body = rewriter.body(tree.body, _Enclosing())
    # The extended template runs after the last statement, which gives its location.
    tree.body += [_empty_statement(node.lineno) for node in extends[:1]]
    return bound


class _Layout:
    """The positions of text, output expressions and tags in a template."""

    def __init__(self, source: str, tokens: Iterable[tuple[int, str, str]], file: str) -> None:
        self.pieces: list[Position] = []
        self.tags: dict[tuple[int, str], Position] = {}
        self.joins = False
        lines = [0, *(newline.end() for newline in re.finditer("\n", source))]
        offset = 0
        tag: Position | None = None
        for number, kind, text in tokens:
            # Only spaces that `{%-` removes can be between two tokens.
            offset = source.index(text, offset)
            if kind in _BEGINS:
                line = bisect_right(lines, offset)
                position = Position(line, offset - lines[line - 1] + 1)
                if kind == "block_begin":
                    tag = position
                else:
                    self.pieces.append(position)
            elif tag and kind == "name":
                if text == "print":
                    message = "unknown tag 'print'; use '{{ ... }}'"
                    raise TemplateSyntaxError(message, number, file, file)
                self.tags.setdefault((number, text), tag)
                tag = None
            elif text == "~":
                self.joins = True
            offset += len(text)


def _call(method: str, *arguments: nodes.Expr, lineno: int) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), list(arguments), [], None, None, lineno=lineno)


class _Enclosing(NamedTuple):
    """The context around a statement.

    `capturing`: inside a block that captures its output. `recursive`: `loop(...)` calls a recursive loop, whose
    output is rewritten there.
    """

    capturing: bool = False
    recursive: bool = False


class _Rewriter:
    """A rewriter of the statements of one template; those without output are unchanged."""

    def __init__(
        self,
        file: str,
        number: int,
        positions: dict[int, Position],
        tags: dict[tuple[int, str], Position],
        no_values: Collection[str],
    ) -> None:
        self._file = file
        self._number = number
        self._positions = positions
        self._tags = tags
        self._no_values = no_values
        self._blocks = 0
        self._by_type: dict[type[nodes.Node], Callable[[Any, _Enclosing], list[nodes.Node]]] = {
            nodes.Output: self._output,
            nodes.Include: self._include,
            nodes.Import: self._import,
            nodes.FromImport: self._from_import,
            nodes.Extends: self._extends,
            nodes.AssignBlock: self._capture,
            nodes.Macro: self._capture,
            nodes.CallBlock: self._call_block,
            nodes.FilterBlock: self._filter_block,
            nodes.Block: self._block,
            nodes.For: self._for,
            nodes.If: self._if,
            nodes.With: self._scope_with_marker,
            nodes.Scope: self._inside,
            nodes.ScopedEvalContextModifier: self._scope_with_marker,
        }

    def body(self, body: Iterable[nodes.Node], around: _Enclosing) -> list[nodes.Node]:
        result: list[nodes.Node] = []
        for node in body:
            for word in _WORDS.get(type(node), ()):
                if tag := self._tags.get((node.lineno, word)):
                    node.lineno = tag.as_number
                    break
            rewritten = self._by_type.get(type(node))
            result += rewritten(node, around) if rewritten else [node]
        return result

    # --- statements with statements inside

    def _inside(self, node: nodes.Scope, around: _Enclosing) -> list[nodes.Node]:
        node.body = self.body(node.body, around)
        return [node]

    def _scope_with_marker(
        self, node: nodes.With | nodes.ScopedEvalContextModifier, around: _Enclosing
    ) -> list[nodes.Node]:
        node.body = self.body(node.body, around)
        return [_empty_statement(node.lineno), node]

    def _if(self, node: nodes.If, around: _Enclosing) -> list[nodes.Node]:
        node.body = self.body(node.body, around)
        node.elif_ = [branch for branch in self.body(node.elif_, around) if isinstance(branch, nodes.If)]
        node.else_ = self.body(node.else_, around)
        return [node]

    def _for(self, node: nodes.For, around: _Enclosing) -> list[nodes.Node]:
        node.body = self.body(node.body, _Enclosing(around.capturing, node.recursive))
        node.else_ = self.body(node.else_, around)
        return [node]

    def _block(self, node: nodes.Block, _: _Enclosing) -> list[nodes.Node]:
        # Its override may be in another file: whether it is captured is known only at run time.
        node.body = self.body(node.body, _Enclosing())
        return [node]

    # --- statements that capture

    def _capture(self, node: nodes.AssignBlock | nodes.Macro, _: _Enclosing) -> list[nodes.Node]:
        node.body = self.body(node.body, _Enclosing(capturing=True))
        return [node]

    def _call_block(self, node: nodes.CallBlock, around: _Enclosing) -> list[nodes.Node]:
        node.body = self.body(node.body, _Enclosing(capturing=True))
        return self._captured([node], None, self._used(node.call), node.lineno, around)

    def _filter_block(self, node: nodes.FilterBlock, around: _Enclosing) -> list[nodes.Node]:
        body = self.body(node.body, _Enclosing(capturing=True))
        return self._captured(body, node.filter, self._used(node.filter), node.lineno, around)

    def _captured(
        self,
        body: list[nodes.Node],
        filter_: nodes.Filter | None,
        used: Names,
        number: int,
        around: _Enclosing,
    ) -> list[nodes.Node]:
        """Return statements that output a body as a value: `{% set x %}...{% endset %}{{ x | filter }}`."""
        self._blocks += 1
        name = f"_captured_{self._blocks}"
        value: nodes.Expr = nodes.Name(name, "load", lineno=number)
        if filter_:
            innermost = filter_
            while isinstance(innermost.node, nodes.Filter):
                innermost = innermost.node
            innermost.node, value = value, filter_
        capture = nodes.AssignBlock(nodes.Name(name, "store"), None, body, lineno=number)
        output = self._value(value, Position.of_number(number), used, capturing=around.capturing)
        return [capture, nodes.Output(list(output), lineno=number)]

    # --- statements without others inside

    def _extends(self, node: nodes.Extends, _: _Enclosing) -> list[nodes.Node]:
        begins = nodes.TemplateData(marker(self._number, Position.of_number(node.lineno), "^"))
        return [nodes.Output([begins], lineno=node.lineno), node]

    def _include(self, node: nodes.Include, _: _Enclosing) -> list[nodes.Node]:
        begins = nodes.TemplateData(marker(self._number, Position.of_number(node.lineno), "+"))
        ignore_missing = nodes.Const(node.ignore_missing)
        text = _call("included", *self._of_file(node), ignore_missing, lineno=node.lineno)
        return [nodes.Output([begins, text, nodes.TemplateData(INCLUDE_END)], lineno=node.lineno)]

    def _import(self, node: nodes.Import, _: _Enclosing) -> list[nodes.Node]:
        target = nodes.Name(node.target, "store", lineno=node.lineno)
        call = _call("imported", *self._of_file(node), lineno=node.lineno)
        return [nodes.Assign(target, call, lineno=node.lineno)]

    def _from_import(self, node: nodes.FromImport, _: _Enclosing) -> list[nodes.Node]:
        pairs = [name if isinstance(name, tuple) else (name, name) for name in node.names]
        targets: list[nodes.Expr] = [nodes.Name(alias, "store", lineno=node.lineno) for _, alias in pairs]
        names = nodes.Const(tuple(name for name, _ in pairs))
        call = _call("imported_names", *self._of_file(node), names, lineno=node.lineno)
        return [nodes.Assign(nodes.Tuple(targets, "store"), call, lineno=node.lineno)]

    def _of_file(self, node: nodes.Include | nodes.Import | nodes.FromImport) -> list[nodes.Expr]:
        """Return the arguments for loading a file: its name, the parent file, and the context of the parent."""
        context = nodes.DerivedContextReference() if node.with_context else nodes.Const(None)
        return [node.template, nodes.Const(self._file), context]

    # --- output

    def _output(self, node: nodes.Output, around: _Enclosing) -> list[nodes.Node]:
        node.nodes = [
            made for piece in node.nodes for made in self._written(piece, self._positions[id(piece)], around)
        ]
        return [node]

    def _written(self, piece: nodes.Expr, position: Position, around: _Enclosing) -> Iterator[nodes.Expr]:
        """Yield the output nodes for a piece of template text or an expression."""
        if isinstance(piece, nodes.TemplateData):
            if not around.capturing:
                piece.data = self._marked(piece.data, position)
            yield piece
            return
        for part in nodes.Output([piece]).find_all((nodes.Filter, nodes.Test)):
            part.lineno = position.as_number  # for an unknown one, Jinja reports only this
        used = self._used(piece)
        match piece:
            case nodes.Call(node=nodes.Name(name="loop") as function, args=[items], kwargs=[]) if (
                around.recursive
            ):
                yield _call("recursed", function, items, lineno=position.as_number)
            case nodes.Call(node=nodes.Name(name="super") as function, args=[], kwargs=[]):
                yield _call(
                    "inherited", function, *_of_placeholder(position, used), lineno=position.as_number
                )
            case _:
                yield from self._value(piece, position, used, capturing=around.capturing)

    def _used(self, expression: nodes.Node) -> Names:
        return used_values(expression, self._no_values)

    def _value(
        self, value: nodes.Expr, position: Position, used: Names, *, capturing: bool
    ) -> Iterator[nodes.Expr]:
        if capturing:
            yield _call("captured", value, nodes.Const(position.as_number), lineno=position.as_number)
        else:
            yield nodes.TemplateData(marker(self._number, position))
            yield _call("slot", value, *_of_placeholder(position, used), lineno=position.as_number)

    def _marked(self, text: str, position: Position) -> str:
        first, *rest = text.split("\n")
        lines = [
            marker(self._number, Position(line, 1)) + line_text
            for line, line_text in enumerate(rest, position.line + 1)
        ]
        return "\n".join([marker(self._number, position) + first, *lines])


def _empty_statement(lineno: int) -> nodes.ExprStmt:
    """Return a statement without effect, for locations that Jinja does not record."""
    return nodes.ExprStmt(nodes.Const(None), lineno=lineno)


def _of_placeholder(position: Position, used: Names) -> tuple[nodes.Const, nodes.Const]:
    return nodes.Const(position.as_number), nodes.Const(used)
