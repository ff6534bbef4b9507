"""A project folder, the real command in it, and the emulator's clock."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.cli import run

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
TOKEN = "a-token-for-tests"  # noqa: S105

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the vendor's pages are not beside the checkout"
)


@dataclass
class Clock:
    """The time as the emulator sees it. It moves by `tick` each time that it is asked."""

    now: float = 1_720_000_000.0  # 2024-07-03T09:46:40Z
    tick: float = 0.0
    asked: int = 0

    def __call__(self) -> float:
        self.now += self.tick
        self.asked += 1
        if self.asked > 20_000 and not self.tick:
            raise RuntimeError("somebody waits for a clock that stands still")
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Ran:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Workspace:
    """A project folder whose default target is `url`."""

    folder: Path
    capture: pytest.CaptureFixture[str] | None
    """What takes the output of `run`; without it the folder is for another process."""
    url: str = "http://127.0.0.1:9"
    targets: dict[str, Any] = field(default_factory=dict)
    project: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.write_project()

    def write_project(self, **target: Any) -> None:
        endpoints = dict.fromkeys(("dli", "mrs", "iam"), self.url)
        # Nothing is tried again: that would take real time, and test_retry has a clock for it.
        once = {"attempts": 1, "capacityTimeout": "0s"}
        test = {
            "endpoints": endpoints,
            "projectId": "pid",
            "auth": {"method": "token"},
            "retry": once,
            "rate": {"requestsPerSecond": 10_000},
            "polling": {"interval": "0s", "consistencyDelay": "0s"},
            **target,
        }
        project = {
            "apiVersion": "deployer/v1",
            "kind": "Project",
            "metadata": {"name": "tests"},
            "defaultTarget": "test",
            "targets": {"test": test, **self.targets},
            **self.project,
        }
        self.write("deployer.yaml", project)

    def write(self, file: str, content: Any) -> Path:
        """Writes text as it is, and data (a manifest, or a list of them) as YAML."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, str | bytes):
            documents = content if isinstance(content, list) else [content]
            content = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, *arguments: str) -> Ran:
        """Runs `deployer ARGUMENTS` in this process, in the project folder."""
        assert self.capture
        before = Path.cwd()
        os.chdir(self.folder)
        self.capture.readouterr()
        try:
            code = run(arguments)
        finally:
            os.chdir(before)
        out, err = self.capture.readouterr()
        return Ran(int(code), out, err)

    def plan(self, *arguments: str) -> Any:
        """The JSON plan."""
        ran = self.run("plan", "--format", "json", *arguments)
        assert ran.out, ran.err
        return ran.json

    def apply(self, *arguments: str) -> Ran:
        return self.run("apply", "--yes", *arguments)


_FINDING = re.compile(r"(.*: (?:error|warning|note): .*?) \[([EW][0-9]{3}) ?([a-z0-9.-]*)\]")


def findings(err: str) -> list[str]:
    """The findings about files in what a command printed on stderr, without their codes and source lines."""
    found = [_FINDING.fullmatch(line) for line in err.splitlines()]
    return [finding[1] + (f" [{finding[3]}]" if finding[3] else "") for finding in found if finding]


def manifest(kind: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A manifest as data."""
    return {"apiVersion": "deployer/v1", "kind": kind, "metadata": {"name": name}, "spec": spec, **more}


SPECS: dict[str, dict[str, Any]] = {
    "SparkBatch": {"file": "obs://b/job.jar", "className": "com.example.Job", "queue": "q"},
    "SparkSession": {"kind": "spark", "queue": "q"},
    "FlinkJar": {"queue_name": "q", "entrypoint": "obs://b/stream.jar"},
    "MrsJob": {"cluster_id": "c-1", "job_type": "MapReduce", "arguments": ["obs://b/mr.jar", "wordcount"]},
}
