"""Conversion of a service's values to the type of their row."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.kinds.coerce import ConversionError, value_of
from testing.entries import row


@pytest.mark.parametrize(
    ("printed", "listed", "value"),
    [
        ("Int", "20", 20),
        ("Int", 20.0, 20),
        ("Int", " -1 ", -1),
        ("Int", "", None),
        ("Double", "0.5", 0.5),
        ("Double", "1.0", 1),
        ("Boolean", "False", False),
        ("Boolean", "true", True),
        ("String", "", ""),
        ("List of String", ["a", 1, True], ["a", "1", "true"]),
        ("List of String", '["a"]', ["a"]),
        ("List of String", "", None),
        ("Map of key=val", {"a": 1, "b": True, "c": 1.5}, {"a": "1", "b": "true", "c": "1.5"}),
        ("Map of key=val", {"a": None}, {"a": None}),
        ("Map of key=val", '{"a": "1"}', {"a": "1"}),
        ("Map of key=val", [], "?"),
        ("Map of key=val", {"a": {}}, "?"),
        ("Int", "20 s", "?"),
        ("Int", 1.5, "?"),
        ("Int", True, "?"),
        ("Int", "9" * 5000, "?"),
        ("Double", float("inf"), "?"),
        ("Boolean", 1, "?"),
        ("Boolean", "yes", "?"),
        ("String", 3.1, "?"),
        ("String", ["a"], "?"),
        ("List of String", "a.jar,b.jar", "?"),
        ("List of String", [None], "?"),
        ("List of String", [["a"]], "?"),
        ("List of JSON", ["a"], "?"),
        ("List of JSON", {"a": 1}, "?"),
    ],
)  # fmt: skip
def test_a_value_is_in_the_type_of_its_row_or_not_understood(printed: str, listed: Any, value: Any) -> None:
    if value != "?":
        assert value_of(row(printed), listed) == value
        return
    with pytest.raises(ConversionError):
        value_of(row(printed), listed)
