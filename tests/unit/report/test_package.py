"""The report package only turns values into text: it reads no file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.workspace import ROOT

MODULES = sorted((ROOT / "deployer" / "report").glob("*.py"))

# What gives access to files, but for pure paths.
MODULES_FOR_FILES = {"fileinput", "glob", "io", "pathlib", "shutil", "tempfile", "deployer.documents"}
CALLS = {
    "open",
    "fdopen",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "iterdir",
    "glob",
    "scandir",
}
# Where the rest of the output goes when nobody reads it any more.
ALLOWED = {"from pathlib import PurePath", "os.open(os.devnull, os.O_WRONLY)"}


def access_to_files(source: str) -> Iterator[str]:
    """Yield the imports and calls of a module that give access to files."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                modules = [name.name for name in names]
            case ast.ImportFrom(module=str(module), names=names):
                modules = [module, *(f"{module}.{name.name}" for name in names)]
            case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)) if name in CALLS:
                yield ast.unparse(node)
                continue
            case _:
                continue
        if any(f"{module}.".startswith(f"{files}.") for module in modules for files in MODULES_FOR_FILES):
            yield ast.unparse(node)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_report_reads_no_file(module: Path) -> None:
    assert {*access_to_files(module.read_text(encoding="utf-8"))} <= ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "open('x')",
        "path.read_text()",
        "Path(x).open('rb')",
        "os.open(x, 0)",
        "import pathlib",
        "from pathlib import Path",
        "from deployer import documents",
        "from deployer.documents.files import read_text",
    ],
)
def test_access_to_files_is_seen(source: str) -> None:
    assert not {*access_to_files(source)} <= ALLOWED
