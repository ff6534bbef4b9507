"""The generated schema files as they are stored; `schema.files` writes them."""

from __future__ import annotations

import json
from typing import Any

from deployer.kinds.tables import schema_folder


def stored(name: str) -> str | None:
    """Return the text of a generated file; None when it is missing."""
    file = schema_folder() / name
    return file.read_text(encoding="utf-8") if file.is_file() else None


def stored_schema(name: str) -> dict[str, Any]:
    """Return the generated schema of a kind, of `Project` or of `Plan`. Raises FileNotFoundError."""
    text = stored(f"{name}.schema.json")
    if text is None:
        raise FileNotFoundError(f"the schema {name}.schema.json is missing; run 'deployer schema generate'")
    schema: dict[str, Any] = json.loads(text)
    return schema
