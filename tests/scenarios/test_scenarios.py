"""Each folder here is a project, a script of commands, and the output that it must have: see README.md."""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path

import pytest
from testing.scenario import Scenario, ScriptError, environment

HERE = Path(__file__).parent
SCENARIOS = sorted(script.parent.name for script in HERE.glob("*/script"))


@pytest.fixture
def scenario_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign, ours = environment(list(os.environ))
    for name in foreign:
        monkeypatch.delenv(name)
    for name, value in ours.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("scenario_environment")
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_output_is_the_expected_one(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with Scenario(HERE / name, tmp_path) as scenario:
        try:
            seen = scenario.play()
        except ScriptError as error:
            pytest.fail(str(error), pytrace=False)
    file = HERE / name / "expected.txt"
    if request.config.getoption("--update", default=False):
        file.write_text(seen, encoding="utf-8")
    expected = file.read_text(encoding="utf-8") if file.exists() else ""
    difference = difflib.unified_diff(
        expected.splitlines(keepends=True),
        seen.splitlines(keepends=True),
        f"{name}/expected.txt",
        f"{name} now",
    )
    if seen != expected:
        pytest.fail("".join(difference), pytrace=False)
