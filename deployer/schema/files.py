"""The generated schema files: written, read, and compared with the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping

from deployer.kinds import KINDS
from deployer.schema.editor import editor_manifest_schema, editor_project_schema
from deployer.schema.manifest import manifest_schema
from deployer.schema.project import folder_defaults_schema, project_schema
from deployer.schema.saved_plan import outcomes_schema, plan_schema
from deployer.schema.stored import EDITOR_FILES, stored


def generate() -> Mapping[str, str]:
    """Return the text of every generated file, by file name."""
    schemas = {kind.name: manifest_schema(kind) for kind in KINDS.values()}
    schemas |= {"Project": project_schema(), "Defaults": folder_defaults_schema(), "Plan": plan_schema()}
    schemas |= {"Outcomes": outcomes_schema()}
    schemas |= {"EditorManifest": editor_manifest_schema(), "EditorProject": editor_project_schema()}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=_indent(name), ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


def _indent(name: str) -> int:
    """Return the indentation of a file; those for editors are copied into projects, and kept small."""
    return 0 if name in EDITOR_FILES else 2


def stale() -> list[str]:
    """List the generated files that are missing, or differ from the tables."""
    return [name for name, text in generate().items() if stored(name) != text]
