"""Jobs that somebody else has made: sent to the emulator as they are, without `deployer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from testing.workspace import TOKEN

CREATE = {
    "SparkBatch": "/v2.0/pid/batches",
    "SparkSession": "/v2.0/pid/sessions",
    "FlinkJar": "/v1.0/pid/streaming/flink-jobs",
    "MrsJob": "/v2/pid/clusters/{cluster_id}/job-executions",
}


def call(url: str, method: str, path: str, body: Any = None) -> Any:
    """One request to the emulator; its JSON."""
    answer = requests.request(method, url + path, json=body, headers={"X-Auth-Token": TOKEN}, timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def create(url: str, kind: str, name: str, spec: Mapping[str, Any]) -> str:
    """Create a job in the emulator and return its id."""
    cluster = spec.get("cluster_id", "")
    body = {key: value for key, value in spec.items() if key != "cluster_id"}
    named = "job_name" if kind == "MrsJob" else "name"
    made = call(url, "POST", CREATE[kind].format(cluster_id=cluster), {named: name, **body})
    return str(
        made.get("id") or made.get("job", {}).get("job_id") or made.get("job_submit_result", {}).get("job_id")
    )


def start(url: str, job_id: str) -> None:
    """Start a Flink job."""
    body = {"job_ids": [int(job_id)], "resume_savepoint": False}
    call(url, "POST", "/v1.0/pid/streaming/jobs/run", body)
