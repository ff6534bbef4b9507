"""The JSON Schema of deployer.yaml."""

from __future__ import annotations

from deployer.kinds import KINDS
from deployer.schema.manifest import defaults_schema
from deployer.schema.parts import API_VERSION, Schema, fill, parts


def project_schema() -> Schema:
    """Return the schema of deployer.yaml."""
    services = sorted({kind.service for kind in KINDS.values()} | {"iam"})
    schema: Schema = fill(
        parts()["project"],
        apiVersion=API_VERSION,
        defaults={name: {"$ref": f"#/$defs/{name}"} for name in KINDS},
        endpoints=dict.fromkeys(services, parts()["endpoint"]),
        definitions={kind.name: defaults_schema(kind) for kind in KINDS.values()},
    )
    return schema


def folder_defaults_schema() -> Schema:
    """Return the schema of `_defaults.yaml`, the defaults of a folder."""
    whole = project_schema()
    schema: Schema = fill(
        parts()["folderDefaults"],
        defaults=whole["properties"]["defaults"]["properties"],
        definitions=whole["$defs"],
    )
    return schema
