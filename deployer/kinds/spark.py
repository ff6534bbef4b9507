"""Shared by the DLI Spark kinds: listing entries have the same format, except for the spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.kinds.kind import Entry, milliseconds, phase_of, text
from deployer.model import Identity, LiveJob, Phase

# What a batch or a session runs: the program, its arguments and libraries, then the settings that load code.
DECIDING = (
    "/file",
    "/className",
    "/kind",
    "/args",
    "/jars",
    "/pyFiles",
    "/files",
    "/modules",
    "/resources",
    "/groups",
    "/image",
    "/feature",
    "/spark_version",
    "/conf/spark.jars*",
    "/conf/spark.submit.*",
    "/conf/spark.files",
    "/conf/spark.archives",
    "/conf/spark.plugins*",
    "/conf/spark.extraListeners",
    "/conf/spark.*[eE]xtraClassPath",
    "/conf/spark.*JavaOptions",
    "/conf/spark.*[lL]ibraryPath",
    "/conf/spark.sql.*[eE]xtensions",
    "/conf/spark.sql.*Listeners",
    "/conf/spark.sql.catalog.*",
    "/conf/spark.sql.catalogImplementation",
    "/conf/spark.sql.hive.metastore.jars*",
    "/conf/spark.serializer",
    "/conf/spark.pyspark.*",
    "/conf/spark.yarn.dist.*",
    "/conf/spark.yarn.jars",
    "/conf/spark.yarn.archive",
    "/conf/spark.executorEnv.*",
    "/conf/spark.yarn.appMasterEnv.*",
    "/conf/spark.*image*",
    "/execution_agency_urn",
)


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
