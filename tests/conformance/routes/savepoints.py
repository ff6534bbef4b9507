"""Import of a savepoint (DLI API, "Importing a Savepoint")."""

from __future__ import annotations

from typing import Any

from deployer.emulator.api import DLI, Request, Route
from deployer.emulator.checks import number, record, text
from deployer.emulator.flink_family import STOPPED, job_of, unsupported

_check_import = record({"job_id": number(), "savepoint_path": text(least=1)}, required=("savepoint_path",))


def import_savepoint(request: Request) -> Any:
    """The next run can begin from there."""
    _check_import("", request.body)
    with request.store.together():
        job = job_of(request)
        if job.state not in STOPPED:
            raise unsupported(job, "only a job that does not run can have another savepoint")
        request.store.set(job, savepoint=request.body["savepoint_path"])
    return {"is_success": "true", "message": "The job is updated successfully."}


ROUTES = (Route("POST", "/v1.0/{project}/streaming/jobs/{job}/import-savepoint", DLI, import_savepoint),)
