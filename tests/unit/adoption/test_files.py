"""The names of files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.adoption.files import safe_stem


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("daily-orders", "daily-orders"),
        ("../../etc/passwd", "etc-passwd"),
        ("a..b", "a.b"),
        ("deployer", "job-deployer"),
        ("NUL.txt", "job-NUL.txt"),
        ("_a", "a"),
        ("漢", "job"),
        ("été", "ete"),
    ],
)
def test_stem(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


@given(st.text())
def test_any_name(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,90}[A-Za-z0-9])?", safe_stem(name))
