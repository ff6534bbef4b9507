"""Which ids of the journal were certainly submitted by this project."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deployer.apply.history import History, Intent, submitted_names
from deployer.model import Identity

KEY = ("FlinkJar", "7")
CREATED = Intent(
    run="r",
    number=1,
    time=datetime(2024, 7, 3, tzinfo=UTC),
    target="prod",
    project_id="pid",
    revision="",
    author="",
    action="create",
    call="create",
    identity=Identity("FlinkJar", "", "clicks"),
    source="a.yaml:1",
    reason="",
    id="7",
    result="done",
    project_name="lab",
)


def names(*intents: Intent) -> dict[tuple[str, str], frozenset[str]]:
    in_order = [
        replace(intent, number=number, time=intent.time + timedelta(number))
        for number, intent in enumerate(intents)
    ]
    return dict(submitted_names(History(tuple(in_order)), "prod", "pid", "lab"))


def test_a_create_that_was_done() -> None:
    assert names(CREATED) == {KEY: {"clicks"}}


@pytest.mark.parametrize(
    "change",
    [
        {"result": ""},
        {"result": "unknown"},
        {"result": "failed"},
        {"result": "found"},
        {"id": ""},
        {"call": "start"},
        {"call": "update"},
        {"target": "test"},
        {"project_id": "another"},
        {"project_name": "another"},
        {"project_name": ""},
        {"result": "", "is_planned": True},
    ],
)
def test_all_else_is_none(change: dict[str, object]) -> None:
    assert names(replace(CREATED, **change)) == {}  # type: ignore[arg-type]


def test_an_id_that_was_deleted_may_be_that_of_another_job() -> None:
    deleted = replace(CREATED, call="delete")
    assert names(CREATED, deleted) == {}
    assert names(CREATED, replace(deleted, result="failed")) == {KEY: {"clicks"}}
    assert names(CREATED, deleted, replace(CREATED, identity=Identity("FlinkJar", "", "calls"))) == {
        KEY: {"calls"}
    }


def test_an_update_may_give_it_another_name() -> None:
    renamed = replace(CREATED, call="update", identity=Identity("FlinkJar", "", "calls"))
    assert names(CREATED, renamed) == {KEY: {"clicks", "calls"}}
