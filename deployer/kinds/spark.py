"""What the DLI Spark kinds share: an entry of a listing shows both alike, but for the spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.kinds.kind import Entry, milliseconds, phase_of, text
from deployer.model import Identity, LiveJob, Phase


def queue_of(entry: Entry) -> str:
    """Return the queue that an entry names; empty where it names none."""
    return text(entry.get("queue") or entry.get("cluster_name"))


def live_job(
    entry: Entry,
    identity: Identity,
    states: Mapping[str, Phase],
    spec: dict[str, Any] | None,
    unobserved: frozenset[str],
) -> LiveJob:
    """Return the live job of an entry of `sessions`: that is the list's name for batches too."""
    phase = phase_of(states, entry.get("state"))
    return LiveJob(
        id=text(entry.get("id")),
        identity=identity,
        state=text(entry.get("state")),
        phase=phase,
        submitted=milliseconds(entry.get("create_time")),
        # Nothing is updated after the end.
        finished=0 if phase is Phase.ACTIVE else milliseconds(entry.get("update_time")),
        spec=spec,
        unobserved=unobserved,
    )
