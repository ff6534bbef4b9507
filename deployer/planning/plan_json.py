"""The plan as JSON data; `format_version` 1.0."""

from __future__ import annotations

from typing import Any

from deployer.model import Change, FieldChange, Identity, Note, Orphan, Plan, Scope
from deployer.planning.conditions import counts

FORMAT_VERSION = "1.0"


def as_data(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain data."""
    return {
        "format_version": FORMAT_VERSION,
        "target": plan.target,
        "scope": scope_data(plan.scope or Scope("", plan.target)),
        "summary": dict(plan.summary),
        "conditions": counts(plan),
        "changes": [_change(change) for change in plan.pending],
        **({"upcoming": [*map(_upcoming, plan.upcoming)]} if plan.upcoming else {}),
        "warnings": [note_data(note) for note in plan.warnings],
        "errors": [note_data(note) for note in plan.errors],
        "orphans": [_orphan(orphan) for orphan in plan.orphans],
        "unmanaged": plan.unmanaged,
        "secrets": [
            {"name": secret.name, "source": secret.source, "status": secret.status} for secret in plan.secrets
        ],
        "digest": plan.digest,
    }


def scope_data(scope: Scope) -> dict[str, Any]:
    """Return the place of a plan as plain data."""
    return {
        "project": scope.project,
        "region": scope.region,
        "endpoints": dict(scope.endpoints),
        "project_id": scope.project_id,
        "emulator": scope.emulator,
        "protected": scope.protected,
        "limits": {
            name: {"maximum": limit.maximum, "origin": limit.origin or "deployer.yaml"}
            for name, limit in scope.limits.items()
        },
        "marks": scope.marks,
        **({"selection": scope.selection} if scope.selection else {}),
    }


def _change(change: Change) -> dict[str, Any]:
    job, live = change.job, change.live
    return {
        "action": change.action,
        "kind": job.kind,
        "name": job.name,
        "place": job.identity.place,
        **run_values(job.identity),
        "source": str(job.source),
        "reason": change.reason,
        "impact": change.impact,
        "fields": [*map(_field, change.fields)],
        "not_compared": [*change.not_compared],
        "live_only": [*map(_field, change.live_only)],
        "live": {"id": live.id, "state": live.state} if live else None,
        "other_runs": [{"id": run.id, "state": run.state} for run in change.other_runs],
        "secrets": [{"path": field.path, "names": list(field.names)} for field in change.secrets],
        "cause": change.cause,
        "prune": change.is_prune,
    }


def _upcoming(change: Change) -> dict[str, Any]:
    job, live = change.job, change.live
    return {
        "kind": job.kind,
        "name": job.name,
        "place": job.identity.place,
        "source": str(job.source),
        "fields": [*map(_field, change.fields)],
        "live": {"id": live.id, "state": live.state, **run_values(live.identity)} if live else None,
    }


def run_values(identity: Identity) -> dict[str, Any]:
    """Return the values of one run of a job with parameters, None if they are not told; nothing for other jobs."""
    if not identity.run:
        return {}
    from deployer.parameters.keys import values_of
    from deployer.planning.run_keys import NOT_TOLD

    return {"run": None if identity.run == NOT_TOLD else values_of(identity.run)}


def _field(field: FieldChange) -> dict[str, Any]:
    return {
        "path": field.path,
        "live": field.live,
        "desired": field.desired,
        "sensitive": field.sensitive,
        "note": field.note,
        "live_hidden": field.live_hidden,
    }


def _orphan(orphan: Orphan) -> dict[str, Any]:
    kind, place, name, _ = orphan.identity
    return {
        "kind": kind,
        "name": name,
        "place": place,
        "id": orphan.id,
        "state": orphan.state,
        "proof": orphan.proof or None,
        "ending": orphan.ending,
    }


def note_data(note: Note) -> dict[str, Any]:
    """Return a warning or an error as plain data."""
    return {
        "kind": note.identity.kind,
        "name": note.identity.name,
        "place": note.identity.place,
        "source": str(note.source),
        **run_values(note.identity),
        "message": note.message,
    }
