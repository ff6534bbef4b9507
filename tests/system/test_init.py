"""`deployer init`: its files are valid, agree with the parameter tables, and replace no existing file."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from jsonschema import Draft202012Validator

from deployer.emulator import Emulator
from deployer.errors import Exit
from deployer.kinds import KINDS
from deployer.kinds.tables import parse_table
from deployer.manifests import scaffold
from deployer.project.load import load
from deployer.schema.stored import EDITOR_FILES
from system.test_fifth_kind import copy
from testing.slow import sampled
from testing.workspace import ROOT, Workspace

__all__ = ["copy"]

NO_REPOSITORY = (
    "note: deployer.yaml has 'state: git', but the folder is in no git repository; before the first apply: git init, "
    "git remote add origin URL, or 'state: local'\n"
)
WITHDRAWN = "SparkSession"
SETS = [*([kind] for kind in KINDS), list(KINDS)]
SWITCHED_OFF = re.compile(r"^( *)# ([\w.-]+: )", re.MULTILINE)


@pytest.fixture
def empty(bare: Workspace) -> Workspace:
    """A workspace with nothing in it."""
    (bare.folder / "deployer.yaml").unlink()
    return bare


def init(workspace: Workspace, *arguments: str, kinds: list[str] | None = None) -> None:
    ran = workspace.run("init", *(f"--kind={kind}" for kind in kinds or ()), *arguments)
    assert ran.code == Exit.DONE, ran.err


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def schema(name: str) -> Any:
    return json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))


# --- it works as it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ci", scaffold.CI_FILES)
@pytest.mark.parametrize("kinds", sampled(SETS, 5), ids="+".join)
def test_it_works_as_it_is(empty: Workspace, kinds: list[str], ci: str) -> None:
    init(empty, f"--ci={ci}", kinds=kinds)
    strict = () if WITHDRAWN in kinds else ("--strict",)
    for target in ("local", "prod"):
        ran = empty.run("validate", "-t", target, *strict)
        assert ran.code == Exit.DONE, ran.out + ran.err
        assert ran.err.count("warning: ") == (WITHDRAWN in kinds)
    plan = empty.plan("-t", "local")
    assert [change["action"] for change in plan["changes"]] == ["create"] * len(kinds)
    assert {change["kind"] for change in plan["changes"]} == {*kinds}
    assert empty.apply("-t", "local").code == Exit.DONE
    assert empty.run("plan", "-t", "local", "--detailed-exitcode").code == Exit.DONE


def test_it_begins_with_a_batch_and_github(empty: Workspace) -> None:
    ran = empty.run("init")
    written = [
        "deployer.yaml",
        "values/common.yaml",
        "values/local.yaml",
        "values/prod.yaml",
        "spark/daily-orders.yaml",
        ".github/workflows/deployer.yml",
        ".github/workflows/nightly.yml",
        ".gitignore",
        "schemas/manifest.schema.json",
        "schemas/deployer.schema.json",
        ".vscode/settings.json",
        ".vscode/extensions.json",
    ]
    assert (ran.code, ran.err) == (Exit.DONE, NO_REPOSITORY)
    assert ran.out.split("\n\n")[0].splitlines() == [f"wrote {file}" for file in written]
    assert files(empty.folder) == {*written}
    lines = (empty.folder / ".gitignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [".deployer/", "deployer-output/"]


def test_the_commands_that_it_names_work(empty: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HW_AUTH_TOKEN")
    ran = empty.run("init", "my jobs")
    local, prod = (line.strip() for line in ran.out.splitlines() if line.startswith("  deployer "))
    assert (local, prod) == ("deployer plan -C 'my jobs'", "deployer plan -C 'my jobs' -t prod")
    assert "1 to create" in empty.run(*shlex.split(local)[1:], "-t", "local").out
    assert "target 'prod': no credentials found" in empty.run(*shlex.split(prod)[1:]).err


def test_prod_is_reached_when_it_is_filled_in(
    empty: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(empty, "--ci=none", kinds=list(KINDS))
    monkeypatch.setenv("HUAWEICLOUD_SDK_AK", "AK")
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", "sk")
    with Emulator(tmp_path / "emulator.db", ak="AK", sk="sk") as emulator:
        project = empty.folder / "deployer.yaml"
        endpoints = json.dumps(dict.fromkeys(("dli", "mrs"), emulator.url))
        polling = "polling: {interval: 0s, consistencyDelay: 0s}"
        text = project.read_text().replace("# projectId:", "projectId:")
        project.write_text(text.replace("region: cn-north-4", f"endpoints: {endpoints}\n    {polling}"))
        assert empty.apply("-t", "prod").out.endswith("Apply complete: 4 applied.\n")
        assert "no changes" in empty.run("plan", "-t", "prod").out


@pytest.mark.slow
def test_a_fifth_kind_needs_only_its_table(copy: Path) -> None:
    def deployer(*arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "deployer", *arguments],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{ran.returncode} {ran.stdout}{ran.stderr}"

    assert deployer("schema", "generate").startswith("0 ")
    assert "wrote new/press/report.yaml\n" in deployer("init", "new", "--kind=Report", "--kind=MrsJob")
    assert deployer("validate", "new", "--strict", "-t", "local").startswith("0 Valid: 2 jobs ")
    assert deployer("apply", "new", "--yes", "-t", "local").endswith("Apply complete: 2 applied.\n")
    assert "no changes; 2 unchanged" in deployer("plan", "new", "-t", "local")
    text = (copy / "new" / "press" / "report.yaml").read_text()
    assert "  printer: printer  # Where it is printed.\n" in text
    assert "  # text: text  # What is printed.\n" in text


# --- manifests --------------------------------------------------------------------------------------------


def rendered(folder: Path, text: str) -> Any:
    """A manifest as Jinja and PyYAML read it, without our own reader."""
    values: dict[str, Any] = {}
    for name in ("common", "local"):
        values |= yaml.safe_load((folder / f"values/{name}.yaml").read_text()) or {}
    return yaml.safe_load(jinja2.Template(text, undefined=jinja2.StrictUndefined).render(values))


def switched_on(text: str) -> Iterator[tuple[str, str]]:
    """The text with each single line used that is commented out, and the name of its field."""
    for found in SWITCHED_OFF.finditer(text):
        name = found[2].removesuffix(": ")
        yield name, f"{text[: found.start()]}{found[1]}{found[2]}{text[found.end() :]}"


@pytest.mark.parametrize("kind", KINDS)
def test_each_line_can_be_used_that_is_commented_out(empty: Workspace, kind: str) -> None:
    init(empty, kinds=[kind])
    text = (empty.folder / scaffold.examples()[kind].file).read_text()
    whole = rendered(empty.folder, text)
    # The first two are the schema for editors, and what begins with the kind.
    _, _, *lines = switched_on(text)
    assert len(lines) >= 8
    for name, changed in lines:
        used = rendered(empty.folder, changed)
        assert [*Draft202012Validator(schema(kind)).iter_errors(used)] == [], name
        parts = [part for part in used if used[part] != whole.get(part)]
        (part,) = parts
        if part != name:
            assert used[part].keys() - whole[part].keys() == {name}
            assert used[part][name] is not None


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_stands_there_once(empty: Workspace, kind: str) -> None:
    init(empty, kinds=[kind])
    text = (empty.folder / scaffold.examples()[kind].file).read_text()
    spec, lifecycle = text.split("\nspec:\n")[1].split("\nlifecycle:\n")
    fields = re.findall(r"^  (?:# )?([\w.-]+): ", spec, re.MULTILINE)
    rows = KINDS[kind].rows
    assert sorted(fields) == sorted(row.name for row in rows if not row.same_as and not row.deprecated)
    keys = re.findall(r"^  (?:# )?([\w.-]+): ", lifecycle, re.MULTILINE)
    assert sorted(keys) == sorted(schema(kind)["properties"]["lifecycle"]["properties"])
    assert max(map(len, text.splitlines())) <= scaffold.WIDTH
    assert {*scaffold.examples()[kind].spec} <= {*fields}


def test_an_example_is_one_of_each_kind() -> None:
    assert {*scaffold.examples()} == {*KINDS}
    assert len({example.file for example in scaffold.examples().values()}) == len(KINDS)


BRACES = "{{a}} {{ b }} {% c %} {# #} {{{"
ODD_ROWS: list[dict[str, Any]] = [
    {"name": "name", "type": "String", "required": True},
    {"name": "queue", "type": "String", "required": True, "example": "{{queue}}"},
    {"name": "a", "type": "String", "description": BRACES},
    {
        "name": "b",
        "type": "Array",
        "description": "x {% endraw %}",
        "example": ["{%", "#}", 'it\'s "b" {{c}}'],
    },
    {"name": "c", "type": "Map of key=val", "example": {"{#": "a: b # c", "yes": "1e3", "": " "}},
    {"name": "d", "type": "Double", "description": "{{word}} " * 40, "minimum": 0.25, "maximum": 0.5},
    {"name": "e", "type": "Array of objects"},
    {"name": "f", "type": "Object", "fields": [{"name": "g", "type": "Bool"}]},
    {"name": "h", "type": "String", "minLength": 3, "maxLength": 4},
    {"name": "old", "type": "String", "deprecated": True},
]
ODD_ROWS[6]["fields"] = [{"name": "x", "type": "[long]", "required": True}, {"name": "y", "type": "Bool"}]
ODD_VALUES = {
    "a": "a",
    "b": ["{%", "#}", 'it\'s "b" {{c}}'],
    "c": {"{#": "a: b # c", "yes": "1e3", "": " "},
    "d": 0.5,
    "e": [{"x": [1]}],
    "f": {"g": True},
    "h": "hxx",
}


def described(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"since": "X", "description": "D.", **row, "fields": described(row.get("fields", []))} for row in rows
    ]


def test_odd_tables_make_sound_manifests(monkeypatch: pytest.MonkeyPatch, empty: Workspace) -> None:
    odd = replace(KINDS["SparkBatch"], name="Odd")
    call = "POST /v1/{project_id}/{{odd}}"
    vars(odd)["create"] = parse_table({"operation": "odd", "call": call, "request": described(ODD_ROWS)})
    monkeypatch.setitem(KINDS, "Odd", odd)
    init(empty, kinds=["Odd"])
    text = (empty.folder / "dli/odd.yaml").read_text()
    assert rendered(empty.folder, text)["spec"] == {"queue": "{{queue}}"}
    used = {name: rendered(empty.folder, changed)["spec"].get(name) for name, changed in switched_on(text)}
    assert {name: value for name, value in used.items() if name in ODD_VALUES} == ODD_VALUES
    assert max(map(len, text.splitlines())) <= scaffold.WIDTH
    words = jinja2.Template(text).render(team="")
    assert f"of {call}." in words
    assert re.search(rf"# a: a +# {re.escape(BRACES)}$", words, re.MULTILINE)
    assert "old" not in words


# --- the project file and values --------------------------------------------------------------------------


def test_each_line_of_the_project_file_can_be_used(empty: Workspace) -> None:
    init(empty)
    text = (empty.folder / "deployer.yaml").read_text()
    names = []
    for name, changed in switched_on(text):
        if name not in ("yaml-language-server", "The project", "CI"):
            names.append(name)
            empty.write("deployer.yaml", changed)
            assert empty.run("validate", "-t", "prod").code == Exit.DONE, name
            assert name in yaml.safe_load(changed)["targets"]["prod"]
    assert names == ["projectId", "clusters", "limits"]


@pytest.mark.parametrize("kinds", SETS, ids="+".join)
def test_each_value_is_used(empty: Workspace, kinds: list[str]) -> None:
    init(empty, kinds=kinds)
    manifests = [(empty.folder / scaffold.examples()[kind].file).read_text() for kind in kinds]
    used = {*re.findall(r"\{\{ (\w+) \}\}", "".join(manifests))}
    given = [
        yaml.safe_load((empty.folder / f"values/{name}.yaml").read_text()) or {}
        for name in ("common", "local", "prod")
    ]
    assert {*given[0], *given[1]} == {*given[0], *given[2]} == used


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("My.Jobs_2", "My.Jobs_2"),
        ("a b", "a-b"),
        ("données", "donnees"),
        ("日本", "jobs"),
        ("./-x", "x"),
        (".hidden", "hidden"),
        ("__", "jobs"),
        ("{{ x }}", "x"),
        ('it\'s "so" # : \t\n&!', "it-s-so"),
        ("x" * 100, "x" * 64),
        ("true", "true"),
        ("null", "null"),
        ("no", "no"),
        ("123", "123"),
        ("1.10", "1.10"),
        ("1e3", "1e3"),
        ("0x1F", "0x1F"),
        ("2024-07-04", "2024-07-04"),
    ],
)
def test_any_folder_can_be_a_project(empty: Workspace, folder: str, name: str) -> None:
    init(empty, folder)
    text = (empty.folder / folder / "deployer.yaml").read_text()
    assert yaml.safe_load(text)["metadata"]["name"] == name
    assert empty.run("validate", "-C", folder, "-t", "local").code == Exit.DONE
    assert scaffold.project_name(folder) == name


def test_a_name_can_be_given(empty: Workspace) -> None:
    init(empty, "--name=on.call_7")
    assert "  name: on.call_7\n" in (empty.folder / "deployer.yaml").read_text()


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\n", "é", "x" * 65])
def test_a_name_must_be_fit(empty: Workspace, name: str) -> None:
    ran = empty.run("init", f"--name={name}")
    assert (ran.code, files(empty.folder)) == (Exit.USAGE, set())
    assert "is not a valid project name" in ran.err


# --- CI ---------------------------------------------------------------------------------------------------


def ci_steps(workspace: Workspace, ci: str) -> list[dict[str, Any]]:
    """All steps of a CI file, in GitHub's form."""
    file, *_ = scaffold.CI_FILES[ci]
    jobs = yaml.safe_load((workspace.folder / file).read_text())
    if ci == "github":
        return [step for job in jobs["jobs"].values() for step in job["steps"]]
    return [{"run": line} for job in jobs.values() if "script" in job for line in job["script"]]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_commands_of_ci(empty: Workspace, ci: str) -> None:
    """What they do is in test_ci_kit.py."""
    init(empty, f"--ci={ci}", "--name=shop")
    lines = [step.get("run", "") for step in ci_steps(empty, ci)]
    commands = [shlex.split(line.removeprefix("exec ")) for line in lines if "deployer-ci" in line]
    assert [command[:4] for command in commands] == [
        ["deployer-ci", verb, "-t", "prod"]
        for verb in ("check", "plan", "apply", "drift", *(["run"] if ci == "gitlab" else []))
    ]
    file, *_ = scaffold.CI_FILES[ci]
    text = (empty.folder / file).read_text()
    assert "deployer-shop-prod" in text
    assert not re.search(r"\bPROJECT\b", text)
    assert max(map(len, text.splitlines())) <= 120


