"""The fast path of validation: a compiled validator may say that a value is valid, and nothing else.

What it refuses, cannot represent or fails on is a doubt, which jsonschema decides; it alone finds the messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from deployer.schema.stored import stored_schema


class Verdict:
    """A compiled schema. The data must be plain: it takes a tuple as a list, which jsonschema does not."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = Draft202012Validator(dict(schema))

    def accepts(self, value: Any) -> bool:
        """Return whether `value` is surely valid; false is a doubt."""
        try:
            return self._validator.is_valid(value)
        except Exception:  # noqa: BLE001 - such as a lone surrogate: another doubt
            return False


@cache
def of_schema(name: str) -> Verdict:
    """Return the verdict of a generated schema: that of a kind, of `Project` or of `Plan`."""
    return Verdict(stored_schema(name))
