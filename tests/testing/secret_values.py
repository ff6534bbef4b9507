"""Secrets for tests: two references, text without references, and a store with values."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from deployer.secrets.references import CLOSE, OPEN, SEP, reference
from deployer.secrets.store import PREFIX, Secrets, SecretSource

A, B = reference("A"), reference("B")


PLAIN = st.text(st.characters(exclude_characters=OPEN + SEP + CLOSE, exclude_categories=["Cs"]))


def secrets_of(**values: str) -> Secrets:
    sources = {name: SecretSource(name) for name in values}
    return Secrets(sources, {f"{PREFIX}{name}": value for name, value in values.items()}, Path())
