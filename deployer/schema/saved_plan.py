"""The JSON Schemas of a saved plan, and of what became of a plan.

The `$defs` of the first have the schema of `plan --format json`, a part of it.
"""

from __future__ import annotations

from deployer.model import STATUSES, Action, Condition, End, Impact
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


def outcomes_schema() -> Schema:
    """Return the schema of `apply --report json=FILE`."""
    schema: Schema = fill(
        parts()["outcomes"],
        actions=[action.value for action in Action if action is not Action.UNCHANGED],
        counts={status: {"type": "integer", "minimum": 0} for status in STATUSES},
        ends=[end.value for end in End],
        impacts=[impact.value for impact in Impact],
        statuses=[*STATUSES],
    )
    return schema
