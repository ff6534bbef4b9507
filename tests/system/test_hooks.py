"""The hooks of .pre-commit-hooks.yaml, run by pre-commit itself in a repository with a project.

pre-commit would install deployer from a tag; here it runs the one that is tested.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.workspace import ROOT

HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
SCRIPTS = Path(sys.executable).parent


class Repository:
    """A Git repository with a project in its folder `jobs`, and hooks with arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
            self.environment.pop(name, None)
        self.run("git", "init", "--quiet", ".")
        self.run("deployer", "init", "jobs", "--ci", "github")

    def run(self, *command: str, code: int = 0) -> str:
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    def configure(self, **arguments: list[str]) -> None:
        hooks = [
            {**hook, "language": "system", "args": arguments.get(hook["id"].removeprefix("deployer-"), [])}
            for hook in HOOKS
        ]
        for hook in hooks:
            hook.pop("additional_dependencies", None)
        config = {"repos": [{"repo": "local", "hooks": hooks}]}
        (self.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def hooks(self, *options: str, code: int = 0) -> dict[str, str]:
        """Runs the hooks; the result of each by the last word of its id."""
        self.run("git", "add", "--all")
        shown = self.run("pre-commit", "run", "--color=never", "--verbose", *options, code=code)
        results = {}
        name = ""
        for line in shown.splitlines():
            for hook in HOOKS:
                if line.startswith(f"{hook['name']}."):
                    name = hook["id"].removeprefix("deployer-")
                    results[name] = re.split(r"[.)]", line)[-1]
        self.shown = shown
        return results


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "repository").mkdir()
    made = Repository(tmp_path / "repository")
    made.configure(validate=["-C", "jobs"], schema=["jobs/schemas"])
    return made


def test_pre_commit_accepts_the_hooks() -> None:
    command = [str(SCRIPTS / "pre-commit"), "validate-manifest", ".pre-commit-hooks.yaml"]
    subprocess.run(command, cwd=ROOT, check=True)
    assert [hook["id"] for hook in HOOKS] == ["deployer-fmt", "deployer-validate", "deployer-schema"]
    assert {hook["language"] for hook in HOOKS} == {"python"}


def test_the_formatter_has_the_extra_that_it_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert HOOKS[0]["additional_dependencies"] == project["optional-dependencies"]["fmt"]


def test_a_new_project_passes_all_hooks(repository: Repository) -> None:
    assert repository.hooks() == {"fmt": "Passed", "validate": "Passed", "schema": "Passed"}
    assert "to format" not in repository.shown
    assert "0 formatted" in repository.shown


def test_the_formatter_changes_only_what_is_committed(repository: Repository) -> None:
    repository.hooks()
    repository.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=a")
    manifest = repository.folder / "jobs/spark/daily-orders.yaml"
    before = manifest.read_text(encoding="utf-8")
    manifest.write_text(before.replace("\n  ", "\n    "), encoding="utf-8")
    assert repository.hooks(code=1) == {"fmt": "Failed", "validate": "Passed", "schema": "Skipped"}
    assert "1 file: 1 formatted" in repository.shown
    assert manifest.read_text(encoding="utf-8") == before


def test_an_invalid_manifest_fails_validation(repository: Repository) -> None:
    manifest = repository.folder / "jobs/spark/daily-orders.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("  queue:", "  quue:"), encoding="utf-8")
    assert repository.hooks(code=1) == {"fmt": "Passed", "validate": "Failed", "schema": "Passed"}
    assert "exit code: 4" in repository.shown
    assert "'quue'" in repository.shown


def test_schemas_of_another_version_fail(repository: Repository) -> None:
    schema = repository.folder / "jobs/schemas/manifest.schema.json"
    schema.write_text("{}\n", encoding="utf-8")
    assert repository.hooks(code=1)["schema"] == "Failed"
    assert "run 'deployer schema write jobs/schemas'" in repository.shown
    repository.run("deployer", "schema", "write", "jobs/schemas", code=3)  # not a schema of deployer
    schema.unlink()
    repository.run("deployer", "schema", "write", "jobs/schemas")
    assert repository.hooks()["schema"] == "Passed"
