"""The fields of a job that hold secrets, by name. Their values are unknown to a plan and not compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployer.kinds import KINDS
from deployer.model import Job, Path, SecretField, pointer
from deployer.secrets.references import display_text, has_reference, referenced_names


def secret_fields(job: Job) -> Iterator[SecretField]:
    """Yield the fields of a job that hold secrets, in the order of its manifest."""
    if not has_reference(job.spec):
        return
    spellings = KINDS[job.kind].spellings
    for name, value in job.spec.items():
        row = spellings.get(name)
        field = (row.same_as or row.name) if row else name
        for path, names in _with_references(value, (field,)):
            yield SecretField(pointer(path), tuple(sorted(names)))


def _with_references(value: Any, path: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    match value:
        case str() if has_reference(value):
            yield path, referenced_names(value)
        case Mapping():
            for key, item in value.items():
                if has_reference(key):
                    yield (*path, display_text(key)), referenced_names([key, item])
                else:
                    yield from _with_references(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                yield from _with_references(item, (*path, index))
