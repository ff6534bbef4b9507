"""Rules between fields: each has a manifest that breaks it and one that does not, and each can be waived."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.schema.rules import UNKNOWN_FIELD, WAIVABLE, rules, waivable
from testing.workspace import SHARED, SPECS, Workspace, findings, manifest, needs_shared

BATCH: dict[str, Any] = {"file": "obs://b/job.py", "queue": "q"}
FLINK = SPECS["FlinkJar"]
LONG = "x" * 5000


def mrs(job_type: str, *arguments: str, **properties: str) -> dict[str, Any]:
    return {"cluster_id": "c", "job_type": job_type, "arguments": [*arguments], "properties": properties}


# Rule, kind, a spec that breaks it, one that keeps it.
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("class-name-for-a-jar", "SparkBatch", {"file": "a.JAR", "queue": "q"}, {**BATCH, "className": "a.B"}),
    (
        "image-needs-custom",
        "SparkBatch",
        BATCH | {"image": "o/i:1"},
        BATCH | {"image": "o/i:1", "feature": "custom"},
    ),
    ("image-needs-custom", "FlinkJar", FLINK | {"image": "o/i:1", "feature": "basic"}, FLINK),
    ("custom-needs-image", "FlinkJar", FLINK | {"feature": "custom"}, FLINK | {"feature": "basic"}),
    (
        "spark-version-without-custom",
        "SparkBatch",
        BATCH | {"feature": "custom", "image": "o/i:1", "spark_version": "2.4.5"},
        BATCH | {"feature": "basic", "spark_version": "2.4.5"},
    ),
    *(
        (
            "no-resources-from-spark-3.3",
            "SparkBatch",
            BATCH | {"spark_version": version, "execution_agency_urn": "a", field: [{"name": "n"}]},
            BATCH | {"spark_version": "3.1.1", field: [{"name": "n"}]},
        )
        for version, field in (("3.3.1", "groups"), ("3.10.0", "groups"), ("4.0", "groups"))
    ),
    (
        "obs-path-from-spark-3.3",
        "SparkBatch",
        {"file": "a.py", "queue": "q", "spark_version": "3.3.1"},
        {"file": "a.py", "queue": "q", "spark_version": "3.2.9"},
    ),
    (
        "agency-from-spark-3.3",
        "SparkBatch",
        BATCH | {"spark_version": "3.3.1"},
        BATCH | {"spark_version": "3.3.1", "conf": {"spark.dli.job.agency.name": "a"}},
    ),
    (
        "flink-version-needs-basic",
        "FlinkJar",
        FLINK | {"flink_version": "1.15", "feature": "custom", "image": "o/i:1"},
        FLINK | {"flink_version": "1.15"},
    ),
    ("more-cus-than-the-manager", "FlinkJar", FLINK | {"manager_cu_number": 2}, FLINK | {"cu_number": 3}),
    (
        "more-cus-than-the-manager",
        "FlinkJar",
        FLINK | {"cu_number": 3, "manager_cu_number": 3},
        FLINK | {"manager_cu_number": 9, "resource_config_version": "v2"},
    ),
    ("many-cus", "FlinkJar", FLINK | {"cu_number": 401}, FLINK | {"cu_number": 400}),
    (
        "log-needs-a-bucket",
        "FlinkJar",
        FLINK | {"log_enabled": True},
        FLINK | {"log_enabled": True, "obs_bucket": "b"},
    ),
    (
        "checkpoint-path-is-resumed",
        "FlinkJar",
        FLINK | {"checkpoint_path": "obs://b/c"},
        FLINK | {"checkpoint_path": "obs://b/c", "resume_checkpoint": True},
    ),
    (
        "resource-config-needs-v2",
        "FlinkJar",
        FLINK | {"resource_config": {"max_slot": 2}},
        FLINK | {"resource_config": {"max_slot": 2}, "resource_config_version": "v2"},
    ),
    (
        "one-dependency-an-item",
        "FlinkJar",
        FLINK | {"dependency_jars": ["a.jar,b.jar"]},
        FLINK | {"dependency_jars": ["a.jar", "b.jar"]},
    ),
    (
        "obs-path-from-flink-1.15",
        "FlinkJar",
        FLINK | {"flink_version": "1.15", "entrypoint": "a.jar"},
        FLINK | {"flink_version": "1.12", "entrypoint": "a.jar"},
    ),
    (
        "same-tag-twice",
        "FlinkJar",
        FLINK
        | {"tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "1"}, {"key": "a", "value": "2"}]},
        FLINK | {"tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "1"}]},
    ),
    (
        "long-tag",
        "FlinkJar",
        FLINK | {"tags": [{"key": "k" * 37, "value": "v"}]},
        FLINK | {"tags": [{"key": "k" * 36, "value": "v" * 43}]},
    ),
    ("distcp-takes-two", "MrsJob", mrs("DistCp", "a"), mrs("DistCp", "a", "b")),
    ("distcp-takes-two", "MrsJob", {"cluster_id": "c", "job_type": "DistCp"}, mrs("DistCp", "a", "b")),
    ("map-reduce-program", "MrsJob", mrs("MapReduce", "wordcount"), mrs("MapReduce", "obs://b/a.jar", "in")),
    (
        "spark-program",
        "MrsJob",
        mrs("SparkSubmit", "--class", "A"),
        mrs("SparkSubmit", "--class", "A", "a.jar"),
    ),
    (
        "spark-python-program",
        "MrsJob",
        mrs("SparkPython", "a.jar"),
        mrs("SparkPython", "--master", "yarn", "a.py"),
    ),
    ("script-path", "MrsJob", mrs("SparkScript", "select 1"), mrs("HiveScript", "obs://b/a.sql")),
    ("sql-text", "MrsJob", {"cluster_id": "c", "job_type": "HiveSql"}, mrs("SparkSql", "select 1")),
    ("flink-program", "MrsJob", mrs("Flink", "a.jar"), mrs("Flink", "run", "-d", "a.jar")),
    ("long-arguments", "MrsJob", mrs("HiveSql", LONG), mrs("HiveSql", "x" * 4096)),
    ("too-long-arguments", "MrsJob", mrs("HiveSql", LONG * 31), mrs("HiveSql", LONG * 30)),
    (
        "argument-characters",
        "MrsJob",
        mrs("MapReduce", "a.jar", "a;b"),
        mrs("HiveSql", "select 1; select '2'"),
    ),
    ("long-properties", "MrsJob", mrs("HiveSql", "s", a="x" * 2048), mrs("HiveSql", "s", a="x" * 2047)),
    ("property-characters", "MrsJob", mrs("HiveSql", "s", a="x>y"), mrs("HiveSql", "s", a="x;y")),
]
SEVERITY = {rule.id: rule.severity for rule in rules()}


def found(workspace: Workspace, content: dict[str, Any]) -> list[str]:
    """The ids of the rules that `validate` names."""
    workspace.write("job.yaml", content)
    lines = findings(workspace.run("validate").err)
    return [line.rpartition("[")[2].rstrip("]") for line in lines]


@pytest.mark.parametrize(("rule", "kind", "broken", "kept"), CASES)
def test_a_rule(bare: Workspace, rule: str, kind: str, broken: dict[str, Any], kept: dict[str, Any]) -> None:
    assert rule in found(bare, manifest(kind, "job", broken))
    assert bare.run("validate").code == (4 if SEVERITY[rule] == "error" else 0)
    assert bare.run("validate", "--strict").code == 4
    assert rule not in found(bare, manifest(kind, "job", kept))
    assert rule not in found(bare, manifest(kind, "job", broken, waive={rule: "because"}))


def test_rules_about_the_lifecycle_and_the_kind(bare: Workspace) -> None:
    resubmits = {"lifecycle": {"onFailure": "resubmit"}}
    assert found(bare, manifest("SparkBatch", "job", BATCH, **resubmits)) == ["dead-may-be-cancelled"]
    assert found(bare, manifest("SparkSession", "job", SPECS["SparkSession"])) == ["withdrawn-api"]
    by_run = {"lifecycle": {"trigger": "run", "rerun": "2024-07-05T09:00:00Z"}}
    assert found(bare, manifest("SparkBatch", "job", BATCH, **by_run)) == ["trigger-without-apply"]
    by_run = {"lifecycle": {"trigger": "run", "onChange": "replace"}}
    assert found(bare, manifest("SparkBatch", "job", BATCH, **by_run)) == ["trigger-ignores"]


def test_every_rule_has_a_case_and_words() -> None:
    tested = {rule for rule, *_ in CASES} | {
        "dead-may-be-cancelled",
        "withdrawn-api",
        "trigger-without-apply",
        "trigger-ignores",
    }
    assert tested == set(SEVERITY)
    assert len(SEVERITY) == len(rules())
    for rule in rules():
        assert set(rule.kinds) <= set(KINDS)
        assert rule.severity in {"error", "warning"}
        assert rule.reason.endswith(".")
        assert not rule.message.endswith(".")


def test_a_finding_stands_at_its_field(bare: Workspace) -> None:
    bare.write(
        "job.yaml",
        "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: a}\nspec:\n"
        "  queue: q\n  class_name: ''\n  file: a.jar\n",
    )
    assert findings(bare.run("validate").err) == [
        "job.yaml:6:3: warning: 'class_name' is a deprecated name; 'className' is sent [older-spelling]",
        "job.yaml:7:3: error: a .jar requires className, its main class [class-name-for-a-jar]",
    ]


def test_an_unknown_field_can_be_waived_and_is_sent(workspace: Workspace) -> None:
    """The emulator knows no such field, so that it was sent is seen in its refusal."""
    spec = BATCH | {"priority": "high"}
    assert found(workspace, manifest("SparkBatch", "job", spec)) == [UNKNOWN_FIELD]
    workspace.write("job.yaml", manifest("SparkBatch", "job", spec, waive={UNKNOWN_FIELD: "new in May"}))
    assert workspace.run("validate").code == 0
    assert "priority" in workspace.apply().out


@pytest.mark.parametrize(
    ("waive", "says"),
    [
        ({"distcp-takes-too": "x"}, "did you mean 'distcp-takes-two'?"),
        ({"class-name-for-a-jar": "x"}, "'class-name-for-a-jar' must be one of"),
        ({"distcp-takes-two": ""}, "must have at least 1 characters"),
        ({"distcp-takes-two": None}, "must be a string"),
    ],
)
def test_a_waiver_names_a_rule_of_its_kind_and_a_reason(bare: Workspace, waive: Any, says: str) -> None:
    bare.write("job.yaml", manifest("MrsJob", "job", mrs("DistCp", "a", "b"), waive=waive))
    ran = bare.run("validate")
    assert ran.code == 4
    assert says in ran.err


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_can_be_waived_is_in_the_schema(kind: str, bare: Workspace) -> None:
    schema = bare.run("schema", "show", kind).json
    assert schema["properties"]["waive"]["propertyNames"]["enum"] == waivable(kind)
    assert set(waivable(kind)) >= set(WAIVABLE)


OPERATIONS = {kind.operations.create: kind for kind in KINDS.values()}


@needs_shared
def test_recorded_bodies_break_no_rule_that_blocks(bare: Workspace) -> None:
    bodies = json.loads((SHARED / "recorded" / "requests.json").read_text(encoding="utf-8"))
    manifests = []
    for number, recorded in enumerate(bodies):
        # The one body that came from an answer has fields that only answers have.
        if recorded["api"] not in OPERATIONS or recorded["origin"] == "from-sdk-docstring":
            continue
        kind = OPERATIONS[recorded["api"]]
        spec = {key: value for key, value in recorded["body"].items() if key != kind.name_field}
        spec |= {"cluster_id": "c"} if kind.name == "MrsJob" else {}
        manifests.append(manifest(kind.name, f"job-{number}", spec))
    bare.write("jobs.yaml", manifests)
    ran = bare.run("validate")
    assert ran.code == 0, ran.err
    assert len(manifests) > 20


def test_a_waiver_that_is_not_needed_is_pointed_out(bare: Workspace) -> None:
    bare.write("job.yaml", manifest("SparkBatch", "job", BATCH, waive={"class-name-for-a-jar": "because"}))
    ran = bare.run("validate", "--strict")
    assert ran.code == 0
    assert "note: waived rule 'class-name-for-a-jar' is not violated" in ran.err


def test_a_waived_field_is_named_all_the_same(bare: Workspace) -> None:
    """So that the waiver for one new field does not hide the next typo."""
    spec = BATCH | {"priority": 1, "clasName": "x"}
    bare.write("job.yaml", manifest("SparkBatch", "job", spec, waive={UNKNOWN_FIELD: "new in May"}))
    ran = bare.run("validate", "--strict")
    assert ran.code == 0
    assert "note: unknown field 'clasName' in spec is sent unchanged; did you mean 'className'?" in ran.err
