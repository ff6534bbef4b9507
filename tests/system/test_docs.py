"""Checks the documentation: output, manifests, commands, options, exit codes, formats and links.

`make docs` writes what is generated: the reference pages, and the output in every console block.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

from deployer.cli import cli
from deployer.errors import Exit, documentation_of
from deployer.kinds import KINDS
from deployer.planning.plan_json import FORMAT_VERSION
from deployer.schema.rules import rules
from testing.workspace import ROOT, Workspace, manifest

DOCS = ROOT / "docs"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [README, CONTRIBUTING, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
GUIDES = [page for page in PAGES if page.name != "CHANGELOG.md"]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path | str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return [
        str(block) for block in re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


# --- what is generated ------------------------------------------------------------------------------------


def reference_pages() -> list[str]:
    return [name_of(page) for page in generate.reference()]


@pytest.mark.parametrize("page", reference_pages())
def test_a_reference_page_is_current(page: str) -> None:
    assert generate.reference()[ROOT / page] == text_of(page), "run 'make docs'"


def with_commands() -> list[str]:
    return [name_of(page) for page in generate.written_by_hand() if "```console\n" in text_of(page)]


@pytest.mark.parametrize("page", with_commands())
def test_the_output_on_a_page_is_true(page: str) -> None:
    text = text_of(page)
    fresh = generate.with_output(text)
    if os.environ.get("DEPLOYER_REGENERATE"):
        (ROOT / page).write_text(fresh, encoding="utf-8")
    assert fresh == text, "run 'make docs'"


def test_the_check_names_what_is_stale(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    page = ROOT / "docs" / "reference" / "cli.md"
    monkeypatch.setattr(generate, "stale", lambda: {page: "other text"})
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/reference/cli.md is stale; run 'make docs'\n"
    assert page.read_text(encoding="utf-8") != "other text"


def test_a_command_that_fails_must_show_its_exit_code() -> None:
    with pytest.raises(ValueError, match="exit code 3"):
        generate.with_output("```console\n$ deployer plan --no-such-option\n```\n")


def test_stale_output_is_replaced() -> None:
    page = "```console\n$ deployer explain E003\nsomething else\n```\n"
    assert "UTF-8" in generate.with_output(page)


# --- the tour ---------------------------------------------------------------------------------------------


def console_commands(page: Path) -> list[str]:
    lines = "".join(blocks(text_of(page), "console")).splitlines()
    return [line.removeprefix("$ deployer ") for line in lines if line.startswith("$ deployer ")]


def test_the_demo_runs_the_tour() -> None:
    script = (ROOT / ".ci" / "demo").read_text()
    ran = re.findall(r"^run (?!\(\))(.+)$", script, re.MULTILINE)
    tour = console_commands(DOCS / "getting-started.md")
    assert ran == [command for command in tour if not command.startswith("init ")]


def test_the_readme_has_a_tour() -> None:
    assert [command.split()[0] for command in console_commands(README)] == [
        "validate",
        "plan",
        "apply",
        "plan",
    ]


@pytest.mark.slow
def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    before = sorted((ROOT / "jobs").rglob("*"))
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        ["sh", str(ROOT / ".ci" / "demo")],
        env={**os.environ, "TMPDIR": str(tmp_path), "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])
    assert "Apply complete: 7 applied." in done.stdout
    assert sorted((ROOT / "jobs").rglob("*")) == before


def test_the_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) <= 120


# --- manifests --------------------------------------------------------------------------------------------


def documents(page: Path, kind: str) -> list[str]:
    return [
        block for block in blocks(text_of(page), "yaml") if re.search(rf"^kind: {kind}$", block, re.MULTILINE)
    ]


def pages_with_documents() -> list[str]:
    return [name_of(page) for page in PAGES if any(documents(page, kind) for kind in (*KINDS, "Project"))]


@pytest.mark.parametrize("page", pages_with_documents())
def test_every_manifest_on_a_page_is_valid(page: str, bare: Workspace) -> None:
    values = ["values/common.yaml", "values/prod.yaml"]
    bare.project["values"] = values
    bare.write_project()
    targets = ["test"]
    for project in documents(ROOT / page, "Project"):
        bare.write("deployer.yaml", project)
        targets = list(yaml.safe_load(project)["targets"])
        values = [file for file in values if file in project]
    for file in values:
        bare.write(
            file, {"regions": ["north", "south"], "bucket": "shop", "queue": "general", "executors": 2}
        )
    written = [
        bare.write(f"{kind}-{number}.yaml", text)
        for kind in KINDS
        for number, text in enumerate(documents(ROOT / page, kind))
    ]
    for target in targets:
        ran = bare.run("validate", "--format", "json", "-t", target)
        assert ran.code == Exit.DONE, ran.out
        assert ran.json["jobs"] >= len(written)


def test_every_kind_has_a_manifest() -> None:
    for kind in KINDS:
        assert documents(DOCS / "manifests.md", kind)
    assert documents(DOCS / "project.md", "Project")


@pytest.mark.parametrize("page", [name_of(page) for page in PAGES if blocks(text_of(page), "yaml")])
def test_every_yaml_block_is_yaml(page: str) -> None:
    for block in blocks(text_of(page), "yaml"):
        if not re.search(r"(?<!\$)\{\{|\{%", block):
            assert list(yaml.safe_load_all(block)) or block.startswith("# yaml-language-server: "), block


# --- the command line -------------------------------------------------------------------------------------

CLI_PAGE = text_of("docs/reference/cli.md")


ALL = [pytest.param(name, command, id=name) for name, command in generate.commands()]


def section_of(name: str) -> str:
    """The section of a verb in the reference of the command line."""
    (section,) = re.findall(rf"^###? {name}\n(.*?)(?=^##|\Z)", CLI_PAGE, re.DOTALL | re.MULTILINE)
    return str(section)


@pytest.mark.parametrize(("name", "command"), ALL)
def test_every_verb_and_option_is_documented(name: str, command: click.Command) -> None:
    common = {word for option in cli.params for word in option.opts}
    section = section_of(name)
    assert f"deployer {name}" in section
    for option in command.params:
        if isinstance(option, click.Option):
            where = CLI_PAGE if {*option.opts} & common else section
            assert all(f"`{word}" in where for word in option.opts), option.opts


@pytest.mark.parametrize(("name", "command"), ALL)
def test_every_option_has_a_help(name: str, command: click.Command) -> None:
    assert command.help
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, option.opts


INSTALL_OPTIONS = {"--require-hashes", "--only-binary", "--no-deps", "--no-build-isolation"}  # of pip
INSTALL_OPTIONS |= {"--tag", "--build-arg", "--rm", "--user", "--volume", "--env", "--format"}  # of docker


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_no_option_on_a_page_is_made_up(page: Path) -> None:
    known = {word for _, command in generate.commands() for option in command.params for word in option.opts}
    known |= {word for option in cli.params for word in option.opts}
    foreign = {"--body-file", "--help", "--version"}
    foreign |= {"--bucket", "--class", "--date", "--deploy-mode", "--master", "--num-executors"}  # of jobs
    foreign |= {"--out", "--region", "--topic", "--window", "--password"}
    foreign |= {"--commit", "--event", "--jq", "--json", "--name", "--workflow"}  # of gh
    foreign |= {"--add", "--global"} if page.name == "state.md" else set()  # of git
    foreign |= {"--detach", "--quiet"} if page.name in {"ci.md", "state.md"} else set()  # of git
    foreign |= {"--all-files"} if page.name == "ci.md" else set()  # of pre-commit
    foreign |= INSTALL_OPTIONS if page.name == "install.md" else set()
    foreign |= {"--update"} if page == CONTRIBUTING else set()  # of the scenarios
    foreign |= BENCH_OPTIONS if page.name == "performance.md" else set()
    foreign |= {"--regions"} if page.name == "errors.md" else set()  # of a job
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text_of(page))) <= known | foreign


# Of `make bench` and its profiler.
BENCH_OPTIONS = {
    "--jobs",
    "--shapes",
    "--verbs",
    "--runs",
    "--peers",
    "--deployer",
    "--write",
    "--before",
    "--cpu",
}


def shown_commands() -> Iterator[Any]:
    """Each command line of deployer that a page shows."""
    for page in GUIDES:
        for line in "".join(blocks(text_of(page), "(?:sh|console)")).splitlines():
            command_line = line.removeprefix("$ ").partition("  #")[0]
            if command_line.startswith("deployer "):
                yield pytest.param(command_line, id=f"{name_of(page)}: {command_line}")


def parse(command_line: str) -> None:
    """Parses a command line as the program does, without running it; raises click.UsageError."""
    _, verb, *arguments = shlex.split(command_line.partition(" > ")[0])
    context = generate.root()
    command = cli.get_command(context, verb)
    assert command is not None, verb
    if isinstance(command, click.Group):
        verb, *arguments = arguments
        command = command.commands[verb]
    command.make_context(verb, arguments, parent=context)


@pytest.mark.parametrize("command_line", [*shown_commands()])
def test_a_shown_command_exists(command_line: str) -> None:
    parse(command_line)


@pytest.mark.parametrize(("name", "command"), [*ALL, pytest.param("", cli, id="deployer")])
def test_a_help_ends_with_examples(name: str, command: click.Command) -> None:
    context = generate.root()
    context = click.Context(command, info_name=name, parent=context) if name else context
    shown = command.get_help(context)
    head, _, examples = shown.partition("\n  Examples:\n")
    assert head.startswith("Usage: deployer")
    lines = [line.strip() for line in examples.splitlines()]
    purposes, command_lines = lines[::2], lines[1::2]
    assert 2 <= len(command_lines) <= 3
    assert all(purpose.startswith("# ") for purpose in purposes)
    assert command_lines[0].startswith(f"deployer {name}".strip())
    for command_line in command_lines:
        parse(command_line)


def test_every_exit_code_is_documented() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", CLI_PAGE, re.MULTILINE)}
    assert listed == {code.value for code in Exit}


def test_every_finding_has_its_anchor() -> None:
    found = anchors(DOCS / "reference" / "errors.md")
    codes = {*generate.diagnostics(), *(rule.code for rule in rules())}
    assert {documentation_of(code).partition("#")[2] for code in codes} <= set(found)


# --- formats ----------------------------------------------------------------------------------------------

FORMATS = text_of("docs/reference/formats.md")


def section(title: str) -> str:
    """A section of the page about the formats."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", FORMATS, re.DOTALL | re.MULTILINE)
    return str(found)


