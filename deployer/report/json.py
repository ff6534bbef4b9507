"""The plan as JSON: `format_version` 1.0. Keys are added in minor versions, never changed."""

from __future__ import annotations

from deployer.escape import json_text
from deployer.model import Plan
from deployer.planning.plan_json import as_data


def plan(plan: Plan) -> str:
    """Format the plan as a JSON document; `changes` has all except the unchanged."""
    return json_text(as_data(plan))
