"""DLI Spark sessions: an interactive Spark process in a queue. The vendor has withdrawn this API."""

from __future__ import annotations

from deployer.kinds.kind import Entry, Kind, Listing, Nature, Operations, Paging, read_back, text
from deployer.kinds.spark import DECIDING, live_job, queue_of
from deployer.model import Identity, LiveJob, Phase

STATES = {
    "not_started": Phase.ACTIVE,
    "starting": Phase.ACTIVE,
    "recovering": Phase.ACTIVE,
    "idle": Phase.ACTIVE,
    "busy": Phase.ACTIVE,
    "shutting_down": Phase.ACTIVE,
    "error": Phase.FAILED,
    "dead": Phase.FAILED,
    "success": Phase.SUCCEEDED,
}


def observe(entry: Entry) -> LiveJob:
    """Return the live job of an entry of `sessions`, which shows few fields of the request."""
    queue = queue_of(entry)
    # CUSTOMIZED: sizes were set individually, and the preset is not listed.
    listed = {key: value for key, value in entry.items() if key != "sc_type" or value in ("A", "B", "C")}
    spec, unobserved = read_back(KIND.rows, {**listed, "queue": queue}, whole=False)
    return live_job(entry, Identity(KIND.name, queue, text(entry.get("name"))), STATES, spec, unobserved)


KIND = Kind(
    name="SparkSession",
    title="DLI Spark session",
    nature=Nature.RUN_ONCE,
    service="dli",
    operations=Operations(
        create="dli.sessions.create",
        get="dli.sessions.get",
        log="dli.sessions.log",
        cancel="dli.sessions.delete",
    ),
    name_field="name",
    place="queue",
    id="id",
    listing=Listing(
        table="dli.sessions.list",
        items="sessions",
        total="total",
        paging=Paging.RECORD,
        offset="from",
        limit="size",
        id="id",
        by_place="queue",
    ),
    observe=observe,
    named_in_listing=False,
    deciding=DECIDING,
    starting=frozenset({"not_started", "starting"}),
)
