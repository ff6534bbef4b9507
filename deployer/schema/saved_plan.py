"""The JSON Schema of a saved plan. Its `$defs` have the schema of `plan --format json`, a part of it."""

from __future__ import annotations

from deployer.model import Action, Condition, Impact
from deployer.schema.parts import Schema, fill, parts


def plan_schema() -> Schema:
    """Return the schema of a saved plan."""
    schema: Schema = fill(
        parts()["plan"],
        actions=[action.value for action in Action if action is not Action.UNCHANGED],
        counts={action.value: {"type": "integer", "minimum": 0} for action in Action},
        conditions={name.value: {"type": "integer", "minimum": 0} for name in Condition},
        impacts=[impact.value for impact in Impact],
    )
    return schema
