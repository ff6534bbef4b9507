"""Values and defaults of folders: which of them a manifest sees, and what is said of a wrong one."""

from __future__ import annotations

import os
from typing import Any

import pytest

from deployer.manifests.names import named_jobs
from testing.workspace import Workspace, findings

HEAD = "apiVersion: deployer/v1\nkind: SparkBatch\n"
SHOWN = "metadata: {name: j}\nspec: {file: f.py, queue: q, className: '{{ seen }}'}\n"


@pytest.fixture
def two(bare: Workspace) -> Workspace:
    bare.targets = {"prod": {"emulator": True, "values": ["prod.yaml"]}}
    bare.project["values"] = ["common.yaml"]
    bare.write_project()
    bare.write("common.yaml", "{}\n")
    bare.write("prod.yaml", "{}\n")
    bare.write("team/jobs/a.yaml", HEAD + SHOWN)
    return bare


def spec(workspace: Workspace, *options: str) -> Any:
    ran = workspace.run("render", "--format", "json", *options)
    assert ran.code == 0, ran.err
    [entry] = ran.json["manifests"]
    return entry["manifest"]["spec"]


# From the least to the most specific.
LAYERS = (
    *("common.yaml", "_values.yaml", "team/_values.yml", "team/jobs/_values.yaml", "prod.yaml"),
    *("_values.prod.yaml", "team/_values.prod.yaml", "team/jobs/_values.prod.yml"),
)
# Of other folders and of another target.
OTHERS = ("other/_values.yaml", "team/jobs/deep/_values.yaml", "team/jobs/_values.test.yaml")


@pytest.mark.parametrize("most", range(len(LAYERS)))
def test_the_most_specific_value_wins(two: Workspace, most: int) -> None:
    for number, file in enumerate(LAYERS[: most + 1]):
        two.write(file, f"seen: {file}\nn{number}: 1\n")
    for file in OTHERS:
        two.write(file, "seen: other\n")
    assert spec(two, "-t", "prod")["className"] == LAYERS[most]


def test_the_command_line_wins_over_folders(two: Workspace) -> None:
    for file in LAYERS:
        two.write(file, f"seen: {file}\n")
    two.write("given.yaml", "seen: given\n")
    assert spec(two, "-t", "prod", "--values", "given.yaml")["className"] == "given"
    assert spec(two, "-t", "prod", "--values", "given.yaml", "--set", "seen=set")["className"] == "set"
    (two.folder / "given.yaml").unlink()
    assert spec(two)["className"] == "team/jobs/_values.yaml"


def test_mappings_are_merged(two: Workspace) -> None:
    two.write("common.yaml", "db: {host: common, port: 1, deep: {a: 1, b: 1}}\n")
    two.write("team/_values.yaml", "db: {host: team, deep: {b: 2}}\n")
    two.write("prod.yaml", "db: {port: 2}\n")
    text = SHOWN.replace("seen", "db.host ~ db.port ~ db.deep.a ~ db.deep.b")
    two.write("team/jobs/a.yaml", HEAD + text)
    assert spec(two, "-t", "prod")["className"] == "team212"
    assert spec(two)["className"] == "team112"


def test_a_file_that_is_named_has_no_folder(two: Workspace) -> None:
    two.write("team/_values.yaml", "seen: team\n")
    two.write("b.yaml", HEAD + SHOWN.replace("name: j", "name: b"))
    ran = two.run("render", "--values", "team/_values.yaml")
    assert ran.code == 0, ran.err
    assert ran.out.count("className: team") == 2


DEFAULT_LAYERS = (
    *(
        "deployer.yaml",
        "_defaults.yaml",
        "team/_defaults.yml",
        "team/jobs/_defaults.yaml",
        "prod of deployer.yaml",
    ),
    *("_defaults.prod.yaml", "team/_defaults.prod.yaml", "team/jobs/_defaults.prod.yml"),
)


def write_defaults(workspace: Workspace, layer: str, defaults: Any) -> None:
    if layer == "deployer.yaml":
        workspace.project["defaults"] = defaults
    elif layer == "prod of deployer.yaml":
        workspace.targets["prod"]["defaults"] = defaults
    else:
        workspace.write(layer, defaults)
    workspace.write_project()


