"""Runs of Flink jobs: start, stop and savepoints (DLI API, "Flink job APIs")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deployer.emulator.api import DLI, ApiError, Request, Route
from deployer.emulator.checks import boolean, list_of, number, one_of, record, text
from deployer.emulator.family import beginning, ending, passing
from deployer.emulator.flink_family import FAMILY, STOPPED, body_of, job_of, missing, unsupported
from deployer.emulator.store import Job

_STOPPING = 2_000
_SAVING = 2_000

_ids = list_of(number(), least=1)
_check_run = record({"job_ids": _ids, "resume_savepoint": boolean}, required=("job_ids",))
_check_stop = record({"job_ids": _ids, "trigger_savepoint": boolean}, required=("job_ids",))
_check_savepoint = record(
    {"action": one_of("TRIGGER"), "savepoint_path": text(least=1)}, required=("action", "savepoint_path")
)


def run(request: Request) -> Any:
    """Start jobs. The response has one element per id, without the id. Some may fail although the status is 200."""
    _check_run("", request.body)
    resume = request.body.get("resume_savepoint", False)

    def start(job: Job) -> None:
        if job.state not in STOPPED:
            raise unsupported(job, "it cannot be started now")
        # User guide, "Managing Flink jobs": the savepoint is removed when the job is started again.
        restored = job.savepoint if resume else None
        request.store.set(job, **beginning(request.store.now()), savepoint=None, restored=restored)

    message = "The request for submitting DLI jobs is successfully delivered."
    return [_result_of(refusal, message) for refusal in _for_each_job(request, start)]


def stop(request: Request) -> Any:
    """Stop jobs, with a response as for run. An error if none of them is running (Terraform provider)."""
    _check_stop("", request.body)
    trigger = request.body.get("trigger_savepoint", False)

    def end(job: Job) -> None:
        if job.state not in ("job_submitting", "job_running"):
            raise unsupported(job, "it does not run")
        now = request.store.now()
        saves = trigger and job.state == "job_running"
        through = "job_savepointing" if saves else "job_canceling"
        columns = ending(now, through, _STOPPING, "job_cancel_success")
        request.store.set(job, **columns, savepoint=_path(job, now) if saves else job.savepoint)

    refusals = _for_each_job(request, end)
    if all(refusals) and refusals[0]:
        raise refusals[0]
    message = "The request for stopping DLI jobs is successfully delivered."
    return [_result_of(refusal, message) for refusal in refusals]


def savepoint(request: Request) -> Any:
    """Create a savepoint. The message is a JSON string ("Triggering Savepoints for Flink Jobs")."""
    _check_savepoint("", request.body)
    store = request.store
    with store.together():
        job = job_of(request)
        if job.state != "job_running":
            raise unsupported(job, "only a running job can make a savepoint")
        now = store.now()
        path = f"{request.body['savepoint_path'].rstrip('/')}/savepoint-{now:x}"
        store.set(job, **passing(now, "job_savepointing", _SAVING), savepoint=path)
    return {
        "is_success": "true",
        "message": '{"is_success":"true","message":"api.msg.deal_savepoint_success"}',
    }


def _for_each_job(request: Request, action: Callable[[Job], None]) -> list[ApiError | None]:
    """Apply `action` to each job in the body, and return its errors, None for a success."""
    return [_refusal(request, number, action) for number in request.body["job_ids"]]


def _refusal(request: Request, number: int, action: Callable[[Job], None]) -> ApiError | None:
    try:
        with request.store.together():
            job = request.store.get(FAMILY, request.path["project"], number)
            if job is None:
                raise missing(number)
            action(job)
    except ApiError as refusal:
        return refusal
    return None


def _result_of(refusal: ApiError | None, message: str) -> dict[str, str]:
    if refusal is None:
        return {"is_success": "true", "message": message}
    return {"is_success": "false", "message": refusal.body["error_msg"]}


def _path(job: Job, now: int) -> str:
    bucket = body_of(job).get("obs_bucket") or "dli-savepoints"
    return f"obs://{bucket}/savepoint/{job.number}/savepoint-{now:x}"


_JOBS = "/v1.0/{project}/streaming/jobs"
ROUTES = (
    Route("POST", f"{_JOBS}/run", DLI, run),
    Route("POST", f"{_JOBS}/stop", DLI, stop),
    Route("POST", f"{_JOBS}/{{job}}/savepoint", DLI, savepoint),
)
