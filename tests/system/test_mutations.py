"""Each mutation of a valid request body is refused, and the finding is at the mutated value."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deployer.kinds import KINDS
from deployer.kinds.tables import json_type
from testing.workspace import Workspace, manifest

BODIES: dict[str, dict[str, Any]] = {
    "SparkBatch": {
        "file": "obs://b/job.jar",
        "className": "com.example.Job",
        "queue": "q",
        "args": ["--date", "2024-07-04"],
        "sc_type": "C",
        "jars": ["a.jar"],
        "modules": ["sys.datasource.dli-inner-table"],
        "conf": {"spark.memory.offHeap.enabled": "true"},
        "driverMemory": "15G",
        "driverCores": 4,
        "numExecutors": 14,
        "feature": "basic",
        "spark_version": "3.1.1",
        "auto_recovery": True,
        "max_retry_times": 3,
    },
    "SparkSession": {
        "kind": "spark",
        "cluster_name": "q",
        "sc_type": "A",
        "resources": [{"name": "a.jar", "type": "jar"}],
        "executorMemory": "4G",
        "heartbeatTimeoutInSecond": 60,
    },
    "FlinkJar": {
        "queue_name": "q",
        "desc": "counts",
        "entrypoint": "obs://b/a.jar",
        "entrypoint_args": "-rate 3",
        "cu_number": 4,
        "checkpoint_enabled": True,
        "checkpoint_mode": 2,
        "resource_config_version": "v2",
        "resource_config": {"max_slot": 4, "jobmanager_resource_spec": {"cpu": 1, "memory": "8G"}},
        "tags": [{"key": "team", "value": "web"}],
    },
    "MrsJob": {
        "cluster_id": "c-1",
        "job_type": "SparkSubmit",
        "arguments": ["--class", "A", "obs://b/a.jar"],
        "properties": {"fs.obs.endpoint": "obs.example.com"},
    },
}
WRONG: dict[str, Any] = {
    "string": [1],
    "integer": "many",
    "number": "much",
    "boolean": "perhaps",
    "array": "one",
    "object": "flat",
}


def mutations() -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Kind, what is wrong, the body, and the field where the finding must stand (`spec` for the whole)."""
    for name, body in BODIES.items():
        rows = {row.name: row for row in KINDS[name].rows}

        def without(key: str, body: dict[str, Any] = body) -> dict[str, Any]:
            return {other: value for other, value in body.items() if other != key}

        for key in body:
            row = rows[key]
            yield name, "wrong type", body | {key: WRONG[json_type(row.type)["type"]]}, key
            yield name, "nothing", body | {key: None}, key
            if row.required or row.same_as:
                yield name, "missing", without(key), "spec"
            if "maxLength" in row.limits:
                yield name, "too long", body | {key: "x" * (row.limits["maxLength"] + 1)}, key
            if "enum" in row.limits:
                other = max(row.limits["enum"]) + 1 if json_type(row.type)["type"] == "integer" else "other"
                yield name, "not in the list", body | {key: other}, key
            if "maximum" in row.limits:
                yield name, "too much", body | {key: row.limits["maximum"] + 1}, key
            for alias in row.aliases:
                yield name, "both spellings", body | {alias: body[key]}, alias
            yield name, "unknown field", body | {f"{key}s_": body[key]}, f"{key}s_"
    nested = copy.deepcopy(BODIES["FlinkJar"])
    nested["resource_config"]["jobmanager_resource_spec"]["memory"] = 8
    yield "FlinkJar", "wrong type", nested, "memory"
    nested = copy.deepcopy(BODIES["FlinkJar"])
    nested["resource_config"]["max_slots"] = 8
    yield "FlinkJar", "unknown field", nested, "max_slots"
    yield "SparkBatch", "both queues", BODIES["SparkBatch"] | {"cluster_name": "q"}, "cluster_name"


@pytest.mark.parametrize("kind", list(BODIES))
def test_the_sound_bodies_are_sound(bare: Workspace, kind: str) -> None:
    bare.write("job.yaml", manifest(kind, "job", BODIES[kind]))
    assert bare.run("validate").code == 0


@pytest.mark.parametrize(("kind", "fault", "body", "field"), list(mutations()))
def test_a_fault_is_refused_at_its_place(
    bare: Workspace, kind: str, fault: str, body: dict[str, Any], field: str
) -> None:
    text = yaml.safe_dump(manifest(kind, "job", body), sort_keys=False)
    bare.write("job.yaml", text)
    ran = bare.run("validate")
    assert ran.code == 4, fault
    lines = text.splitlines()
    spec = lines.index("spec:")
    at = next(n for n, line in enumerate(lines[spec:], spec + 1) if line.strip(" -").startswith(f"{field}:"))
    # A value may begin on the line below its key.
    errors = [line for line in ran.err.splitlines() if ": error: " in line]
    assert len(errors) == 1
    assert int(errors[0].split(":")[1]) in {at, at + 1}, errors