def test_github(empty: Workspace) -> None:
    init(empty, "--name=shop")
    workflow = yaml.safe_load((empty.folder / ".github/workflows/deployer.yml").read_text())
    # YAML 1.1 takes the key `on` for a truth value. No event gives the code of a fork secrets or a token that writes.
    assert {*workflow[True]} == {"pull_request", "push", "schedule", "workflow_dispatch"}
    assert workflow[True]["push"] == {"branches": ["main"]}
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"]
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "check": {"contents": "read"},
        "plan": {"contents": "read", "pull-requests": "write"},
        "apply": {"contents": "write", "pull-requests": "read"},
        "drift": {"contents": "read", "issues": "write"},
    }
    assert jobs["apply"]["concurrency"] == {"group": "deployer-shop-prod", "cancel-in-progress": False}
    assert len({job["concurrency"]["group"] for job in jobs.values()}) == len(jobs)
    assert {name for name, job in jobs.items() if "environment" in job} == {"apply"}
    assert "github.event.pull_request.head.repo.full_name == github.repository" in jobs["plan"]["if"]
    assert jobs["check"]["if"] == "github.event_name == 'pull_request'"
    assert "secrets." not in str(jobs["check"])
    for step in ci_steps(empty, "github"):
        assert "${{" not in step.get("run", "")
        assert ("env" in step) == bool(re.match("exec deployer-ci (?!check)", step.get("run", "")))
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


