"""Shared by the DLI Spark kinds: listing entries have the same format, except for the spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.kinds.kind import Entry, milliseconds, phase_of, text
from deployer.model import Identity, LiveJob, Phase


def queue_of(entry: Entry) -> str:
    """Return the queue of an entry; empty if it has none."""
    return text(entry.get("queue") or entry.get("cluster_name"))


def live_job(
    entry: Entry,
    identity: Identity,
    states: Mapping[str, Phase],
    spec: dict[str, Any] | None,
    unobserved: frozenset[str],
) -> LiveJob:
    """Return the live job of an entry of `sessions`: batches are listed under this name too."""
    phase = phase_of(states, entry.get("state"))
    return LiveJob(
        id=text(entry.get("id")),
        identity=identity,
        state=text(entry.get("state")),
        phase=phase,
        submitted=milliseconds(entry.get("create_time")),
        # An ended run is not updated.
        finished=0 if phase is Phase.ACTIVE else milliseconds(entry.get("update_time")),
        spec=spec,
        unobserved=unobserved,
    )
