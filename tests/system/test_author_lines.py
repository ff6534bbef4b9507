"""Mistakes in templated manifests are reported at the position that the author would look for.

The cases are the files of tests/cases/author-lines; the README there says how to add one. The places were put
down by hand, from what the author meant. What `deployer` says had no part in it.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.cli import run
from testing.workspace import ROOT, Workspace

FOLDER = ROOT / "tests" / "cases" / "author-lines"
PROJECT = ("deployer.yaml", "values.yaml")
MARK = b"@@"
HEADER = b"#! "


@dataclass(frozen=True)
class Case:
    """A mistake: the files that make it, the code and words of its error, and its position."""

    name: str
    files: dict[str, bytes]
    code: str
    message: str
    position: str
    """`FILE:LINE:COLUMN`, or `FILE:LINE` where YAML's parser notices the mistake further on in its line."""

    def cut(self, position: str) -> str:
        """Return a position as exact as that of this case."""
        return ":".join(position.split(":")[: self.position.count(":") + 1])


def read(path: Path) -> Case:
    """Read a case: a file, or a folder of the files of a project."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    files: dict[str, bytes] = {}
    expected: dict[str, Any] = {}
    position = ""
    for file in paths:
        lines = file.read_bytes().splitlines(keepends=True)
        header = [line for line in lines if line.startswith(HEADER)]
        assert lines[: len(header)] == header, f"{file}: lines with '#!' stand at the top"
        expected |= yaml.safe_load(b"".join(line.removeprefix(HEADER) for line in header)) or {}
        text = b"".join(lines[len(header) :])
        before, mark, after = text.partition(MARK)
        files[file.name] = before + after
        if mark:
            assert not position, f"{path}: more than one mark"
            assert MARK not in after, f"{path}: more than one mark"
            _, _, beside = before.rpartition(b"\n")
            line = before.count(b"\n") + 1
            position = f"{file.name}:{line}:{len(beside.decode()) + 1}"
    assert position, f"{path}: no mark"
    assert expected.keys() <= {"code", "message", "column"}, path
    if not expected.get("column", True):
        position = position.rpartition(":")[0]
    return Case(path.stem, files, expected["code"], expected.get("message", ""), position)


PATHS = [path for path in sorted(FOLDER.iterdir()) if path.name not in PROJECT]
FILES = [read(path) for path in PATHS if path.is_file()]
FOLDERS = [read(path) for path in PATHS if path.is_dir()]

Error = tuple[str, dict[str, Any]]


def errors(out: str) -> Iterator[Error]:
    """Yield each error in the JSON of `validate`: its `file:line:column`, and all of it."""
    for finding in json.loads(out)["findings"]:
        if finding["severity"] == "error":
            yield f"{finding['file']}:{finding['line']}:{finding['column']}", finding


def write(folder: Path, *cases: Case) -> None:
    """Write the cases into one project."""
    files = {name: (FOLDER / name).read_bytes() for name in PROJECT}
    for case in cases:
        files |= case.files
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Error]]:
    """The errors that one run finds in all cases of one file, by file."""
    folder = tmp_path_factory.mktemp("lines")
    write(folder, *FILES)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(["validate", "--format", "json", "-C", str(folder)]) == 4
    by_file: dict[str, list[Error]] = {}
    for position, finding in errors(out.getvalue()):
        by_file.setdefault(finding["file"], []).append((position, finding))
    return by_file


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_one_mistake(case: Case, found: dict[str, list[Error]]) -> None:
    (file,) = case.files
    check(case, found.get(file, []))


def test_no_other_file_has_a_mistake(found: dict[str, list[Error]]) -> None:
    """Each case is told in its own file only."""
    assert found.keys() == {case.position.split(":")[0] for case in FILES}


@pytest.mark.parametrize("case", FOLDERS, ids=lambda case: case.name)
def test_a_mistake_of_a_project(case: Case, bare: Workspace) -> None:
    write(bare.folder, case)
    ran = bare.run("validate", "--format", "json")
    assert ran.code == 4
    found = list(errors(ran.out))
    check(case, found)
    assert len(found) == 1


def check(case: Case, found: list[Error]) -> None:
    assert {(case.cut(position), finding["code"]) for position, finding in found} == {
        (case.position, case.code)
    }
    assert all(case.message in finding["message"] for _, finding in found)
