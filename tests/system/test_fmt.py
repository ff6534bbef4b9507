"""`deployer fmt`: what it writes, what it leaves alone, and that nothing but the layout changes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.errors import DeployerError, Exit
from deployer.formatting import files
from deployer.formatting.format import formatted
from deployer.formatting.layout import ENVELOPE
from deployer.kinds import KINDS
from testing.workspace import ROOT, Workspace, findings

MESSY = """\
kind: SparkBatch
spec:
    queue: 'q'
    file: obs://b/{{ x }}
metadata: {name: a}
apiVersion: deployer/v1
"""
TIDY = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: a}\nspec:\n  queue: q\n  file: obs://b/{{ x }}\n"


@pytest.fixture
def example(bare: Workspace) -> Workspace:
    """A workspace with the example project."""
    shutil.copytree(
        ROOT / "jobs", bare.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".deployer")
    )
    return bare


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.yaml")}


def test_the_example_project_is_formatted(example: Workspace) -> None:
    before = contents(example.folder)
    ran = example.run("fmt", "--check")
    assert (ran.code, ran.out) == (Exit.DONE, "11 files: 0 to format, 11 unchanged.\n")
    assert contents(example.folder) == before


def test_a_messy_project_becomes_the_example_again(example: Workspace) -> None:
    before = contents(example.folder)
    for path, content in before.items():
        text = re.sub(r"^ +", lambda spaces: spaces[0] * 2, content.decode(), flags=re.MULTILINE)
        path.write_text(text.replace("\n", " \n") + "\n\n", encoding="utf-8")
    rendered = [line for line in example.run("render").out.splitlines() if not line.startswith("---")]
    ran = example.run("fmt")
    assert ran.code == Exit.DONE
    assert ran.out.count("\n") == 12
    assert ran.out.endswith("11 files: 11 formatted, 0 unchanged.\n")
    assert contents(example.folder) == before
    assert rendered == [line for line in example.run("render").out.splitlines() if not line.startswith("---")]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_what_init_writes_is_formatted(bare: Workspace, ci: str) -> None:
    (bare.folder / "deployer.yaml").unlink()
    bare.run("init", "--ci", ci, *(f"--kind={kind}" for kind in KINDS))
    ran = bare.run("fmt", "--check", "--diff")
    assert (ran.code, ran.out) == (Exit.DONE, "8 files: 0 to format, 8 unchanged.\n"), ran.err


def test_the_manifests_of_the_documentation_are_formatted() -> None:
    blocks = [
        (page.name, block)
        for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        for block in re.findall(
            r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        if "apiVersion:" in block
    ]
    assert len(blocks) > 10
    for page, block in blocks:
        result = formatted(page, block, order=ENVELOPE, is_template=True)
        assert result == block or not isinstance(result, str), page


def test_check_names_the_files_and_writes_nothing(workspace: Workspace) -> None:
    path = workspace.write("a/messy.yaml", MESSY)
    workspace.write("tidy.yaml", TIDY)
    ran = workspace.run("fmt", "--check", "a", "tidy.yaml")
    assert (ran.code, ran.err) == (Exit.CHANGES, "")
    assert ran.out == "not formatted: a/messy.yaml\n2 files: 1 to format, 1 unchanged.\n"
    assert path.read_text(encoding="utf-8") == MESSY


def test_diff_shows_the_changes_and_writes_nothing(workspace: Workspace) -> None:
    path = workspace.write("messy.yaml", f"# ##[x]{chr(0x202E)}\n{MESSY}waive: |\n  ::error::x\n")
    ran = workspace.run("fmt", "--diff", "messy.yaml")
    assert ran.code == Exit.DONE
    assert ran.out.startswith("--- messy.yaml (current)\n+++ messy.yaml (formatted)\n@@ -1,9 +1,9 @@\n")
    assert "\n+apiVersion: deployer/v1\n" in ran.out
    assert "##[x]" not in ran.out
    assert chr(0x202E) not in ran.out
    assert "\\u003a:error" in ran.out
    assert not re.search(r"^\s*::", ran.out, re.MULTILINE)
    assert workspace.run("fmt", "--diff", "--check", "messy.yaml").code == Exit.CHANGES
    assert MESSY in path.read_text(encoding="utf-8")


def test_only_the_named_files_are_written(workspace: Workspace) -> None:
    one, other = workspace.write("one.yaml", MESSY), workspace.write("two/other.yaml", MESSY)
    one.chmod(0o640)
    ran = workspace.run("fmt", "one.yaml")
    assert (ran.code, ran.out) == (Exit.DONE, "formatted one.yaml\n1 file: 1 formatted, 0 unchanged.\n")
    assert one.read_text(encoding="utf-8") == TIDY
    assert one.stat().st_mode & 0o777 == 0o640
    assert other.read_text(encoding="utf-8") == MESSY
    assert sorted(path.name for path in workspace.folder.iterdir() if path.is_file()) == [
        "deployer.yaml",
        "one.yaml",
    ]


def test_files_of_several_projects_can_be_named(workspace: Workspace) -> None:
    workspace.write("one.yaml", MESSY)
    shutil.copytree(ROOT / "jobs", workspace.folder / "inner")
    workspace.write("inner/values/local.yaml", "a: 'b'\n")
    ran = workspace.run("fmt", "one.yaml", "inner/values/local.yaml", "inner/spark")
    assert ran.code == Exit.DONE
    assert ran.out.startswith("formatted one.yaml\nformatted inner/values/local.yaml\n6 files: 2 formatted")


def test_a_file_of_no_project_is_named(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("a:    'b'\n", encoding="utf-8")
    workspace.write(".github/x.yaml", "a:    'b'\n")
    ran = workspace.run("fmt", "--check", ".github/x.yaml", str(tmp_path / "outside.yaml"))
    assert ran.code == Exit.DONE
    assert ran.err.count("is not a manifest, values file or project file; left as it is") == 2
    assert workspace.run("fmt", "absent.yaml").code == Exit.USAGE
    assert workspace.run("fmt", str(tmp_path)).code == Exit.USAGE


def test_files_with_statements_are_named_and_left_alone(workspace: Workspace) -> None:
    text = "kind: A\nspec:\n    a: 1\n{% if x %}\n    b: 2\n{% endif %}\n"
    path = workspace.write("a.yaml", text)
    workspace.write("b.yaml", "# only {# this #}\n")
    ran = workspace.run("fmt", "a.yaml", "b.yaml")
    assert ran.code == Exit.DONE
    assert ran.err.splitlines() == [
        "note: a.yaml:4: left as it is: it has a statement ({% %})",
        "note: b.yaml:1: left as it is: it has a comment of the template ({# #})",
    ]
    assert ran.out == "2 files: 0 formatted, 0 unchanged, 2 left as they are.\n"
    assert path.read_text(encoding="utf-8") == text


def test_invalid_files_are_reported_and_the_others_formatted(workspace: Workspace) -> None:
    workspace.write("a.yaml", "kind: A\nkind: B\n")
    workspace.write("b.yaml", b"kind: \xff\n")
    workspace.write("c.yaml", "kind: {{ x\n")
    good = workspace.write("d.yaml", MESSY)
    ran = workspace.run("fmt")
    assert ran.code == Exit.INVALID
    assert findings(ran.err) == [
        "a.yaml:2:1: error: duplicate key 'kind', first defined at 1:1",
        "b.yaml:1:7: error: not UTF-8: byte 0xff",
        "c.yaml:1:7: error: the expression '{{' is not closed",
    ]
    assert "  2 | kind: B\n" in ran.err
    assert ran.out.splitlines()[-1].endswith("3 invalid.")
    assert good.read_text(encoding="utf-8") == TIDY
    assert workspace.run("fmt", "--check").code == Exit.INVALID


def test_an_invalid_project_file_is_reported(workspace: Workspace) -> None:
    workspace.write("deployer.yaml", "apiVersion: deployer/v1\nkind: Projekt\n")
    ran = workspace.run("fmt")
    assert ran.code == Exit.INVALID
    assert "deployer.yaml:" in ran.err


def test_a_byte_order_mark_and_line_ends_are_kept(workspace: Workspace) -> None:
    path = workspace.write("a.yaml", b"\xef\xbb\xbf" + MESSY.replace("\n", "\r\n").encode())
    assert workspace.run("fmt", "a.yaml").code == Exit.DONE
    assert path.read_bytes() == b"\xef\xbb\xbf" + TIDY.replace("\n", "\r\n").encode()


def test_links_are_not_written_through(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.yaml").write_text(MESSY, encoding="utf-8")
    inside = workspace.write("real.yaml", TIDY)
    (workspace.folder / "link.yaml").symlink_to(outside / "a.yaml")
    (workspace.folder / "own.yaml").symlink_to(inside)
    (workspace.folder / "folder").symlink_to(outside)
    ran = workspace.run("fmt", "link.yaml", "own.yaml", "folder/a.yaml")
    assert ran.code == Exit.INVALID
    assert findings(ran.err) == ["link.yaml: error: is outside the project folder"]
    assert "note: own.yaml: left as it is: it is a link\n" in ran.err
    assert "note: folder/a.yaml is not a manifest" in ran.err
    assert (outside / "a.yaml").read_text(encoding="utf-8") == MESSY
    assert (workspace.folder / "own.yaml").is_symlink()


def test_a_file_that_has_changed_meanwhile_is_not_written(workspace: Workspace) -> None:
    path = workspace.write("a.yaml", MESSY)
    found = files.result(files.File(workspace.folder, "a.yaml", is_manifest=True))
    path.write_text("kind: B\n", encoding="utf-8")
    with pytest.raises(DeployerError, match="changed meanwhile"):
        files.write(found)
    assert path.read_text(encoding="utf-8") == "kind: B\n"
    path.unlink()
    with pytest.raises(DeployerError, match="cannot write"):
        files.write(found)
    assert not list(workspace.folder.glob(".deployer-fmt-*"))


def test_a_folder_that_has_become_a_link_is_not_written_through(workspace: Workspace, tmp_path: Path) -> None:
    path = workspace.write("a/b.yaml", MESSY)
    found = files.result(files.File(workspace.folder, "a/b.yaml", is_manifest=True))
    path.parent.rename(tmp_path / "moved")
    path.parent.symlink_to(tmp_path / "moved")
    with pytest.raises(DeployerError, match="changed meanwhile"):
        files.write(found)
    assert (tmp_path / "moved" / "b.yaml").read_text(encoding="utf-8") == MESSY


def test_the_diff_of_a_file_without_a_last_newline(workspace: Workspace) -> None:
    workspace.write("a.yaml", b"a:\r\n    b: 1")
    ran = workspace.run("fmt", "--diff", "a.yaml")
    assert "\n a:\n-    b: 1\n\\ No newline at end of file\n+  b: 1\n" in ran.out


def test_it_names_the_extra_that_is_missing(workspace: Workspace) -> None:
    """Without ruamel.yaml, as in an install without extras."""
    program = "import sys; sys.modules['ruamel.yaml'] = None; from deployer.__main__ import main; main()"
    command = [sys.executable, "-c", program, "fmt"]
    ran = subprocess.run(command, cwd=workspace.folder, capture_output=True, text=True, check=False)
    assert ran.returncode == Exit.ERROR
    assert ran.stderr == "error: fmt requires ruamel.yaml: pip install 'deployer[fmt]'\n"


def test_started_elsewhere(workspace: Workspace) -> None:
    workspace.write("a/messy.yaml", MESSY)
    ran = workspace.run("fmt", "-C", "a", "--check")
    assert (ran.code, ran.out.splitlines()[0]) == (Exit.CHANGES, "not formatted: messy.yaml")
