"""`deployer explain` and `deployer validate -v`."""

from __future__ import annotations

import pytest
from conftest import Workspace, manifest

from deployer.kinds import KINDS
from deployer.rules import waivable


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        ("SparkBatch", ["POST /v2.0/{project_id}/batches", "file", "required"]),
        ("SparkBatch.sc_type", ["one of", "A, B, C", "driver 4 cores 15G, 14 executors of 2 cores 8G"]),
        ("SparkBatch.spec.className", ["older spellings", "class_name"]),
        ("SparkBatch.driver_memory", ["pattern", "2G"]),
        ("SparkBatch.conf", ["secret", "fs.obs.secret.key"]),
        ("SparkBatch.name", ["at most (characters)", "128"]),
        ("FlinkJar.resource_config.max_slot", ["default", "1"]),
        ("FlinkJar.smn_topic", ["can be changed"]),
        ("FlinkJar.tags", ["no, the listing does not return it"]),
        ("MrsJob.cluster_id", ["no, it says where the job runs"]),
        ("distcp-takes-two", ["error; MrsJob", "waive: {distcp-takes-two:"]),
        ("unknown-field", ["can be waived"]),
        ("one-spelling", ["cannot be waived"]),
        ("memory-unit", ["as in 4G"]),
    ],
)
def test_explain(bare: Workspace, subject: str, says: list[str]) -> None:
    ran = bare.run("explain", subject)
    assert ran.code == 0
    assert [words for words in says if words not in ran.out] == []


def test_every_field_and_rule_can_be_explained(bare: Workspace) -> None:
    for kind in KINDS.values():
        for row in kind.rows:
            assert bare.run("explain", f"{kind.name}.{row.name}").code == 0
        for rule in waivable(kind.name):
            assert bare.run("explain", rule).code == 0


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        ("SparkBach", "did you mean 'SparkBatch'?"),
        ("SparkBatch.clasName", "did you mean 'className'?"),
        ("FlinkJar.resource_config.slots", "FlinkJar.resource_config has no field 'slots'"),
        ("SparkBatch.file.x", "SparkBatch.file has no field 'x'"),
        ("", "there is no kind or rule ''"),
        ("SparkBatch.", "SparkBatch has no field ''"),
    ],
)
def test_what_does_not_exist(bare: Workspace, subject: str, says: str) -> None:
    ran = bare.run("explain", subject)
    assert ran.code == 3
    assert says in ran.err


def test_validate_tells_what_a_preset_amounts_to(bare: Workspace) -> None:
    spec = {"file": "a.py", "queue": "q", "sc_type": "C", "numExecutors": 3}
    bare.write("jobs.yaml", [manifest("SparkBatch", "job", spec), manifest("FlinkJar", "stream", {})])
    assert bare.run("validate", "-v").out.splitlines()[0] == (
        "SparkBatch job in q: sc_type C: driver 4 cores 15G, 3 executors of 2 cores 8G"
        " (set by the manifest: numExecutors)"
    )
