"""DLI Spark batches: submitted to a queue, run once. Listed with the request, as a JSON string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.kinds.coerce import by_normalized_name, json_data, shared
from deployer.kinds.kind import Entry, Kind, Listing, Nature, Operations, Paging, read_back, text
from deployer.kinds.spark import DECIDING, live_job, queue_of
from deployer.model import Identity, LiveJob, Phase

# `dead` is failed or cancelled: DLI has no separate state for a cancelled batch.
STATES = {
    "starting": Phase.ACTIVE,
    "running": Phase.ACTIVE,
    "recovering": Phase.ACTIVE,
    "dead": Phase.FAILED,
    "success": Phase.SUCCEEDED,
}


def observe(entry: Entry) -> LiveJob:
    """Return the live job of an entry of `sessions`."""
    request = _echoed_request(entry.get("req_body"))
    queue, name = queue_of(entry), text(entry.get("name") or "")
    if not queue or not name:
        # Old entries show neither a name nor, some of them, a queue.
        asked = by_normalized_name(request or {})
        queue = queue or text(asked.get("queue") or asked.get("clustername"))
        name = name or text(asked.get("name"))
    spec, unobserved = (
        (None, frozenset[str]()) if request is None else read_back(KIND.rows, request, whole=True)
    )
    if spec is not None:
        spec.setdefault("queue", queue)
    elif "name" not in entry:
        unobserved |= {KIND.name_field}  # of the edition of 2021, whose entries have no names
    if spec is not None and "sc_type" not in spec:
        # The request may omit the preset; the entry has CUSTOMIZED when sizes were set individually.
        if (preset := text(entry.get("sc_type"))) in {"A", "B", "C"}:
            spec["sc_type"] = preset
        else:
            unobserved = shared(unobserved | {"sc_type"})
    return live_job(entry, Identity(KIND.name, queue, name), STATES, spec, unobserved)


def _echoed_request(value: Any) -> Mapping[str, Any] | None:
    """Return the request that the entry echoes; None if it cannot be parsed.

    Its JSON string is sometimes encoded twice, and the vendor's SDK shows one with escaped quotes.
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
    operations=Operations(
        create="dli.batches.create",
        get="dli.batches.get",
        log="dli.batches.log",
        cancel="dli.batches.cancel",
    ),
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
    ownership_field="conf",
    deciding=DECIDING,
    starting=frozenset({"starting"}),
)
