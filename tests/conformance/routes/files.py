"""Flink jobs that are written to a bucket and read again (DLI API, "Exporting a Flink Job" and "Importing a
Flink Job").
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from deployer.emulator.api import DLI, Request, Route, error, json_text
from deployer.emulator.checks import ParameterError, boolean, list_of, number, record, text
from deployer.emulator.family import beginning
from deployer.emulator.flink_family import FAMILY, body_of, missing
from deployer.emulator.store import Job

_check_export = record(
    {"obs_dir": text(least=1), "is_selected": boolean, "job_selected": list_of(number())},
    required=("obs_dir", "is_selected"),
)
_check_import = record({"zip_file": text(least=1), "is_cover": boolean}, required=("zip_file",))
_check_buckets = record({"obs_buckets": list_of(text(least=1), least=1)}, required=("obs_buckets",))


@dataclass(frozen=True)
class Buckets:
    """The texts of the objects, by project and path."""

    objects: dict[tuple[str, str], str] = field(default_factory=dict)

    def export(self, request: Request) -> Any:
        _check_export("", request.body)
        store, project = request.store, request.path["project"]
        if request.body["is_selected"]:
            if not request.body.get("job_selected"):
                raise ParameterError("job_selected is missing")
            jobs = [_job(request, number) for number in request.body["job_selected"]]
        else:
            jobs = store.find(FAMILY, project)[1]
        path = f"{request.body['obs_dir'].rstrip('/')}/aggregate_{store.now()}.zip"
        content = json_text([{"job_id": job.number, **body_of(job)} for job in jobs])
        self.objects[project, path] = content
        return {"is_success": "true", "message": "The job is exported successfully.", "zip_file": [path]}

    def import_(self, request: Request) -> Any:
        """A job of the same name is left alone, or, if `is_cover` says so, overwritten and a draft again."""
        _check_import("", request.body)
        files = self._read(request.path["project"], request.body["zip_file"])
        if not files:
            raise error(400, "DLI.0002", f"The file {request.body['zip_file']} does not exist.")
        mapping = [_import_one(request, body) for content in files for body in json.loads(content)]
        return {"is_success": "true", "message": "The job is imported successfully.", "job_mapping": mapping}

    def _read(self, project: str, path: str) -> list[str]:
        """Return the object `path`, or those in the folder `path`."""
        folder = f"{path.rstrip('/')}/"
        return [
            self.objects[owner, name]
            for owner, name in sorted(self.objects)
            if owner == project and (name == path or name.startswith(folder))
        ]


def _import_one(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    store, project = request.store, request.path["project"]
    old, name = body.pop("job_id"), body["name"]
    scope, text = body.get("queue_name", ""), json_text(body)
    with store.together():
        there = next(iter(store.find(FAMILY, project, [("name = ?", name)])[1]), None)
        if there is None:
            new = store.add(FAMILY, project=project, scope=scope, name=name, body=text, only=True).number
        elif request.body.get("is_cover", False):
            new = there.number
            draft = {**beginning(store.now()), "started": None}
            store.set(there, **draft, scope=scope, body=text, savepoint=None, restored=None)
        else:
            return {"old_job_id": old, "new_job_id": -1, "remark": f"The job {name} already exists"}
    return {"old_job_id": old, "new_job_id": new, "remark": "Job successfully created"}


def authorize(request: Request) -> Any:
    """Every bucket is one that DLI may use already ("Authorizing a bucket")."""
    _check_buckets("", request.body)
    return {
        "is_success": True,
        "message": f"The following buckets are authorized: {request.body['obs_buckets']}",
    }


def _job(request: Request, number: int) -> Job:
    job = request.store.get(FAMILY, request.path["project"], number)
    if job is None:
        raise missing(number)
    return job


_JOBS = "/v1.0/{project}/streaming/jobs"


def routes() -> tuple[Route, ...]:
    """With buckets of their own."""
    buckets = Buckets()
    return (
        Route("POST", f"{_JOBS}/export", DLI, buckets.export),
        Route("POST", f"{_JOBS}/import", DLI, buckets.import_),
        Route("POST", "/v1.0/{project}/dli/obs-authorize", DLI, authorize),
    )
