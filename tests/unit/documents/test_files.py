"""Files are read as one careful function reads them, also quickly; how large one may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.documents.files import MAX_BYTES, MAX_FILE_BYTES, read_text
from deployer.documents.folder import Folder
from deployer.errors import Problem

SENTINEL = "what-stands-outside-3b7a"
FILES = (
    "a.yaml",
    "b/c.yaml",
    "b/d/e.yaml",
    "b/.f.yaml",
    ".g/h.yaml",
    "..i/j.yaml",
    "b/\udcff.yaml",
    "k\n.yaml",
)
LINKS = {
    "link": "../outside.yaml",
    "out": "../outside",
    "b/up": "../..",
    "b/far": "/proc/self/environ",
    "in": "b/d",
    "b/alias": "c.yaml",
    "shown": ".g/h.yaml",
    "loop": "loop",
    "gone": "nowhere",
    "b/zero": "/dev/zero",
}
PARTS = sorted(
    {part for file in (*FILES, *LINKS) for part in file.split("/")}
    | {"", ".", "..", "outside", "outside.yaml", "pipe", "empty.yaml", "bad.yaml", "x\0y", "x" * 300, "above"}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links and special files, some of which lead out of it."""
    above = tmp_path_factory.mktemp("above")
    made = above / "made"
    for file in FILES:
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).write_text(f"\ufeffit: {file!a}\n", "utf-8")
    (made / "empty.yaml").touch()
    (made / "bad.yaml").write_bytes(b"a: \xff")
    os.mkfifo(made / "pipe")
    (above / "outside").mkdir()
    for outside in ("outside.yaml", "outside/c.yaml", "outside/outside.yaml"):
        (above / outside).write_text(SENTINEL)
    for link, target in LINKS.items():
        (made / link).symlink_to(target)
    return made


def assert_same(folder: Path, file: str) -> str | Problem:
    with Folder(folder) as opened:
        text = opened.read_text(file)
    assert text == read_text(folder, file)
    assert SENTINEL not in str(text)
    return text


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_read_unless_it_is_hidden(folder: Path, file: str) -> None:
    text = assert_same(folder, file)
    with Folder(folder) as opened:
        content = opened.content(file)
    if "/." in f"/{file}":
        assert isinstance(text, Problem)
        assert content is None
    else:
        assert text == f"it: {file!a}\n"
        assert content is not None


@pytest.mark.parametrize(
    "link", [*LINKS, "out/outside.yaml", "in/e.yaml", "b/up/outside.yaml", "pipe", "b", "nowhere"]
)
def test_what_is_no_file_is_left_to_the_careful_reading(folder: Path, link: str) -> None:
    assert_same(folder, link)
    with Folder(folder) as opened:
        assert opened.content(link) is None


def test_a_link_that_comes_while_files_are_read(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "b").mkdir(parents=True)
    (made / "b" / "c.yaml").write_text("a: 1")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "c.yaml").write_text(SENTINEL)
    with Folder(made) as opened:
        assert opened.read_text("b/c.yaml") == "a: 1"
        (made / "b").rename(made / "d")
        (made / "b").symlink_to("../outside")
        assert str(opened.read_text("b/c.yaml")) == "b/c.yaml: error: is outside the project folder [E002]"


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert_same(tmp_path / "nowhere", "a.yaml")


@pytest.mark.parametrize("start", ["", "/", "//", "./", "../made/", "ABOVE/", "ABOVE/made/"])
@pytest.mark.parametrize("file", ["a.yaml", "b/c.yaml", "outside.yaml", "", "b"])
def test_a_name_that_begins_elsewhere(folder: Path, start: str, file: str) -> None:
    assert_same(folder, start.replace("ABOVE", str(folder.parent)) + file)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join))
def test_any_name(folder: Path, file: str) -> None:
    assert_same(folder, file)


# --- how large --------------------------------------------------------------------------------------------

MARKER = len("\n---\n")


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([MAX_BYTES], None),
        ([MAX_BYTES + 1], "larger than 2 MiB"),
        ([MAX_FILE_BYTES + 1], "larger than 2 MiB"),
        ([MAX_BYTES - MARKER] * 4, None),
        ([9] * 20_000 + [MAX_BYTES - MARKER] * 3, None),
        ([9, MAX_BYTES - MARKER + 1, 9], "a document is larger than 2 MiB"),
        ([MAX_BYTES + 9, 9], "a document is larger than 2 MiB"),
        ([9, MAX_BYTES + 9, 9], "a document is larger than 2 MiB"),
        ([9, 9, MAX_BYTES + 9], "a document is larger than 2 MiB"),
        ([MAX_BYTES - MARKER] * 5, "larger than 8 MiB"),
        ([MAX_BYTES // 2] * 8, "larger than 8 MiB"),
    ],
)
def test_a_document_and_a_file_have_a_limit(tmp_path: Path, sizes: list[int], words: str | None) -> None:
    text = "\n---\n".join("#" * size for size in sizes)
    (tmp_path / "a.yaml").write_text(text)
    found = assert_same(tmp_path, "a.yaml")
    assert (found == text) if words is None else str(found) == f"a.yaml: error: {words} [E004]"
