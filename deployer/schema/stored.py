"""The generated schema files as they are stored; `schema.files` writes them."""

from __future__ import annotations

import json
from typing import Any

from deployer.kinds.tables import schema_folder

# The schemas for editors, and the names of their copies in a project.
EDITOR_FILES = {"EditorManifest": "manifest.schema.json", "EditorProject": "deployer.schema.json"}


def stored(name: str) -> str | None:
    """Return the text of a generated file; None when it is missing."""
    file = schema_folder() / name
    return file.read_text(encoding="utf-8") if file.is_file() else None


def stored_schema(name: str) -> dict[str, Any]:
    """Return the generated schema of a kind, of `Project` or of `Plan`. Raises FileNotFoundError."""
    schema: dict[str, Any] = json.loads(_existing(name))
    return schema


def editor_files() -> dict[str, str]:
    """Return the text of each schema for editors, by the name of its copy. Raises FileNotFoundError."""
    return {file: _existing(name) for name, file in EDITOR_FILES.items()}


def _existing(name: str) -> str:
    text = stored(f"{name}.schema.json")
    if text is None:
        raise FileNotFoundError(f"the schema {name}.schema.json is missing; run 'deployer schema generate'")
    return text
