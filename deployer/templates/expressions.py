"""Values of template expressions: plain data, secrets, parameters, and our own filters and functions.

All are deterministic: neither these nor the remaining ones of Jinja read a clock, the environment or the
network, or expose the memory address of an object.
"""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from jinja2.filters import make_attrgetter
from jinja2.nodes import EvalContext
from jinja2.runtime import Undefined
from jinja2.utils import pass_eval_context

from deployer import secrets
from deployer.documents.reserved import RESERVED
from deployer.errors import Code
from deployer.parameters import dates
from deployer.parameters import references as parameters
from deployer.templates.rendered import MAX_TEXT, InvalidValue, as_text

MAX_DEPTH = 64
MAX_DIGITS = 40
MAX_BITS = 10_000

# Jinja's own names that are not deterministic, or only decoration.
UNREPEATABLE_FILTERS = ("random",)
UNREPEATABLE_GLOBALS = ("lipsum", "cycler", "joiner")

_HALF = re.compile("[\ud800-\udfff]")
_ADDRESS = re.compile(" at 0x[0-9a-fA-F]+>")
_DLI_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def reject_opaque(*operands: object) -> NoReturn:
    """Raise the error for an unsupported operation on a secret or a parameter; it is among the `operands`."""
    opaque = [operand.text for operand in _opaque_in(operands)]
    if opaque and not any(secrets.OPEN in text for text in opaque):
        raise InvalidValue(
            "the value of a parameter is not known to the template: it can be used in a string, list or mapping,"
            " concatenated (~, +, join), captured, or passed to date, b64encode, sha256 or urlencode; other"
            " operations are not supported",
            Code.PARAMETER_MISPLACED,
        )
    raise InvalidValue(
        "a secret can be used in a string, list or mapping, concatenated (~, +, join), captured, or passed to"
        " b64encode, sha256 or urlencode; other operations are not supported",
        Code.SECRET_USE,
    )


class Opaque:
    """A string with references to secrets or parameters. A template can pass it on, but cannot inspect it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def joined(cls, parts: Iterable[Any], between: Any = "") -> str | Opaque:
        """Join `parts` to a string; to an opaque one if one of them is. Raises InvalidValue."""
        parts = list(parts)
        text = _marked(between).join(map(_marked, parts))
        if any(isinstance(part, Opaque) for part in (*parts, between)):
            return cls(text)
        return str(checked(text))

    def __add__(self, other: Any) -> Any:
        return self.joined((self, other)) if isinstance(other, str | Opaque) else reject_opaque(self, other)

    def __radd__(self, other: Any) -> Any:
        return self.joined((other, self)) if isinstance(other, str) else reject_opaque(self, other)

    __str__ = __repr__ = __format__ = __bool__ = __len__ = __iter__ = __contains__ = reject_opaque
    __hash__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = reject_opaque
    __getitem__ = __call__ = __int__ = __float__ = __index__ = __pos__ = __neg__ = __abs__ = reject_opaque
    __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = reject_opaque
    __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __round__ = __reversed__ = reject_opaque


class Dumped(str):
    """A string that is also data: the data if it is the whole of an unquoted scalar, else the string."""

    __slots__ = ("data",)
    data: Any


def _marked(part: Any) -> str:
    return part.text if isinstance(part, Opaque) else as_text(to_data(part))


def to_data(value: Any, depth: int = 0, *, as_references: bool = True) -> Any:
    """Convert a template's value to plain data, opaque strings `as_references`. Raises InvalidValue, UndefinedError."""
    if depth > MAX_DEPTH:
        raise InvalidValue(f"the value is nested deeper than {MAX_DEPTH} levels")
    match value:
        case Undefined():
            value._fail_with_undefined_error()
        case Opaque():
            return value.text if as_references else reject_opaque(value)
        case None | bool():
            return value
        case int() | float() if abs(value) < 10**MAX_DIGITS:
            return value
        case str():
            return _valid_text(value)
        case list() | tuple() | range():
            return [to_data(item, depth + 1, as_references=as_references) for item in value]
        case Mapping():
            return {
                _key(key): to_data(item, depth + 1, as_references=as_references)
                for key, item in value.items()
            }
    raise InvalidValue(f"the expression returns {_describe(value)}")


