"""The emulator's route for the fifth kind: an invented service."""

from __future__ import annotations

import json
from typing import Any

from deployer.emulator.api import DLI, Request, Route, json_text
from deployer.emulator.checks import record, text
from deployer.emulator.family import Family, Phase
from deployer.emulator.store import Job

FAMILY = Family("press.report", (Phase(0, "waiting"), Phase(60_000, "printed")), final=("printed", "jammed"))
_check = record(dict.fromkeys(("title", "printer", "text"), text()), required=("title", "printer"))


def create(request: Request) -> Any:
    _check("", request.body)
    project, scope, name = request.path["project"], request.body["printer"], request.body["title"]
    body = json_text(request.body)
    return _entry(request.store.add(FAMILY, project=project, scope=scope, name=name, body=body))


def list_(request: Request) -> Any:
    size = int(request.query["size"])
    offset = size * (int(request.query["page"]) - 1)
    total, jobs = request.store.find(FAMILY, request.path["project"], (), limit=size, offset=offset)
    return {"count": total, "reports": [_entry(job) for job in jobs]}


def _entry(job: Job) -> dict[str, Any]:
    return {**json.loads(job.body), "id": job.id, "state": job.state, "created": job.created}


ROUTES = (
    Route("POST", "/v1/{project}/reports", DLI, create),
    Route("GET", "/v1/{project}/reports", DLI, list_),
)
