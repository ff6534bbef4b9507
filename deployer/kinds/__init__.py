"""The kinds of jobs, by name in `KINDS`: table, operations, states and ownership of each."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.kinds import flink_jar, mrs_job, spark_batch, spark_session
from deployer.kinds.kind import Kind

__all__ = ["KINDS"]

KINDS: Mapping[str, Kind] = {
    "SparkBatch": spark_batch.KIND,
    "SparkSession": spark_session.KIND,
    "FlinkJar": flink_jar.KIND,
    "MrsJob": mrs_job.KIND,
}
