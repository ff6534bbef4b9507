"""Fixtures for the shared state: a remote, a server for it, and a checkout, without the git settings of anybody."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployer.state.chain import Chain, open_chain
from testing.git_server import GitServer, Remote, bare_repository, publish, without_settings
from testing.workspace import Workspace

REF = "refs/deployer/tests/test"

OpenChain = Callable[..., Chain]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and no variable that git or ssh reads."""
    without_settings(tmp_path / "home", monkeypatch)
    return tmp_path / "home"


URL = "https://host.invalid/project.git"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository, and a checkout of it whose remote is URL; copies of them are made in no time."""
    folder = tmp_path_factory.mktemp("template")
    publish(Workspace(folder / "project", None), bare_repository(folder / "project.git"), URL)
    return folder


@pytest.fixture
def remote(template: Path, tmp_path: Path) -> Remote:
    return Remote(shutil.copytree(template / "project.git", tmp_path / "host" / "project.git"))


def _checkout(template: Path, folder: Path, url: str) -> Path:
    shutil.copytree(template / "project", folder)
    configuration = folder / ".git" / "config"
    text = configuration.read_text(encoding="utf-8")
    configuration.write_text(text.replace(URL, url), encoding="utf-8")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host") as server:
        yield server


@pytest.fixture
def project(template: Path, remote: Remote, tmp_path: Path) -> Path:
    """A checkout of the remote, by its path."""
    return _checkout(template, tmp_path / "project", remote.url)


@pytest.fixture
def online(template: Path, remote: Remote, server: GitServer, tmp_path: Path) -> Path:
    """A checkout of the remote, over HTTP."""
    return _checkout(template, tmp_path / "online", server.url_of(remote))


@pytest.fixture(params=["file", "http"])
def either(request: pytest.FixtureRequest) -> Path:
    """A checkout of the remote, by its path and over HTTP."""
    folder = request.getfixturevalue("project" if request.param == "file" else "online")
    assert isinstance(folder, Path)
    return folder


@pytest.fixture
def chain() -> Iterator[OpenChain]:
    """Opens the state in a checkout, as a process of its own would: `chain(folder)`."""
    with ExitStack() as stack:

        def open_in(
            folder: Path, *, ref: str = REF, name: str = "origin", hidden: tuple[str, ...] = ()
        ) -> Chain:
            return stack.enter_context(open_chain(folder, name, ref, os.environ, hidden))

        yield open_in