def one_job(workspace: Workspace) -> None:
    workspace.write("a.yaml", manifest("SparkBatch", "a", {"file": "a.py", "queue": "q"}))


def test_the_json_plan_is_as_documented(workspace: Workspace) -> None:
    one_job(workspace)
    plan = workspace.plan()
    assert plan["format_version"] == FORMAT_VERSION
    for key in (*plan, *plan["changes"][0]):
        assert f"`{key}" in section("JSON plan")


def test_the_saved_plan_is_as_documented(workspace: Workspace) -> None:
    one_job(workspace)
    assert workspace.run("plan", "--out", "plan.json").code == 0
    saved = json.loads((workspace.folder / "plan.json").read_text("utf-8"))
    for key in (*saved, *saved["inputs"]):
        assert f"`{key}" in FORMATS


def keys_of(data: Any) -> Iterator[str]:
    """The keys of all objects in a JSON document."""
    if isinstance(data, dict):
        yield from data
    for item in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from keys_of(item)


@pytest.mark.parametrize(
    ("title", "command"),
    [
        ("Status", ["status", "--format", "json"]),
        ("List", ["list", "--format", "json"]),
        ("History", ["history", "--format", "json"]),
        ("Findings", ["validate", "--format", "json"]),
        ("Doctor", ["doctor", "--format", "json"]),
        ("Contract", ["doctor", "--contract", "--format", "json"]),
    ],
)
def test_a_json_document_is_as_documented(title: str, command: list[str], workspace: Workspace) -> None:
    one_job(workspace)
    workspace.write("b.yaml", manifest("SparkSession", "b", {"kind": "spark", "queue": "q"}))
    assert workspace.apply().code == Exit.DONE
    keys = set(keys_of(workspace.run(*command).json))
    assert len(keys) > 5
    for key in keys:
        assert f"`{key}" in section(title), key


