"""Renders the text of a file with Jinja, hygienically: text -> text with placeholders and source locations.

The value of an expression never becomes document text. Top-level output is replaced by a placeholder of
private-use characters, the rendered text is parsed as YAML, and the placeholders in its scalars are then
filled: so a value can contain newlines, colons or quotes without changing the structure around it. Loops,
conditions, includes and inheritance create structure. Text captured by a macro, call, set or filter block is a
value like any other.

Templates are untrusted: `deployer.templates.sandbox` runs this module in a separate process.
"""

from __future__ import annotations

import difflib
import itertools
import posixpath
import re
import sys
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import FrameType
from typing import Any, cast

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import TemplateRuntimeError, UndefinedError
from jinja2.lexer import TokenStream
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, missing, pass_context

from deployer import secrets
from deployer.documents import reserved
from deployer.errors import Code, Problem, nearest, similar
from deployer.model import Location
from deployer.parameters import references as parameters
from deployer.templates import expressions
from deployer.templates.expressions import Dumped, Opaque, to_data
from deployer.templates.problems import (
    LocatedError,
    TimeLimitExceeded,
    Tracer,
    UndefinedName,
    running_frames,
    unclosed,
)
from deployer.templates.rendered import (
    MAX_TEXT,
    PLACEHOLDER,
    InvalidValue,
    Placeholder,
    RenderedText,
    as_text,
    placeholder_of,
    with_newlines,
)
from deployer.templates.rewrite import CaptureCodeGenerator, rewrite
from deployer.templates.source_map import MAX_VIA, RESERVED, Position, resolve_markers

MAX_PROBLEMS = 100
MAX_LISTED = 10
MAX_NEIGHBOURS = 1000
MAX_NAME = 200

_EARLY_END = "Unexpected end of template"
_UNKNOWN = re.compile(r"No (filter|test) named '(.*?)'")


# A text and its placeholders.
Answer = tuple[str, Sequence[Placeholder]]


class _AlreadyReported(TemplateRuntimeError):
    """A problem that has been reported already."""


@dataclass(slots=True)
class _Run:
    """The state of rendering one file. `seen` is the code whose problems have been reported."""

    file: str
    text: str
    visible: dict[str, Any]
    placeholders: list[Placeholder] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: set[object] = field(default_factory=set)
    modules: dict[str, TemplateModule] = field(default_factory=dict)
    has_opaque: bool = False


