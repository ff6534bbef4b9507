"""From manifests to jobs: errors, their positions, and the checked jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from deployer.manifests.check import check
from deployer.manifests.read import read
from deployer.model import Dependency, Identity, Job, Lifecycle, OnChange, OnFailure, OnMissing, State, Until
from deployer.project import load as project
from testing.workspace import SPECS, Workspace, findings, manifest

BATCH = """\
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: z}
spec:
  file: obs://b/z.py
  queue: q
"""
FLINK = """\
apiVersion: deployer/v1
kind: FlinkJar
metadata: {name: z}
spec:
  entrypoint: obs://b/z.py
  queue_name: q
"""


def problems(bare: Workspace, text: str) -> list[str]:
    """What `deployer validate` finds wrong with a.yaml, without the name of the file."""
    bare.write("a.yaml", text)
    ran = bare.run("validate")
    assert (ran.code == 4) is (" error: " in ran.err), ran
    return [line.removeprefix("a.yaml:") for line in findings(ran.err)]


def jobs(bare: Workspace, *documents: Any, **clusters: str) -> tuple[Job, ...]:
    """The jobs of sound manifests, given as text or as data."""
    texts = [document if isinstance(document, str) else yaml.safe_dump(document) for document in documents]
    bare.write("a.yaml", "---\n".join(texts))
    loaded = project.load(bare.folder)
    found = read(loaded, loaded.target(None), ["a.yaml"], {"flag": True, "half": 2.0})
    checked = check(found.manifests, clusters)
    assert [*found.problems, *(problem for problem in checked.problems if problem.severity == "error")] == []
    return checked.jobs


def batch(name: str, *needs: Any, queue: str = "q") -> dict[str, Any]:
    more = {"dependsOn": list(needs)} if needs else {}
    return manifest("SparkBatch", name, SPECS["SparkBatch"] | {"queue": queue}, **more)


# --- the schema -------------------------------------------------------------------------------------------


def test_a_quoted_expression_is_a_number_or_a_boolean_where_the_schema_wants_one(bare: Workspace) -> None:
    spec = """\
  numExecutors: "{{ half | int }}"
  driverCores: '{{ half }}'
  auto_recovery: "{{ flag }}"
  spark_version: "{{ half }}"
  args: ["{{ half }}", "{{ flag }}"]
  conf: {a: "{{ half }}", b: '{{ flag }}'}
