"""References to secrets in strings: the result of `{{ secret("NAME") }}`, whose value only `apply` reads.

A reference is part of a scalar and has characters that authors cannot use::

    OPEN secret SEP NAME CLOSE      the value of NAME
    OPEN FILTER SEP text CLOSE      the result of a filter for `text`, which has references itself

A scalar with a reference is secret as a whole, including its other text.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from deployer.errors import DeployerError

MAX_FILLED = 256 * 1024
OPEN, SEP, CLOSE = "\ue004", "\ue005", "\ue006"
SECRET = "secret"  # noqa: S105 - the word in a reference
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
RESERVED = re.compile(f"[{OPEN}-{CLOSE}]")
_ESCAPED = "\\ue00"
# All that stands for something else, in this module and others: `deployer.documents.reserved`.
_PRIVATE = re.compile("[\ue000-\ue009]")
FILTERS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "b64encode": lambda text: base64.b64encode(text.encode()).decode(),
        "sha256": lambda text: hashlib.sha256(text.encode()).hexdigest(),
        "urlencode": lambda text: quote(text, safe="/"),
    }
)

_SECRET_REFERENCE = re.compile(f"{OPEN}{SECRET}{SEP}({NAME.pattern}){CLOSE}")
_TOKEN = re.compile(f"({OPEN}{SECRET}{SEP}{NAME.pattern}{CLOSE}|{OPEN}(?:{'|'.join(FILTERS)}){SEP}|{CLOSE})")
# Made once, as they are asked for each value, and dict first, which is quicker.
_MAPPINGS, _LISTS = (dict, Mapping), (list, tuple)
_DAMAGED_REFERENCE = "damaged secret reference"


def reference(name: str) -> str:
    """Return the reference to a secret; raises ValueError for an invalid name."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a secret")
    return f"{OPEN}{SECRET}{SEP}{name}{CLOSE}"


def deferred_reference(filter_name: str, text: str) -> str:
    """Return the reference to the result of one of `FILTERS` for `text` after substitution."""
    if filter_name not in FILTERS:
        raise ValueError(f"{filter_name!r} is not a filter for secrets")
    return f"{OPEN}{filter_name}{SEP}{text}{CLOSE}"


def has_reference(value: object) -> bool:
    """Return whether any string in plain data has a reference, or a part of one."""
    if isinstance(value, str):
        return RESERVED.search(value) is not None
    return may_have_marks(value) and RESERVED.search("".join(texts_in(value))) is not None


def may_have_marks(value: object) -> bool:
    """Return whether plain data may have references, or marks of parameters; false is certain."""
    # `repr` escapes the characters of both, and is quicker than a look at each string.
    return _ESCAPED in repr(value)


def require_no_marks(value: object) -> None:
    """Raise DeployerError for data with a mark that nothing has replaced by its value."""
    if may_have_marks(value) and any(map(_PRIVATE.search, texts_in(value))):
        raise DeployerError("not sent: a parameter or a reference in the request has no value")


def texts_with_references(value: object) -> list[str]:
    """Return the strings with references in plain data, sorted."""
    return sorted(text for text in texts_in(value) if RESERVED.search(text))


def referenced_names(value: object) -> frozenset[str]:
    """Return the names of the secrets that plain data refers to."""
    return frozenset(name for text in texts_in(value) for name in _SECRET_REFERENCE.findall(text))


def display_text(text: str) -> str:
    """Return the printed form of a scalar with references: the names of the secrets only."""
    return f"{SECRET}({', '.join(sorted(referenced_names(text)))})"


def evaluate(text: str, value: Callable[[str, str], str]) -> list[str]:
    """Return the text alternating with the values of its references: literal, value, literal, ..., literal.

    `value` gets the word of a reference, and the name or the evaluated text in it. Raises DeployerError for a
    damaged reference.
    """
    texts: list[list[str]] = [[]]
    filters: list[str] = []
    for number, piece in enumerate(_TOKEN.split(text)):
        if number % 2 == 0:
            if RESERVED.search(piece):
                raise DeployerError(_DAMAGED_REFERENCE)
            texts[-1].append(piece)
        elif secret := _SECRET_REFERENCE.fullmatch(piece):
            texts[-1].append(value(SECRET, secret[1]))
        elif piece != CLOSE:
            filters.append(piece[1:-1])
            texts.append([])
        elif filters:
            inside = join(texts.pop())
            texts[-1].append(value(filters.pop(), inside))
        else:
            raise DeployerError(_DAMAGED_REFERENCE)
    if filters:
        raise DeployerError(_DAMAGED_REFERENCE)
    return texts[0]


def join(pieces: Sequence[str]) -> str:
    """Join the pieces. Values and filters can make a short text very long, so its length is checked first."""
    if sum(map(len, pieces)) > MAX_FILLED:
        raise DeployerError(f"a string with secrets exceeds {MAX_FILLED} characters after substitution")
    return "".join(pieces)


def texts_in(value: object) -> list[str]:
    """Return the strings in plain data, keys included."""
    found: list[str] = []
    pending = [value]
    for item in pending:  # which grows meanwhile
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, _MAPPINGS):
            pending += item
            pending += item.values()
        elif isinstance(item, _LISTS):
            pending += item
    return found
