"""Entries of listings, one of each kind, and helpers that read them."""

from __future__ import annotations

import json
from typing import Any

from deployer.kinds import KINDS
from deployer.kinds.tables import Row, parse_row
from deployer.model import LiveJob
from deployer.planning.diff import compare

BATCH = {
    "id": "b-1",
    "name": "job",
    "queue": "q",
    "cluster_name": "old",
    "state": "running",
    "sc_type": "A",
    "create_time": 1_720_000_000_000,
    "req_body": '{"file": "a.py", "queue": "q", "autoRecovery": true}',
}


SESSION = {"id": "s-1", "name": "job", "cluster_name": "q", "kind": "spark", "state": "idle", "sc_type": "A"}


FLINK: dict[str, Any] = {
    "job_id": 138,
    "name": "job",
    "status": "job_running",
    "start_time": 0,
    "create_time": 1_578_466_221_525,
    "desc": "",
    "job_config": {"cu_number": 2, "feature": "basic", "checkpoint_mode": "exactly_once"},
}


MRS = {
    "job_id": "m-1",
    "job_name": "job",
    "job_state": "RUNNING",
    "job_result": "UNDEFINED",
    "job_type": "SparkSubmit",
    "submitted_time": "1564626561541",
    "arguments": "[a, b]",
    "properties": "{k=v}",
}


ENTRIES: dict[str, dict[str, Any]] = {
    "SparkBatch": BATCH,
    "SparkSession": SESSION,
    "FlinkJar": FLINK,
    "MrsJob": MRS,
}


# An entry of each kind with all that it may hold.
FULL: dict[str, dict[str, Any]] = {
    "SparkBatch": {
        **BATCH,
        "req_body": json.dumps(
            {
                "file": "a.jar",
                "className": "A",
                "queue": "q",
                "name": "job",
                "args": ["a", "b"],
                "conf": {"a": "1"},
                "jars": ["a.jar"],
                "modules": [],
                "archives": [],
                "modelFiles": [],
                "resources": [{"name": "a", "type": "jar"}],
                "groups": [{"name": "g", "resources": []}],
                "driverMemory": "1G",
                "driverCores": 1,
                "numExecutors": 2,
                "autoRecovery": True,
                "maxRetryTimes": 20,
                "minRecoveryDelayTime": 10000,
                "sc_type": "B",
                "feature": "basic",
            }
        ),
    },
    "SparkSession": {**SESSION, "queue": "q", "appInfo": {"sparkUiUrl": None}, "log": ["a"]},
    "FlinkJar": {
        **FLINK,
        "has_savepoint": True,
        "savepoint_path": "obs://b/s",
        "main_class": "A",
        "entrypoint_args": "-a b",
        "queue_name": "q",
        "tags": [{"key": "a", "value": "b"}],
        "image": None,
        "job_config": {
            **FLINK["job_config"],
            "runtime_config": '[{"key": "a", "value": "1"}]',
            "flink_log_config": '{"a": "INFO"}',
            "dependency_jars": ["a.jar"],
            "log_enabled": False,
            "resume_max_num": -1,
            "tm_cus": 1,
            "resource_config_version": "v2",
            "resource_config": {"max_slot": 1, "jobmanager_resource_spec": {"cpu": 1.0, "memory": "4 GB"}},
        },
    },
    "MrsJob": {**MRS, "finished_time": 1, "job_progress": 1.5, "queue": "default"},
}


def observed(kind: str, **change: Any) -> LiveJob:
    return KINDS[kind].observe(ENTRIES[kind] | change)


def differences(kind: str, desired: dict[str, Any], **change: Any) -> dict[str, tuple[Any, Any]]:
    """What plan would show, by pointer: live and desired."""
    live = observed(kind, **change)
    assert live.spec is not None
    changes = compare(KINDS[kind].rows, live.spec, KINDS[kind].expect(desired), live.unobserved)
    return {change.path: (change.live, change.desired) for change in changes}


def row(printed: str, **columns: Any) -> Row:
    reasons = dict.fromkeys(columns, "So.")
    return parse_row(
        {"name": "it", "type": printed, "since": "D1", "description": "It.", "reasons": reasons, **columns},
        "here",
    )
