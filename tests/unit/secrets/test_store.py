"""Marks, how live text matches them, the values that replace them, and that no form of a value is left."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jinja2 import Environment

from deployer.errors import DeployerError
from deployer.secrets.compare import align_references
from deployer.secrets.references import (
    CLOSE,
    OPEN,
    SEP,
    deferred_reference,
    display_text,
    has_reference,
    reference,
    referenced_names,
)
from deployer.secrets.store import MAX_BYTES, Secrets, SecretSource

A, B = reference("A"), reference("B")
PLAIN = st.text(st.characters(exclude_characters=OPEN + SEP + CLOSE, exclude_categories=["Cs"]))
SHORT = st.text("ab", max_size=4)


def nested(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    filters = st.sampled_from(["b64encode", "sha256", "urlencode"])
    return st.builds(
        deferred_reference, filters, st.builds(lambda *pieces: "".join(pieces), SHORT, inside, SHORT)
    )


MARK = st.recursive(st.sampled_from([A, B]), nested, max_leaves=4)


def secrets_of(**values: str) -> Secrets:
    sources = {name: SecretSource(name, variable=f"V_{name}") for name in values}
    return Secrets(sources, {f"V_{name}": value for name, value in values.items()}, Path())


def scrubbed(value: str, text: str) -> str:
    secrets = secrets_of(A=value)
    assert secrets.filled(A) == value
    return secrets.scrubbed(text)


def test_marks_are_found_wherever_they_stand() -> None:
    inside = deferred_reference("b64encode", f"user:{deferred_reference('urlencode', A)}")
    value = {"conf": [{"x": f"a{B}"}, 1, None], inside: True}
    assert has_reference(value)
    assert referenced_names(value) == {"A", "B"}
    assert not has_reference({"a": ["secret(A)", 1, 2.5, None, {"b": False}]})
    assert referenced_names("x") == frozenset()


def test_only_names_are_shown() -> None:
    assert display_text(f"jdbc:x?user=me&password={A}") == "secret(A)"
    assert display_text(f"{B}{deferred_reference('sha256', A)}{B}") == "secret(A, B)"


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A" * 129, "é", A])
def test_a_name_is_a_word(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a secret"):
        reference(name)


def test_only_some_filters_can_wait() -> None:
    with pytest.raises(ValueError, match="not a filter"):
        deferred_reference("upper", A)


@settings(deadline=None)
@given(st.lists(st.tuples(PLAIN, MARK, PLAIN), min_size=1), PLAIN)
def test_live_text_matches_whatever_fills_the_marks(pieces: list[tuple[str, str, str]], last: str) -> None:
    desired = "".join(literal + hole for literal, hole, _ in pieces) + last
    live = "".join(literal + filling for literal, _, filling in pieces) + last
    assert align_references(live, desired) == live
    assert align_references([{"x": live}], [{"x": desired}]) == [{"x": live}]


@settings(deadline=None)
@given(st.lists(SHORT, min_size=2, max_size=5), st.text("ab", max_size=12), MARK)
def test_nothing_else_matches(literals: list[str], live: str, hole: str) -> None:
    desired = hole.join(literals)
    fits = re.fullmatch(".*".join(literals), live)
    assert align_references(live, desired) == (live if fits else desired)


@pytest.mark.parametrize(
    ("live", "desired", "result"),
    [
        ("x", "y", "y"),
        ("xay", f"x{A}z", f"x{A}z"),
        ("x", f"x{A}x", f"x{A}x"),
        (None, A, A),
        (5, A, A),
        ({"a": "1"}, {"a": A, "b": A}, {"a": "1", "b": A}),
        ({"a": "1", "c": "2"}, {"a": A}, {"a": "1"}),
        (["1", "2"], [A], ["1"]),
        (["1"], ["0", A], ["0", A]),
        (["0", "1", "2"], ["0", f"{A}1"], ["0", "1"]),
        ("anything", f"x{CLOSE}", f"x{CLOSE}"),
        ("anything", OPEN, OPEN),
        ("anything", f"{OPEN}b64encode{SEP}{A}", f"{OPEN}b64encode{SEP}{A}"),
    ],
)
def test_what_does_not_match_stays_desired(live: Any, desired: Any, result: Any) -> None:
    assert align_references(live, desired) == result


@pytest.mark.parametrize(
    ("live", "desired", "result"),
    [
        (["y", "x1"], [f"x{A}", "y"], ["x1", "y"]),
        # what a literal item wants is not taken, but a second one like it is
        (["y"], [A, "y"], [A, "y"]),
        (["y", "y"], [A, "y"], ["y", "y"]),
        # whoever chooses first does not take what only another can have
        (["ab", "z"], [A, f"a{A}"], ["z", "ab"]),
        (["ab", "zb"], [f"{A}b", f"a{A}"], ["zb", "ab"]),
        (["x1"], [f"x{A}", f"x{B}"], ["x1", f"x{B}"]),
        ([{"n": "b", "v": "2"}, {"n": "a", "v": "1"}], [{"n": "a", "v": A}], [{"n": "a", "v": "1"}]),
        ([{"n": "a", "v": "1", "w": 0}], [{"n": "a", "v": A}], [{"n": "a", "v": A}]),
    ],
)
def test_unordered_items_find_each_other(live: list[Any], desired: list[Any], result: list[Any]) -> None:
    assert align_references(live, desired, unordered=True) == result


@settings(deadline=None)
@given(st.data(), st.lists(st.tuples(SHORT, st.booleans(), SHORT), max_size=6))
def test_order_does_not_matter(data: st.DataObject, items: list[tuple[str, bool, str]]) -> None:
    desired = [literal + (A if holds else "") for literal, holds, _ in items]
    live = data.draw(st.permutations([text + (filling if holds else "") for text, holds, filling in items]))
    assert sorted(align_references(live, desired, unordered=True)) == sorted(live)


def test_long_lists_and_texts_are_no_trouble() -> None:
    many = [f"{number}{A}" for number in range(1000)]
    assert align_references(["x"] * 1000, many, unordered=True) == many
    holes = 1000
    assert align_references("ab" * 500_000, f"ab{A}" * holes + "c") == f"ab{A}" * holes + "c"
    assert align_references("a" * 1_000_000, f"{A}b" * holes) == f"{A}b" * holes
    assert align_references([str(number) for number in range(300)], [A] * 300, unordered=True) != [A] * 300
    assert align_references(["x"] * 299, [A] * 300, unordered=True).count(A) == 1


def test_values_fill_all_marks() -> None:
    secrets = secrets_of(A="hunter2", B="p w/ü")
    value = {
        "a": [f"x{A}y{B}", 1, None],
        "b": {"c": deferred_reference("b64encode", f"me:{A}")},
        "d": "plain",
    }
    assert secrets.filled(value) == {
        "a": ["xhunter2yp w/ü", 1, None],
        "b": {"c": base64.b64encode(b"me:hunter2").decode()},
        "d": "plain",
    }
    assert referenced_names(value) == {"A", "B"}


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_urlencode_is_that_of_jinja(value: str) -> None:
    expected = Environment(autoescape=False).from_string("{{ it | urlencode }}").render(it=value)  # noqa: S701
    assert secrets_of(A=value).filled(deferred_reference("urlencode", A)) == expected


def test_filters_nest() -> None:
    digest = "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"
    secrets = secrets_of(A="hunter2")
    assert secrets.filled(deferred_reference("sha256", A)) == digest
    twice = secrets.filled(f"-{deferred_reference('b64encode', deferred_reference('sha256', A) + A)}-")
    assert twice == f"-{base64.b64encode(f'{digest}hunter2'.encode()).decode()}-"
    deep = A
    for _ in range(3000):
        deep = deferred_reference("sha256", deep)
    assert len(secrets.filled(deep)) == 64


@pytest.mark.parametrize(
    "text",
    [
        A * 1000,
        deferred_reference("b64encode", A * 1000),
        "".join(f"{OPEN}b64encode{SEP}" for _ in range(100)) + A + CLOSE * 100,
    ],
)
def test_a_short_text_cannot_become_endless(text: str) -> None:
    with pytest.raises(DeployerError, match="longer than"):
        secrets_of(A="x" * 60_000).filled(text)


@pytest.mark.parametrize(
    "text",
    [
        OPEN,
        SEP,
        CLOSE,
        A[:-1],
        A[1:],
        A + CLOSE,
        f"{OPEN}upper{SEP}{A}{CLOSE}",
        f"{OPEN}secret{SEP}{A}{CLOSE}",
        f"{OPEN}sha256{SEP}{A}",
    ],
)
def test_a_damaged_mark_is_never_sent(text: str) -> None:
    with pytest.raises(DeployerError, match="damaged"):
        secrets_of(A="hunter2").filled([text])
    assert has_reference(text)


def test_what_is_missing_is_told_without_a_value(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"from-file\r\n")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "latin").write_bytes(b"hunter2\xff")
    (tmp_path / "largest").write_bytes(b"x" * MAX_BYTES)
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "folder").mkdir()
    files = ("good", "empty", "latin", "largest", "large", "folder", "nowhere", "nul\0")
    sources = {name: SecretSource(name, file=name) for name in files} | {
        name: SecretSource(name, variable=name.upper()) for name in ("set", "unset", "blank", "half")
    }
    secrets = Secrets(sources, {"SET": "hunter2", "BLANK": "", "HALF": "hunter2\udcff"}, tmp_path)
    assert secrets.missing([*sources, "sett"]) == [
        "secret 'blank': the variable BLANK is empty",
        "secret 'empty': the file empty is empty",
        "secret 'folder': the file folder is not a file",
        "secret 'half': the variable HALF is not UTF-8",
        "secret 'large': the file large is longer than 64 KiB",
        "secret 'latin': the file latin is not UTF-8",
        "secret 'nowhere': the file nowhere cannot be read: No such file or directory",
        secrets.missing(["nul\0"])[0],
        "secret 'sett' is not listed under 'secrets' in deployer.yaml; did you mean 'set'?",
        "secret 'unset': the variable UNSET is not set",
    ]
    assert secrets.filled(reference("good") + reference("set")) == "from-filehunter2"
    with pytest.raises(DeployerError, match=r"^secret 'latin': the file latin is not UTF-8$") as caught:
        secrets.filled({"a": [reference("latin")]})
    assert caught.value.__context__ is None
    assert repr(secrets).startswith("Secrets(blank, empty, ")
    assert "hunter2" not in repr(secrets)


@pytest.mark.parametrize(
    ("content", "value"),
    [("x", "x"), ("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), ("x\r", "x\r"), (" x ", " x ")],
)
def test_a_file_loses_one_newline(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "file").write_bytes(content.encode())
    secrets = Secrets({"A": SecretSource("A", file="file")}, {}, tmp_path)
    assert secrets.filled(A) == value
    (tmp_path / "file").unlink()
    assert secrets.filled(A) == value  # it was read once


def test_the_emulator_gets_made_up_values() -> None:
    secrets = Secrets({"A": SecretSource("A", file="nowhere")}, {}, Path(), made_up=True)
    assert secrets.missing(["A"]) == []
    assert secrets.filled(f"x{A}") == "xemulated-A"
    assert secrets.scrubbed("the target is emulated-A emulated") == "the target is emulated-A emulated"
    assert secrets.missing(["B"]) == ["secret 'B' is not listed under 'secrets' in deployer.yaml; known: A"]


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
