"""The JSON Schema of deployer.yaml."""

from __future__ import annotations

from deployer.kinds import KINDS
from deployer.schema.manifest import _DRAFT, API_VERSION, Schema, _defaults, _object

# https, or this machine. Host and port only: a user and password would be printed with every error.
_BASE_URL = r"^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost|\[::1\]))(:[0-9]{1,5})?/?$"


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
