"""The steps of the Dockerfile, run without Docker; and the requirements that are pinned with hashes.

Each stage is a folder with a virtual environment as its Python. RUN lines are run as they are, in the stage's working
folder; only the paths of WORKDIR and COPY lie below the folder of the stage. Programs that change the machine are
replaced by ones that only note their arguments. pip takes the wheels from build/wheels (`make wheels`), and compares
their hashes as it does in the image.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from testing.workspace import ROOT

WHEELS = ROOT / "build" / "wheels"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REPLACED = ("apt-get", "useradd")

needs_wheels = pytest.mark.skipif(not WHEELS.is_dir(), reason="`make wheels` has not downloaded the wheels")


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def ignored(path: str) -> bool:
    """Whether .dockerignore leaves a path out of what COPY can see; the last line that matches counts."""
    result = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        parts = path.split("/")
        if pattern.startswith("**/"):
            matches = any(fnmatch(part, pattern[3:]) for part in parts)
        else:
            matches = fnmatch(parts[0], pattern)
        if line and not line.startswith("#") and matches:
            result = not line.startswith("!")
    return result


@dataclass
class Stage:
    """A stage of the build: a folder in place of its file system."""

    root: Path
    folder: str = "/"
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", self.root / "python"], check=True)
        (self.root / "bin").mkdir()
        for name in REPLACED:
            program = self.root / "bin" / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.root}/noted"\n', encoding="utf-8")
            program.chmod(0o755)

    def path(self, path: str) -> Path:
        """A path of the image."""
        return self.root / "files" / (Path(self.folder) / path).relative_to("/")

    def run(self, command: str) -> str:
        environment = {
            "PATH": f"{self.root}/bin:{self.root}/python/bin:{os.environ['PATH']}",
            "HOME": str(self.root),
            "GIT_CONFIG_SYSTEM": str(self.root / "gitconfig"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(WHEELS),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.path(""),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def noted(self) -> list[str]:
        return (self.root / "noted").read_text(encoding="utf-8").splitlines()


def copy(stage: Stage, stages: dict[str, Stage], arguments: str) -> None:
    words = shlex.split(arguments)
    source = stages[words.pop(0).removeprefix("--from=")] if words[0].startswith("--from=") else None
    *files, to = words
    for name in files:
        start = source.path(name) if source else ROOT / name
        target = stage.path(to) / (start.name if to.endswith("/") else "")
        target.parent.mkdir(parents=True, exist_ok=True)

        def left_out(folder: str, names: list[str], *, is_context: bool = source is None) -> set[str]:
            inside = [(entry, os.path.relpath(Path(folder, entry), ROOT)) for entry in names]
            return {entry for entry, path in inside if is_context and ignored(path)}

        assert source or not ignored(name), f"{name} is in .dockerignore"
        if start.is_dir():
            shutil.copytree(start, target, ignore=left_out)
        else:
            shutil.copy(start, target)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The last stage, after all steps."""
    stages: dict[str, Stage] = {}
    stage = None
    for name, arguments in instructions():
        if name == "FROM":
            stage = Stage(tmp_path_factory.mktemp("stage"))
            stages[arguments.rpartition(" AS ")[2]] = stage
            stage.path("").mkdir(parents=True)
        elif stage is None:
            assert name == "ARG"
        elif name == "WORKDIR":
            stage.folder = arguments
            stage.path("").mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            copy(stage, stages, arguments)
        elif name == "RUN":
            stage.run(re.sub(r"^(?:--mount=\S+\s+)*", "", arguments))
        else:
            assert name in ("USER", "ENTRYPOINT", "CMD")
            stage.settings[name] = arguments
    assert stage
    return stage


