"""The emulator's own API, below /_emulator: faults, and ending a job. The services have no such API.

It requires the same credentials as the others; faults do not apply to it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from deployer.emulator.api import Request, Route, Service, error
from deployer.emulator.checks import record, text
from deployer.emulator.faults import Faults

PREFIX = "/_emulator/"

_SELF = Service(partial(error, 400, "refused"), partial(error, 500, "broken"))

_check_end = record({"state": text(least=1), "result": text()}, required=("state",))


def show_faults(faults: Faults, _request: Request) -> Any:
    return {"faults": faults.shown()}


def add_fault(faults: Faults, request: Request) -> Any:
    faults.add(request.body)
    return show_faults(faults, request)


def clear_faults(faults: Faults, _request: Request) -> None:
    faults.clear()


def end_job(request: Request) -> None:
    """Put a job into a state from now on, regardless of the time; a number is the id of a Flink job."""
    _check_end("", request.body)
    job = request.path["job"]
    try:
        request.store.end(int(job) if job.isdecimal() else job, **request.body)
    except KeyError:
        raise error(404, "unknown", f"unknown job {job}") from None


def routes(faults: Faults) -> tuple[Route, ...]:
    return (
        Route("GET", f"{PREFIX}faults", _SELF, partial(show_faults, faults)),
        Route("POST", f"{PREFIX}faults", _SELF, partial(add_fault, faults), status=201),
        Route("DELETE", f"{PREFIX}faults", _SELF, partial(clear_faults, faults), status=204),
        Route("POST", f"{PREFIX}jobs/{{job}}/end", _SELF, end_job, status=204),
    )
