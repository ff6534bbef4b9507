"""What a Flink job is doing: its execution graph and its metrics (DLI API, "Querying the Job Execution Plan",
"Querying Job Monitoring Information").
"""

from __future__ import annotations

from typing import Any

from deployer.emulator.api import DLI, Request, Route
from deployer.emulator.checks import list_of, number, record
from deployer.emulator.flink_family import FAMILY, STOPPED, job_of, missing

_check_metrics = record({"job_ids": list_of(number(), least=1)}, required=("job_ids",))


def graph(request: Request) -> Any:
    """The state is Flink's word; a job that never ran has no graph."""
    job, now = job_of(request), request.store.now()
    shown = None
    if job.started is not None:
        over = job.state in STOPPED
        shown = {
            "jid": job.id.replace("-", ""),
            "name": job.name,
            "isStoppable": False,
            "state": "FINISHED" if over else "CREATED" if job.state == "job_submitting" else "RUNNING",
            "start-time": job.started,
            "end-time": job.since if over else -1,
            "duration": (job.since if over else now) - job.started,
        }
    return {
        "is_success": "true",
        "message": "Querying the job execution graph succeeds.",
        "execute_graph": shown,
    }


def metrics(request: Request) -> Any:
    """No job here reads or writes anything."""
    _check_metrics("", request.body)
    for identity in request.body["job_ids"]:
        if request.store.get(FAMILY, request.path["project"], identity) is None:
            raise missing(identity)
    nothing = {"sources": [], "sinks": [], "total_read_rate": 0.0, "total_write_rate": 0.0}
    jobs = [{"job_id": identity, "metrics": nothing} for identity in request.body["job_ids"]]
    return {"is_success": True, "message": "Querying job metrics succeeds.", "metrics": {"jobs": jobs}}


_JOBS = "/v1.0/{project}/streaming/jobs"
ROUTES = (
    Route("GET", f"{_JOBS}/{{job}}/execute-graph", DLI, graph),
    Route("POST", f"{_JOBS}/metrics", DLI, metrics),
)
