"""Credentials in a live spec are replaced, and nothing of them is left."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.adoption.secret_values import HiddenInKeyError, SecretNames, with_references
from deployer.kinds import KINDS
from deployer.model import Identity, LiveJob, Phase
from deployer.secrets.references import reference

A, B = reference("JOB_A"), reference("JOB_B")


def replaced(spec: dict[str, Any], kind: str = "SparkBatch", **ownership: str) -> tuple[Any, list[str]]:
    live = LiveJob("1", Identity(kind, "q", "job"), "x", Phase.ACTIVE, 0, spec, ownership=ownership)
    made, found = with_references(KINDS[kind], live, spec, SecretNames(set()))
    return made, [secret.name for secret in found]


@pytest.mark.parametrize(
    ("spec", "expected", "names"),
    [
        ({"args": ["a", "b"]}, {"args": ["a", "b"]}, []),
        (
            {"args": ["--password", "x1"]},
            {"args": ["--password", reference("JOB_PASSWORD")]},
            ["JOB_PASSWORD"],
        ),
        (
            {"args": ["--url=jdbc:mysql://u:pw@h/d", "k"]},
            {"args": [f"--url=jdbc:mysql://{reference('JOB_ARGS_1')}@h/d", "k"]},
            ["JOB_ARGS_1"],
        ),
        (
            {"conf": {"db.password": "p"}},
            {"conf": {"db.password": reference("JOB_DB_PASSWORD")}},
            ["JOB_DB_PASSWORD"],
        ),
        (
            {"conf": {"a": '{"token": "hunter2", "n": 1}'}},
            {"conf": {"a": f'{{"token": "{A}", "n": 1}}'}},
            ["JOB_A"],
        ),
        ({"conf": {"a": "***"}}, {"conf": {"a": A}}, ["JOB_A"]),
        ({"conf": {"a": "*"}}, {"conf": {"a": A}}, ["JOB_A"]),
        ({"args": ["*"]}, {"args": ["*"]}, []),
        (
            {"conf": {"x.token": "longsecret"}, "args": ["see longsecret"]},
            {"conf": {"x.token": reference("JOB_X_TOKEN")}, "args": [f"see {reference('JOB_X_TOKEN')}"]},
            ["JOB_X_TOKEN"],
        ),
        (
            {"conf": {"a.token": "same-value", "b.token": "same-value"}},
            {"conf": {"a.token": reference("JOB_A_TOKEN"), "b.token": reference("JOB_A_TOKEN")}},
            ["JOB_A_TOKEN", "JOB_A_TOKEN"],
        ),
    ],
)
def test_replaced(spec: dict[str, Any], expected: dict[str, Any], names: list[str]) -> None:
    assert replaced(spec) == (expected, names)


def test_what_was_a_secret_when_it_was_deployed() -> None:
    spec = {"conf": {"a": "plain-looking", "b": "other"}}
    assert replaced(spec, secrets='["/conf/a"]') == ({"conf": {"a": A, "b": "other"}}, ["JOB_A"])
    assert replaced(spec, secrets='[""]') == ({"conf": {"a": A, "b": B}}, ["JOB_A", "JOB_B"])


def test_a_key_cannot_be_a_secret() -> None:
    with pytest.raises(HiddenInKeyError, match=r"^/conf$"):
        replaced({"conf": {"password=hunter2": "x"}})


def test_the_form_of_what_stands_in_a_url() -> None:
    spec = {"args": ["jdbc:mysql://u:pw@h/d"]}
    live = LiveJob("1", Identity("SparkBatch", "q", "job"), "x", Phase.ACTIVE, 0, spec)
    _, found = with_references(KINDS["SparkBatch"], live, spec, SecretNames({"JOB_ARGS_1"}))
    assert [(secret.name, secret.form) for secret in found] == [("JOB_ARGS_1_2", "user:password")]


def test_a_pair_of_keys() -> None:
    access, secret = "ABCDEFGHIJ0123456789", "aB3" + "x1Y" * 12 + "z"
    made, names = replaced({"args": [access, secret]})
    assert (names, access in str(made), secret in str(made)) == (["JOB_ARGS_1", "JOB_ARGS_2"], False, False)
