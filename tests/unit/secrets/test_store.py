"""The values of secrets: their sources, and how references are replaced by them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment

from deployer.errors import DeployerError
from deployer.secrets.references import (
    CLOSE,
    OPEN,
    SEP,
    deferred_reference,
    has_reference,
    reference,
    referenced_names,
)
from deployer.secrets.store import MAX_BYTES, Secrets, SecretSource
from testing.secret_values import A, B, secrets_of


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
    with pytest.raises(DeployerError, match="a string with secrets exceeds"):
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
