"""The schema of a saved plan; under `$defs` stands that of `plan --format json`, which is a part of it.

Keys that are not named here may come in later versions of the format, so they are let through.
"""

from __future__ import annotations

from typing import Any

from deployer.model import Action, Impact

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}


def _list_of(item: Schema, most: int) -> Schema:
    return {"type": "array", "items": item, "maxItems": most}


def _object(description: str, properties: Schema) -> Schema:
    """All of the properties are always there."""
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


_INPUTS = _object(
    "What the plan was made of beside the files. apply takes none of it from here but what selects jobs.",
    {
        "project": {"description": "metadata.name of the project file.", "type": "string", "maxLength": 64},
        "target": {"description": "The target's name.", "type": "string", "maxLength": 64},
        "values": {
            "description": "The files of --values, as paths from the project's folder.",
            **_list_of({"type": "string", "maxLength": 4096}, 100),
        },
        "settings": {
            "description": "The names that were given to --set; their values are not kept.",
            **_list_of({"type": "string", "maxLength": 4096}, 1000),
        },
        "paths": {
            "description": "The PATHs, from the project's folder; empty is all of the project.",
            **_list_of({"type": "string", "minLength": 1, "maxLength": 4096}, 10_000),
        },
        "select": {
            "description": "The expressions of --select.",
            **_list_of({"type": "string", "maxLength": 4096}, 1000),
        },
        "rerun": {
            "description": "The expressions of --rerun.",
            **_list_of({"type": "string", "maxLength": 4096}, 1000),
        },
    },
)

_FIELD = _object(
    "One field that differs.",
    {
        "path": {"description": "A JSON Pointer into spec.", "type": "string"},
        "live": {"description": "null where it is not there, or sensitive."},
        "desired": {"description": "null where it is not there, or sensitive."},
        "sensitive": {"type": "boolean"},
    },
)

_CHANGE = _object(
    "One planned step for one job.",
    {
        "action": {"enum": [action.value for action in Action if action is not Action.UNCHANGED]},
        "kind": _TEXT,
        "name": _TEXT,
        "place": {"description": "The queue or cluster; empty where that is not part of it.", **_TEXT},
        "source": {"description": "file:line", **_TEXT},
        "reason": _TEXT,
        "impact": {"enum": [impact.value for impact in Impact]},
        "fields": {"type": "array", "items": {"$ref": "#/$defs/field"}},
        "live": {
            "description": "The live job that counted in the decision, if there is one.",
            "type": ["object", "null"],
            "properties": {"id": _TEXT, "state": _TEXT},
            "required": ["id", "state"],
        },
        "beside": {
            "description": "Other active runs of the job, which a cancel ends too.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": _TEXT, "state": _TEXT},
                "required": ["id", "state"],
            },
        },
    },
)

_NOTE = _object(
    "Something about a job that a person should look at.",
    {"kind": _TEXT, "name": _TEXT, "place": _TEXT, "source": _TEXT, "message": _TEXT},
)

_ORPHAN = _object(
    "A live job that was deployed from here, and that no manifest names any more.",
    {"kind": _TEXT, "name": _TEXT, "place": _TEXT, "id": _TEXT, "state": _TEXT},
)

_VERSION: Schema = {
    "description": "Keys may be added within 1.x.",
    "type": "string",
    "pattern": r"^1\.[0-9]{1,4}$",
}

_PLAN = _object(
    "What 'deployer plan --format json' prints.",
    {
        "format_version": _VERSION,
        "target": _TEXT,
        "summary": {
            "description": "A count for each action.",
            "type": "object",
            "properties": {action.value: {"type": "integer", "minimum": 0} for action in Action},
        },
        "changes": {"type": "array", "items": {"$ref": "#/$defs/change"}},
        "attention": {"type": "array", "items": {"$ref": "#/$defs/note"}},
        "errors": {"type": "array", "items": {"$ref": "#/$defs/note"}},
        "orphans": {"type": "array", "items": {"$ref": "#/$defs/orphan"}},
        "others": {"description": "Live jobs that no manifest names.", "type": "integer", "minimum": 0},
        "digest": {
            "description": "SHA-256 of what would be done.",
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
        },
    },
)


def plan_schema() -> Schema:
    """The schema of a saved plan."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Generated by 'deployer schema generate'.",
        "title": "A saved plan",
        "description": "What 'deployer plan --out' writes: the JSON plan, and what it was made of.",
        "type": "object",
        "allOf": [{"$ref": "#/$defs/plan"}],
        "properties": {
            "deployer": {
                "description": "The version of deployer that made it.",
                "type": "string",
                "maxLength": 64,
            },
            "inputs": _INPUTS,
        },
        "required": ["deployer", "inputs"],
        "$defs": {"plan": _PLAN, "change": _CHANGE, "field": _FIELD, "note": _NOTE, "orphan": _ORPHAN},
    }
