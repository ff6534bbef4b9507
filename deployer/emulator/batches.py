"""DLI batches: Spark jobs that start when they are created (DLI API, "Spark job APIs")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.emulator.api import DLI, OWNER, Request, Route, error, json_text
from deployer.emulator.checks import Check, ParameterError, boolean, list_of, number, one_of, record, text
from deployer.emulator.family import Family, Phase, ending
from deployer.emulator.filters import Filter, conditions, one_word, option, whole
from deployer.emulator.spark import FIELDS, LOG, log, queue_of, size_of, state_of
from deployer.emulator.store import Job

FAMILY = Family(
    "dli.batch",
    (Phase(0, "starting"), Phase(2_000, "running"), Phase(60_000, "success")),
    final=("success", "dead"),
)

# Names of the 2021 edition; requests are stored and returned with the names of the other editions.
_OLD_SPELLINGS = {
    "class_name": "className",
    "python_files": "pyFiles",
    "driver_memory": "driverMemory",
    "driver_cores": "driverCores",
    "executor_memory": "executorMemory",
    "executor_cores": "executorCores",
    "num_executors": "numExecutors",
    "auto_recovery": "autoRecovery",
    "max_retry_times": "maxRetryTimes",
}

_FIELDS: Mapping[str, Check] = {
    **FIELDS,
    "file": text(least=1),
    "className": text(),
    "args": list_of(text()),
    "feature": one_of("basic", "custom", "ai"),
    "spark_version": text(),
    "image": text(),
    "obs_bucket": text(),
    "catalog_name": text(),
    "execution_agency_urn": text(),
    "autoRecovery": boolean,
    "maxRetryTimes": number(least=0, most=100),
    # In no table of parameters, but in real requests and in the responses of the service.
    "minRecoveryDelayTime": number(least=0),
    "modelFiles": list_of(text()),
    "archives": list_of(text()),
}
_check = record(_FIELDS, required=("file",))

# Fields of `req_body` even if the request did not contain them.
_FILLED: Mapping[str, Any] = {
    "jars": [],
    "pyFiles": [],
    "files": [],
    "modelFiles": [],
    "resources": [],
    "modules": [],
    "groups": [],
    "archives": [],
    "queue": "",
    "name": "",
    "conf": {},
    "file": "",
    "args": [],
    "className": "",
    "autoRecovery": False,
    "minRecoveryDelayTime": 10_000,
    "maxRetryTimes": 20,
}

_STATES = ("starting", "running", "recovering", "dead", "success")

# How long a cancelled job keeps its state: there is no state for a pending cancellation.
_CANCELLING = 2_000

# :now is the current time in every query of the store.
_DURATION = f"CASE WHEN state IN {FAMILY.final!r} THEN since ELSE :now END - created"
_ORDERS = {
    "CREATE_TIME_DESC": "created DESC, number DESC",
    "CREATE_TIME_ASC": "created, number",
    "DURATION_DESC": f"{_DURATION} DESC, number DESC",
    "DURATION_ASC": f"{_DURATION}, number",
}

# DLI API, "Listing batch jobs": the hyphen in job-id is on the page. An empty queue means all queues.
_FILTERS = {
    "job_name": Filter("name = ?"),
    "job-id": Filter("id = ?"),
    "cluster_name": Filter("scope = ?"),
    "queue_name": Filter("scope = ?"),
    "state": Filter("state = ?", one_word(*_STATES)),
    "owner": Filter(f"{OWNER!r} = ?"),
    "start": Filter("created >= ?", whole()),
    "end": Filter("created <= ?", whole()),
}


def create(request: Request) -> Any:
    body = _spelled(request.body)
    _check("", body)
    queue = queue_of(body)
    echo = {**_FILLED, **body, "queue": queue}
    echo.pop("cluster_name", None)
    job = request.store.add(
        FAMILY,
        project=request.path["project"],
        scope=queue,
        name=echo["name"],
        body=json_text(echo),
    )
    return _entry(job, request.store.now())


def list_(request: Request) -> Any:
    """List the batches. `from` is a record index; `create_time` is that of the first entry (not documented)."""
    start = option(request.query, "from", whole(), 0)
    total, jobs = request.store.find(
        FAMILY,
        request.path["project"],
        conditions(_FILTERS, request.query),
        order=_ORDERS[option(request.query, "order", one_word(*_ORDERS), "CREATE_TIME_DESC")],
        limit=option(request.query, "size", whole(), 100),
        offset=start,
    )
    now = request.store.now()
    return {
        "from": start,
        "total": total,
        "sessions": [{**_entry(job, now), "req_body": job.body} for job in jobs],
        "create_time": jobs[0].created if jobs else 0,
    }


def get(request: Request) -> Any:
    job = _find(request)
    echo = json.loads(job.body)
    versions = {key: echo[key] for key in ("feature", "spark_version") if key in echo}
    return {**_entry(job, request.store.now()), "req_body": job.body, **versions}


def state(request: Request) -> Any:
    return state_of(_find(request))


def log_(request: Request) -> Any:
    """Return the log of the first attempt: jobs are not retried here."""
    option(request.query, "type", one_word("driver"), "driver")
    option(request.query, "index", whole(0, 0), 0)
    return log(request, FAMILY, _find(request))


def cancel(request: Request) -> Any:
    """Cancel a batch. The record remains, finally in the state dead."""
    store = request.store
    with store.together():
        job = _find(request)
        if job.state in FAMILY.final:
            raise error(400, "DLI.0007", f"The batch job {job.id} has ended; it cannot be cancelled.")
        store.set(job, **ending(store.now(), job.state, _CANCELLING, "dead"))
    return {"msg": "deleted"}


def _spelled(body: Mapping[str, Any]) -> dict[str, Any]:
    for old, new in _OLD_SPELLINGS.items():
        if old in body and new in body:
            raise ParameterError(f"{old} and {new} are the same parameter")
    return {_OLD_SPELLINGS.get(key, key): value for key, value in body.items()}


def _find(request: Request) -> Job:
    job = request.store.get(FAMILY, request.path["project"], request.path["batch"])
    if job is None:
        # DLI API, "Error codes": a missing job is a bad request, not a 404.
        raise error(400, "DLI.0002", f"The batch job {request.path['batch']} does not exist.")
    return job


def _entry(job: Job, now: int) -> dict[str, Any]:
    echo = json.loads(job.body)
    return {
        "id": job.id,
        "appId": "" if job.state == "starting" else f"batch-session-{job.id}:{job.number}",
        "name": job.name,
        "owner": OWNER,
        "proxyUser": "",
        "state": job.state,
        "kind": "spark",
        "log": LOG,
        "sc_type": size_of(echo),
        "cluster_name": job.scope,
        "queue": job.scope,
        "image": echo.get("image", ""),
        "create_time": job.created,
        "update_time": job.since,
        "duration": (job.since if job.state in FAMILY.final else now) - job.created,
    }


_BATCHES = "/v2.0/{project}/batches"
ROUTES = (
    Route("POST", _BATCHES, DLI, create),
    Route("GET", _BATCHES, DLI, list_),
    Route("GET", f"{_BATCHES}/{{batch}}", DLI, get),
    Route("GET", f"{_BATCHES}/{{batch}}/state", DLI, state),
    Route("GET", f"{_BATCHES}/{{batch}}/log", DLI, log_),
    Route("DELETE", f"{_BATCHES}/{{batch}}", DLI, cancel),
)
