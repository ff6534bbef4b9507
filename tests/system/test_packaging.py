"""The wheel contains the schemas and works outside the checkout; an editable install uses new schemas at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deployer.kinds.tables import schema_folder
from testing.workspace import ROOT

pytestmark = pytest.mark.slow


def pip(*arguments: str | Path) -> None:
    """Runs pip without an index: whatever it would have to fetch is an error."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in ("deployer", "schemas"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--quiet", "-w", folder, source)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_all_data_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "deployer_schemas/SparkBatch.schema.json" in names
    assert "deployer_schemas/tables/dli.batches.create.yaml" in names
    data = [path.relative_to(ROOT) for path in (ROOT / "deployer").rglob("*.yaml")]
    assert len(data) >= 8
    data += [path.relative_to(ROOT) for path in (ROOT / "deployer" / "report" / "templates").iterdir()]
    # An editable install would not miss a package that is not listed in pyproject.toml.
    data += [path.relative_to(ROOT) for path in (ROOT / "deployer").rglob("*.py")]
    assert {*map(str, data)} <= names
    assert not [name for name in names if name.startswith(("tests", "jobs", "schemas/"))]


@pytest.mark.slow
def test_the_wheel_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    pip("install", "--no-index", "--no-deps", "--quiet", "--target", site, wheel)
    shutil.copytree(ROOT / "jobs", project, ignore=shutil.ignore_patterns(".deployer"))
    # The dependencies come from this environment; the package itself from the wheel, which stands first.
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def ran(*command: str) -> str:
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = "import deployer, deployer_schemas; print(deployer.__file__, deployer_schemas.__file__)"
    assert ran(sys.executable, "-c", where).count(str(site)) == 2
    assert (site / "bin" / "deployer-ci").stat().st_mode & 0o111
    script = str(site / "bin" / "deployer")
    assert "9 jobs" in ran(sys.executable, script, "validate")
    assert "7 to create" in ran(sys.executable, script, "plan")
    assert "schemas are up to date" in ran(sys.executable, script, "schema", "check")
    assert "complete -o nosort" in ran(sys.executable, script, "completion", "bash")
    ran(sys.executable, script, "init", str(tmp_path / "new"))
    assert "1 to create" in ran(sys.executable, script, "-C", str(tmp_path / "new"), "plan")


def test_this_install_reads_the_schemas_where_they_are() -> None:
    """An editable install, as `make test` makes it: a regenerated schema is seen at once."""
    assert Path(str(schema_folder())).resolve() == ROOT / "schemas"
