"""DLI Spark batches: submitted to a queue, run once. Listed with what was asked, as JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.kinds.coerce import by_normalized_name, json_data
from deployer.kinds.kind import Entry, Kind, Listing, Nature, Paging, milliseconds, phase_of, read_back, text
from deployer.model import Identity, LiveJob, Phase

# `dead` is failed and cancelled alike: DLI has no state of its own for a batch that was cancelled.
STATES = {
    "starting": Phase.ACTIVE,
    "running": Phase.ACTIVE,
    "recovering": Phase.ACTIVE,
    "dead": Phase.FAILED,
    "success": Phase.SUCCEEDED,
}


def observe(entry: Entry) -> LiveJob:
    """Returns a live job from an entry of `sessions` (that is the list's name for batches too)."""
    echo = _echo(entry.get("req_body"))
    said = by_normalized_name(echo or {})
    # Old entries show neither a name nor, some of them, a queue.
    queue = text(
        entry.get("queue") or entry.get("cluster_name") or said.get("queue") or said.get("clustername")
    )
    spec, unobserved = (None, frozenset[str]()) if echo is None else read_back(KIND.rows, echo, whole=True)
    if spec is not None:
        spec.setdefault("queue", queue)
    if spec is not None and "sc_type" not in spec:
        # The echo may leave the preset out; the entry says CUSTOMIZED when sizes were given beside it.
        if (preset := text(entry.get("sc_type"))) in {"A", "B", "C"}:
            spec["sc_type"] = preset
        else:
            unobserved |= {"sc_type"}
    phase = phase_of(STATES, entry.get("state"))
    return LiveJob(
        id=text(entry.get("id")),
        identity=Identity(KIND.name, queue, text(entry.get("name") or said.get("name"))),
        state=text(entry.get("state")),
        phase=phase,
        submitted=milliseconds(entry.get("create_time")),
        # Nothing is updated after the end.
        finished=0 if phase is Phase.ACTIVE else milliseconds(entry.get("update_time")),
        spec=spec,
        unobserved=unobserved,
    )


def _echo(value: Any) -> Mapping[str, Any] | None:
    """Returns the request that the entry echoes. None: not readable.

    Its JSON text is sometimes encoded twice, and the vendor's SDK shows one with its quotes escaped.
    """
    if isinstance(value, str) and value.lstrip().startswith('{\\"'):
        value = f'"{value.strip()}"'
    for _ in range(2):
        if isinstance(value, str):
            value = json_data(value)
    return value if isinstance(value, dict) else None


KIND = Kind(
    name="SparkBatch",
    title="DLI Spark batch",
    nature=Nature.RUN_ONCE,
    service="dli",
    table="dli.batches.create",
    name_field="name",
    place="queue",
    id="id",
    listing=Listing(
        table="dli.batches.list",
        items="sessions",
        total="total",
        paging=Paging.RECORD,
        offset="from",
        limit="size",
        id="id",
        by_name="job_name",
        by_place="queue_name",
        active=tuple({"state": state} for state, phase in STATES.items() if phase is Phase.ACTIVE),
    ),
    observe=observe,
    cancel="dli.batches.cancel",
    log="dli.batches.log",
    show="dli.batches.get",
    ownership_field="conf",
    starting=frozenset({"starting"}),
)
