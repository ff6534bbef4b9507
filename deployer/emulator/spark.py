"""What DLI's batches and sessions have in common: the parameters that both take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.emulator.checks import Check, ParameterError, list_of, map_of, number, one_of, record, text

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
    # Real bodies hold numbers and booleans as text, too.
    "conf": map_of(text()),
    "name": text(most=128),
}


def queue_of(body: Mapping[str, Any]) -> str:
    """The queue under either of its names; the pages say that both cannot be given."""
    if ("queue" in body) == ("cluster_name" in body):
        raise ParameterError("exactly one of queue and cluster_name must be given")
    name: str = body["queue"] if "queue" in body else body["cluster_name"]
    return name


def size_of(body: Mapping[str, Any]) -> str:
    """The sc_type of an answer: A when none was asked for, CUSTOMIZED when a size of its own was given."""
    return "CUSTOMIZED" if any(key in body for key in _SIZES) else str(body.get("sc_type", "A"))


LOG = ["stdout: ", "\nstderr: ", "\nYARN Diagnostics: "]
