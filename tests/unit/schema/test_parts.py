"""The fragments of JSON Schema that are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deployer.schema.parts import fill, parts
from deployer.schema.saved_plan import plan_schema


def objects(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object that lists its properties, with its path."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict | str) and "object" in part.get("type", ()):
            yield path, part
        for key, item in part.items():
            yield from objects(item, f"{path}/{key}")
    elif isinstance(part, list):
        for number, item in enumerate(part):
            yield from objects(item, f"{path}/{number}")


def test_a_name_alone_takes_a_value_of_any_type() -> None:
    part = {"enum": "${names}", "x": ["${flag}", 1, None]}
    assert fill(part, names=["a", "b"], flag=True) == {"enum": ["a", "b"], "x": [True, 1, None]}
    assert part == {"enum": "${names}", "x": ["${flag}", 1, None]}


def test_a_name_inside_a_string_takes_text() -> None:
    assert fill("A ${kind} of ${place}.", kind="job", place="a queue") == "A job of a queue."
    assert fill("^[0-9]{1,4}$", kind="job") == "^[0-9]{1,4}$"


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert fill("x ${a}", a="${b}") == "x ${b}"


@pytest.mark.parametrize("part", ["${other}", "a ${other}", [{"a": "${other}"}]])
def test_a_name_without_a_value_is_an_error(part: Any) -> None:
    with pytest.raises(KeyError, match="other"):
        fill(part, name=1)


@pytest.mark.parametrize("name", ["manifest", "project", "defaults"])
def test_what_is_written_by_hand_lets_no_unknown_key_through(name: str) -> None:
    found = dict(objects(parts()[name]))
    assert len(found) >= 3
    assert [path for path, schema in found.items() if schema.get("additionalProperties") is not False] == []


def test_what_a_plan_holds_is_always_there() -> None:
    by_name = ("/summary", "/conditions")
    only_with_changed_since = {"changed_since", "selection"}
    # Of `deployer run`, and of jobs that only it submits.
    only_with_runs = {"upcoming", "run"}
    found = {path: schema for path, schema in objects(plan_schema()) if not path.endswith(by_name)}
    # Its limits are those that were set.
    assert len(found) == 16
    found = {path: schema for path, schema in found.items() if "properties" in schema}
    for path, schema in found.items():
        properties = [
            name for name in schema["properties"] if name not in only_with_changed_since | only_with_runs
        ]
        assert schema["required"] == properties, path
