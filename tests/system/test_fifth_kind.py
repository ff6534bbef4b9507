"""Follows `deployer/kinds/README.md` on a copy of the project: a table, a module, a line and a route."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from testing.workspace import ROOT

PARTS = ROOT / "tests" / "cases" / "fifth_kind"
REPORT = {
    "apiVersion": "deployer/v1",
    "kind": "Report",
    "metadata": {"name": "annual"},
    "spec": {"printer": "p1", "text": "all is well"},
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the packages with the fifth kind in it, and a project beside them."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "deployer", tmp_path / "deployer", ignore=ignore)
    shutil.copytree(ROOT / "schemas", tmp_path / "deployer_schemas", ignore=ignore)
    for table in PARTS.glob("*.yaml"):
        shutil.copy(table, tmp_path / "deployer_schemas" / "tables")
    shutil.copy(PARTS / "kind.py", tmp_path / "deployer" / "kinds" / "report.py")
    shutil.copy(PARTS / "route.py", tmp_path / "deployer" / "emulator" / "press.py")
    add_line(
        tmp_path / "deployer/kinds/__init__.py", "mrs_job", "report", '"MrsJob":', '"Report": report.KIND,'
    )
    add_line(tmp_path / "deployer/emulator/routes.py", "mrs", "press", "*mrs.ROUTES", "*press.ROUTES,")
    project = tmp_path / "project"
    project.mkdir()
    (project / "report.yaml").write_text(yaml.safe_dump(REPORT))
    head = {"apiVersion": "deployer/v1", "kind": "Project", "metadata": {"name": "press"}}
    (project / "deployer.yaml").write_text(yaml.safe_dump({**head, "targets": {"local": {"emulator": True}}}))
    return tmp_path


def add_line(file: Path, import_after: str, module: str, line_after: str, line: str) -> None:
    """Imports `module` beside `import_after`, and puts `line` below the one that begins with `line_after`."""
    lines = file.read_text().splitlines()
    for number, text in enumerate(lines):
        if text.startswith("from deployer") and import_after in text:
            lines[number] = text.replace(import_after, f"{import_after}, {module}")
        if text.strip().startswith(line_after):
            lines[number] = f"{text}\n    {line}"
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_a_fifth_kind(copy: Path) -> None:
    def deployer(*arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "deployer", *arguments],
            cwd=copy / "project",
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{ran.returncode} {ran.stdout}{ran.stderr}"

    stale = deployer("schema", "check")
    assert stale.startswith("1 ")
    assert "Report.schema.json is out of date; run 'deployer schema generate'\n" in stale
    assert "wrote Report.schema.json" in deployer("schema", "generate")
    assert deployer("validate").startswith("0 Valid: 1 job ")
    assert deployer("apply", "--yes").endswith("Apply complete: 1 applied.\n")
    assert (
        deployer("plan", "--detailed-exitcode")
        == "0 press -> local (built-in emulator)\n\nPlan for local: no changes; 1 unchanged.\n"
    )
    (copy / "project" / "report.yaml").write_text(
        yaml.safe_dump(REPORT | {"spec": {"printer": "p1", "txet": "x"}})
    )
    assert "unknown field 'txet' in spec; did you mean 'text'?" in deployer("validate")


def test_a_kind_stays_small() -> None:
    assert len((PARTS / "kind.py").read_text().splitlines()) <= 60
