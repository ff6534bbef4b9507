"""Finds the value of a secret in other text, in any encoding."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
PART = 6  # the shortest part of a value that is searched separately

# What a service numbers its requests with, and how many of its 32 digits must not be masked for it to be one.
_REQUEST_ID = re.compile(r"(?i)[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGITS_LEFT = 24

_ELLIPSIS = re.compile(r"(?=\.\.|\u2026)")


def encoded_forms(value: str) -> Iterator[str]:
    """Yield all forms of `value` in a message: plain, and encoded once or twice."""
    # JSON can be nested in JSON, and both in a URL: the inner form, and its encodings.
    inner = {value, *(nested(value) for nested in _NESTED)}
    inner |= {nested(form) for nested in _NESTED for form in inner}
    escaped = inner | {escape(form) for escape in _ESCAPES for form in inner}
    yield from escaped
    yield from (nested(form) for nested in _NESTED for form in escaped - inner)
    for data in {text.encode() for text in (value, _json(value), _json_ascii(value))}:
        yield from (data.hex(), data.hex().upper())
        for form in set(_base64(data)):
            yield from (form, *(escape(form) for escape in _ESCAPES))
    lines = value.splitlines()
    for line in map(str.strip, lines if len(lines) > 1 else ()):
        if len(line) >= PART:
            yield from (line, *(escape(line) for escape in _ESCAPES))


def clean_request_id(text: str, clean: Callable[[str], str]) -> str:
    """Return a request id without secrets, as `clean` returns it; whole where only a few digits are like a secret.

    A short secret is part of a random number by chance, and the vendor's support finds a request by the whole id.
    """
    cleaned = clean(text)
    left = sum(character.isalnum() for character in cleaned.replace(MASK, ""))
    return text if _REQUEST_ID.fullmatch(text) and left >= _DIGITS_LEFT else cleaned


def find(form: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of `form` in `text`."""
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + len(form))


def find_cut_off(forms: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans where `text` ends, or is cut off with `...`, after the start of one of `forms`."""
    ends = [*(match.start() for match in _ELLIPSIS.finditer(text)), len(text)]
    for form in forms:
        head = form[:PART]
        if len(form) <= PART or head not in text:
            continue
        for end in ends:
            at = text.find(head, max(0, end - len(form)), end)
            while at >= 0 and not form.startswith(text[at:end]):
                at = text.find(head, at + 1, end)
            if at >= 0:
                yield at, end


def _base64(data: bytes) -> Iterator[str]:
    """Yield `data` in base64, alone and as part of longer data, at three alignments."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(data).decode()
        yield from (alone, alone.rstrip("="))
        for before in range(3):
            whole = encode(bytes(before) + data).decode()
            # A character encodes 6 bits: those shared with the surrounding data are omitted.
            inside = whole[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
            if len(inside) >= PART:
                yield inside


def _lower(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)


def _json_ascii(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _repr(text: str) -> str:
    return repr(text)[1:-1]


def _html(text: str, *, quotes: bool = True) -> str:
    from html import escape  # on use: most runs have no secret

    return escape(text, quote=quotes)


def _repr_beside_quotes(text: str) -> str:
    return repr(f'"{text}')[2:-1]


# The encodings of text inside other text. JSON and repr are also nested in each other.
_NESTED: tuple[Callable[[str], str], ...] = (_json_ascii, _json, _repr, _repr_beside_quotes)
_ESCAPES: tuple[Callable[[str], str], ...] = (
    *_NESTED,
    lambda text: _json_ascii(text).replace("/", "\\/"),
    lambda text: re.sub("[<>&='\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", _json(text)),
    lambda text: repr(text.encode())[2:-1],
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe="/"),
    quote_plus,
    lambda text: _lower(quote(text, safe="")),
    lambda text: _lower(quote(text, safe="/")),
    lambda text: _lower(quote_plus(text)),
    lambda text: _html(text),
    lambda text: _html(text).replace("&#x27;", "&#39;"),
    lambda text: _html(text).replace("&#x27;", "&apos;"),
    lambda text: _html(text, quotes=False),
)
