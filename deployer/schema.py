"""Parameter table -> JSON Schema (draft 2020-12).

The generated files in `schemas/` are for editors as much as for us: `schema generate` writes them,
`schema check` fails when they are stale. Nothing else is checked against but these files.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind, Nature
from deployer.plan_schema import plan_schema
from deployer.rules import MEMORY_UNIT, ONE_SPELLING, waivable
from deployer.tables import Row, json_type, schema_folder

API_VERSION = "deployer/v1"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"

# https, or this machine. Host and port only: a user and password would be printed with every error.
_BASE_URL = r"^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost|\[::1\]))(:[0-9]{1,5})?/?$"

Schema = dict[str, Any]


def generate() -> Mapping[str, str]:
    """The text of every generated file, by file name."""
    schemas = {kind.name: manifest_schema(kind) for kind in KINDS.values()}
    schemas |= {"Project": project_schema(), "Plan": plan_schema()}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


def stale() -> list[str]:
    """The names of the generated files that are missing, or differ from what the tables say now."""
    return [name for name, text in generate().items() if stored(name) != text]


def stored(name: str) -> str | None:
    """The text of a generated file; None when it is missing."""
    file = schema_folder() / name
    return file.read_text(encoding="utf-8") if file.is_file() else None


def manifest_schema(kind: Kind) -> Schema:
    """The schema of a whole manifest of `kind`."""
    return {
        "$schema": _DRAFT,
        "$comment": f"Generated from schemas/tables/{kind.table}.yaml by 'deployer schema generate'.",
        "title": f"{kind.name} manifest",
        "description": f"A {kind.title}.",
        **_object(
            {
                "apiVersion": {"const": API_VERSION},
                "kind": {"const": kind.name},
                "forEach": _FOR_EACH,
                "enabled": {
                    "description": "Whether the manifest counts; false is as if it were not there.",
                    "type": "boolean",
                    "default": True,
                },
                "metadata": _object(
                    {"name": row_schema(kind.name_row), "labels": _LABELS},
                    required=["name"],
                ),
                "spec": {"description": f"The API body ({kind.create.call}).", **rows_schema(kind.rows)},
                "lifecycle": _object(_lifecycle(kind.nature)),
                "dependsOn": _DEPENDS_ON,
                "waive": {
                    "description": "Rules that do not hold for this job, each with the reason why.",
                    "type": "object",
                    "additionalProperties": {"type": "string", "minLength": 1},
                    "propertyNames": {"enum": waivable(kind.name)},
                },
            },
            required=["apiVersion", "kind", "metadata", "spec"],
        ),
    }


_LABELS: Schema = {
    "description": "For selecting and reporting; never sent.",
    "type": "object",
    "additionalProperties": {"type": "string"},
}

_FOR_EACH: Schema = {
    "description": "One job for each item, as `each`; or for each combination of the lists of a mapping.",
    "anyOf": [{"type": "array"}, {"type": "object", "additionalProperties": {"type": "array"}}],
}


def _defaults(kind: Kind) -> Schema:
    """The schema of the defaults for a kind: parts of its manifests."""
    return {
        "description": f"Merged under every {kind.name} manifest, which wins; null there removes a default.",
        **_object(
            {
                "metadata": _object({"labels": _LABELS}),
                "spec": rows_schema(kind.rows, partial=True),
                "lifecycle": _object(_lifecycle(kind.nature)),
            }
        ),
    }


def _object(properties: Mapping[str, Any], *, required: Sequence[str] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def rows_schema(rows: Sequence[Row], *, partial: bool = False) -> Schema:
    """The schema of an object with these rows as its properties; a `partial` one need not have any."""
    properties: Schema = {}
    required: list[str] = []
    rules: list[Schema] = []
    for row in rows:
        schema = row_schema(row)
        properties[row.name] = schema
        for alias in row.aliases:
            older = {"title": alias, "description": f"Older spelling of {row.name}.", "deprecated": True}
            properties[alias] = schema | older
        others = [*row.aliases, *(other.name for other in rows if other.same_as == row.name)]
        if others:
            rules.append(_spellings([row.name, *others], required=row.required and not partial))
        elif row.required and not partial:
            required.append(row.name)
    schema = _object(properties, required=required)
    return schema | ({"allOf": rules} if rules else {})


def _spellings(names: Sequence[str], *, required: bool) -> Schema:
    """At most one of `names`, or exactly one."""
    quoted = [f"'{name}'" for name in names]
    words = f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    if required:
        return {
            "$comment": ONE_SPELLING,
            "description": f"give exactly one of {words}",
            "oneOf": [{"required": [name]} for name in names],
        }
    # Not oneOf with "none of them" as an alternative: that takes five times as long to check.
    both = [{"required": list(pair)} for pair in combinations(names, 2)]
    return {
        "$comment": ONE_SPELLING,
        "description": f"give only one of {words}: they mean the same",
        "not": both[0] if len(both) == 1 else {"anyOf": both},
    }


def row_schema(row: Row) -> Schema:
    """The schema of one parameter's value."""
    schema: Schema = {
        "title": row.name,
        "description": row.description,
        **copy.deepcopy(dict(json_type(row.type))),
    }
    if row.text_map:
        # An unquoted number or truth value is taken as its text.
        schema["additionalProperties"] = {"type": ["string", "number", "boolean"]}
    if row.fields:
        inner = rows_schema(row.fields)
        schema |= {"items": inner} if schema["type"] == "array" else inner
    schema |= row.limits
    if row.memory:
        schema["$comment"] = MEMORY_UNIT
    if row.excluded:
        words = f"'{row.name}' must not be {' or '.join(map(str, row.excluded))}"
        schema["allOf"] = [{"description": words, "not": {"enum": list(row.excluded)}}]
    if row.example is not None:
        schema["examples"] = [row.example]
    if row.deprecated:
        schema["deprecated"] = True
    return schema


