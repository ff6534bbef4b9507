"""The common parts of the Flink routes: the family, its states, and the lookup of a job."""

from __future__ import annotations

import json
from typing import Any

from deployer.emulator.api import ApiError, Request, error
from deployer.emulator.family import Family, Phase
from deployer.emulator.filters import whole
from deployer.emulator.store import Job

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

PENDING = (
    "job_submitting",
    "job_downloading",
    "job_canceling",
    "job_savepointing",
    "job_arrearage_recovering",
)
ACTIVE = ("job_running", "job_idle", "job_cancel_fail")
STOPPED = (FAMILY.draft, *FAMILY.final)
STATES = (*STOPPED, *PENDING, *ACTIVE)

JAR = "flink_jar_job"
SQL = ("flink_sql_job", "flink_opensource_sql_job", "flink_sql_edge_job")
TYPES = (*SQL, JAR)


def body_of(job: Job) -> dict[str, Any]:
    """Return the stored parameters of a job."""
    body: dict[str, Any] = {"job_type": JAR, **json.loads(job.body)}
    return body


def job_of(request: Request) -> Job:
    """Return the job in the path; raises an ApiError if it does not exist."""
    text = request.path["job"]
    job = request.store.get(FAMILY, request.path["project"], whole()("job_id", text))
    if job is None:
        raise missing(text)
    return job


def missing(identity: object) -> ApiError:
    """Return the error for a missing job; the Terraform provider treats its code as a 404."""
    return error(400, "DLI.16001", f"The job {identity} does not exist.")


def unsupported(job: Job, what: str) -> ApiError:
    """Return the error 0007, an unsupported operation (DLI API, "Error codes")."""
    return error(400, "DLI.0007", f"The job {job.number} is {job.state}: {what}.")
