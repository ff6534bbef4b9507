"""Runs the shell steps of CI files as a runner does: which jobs an event starts, with which variables.

Expressions of GitHub are the few that our files use: fields of `github` and `secrets`, ==, && and ||.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testing.workspace import ROOT

SECONDS = 60
_TOKEN = re.compile(r"\s*(==|&&|\|\||[()]|'[^']*'|[a-z_]+(?:\.[A-Za-z_]+)*)\s*")


@dataclass(frozen=True)
class Step:
    """One finished command."""

    command: str
    code: int
    out: str
    err: str


def evaluated(expression: str, context: Mapping[str, Any]) -> Any:
    """Return the value of an expression."""
    pieces, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        assert match, expression[at:]
        word, at = match[1], match.end()
        if re.match("[a-z]", word):
            value: Any = context
            for key in word.split("."):
                value = value.get(key, "") if isinstance(value, Mapping) else ""
            pieces.append(repr(value))
        else:
            pieces.append({"&&": "and", "||": "or"}.get(word, word))
    return eval(" ".join(pieces), {"__builtins__": {}})  # noqa: S307 - of literals and operators only


def filled(text: Any, context: Mapping[str, Any]) -> str:
    """Return a text whose expressions are replaced by their values."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(evaluated(match[1].strip(), context)), str(text))


def _variables(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    path = f"{ROOT / 'deployer/cli/shells'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = str(folder.parent)
    return {"PATH": path, "HOME": home, "GIT_CONFIG_NOSYSTEM": "1", "CI": "true", **environment}


def shell(folder: Path, command: str, environment: Mapping[str, str]) -> Step:
    """Run a command as a step, with `deployer` and `deployer-ci` of this checkout."""
    ran = subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder,
        env=_variables(folder, environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Step(command, ran.returncode, ran.stdout, ran.stderr)


def started(folder: Path, command: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a command as a step that can be cancelled, and whose output can be read meanwhile."""
    return subprocess.Popen(
        ["sh", "-e", "-c", f"exec {command}"],
        cwd=folder,
        env=_variables(folder, environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def github_jobs(
    folder: Path,
    event: Mapping[str, Any],
    secrets: Mapping[str, Mapping[str, str]],
    runner: Mapping[str, str],
    *,
    file: str = "deployer",
    inputs: Mapping[str, str] | None = None,
) -> dict[str, list[Step]]:
    """Run the jobs of the workflow that an event starts, one after the other, and return their steps.

    `secrets` are those of each environment, "" those of the repository; `runner` are the variables of the runner;
    `inputs` those of a form. Nothing is installed: `deployer` is that of this checkout.
    """
    workflow = yaml.safe_load((folder / f".github/workflows/{file}.yml").read_text())
    assert event["event_name"] in workflow[True]  # YAML 1.1 takes the key `on` for a truth value
    done = {}
    for name, job in workflow["jobs"].items():
        own = {**secrets[""], **secrets.get(job.get("environment", ""), {})}
        context = {"github": event, "secrets": own, "inputs": inputs or {}}
        if not evaluated(job["if"], context):
            continue
        # A pull request from a fork gets no secrets and a token that may only read.
        environment = {**runner, **{key: filled(value, context) for key, value in workflow["env"].items()}}
        steps = []
        for step in job["steps"]:
            if "run" not in step or step.get("name") == "Install deployer":
                continue
            given = {key: filled(value, context) for key, value in step.get("env", {}).items()}
            steps.append(shell(folder, filled(step["run"], context), {**environment, **given}))
            if steps[-1].code:
                break
        done[name] = steps
    return done
