"""Tests the error messages of `make` where it cannot work."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testing.workspace import ROOT

FAKE = """#!/bin/sh
case "$2" in
*{missing}*) exit 1 ;;
esac
exit 0
"""


@pytest.mark.parametrize(
    ("missing", "says"),
    [("version_info", "needs Python 3.11 or newer"), ("ensurepip", "apt install python3-venv")],
)
def test_one_line_says_what_is_missing(tmp_path: Path, missing: str, says: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / "python"
    python.write_text(FAKE.format(missing=missing))
    python.chmod(0o755)
    command = ["make", "-C", str(tmp_path), "demo", f"PYTHON={python}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    lines = [line for line in ran.stdout.splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    assert says in lines[0]
    assert not list(tmp_path.glob(".venv*"))


def test_a_named_interpreter_has_an_environment_of_its_own() -> None:
    def commands(*variables: str) -> str:
        order = ["make", "-C", str(ROOT), "--dry-run", "--always-make", "check", *variables]
        return subprocess.run(order, capture_output=True, text=True, check=True).stdout

    assert "\n.venv/bin/pytest " in commands("PYTHON=python3")
    own = f".venv-{platform.python_version()}"
    named = commands(f"PYTHON={sys.executable}")
    assert f"{sys.executable} -m venv {own}\n" in named
    assert f"\n{own}/bin/pytest " in named
    assert ".venv/" not in named.replace(sys.executable, "")
