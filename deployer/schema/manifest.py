"""Parameter table -> JSON Schema (draft 2020-12).

The generated files in `schemas/` are for editors as much as for us: `schema generate` writes them,
`schema check` fails when they are stale. Nothing else is checked against but these files.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind, Nature
from deployer.kinds.tables import Row, json_type
from deployer.schema.rules import MEMORY_UNIT, ONE_SPELLING, waivable

API_VERSION = "deployer/v1"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


Schema = dict[str, Any]


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