"""
    (job,) = jobs(bare, BATCH + spec + 'lifecycle: {protect: "{{ flag }}"}\n')
    assert job.lifecycle.protect is True
    found = {
        name: job.spec[name] for name in ("numExecutors", "driverCores", "auto_recovery", "spark_version")
    }
    assert found == {"numExecutors": 2, "driverCores": 2.0, "auto_recovery": True, "spark_version": "2.0"}
    assert (job.spec["args"], job.spec["conf"]) == (["2.0", "true"], {"a": "2.0", "b": "true"})
    sizes = 'max_slot: "{{ half | int }}", jobmanager_resource_spec: {cpu: "{{ half }}"}'
    nested = f"  resource_config_version: v2\n  resource_config: {{{sizes}}}\n"
    (stream,) = jobs(bare, FLINK + nested)
    assert stream.spec["resource_config"]["max_slot"] == 2
    assert stream.spec["resource_config"]["jobmanager_resource_spec"]["cpu"] == 2.0
    assert jobs(bare, BATCH + 'enabled: "{{ not flag }}"\n') == ()


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ('numExecutors: "2"', "must be an integer, got '2'"),
        ('numExecutors: "{{ 2 }}0"', "must be an integer, got '20'"),
        ('numExecutors: " {{ 2 }}"', "must be an integer, got ' 2'"),
        ("numExecutors: \"{{ '2' }}\"", "must be an integer, got '2'"),
        ('numExecutors: "{{ true }}"', "must be an integer, got 'true'"),
        ('numExecutors: "{{ 2.5 }}"', "must be an integer, got the number 2.5"),
        ('numExecutors: "{{ -2 }}"', "must be at least"),
        ('auto_recovery: "{{ 1 }}"', "must be true or false, got '1'"),
        ("auto_recovery: \"{{ 'true' }}\"", "must be true or false, got 'true'"),
    ],
)
def test_a_quoted_expression_of_another_type_is_an_error(bare: Workspace, field: str, found: str) -> None:
    (problem,) = problems(bare, f"{BATCH}  {field}\n")
    assert problem.startswith(f"7:{3 + len(field.partition(': ')[0]) + 2}: error: ")
    assert found in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BATCH.replace("v1", "v2"), "1:13: error: 'apiVersion' must be 'deployer/v1', got 'deployer/v2'"),
        (BATCH.replace("apiVersion: deployer/v1\n", ""), "1:1: error: missing required field 'apiVersion'"),
        (BATCH.replace("metadata: {name: z}\n", ""), "1:1: error: missing required field 'metadata'"),
        (BATCH.replace("{name: z}", "[z]"), "3:11: error: 'metadata' must be a mapping, got a list"),
        (BATCH.replace("{name: z}", ""), "3:10: error: 'metadata' must be a mapping, got null"),
        (
            BATCH.replace("name: z", "nmae: z"),
            "3:12: error: unknown field 'nmae' in metadata; did you mean 'name'?",
        ),
        (
            BATCH.replace("name: z", "name: 7"),
            "3:18: error: 'name' must be a string, got the number 7 (quote it)",
        ),
        (
            BATCH.replace("name: z", "name: true"),
            "'name' must be a string, got the boolean true (quote it)",
        ),
        (
            BATCH.replace("z}", "z, labels: {tier: 1}}"),
            "'tier' must be a string, got the number 1 (quote it)",
        ),
        (BATCH.replace("z}", "z, labels: [a]}"), "3:29: error: 'labels' must be a mapping, got a list"),
        (BATCH[: BATCH.index("  file")], "'spec' must be a mapping, got null"),
        (BATCH + "  name: y\n", "7:3: error: 'name' is set from metadata.name; remove it from spec"),
        (BATCH + "  class: y\n", "7:3: error: unknown field 'class' in spec; did you mean 'className'?"),
        (BATCH + "  cluster_name: y\n", "exactly one of 'queue' and 'cluster_name' is required"),
        (BATCH + "  className: a\n  class_name: a\n", "only one of 'className' and 'class_name'"),
        (BATCH + "  '': 1\n", "7:3: error: unknown field '' in spec"),
        (BATCH + "  numExecutors: '2'\n", "7:17: error: 'numExecutors' must be an integer, got '2'"),
        (
            BATCH + "  numExecutors: 2.5\n",
            "7:17: error: 'numExecutors' must be an integer, got the number 2.5",
        ),
        (BATCH + "  numExecutors: 0x2\n", "7:17: error: 'numExecutors' must be an integer, got '0x2'"),
        (
            BATCH + f"  numExecutors: {'9' * 41}\n",
            "7:17: error: 'numExecutors' must be an integer, got '9999",
        ),
        (BATCH + "  numExecutors: .nan\n", "7:17: error: 'numExecutors' must be an integer, got '.nan'"),
        (BATCH + "  conf: {a: ~}\n", "7:13: error: 'a' must be a string"),
        (BATCH + "  conf: {a: [1]}\n", "7:13: error: 'a' must be a string"),
        (
            BATCH + "  args: [1]\n",
            "7:10: error: spec.args[0] must be a string, got the number 1 (quote it)",
        ),
        (BATCH + "lifecycle:\n", "7:11: error: 'lifecycle' must be a mapping, got null"),
        (
            BATCH + "lifecycle: {onChange: blok}\n",
            "7:23: error: 'onChange' must be one of block, replace, submit, keep",
        ),
        (
            BATCH + "lifecycle: {onchange: keep}\n",
            "unknown field 'onchange' in lifecycle; did you mean 'onChange'?",
        ),
        (BATCH + "lifecycle: {state: running}\n", "7:20: error: 'state' must be one of present, absent"),
        (BATCH + "lifecycle: {savepoint: true}\n", "7:13: error: unknown field 'savepoint' in lifecycle"),
        (BATCH + "lifecycle: {protect: yes}\n", "7:22: error: 'protect' must be true or false, got 'yes'"),
        (
            BATCH + "lifecycle: {timeout: 30}\n",
            "7:22: error: 'timeout' must be a string, for example 30m, got the number 30",
        ),
        (
            BATCH + "lifecycle: {timeout: 30d}\n",
            "7:22: error: 'timeout' must match ^[1-9][0-9]*[smh]$, for example 30m; got '30d'",
        ),
        (BATCH + 'lifecycle: {timeout: "30m\\n"}\n', "7:22: error: 'timeout' must match"),
        (
            FLINK + "lifecycle: {state: present}\n",
            "7:20: error: 'state' must be one of running, stopped, absent",
        ),
        (FLINK + "lifecycle: {onChange: keep}\n", "7:13: error: unknown field 'onChange' in lifecycle"),
        (FLINK.replace("name: z", 'name: "z\\n"'), "3:18: error: 'name' must match"),
        (BATCH + "dependsOn: a\n", "7:12: error: 'dependsOn' must be a list"),
        (BATCH + "dependsOn:\n", "7:11: error: 'dependsOn' must be a list, got null"),
        (BATCH + "dependsOn: [3]\n", "7:13: error: expected a job name, or a mapping with name"),
        (
            BATCH + "dependsOn: [{nam: a}]\n",
            "7:14: error: unknown field 'nam' in dependsOn[0]; did you mean 'name'?",
        ),
        (
            BATCH + "dependsOn: [{name: a, until: done}]\n",
            "7:30: error: 'until' must be one of submitted, running",
        ),
        (BATCH + "depends_on: []\n", "7:1: error: unknown field 'depends_on'; did you mean 'dependsOn'?"),
    ],
)
def test_what_does_not_fit(bare: Workspace, text: str, problem: str) -> None:
    found = problems(bare, text)
    assert any(problem in line for line in found), found
    # A misspelt field that must be there is also missing.
    assert len(found) == 1 + ("nam:" in text or "nmae:" in text), found


@pytest.mark.parametrize(
    "instant",
    [
        *("2024-02-30T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:30:00Z", "2024-01-01T00:60:00Z"),
        *(
            "2024-01-01T00:00:60Z",
            "0000-01-01T00:00:00Z",
            "2024-01-01T00:00:00+99:00",
            "2024-01-01T00:00:00-24:00",
        ),
        *(
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "tomorrow",
            "",
            "2024-07-05T09:00:00Z\\n",
        ),
    ],
)
@pytest.mark.parametrize("template", [True, False])
def test_what_is_no_instant(bare: Workspace, instant: str, template: bool) -> None:
    value = f'{{{{ "{instant}" }}}}' if template else f'"{instant}"'
    found = problems(bare, BATCH + f"  x: 1\nlifecycle:\n  rerun: {value}\n")
    assert len(found) == 2
    assert found[1].startswith("9:10: error: 'rerun' ")


@pytest.mark.parametrize("text", [BATCH, FLINK])
@pytest.mark.parametrize("rerun", ["5", "[a]", "", "{a: b}"])
def test_an_instant_is_text(bare: Workspace, text: str, rerun: str) -> None:
    (problem,) = problems(bare, text + f"lifecycle: {{rerun: {rerun}}}")
    assert "'rerun' must be a string" in problem


# --- what a job holds -------------------------------------------------------------------------------------


def test_the_defaults_of_the_lifecycle(bare: Workspace) -> None:
    once, flink = sorted(jobs(bare, BATCH, FLINK + "lifecycle: {}\n"), key=lambda job: job.kind, reverse=True)
    assert once.lifecycle == Lifecycle()
    assert flink.lifecycle == Lifecycle(state=State.RUNNING)
    assert (once.source.line, flink.source.line) == (1, 8)


def test_the_lifecycle(bare: Workspace) -> None:
    text = (
        "lifecycle: {state: absent, onChange: replace, onFailure: resubmit, onMissing: keep, protect: true,"
        " timeout: 2h, rerun: 2024-07-05T09:00:00+02:00}\n"
    )
    assert jobs(bare, BATCH + text)[0].lifecycle == Lifecycle(
        state=State.ABSENT,
        on_change=OnChange.REPLACE,
        on_failure=OnFailure.RESUBMIT,
        on_missing=OnMissing.KEEP,
        protect=True,
        timeout="2h",
        rerun=datetime(2024, 7, 5, 7, tzinfo=UTC),
    )
    flink = jobs(bare, FLINK + "lifecycle: {savepoint: false, state: stopped, protect: {{ flag }}}\n")[
        0
    ].lifecycle
    assert (flink.savepoint, flink.state, flink.protect) == (False, State.STOPPED, True)


def test_older_spellings_are_sent_in_todays(bare: Workspace) -> None:
    text = (
        BATCH.replace("queue", "cluster_name") + "  class_name: A\n  driver_memory: 1G\n  num_executors: 2\n"
    )
    (job,) = jobs(bare, text)
    assert job.spec == {
        "file": "obs://b/z.py",
        "cluster_name": "q",
        "className": "A",
        "driverMemory": "1G",
        "numExecutors": 2,
    }
    assert job.identity == Identity("SparkBatch", "q", "z")


@pytest.mark.parametrize("number", ["2", "2.0", "2e0", "{{ half }}", "{{ 4 / 2 }}"])
def test_a_whole_number_is_sent_as_one(bare: Workspace, number: str) -> None:
    (job,) = jobs(bare, BATCH + f"  numExecutors: {number}\n")
    assert repr(job.spec["numExecutors"]) == "2"


@pytest.mark.parametrize(
    "conf",
    [
        "conf: {a: 1.10, b: true, c: TRUE, d: 0x10, e: 1e3, f: 007, g: no, h: '', i: -0}",
        "conf: &c {a: 1.10, b: true, c: TRUE, d: 0x10, e: 1e3, f: 007, g: no, h: '', i: -0}\n  args: []",
        "conf: {<<: {a: 1.10, b: true, c: TRUE, d: 0x10, e: 1e3, f: 007, g: no}, h: '', i: -0}",
    ],
)
def test_texts_stay_as_they_are_written(bare: Workspace, conf: str) -> None:
    (job,) = jobs(bare, BATCH + f"  {conf}\n")
    texts = {
        "a": "1.10",
        "b": "true",
        "c": "TRUE",
        "d": "0x10",
        "e": "1e3",
        "f": "007",
        "g": "no",
        "h": "",
        "i": "-0",
    }
    assert job.spec["conf"] == texts


def test_texts_stay_as_they_are_written_behind_an_alias(bare: Workspace) -> None:
    text = BATCH.replace("{name: z}", "{name: z, labels: {a: &v '1.10'}}")
    text += "  conf:\n    k: &n 1.10\n    l: *n\n    m: *v\n"
    assert jobs(bare, text)[0].spec["conf"] == {"k": "1.10", "l": "1.10", "m": "1.10"}


def test_values_in_a_text_map_are_texts(bare: Workspace) -> None:
    text = BATCH + "  conf: {a: {{ flag }}, b: {{ 3 }}, c: {{ 1.5 }}, d: '{{ flag }}', e: {{ 'x' }}}\n"
    texts = {"a": "true", "b": "3", "c": "1.5", "d": "true", "e": "x"}
    assert jobs(bare, text)[0].spec["conf"] == texts
    assert jobs(bare, BATCH + "  conf: {{ {'a': true, 'b': 1} }}\n")[0].spec["conf"] == {
        "a": "true",
        "b": "1",
    }


def test_a_cluster_has_a_name(bare: Workspace) -> None:
    named = manifest("MrsJob", "a", SPECS["MrsJob"] | {"cluster_id": "reports"})
    plain = manifest("MrsJob", "b", SPECS["MrsJob"] | {"cluster_id": "id-2"})
    first, second = jobs(bare, named, plain, reports="id-1", other="id-2")
    assert (first.identity.place, first.spec["cluster_id"]) == ("id-1", "id-1")
    assert second.identity.place == "id-2"


def test_the_clusters_of_the_target_count(bare: Workspace) -> None:
    bare.write_project(clusters={"reports": "c-1"})
    bare.write("a.yaml", manifest("MrsJob", "a", SPECS["MrsJob"] | {"cluster_id": "reports"}))
    bare.write("b.yaml", manifest("MrsJob", "a", SPECS["MrsJob"]))
    assert findings(bare.run("validate").err) == [
        "b.yaml:4:9: error: duplicate job MrsJob a in c-1, first defined at a.yaml:1"
    ]


# --- identities -------------------------------------------------------------------------------------------


def test_one_identity_has_one_manifest(bare: Workspace) -> None:
    bare.write("b.yaml", [batch("a"), batch("b")])
    alike = batch("b") | {"spec": {"file": "f.py", "cluster_name": "q"}}
    bare.write("c/d.yaml", [alike, batch("a")])
    assert findings(bare.run("validate").err) == [
        "c/d.yaml:4:9: error: duplicate job SparkBatch b in q, first defined at b.yaml:10",
        "c/d.yaml:12:9: error: duplicate job SparkBatch a in q, first defined at b.yaml:1",
    ]


def test_other_kinds_and_places_are_other_jobs(bare: Workspace) -> None:
    mrs = [manifest("MrsJob", "a", SPECS["MrsJob"] | {"cluster_id": name}) for name in ("c-1", "c-2")]
    flink = manifest("FlinkJar", "a", SPECS["FlinkJar"])
    assert len(jobs(bare, batch("a"), batch("a", queue="r"), *mrs, flink)) == 5
    again = manifest("FlinkJar", "a", SPECS["FlinkJar"] | {"queue_name": "elsewhere"})
    bare.write("a.yaml", [flink, again])
    assert "duplicate job FlinkJar a, first defined at a.yaml:1" in bare.run("validate").err


# --- dependencies -----------------------------------------------------------------------------------------


def test_dependencies_stand_before_their_dependents(bare: Workspace) -> None:
    found = jobs(
        bare,
        batch("a", "d", {"name": "c", "until": "succeeded"}),
        batch("b"),
        batch("c", {"name": "e", "kind": "MrsJob"}),
        batch("d", "e2", "e2"),
        batch("e2"),
        batch("e", queue="r"),
        manifest("MrsJob", "e", SPECS["MrsJob"]),
    )
    order = [job.name for job in found]
    assert sorted(order) == ["a", "b", "c", "d", "e", "e", "e2"]
    assert order.index("e2") < order.index("d") < order.index("a") > order.index("c")
    named = {job.identity: job for job in found}
    assert named[Identity("SparkBatch", "q", "a")].depends_on == (
        Dependency(Identity("SparkBatch", "q", "d")),
        Dependency(Identity("SparkBatch", "q", "c"), Until.SUCCEEDED),
    )
    assert named[Identity("SparkBatch", "q", "c")].depends_on == (Dependency(Identity("MrsJob", "c-1", "e")),)


def test_the_order_does_not_hang_on_that_of_the_files(bare: Workspace) -> None:
    documents = [batch("a", "c"), batch("b"), batch("c"), batch("d", "b")]
    orders = {tuple(job.name for job in jobs(bare, *turned)) for turned in (documents, documents[::-1])}
    assert len(orders) == 1


@pytest.mark.parametrize(
    ("need", "problem"),
    [
        ("load-rwa", "8:3: error: dependency not found: job 'load-rwa'; did you mean 'load-raw'?"),
        (
            {"name": "load-raw", "kind": "MrsJob"},
            "dependency not found: MrsJob 'load-raw'; it is a SparkBatch",
        ),
        ("both", "8:3: error: 'both' is ambiguous: SparkBatch both in q or FlinkJar both; add its kind"),
        ("twice", "'twice' is ambiguous: SparkBatch twice in q or SparkBatch twice in r; rename one"),
        ({"kind": "SparkBatch", "name": "twice"}, "; rename one"),
        ("a", "8:1: error: dependency cycle: a -> a"),
    ],
)
def test_dependencies_that_cannot_be_found(bare: Workspace, need: Any, problem: str) -> None:
    others = [batch("load-raw"), batch("both"), batch("twice"), batch("twice", queue="r")]
    others.append(manifest("FlinkJar", "both", SPECS["FlinkJar"]))
    bare.write("b.yaml", others)
    text = yaml.safe_dump({"dependsOn": [need]}, default_flow_style=False)
    (found,) = problems(bare, BATCH.replace("name: z", "name: a") + text)
    assert problem in found
    assert found.startswith("8:")


def test_a_circle_shows_its_way(bare: Workspace) -> None:
    bare.write(
        "b.yaml", [batch("d", "b"), batch("b", "c"), batch("c", "x", "d"), batch("x"), batch("a", "b")]
    )
    ran = bare.run("validate")
    assert findings(ran.err) == ["b.yaml:21:1: error: dependency cycle: b -> c -> d -> b"]


def test_a_dependency_that_is_not_valid_is_reported_once(bare: Workspace) -> None:
    bare.write("b.yaml", batch("b") | {"spec": {"file": "f.py", "queue": 3}})
    found = [
        *problems(
            bare, yaml.safe_dump_all([batch("a", "b"), batch("c", {"kind": "SparkBatch", "name": "b"})])
        )
    ]
    assert found == ["b.yaml:7:10: error: 'queue' must be a string, got the number 3 (quote it)"]
    assert len(problems(bare, yaml.safe_dump(batch("a", {"kind": "MrsJob", "name": "b"})))) == 2


def test_a_warning_is_no_error(bare: Workspace) -> None:
    bare.write("a.yaml", manifest("SparkSession", "a", SPECS["SparkSession"]))
    ran = bare.run("validate")
    assert ran.code == 0
    assert ran.err.startswith("a.yaml:2:1: warning: the vendor has withdrawn")


@pytest.mark.parametrize("waive", ['{"": x}', "[a]", "3", "", '{unknown-field: x, "": x}'])
def test_no_waiver_turns_the_schema_off(bare: Workspace, waive: str) -> None:
    found = problems(bare, BATCH.replace("name: z", "name: 7") + f"  numExecutors: x\nwaive: {waive}\n")
    assert [line.split(":")[0] for line in found] == ["3", "7", "8"]


def test_a_waiver_is_for_the_spec_alone(bare: Workspace) -> None:
    text = (
        BATCH.replace("z}", "z, labls: {}}") + "  numExecutor: 2\nwaive: {unknown-field: x}\nlifecycel: {}\n"
    )
    assert [line.split(":")[0] for line in problems(bare, text)] == ["3", "9"]
