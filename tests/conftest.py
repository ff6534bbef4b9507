"""Fixtures for all tests: a project folder, an emulator with its own clock, and the real command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import FaultProxy, proxied
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest

# A script's background jobs ignore Ctrl-C, and the commands that tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="Write what the scenarios print as expected.txt.")


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wherever the tests run: in CI a target that is only an emulator must be named."""
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emulator(tmp_path: Path, clock: Clock) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator.db", token=TOKEN, clock=clock) as server:
        yield server


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose target answers nothing."""
    for name in list(os.environ):
        if name.startswith(("HW_", "OS_", "HUAWEICLOUD_", "DEPLOYER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HW_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("NO_COLOR", "1")
    return Workspace(tmp_path / "project", capsys)


@pytest.fixture
def workspace(bare: Workspace, emulator: Emulator) -> Workspace:
    """A workspace whose target is the emulator."""
    bare.url = emulator.url
    bare.write_project()
    return bare


@pytest.fixture
def proxy(workspace: Workspace, emulator: Emulator) -> Iterator[FaultProxy]:
    """A proxy between the workspace and the emulator, which can fail in any way."""
    with proxied(workspace, emulator.url) as server:
        yield server


@pytest.fixture(params=list(SPECS))
def any_kind(request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Makes a manifest of each kind in turn: `any_kind("name", lifecycle={...})`."""

    def make(name: str, **more: Any) -> dict[str, Any]:
        return manifest(request.param, name, SPECS[request.param], **more)

    return make
