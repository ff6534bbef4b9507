"""The common parts of DLI batches and sessions: shared parameters, and the log of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deployer.emulator.api import Request
from deployer.emulator.checks import Check, ParameterError, list_of, map_of, number, one_of, record, text
from deployer.emulator.family import Family
from deployer.emulator.filters import option, whole
from deployer.emulator.store import Job

# DLI API, "Creating a batch processing job": a size without its unit fails at the start.
_memory = text(pattern=r"[0-9]+ ?[kKmMgGtT][bB]?")
_count = number(least=0)
_package = record({"name": text(), "type": text()}, required=("name",))

_SIZES: Mapping[str, Check] = {
    "driverMemory": _memory,
    "driverCores": _count,
    "executorMemory": _memory,
    "executorCores": _count,
    "numExecutors": _count,
}

FIELDS: Mapping[str, Check] = {
    **_SIZES,
    "cluster_name": text(least=1),
    "queue": text(least=1),
    "sc_type": one_of("A", "B", "C"),
    "jars": list_of(text()),
    "pyFiles": list_of(text()),
    "files": list_of(text()),
    "modules": list_of(text()),
    "resources": list_of(_package),
    "groups": list_of(record({"name": text(), "resources": list_of(_package)}, required=("name",))),
    # Real requests also contain numbers and booleans as strings.
    "conf": map_of(text()),
    "name": text(most=128),
}


def queue_of(body: Mapping[str, Any]) -> str:
    """Return the queue under either of its names; according to the pages only one is allowed."""
    if ("queue" in body) == ("cluster_name" in body):
        raise ParameterError("exactly one of queue and cluster_name must be given")
    name: str = body["queue"] if "queue" in body else body["cluster_name"]
    return name


def size_of(body: Mapping[str, Any]) -> str:
    """Return the sc_type of a response: A by default, CUSTOMIZED if the request sets its own size."""
    return "CUSTOMIZED" if any(key in body for key in _SIZES) else str(body.get("sc_type", "A"))


def state_of(job: Job) -> dict[str, Any]:
    """Return the response of the operation that reads only the state."""
    return {"id": job.id, "state": job.state}


LOG = ["stdout: ", "\nstderr: ", "\nYARN Diagnostics: "]

# DLI API, "Querying batch job logs": the number of last lines that are returned without a first line.
_LAST = 100


def log(request: Request, family: Family, job: Job) -> dict[str, Any]:
    """Return a page of the log. A run writes one line per second after it has left its first state."""
    until = job.since if job.state in family.final else request.store.now()
    begun = job.created + family.phases[1].after
    lines = ["stdout: ", *(_line(begun + passed) for passed in range(0, until - begun, 1000))]
    lines += ["stderr: ", "YARN Diagnostics: "]
    start = option(request.query, "from", whole(), max(0, len(lines) - _LAST))
    size = option(request.query, "size", whole(), _LAST)
    return {"id": job.id, "from": start, "total": len(lines), "log": lines[start : start + size]}


def _line(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%S} INFO Emulated: still running"