@pytest.mark.parametrize("most", range(len(DEFAULT_LAYERS)))
def test_the_most_specific_default_wins(two: Workspace, most: int) -> None:
    two.write("team/jobs/a.yaml", HEAD + SHOWN.replace("'{{ seen }}'", "a.B"))
    for number, layer in enumerate(DEFAULT_LAYERS[: most + 1]):
        conf = {"seen": layer, f"n{number}": "1"}
        write_defaults(two, layer, {"SparkBatch": {"spec": {"conf": conf}}, "MrsJob": {"spec": {}}})
    two.write("other/_defaults.yaml", {"SparkBatch": {"spec": {"conf": {"other": "1"}}}})
    seen = {"seen": DEFAULT_LAYERS[most]} | {f"n{number}": "1" for number in range(most + 1)}
    assert spec(two, "-t", "prod")["conf"] == seen


def test_a_null_removes_a_default_of_what_is_above(two: Workspace) -> None:
    two.write(
        "team/jobs/a.yaml", HEAD + "metadata: {name: j}\nspec: {file: f, queue: q, numExecutors: null}\n"
    )
    two.write("_defaults.yaml", {"SparkBatch": {"spec": {"numExecutors": 3, "conf": {"a": "1", "b": "1"}}}})
    two.write("team/_defaults.yaml", {"SparkBatch": {"spec": {"conf": {"a": None}}}})
    assert spec(two) == {"file": "f", "queue": "q", "conf": {"b": "1"}}
    # A null in a manifest is valid for each target, if one of them has a default there.
    (two.folder / "_defaults.yaml").rename(two.folder / "_defaults.prod.yaml")
    (two.folder / "team/_defaults.yaml").unlink()
    assert spec(two) == {"file": "f", "queue": "q"}
    # But not where no folder above has one.
    (two.folder / "team/jobs/a.yaml").rename(two.folder / "team/b.yaml")
    (two.folder / "_defaults.prod.yaml").rename(two.folder / "team/jobs/_defaults.yaml")
    ran = two.run("validate")
    assert ran.code == 4
    assert "team/b.yaml:4:41: error: 'numExecutors' must be an integer, got null" in ran.err


def test_all_parts_of_a_manifest_see_the_values_of_its_folder(two: Workspace) -> None:
    two.write("_macros.yaml", "{% macro name() %}{{ seen }}{% endmacro %}\n")
    two.write("_part.yaml", "  className: {{ seen }}\n")
    text = (
        "forEach: {{ regions }}\n" + HEAD + '{% from "_macros.yaml" import name %}\n'
        "metadata: {name: 'j-{{ each }}-{{ name() }}'}\n"
        'spec:\n  file: f.py\n  queue: "{{ seen }}{{ each }}"\n{% include "_part.yaml" %}\n'
    )
    for team, regions in (("x", "[1, 2]"), ("y", "[2, 3]"), ("z", "[2, 3]")):
        two.write(f"{team}/_values.yaml", f"{{seen: {team}, regions: {regions}}}\n")
        two.write(f"{team}/jobs.yaml", text)
    (two.folder / "team/jobs/a.yaml").unlink()
    ran = two.run("render", "--format", "json")
    assert ran.code == 0, ran.err
    found = [entry["manifest"] for entry in ran.json["manifests"]]
    assert [(one["metadata"]["name"], one["spec"]["queue"], one["spec"]["className"]) for one in found] == [
        (f"j-{region}-{team}", f"{team}{region}", team)
        for team, region in [("x", 1), ("x", 2), ("y", 2), ("y", 3), ("z", 2), ("z", 3)]
    ]
    assert sorted(job.name for job in named_jobs(two.folder, "test"))[0] == "j-1-x"


