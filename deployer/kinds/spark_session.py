"""DLI Spark sessions: an interactive Spark process in a queue. The vendor has withdrawn this API."""

from __future__ import annotations

from deployer.kinds.kind import Entry, Kind, Listing, Nature, Paging, milliseconds, phase_of, read_back, text
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
    """Returns a live job from an entry of `sessions`, which shows little of what was asked for."""
    queue = text(entry.get("queue") or entry.get("cluster_name"))
    # CUSTOMIZED: sizes were given, and the preset they replaced is not told.
    told = {key: value for key, value in entry.items() if key != "sc_type" or value in ("A", "B", "C")}
    spec, unobserved = read_back(KIND.rows, {**told, "queue": queue}, whole=False)
    phase = phase_of(STATES, entry.get("state"))
    return LiveJob(
        id=text(entry.get("id")),
        identity=Identity(KIND.name, queue, text(entry.get("name"))),
        state=text(entry.get("state")),
        phase=phase,
        submitted=milliseconds(entry.get("create_time")),
        # Nothing is updated after the end.
        finished=0 if phase is Phase.ACTIVE else milliseconds(entry.get("update_time")),
        spec=spec,
        unobserved=unobserved,
    )


KIND = Kind(
    name="SparkSession",
    title="DLI Spark session",
    nature=Nature.RUN_ONCE,
    service="dli",
    table="dli.sessions.create",
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
    cancel="dli.sessions.delete",
    log="dli.sessions.log",
    show="dli.sessions.get",
    named_in_listing=False,
    starting=frozenset({"not_started", "starting"}),
)