@needs_wheels
@pytest.mark.slow
def test_the_steps_of_the_image_install_deployer(image: Stage) -> None:
    shutil.copytree(ROOT / "jobs", image.path("/work"), dirs_exist_ok=True)
    entry, default = json.loads(image.settings["ENTRYPOINT"]), json.loads(image.settings["CMD"])
    assert "Usage: deployer" in image.run(shlex.join([*entry, *default]))
    assert "7 to create" in image.run(shlex.join([*entry, "plan"]))
    assert "0 to format" in image.run(shlex.join([*entry, "fmt", "--check"]))
    installed = image.run("python -m pip list --format=freeze").splitlines()
    names = {canonicalize_name(line.partition("==")[0]) for line in installed}
    assert names - {"pip", "setuptools"} == {*pins("install.txt"), "deployer"}
    where = "import deployer, deployer_schemas; print(deployer.__file__, deployer_schemas.__file__)"
    assert image.run(f'python -c "{where}"').count(str(image.root / "python")) == 2
    assert image.run("python -m pip check").strip() == "No broken requirements found."


@needs_wheels
@pytest.mark.slow
def test_the_image_has_git_and_a_user_without_rights(image: Stage) -> None:
    assert image.noted() == [
        "apt-get update",
        "apt-get install --yes --no-install-recommends git",
        "useradd --uid 10001 --create-home deployer",
    ]
    assert image.settings["USER"] == "10001:10001"
    assert "directory = /work" in (image.root / "gitconfig").read_text(encoding="utf-8")
    assert image.folder == "/work"


@needs_wheels
@pytest.mark.slow
def test_a_changed_wheel_is_not_installed(image: Stage, tmp_path: Path) -> None:
    changed = (ROOT / "requirements" / "install.txt").read_text(encoding="utf-8")
    changed = re.sub(r"sha256:.", "sha256:0", changed)
    (tmp_path / "install.txt").write_text(changed, encoding="utf-8")
    command = [
        "python",
        "-m",
        "pip",
        "install",
        "--require-hashes",
        "--target",
        tmp_path / "t",
        "-r",
        tmp_path / "install.txt",
    ]
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        image.run(shlex.join(map(str, command)))


def test_nothing_but_the_package_gets_into_the_image() -> None:
    visible = {path.name for path in ROOT.iterdir() if not ignored(path.name)}
    assert visible == {"LICENSE", "README.md", "deployer", "pyproject.toml", "requirements", "schemas"}
    assert ignored("deployer/cli/__pycache__")
    assert not ignored("deployer/cli/fmt.py")


def test_the_dockerfile_never_needs_a_compiler_or_root() -> None:
    steps = instructions()
    assert [arguments for name, arguments in steps if name == "FROM"] == ["${PYTHON} AS build", "${PYTHON}"]
    assert [name for name, _ in steps][-3:] == ["USER", "ENTRYPOINT", "CMD"]
    installs = [arguments for name, arguments in steps if name == "RUN" and "pip install" in arguments]
    assert all("--require-hashes" in install or "--no-index --no-deps" in install for install in installs)


# --- the pinned requirements -------------------------------------------------------------------------------


def pins(file: str) -> dict[str, str]:
    """The version of each requirement by its name; each has hashes, and no address of an index."""
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    entries = re.split(r"^(?=[a-z])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    versions = {}
    for entry in filter(None, entries):
        found = re.fullmatch(r"([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", entry)
        assert found, entry
        versions[found[1]] = found[2]
    return versions


@pytest.mark.parametrize(
    ("file", "requirements"),
    [
        (
            "install.txt",
            [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["fmt"]],
        ),
        ("build.txt", PROJECT["build-system"]["requires"]),
    ],
)
def test_the_pins_are_those_of_the_project(file: str, requirements: list[str]) -> None:
    """Each requirement is pinned within its range, with all that it requires, and nothing else is."""
    pinned = pins(file)
    needed: set[str] = set()
    waiting = [Requirement(requirement) for requirement in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not pinned; run 'make lock'"
        assert requirement.specifier.contains(pinned[name]), f"{name} {pinned[name]}: run 'make lock'"
        if name not in needed:
            needed.add(name)
            waiting += [found for found in map(Requirement, requirements_of(name)) if applies(found)]
    # Of other versions of Python; they are installed with all.
    assert set(pinned) - needed <= {"typing-extensions"}


def requirements_of(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        pytest.fail(f"{name} is not installed here, and its requirements are not known")


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})
