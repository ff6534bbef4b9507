"""Secret references: how they are made, found and shown."""

from __future__ import annotations

import pytest

from deployer.secrets.references import (
    deferred_reference,
    display_text,
    has_reference,
    reference,
    referenced_names,
)
from testing.secret_values import A, B


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
