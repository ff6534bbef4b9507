"""What `make` says where it cannot work."""

from __future__ import annotations

import shutil
import subprocess
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
