"""DLI Flink Jar jobs: definitions that are created as drafts and then run (DLI API, "Flink job APIs")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.emulator.api import DLI, OWNER, Request, Route, error, json_text
from deployer.emulator.checks import boolean, list_of, number, record
from deployer.emulator.family import Family, Phase
from deployer.emulator.filters import Filter, conditions, flag, one_word, option, whole
from deployer.emulator.flink_config import check, job_config
from deployer.emulator.store import Job, NameTakenError

FAMILY = Family(
    "dli.flink",
    (Phase(0, "job_submitting"), Phase(2_000, "job_running")),
    final=(
        "job_submit_fail",
        "job_running_exception",
        "job_cancel_success",
        "job_arrearage_stopped",
        "job_finish",
    ),
    draft="job_init",
)

_TYPE = "flink_jar_job"
_TYPES = ("flink_sql_job", "flink_opensource_sql_job", "flink_sql_edge_job", _TYPE)
_STATES = (
    "job_init",
    "job_submitting",
    "job_running",
    "job_downloading",
    "job_idle",
    "job_canceling",
    "job_cancel_fail",
    "job_savepointing",
    "job_arrearage_recovering",
    *FAMILY.final,
)
_STARTABLE = ("job_init", *FAMILY.final)

_HAS_TAG = (
    "EXISTS (SELECT 1 FROM json_each(body, '$.tags') "
    "WHERE json_extract(value, '$.key') || '=' || json_extract(value, '$.value') = ?)"
)

# DLI API, "Querying jobs". No page says whether the name is matched exactly: a client must be ready for more.
_FILTERS = {
    "name": Filter("instr(name, ?) > 0"),
    "job_type": Filter(f"{_TYPE!r} = ?", one_word(*_TYPES)),
    "status": Filter("state = ?", one_word(*_STATES)),
    "queue_name": Filter("scope = ?"),
    "user_name": Filter(f"{OWNER!r} = ?"),
}

_check_run = record(
    {"job_ids": list_of(number(), least=1), "resume_savepoint": boolean}, required=("job_ids",)
)


def create(request: Request) -> Any:
    """Leaves a draft. `is_success` is text in real answers, and a boolean on the page."""
    body = request.body
    check(body)
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


def list_(request: Request) -> Any:
    """`offset` is a record index."""
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
    store, text = request.store, request.path["job"]
    job = store.get(FAMILY, request.path["project"], whole()("job_id", text))
    if job is None:
        raise error(400, "DLI.16001", f"The job {text} does not exist.")
    detail = _detail(job, store.now())
    # Null here and 0 in the listing, for a job that was never started.
    detail["start_time"] = job.started
    return {"is_success": "true", "message": "Job detail query succeeds.", "job_detail": detail}


def run(request: Request) -> Any:
    """One element per id, in order and without the id. Some can fail, and the status is 200 all the same."""
    _check_run("", request.body)
    return [_run_one(request, number) for number in request.body["job_ids"]]


def _run_one(request: Request, job: int) -> dict[str, str]:
    if request.store.start(FAMILY, request.path["project"], job, _STARTABLE):
        message = "The request for submitting DLI jobs is successfully delivered."
        return {"is_success": "true", "message": message}
    return {"is_success": "false", "message": f"The job {job} does not exist or cannot be started now."}


def _common(job: Job, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "job_id": job.number,
        "name": job.name,
        "desc": body.get("desc", ""),
        "job_type": _TYPE,
        "status": job.state,
        "status_desc": "",
        "create_time": job.created,
        "start_time": job.started or 0,
        "queue_name": job.scope,
        "savepoint_path": None,
        "has_savepoint": False,
        "restart_times": 0,
        "edge_group_ids": None,
        "graph_editor_enabled": False,
    }


def _brief(job: Job, now: int) -> dict[str, Any]:
    until = job.since if job.state in FAMILY.final else now
    return {
        **_common(job, json.loads(job.body)),
        "user_name": OWNER,
        "duration": 0 if job.started is None else until - job.started,
        "root_id": -1,
    }


def _detail(job: Job, _now: int) -> dict[str, Any]:
    body = json.loads(job.body)
    return {
        **_common(job, body),
        "user_id": OWNER,
        "project_id": job.project,
        "update_time": job.created,
        "run_mode": "exclusive_cluster",
        "sql_body": "",
        "main_class": body.get("main_class"),
        "entrypoint_args": body.get("entrypoint_args"),
        "execution_graph": None,
        "job_config": job_config(body),
    }


_STREAMING = "/v1.0/{project}/streaming"
ROUTES = (
    Route("POST", f"{_STREAMING}/flink-jobs", DLI, create),
    Route("GET", f"{_STREAMING}/jobs", DLI, list_),
    Route("GET", f"{_STREAMING}/jobs/{{job}}", DLI, get),
    Route("POST", f"{_STREAMING}/jobs/run", DLI, run),
)
