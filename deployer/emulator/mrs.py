"""MRS job executions, API v2: one-shot jobs on a cluster (MRS API, "Job management APIs (V2)")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from deployer.emulator.api import OWNER, ApiError, Request, Route, Service, error, json_text
from deployer.emulator.checks import list_of, map_of, one_of, record, text
from deployer.emulator.family import Family, Phase, ending
from deployer.emulator.filters import Filter, conditions, one_word, option, whole
from deployer.emulator.store import Job

FAMILY = Family(
    "mrs.job",
    (
        Phase(0, "ACCEPTED", "UNDEFINED"),
        Phase(2_000, "RUNNING", "UNDEFINED"),
        Phase(60_000, "FINISHED", "SUCCEEDED"),
    ),
    final=("FINISHED", "FAILED", "KILLED"),
)

_TYPES = (
    "MapReduce",
    "SparkSubmit",
    "SparkPython",
    "HiveScript",
    "HiveSql",
    "DistCp",
    "SparkScript",
    "SparkSql",
    "Flink",
)
_STATES = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING", *FAMILY.final)
_RESULTS = ("FAILED", "KILLED", "UNDEFINED", "SUCCEEDED")
_SQL = ("SparkSql", "SparkScript")
_QUEUE = "default"

# How long a killed job keeps its state.
_KILLING = 2_000

# MRS API, "Error codes": one number has a separate code.
_RUNNING = 10

# No maximum is documented; the product of both must be a valid record index.
_MOST = 10**9

# Characters that the pages forbid in arguments are in their own examples, and real jobs are accepted with
# them, so they are accepted here.
_check = record(
    {
        "job_type": one_of(*_TYPES),
        "job_name": text(pattern="[A-Za-z0-9_-]{1,64}"),
        "arguments": list_of(text()),
        "properties": map_of(text()),
    },
    required=("job_type", "job_name"),
)

# MRS.0002 at the top level with 400 is the only response to a wrong parameter that was seen from the live
# service. The example on the submit page (500, and the error inside job_submit_result) is titled as a failed
# submission, so it is used for a failure of the service. A client must handle both.
_refused = partial(error, 400, "MRS.0002")
_QUERY = Service(_refused, partial(error, 500, "0167"))
_KILL = Service(_refused, partial(error, 500, "0175"))
_DELETE = Service(_refused, partial(error, 500, "0161"))
_RESULT = Service(_refused, partial(error, 500, "0172"))


def _submit_failed(code: str, message: str) -> ApiError:
    return ApiError(500, {"job_submit_result": {"error_msg": message, "error_code": code}})


_SUBMIT = Service(_refused, partial(_submit_failed, "0173"))

_check_delete = record({"job_id_list": list_of(text(least=1), least=1)}, required=("job_id_list",))

# MRS API, "Querying a list of jobs": names that contain the value match.
_FILTERS = {
    "job_name": Filter("instr(name, ?) > 0"),
    "job_id": Filter("id = ?"),
    "user": Filter(f"{OWNER!r} = ?"),
    "queue": Filter(f"{_QUEUE!r} = ?"),
    "job_type": Filter("json_extract(body, '$.job_type') = ?", one_word(*_TYPES)),
    "job_state": Filter("state = ?", one_word(*_STATES)),
    "job_result": Filter("result = ?", one_word(*_RESULTS)),
    "submitted_time_begin": Filter("created >= ?", whole()),
    "submitted_time_end": Filter("created <= ?", whole()),
}


def submit(request: Request) -> Any:
    """Submit a job. The state COMPLETE means that the job was submitted, not that it ran."""
    _check("", request.body)
    body = {"arguments": [], "properties": {}, **request.body}
    if body["job_type"] == "SparkPython":
        # Submitted, listed and filtered as SparkSubmit, according to the submit page.
        body["job_type"] = "SparkSubmit"
    store = request.store
    with store.together():
        _check_running(request)
        job = store.add(
            FAMILY,
            project=request.path["project"],
            scope=request.path["cluster"],
            name=body["job_name"],
            body=json_text(body),
        )
    return {"job_submit_result": {"job_id": job.id, "state": "COMPLETE"}}


def _check_running(request: Request) -> None:
    most = request.store.limits.running
    if most is None:
        return
    active = (f"scope = ? AND NOT {FAMILY.over}", request.path["cluster"])
    if request.store.find(FAMILY, request.path["project"], [active], limit=0)[0] >= most:
        message = f"The number of running jobs per cluster cannot exceed {most}."
        raise _submit_failed("0177" if most == _RUNNING else "12000060", message)


def list_(request: Request) -> Any:
    """List the jobs. `offset` is a page number from 1; 0 is an error."""
    query = request.query
    limit = option(query, "limit", whole(1, _MOST), 10)
    page = option(query, "offset", whole(1, _MOST), 1)
    ascending = option(query, "sort_by", one_word("asc", "desc"), "desc") == "asc"
    total, jobs = request.store.find(
        FAMILY,
        request.path["project"],
        [("scope = ?", request.path["cluster"]), *conditions(_FILTERS, query)],
        order="created, number" if ascending else "created DESC, number DESC",
        limit=limit,
        offset=(page - 1) * limit,
    )
    now = request.store.now()
    return {"total_record": total, "job_list": [_bean(job, now) for job in jobs]}


def get(request: Request) -> Any:
    return {"job_detail": _bean(_find(request, request.path["job"]), request.store.now())}


def kill(request: Request) -> Any:
    """Kill a job. SparkSql jobs cannot be stopped (user guide)."""
    store = request.store
    with store.together():
        job = _find(request, request.path["job"])
        if job.state in FAMILY.final:
            raise error(500, "0175", "Failed to terminate the job.")
        if json.loads(job.body)["job_type"] == "SparkSql":
            raise error(500, "0160", "Failed to terminate the job.")
        store.set(job, **ending(store.now(), job.state, _KILLING, "KILLED", "KILLED"))
    return {"result": "succeeded"}


def delete(request: Request) -> None:
    """Delete all jobs in the body, or none."""
    _check_delete("", request.body)
    with request.store.together():
        jobs = [_find(request, identity) for identity in request.body["job_id_list"]]
        if any(job.state not in FAMILY.final for job in jobs):
            raise error(500, "0183", "The job is running.")
        for job in jobs:
            request.store.delete(job)


def sql_result(request: Request) -> Any:
    """Return one row for each statement; for a script in a bucket one row, as more are not documented."""
    job = _find(request, request.path["job"])
    body = json.loads(job.body)
    if body["job_type"] not in _SQL:
        raise error(500, "0179", "The job type must be SparkSql or SparkScript.")
    if job.state not in FAMILY.final:
        raise error(500, "0183", "The job is running.")
    text = body["arguments"][-1] if body["job_type"] == "SparkSql" and body["arguments"] else "script"
    statements = [statement for statement in text.split(";") if statement.strip()]
    return {"sql_results": {str(index): [{"result": "succeed"}] for index in range(len(statements))}}


def _find(request: Request, identity: str) -> Job:
    job = request.store.get(FAMILY, request.path["project"], identity)
    if job is None or job.scope != request.path["cluster"]:
        raise error(500, "0176", "The job does not exist.")
    return job


def _bean(job: Job, now: int) -> dict[str, Any]:
    body = json.loads(job.body)
    over, waiting = job.state in FAMILY.final, job.state == "ACCEPTED"
    started = 0 if waiting else min(job.created + FAMILY.phases[1].after, job.since)
    bean = {
        "job_id": job.id,
        "user": OWNER,
        "job_name": job.name,
        "job_result": job.result,
        "job_state": job.state,
        "job_progress": 100 if over else 0,
        "job_type": body["job_type"],
        "started_time": started,
        "submitted_time": job.created,
        "finished_time": job.since if over else 0,
        "elapsed_time": 0 if waiting else (job.since if over else now) - started,
        "queue": _QUEUE,
        "arguments": f"[{', '.join(body['arguments'])}]",
        "launcher_id": f"application_{job.created}_{2 * job.number - 1:04d}",
        "properties": _java_map(body["properties"]),
    }
    # Until the launcher runs there is no application, and no key for it.
    return bean if waiting else {**bean, "app_id": f"application_{job.created}_{2 * job.number:04d}"}


def _java_map(properties: Mapping[str, str]) -> str:
    """Return Java's Map.toString, without quotes; the order of a hash map is arbitrary, here by the last letters."""
    pairs = sorted(properties.items(), key=lambda pair: pair[0][::-1])
    return f"{{{', '.join(f'{key}={value}' for key, value in pairs)}}}"


_EXECUTIONS = "/v2/{project}/clusters/{cluster}/job-executions"
_JOB = f"{_EXECUTIONS}/{{job}}"
ROUTES = (
    Route("POST", _EXECUTIONS, _SUBMIT, submit),
    Route("GET", _EXECUTIONS, _QUERY, list_),
    Route("GET", _JOB, _QUERY, get),
    Route("GET", f"{_JOB}/sql-result", _RESULT, sql_result),
    Route("POST", f"{_JOB}/kill", _KILL, kill, status=202, bodiless=True),
    Route("POST", f"{_EXECUTIONS}/batch-delete", _DELETE, delete, status=202),
)
