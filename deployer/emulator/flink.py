"""DLI Flink jobs as definitions, Jar or SQL: created as drafts, listed, changed and deleted (DLI API, "Flink
job APIs").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.emulator.api import DLI, OWNER, Request, Route, error, json_text
from deployer.emulator.checks import ParameterError, list_of, number, record
from deployer.emulator.filters import Filter, conditions, flag, one_word, option, whole
from deployer.emulator.flink_config import check_jar, check_jar_update, check_whole, job_config
from deployer.emulator.flink_family import (
    ACTIVE,
    FAMILY,
    JAR,
    PENDING,
    STATES,
    TYPES,
    body_of,
    job_of,
    missing,
    unsupported,
)
from deployer.emulator.store import Job, NameTakenError

# The Terraform provider updates these while a job is running; it stops the job before other updates.
_HOT = (
    "smn_topic",
    "restart_when_exception",
    "resume_checkpoint",
    "resume_max_num",
    "obs_bucket",
    "checkpoint_path",
)

_HAS_TAG = (
    "EXISTS (SELECT 1 FROM json_each(body, '$.tags') "
    "WHERE json_extract(value, '$.key') || '=' || json_extract(value, '$.value') = ?)"
)

# DLI API, "Querying jobs". No page says whether the name is matched exactly: a client must expect other names.
# Some pages spell user_name as username.
_FILTERS = {
    "name": Filter("instr(name, ?) > 0"),
    "job_type": Filter(f"coalesce(json_extract(body, '$.job_type'), {JAR!r}) = ?", one_word(*TYPES)),
    "status": Filter("state = ?", one_word(*STATES)),
    "queue_name": Filter("scope = ?"),
    "user_name": Filter(f"{OWNER!r} = ?"),
    "username": Filter(f"{OWNER!r} = ?"),
}

_check_ids = record({"job_ids": list_of(number(), least=1)}, required=("job_ids",))


def create(request: Request) -> Any:
    check_jar(request.body)
    return add(request, request.body)


def add(request: Request, body: Mapping[str, Any]) -> Any:
    """Create a draft. `is_success` is a string in real responses, and a boolean on the page."""
    try:
        job = request.store.add(
            FAMILY,
            project=request.path["project"],
            scope=body.get("queue_name", ""),
            name=body["name"],
            body=json_text(body),
            only=True,
        )
    except NameTakenError:
        raise error(400, "DLI.0006", f"The job {body['name']} already exists.") from None
    return {
        "is_success": "true",
        "message": "A Flink job is created successfully.",
        "job": {"job_id": job.number, "status_name": job.state, "status_desc": ""},
    }


def update(request: Request) -> Any:
    check_jar_update(request.body)
    return change(request, request.body, (JAR,))


def change(request: Request, changes: Mapping[str, Any], types: tuple[str, ...]) -> Any:
    """Update a job. Omitted fields are unchanged; few can be updated while a job is running."""
    store = request.store
    with store.together():
        job = job_of(request)
        before = body_of(job)
        if before["job_type"] not in types:
            raise ParameterError(f"the job {job.number} is a {before['job_type']}")
        _check_state(job, before, changes)
        body = {**before, **changes}
        check_whole(body)
        now = store.now()
        try:
            store.set(
                job,
                name=body["name"],
                only_name=body["name"],
                scope=body.get("queue_name", ""),
                body=json_text(body),
                updated=now,
            )
        except NameTakenError:
            raise error(400, "DLI.0006", f"The job {body['name']} already exists.") from None
    return {
        "is_success": "true",
        "message": "The Flink job is updated successfully.",
        "job": {"update_time": now},
    }


def _check_state(job: Job, body: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    if job.state in PENDING:
        raise unsupported(job, "it cannot be updated now")
    if job.state in ACTIVE:
        cold = sorted(changes.keys() - {*_HOT, "job_type"})
        if cold:
            raise unsupported(job, f"{', '.join(cold)} cannot be updated now")
        if "obs_bucket" in changes and changes["obs_bucket"] == body.get("obs_bucket"):
            # As observed by the Terraform provider.
            raise unsupported(job, "obs_bucket is the same already")


def list_(request: Request) -> Any:
    """List the jobs. `offset` is a record index."""
    query = request.query
    tags = [(_HAS_TAG, tag) for tag in query.get("tags", "").split(",") if tag]
    ascending = option(query, "order", one_word("asc", "desc"), "desc") == "asc"
    total, jobs = request.store.find(
        FAMILY,
        request.path["project"],
        [*conditions(_FILTERS, query), *tags],
        order="created, number" if ascending else "created DESC, number DESC",
        limit=option(query, "limit", whole(0, 100), 10),
        offset=option(query, "offset", whole(), 0),
    )
    entry = _detail if option(query, "show_detail", flag, False) else _brief
    now = request.store.now()
    return {
        "is_success": "true",
        "message": "Jobs are successfully listed.",
        "job_list": {"total_count": total, "jobs": [entry(job, now) for job in jobs]},
    }


def get(request: Request) -> Any:
    job = job_of(request)
    detail = _detail(job, request.store.now())
    # Null here and 0 in the listing, for a job that was never started.
    detail["start_time"] = job.started
    return {"is_success": "true", "message": "Job detail query succeeds.", "job_detail": detail}


def delete(request: Request) -> Any:
    """Delete a job in any state. It cannot be restored."""
    with request.store.together():
        request.store.delete(job_of(request))
    return {"is_success": "true", "message": "The job is successfully deleted."}


def delete_many(request: Request) -> Any:
    """Delete jobs. The response has one element per id, in order and without the id."""
    _check_ids("", request.body)
    return [_delete_one(request, number) for number in request.body["job_ids"]]


def _delete_one(request: Request, number: int) -> dict[str, str]:
    with request.store.together():
        job = request.store.get(FAMILY, request.path["project"], number)
        if job is None:
            return {"is_success": "false", "message": missing(number).body["error_msg"]}
        request.store.delete(job)
    return {"is_success": "true", "message": "The job is successfully deleted."}


def _common(job: Job, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "job_id": job.number,
        "name": job.name,
        "desc": body.get("desc", ""),
        "job_type": body["job_type"],
        "status": job.state,
        "status_desc": f"Restored from {job.restored}" if job.restored else "",
        "create_time": job.created,
        "start_time": job.started or 0,
        "queue_name": job.scope,
        "savepoint_path": job.savepoint,
        "has_savepoint": job.savepoint is not None,
        "restart_times": 0,
        "edge_group_ids": None,
        "graph_editor_enabled": False,
    }


def _brief(job: Job, now: int) -> dict[str, Any]:
    until = job.since if job.state in FAMILY.final else now
    return {
        **_common(job, body_of(job)),
        "user_name": OWNER,
        "duration": 0 if job.started is None else until - job.started,
        "root_id": -1,
    }


def _detail(job: Job, _now: int) -> dict[str, Any]:
    body = body_of(job)
    return {
        **_common(job, body),
        "user_id": OWNER,
        "project_id": job.project,
        "update_time": job.updated or job.created,
        "run_mode": body.get("run_mode", "exclusive_cluster"),
        "sql_body": body.get("sql_body", ""),
        "main_class": body.get("main_class"),
        "entrypoint_args": body.get("entrypoint_args"),
        "execution_graph": None,
        "job_config": job_config(body),
    }


_STREAMING = "/v1.0/{project}/streaming"
ROUTES = (
    Route("POST", f"{_STREAMING}/flink-jobs", DLI, create),
    Route("PUT", f"{_STREAMING}/flink-jobs/{{job}}", DLI, update),
    Route("GET", f"{_STREAMING}/jobs", DLI, list_),
    Route("GET", f"{_STREAMING}/jobs/{{job}}", DLI, get),
    Route("DELETE", f"{_STREAMING}/jobs/{{job}}", DLI, delete),
    Route("POST", f"{_STREAMING}/jobs/delete", DLI, delete_many),
)
