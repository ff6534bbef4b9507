"""From files to manifests: all problems of all files are reported; PATH and --select choose jobs."""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml

from testing.workspace import SPECS, Workspace, findings, manifest


def batch(name: str, **more: Any) -> dict[str, Any]:
    return manifest("SparkBatch", name, SPECS["SparkBatch"], **more)


def problems(bare: Workspace, *arguments: str) -> list[str]:
    """What `deployer validate` finds wrong."""
    ran = bare.run("validate", *arguments)
    assert (ran.code == 4) is ("error: " in ran.err), ran
    return findings(ran.err)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: SparkBach", "1:7: error: unknown kind 'SparkBach'; did you mean 'SparkBatch'?"),
        ("kind: flinkjar", "1:7: error: unknown kind 'flinkjar'; did you mean 'FlinkJar'?"),
        ("kind: Deployment", "1:7: error: unknown kind 'Deployment'; "),
        ("kind: 3", "1:7: error: unknown kind 3; known: SparkBatch, SparkSession, FlinkJar, MrsJob"),
        ("kind: [a]", "1:7: error: unknown kind ['a']"),
        ("kind: {a: 1}", "1:7: error: unknown kind {'a': 1}"),
        ("kind: Project", "1:7: error: unknown kind 'Project'"),
        ("a: 1\nkind: ", "1:1: error: missing required field 'kind'; known: SparkBatch, "),
        ("# c\n---\n\na: 1", "4:1: error: missing required field 'kind'; known: SparkBatch, "),
        (
            "- kind: SparkBatch",
            "1:1: error: expected a manifest: a mapping with apiVersion, kind, metadata and spec",
        ),
        ("--- text", "1:5: error: expected a manifest: a mapping"),
        ("3", "1:1: error: expected a manifest: a mapping"),
        ("kind: {{ 'SparkBatch' }", "1:7: error: "),
        ("a: [", "1:4: error: "),
    ],
)
def test_what_is_no_manifest(bare: Workspace, text: str, problem: str) -> None:
    bare.write("jobs/a.yaml", text)
    (found,) = problems(bare)
    assert found.startswith(f"jobs/a.yaml:{problem}")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n---\n", "{% if false %}kind: x{% endif %}", "{# c #}", "~"]
)
def test_a_file_may_be_empty(bare: Workspace, text: str) -> None:
    bare.write("a.yaml", text)
    ran = bare.run("validate")
    assert (ran.code, ran.err) == (0, "")
    assert "0 jobs" in ran.out


@pytest.mark.parametrize("verb", ["validate", "render"])
def test_a_project_may_be_empty(bare: Workspace, verb: str) -> None:
    ran = bare.run(verb)
    assert ran.code == 0
    assert ran.err.startswith("note: no manifests found in ")


def test_an_empty_project_is_planned_and_applied(workspace: Workspace) -> None:
    assert workspace.plan()["changes"] == []
    assert workspace.apply().code == 0


def test_several_documents_in_a_file(bare: Workspace) -> None:
    bare.write("a.yaml", [batch("a"), batch("b"), manifest("MrsJob", "c", SPECS["MrsJob"])])
    assert "3 jobs" in bare.run("validate").out


def test_every_problem_of_every_file_at_once(bare: Workspace) -> None:
    bare.write("z.yaml", batch("z", labels={}))
    two = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: 7}\nspec: {file: f, queue: [], x: 1}\n"
    bare.write("a.yaml", f"a: [\n---\nkind: x\n---\n{two}")
    bare.write("b/c.yml", "{{ nosuch }}")
    bare.write("b/a.yaml", b"\xff")
    bare.write("b/b.yaml", batch("ok"))
    (bare.folder / "m.yaml").symlink_to("nowhere")
    found = problems(bare)
    assert [line.split(" ")[0] for line in found] == [
        *("a.yaml:1:4:", "a.yaml:3:7:", "a.yaml:7:18:", "a.yaml:8:24:", "a.yaml:8:28:", "b/a.yaml:1:1:"),
        *("b/c.yml:1:1:", "m.yaml:", "z.yaml:9:1:"),
    ]
    ran = bare.run("plan")
    assert (ran.code, ran.out, findings(ran.err)) == (4, "", found)
    assert bare.run("apply", "--yes").code == 4


def test_problems_outside_of_the_path_count_too(bare: Workspace) -> None:
    bare.write("jobs/a.yaml", batch("a"))
    bare.write("b.yaml", "a: 1")
    assert len(problems(bare, "jobs")) == 1
    assert bare.run("plan", "jobs/a.yaml", "--select", "name=a").code == 4


@pytest.mark.parametrize(
    "hostile", ["a\nb", "\x1b[31m", "\u202egnp", "a\tb", "e\u0301\u200b", "'", '"', "%s{0}"]
)
def test_hostile_words_are_printed_on_one_line(bare: Workspace, hostile: str) -> None:
    value = batch("a") | {hostile: 1, "dependsOn": [hostile], "lifecycle": {"onChange": hostile}}
    bare.write("a.yaml", [value, {"kind": hostile}, batch("b\n" + hostile) | {"spec": {hostile: 1}}])
    found = problems(bare)
    assert len(found) > 4
    assert all(line.startswith("a.yaml:") and (line.isprintable() or "\u0301" in line) for line in found)


@pytest.mark.parametrize(
    "name", [b"a\nb.yaml", b"a\xff.yaml", "\u202elmay.yaml".encode(), b"a\x1b[31m.yaml", b"-x.yaml"]
)
def test_hostile_file_names(bare: Workspace, name: bytes) -> None:
    file = os.fsdecode(name)
    bare.write(file, batch("a"))
    assert "1 job " in bare.run("validate").out
    shown = bare.run("render")
    assert list(yaml.safe_load_all(shown.out)) == [batch("a")]
    bare.write(file, "a: {{ nosuch }}")
    (found,) = problems(bare)
    assert found.isprintable()
    assert found.endswith("'nosuch' is undefined; known: project, target")


