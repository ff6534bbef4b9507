"""Runs each scenario folder and compares its output with `expected.txt`: see README.md."""

from __future__ import annotations

import difflib
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from deployer.cli import run
from testing.scenario import Scenario, ScriptError

HERE = Path(__file__).parent
SCENARIOS = sorted(script.parent.name for script in HERE.glob("*/script"))
EXIT_CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}


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
    if seen != expected:
        before, now = (text.splitlines(keepends=True) for text in (expected, seen))
        difference = difflib.unified_diff(before, now, f"{name}/expected.txt", f"{name}, as it is now")
        pytest.fail("".join(difference), pytrace=False)


def test_every_folder_is_a_scenario() -> None:
    folders = {
        folder.name for folder in HERE.iterdir() if folder.is_dir() and not folder.name.startswith("__")
    }
    assert folders == {*SCENARIOS}


@pytest.fixture(scope="module")
def everything() -> str:
    """What all scenarios print."""
    return "".join((HERE / name / "expected.txt").read_text(encoding="utf-8") for name in SCENARIOS)


def printed(*arguments: str) -> str:
    with redirect_stdout(io.StringIO()) as out:
        assert run(arguments) == 0
    return out.getvalue()


def test_every_exit_code_occurs(everything: str) -> None:
    assert {int(code) for code in re.findall(r"^\[exit ([0-9]+)\]$", everything, re.M)} == EXIT_CODES


def test_every_verb_occurs(everything: str) -> None:
    """Not only its help, but for the one that does not end by itself."""
    verbs = {*re.findall(r"^  ([a-z]+)  +[a-z]", printed("--help"), re.M)}
    assert len(verbs) >= 13
    asked = re.findall(r"^\$ deployer ([a-z]+) --help$", everything, re.M)
    used = re.findall(r"^\$ deployer ([a-z]+)(?! --help)(?:$| )", everything, re.M)
    assert {*asked} >= verbs
    assert {*used} >= verbs


def test_every_action_occurs(everything: str) -> None:
    """Planned, and carried out but for those that nothing is done about."""
    action = json.loads(printed("schema", "show", "Plan"))["$defs"]["change"]["properties"]["action"]
    actions = {*action["enum"]}
    assert {"create", "blocked"} < actions
    planned = re.findall(r"^[-+~>!=] ([a-z]+) +[A-Z][A-Za-z]+ ", everything, re.M)
    assert {*planned} == actions | {"unchanged"}
    done = re.findall(r"^(?:done|accepted) +([a-z]+) ", everything, re.M)
    assert {*done} == actions - {"blocked"}