def _lifecycle(nature: Nature) -> Schema:
    once = nature is Nature.RUN_ONCE
    states = ["present", "absent"] if once else ["running", "stopped", "absent"]
    common: Schema = {
        "state": {"description": "What should be there.", "enum": states, "default": states[0]},
        "onFailure": {
            "description": "What to do when the newest run failed and the manifest did not change.",
            "enum": ["keep", "resubmit"],
            "default": "keep",
        },
        "onMissing": {
            "description": "What to do when the listing has no record of the job.",
            "enum": ["create", "keep"],
            "default": "create",
        },
        "rerun": {
            "description": "Run again if the newest run was submitted before this instant.",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$",
            "examples": ["2024-07-05T09:00:00Z"],
        },
        "protect": {
            "description": "Refuse whatever would stop, replace or delete it.",
            "type": "boolean",
            "default": False,
        },
        "timeout": {
            "description": "How long to wait for it: a number and s, m or h.",
            "type": "string",
            "pattern": "^[1-9][0-9]*[smh]$",
            "default": "30m",
        },
    }
    if once:
        on_change = {
            "description": "What to do with a changed manifest while an old run is active or has ended.",
            "enum": ["block", "replace", "submit", "keep"],
            "default": "block",
        }
        return {"onChange": on_change, **common}
    savepoint = {
        "description": "Stop with a savepoint and start from it; false consents to losing state.",
        "type": "boolean",
        "default": True,
    }
    return {**common, "savepoint": savepoint}


_DEPENDS_ON: Schema = {
    "description": "Jobs that are sent before this one. It orders, it never triggers.",
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string", "description": "The name of a job in this project."},
            _object(
                {
                    "kind": {"enum": list(KINDS)},
                    "name": {"type": "string"},
                    "until": {"enum": ["submitted", "running", "succeeded"], "default": "submitted"},
                },
                required=["name"],
            ),
        ],
        "description": "expected a job's name, or a mapping with name and, if you like, kind and until",
    },
}


# What signs in to the cloud is no job's business.
_VARIABLE = r"^(?!(HW|OS|HUAWEICLOUD)_)[A-Za-z_][A-Za-z0-9_]{0,127}$"

_SECRETS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": _VARIABLE},
    "additionalProperties": _object(
        {
            "variable": {
                "description": "The environment variable that holds it; the secret's own name if left out.",
                "type": "string",
                "pattern": _VARIABLE,
            },
            "file": {
                "description": "The file that holds it, instead of a variable; a path from the project.",
                "type": "string",
                "minLength": 1,
            },
        }
    )
    | {
        "type": ["object", "null"],
        "not": {"required": ["variable", "file"]},
        "description": "a secret comes from a variable or from a file, not from both",
    },
}


_AUTH: Schema = _object(
    {
        "method": {
            "description": "A token, an IAM user's password or an access key; what is there, if left out.",
            "enum": ["token", "password", "aksk"],
        },
        "variable": {
            "description": "The environment variable that holds the token.",
            "type": "string",
            "pattern": "^(HW|OS)_AUTH_TOKEN(_[A-Z0-9_]+)?$",
            "default": "HW_AUTH_TOKEN",
        },
    }
) | {
    "description": "How to sign in. Credentials come from the environment, never from here.",
    "allOf": [
        {
            "description": "'variable' is for the method token only",
            "not": {
                "required": ["method", "variable"],
                "properties": {"method": {"enum": ["password", "aksk"]}},
            },
        }
    ],
}


