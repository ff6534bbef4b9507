"""The quick look for secrets: it never calls a spec plain in which something is masked, and seldom doubts another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.secrets.plain import IN_NAMES, is_plain
from deployer.secrets.redact import masked
from deployer.secrets.references import reference
from testing.workspace import SPECS

ACCESS_KEY, SECRET_KEY = "ABCDEFGH12345678IJKL", "aB3" + "x7Yz" * 9 + "q"
PIECES = [
    *(
        "",
        "a",
        "=",
        " ",
        "\n",
        "://",
        "@",
        ":",
        "/",
        "-",
        "--",
        "x" * 40,
        "2024",
        "obs://b/a.jar",
        "é",
        "İ",
        "\u017f",
    ),
    *(
        "password",
        "PassWord",
        "pwd",
        "--pw",
        "--pass",
        "secret",
        "Token",
        "credent\u0130als",
        "--credent\u0131al",
        "api_key",
        "ak",
        "sk",
        "task",
    ),
    *(
        "user:pw@host",
        "access.key",
        "fs.obs.access.key",
        "spark.sql.shuffle",
        ACCESS_KEY,
        SECRET_KEY,
        reference("X"),
    ),
]
texts = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
scalars = texts | st.sampled_from([None, True, 0, 1.5])
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
# A field in which the quick look always doubts, so that the whole spec is masked carefully.
DOUBT = {"x": "é"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_spec_has_nothing_to_mask(kind: str) -> None:
    rows = KINDS[kind].spellings
    seen = {True: 0, False: 0}

    @settings(max_examples=500, derandomize=True, deadline=None)
    @given(st.dictionaries(st.sampled_from([*rows, "unknown"]), data, max_size=3))
    def agree(spec: dict[str, Any]) -> None:
        plain = is_plain(rows, spec)
        seen[plain] += 1
        if plain:
            assert masked(rows, spec | DOUBT) == spec | DOUBT

    assert not is_plain(rows, DOUBT)
    agree()
    assert min(seen.values()) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_without_a_secret_is_plain(kind: str) -> None:
    assert is_plain(KINDS[kind].spellings, SPECS[kind])


def test_each_pattern_of_a_secret_key_has_a_part_of_a_secrets_name() -> None:
    rows = [row for kind in KINDS.values() for row in kind.rows if row.sensitive]
    patterns = {pattern for row in rows if not isinstance(row.sensitive, bool) for pattern in row.sensitive}
    assert len(patterns) > 5
    assert not [pattern for pattern in patterns if not any(part in pattern for part in IN_NAMES)]


@pytest.mark.parametrize(
    "spec",
    [
        {"args": ["--credent\u0130al", "x"]},
        {"args": [ACCESS_KEY, SECRET_KEY]},
        {"args": [f"{ACCESS_KEY}:{SECRET_KEY}"]},
        {"args": ["--\u017fecret", "x"]},
        {"file": "obs://user:word@host/a"},
        {"conf": {"db.pwd": "x"}},
        {"conf": {"x": reference("X")}},
    ],
)
def test_what_is_masked_is_not_plain(spec: dict[str, Any]) -> None:
    rows = KINDS["SparkBatch"].spellings
    assert masked(rows, spec) != spec
    assert not is_plain(rows, spec)
