"""Scrubbing removes every encoding of a secret value from printed text."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deployer.secrets.references import deferred_reference
from deployer.secrets.scrub import MASK, clean_request_id
from testing.secret_values import PLAIN, A, B, secrets_of


def scrubbed(value: str, text: str) -> str:
    secrets = secrets_of(A=value)
    assert secrets.filled(A) == value
    return secrets.scrubbed(text)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _ascii(text: str) -> str:
    return json.dumps(text)[1:-1]


ENCODINGS: tuple[Callable[[str], str], ...] = (
    str,
    _json,
    _ascii,
    lambda text: _json(_json(text)),
    lambda text: _ascii(_ascii(text)),
    lambda text: repr(text)[1:-1],
    lambda text: repr(text + '"')[1:-2],
    lambda text: repr({"body": _ascii(text)})[len("{'body': '") : -2],
    lambda text: repr(text.encode())[2:-1],
    lambda text: quote(text, safe=""),
    quote,
    quote_plus,
    lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    lambda text: _ascii(text).replace("/", "\\/"),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    lambda text: text.encode().hex(),
    lambda text: text.encode().hex().upper(),
    html.escape,
    lambda text: html.escape(text, quote=False),
)


# A value with asterisks could be seen in the mask itself.
VALUE = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=300, deadline=None)
@given(VALUE | st.text("a/+'\"\\\n<&é%", min_size=1), PLAIN, PLAIN)
def test_no_form_of_a_value_is_left(value: str, before: str, after: str) -> None:
    secrets = secrets_of(A=value)
    body = secrets.filled({"x": f"{before}{A}", "y": deferred_reference("b64encode", f"me:{A}")})
    assert value not in secrets.scrubbed(body["x"])
    assert body["y"] not in secrets.scrubbed(f"{before}{body['y']}{after}")
    for encoded in (encoding(value) for encoding in ENCODINGS):
        assert encoded not in secrets.scrubbed(before + encoded + after)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=9), st.binary(), st.binary())
def test_base64_of_more_than_the_value(value: str, before: bytes, after: bytes) -> None:
    data = value.encode()
    whole = base64.b64encode(before + data + after).decode()
    first, last = -(-8 * len(before) // 6), 8 * (len(before) + len(data)) // 6
    assert whole[first:last] not in scrubbed(value, f"Basic {whole}")


@settings(deadline=None)
@given(VALUE.filter(lambda value: len(value) > 6), st.data())
def test_a_value_that_is_cut_off(value: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(6, len(value) - 1))
    head, tail = value[:length], value[-length:]
    # The message itself must not hold what would be found in it.
    assume(not any(part in "the rest (812 characters); no" for part in (head, tail)))
    for message in (f"the {head}", f"the {head}...", f"the {head}\u2026 (812 characters); no"):
        assert head not in scrubbed(value, message)
    for message in (f"{tail} the rest", f"...{tail} the rest"):
        assert tail not in scrubbed(value, message)


@pytest.mark.parametrize(
    ("value", "text", "shown_text"),
    [
        ("hunter2", "a hunter2, b hunter2", "a ***, b ***"),
        ("hunter2", "hunter2hunter2", "***"),
        ("hunter2", "hunter", "***"),
        ("hunter2", "unter2 was wrong", "*** was wrong"),
        ("hunter2", "the hunter sits... hunter", "the hunter sits... ***"),
        ("hunter2", "hunte", "hunte"),
        ("hunter2", "", ""),
        ("x", "max", "ma***"),
        ("first line\n  second line\nshort\n", "> second line\n> short", "> ***\n> short"),
    ],
)
def test_scrubbed(value: str, text: str, shown_text: str) -> None:
    assert scrubbed(value, text) == shown_text


def test_overlapping_values_leave_nothing_between_them() -> None:
    secrets = secrets_of(A="abcdef", B="defghi")
    assert secrets.scrubbed("abcdefghi") == "abcdefghi"  # nothing was filled in yet
    secrets.filled(A + B)
    assert secrets.scrubbed("-abcdefghi-") == "-***-"


@pytest.mark.parametrize("value", ["a" * 60_000, "ab" * 30_000, "\n".join(["line one two"] * 4000), "a"])
def test_long_values_and_messages_are_no_trouble(value: str) -> None:
    for text in ("ab" * 500_000, "a..." * 5_000, value * 2, "aaaaaa" * 100_000):
        assert "\x00" not in scrubbed(value, text)


@pytest.mark.parametrize(
    ("text", "secret", "shown"),
    [
        ("06bdc5f7ea3d41e09768a2b4c6d8e0f1", "d41e", "06bdc5f7ea3d41e09768a2b4c6d8e0f1"),
        ("06bdc5f7-ea3d-41e0-9768-a2b4c6d8e0f1", "ea3d", "06bdc5f7-ea3d-41e0-9768-a2b4c6d8e0f1"),
        # More than chance: a secret, or most of one.
        ("06bdc5f7ea3d41e09768a2b4c6d8e0f1", "06bdc5f7ea3d41e09768a2b4c6d8e0f1", MASK),
        ("06bdc5f7ea3d41e09768a2b4c6d8e0f1", "06bdc5f7ea3d", f"{MASK}41e09768a2b4c6d8e0f1"),
        # No id.
        ("the token is d41e", "d41e", f"the token is {MASK}"),
        ("d41e", "d41e", MASK),
        ("06bdc5f7ea3d41e09768a2b4c6d8e0f1.d41e", "d41e", f"06bdc5f7ea3{MASK}09768a2b4c6d8e0f1.{MASK}"),
        ("", "d41e", ""),
    ],
)
def test_a_request_id_with_a_few_digits_of_a_secret_is_whole(text: str, secret: str, shown: str) -> None:
    assert clean_request_id(text, lambda value: value.replace(secret, MASK)) == shown
