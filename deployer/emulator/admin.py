"""The emulator's own calls, below /_emulator: faults, and how a job ends. No service has them.

They ask for the same credentials as all others, and meet no fault themselves.
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
    """From now on the job is in a state, whatever the time says; a number means a Flink job."""
    _check_end("", request.body)
    job = request.path["job"]
    try:
        request.store.end(int(job) if job.isdecimal() else job, **request.body)
    except KeyError:
        raise error(404, "unknown", f"there is no job {job}") from None


def routes(faults: Faults) -> tuple[Route, ...]:
    return (
        Route("GET", f"{PREFIX}faults", _SELF, partial(show_faults, faults)),
        Route("POST", f"{PREFIX}faults", _SELF, partial(add_fault, faults), status=201),
        Route("DELETE", f"{PREFIX}faults", _SELF, partial(clear_faults, faults), status=204),
        Route("POST", f"{PREFIX}jobs/{{job}}/end", _SELF, end_job, status=204),
    )