def _valid_text(text: str) -> str:
    if RESERVED.search(text):
        message = "the string contains one of the reserved characters U+E000 to U+E009"
        raise InvalidValue(message, Code.RESERVED_CHARACTER)
    if _HALF.search(text):
        raise InvalidValue("the string contains an unpaired surrogate")
    return str(checked(text))


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidValue("mapping keys must be strings")
    return _valid_text(key)


def _describe(value: Any) -> str:
    """Describe the reason why `value` is not data."""
    if isinstance(value, int | float):
        return f"a number that is not finite, or has more than {MAX_DIGITS} digits"
    if callable(value):
        return "a function; access a key of that name with x['name']"
    return f"a {type(value).__name__}, which is not data; try '| list'"


def checked(result: Any) -> Any:
    """Return a result unless it is too long or contains an object's memory address."""
    if isinstance(result, str):
        if len(result) > MAX_TEXT:
            raise too_long()
        if _ADDRESS.search(result):
            raise InvalidValue("the string contains an object's memory address; try '| list'")
    return result


def too_long() -> InvalidValue:
    return InvalidValue(f"the result exceeds {MAX_TEXT:,} characters", Code.TEMPLATE_LIMIT)


def without_opaque(function: Callable[..., Any], *, takes_opaque: bool = False) -> Callable[..., Any]:
    """Wrap a filter or test to reject opaque strings unless it `takes_opaque`, and to check its result."""

    @functools.wraps(function)
    def guard(*args: Any, **kwargs: Any) -> Any:
        if not takes_opaque and any(isinstance(argument, Opaque) for argument in (*args, *kwargs.values())):
            reject_opaque(*args, *kwargs.values())
        return checked(function(*args, **kwargs))

    return guard


def holds_opaque(value: Any) -> bool:
    """Return whether a value contains an opaque string, at any depth."""
    return next(_opaque_in(value), None) is not None


def _opaque_in(value: Any) -> Iterator[Opaque]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Opaque):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _opaque_in(item)


# --- operators --------------------------------------------------------------------------------------------


def _multiply(left: Any, right: Any) -> Any:
    for operand, count in ((left, right), (right, left)):
        if isinstance(count, int) and isinstance(operand, str | bytes | list | tuple):
            if len(operand) * count > MAX_TEXT:
                raise OverflowError(f"the result exceeds {MAX_TEXT:,} characters or items")
        elif isinstance(count, int) and isinstance(operand, int):
            _bounded(count.bit_length() + operand.bit_length())
    return left * right


def _power(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        _bounded(left.bit_length() * max(right, 0))
    return left**right


def _bounded(bits: int) -> None:
    if bits > MAX_BITS:
        raise OverflowError(f"the result exceeds {MAX_BITS * 3 // 10:,} digits")


def _minus(left: Any, right: Any) -> Any:
    result = left - right
    if isinstance(result, set | frozenset):
        raise InvalidValue("'-' returns an unordered set here; use \"| reject('in', ...) | list\"")
    return result


def _modulo(left: Any, right: Any) -> Any:
    return checked(operator.mod(left, right))


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "*": _multiply,
    "**": _power,
    "-": _minus,
    "%": _modulo,
}


# --- filters and functions --------------------------------------------------------------------------------


def _dumped(text: str, data: Any) -> Dumped:
    dumped = Dumped(text)
    dumped.data = data
    return dumped


def _to_json(value: Any, indent: int | None = None) -> Dumped:
    data = to_data(value, as_references=False)
    return _dumped(json.dumps(data, ensure_ascii=False, indent=indent), data)


