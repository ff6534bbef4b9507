"""DLI sessions: interactive Spark, withdrawn from the reference in 2020 (DLI API, "Creating a session").

The listing returns few parameters of the request: a session has no `req_body`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.emulator.api import DLI, Request, Route, error, json_text
from deployer.emulator.checks import Check, number, one_of, record
from deployer.emulator.family import Family, Phase, ending
from deployer.emulator.filters import Filter, conditions, option, whole
from deployer.emulator.spark import FIELDS, LOG, log, queue_of, size_of, state_of
from deployer.emulator.store import Job

FAMILY = Family(
    "dli.session",
    (Phase(0, "starting"), Phase(2_000, "idle")),
    final=("error", "dead", "success"),
)

_FIELDS: Mapping[str, Check] = {
    **FIELDS,
    "kind": one_of("spark"),
    "heartbeatTimeoutInSecond": number(least=0),
}
_check = record(_FIELDS, required=("kind",))

# The older edition of the page says cluster_name, the newer one queue.
_FILTERS = {"cluster_name": Filter("scope = ?"), "queue": Filter("scope = ?")}

_STOPPING = 2_000

# Pages and real responses contain null until there is an application.
_APP_INFO = {"driverLogUrl": None, "sparkUiUrl": None}


def create(request: Request) -> Any:
    _check("", request.body)
    job = request.store.add(
        FAMILY,
        project=request.path["project"],
        scope=queue_of(request.body),
        name=request.body.get("name", ""),
        body=json_text(request.body),
    )
    return {**_entry(job), "appInfo": _APP_INFO, "update_time": 0}


def list_(request: Request) -> Any:
    """List the sessions. `from` is a record index, although the page calls it a session id."""
    start = option(request.query, "from", whole(), 0)
    total, jobs = request.store.find(
        FAMILY,
        request.path["project"],
        conditions(_FILTERS, request.query),
        limit=option(request.query, "size", whole(), 100),
        offset=start,
    )
    return {"from": start, "total": total, "sessions": [_entry(job) for job in jobs]}


def get(request: Request) -> Any:
    return {**_entry(_find(request)), "appInfo": _APP_INFO}


def state(request: Request) -> Any:
    return state_of(_find(request))


def log_(request: Request) -> Any:
    return log(request, FAMILY, _find(request))


def delete(request: Request) -> Any:
    """Delete a session. The record remains; whether an ended one can be deleted is not documented."""
    store = request.store
    with store.together():
        job = _find(request)
        if job.state not in (*FAMILY.final, "shutting_down"):
            store.set(job, **ending(store.now(), "shutting_down", _STOPPING, "success"))
    return {"msg": "deleted"}


def _find(request: Request) -> Job:
    job = request.store.get(FAMILY, request.path["project"], request.path["session"])
    if job is None:
        raise error(400, "DLI.0002", f"The session {request.path['session']} does not exist.")
    return job


def _entry(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "appId": None if job.state == "starting" else f"application_{job.created}_{job.number:04d}",
        "name": job.name or None,
        "owner": None,
        "proxyUser": None,
        "state": job.state,
        "kind": "spark",
        "log": LOG,
        "sc_type": size_of(json.loads(job.body)),
        "cluster_name": job.scope,
        "queue": job.scope,
        "create_time": job.created,
    }


_SESSIONS = "/v2.0/{project}/sessions"
ROUTES = (
    Route("POST", _SESSIONS, DLI, create),
    Route("GET", _SESSIONS, DLI, list_),
    Route("GET", f"{_SESSIONS}/{{session}}", DLI, get),
    Route("GET", f"{_SESSIONS}/{{session}}/state", DLI, state),
    Route("GET", f"{_SESSIONS}/{{session}}/log", DLI, log_),
    Route("DELETE", f"{_SESSIONS}/{{session}}", DLI, delete),
)
