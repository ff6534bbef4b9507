"""The recipes in docs/runs.md, as far as a shell can run them: the scripts of the CI, of cron and of Airflow."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.emulator import Emulator
from testing.faults import listed
from testing.live import create
from testing.workspace import ROOT, SPECS, Clock, Workspace, manifest

PAGE = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
RECIPES = PAGE[PAGE.index("## Recipes") :]


# As a shell reads what the step before has written.
YESTERDAY, QUOTED = "'date=${{ steps.dates.outputs.yesterday }}'", '"date=$yesterday"'


def section(title: str, language: str) -> list[str]:
    text = re.split(r"^### ", RECIPES, flags=re.MULTILINE)
    (found,) = [part for part in text if part.startswith(title)]
    return re.findall(rf"^```{language}\n(.*?)^```$", found, re.DOTALL | re.MULTILINE)


def action(title: str) -> str:
    """The command that the action runs in a workflow: see action.yml."""
    (workflow,) = map(yaml.safe_load, section(title, "yaml"))
    (step,) = workflow["jobs"]["run"]["steps"][-1:]
    given = step["with"]
    options = [option for option in given["options"].splitlines() if option]
    (dates,) = [each["run"] for each in workflow["jobs"]["run"]["steps"] if each.get("id") == "dates"]
    command = shlex.join(["deployer-ci", given["command"], "-t", given["target"], "-C", ".", *options])
    assert YESTERDAY in command
    return f"GITHUB_OUTPUT=dates; {dates}; . ./dates; rm dates; {command.replace(YESTERDAY, QUOTED)}"


def needs(name: str) -> list[dict[str, str]]:
    return [{"name": name, "until": "succeeded"}]


@pytest.fixture
def shop(workspace: Workspace, emulator: Emulator, clock: Clock) -> Workspace:
    """A chain of three jobs, in a target whose list goes back to before the first date."""
    clock.now = 1_704_067_200.0  # 2024-01-01
    create(emulator.url, "SparkBatch", "another", SPECS["SparkBatch"])
    create(emulator.url, "MrsJob", "another", SPECS["MrsJob"])
    clock.forward(3600)  # both have ended
    clock.tick = 5.0
    date = {"parameters": {"date": {"type": "date", "from": "2024-01-02"}}}
    arguments = ['INSERT OVERWRITE t PARTITION (dt={{ param("date") }}) SELECT a, b FROM raw']
    load = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": arguments}
    batch = {**SPECS["SparkBatch"], "args": ["--date", '{{ param("date") }}']}
    workspace.targets = {}
    workspace.write_project()
    text = (workspace.folder / "deployer.yaml").read_text(encoding="utf-8")
    project = yaml.safe_load(text)
    project["targets"]["prod"] = project["targets"]["test"]
    workspace.write("deployer.yaml", project)
    nightly = manifest("MrsJob", "load-raw", load, **date)
    daily = manifest("SparkBatch", "daily-orders", batch, **date, dependsOn=needs("load-raw"))
    for job in (nightly, daily):
        job["metadata"]["labels"] = {"run": "nightly"}
    workspace.write("load.yaml", nightly)
    workspace.write("daily.yaml", daily)
    workspace.write(
        "report.yaml", manifest("SparkBatch", "report", batch, **date, dependsOn=needs("daily-orders"))
    )
    return workspace


def shell(workspace: Workspace, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    wrapper = ROOT / "deployer" / "cli" / "shells"
    path = os.pathsep.join([str(wrapper), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=workspace.folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def dates(emulator: Emulator, name: str) -> Counter[str]:
    """The dates for which a job was submitted."""
    found = [str(job) for kind in ("SparkBatch", "MrsJob") for job in listed(emulator.url, kind)]
    names = {"load-raw": r"'job_name': 'load-raw'"}
    mine = [text for text in found if re.search(names.get(name, rf"'name': '{name}'"), text)]
    return Counter(re.findall(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text)[0] for text in mine)


def days_ago(*numbers: int) -> dict[str, int]:
    today = datetime.now(UTC).date()
    return {str(today - timedelta(days=number)): 1 for number in numbers}


NIGHTLY: dict[str, Any] = {
    "cron": lambda: section("Nightly, with cron", "sh")[:1],
    "github": lambda: [action("Nightly, with GitHub Actions")],
}


@pytest.mark.parametrize("where", NIGHTLY)
def test_a_night_is_run_once_however_often_it_is_started(
    shop: Workspace, emulator: Emulator, where: str
) -> None:
    (script,) = NIGHTLY[where]()
    before = days_ago(1)
    for _ in range(2):
        ran = shell(shop, script)
        assert ran.returncode == 0, ran
    assert dates(emulator, "load-raw") in (before, days_ago(1))
    assert dates(emulator, "daily-orders") == dates(emulator, "load-raw")


def test_some_nights_are_caught_up(shop: Workspace, emulator: Emulator) -> None:
    script = section("Nightly, with cron", "sh")[1]
    before = days_ago(1, 2, 3)
    ran = shell(shop, script)
    assert ran.returncode == 0, ran
    assert dates(emulator, "daily-orders") in (before, days_ago(1, 2, 3))


def test_a_chain_moves_on_date_by_date(shop: Workspace, emulator: Emulator) -> None:
    (script,) = section("Load, transform and report", "sh")
    ran = shell(shop, script)
    assert ran.returncode == 0, ran
    three = dict.fromkeys(("2024-07-01", "2024-07-02", "2024-07-03"), 1)
    assert [dates(emulator, name) for name in ("load-raw", "daily-orders", "report")] == [three] * 3
    # The second date is loaded before the first one is reported.
    lines = [line.split(" (id")[0] for line in ran.stdout.splitlines() if line.startswith("accepted")]
    second = next(index for index, line in enumerate(lines) if "load-raw" in line and "07-02" in line)
    first = next(index for index, line in enumerate(lines) if " report " in line and "07-01" in line)
    assert second < first


def test_a_month_is_made_again_with_a_new_jar(shop: Workspace, emulator: Emulator) -> None:
    (script,) = section("Reprocess June", "sh")
    load = "deployer run load-raw daily-orders --param date=2024-06-01..2024-06-03 --wait=succeeded --yes"
    assert shell(shop, load).returncode == 0
    assert "0 submitted" in shell(shop, script).stdout
    file = shop.folder / "daily.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("job.jar", "job-1.5.jar"), encoding="utf-8")
    for _ in range(2):
        ran = shell(shop, script)
        assert ran.returncode == 0, ran
    assert dates(emulator, "daily-orders") == dict.fromkeys(("2024-06-01", "2024-06-02", "2024-06-03"), 2)
    assert "0 submitted" in ran.stdout


def test_a_backfill_from_a_form(shop: Workspace, emulator: Emulator) -> None:
    (script,) = section("Backfill from a form", "sh")
    ran = shell(shop, script, JOBS="load-raw", DATES="2024-06-01..2024-06-02")
    assert ran.returncode == 0, ran
    assert dates(emulator, "load-raw") == {"2024-06-01": 1, "2024-06-02": 1}


@pytest.mark.parametrize(
    ("job", "values"),
    [
        ("load-raw", "2024-06-01'; DROP TABLE t; --"),
        ("load-raw", "$(touch pwned)"),
        ("load-raw", "2024-06-01 --yes; touch pwned"),
        ("load-raw", "\x1b[31m2024-06-01\n::error::pwned"),
        ("--select=name=*", "2024-06-01"),
        ("load-raw; touch pwned", "2024-06-01"),
    ],
)
def test_a_hostile_form_submits_nothing(shop: Workspace, emulator: Emulator, job: str, values: str) -> None:
    (script,) = section("Backfill from a form", "sh")
    ran = shell(shop, script, JOBS=job, DATES=values)
    assert ran.returncode == 3, ran
    assert not (shop.folder / "pwned").exists()
    assert "\x1b" not in ran.stderr
    assert not any(line.startswith("::") for line in (ran.stdout + ran.stderr).splitlines())
    assert dates(emulator, "load-raw") == {}


def test_the_command_of_airflow(shop: Workspace, emulator: Emulator) -> None:
    (code,) = section("From Airflow", "python")
    (call,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    script = next(ast.literal_eval(each.value) for each in call.keywords if each.arg == "bash_command")
    load = shell(shop, script.replace("daily-orders", "load-raw"), DATE="2024-07-04")
    assert load.returncode == 0, load
    for _ in range(2):
        ran = shell(shop, script, DATE="2024-07-04")
        assert ran.returncode == 0, ran
    assert dates(emulator, "daily-orders") == {"2024-07-04": 1}