def test_git_gets_the_credential_of_a_step(empty: Workspace) -> None:
    init(empty)
    workflow = yaml.safe_load((empty.folder / ".github/workflows/deployer.yml").read_text())
    given = {name: str(value) for name, value in workflow["env"].items()}
    given["GIT_CONFIG_KEY_0"] = given["GIT_CONFIG_KEY_0"].replace(
        "${{ github.server_url }}", "https://github.example"
    )
    git = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    for host, password in (("github.example", "a-token"), ("evil.example", None)):
        ran = subprocess.run(
            ["git", "credential", "fill"],
            input=f"protocol=https\nhost={host}\n\n",
            env={"PATH": os.environ["PATH"], "GH_TOKEN": "a-token", **git, **given},
            cwd=empty.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        answer = dict(line.split("=", 1) for line in ran.stdout.splitlines())
        assert answer.get("password") == password
        assert answer.get("username") == ("x-access-token" if password else None)


def test_gitlab(empty: Workspace) -> None:
    init(empty, "--ci=gitlab")
    assert ".github" not in "".join(files(empty.folder))
    jobs = yaml.safe_load((empty.folder / ".gitlab-ci.yml").read_text())
    assert (jobs["apply"]["resource_group"], jobs["apply"]["interruptible"]) == (
        "deployer-project-prod",
        False,
    )
    (rule,) = jobs["plan"]["rules"]
    assert rule["if"].endswith("$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID")
    assert jobs["apply"]["rules"][0] in jobs["workflow"]["rules"]
    assert jobs["apply-by-hand"]["rules"][0]["when"] == "manual"


def test_the_page_about_shared_state_shows_what_init_writes(empty: Workspace) -> None:
    page = (ROOT / "docs" / "state.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = {}
    for file, block in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        assert file not in shown
        shown[file] = yaml.safe_load(block)
    for ci in ("github", "gitlab"):
        init(empty, ci, f"--ci={ci}", "--name=shop")
        file, *_ = scaffold.CI_FILES[ci]
        written = yaml.safe_load((empty.folder / ci / file).read_text())
        if ci == "github":
            assert shown[file]["env"] == written["env"]
            assert shown[file]["jobs"] == {"apply": written["jobs"]["apply"]}
            github = written
        else:
            assert shown[file] == {"apply": written["apply"]}
    gitea = shown[".gitea/workflows/deployer.yml"]
    assert gitea["env"] == github["env"]
    (apply,) = gitea["jobs"].values()
    assert apply["permissions"]["contents"] == github["jobs"]["apply"]["permissions"]["contents"]
    assert apply["steps"][-1]["run"] == "deployer apply -t prod --confirm prod"
    assert "state: git\n" in page
    assert "state: {git: {branch: deployer-state}}\n" in page


@pytest.mark.parametrize("ci", scaffold.CI_FILES)
def test_runners_of_a_ci_share_their_state(empty: Workspace, ci: str) -> None:
    init(empty, f"--ci={ci}")
    text = (empty.folder / "deployer.yaml").read_text()
    assert load(empty.folder).state.uses_git == (ci != "none")
    assert ("state" in yaml.safe_load(text)) == ("refs/deployer/" in text) == (ci != "none")
    assert max(map(len, text.splitlines())) <= 115


def test_ci_can_be_left_out(empty: Workspace) -> None:
    init(empty, "--ci=none")
    assert not any("github" in file or "gitlab" in file for file in files(empty.folder))
    assert empty.run("init", "other", "--ci=jenkins").code == Exit.USAGE


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_ci_below_the_top_of_a_repository_is_pointed_out(empty: Workspace, ci: str) -> None:
    (empty.folder / ".git").mkdir()
    ran = empty.run("init", "deep/jobs", f"--ci={ci}")
    file, *_ = scaffold.CI_FILES[ci]
    assert f"note: {file} only takes effect in {empty.folder}: move it there" in ran.err
    assert "add -C deep/jobs to its commands" in ran.err
    assert empty.run("init", f"--ci={ci}").err == NO_REPOSITORY
    assert empty.run("init", "deep/others", "--ci=none").err == ""


# --- what is there already --------------------------------------------------------------------------------


def test_nothing_is_overwritten(empty: Workspace) -> None:
    empty.write("values/prod.yaml", "mine: 1\n")
    empty.write("deployer.yaml", "not: a project\n")
    (empty.folder / "spark").mkdir()
    (empty.folder / "spark/daily-orders.yaml").symlink_to("nowhere")
    before = files(empty.folder)
    ran = empty.run("init")
    assert (ran.code, ran.out, files(empty.folder)) == (Exit.USAGE, "", before)
    assert "already exist: deployer.yaml, values/prod.yaml, spark/daily-orders.yaml\n" in ran.err
    assert (empty.folder / "values/prod.yaml").read_text() == "mine: 1\n"


def test_once_more_changes_nothing(empty: Workspace) -> None:
    init(empty)
    assert empty.run("init", "--kind=FlinkJar").code == Exit.USAGE
    assert not (empty.folder / "flink").exists()


def test_a_gitignore_is_left_as_it_is(empty: Workspace) -> None:
    empty.write(".gitignore", "*.log\n")
    ran = empty.run("init")
    assert (ran.code, ran.err) == (Exit.DONE, NO_REPOSITORY)
    assert "kept existing .gitignore\n" in ran.out
    assert (empty.folder / ".gitignore").read_text() == "*.log\n"


@pytest.mark.parametrize("file", [scaffold.VSCODE_SETTINGS, scaffold.VSCODE_EXTENSIONS])
def test_settings_of_vs_code_are_left_as_they_are(empty: Workspace, file: str) -> None:
    empty.write(file, '{"mine": 1}\n')
    ran = empty.run("init")
    assert (ran.code, ran.err) == (Exit.DONE, NO_REPOSITORY)
    assert f"kept existing {file}\n" in ran.out
    assert (empty.folder / file).read_text() == '{"mine": 1}\n'


def test_the_schemas_for_editors_can_be_renewed(empty: Workspace) -> None:
    init(empty)
    written = {file: (empty.folder / "schemas" / file).read_text() for file in EDITOR_FILES.values()}
    empty.write(
        "schemas/manifest.schema.json", json.dumps({"$comment": "Generated by 'deployer schema generate'."})
    )
    (empty.folder / "schemas/deployer.schema.json").unlink()
    assert empty.run("schema", "write").code == Exit.DONE
    assert {file: (empty.folder / "schemas" / file).read_text() for file in written} == written


@pytest.mark.parametrize("foreign", ["{}", "[1]", "not JSON", '{"$comment": "mine"}', "[" * 100_000])
def test_no_other_schema_is_overwritten(empty: Workspace, foreign: str) -> None:
    empty.write("schemas/deployer.schema.json", foreign)
    ran = empty.run("schema", "write")
    assert ran.code == Exit.USAGE
    assert ran.err == "error: no files written; not schemas of deployer: schemas/deployer.schema.json\n"
    assert files(empty.folder) == {"schemas/deployer.schema.json"}
    assert (empty.folder / "schemas/deployer.schema.json").read_text() == foreign


def test_a_project_in_a_project(empty: Workspace) -> None:
    init(empty)
    init(empty, "inner")
    for folder in (".", "inner"):
        assert "Valid: 1 job " in empty.run("validate", "-C", folder, "-t", "local").out


def test_other_yaml_files_are_pointed_out(empty: Workspace) -> None:
    for name in "abcde":
        empty.write(f"other/{name}.yml", "x: 1\n")
    ran = empty.run("init")
    assert ran.code == Exit.DONE
    assert (
        "other/a.yml, other/b.yml, other/c.yml and 2 more: existing files are treated as manifests of this project"
        in ran.err
    )


def test_half_a_project_is_not_left_behind(empty: Workspace) -> None:
    empty.write("spark", "a file where a folder should be\n")
    ran = empty.run("init")
    assert (ran.code, files(empty.folder)) == (Exit.ERROR, {"spark"})
    assert "cannot write spark/daily-orders.yaml" in ran.err
    assert [path.name for path in empty.folder.iterdir()] == ["spark"]
    ran = empty.run("init", "spark")
    assert ran.code == Exit.ERROR


def test_an_interrupted_one_is_not_left_behind(tmp_path: Path) -> None:
    class Interrupted(dict[str, str]):
        def __getitem__(self, file: str) -> str:
            if file == "c":
                raise KeyboardInterrupt
            return super().__getitem__(file)

    with pytest.raises(KeyboardInterrupt):
        scaffold.write(tmp_path / "new" / "deep", Interrupted({"a": "", "b/b": "", "c": ""}))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(empty: Workspace) -> None:
    empty.folder.chmod(0o555)
    try:
        ran = empty.run("init")
    finally:
        empty.folder.chmod(0o755)
    assert (ran.code, files(empty.folder)) == (Exit.ERROR, set())
    assert "cannot write deployer.yaml: Permission denied; no files written" in ran.err


def test_a_folder_that_is_gone(empty: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: object) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os.path, "realpath", gone)
    assert empty.run("init").code == Exit.ERROR


# --- options ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("sparkbatch", "did you mean 'SparkBatch'?"),
        ("Flink", "did you mean 'FlinkJar'?"),
        ("?", "known: Spark"),
    ],
)
def test_an_unknown_kind(empty: Workspace, kind: str, hint: str) -> None:
    ran = empty.run("init", "new", "--kind", "MrsJob", "--kind", kind)
    assert (ran.code, files(empty.folder)) == (Exit.USAGE, set())
    assert f"unknown kind '{kind}'; {hint}" in ran.err
    assert not (empty.folder / "new").exists()


