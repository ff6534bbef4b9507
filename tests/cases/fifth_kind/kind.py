"""Reports: a kind for an invented service. A report is submitted to a queue and runs once."""

from __future__ import annotations

from deployer.kinds.kind import (
    Entry,
    Kind,
    Listing,
    Nature,
    Operations,
    Paging,
    milliseconds,
    phase_of,
    read_back,
    text,
)
from deployer.model import Identity, LiveJob, Phase

STATES = {
    "waiting": Phase.ACTIVE,
    "printing": Phase.ACTIVE,
    "printed": Phase.SUCCEEDED,
    "jammed": Phase.FAILED,
}


def observe(entry: Entry) -> LiveJob:
    """Return the live job of an entry of `reports`."""
    spec, unobserved = read_back(KIND.rows, entry, whole=False)
    return LiveJob(
        id=text(entry.get("id")),
        identity=Identity(KIND.name, text(entry.get("printer")), text(entry.get("title"))),
        state=text(entry.get("state")),
        phase=phase_of(STATES, entry.get("state")),
        submitted=milliseconds(entry.get("created")),
        spec=spec,
        unobserved=unobserved,
    )


KIND = Kind(
    name="Report",
    title="printed report",
    nature=Nature.RUN_ONCE,
    service="press",
    operations=Operations(create="press.reports.create"),
    name_field="title",
    place="printer",
    id="id",
    listing=Listing(
        table="press.reports.list",
        items="reports",
        total="count",
        paging=Paging.PAGE,
        offset="page",
        limit="size",
        id="id",
    ),
    observe=observe,
)
