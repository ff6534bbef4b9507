"""What all calls about Flink jobs share: the family, its states, and how a job is found."""

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
    """What the job was created with, and updated to."""
    body: dict[str, Any] = {"job_type": JAR, **json.loads(job.body)}
    return body


def job_of(request: Request) -> Job:
    """The job that the path names; raises an ApiError when there is none."""
    text = request.path["job"]
    job = request.store.get(FAMILY, request.path["project"], whole()("job_id", text))
    if job is None:
        raise missing(text)
    return job


def missing(identity: object) -> ApiError:
    """Terraform's provider takes this code for a 404."""
    return error(400, "DLI.16001", f"The job {identity} does not exist.")


def unsupported(job: Job, what: str) -> ApiError:
    """DLI API, "Error codes": 0007 is an operation that is not supported."""
    return error(400, "DLI.0007", f"The job {job.number} is {job.state}: {what}.")