def test_a_project_for_jobs_that_exist(empty: Workspace) -> None:
    ran = empty.run("init", "--kind", "none", "--name", "shop")
    assert (ran.code, ran.err) == (0, NO_REPOSITORY)
    assert "  deployer import -t prod" in ran.out
    assert not [*empty.folder.glob("spark/*")]
    assert empty.run("validate").code == 0
    assert empty.run("import", "--all").code == 0
    ran = empty.run("init", "--kind", "none", "--kind", "MrsJob", "--name", "shop")
    assert (ran.code, "unknown kind 'none'" in ran.err) == (3, True)


def test_a_kind_twice_is_one(empty: Workspace) -> None:
    init(empty, kinds=["MrsJob", "MrsJob"])
    assert "Valid: 1 job " in empty.run("validate", "-t", "local").out


@pytest.mark.parametrize("arguments", [("-C", "work", "init", "new"), ("init", "-C", "work", "new")])
def test_it_starts_in_another_folder(empty: Workspace, arguments: tuple[str, ...]) -> None:
    assert empty.run(*arguments).code == Exit.USAGE
    (empty.folder / "work").mkdir()
    ran = empty.run(*arguments)
    assert ran.out.startswith("wrote work/new/deployer.yaml\n")
    assert "  deployer plan -C work/new\n" in ran.out
    assert (empty.folder / "work/new/deployer.yaml").is_file()


# --- the state in git -------------------------------------------------------------------------------------


def test_a_state_in_git_without_a_remote_is_noted(empty: Workspace) -> None:
    def noted(*arguments: str) -> str:
        ran = empty.run("init", "--kind", "none", *arguments)
        assert ran.code == Exit.DONE, ran.err
        return ran.err

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=empty.folder, check=True)

    words = "note: deployer.yaml has 'state: git', but "
    add = "git remote add origin URL, or 'state: local'\n"
    assert noted("a") == NO_REPOSITORY
    assert words not in noted("b", "--ci", "none")
    git("init", "--quiet")
    assert f"{words}the repository has no remote 'origin'; before the first apply: {add}" in noted("c")
    git("remote", "add", "origin", "https://host.invalid/x")
    assert words not in noted("d")