class Engine:
    """A renderer of one project's files with the same values. Included files are compiled once.

    `overlays` are the values of folders, in place of those of the same name; a file names its own by number, from 1 on.
    """

    def __init__(
        self,
        folder: Path,
        values: Mapping[str, Any],
        names: Collection[str],
        overlays: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._environment = _Environment(folder, values, names)
        self._overlays = ({}, *overlays)
        self._overlay = 0

    def render(
        self, file: str, text: str, each: Mapping[str, Any] | None = None, overlay: int = 0
    ) -> RenderedText | tuple[Problem, ...]:
        """Return `text`, with `each` on top of the values; or all of its problems."""
        if overlay != self._overlay:
            self._overlay = overlay
            self._environment.use(self._overlays[overlay])
        return self._environment.rendered(file, with_newlines(text), each or {})

    def answers(
        self, texts: Sequence[str], each: Mapping[str, Any] | None, overlay: int = 0
    ) -> list[Answer | None]:
        """Return what each of `texts`, expressions or a single text, renders to; None for one with a problem.

        Expressions are compiled together, as they cannot affect each other.
        """
        together = self.render("", "".join(texts), each, overlay)
        if isinstance(together, RenderedText):
            if len(texts) == 1:
                return [(together.text, together.placeholders)]
            if together.text == "".join(map(placeholder_of, range(len(texts)))):
                return [(placeholder_of(0), [placeholder]) for placeholder in together.placeholders]
        if len(texts) == 1 or each:
            # Those with `each` are of one file, which is rendered whole.
            return [None] * len(texts)
        return [answer for text in texts for answer in self.answers([text], None, overlay)]


class _Environment(ImmutableSandboxedEnvironment):
    """The Jinja environment of a project's templates.

    Compiled templates call the methods under "other files" and "output"; see `deployer.templates.rewrite`.
    """

    code_generator_class = CaptureCodeGenerator
    intercepted_binops = frozenset(expressions.OPERATORS)

    def __init__(self, folder: Path, values: Mapping[str, Any], names: Collection[str]) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
        self.undefined = _undefined_with(self._hint)
        self.concat = self.concatenated  # type: ignore[assignment]
        self.binop_table |= expressions.OPERATORS
        self.filters = expressions.filters(self.filters) | {"required": _required}
        self.tests = expressions.tests(self.tests)
        for name in expressions.UNREPEATABLE_GLOBALS:
            del self.globals[name]
        self._own = {"secret": self._secret, "param": self._param, "dli_var": expressions.dli_var}
        self.globals |= self._own
        self._functions = tuple(self.globals)
        self._common = {**self.globals, **values}
        self._visible = self._common
        self._folder = folder
        self._names = names
        self._files: list[str] = []
        self._texts: dict[str, str] = {}
        self._bound: dict[str, frozenset[str]] = {}
        self._templates: dict[str, Template] = {}
        self._tokens: list[tuple[int, str, str]] = []
        self._last: tuple[str, str, Template] | None = None
        self._run = _Run("", "", {})
        self._tracer = Tracer(self._text)

    def use(self, overlay: Mapping[str, Any]) -> None:
        """Have the next texts see the values of a folder."""
        self._visible = {**self._common, **overlay} if overlay else self._common

    def rendered(self, file: str, text: str, each: Mapping[str, Any]) -> RenderedText | tuple[Problem, ...]:
        run = self._run = _Run(file, text, {**self._visible, **each})
        try:
            template = self._root(file, text)
            raw = _bounded(template.root_render_func(self._context(template, run.visible)))
            made = resolve_markers(raw, file, self._files, run.placeholders)
            if escaped := reserved.ESCAPED.search(made.text):
                location = made.location(*_line_and_column(made.text, escaped.start()))
                run.problems.append(Problem(location, reserved.MESSAGE, Code.RESERVED_CHARACTER))
            if not run.problems:
                return made
        except _AlreadyReported:
            pass
        except (Exception, TimeLimitExceeded) as error:  # noqa: BLE001 - a template can raise anything
            run.problems.append(self._tracer.of_error(self._named(error), file))
        return tuple(sorted(set(run.problems)))

    # --- compiling

    def _root(self, file: str, text: str) -> Template:
        """Return the template of a file; the instances of one `forEach` share it."""
        if self._last and self._last[:2] == (file, text):
            return self._last[2]
        if self._last and self._last[0] not in self._templates:
            self._bound.pop(self._last[0], None)
        self._last = None
        template = self._compiled(file, text)
        self._last = file, text, template
        return template

    def _compiled(self, file: str, text: str) -> Template:
        if bad := reserved.RESERVED.search(text):
            line, column = _line_and_column(text, bad.start())
            raise LocatedError(
                reserved.MESSAGE, Code.RESERVED_CHARACTER, file, Position(line + 1, column + 1)
            )
        # Not `compile`, which would create a traceback with as many lines as the encoded position.
        python = self._generate(self._parse(text, file, file), file, file)
        return self.template_class.from_code(self, self._compile(python, file), {}, None)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        file = name or ""
        try:
            tree = super()._parse(source, name, filename)
        except TemplateSyntaxError as error:
            tag = unclosed(source, self._tokens) if (error.message or "").startswith(_EARLY_END) else None
            if not tag:
                raise
            message = f"missing '{{% end{tag.word} %}}' for this '{tag.word}'"
            raise LocatedError(message, Code.TEMPLATE_SYNTAX, file, tag.position) from None
        self._files.append(file)
        number = len(self._files) - 1
        self._bound[file] = rewrite(tree, source, self._tokens, file, number, self._functions)
        tree.set_environment(self)
        return tree

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        self._tokens = list(self.lexer.tokeniter(source, name, filename, state))
        return TokenStream(self.lexer.wrap(self._tokens, name, filename), name, filename)

    def _context(self, template: Template, visible: dict[str, Any]) -> Context:
        return Context(self, visible, template.name, template.blocks)

    def _text(self, file: str) -> str:
        return self._run.text if file == self._run.file else self._texts.get(file, "")

    # --- other files

    def included(self, names: Any, parent: str, context: Context | None, ignore_missing: bool) -> str:
        """Return the text of `{% include %}`."""
        template = self._chosen(names, parent, ignore_missing=ignore_missing)
        if template is None:
            return ""
        visible = context.get_all() if context else self._visible
        return _bounded(template.root_render_func(self._context(template, visible)))

    def imported(self, name: Any, parent: str, context: Context | None) -> TemplateModule:
        """Handle `{% import %}`; a file without context is run once."""
        template = self.get_template(name, parent)
        if context:
            return TemplateModule(template, self._context(template, context.get_all()))
        file = template.name or ""
        if file not in self._run.modules:
            self._run.modules[file] = TemplateModule(template, self._context(template, self._visible))
        return self._run.modules[file]

    def imported_names(
        self, name: Any, parent: str, context: Context | None, wanted: Sequence[str]
    ) -> tuple[Any, ...]:
        """Handle `{% from ... import %}`."""
        module = self.imported(name, parent, context)
        return tuple(self.getattr(module, attribute) for attribute in wanted)

    def get_template(
        self,
        name: Any,
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002, ARG002 - the base's signature
    ) -> Template:
        """Return the template in a file of the project.

        Names with `./` or `../` are relative to `parent`.
        """
        if isinstance(name, Undefined):
            name._fail_with_undefined_error()
        if isinstance(name, Opaque):
            expressions.reject_opaque(name)
        if not isinstance(name, str):
            raise LocatedError("file names must be strings", Code.INCLUDE)
        file = _resolved(name, parent or "")
        template = self._loaded(file)
        if template is None:
            raise LocatedError(f"file '{_cut(name)}' not found{self._neighbour(name, file)}", Code.INCLUDE)
        return template

    def _chosen(self, names: Any, parent: str, *, ignore_missing: bool) -> Template | None:
        """Return the template of a name, or the first that exists in a list of names."""
        several = isinstance(names, list | tuple)
        for name in names if several else [names]:
            if isinstance(name, str) and (template := self._loaded(_resolved(name, parent))):
                return template
        if ignore_missing and (several or isinstance(names, str)):
            return None
        if several:
            raise LocatedError("none of these files exists", Code.INCLUDE)
        return self.get_template(names, parent)

    def _loaded(self, file: str) -> Template | None:
        """Return the template in a file; None if the file does not exist."""
        # Imported here, as it loads the YAML parser, which templates without includes do not need.
        from deployer.documents.files import read_text

        if file not in self._templates:
            text = read_text(self._folder, file)
            if isinstance(text, Problem):
                if text.code == Code.UNREADABLE_FILE and _is_missing(self._folder / file):
                    return None
                where = f"{text.location}:" if text.location.line else f"'{_cut(file)}'"
                raise LocatedError(f"{where} {text.message}", Code.INCLUDE)
            self._texts[file] = with_newlines(text)
            self._templates[file] = self._compiled(file, self._texts[file])
        return self._templates[file]

    def _neighbour(self, name: str, file: str) -> str:
        """Return a suggestion of a similar file in the same folder."""
        folder = (self._folder / file).parent
        try:
            if not folder.resolve().is_relative_to(self._folder.resolve()):
                return ""
            names = [
                entry.name for entry in itertools.islice(folder.iterdir(), MAX_NEIGHBOURS) if entry.is_file()
            ]
        except (OSError, ValueError):
            return ""
        before = name.removesuffix(posixpath.basename(name))
        known = {PurePath(entry).stem: before + entry for entry in sorted(names) if not entry.startswith(".")}
        # The extension, common to all, makes no name similar.
        close = difflib.get_close_matches(PurePath(name).stem, known, n=1)
        if close:
            return f"; did you mean '{known[close[0]]}'?"
        return nearest("", sorted(known.values())) if len(known) <= MAX_LISTED else ""

    # --- output

    def slot(self, value: Any, number: int, used: Sequence[str]) -> str:
        """Store the value of an expression, and return its placeholder."""
        placeholders = self._run.placeholders
        placeholder = Placeholder()
        if not self._is_reported(sys._getframe(1)):
            try:
                text = to_data(str(value)) if isinstance(value, Dumped) else None
                placeholder = Placeholder(to_data(value) if text is None else value.data, text, names=used)
            except (InvalidValue, TemplateError) as error:
                self._report(error, number)
        placeholders.append(placeholder)
        return placeholder_of(len(placeholders) - 1)

    def captured(self, value: Any, number: int) -> str:
        """Return the text of an expression inside a block that captures text."""
        if not self._is_reported(sys._getframe(1)):
            try:
                return as_text(to_data(value))
            except (InvalidValue, TemplateError) as error:
                self._report(error, number)
        return ""

    def joined(self, *values: Any) -> str | Opaque:
        """Concatenate the values, like `a ~ b`."""
        return Opaque.joined(values)

    def concatenated(self, parts: Iterable[Any]) -> str | Opaque:
        """Return captured output; resolve the markers and placeholders of includes and nested blocks."""
        text = _bounded(parts)
        if RESERVED.search(text):
            made = resolve_markers(text, self._run.file, self._files, self._run.placeholders)
            text = PLACEHOLDER.sub(lambda match: self._text_of(made, int(match[1])), made.text)
        return Opaque(text) if secrets.OPEN in text or parameters.OPEN in text else text

    def _text_of(self, made: RenderedText, number: int) -> str:
        try:
            return made.placeholders[number].as_text
        except InvalidValue as error:
            self._report(error, location=made.origin(number))
            return ""

    def inherited(self, parent: Any, number: int, used: Sequence[str]) -> str:
        """Handle `{{ super() }}`, which is structure where the block is."""
        if isinstance(parent, BlockReference):
            return _bounded(parent._stack[parent._depth](parent._context))
        return self.slot(parent, number, used)

    def recursed(self, loop: Any, items: Any) -> str:
        """Handle `{{ loop(...) }}`, which is structure where the recursive loop is."""
        if not isinstance(loop, LoopContext):
            raise InvalidValue("'loop' is not the loop variable here", Code.TEMPLATE_ERROR)
        return loop(items)

    # --- expressions

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Opaque):
            expressions.reject_opaque(obj)
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Opaque):
            expressions.reject_opaque(obj)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # Jinja refuses `x.update(...)`, but not `dict.update(x, ...)`, which would change the values of other files.
        return super().is_safe_attribute({} if obj is dict else obj, attr, value)

    def call(_self, _context: Context, _callee: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        if "caller" in kwargs and not isinstance(_callee, Macro):
            raise InvalidValue("'{% call %}' supports macros only", Code.TEMPLATE_ERROR)
        if _self._run.has_opaque and not _is_transparent(_callee):
            given = [
                argument for name, argument in kwargs.items() if name not in ("_loop_vars", "_block_vars")
            ]
            if expressions.holds_opaque([*args, *given]):
                expressions.reject_opaque(*args, *given)
        return expressions.checked(super().call(_context, _callee, *args, **kwargs))

    def _secret(self, name: Any) -> Opaque:
        if isinstance(name, Undefined):
            name._fail_with_undefined_error()
        if not isinstance(name, str) or name not in self._names:
            hint = nearest(name, sorted(self._names)) if isinstance(name, str) else ""
            self._report(
                InvalidValue(f"secret {name!r} is not defined in deployer.yaml{hint}", Code.SECRET_NAME)
            )
            name = "UNKNOWN"
        self._run.has_opaque = True
        return Opaque(secrets.reference(name))

    def _param(self, name: Any) -> Opaque:
        self._run.has_opaque = True
        return expressions.param(name)

    # --- problems

    def _is_reported(self, frame: FrameType) -> bool:
        """Return whether a problem of the running expression was reported in an earlier iteration."""
        return (frame.f_code, frame.f_lineno) in self._run.seen

    def _report(self, error: Exception, number: int = 0, location: Location | None = None) -> None:
        """Record a problem of the running expression, or of a captured one at `location`."""
        run = self._run
        if isinstance(error, _AlreadyReported) or len(run.problems) >= MAX_PROBLEMS:
            return
        frames = running_frames()
        here = self._tracer.location(frames) or Location(run.file, 1, 1)
        if location:
            here = location._replace(via=(*location.via, *here.via)[:MAX_VIA])
        elif number:
            position = Position.of_number(number)
            here = here._replace(line=position.line, column=position.column)
            here = self._tracer.origin_of(error, here)
            run.seen.update((frame.f_code, line) for frame, line in frames[-1:])
        run.problems.append(self._tracer.problem(error, here))

    def _named(self, error: BaseException) -> BaseException:
        """Return the error; with the nearest known name, if a filter or test is unknown.

        Jinja reports it while compiling, or while running if the filter is in a conditional block.
        """
        unknown = _UNKNOWN.match(error.message or "") if isinstance(error, TemplateError) else None
        if not unknown:
            return error
        known = self.filters if unknown[1] == "filter" else self.tests
        message = f"unknown {unknown[1]} '{unknown[2]}'{_near(unknown[2], sorted(known), ())}"
        if isinstance(error, TemplateSyntaxError):
            error.args = (message,)
            return error
        return LocatedError(message, Code.TEMPLATE_SYNTAX).with_traceback(error.__traceback__)

    def _hint(self, obj: Any, name: Any) -> str:
        """Return a suggestion for an unknown name: a member of `obj`, or a visible name if `obj` is `missing`."""
        if not isinstance(name, str):
            return ""
        if obj is missing:
            values = [candidate for candidate in self._run.visible if candidate not in self._functions]
            bound = {
                candidate
                for names in self._bound.values()
                for candidate in names
                if not candidate.startswith("_")
            }
            return _near(name, [*values, *sorted(bound), *self._own], values)
        known = vars(obj) if isinstance(obj, TemplateModule) else obj if isinstance(obj, Mapping) else ()
        names = [
            candidate for candidate in known if isinstance(candidate, str) and not candidate.startswith("_")
        ]
        return _near(name, names, names)


def _undefined_with(hint: Callable[[Any, Any], str]) -> type[StrictUndefined]:
    """Return the type of an undefined value whose error ends with a hint."""

    class Hinting(StrictUndefined):
        __slots__ = ()

        def __init__(self, hint: str | None = None, *args: Any, **kwargs: Any) -> None:
            super().__init__(hint, *args, **kwargs)
            if not hint and self._undefined_exception is UndefinedError:
                frames = running_frames()
                self._undefined_exception = lambda message: UndefinedName(message, frames)  # type: ignore[assignment]

        @property
        def _undefined_message(self) -> str:
            if self._undefined_hint:
                return self._undefined_hint
            message = super()._undefined_message
            if isinstance(self._undefined_obj, TemplateModule):
                message = f"'{self._undefined_obj.__name__}' does not define '{self._undefined_name}'"
            return message + hint(self._undefined_obj, self._undefined_name)

    return Hinting


def _near(name: str, known: Sequence[str], listed: Sequence[str]) -> str:
    """Return a suggestion of the nearest of `known`, or else all of `listed` if these are few."""
    return similar(name, known) or (nearest(name, listed) if len(listed) <= MAX_LISTED else "")


@pass_context
def _required(context: Context, value: Any, message: str = "") -> Any:
    """Return `value`, which must not be undefined, null or empty."""
    if isinstance(value, Opaque):
        expressions.reject_opaque(value)
    if isinstance(value, Undefined):
        words = value._undefined_message
    elif value is None or (isinstance(value, str) and not value):
        words = f"a required value is {'null' if value is None else 'empty'}"
    else:
        return value
    words = str(message) or words
    environment = cast("_Environment", context.environment)
    environment._report(InvalidValue(words, Code.UNDEFINED))
    return environment.undefined(hint=words, exc=_AlreadyReported)


def _is_transparent(callee: Any) -> bool:
    """Return whether a callee only passes on its arguments."""
    own = isinstance(callee, Macro) or callee in (dict, Namespace)
    return own or isinstance(getattr(callee, "__self__", None), LoopContext)


def _resolved(name: str, parent: str) -> str:
    """Return a name in a template as a path from the project's folder."""
    folder = PurePath(parent).parent.as_posix() if name.startswith(("./", "../")) else ""
    return posixpath.normpath(posixpath.join(folder, name))


def _cut(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:
        return False


def _bounded(parts: Iterable[Any]) -> str:
    """Concatenate the output of a template, up to the size limit."""
    texts: list[str] = []
    size = 0
    for part in parts:
        texts.append(part.text if isinstance(part, Opaque) else part)
        size += len(texts[-1])
        if size > MAX_TEXT:
            if isinstance(parts, Generator):
                parts.throw(expressions.too_long())  # in the running template, so that its line is known
            raise expressions.too_long()
    return "".join(texts)


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, both from 0."""
    return text.count("\n", 0, offset), offset - text.rfind("\n", 0, offset) - 1