def test_values_of_another_type_are_others(two: Workspace) -> None:
    """1, 1.0 and true are equal in Python."""
    (two.folder / "team/jobs/a.yaml").unlink()
    for folder, value in (("x", "1"), ("y", "true"), ("z", "'1'"), ("w", "1.0")):
        two.write(f"{folder}/_values.yaml", f"seen: {value}\n")
        two.write(
            f"{folder}/a.yaml",
            HEAD + SHOWN.replace("name: j", f"name: {folder}").replace("seen", "seen | string"),
        )
    ran = two.run("render", "--format", "json")
    assert ran.code == 0, ran.err
    assert {
        entry["manifest"]["metadata"]["name"]: entry["manifest"]["spec"]["className"]
        for entry in ran.json["manifests"]
    } == {"x": "1", "y": "True", "z": "1", "w": "1.0"}


def test_a_template_cannot_change_the_values_of_another_file(two: Workspace) -> None:
    two.write("team/_values.yaml", "seen: {a: [x]}\n")
    two.write("team/a.yaml", HEAD + "metadata: {name: '{{ dict.update(seen, b=1) }}'}\n" + SHOWN)
    two.write("team/jobs/a.yaml", HEAD + SHOWN.replace("seen", "seen | length"))
    ran = two.run("validate")
    assert ran.code == 4
    assert "team/a.yaml:3:" in ran.err
    assert "team/jobs" not in ran.err
    (two.folder / "team/a.yaml").unlink()
    assert spec(two)["className"] == "1"


# --- origins ----------------------------------------------------------------------------------------------


def test_origins_name_the_files_of_folders(two: Workspace) -> None:
    two.write("common.yaml", "db: {host: common, port: 1}\n")
    two.write("team/_values.yaml", "\ndb: {host: team}\n")
    two.write("team/_defaults.yaml", "SparkBatch:\n  spec: {sc_type: A}\n")
    two.write("team/jobs/a.yaml", HEAD + SHOWN.replace("seen", "db.host ~ db.port"))
    two.write("b.yaml", HEAD + SHOWN.replace("seen", "db.host").replace("name: j", "name: b"))
    ran = two.run("render", "--origins", "--set", "db.port=7")
    assert ran.code == 0, ran.err
    lines = [
        line.split(maxsplit=2)[1:] for line in ran.out.splitlines() if line.startswith(("/spec/c", "/spec/s"))
    ]
    assert lines == [
        ['"common"', "b.yaml:4:41; db.host: common.yaml:1:12"],
        ['"team7"', "team/jobs/a.yaml:4:41; db.host: team/_values.yaml:2:12; db.port: --set db.port"],
        ['"A"', "team/_defaults.yaml:2:19; default for the manifest at team/jobs/a.yaml:1"],
    ]


def test_origins_as_json(two: Workspace) -> None:
    two.write("team/_values.yaml", "seen: a/b\n")
    two.write("team/_defaults.yaml", "SparkBatch:\n  spec: {conf: {a/b: 1}}\n")
    ran = two.run("render", "--origins", "--format", "json")
    assert ran.json["format_version"] == "1.0"
    assert ran.json["target"] == "test"
    [entry] = ran.json["manifests"]
    assert entry["source"] == "team/jobs/a.yaml:1"
    assert entry["manifest"]["spec"]["className"] == "a/b"
    found = {origin["path"]: origin for origin in entry["origins"]}
    assert found["/spec/className"] == {
        "path": "/spec/className",
        "value": "a/b",
        "source": "team/jobs/a.yaml:4:41",
        "values": {"seen": "team/_values.yaml:1:7"},
        "via": [],
    }
    assert found["/spec/conf/a~1b"] == {
        "path": "/spec/conf/a~1b",
        "value": "1",
        "source": "team/_defaults.yaml:2:22",
        "values": {},
        "via": ["default for the manifest at team/jobs/a.yaml:1"],
    }
    without = two.run("render", "--format", "json").json["manifests"]
    assert without == [{key: entry[key] for key in ("source", "manifest")}]


def test_no_secret_is_in_the_origins(two: Workspace) -> None:
    two.write("team/_values.yaml", "seen: x\n")
    two.write("team/_defaults.yaml", "SparkBatch:\n  spec: {conf: {fs.obs.secret.key: Kq8sJx0mPw}}\n")
    for options in ([], ["--origins"], ["--format", "json"], ["--origins", "--format", "json"]):
        ran = two.run("render", *options)
        assert ran.code == 0
        assert "fs.obs.secret.key" in ran.out
        assert "Kq8sJx0mPw" not in ran.out