def _to_yaml(value: Any) -> Dumped:
    # Imported here, so that other templates do not load the YAML parser.
    from deployer.documents.dump import dump

    data = to_data(value, as_references=False)
    return _dumped(dump(data).removesuffix("\n"), data)


def _deferrable_filter(name: str) -> Callable[[Any], Any]:
    """Return a filter of strings, which is deferred for an opaque string."""

    def filter_(value: Any) -> Any:
        if isinstance(value, Opaque):
            # A secret's filter may have parameters inside; they are filled before secrets.
            of = secrets if secrets.OPEN in value.text else parameters
            return Opaque(of.deferred_reference(name, value.text))
        return secrets.FILTERS[name](as_text(to_data(value)))

    return filter_


def _url_encoded(jinja: Callable[[Any], Any], value: Any) -> Any:
    return _deferrable_filter("urlencode")(value) if isinstance(value, Opaque) else jinja(value)


def _date(value: Any, form: Any = dates.ISO, days: Any = 0) -> Opaque:
    """Return a parameter, which is a date, in another form and some days later."""
    use = parameters.single_use(value.text) if isinstance(value, Opaque) else None
    if use is None or use.form:
        message = "'date' is for one parameter: {{ param('date') | date('%Y%m%d', days=1) }}"
        raise InvalidValue(message, Code.PARAMETER_MISPLACED)
    if not isinstance(form, str) or (problem := dates.form_problem(form)):
        words = problem if isinstance(form, str) else "the form of a date is a string"
        raise InvalidValue(words, Code.PARAMETER_TYPE)
    if not isinstance(days, int) or isinstance(days, bool) or abs(days) > dates.MAX_DAYS:
        raise InvalidValue(f"'days' must be an integer of at most {dates.MAX_DAYS}", Code.PARAMETER_TYPE)
    return Opaque(parameters.Use(use.name, form, days).mark)


@pass_eval_context
def _join(context: EvalContext, value: Any, d: Any = "", attribute: Any = None) -> Any:
    """Join like Jinja's filter, opaque strings too."""
    if attribute is not None:
        value = map(make_attrgetter(context.environment, attribute), value)
    return Opaque.joined(value, d)


def filters(jinja: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return our filters and Jinja's, except those that are not repeatable."""
    kept = {name: without_opaque(jinja[name]) for name in jinja if name not in UNREPEATABLE_FILTERS}
    ours: dict[str, Callable[..., Any]] = {
        "b64encode": _deferrable_filter("b64encode"),
        "sha256": _deferrable_filter("sha256"),
        "urlencode": functools.partial(_url_encoded, jinja["urlencode"]),
        "join": _join,
        "date": _date,
    }
    kept |= {name: without_opaque(function, takes_opaque=True) for name, function in ours.items()}
    return kept | {"tojson": without_opaque(_to_json), "to_yaml": without_opaque(_to_yaml)}


def tests(jinja: Mapping[str, Any]) -> dict[str, Any]:
    """Return Jinja's tests; none accepts an opaque string."""
    return {name: without_opaque(test) for name, test in jinja.items()}


def param(name: Any) -> Opaque:
    """Return the mark of a parameter; the manifest may declare it after its first use."""
    if isinstance(name, Undefined):
        name._fail_with_undefined_error()
    if not isinstance(name, str) or not parameters.NAME.fullmatch(name):
        raise InvalidValue(f"{name!r} is not the name of a parameter", Code.PARAMETER_UNKNOWN)
    return Opaque(parameters.reference(name))


def dli_var(name: Any) -> str:
    """Return `{{name}}`, a variable of DLI."""
    if not isinstance(name, str) or not _DLI_NAME.fullmatch(name):
        raise InvalidValue(f"{name!r} is not a valid DLI variable name", Code.TEMPLATE_ERROR)
    return f"{{{{{name}}}}}"