def project_schema() -> Schema:
    """The schema of `deployer.yaml`."""
    text_map = {"type": "object", "additionalProperties": {"type": "string"}}
    files = {"type": "array", "items": {"type": "string"}}
    default_of = _object({name: {"$ref": f"#/$defs/{name}"} for name in KINDS})
    services = sorted({kind.service for kind in KINDS.values()} | {"iam"})
    target = _object(
        {
            "emulator": {
                "description": "Run an emulator inside the command; its jobs are kept in .deployer/.",
                "type": "boolean",
                "default": False,
            },
            "region": {"description": "Gives the endpoints of all services.", "type": "string"},
            "endpoints": {
                "description": "The base URL of a service; wins over the region.",
                **_object({name: {"type": "string", "pattern": _BASE_URL} for name in services}),
            },
            "projectId": {
                "description": "The id of the cloud project, as the console shows it.",
                "type": "string",
                "pattern": "^[0-9A-Za-z]{1,64}$",
            },
            "auth": _AUTH,
            "caFile": {
                "description": "The certificates (PEM) to verify servers with, instead of the usual ones.",
                "type": "string",
                "minLength": 1,
            },
            "rate": {
                "description": "The most that one service is called.",
                **_object(
                    {
                        "requestsPerSecond": {"type": "number", "minimum": 0.01, "default": 50},
                        "concurrent": {"type": "integer", "minimum": 1, "default": 4},
                    }
                ),
            },
            "retry": {
                "description": "How calls are sent again that failed only for the moment.",
                **_object(
                    {
                        "attempts": {
                            "description": "How often one is sent at most.",
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 10,
                            "default": 4,
                        },
                        "waitForPlace": {
                            "description": "How long a cluster that takes no more jobs is waited for.",
                            "type": "string",
                            "pattern": "^[0-9]{1,4}[smh]$",
                            "default": "10m",
                        },
                    }
                ),
            },
            "waits": {
                "description": "How a job's state is waited for.",
                **_object(
                    {
                        "poll": {
                            "description": "How often it is asked for.",
                            "type": "string",
                            "pattern": "^[0-9]{1,4}[smh]$",
                            "default": "5s",
                        },
                        "settle": {
                            "description": "How long a listing may lag behind what was sent.",
                            "type": "string",
                            "pattern": "^[0-9]{1,4}[smh]$",
                            "default": "10s",
                        },
                    }
                ),
            },
            "protected": {
                "description": "apply asks for its name: --confirm NAME, where --yes does for others.",
                "type": "boolean",
                "default": False,
            },
            "values": {"description": "Values files for this target.", **files},
            "defaults": {"description": "Defaults for this target, on top of the project's.", **default_of},
            "secrets": {"description": "Secrets for this target, on top of the project's.", **_SECRETS},
            "clusters": {"description": "Names for MRS cluster ids, for spec.cluster_id.", **text_map},
            "limits": {
                "description": "How many changes of a sort one apply may make; beyond it is refused.",
                **_object(
                    {
                        name: {"type": "integer", "minimum": 0}
                        for name in ("changes", "replace", "delete", "stateLoss")
                    }
                ),
            },
        }
    )
    return {
        "$schema": _DRAFT,
        "$comment": "Generated by 'deployer schema generate'.",
        "title": "deployer.yaml",
        "description": "A project: its targets, and the values that its templates see.",
        **_object(
            {
                "apiVersion": {"const": API_VERSION},
                "kind": {"const": "Project"},
                "metadata": _object(
                    {"name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}},
                    required=["name"],
                ),
                "requiredVersion": {
                    "description": "The versions of deployer that may work on this project, as in >=0.3,<2.",
                    "type": "string",
                },
                "defaultTarget": {"description": "The target when -t is not given.", "type": "string"},
                "values": {"description": "Values files for every target.", **files},
                "marks": {
                    "description": "Whether deployed jobs say who deployed them, where their API has room.",
                    "type": "boolean",
                    "default": True,
                },
                "defaults": {"description": "What manifests need not repeat, by kind.", **default_of},
                "secrets": {"description": 'What {{ secret("NAME") }} may name.', **_SECRETS},
                "targets": {
                    "type": "object",
                    "additionalProperties": target,
                    "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
                    "minProperties": 1,
                },
            },
            required=["apiVersion", "kind", "metadata", "targets"],
        ),
        "$defs": {kind.name: _defaults(kind) for kind in KINDS.values()},
    }