# --- problems ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("team/_values.yaml", "a: 1\na: 2\n", "team/_values.yaml:2:1: error: duplicate key 'a'"),
        ("team/_values.yaml", "- a\n", "team/_values.yaml:1:1: error: expected a single YAML mapping"),
        (
            "team/_values.yaml",
            "a: 1\n---\nb: 1\n",
            "team/_values.yaml:1:1: error: expected a single YAML mapping",
        ),
        (
            "team/_values.yaml",
            "a: 1\nsecret: 1\n",
            "team/_values.yaml:2:1: error: value 'secret' is reserved",
        ),
        (
            "team/_values.prd.yaml",
            "",
            "team/_values.prd.yaml: error: unknown target 'prd'; did you mean 'prod'?",
        ),
        ("_defaults.x.yaml", "", "_defaults.x.yaml: error: unknown target 'x'; known: test, prod"),
        ("team/_defaults.yaml", "SparkBach: {}\n", "unknown field 'SparkBach'; did you mean 'SparkBatch'?"),
        (
            "team/_defaults.prod.yaml",
            "SparkBatch:\n  spec: {numExecutors: many}\n",
            "team/_defaults.prod.yaml:2:24: error: 'numExecutors' must be an integer, got 'many'",
        ),
        (
            "team/_defaults.yaml",
            "SparkBatch:\n  spec: {quue: q}\n",
            "team/_defaults.yaml:2:10: error: unknown field 'quue' in spec of SparkBatch; did you mean 'queue'?",
        ),
    ],
)
def test_a_problem_of_a_file_has_its_place(two: Workspace, file: str, text: str, says: str) -> None:
    two.write("team/_values.yml" if "defaults" in file or "prd" in file else "_values.yaml", "seen: x\n")
    two.write(file, text)
    for verb in ("validate", "plan", "render"):
        ran = two.run(verb)
        assert ran.code == 4
        assert says.replace(" in spec of SparkBatch", "") in ran.err.replace(" in SparkBatch.spec", "")
        assert "Traceback" not in ran.err


def test_all_problems_are_told_at_once(two: Workspace) -> None:
    two.write("_values.yaml", "target: 1\n")
    two.write("team/_values.yaml", "each: 1\n")
    two.write("team/_values.yml", "seen: 1\n")
    two.write("team/_defaults.yaml", "SparkBatch: {spec: {numExecutors: x}}\n")
    ran = two.run("validate")
    assert ran.code == 4
    assert findings(ran.err) == [
        "_values.yaml:1:1: error: value 'target' is reserved",
        "team/_defaults.yaml:1:35: error: 'numExecutors' must be an integer, got 'x'",
        "team/_values.yaml:1:1: error: value 'each' is reserved",
        "team/_values.yml: error: has the same purpose as team/_values.yaml; keep one of them",
    ]


@pytest.mark.parametrize("leads_to", ["../outside.yaml", "/etc/hostname", ".git/config"])
@pytest.mark.parametrize("name", ["_values.yaml", "_defaults.yaml"])
def test_a_file_that_leads_out_of_the_project(two: Workspace, name: str, leads_to: str) -> None:
    two.write("../outside.yaml", "seen: STOLEN\n")
    two.write(".git/config", "seen: STOLEN\n")
    (two.folder / name).symlink_to(leads_to)
    ran = two.run("render")
    assert ran.code == 4
    assert f"{name}: error: " in ran.err
    assert "STOLEN" not in ran.out + ran.err


@pytest.mark.parametrize("kind", ["loop", "nowhere", "folder", "pipe", "binary"])
def test_a_file_that_is_none(two: Workspace, kind: str) -> None:
    path = two.folder / "team/_values.yaml"
    match kind:
        case "loop":
            path.symlink_to("_values.yaml")
        case "nowhere":
            path.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(path)
        case "binary":
            path.write_bytes(b"\xff\xfe")
    if kind == "folder":
        path.mkdir()
        two.write("_values.yaml", "seen: x\n")
        assert two.run("validate").code == 0
        return
    ran = two.run("validate")
    assert ran.code == 4
    assert findings(ran.err)[0].startswith("team/_values.yaml:")


