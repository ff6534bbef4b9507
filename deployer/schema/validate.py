"""Validates a document against its schema: by the verdict, and where that is in doubt, by jsonschema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deployer.errors import Problem
from deployer.model import Document
from deployer.schema import verdict

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def violations(document: Document, value: Any, name: str) -> list[Problem]:
    """Find the violations of the schema `name` (a kind, or Project) in `value`, the data of `document`."""
    if verdict.of_schema(name).accepts(value):
        return []
    from deployer.schema import violations as careful  # jsonschema takes long to import

    return careful.violations(document, value, name)


def schema_errors(value: Any, name: str) -> Iterator[ValidationError]:
    """Yield the errors of jsonschema one by one: a hostile file can have very many."""
    if verdict.of_schema(name).accepts(value):
        return
    from deployer.schema import violations as careful

    yield from careful.schema_validator(name).iter_errors(value)