def test_the_journal_is_as_documented(workspace: Workspace) -> None:
    one_job(workspace)
    assert workspace.apply().code == Exit.DONE
    lines = (workspace.folder / ".deployer" / "journal.jsonl").read_text("utf-8").splitlines()
    for record in map(json.loads, lines):
        for key in (*record, record["event"]):
            assert f"`{key}" in section("Journal"), key


def schema_of(name: str) -> Any:
    return json.loads(text_of(f"schemas/{name}.schema.json"))


def current(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties that may be given: those that were renamed are in the schema for their error only."""
    return {name: schema for name, schema in properties.items() if schema.get("not") != {}}


def test_every_key_of_the_project_file_is_documented() -> None:
    page = text_of("docs/project.md")
    project = schema_of("Project")["properties"]
    target = current(project["targets"]["additionalProperties"]["properties"])
    groups = ("rate", "retry", "polling")
    nested = [f"{key}.{inner}" for key in groups for inner in current(target[key]["properties"])]
    assert len(nested) > 4
    own = {key for key in target if not any(name.startswith(f"{key}.") for name in nested)}
    for key in ({*project} - {"apiVersion", "kind", "metadata"}) | own | {*nested}:
        assert f"`{key}`" in page, key


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_manifest_is_documented(kind: str) -> None:
    page = text_of("docs/manifests.md")
    manifest_keys = schema_of(kind)["properties"]
    lifecycle = manifest_keys["lifecycle"]["properties"]
    assert {"spec", "dependsOn"} <= {*manifest_keys}
    for key in ({*manifest_keys} - {"metadata"}) | {*lifecycle}:
        assert f"`{key}`" in page, key


# --- CI ---------------------------------------------------------------------------------------------------

CI_BLOCKS = blocks(text_of("docs/ci.md"), "yaml")


def test_the_commands_of_ci_exist() -> None:
    page = text_of("docs/ci.md")
    commands = re.findall(r"^(deployer (?:comment|plan|apply|init) .*)$", page, re.MULTILINE)
    assert {shlex.split(command)[1] for command in commands} == {"init", "plan", "comment", "apply"}
    for command in commands:
        parse(command.partition(" > ")[0])


def test_the_action_of_the_page_is_ours() -> None:
    inputs = yaml.safe_load(text_of("action.yml"))["inputs"]
    runs = [yaml.safe_load(block) for block in blocks(text_of("docs/runs.md"), "yaml") if "runs-on" in block]
    workflows = [*(yaml.safe_load(block) for block in CI_BLOCKS if "runs-on" in block), *runs]
    steps = [step for workflow in workflows for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["with"] for step in steps if step.get("uses") == "OWNER/deployer@COMMIT"]
    assert [step["command"] for step in used] == ["plan", "apply", "plan", "run"]
    required = {name for name, each in inputs.items() if each.get("required")}
    assert all(required <= {*step} <= {*inputs} for step in used)
    table = re.findall(r"^\| `([a-z-]+)` \| (.*?) ?\| .*\|$", text_of("docs/ci.md"), re.MULTILINE)
    described = {name: default.strip("`") for name, default in table if name in inputs}
    assert {*described} == {*inputs}
    for name, each in inputs.items():
        assert described[name] in {each.get("default", ""), "that of the job"}


def test_the_variables_of_the_wrapper_are_documented() -> None:
    used = {*re.findall(r"DEPLOYER_[A-Z]+", text_of("deployer/cli/shells/deployer-ci"))}
    assert len(used) > 3
    assert used <= {*re.findall(r"`(DEPLOYER_[A-Z_]+)`", text_of("docs/ci.md"))}


# --- links ------------------------------------------------------------------------------------------------


def headings(page: Path) -> list[str]:
    return [heading.replace("`", "") for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)]


def anchors(page: Path) -> list[str]:
    return [generate.slug(heading) for heading in headings(page)]


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_the_links_on_a_page_lead_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)#?([^)\s]*)\)", prose(page)):
        target = (page.parent / link).resolve() if link else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), f"{link}#{anchor}"
        if page.is_relative_to(DOCS):
            assert target.is_relative_to(DOCS), f"{link} is not in the site"


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_github_and_the_site_give_a_heading_the_same_anchor(page: Path) -> None:
    found = anchors(page)
    assert len(found) == len(set(found))
    # MkDocs makes one hyphen of many, and takes those at the ends away.
    assert [re.sub(r"-+", "-", anchor).strip("-") for anchor in found] == found


def pages_in(nav: Any) -> Iterator[str]:
    for item in nav:
        (entry,) = item.values()
        if isinstance(entry, list):
            yield from pages_in(entry)
        else:
            yield entry


def test_every_page_is_in_the_navigation() -> None:
    site = yaml.safe_load(text_of("mkdocs.yml"))
    pages = {page.relative_to(DOCS).as_posix() for page in PAGES if page.is_relative_to(DOCS)}
    assert sorted(pages_in(site["nav"])) == sorted(pages)


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    pytest.importorskip("material", reason="the extra docs is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference" / "errors.html").exists()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_are_in_the_makefile(target: str) -> None:
    assert f"make {target}" in text_of(README)
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text_of(page), re.MULTILINE))
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= known
