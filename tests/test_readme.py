"""README.md is true: its tour, its manifests, its commands, options and exit codes.

`DEPLOYER_REGENERATE=1 pytest tests/test_readme.py` writes the tour's output into it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from conftest import ROOT, Workspace, manifest

from deployer.cli import VERBS, cli, run
from deployer.errors import Exit
from deployer.kinds import KINDS
from deployer.report.json import FORMAT_VERSION

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
TOUR = re.compile(r"```console\n\$ deployer (?P<command>[^\n]*)\n(?P<output>.*?)```", re.DOTALL)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def steady(text: str) -> str:
    """`text` without what differs from run to run: ids, times, and states that the clock moves."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", "TIME", text)
    text = re.sub(r"(?<=TIME  )\d+s +", "FOR ", text)
    # Flink's ids are numbers, in the order in which things are created, side by side.
    text = re.sub(r"(?<=FOR )\d+ +|(?<=clicks: )\d+ ", "NUMBER ", text)
    text = re.sub(r"back to \d{4}-\d{2}-\d{2}", "back to DAY", text)
    return re.sub(
        r"\b(job_submitting|job_running|ACCEPTED|RUNNING|starting|running|idle)\b *", "STATE ", text
    )


def test_the_tour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs", ignore=shutil.ignore_patterns(".deployer"))
    monkeypatch.chdir(tmp_path / "jobs")
    outputs: list[tuple[str, str]] = []
    for match in TOUR.finditer(TEXT):
        assert run(shlex.split(match["command"])) == Exit.DONE
        printed = capsys.readouterr()
        outputs.append((match["output"], printed.err + printed.out))
    if os.environ.get("DEPLOYER_REGENERATE"):
        fresh = iter([output for _, output in outputs])
        text = TOUR.sub(lambda match: f"```console\n$ deployer {match['command']}\n{next(fresh)}```", TEXT)
        README.write_text(text, encoding="utf-8")
    for told, printed_now in outputs:
        assert steady(told) == steady(printed_now)


def test_the_demo_runs_the_tour() -> None:
    script = (ROOT / ".ci" / "demo").read_text()
    ran = re.findall(r"^run (?!\(\))(.+)$", script, re.MULTILINE)
    assert ran == [match["command"] for match in TOUR.finditer(TEXT)]


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
    assert "Applied: 7 done." in done.stdout
    assert sorted((ROOT / "jobs").rglob("*")) == before


def test_every_manifest_in_it_is_valid(bare: Workspace) -> None:
    by_kind = {
        kind: [block for block in blocks("yaml") if re.search(rf"^kind: {kind}$", block, re.MULTILINE)]
        for kind in (*KINDS, "Project")
    }
    (project,) = by_kind.pop("Project")
    bare.write("deployer.yaml", project)
    for kind, manifests in by_kind.items():
        assert manifests
        for number, text in enumerate(manifests):
            bare.write(f"{kind}-{number}.yaml", text)
    for values in ("values/common.yaml", "values/prod.yaml"):
        bare.write(values, {"regions": ["north", "south"]})
    for target in yaml.safe_load(project)["targets"]:
        ran = bare.run("validate", "-t", target)
        assert ran.code == Exit.DONE, ran.err


def test_every_verb_and_option_is_in_it() -> None:
    context = click.Context(cli)
    common = {word for option in cli.params for word in option.opts}
    for name in VERBS:
        verb = cli.get_command(context, name)
        assert verb is not None
        commands = list(verb.commands.values()) if isinstance(verb, click.Group) else [verb]
        for command in commands:
            assert f"`{name}" in TEXT
            if command is not verb:
                assert f"`{name} {command.name}" in TEXT
            for option in command.params:
                if isinstance(option, click.Option):
                    where = TEXT if {*option.opts} & common else row_of(command, verb)
                    assert any(f"`{word}" in where for word in option.opts), (name, option.opts)


def row_of(command: click.Command, verb: click.Command) -> str:
    """The row of a verb in the table of verbs."""
    words = f"{verb.name}" if command is verb else f"{verb.name} {command.name}"
    table = TEXT[TEXT.index("| verb | does |") :].partition("\n\n")[0]
    (row,) = re.findall(rf"^\| `{words}[ `].*$", table, re.MULTILINE)
    return str(row)


def test_no_option_in_it_is_made_up() -> None:
    context = click.Context(cli)
    verbs = [cli, *(cli.get_command(context, name) for name in VERBS)]
    commands = [
        *verbs,
        *(sub for verb in verbs if isinstance(verb, click.Group) for sub in verb.commands.values()),
    ]
    known = {word for command in commands if command for option in command.params for word in option.opts}
    foreign = {"--body-file", "--class", "--date", "--help", "--region", "--version"}
    foreign |= {"--commit", "--event", "--jq", "--json", "--name", "--workflow"}  # of gh
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT)) <= known | foreign


def test_every_exit_code_is_in_it() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert listed == {code.value for code in Exit}


def test_the_json_plan_is_as_it_says(workspace: Workspace) -> None:
    workspace.write("a.yaml", manifest("SparkBatch", "a", {"file": "a.py", "queue": "q"}))
    plan = workspace.plan()
    assert plan["format_version"] == FORMAT_VERSION
    for key in (*plan, *plan["changes"][0]):
        assert f"`{key}" in TEXT


def test_the_workflow_in_it_uses_commands_that_exist() -> None:
    workflow = next(yaml.safe_load(block) for block in blocks("yaml") if "runs-on" in block)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    ran = [step["run"] for step in steps if step.get("run", "").startswith("deployer ")]
    assert [shlex.split(command)[1] for command in ran] == ["plan", "apply"]


def test_the_steps_for_a_saved_plan_fit_into_the_workflow() -> None:
    workflow = next(yaml.safe_load(block) for block in blocks("yaml") if "runs-on" in block)
    steps = {
        job: yaml.safe_load(
            next(block for block in blocks("yaml") if block.startswith(f"# in the job {job},"))
        )
        for job in workflow["jobs"]
    }
    for job, replaced in (("plan", 2), ("apply", 1)):
        usual = workflow["jobs"][job]["steps"][-replaced:]
        (command,) = [step for step in steps[job] if step.get("run", "").startswith("deployer ")]
        (before,) = [step for step in usual if step["run"].startswith("deployer ")]
        assert command["env"] == before["env"]
        assert shlex.split(before["run"])[:4] == shlex.split(command["run"])[:4]
    assert "--out plan.json" in str(steps["plan"])
    assert "--plan plan.json" in str(steps["apply"])


def test_the_saved_plan_is_as_it_says(workspace: Workspace) -> None:
    workspace.write("a.yaml", manifest("SparkBatch", "a", {"file": "a.py", "queue": "q"}))
    assert workspace.run("plan", "--out", "plan.json").code == 0
    saved = json.loads((workspace.folder / "plan.json").read_text("utf-8"))
    for key in (*saved, *saved["inputs"]):
        assert f"`{key}" in TEXT


def test_the_links_in_it_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", TEXT):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("target", ["demo", "test"])
def test_its_two_commands_are_in_the_makefile(target: str) -> None:
    assert f"make {target}" in TEXT
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