def test_folders_that_are_not_read_have_no_settings(two: Workspace) -> None:
    two.project["exclude"] = ["charts"]
    two.write_project()
    two.write("_values.yaml", "seen: x\n")
    two.write("sub/deployer.yaml", "")
    for folder in ("charts", "_parts", ".ci", "sub"):
        two.write(f"{folder}/_values.yaml", "secret: [")
    ran = two.run("validate", "--strict")
    assert (ran.code, ran.err) == (0, "")


def test_other_files_with_an_underscore_are_not_read(two: Workspace) -> None:
    two.write("_values.yaml", "seen: x\n")
    for file in (
        "_value.yaml",
        "_valuesx.yaml",
        "_values.json",
        "_values",
        "x_values.json",
        "_defaults.yaml.bak",
    ):
        two.write(f"team/{file}", "secret: [")
    assert two.run("validate", "--strict").code == 0


def test_an_undefined_name_is_compared_with_those_of_the_folder(two: Workspace) -> None:
    two.write("team/_values.yaml", "seeen: x\n")
    two.write("other/_values.yaml", "seem: x\n")
    ran = two.run("validate")
    assert ran.code == 4
    assert "team/jobs/a.yaml:4:42: error: 'seen' is undefined; did you mean 'seeen'? [E021]" in ran.err


def test_a_value_never_changes_the_structure(two: Workspace) -> None:
    two.write("team/_values.yaml", 'seen: "x\\nqueue: prod\\n{{ 1 }}"\n')
    assert spec(two) == {"file": "f.py", "queue": "q", "className": "x\nqueue: prod\n{{ 1 }}"}


def test_the_files_of_many_folders_share_the_budget(two: Workspace) -> None:
    """Each folder is merged with all above it, so few bytes could make for very many values."""
    two.write("_values.yaml", f"seen: x\nmany: [{'1, ' * 40_000}]\n")
    folder = ""
    for number in range(60):
        folder += f"d{number}/"
        two.write(f"{folder}_values.yaml", f"v{number}: 1\n")
    ran = two.run("validate")
    assert ran.code == 4
    assert "this run has more than 2000000 values" in ran.err


def test_each_target_is_validated_with_its_own_files(two: Workspace) -> None:
    two.write("team/_values.yaml", "seen: x\n")
    two.write("team/_values.prod.yaml", "seen: [1]\n")
    assert two.run("validate").code == 0
    ran = two.run("validate", "--all-targets", "--format", "json")
    assert ran.code == 4
    assert {name: found["valid"] for name, found in ran.json["targets"].items()} == {
        "test": True,
        "prod": False,
    }


def test_a_changed_file_of_a_folder_is_planned_for_its_manifests(workspace: Workspace) -> None:
    workspace.write("team/_values.yaml", "seen: a.B\n")
    workspace.write(
        "team/_defaults.yaml", "SparkBatch: {spec: {conf: {a: 1}}, lifecycle: {onChange: replace}}\n"
    )
    workspace.write("team/a.yaml", HEAD + SHOWN)
    workspace.write("b.yaml", HEAD + SHOWN.replace("name: j", "name: b").replace("{{ seen }}", "c.D"))
    assert workspace.run("apply", "--yes").code == 0
    assert workspace.plan()["changes"] == []
    workspace.write("team/_values.yaml", "seen: e.F\n")
    workspace.write(
        "team/_defaults.yaml", "SparkBatch: {spec: {conf: {a: 2}}, lifecycle: {onChange: replace}}\n"
    )
    [change] = workspace.plan()["changes"]
    assert (change["name"], change["action"]) == ("j", "replace")
    assert {field["path"]: field["desired"] for field in change["fields"]} == {
        "/className": "e.F",
        "/conf/a": "2",
    }