def test_a_folder_with_the_name_of_a_file(bare: Workspace) -> None:
    bare.write("x.yaml/y.yaml", batch("a"))
    assert "1 job " in bare.run("validate").out


def test_a_large_file(bare: Workspace) -> None:
    value = batch("a") | {"spec": SPECS["SparkBatch"] | {"args": [f"argument-{n:06}" for n in range(50_000)]}}
    assert bare.write("a.yaml", value).stat().st_size > 900_000
    assert "1 job " in bare.run("validate").out


# --- render -----------------------------------------------------------------------------------------------


def test_render_prints_what_the_templates_give(bare: Workspace) -> None:
    text = "{% for x in ['a', 'b'] %}\n---\n" + yaml.safe_dump(batch("NAME", dependsOn=[])) + "{% endfor %}"
    bare.write("jobs/a.yaml", text.replace("NAME", "{{ x }}"))
    ran = bare.run("render")
    assert list(yaml.safe_load_all(ran.out)) == [batch("a", dependsOn=[]), batch("b", dependsOn=[])]
    assert [line for line in ran.out.splitlines() if line.startswith("---")] == ["--- # jobs/a.yaml:3"] * 2


def test_render_tells_the_jobs_of_a_loop_apart(bare: Workspace) -> None:
    text = "{% for x in ['a', 'b'] %}\n---\n" + yaml.safe_dump(batch("NAME")) + "{% endfor %}"
    bare.write("jobs/a.yaml", text.replace("NAME", "{{ x }}"))
    assert list(yaml.safe_load_all(bare.run("render", "--select", "name=b").out)) == [batch("b")]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("args: ['1e3', '-.5']", "args:\n  - '1e3'\n  - '-.5'\n"),
        ("conf: {spark.x: 1.10}", "spark.x: '1.10'"),
        ("args: ['no', '2024-01-01', '0123']", "args:\n  - 'no'\n  - '2024-01-01'\n  - '0123'\n"),
    ],
)
def test_render_prints_what_is_read_back(bare: Workspace, spec: str, text: str) -> None:
    bare.write("a.yaml", yaml.safe_dump(batch("a")).replace("spec:", f"spec:\n  {spec}"))
    assert "".join(text.split()) in "".join(bare.run("render").out.split())


# --- what is selected -------------------------------------------------------------------------------------


@pytest.fixture
def many(bare: Workspace) -> Workspace:
    def labelled(value: dict[str, Any], **labels: str) -> dict[str, Any]:
        return value | {"metadata": value["metadata"] | {"labels": labels}}

    bare.write(
        "spark/a.yaml", [labelled(batch("daily-a"), team="x", tier="1"), labelled(batch("b"), team="y")]
    )
    bare.write("spark/deep/c.yaml", batch("daily-c"))
    bare.write("mrs.yaml", labelled(manifest("MrsJob", "b", SPECS["MrsJob"]), team="x"))
    bare.write("sub/deployer.yaml", "x: 1")
    return bare


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("", "b daily-a b daily-c"),
        (".", "b daily-a b daily-c"),
        ("spark", "daily-a b daily-c"),
        ("spark/deep mrs.yaml", "b daily-c"),
        ("./spark/../spark/a.yaml", "daily-a b"),
        ("spark spark/a.yaml", "daily-a b daily-c"),
        ("--select kind=MrsJob", "b"),
        ("--select name=b", "b b"),
        ("--select name=daily-*", "daily-a daily-c"),
        ("--select name=DAILY-*,kind=MrsJob --select name=b", "b b"),
        ("--select name=b,kind=SparkBatch", "b"),
        ("--select name=b,label.team=y", "b"),
        ("--select label.team=x", "b daily-a"),
        ("--select label.team=x,label.tier=1", "daily-a"),
        ("--select label.team=y --select kind=MrsJob", "b b"),
        ("spark --select name=b", "b"),
        ("--select kind=SparkBatch spark/deep", "daily-c"),
    ],
)
def test_what_is_selected(many: Workspace, arguments: str, names: str) -> None:
    ran = many.run("render", *arguments.split())
    assert ran.code == 0, ran.err
    assert [document["metadata"]["name"] for document in yaml.safe_load_all(ran.out)] == names.split()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--select name=nothing", "PATH and --select match no jobs"),
        ("--select label.team=x,label.team=y", "PATH and --select match no jobs"),
        ("spark/deep --select kind=MrsJob", "PATH and --select match no jobs"),
        ("deployer.yaml", "PATH and --select match no jobs"),
        ("--select name", "expected kind=KIND, name=GLOB or label.KEY=VALUE"),
        ("--select nam=b", "unknown selector 'nam'; did you mean 'name'?"),
        ("--select name=b,", "expected kind=KIND"),
        ("spark/nothing.yaml", "spark/nothing.yaml: no such file or folder"),
    ],
)
def test_what_selects_nothing(many: Workspace, arguments: str, words: str) -> None:
    ran = many.run("plan", *arguments.split())
    assert (ran.code, ran.out) == (3, "")
    assert words in ran.err


def test_what_is_not_a_file_is_not_read(bare: Workspace) -> None:
    os.mkfifo(bare.folder / "pipe.yaml")
    ran = bare.run("validate")
    assert ran.code == 4
    assert findings(ran.err) == ["pipe.yaml: error: cannot read file: not a file"]
