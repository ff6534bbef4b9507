"""Outcomes as JSON: `format_version` 1.0. Keys are added in minor versions, never changed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from deployer.escape import json_text
from deployer.model import STATUSES
from deployer.planning.plan_json import note_data, scope_data
from deployer.report.outcomes import Entry, Outcomes, entries

FORMAT_VERSION = "1.0"


def outcomes(found: Outcomes) -> str:
    """Format outcomes as a JSON document, in the order of the plan."""
    listed = entries(found)
    numbers = Counter(entry.status for entry in listed)
    return json_text(
        {
            "format_version": FORMAT_VERSION,
            "verb": found.name,
            "result": found.end,
            "exit_code": int(found.exit_code),
            "messages": [*found.messages],
            "target": found.target,
            "scope": scope_data(found.scope),
            "digest": found.plan.digest if found.plan else None,
            "summary": {status: numbers[status] for status in STATUSES},
            "outcomes": [*map(_entry, listed)],
            "errors": [note_data(note) for note in (found.plan.errors if found.plan else ())],
        }
    )


def _entry(entry: Entry) -> dict[str, Any]:
    change = entry.change
    return {
        "action": change.action,
        "kind": change.job.kind,
        "name": change.job.name,
        "place": change.job.identity.place,
        "source": str(change.job.source),
        "impact": change.impact,
        "reason": change.reason,
        "result": entry.status,
        "message": entry.message,
        "id": entry.id or None,
        "begun": entry.begun,
        "log": [*entry.log],
    }
