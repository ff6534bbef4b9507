"""MRS jobs: submitted to a cluster, run once. Listed with arguments and properties as Java prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deployer.kinds.coerce import as_text
from deployer.kinds.kind import (
    Entry,
    Kind,
    Listing,
    Nature,
    Operations,
    Paging,
    milliseconds,
    read_back,
    text,
)
from deployer.kinds.printed_list import align
from deployer.model import Identity, LiveJob, Phase, Spec

# Success is in the result: a job can be FINISHED and FAILED.
RESULTS = {"succeeded": Phase.SUCCEEDED, "failed": Phase.FAILED, "killed": Phase.STOPPED}
STATES = {
    "new": Phase.ACTIVE,
    "new_saving": Phase.ACTIVE,
    "submitted": Phase.ACTIVE,
    "accepted": Phase.ACTIVE,
    "running": Phase.ACTIVE,
    "failed": Phase.FAILED,
    "killed": Phase.STOPPED,
}


def observe(entry: Entry) -> LiveJob:
    """Return the live job of an entry of `job_list`, which has no cluster: the place stays empty."""
    # Null and an empty string are treated as missing.
    given = {key: value for key, value in entry.items() if key not in _PRINTED or value not in (None, "")}
    printed = {key: _PRINTED[key](given[key]) for key in _PRINTED if key in given}
    spec, unobserved = read_back(KIND.rows, {**given, **printed}, whole=False)
    return LiveJob(
        id=text(entry.get("job_id")),
        identity=Identity(KIND.name, "", text(entry.get("job_name"))),
        state=_state(entry),
        phase=_phase(entry),
        submitted=milliseconds(entry.get("submitted_time")),
        spec=None if "arguments" in unobserved else spec,
        unobserved=unobserved,
        finished=milliseconds(entry.get("finished_time")),
    )


def _arguments(value: Any) -> Any:
    """Read arguments as a list of strings; anything but a list, or Java's text of one, stays unchanged."""
    is_printed = isinstance(value, str) and value.startswith("[") and value.endswith("]")
    return java_list(value) if is_printed or _is_flat(value, list) else value


def _properties(value: Any) -> Any:
    is_printed = isinstance(value, str) and value.startswith("{") and value.endswith("}")
    return java_map(value) if is_printed or _is_flat(value, dict) else value


def _is_flat(value: Any, container: type[list[Any] | dict[str, Any]]) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return isinstance(value, container) and not any(isinstance(item, list | dict) for item in items)


# The readers of the fields that are listed as Java prints them, or, in some editions, unchanged.
_PRINTED: Mapping[str, Callable[[Any], Any]] = {"arguments": _arguments, "properties": _properties}


def _state(entry: Entry) -> str:
    state, result = text(entry.get("job_state")), text(entry.get("job_result"))
    return state if result.upper() in {"", "UNDEFINED", state.upper()} else f"{state} {result}"


def _phase(entry: Entry) -> Phase:
    state = text(entry.get("job_state")).strip().casefold()
    if state in STATES:
        return STATES[state]
    result = text(entry.get("job_result")).strip().casefold()
    return RESULTS.get(result, Phase.UNKNOWN) if state == "finished" else Phase.UNKNOWN


def expect(spec: Spec) -> Spec:
    """Return the spec as the listing shows it."""
    job_type = "SparkSubmit" if spec.get("job_type") == "SparkPython" else spec.get("job_type")
    arguments = java_list(f"[{', '.join(spec.get('arguments', []))}]")
    pairs = ", ".join(f"{key}={value}" for key, value in spec.get("properties", {}).items())
    return {**spec, "job_type": job_type, "arguments": arguments, "properties": java_map(f"{{{pairs}}}")}


def java_list(value: Any) -> list[str]:
    """Split Java's `[a, b]` at each comma and space: two lists are equal exactly if their texts are."""
    if isinstance(value, list):
        value = f"[{', '.join(map(as_text, value))}]"
    inner = str(value).removeprefix("[").removesuffix("]")
    return inner.split(", ") if inner else []


def java_map(value: Any) -> dict[str, str]:
    """Read Java's `{k=v, k2=v2}`: two mappings are equal exactly if their texts are, except for the order.

    A value with `, x=` is split, but on both sides alike. A piece without `=` continues a value.
    """
    if isinstance(value, dict):
        value = f"{{{', '.join(f'{key}={as_text(item)}' for key, item in value.items())}}}"
    inner = str(value).removeprefix("{").removesuffix("}")
    entries: list[str] = []
    for piece in inner.split(", ") if inner else []:
        if "=" in piece or not entries:
            entries.append(piece)
        else:
            entries[-1] += f", {piece}"
    values: dict[str, str] = {}
    for entry in sorted(entries):
        key, _, item = entry.partition("=")
        # A duplicate key stays as Java would print it.
        values[key] = f"{values[key]}, {entry}" if key in values else item
    return values


KIND = Kind(
    name="MrsJob",
    title="MRS job",
    nature=Nature.RUN_ONCE,
    service="mrs",
    operations=Operations(
        create="mrs.job-executions.submit",
        get="mrs.job-executions.get",
        cancel="mrs.job-executions.kill",
    ),
    name_field="job_name",
    place="cluster_id",
    id="job_submit_result.job_id",
    accepted={"job_submit_result.state": "COMPLETE"},
    listing=Listing(
        table="mrs.job-executions.list",
        items="job_list",
        total="total_record",
        paging=Paging.PAGE,
        offset="offset",
        limit="limit",
        id="job_id",
        query={"sort_by": "desc"},
        by_name="job_name",
        active=tuple(
            {"job_state": state.upper()} for state, phase in STATES.items() if phase is Phase.ACTIVE
        ),
    ),
    observe=observe,
    expect=expect,
    align={"arguments": align},
    entry="job_detail",
    deciding=("/job_type", "/arguments", "/properties"),
    starting=frozenset({"new", "new_saving", "submitted", "accepted"}),
)
