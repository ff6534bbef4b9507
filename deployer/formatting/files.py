"""The files that are formatted: those of a project, read and written without following links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.documents.atomic import replace_file
from deployer.documents.files import is_hidden, read_text
from deployer.documents.folder import Folder
from deployer.documents.parse import decode
from deployer.errors import DeployerError, Problem, UsageError
from deployer.formatting.expressions import LeftAlone
from deployer.formatting.format import formatted
from deployer.formatting.layout import ENVELOPE, PROJECT
from deployer.project.load import PROJECT_FILE, find, load, project_files

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a project; `name` is relative to its folder."""

    folder: Path
    name: str
    is_manifest: bool

    @property
    def path(self) -> Path:
        return self.folder / self.name


@dataclass(frozen=True, slots=True)
class Result:
    """A file and what it should contain. Without `after`, it is `alone`, or has `problems`."""

    file: File
    before: bytes = b""
    after: bytes | None = None
    alone: LeftAlone | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def is_changed(self) -> bool:
        return self.after is not None and self.after != self.before


def selected(paths: Sequence[str]) -> tuple[list[File], list[str]]:
    """Return the files of the projects that `paths` lie in, and the paths that are no file of a project.

    Raises UsageError, and InvalidInput for a project file that is not valid.
    """
    files: dict[Path, File] = {}
    strangers: list[str] = []
    projects: dict[Path, list[File]] = {}
    for path in paths or (".",):
        try:
            named = Path(os.path.abspath(path))  # noqa: PTH100 - without following links
        except FileNotFoundError:
            raise UsageError("the current folder has been removed") from None
        is_folder = named.is_dir()
        if not is_folder and not os.path.lexists(named):
            raise UsageError(f"{path}: no such file or folder")
        try:
            folder = find(named if is_folder else named.parent)
        except UsageError:
            if is_folder:
                raise
            strangers.append(path)
            continue
        if folder not in projects:
            projects[folder] = list(_files(folder))
        found = [
            file
            for file in projects[folder]
            if (file.path.is_relative_to(named) if is_folder else file.path == named)
        ]
        if not found and not is_folder:
            strangers.append(path)
        files |= {file.path: file for file in found}
    return list(files.values()), strangers


def _files(folder: Path) -> Iterator[File]:
    project = load(folder)
    yield File(folder, PROJECT_FILE, is_manifest=False)
    for name in sorted({os.path.normpath(values) for values in project.values_files}):
        # Those that another project shares with it are formatted there.
        if not name.startswith("..") and not is_hidden(Path(name)) and os.path.lexists(folder / name):
            yield File(folder, name, is_manifest=False)
    found = project_files(project, ())
    for name in found.of_folders:
        yield File(folder, name, is_manifest=False)
    for name in found.manifests:
        yield File(folder, name, is_manifest=True)


def result(file: File) -> Result:
    """Return what a file should contain."""
    with Folder(file.folder) as folder:
        content = folder.content(Path(file.name).as_posix())
    if content is None:
        text = read_text(file.folder, file.name)
        if isinstance(text, Problem):
            return Result(file, problems=(text,))
        reason = "it is a link" if file.path.is_symlink() else "it is large or inside of a linked folder"
        return Result(file, alone=LeftAlone(reason))
    decoded = decode(file.name, content)
    if isinstance(decoded, Problem):
        return Result(file, content, problems=(decoded,))
    order = ENVELOPE if file.is_manifest else PROJECT if file.name == PROJECT_FILE else ()
    after = formatted(file.name, decoded, order=order, is_template=file.is_manifest)
    if isinstance(after, LeftAlone):
        return Result(file, content, alone=after)
    if isinstance(after, tuple):
        return Result(file, content, problems=after)
    return Result(file, content, (_BOM if content.startswith(_BOM) else b"") + after.encode())


def write(found: Result) -> None:
    """Replace the content of a file at once, unless somebody has changed the file meanwhile. Raises DeployerError."""
    path, after = found.file.path, found.after
    if after is None:
        return
    try:
        real = os.path.join(os.path.realpath(found.file.folder), found.file.name)  # noqa: PTH118
        if os.path.realpath(path) != os.path.normpath(real) or path.read_bytes() != found.before:
            raise DeployerError(f"{path}: not written; it has changed meanwhile")
        replace_file(path, after, prefix=".deployer-fmt-", mode=stat.S_IMODE(path.stat().st_mode))
    except OSError as error:
        raise DeployerError(f"cannot write {path}: {error.strerror}") from None
