"""The files of an earlier commit in a temporary folder, as git has stored them.

They are read object by object: no hook, filter, submodule or configuration of the repository has a part in it, and
the checkout is not changed. What a project cannot read (hidden files, large ones) is left out.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deployer.documents.files import MAX_FILE_BYTES, is_hidden
from deployer.errors import DeployerError, UsageError, similar
from deployer.state.git import GitFailed, checkout_git, git_program

MAX_FILES = 100_000
MAX_BYTES = 512 * 2**20
# Read at once: git's output is held in memory.
MAX_AT_ONCE = 32 * 2**20
MAX_REVISION = 1000

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHALLOW = (
    "the clone is shallow: fetch the whole history (actions/checkout: fetch-depth: 0; GitLab: GIT_DEPTH: 0)"
)
_PARTIAL = "the clone is partial: use a full one, without --filter"

Git = Callable[..., bytes]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of a tree: `path` is relative to the tree, `is_link` true for a symbolic link."""

    path: str
    name: str
    size: int
    is_link: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the repository that a project lies in.

    `top` is the repository's folder, `prefix` the project's in it, with a slash at its end or empty.
    """

    id: str
    top: Path
    prefix: str
    git: Git

    @contextmanager
    def project(self, extra: Collection[Path] = ()) -> Iterator[Path]:
        """Write the files of the project into a temporary folder, and return the project's folder in it.

        `extra` are other files that are read, relative to `top`; those that the commit does not have are left
        out. The place of a file in the folder is the one that it has in the repository. Raises DeployerError.
        """
        with tempfile.TemporaryDirectory(prefix="deployer-commit-", ignore_cleanup_errors=True) as name:
            root = Path(os.path.realpath(name))
            folder = root / self.prefix
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._write(folder, self._entries())
                self._write(root, self._named(extra))
            except (OSError, ValueError) as error:
                words = error.strerror if isinstance(error, OSError) else str(error)
                raise DeployerError(f"cannot write the files of commit {self.id[:12]}: {words}") from None
            yield folder

    def _entries(self) -> list[_Entry]:
        """Return the files of the project; none if the commit does not have its folder."""
        tree = self._name_of(self.prefix.rstrip("/"))
        if not tree or self.git("cat-file", "-t", tree).strip() != b"tree":
            return []
        listed = self.git("ls-tree", "-r", "-l", "-z", "--full-tree", tree)
        entries = [entry for record in listed.split(b"\0") if record and (entry := _entry(record))]
        if len(entries) > MAX_FILES or sum(entry.size for entry in entries) > MAX_BYTES:
            most = f"{MAX_FILES} files or {MAX_BYTES // 2**20} MiB"
            raise DeployerError(
                f"--changed-since: the project has more than {most} in commit {self.id[:12]}; leave the option out"
            )
        return entries

    def _name_of(self, path: str) -> str:
        """Return the id of a file or folder in the commit; empty if it does not have it."""
        try:
            found = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{self.id}:{path}")
        except GitFailed:
            return ""
        return found.decode().strip()

    def _named(self, files: Collection[Path]) -> list[_Entry]:
        found = []
        for path in (file.as_posix() for file in files):
            name = self._name_of(path)
            if name and self.git("cat-file", "-t", name).strip() == b"blob":
                size = int(self.git("cat-file", "-s", name))
                if size <= MAX_FILE_BYTES:
                    found.append(_Entry(path, name, size, is_link=False))
        return found

    def _write(self, folder: Path, entries: Sequence[_Entry]) -> None:
        for entry, content in self._contents(entries):
            path = folder / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if not entry.is_link and not path.exists():
                with path.open("xb") as file:
                    file.write(content)
        # Last: nothing is written through a link. Readers refuse those that lead out of the project.
        for entry, content in self._contents([entry for entry in entries if entry.is_link]):
            (folder / entry.path).symlink_to(os.fsdecode(content))

    def _contents(self, entries: Sequence[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
        for part in _parts(entries):
            output = self.git("cat-file", "--batch", data="".join(f"{each.name}\n" for each in part).encode())
            at = 0
            for entry in part:
                end = output.index(b"\n", at)
                head = output[at:end].split()
                if len(head) != 3 or head[1] != b"blob":
                    raise DeployerError(f"--changed-since: git has no content of {entry.path}; {_PARTIAL}")
                begin = end + 1
                at = begin + int(head[2]) + 1
                yield entry, output[begin : at - 1]


def _parts(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    part: list[_Entry] = []
    size = 0
    for entry in entries:
        if part and size + entry.size > MAX_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(entry)
        size += entry.size
    if part:
        yield part


def _entry(record: bytes) -> _Entry | None:
    """Return a file of `ls-tree -l -z`; None for a submodule, and for what a project cannot read."""
    facts, _, name = record.partition(b"\t")
    mode, sort, identifier, size = facts.decode().split()
    path = os.fsdecode(name)
    parts = path.split("/")
    if sort != "blob" or {"", ".", ".."} & {*parts} or is_hidden(PurePosixPath(path)):
        return None
    if not size.isdecimal():
        raise DeployerError(f"--changed-since: git has no content of {path}; {_PARTIAL}")
    if int(size) > MAX_FILE_BYTES:
        return None
    return _Entry(path, identifier, int(size), is_link=mode == "120000")


def merge_base(
    folder: Path, revision: str, environment: Mapping[str, str], hidden: Collection[str] = ()
) -> Commit:
    """Return the last common commit of a revision and of what is checked out in `folder`. Raises UsageError."""
    shown = f"--changed-since {revision}"
    if not revision.strip() or not revision.isprintable() or len(revision) > MAX_REVISION:
        raise UsageError(f"{shown[: MAX_REVISION + 20]}: expected a branch, a tag or a commit")
    if not git_program(environment):
        raise UsageError(f"{shown}: needs git, which was not found on PATH")
    git = checkout_git(folder, environment, hidden)
    try:
        top = Path(os.fsdecode(git("rev-parse", "--show-toplevel")[:-1]))
        prefix = os.fsdecode(git("rev-parse", "--show-prefix")[:-1])
    except GitFailed as error:
        raise UsageError(f"{shown}: {folder} is not in the work tree of a git repository: {error}") from None
    given = _commit(git, revision)
    if not given:
        raise UsageError(f"{shown}: {_unknown(git, revision)}")
    if not _commit(git, "HEAD"):
        raise UsageError(f"{shown}: the repository has no commit yet")
    try:
        base = git("merge-base", given, "HEAD").decode().strip()
    except GitFailed:
        why = _SHALLOW if _is_shallow(git) else "their histories are unrelated"
        raise UsageError(f"{shown}: has no common commit with what is checked out; {why}") from None
    if not _COMMIT.fullmatch(base):
        raise UsageError(f"{shown}: git named no commit")
    return Commit(base, top, prefix, git)


def _commit(git: Git, revision: str) -> str:
    """Return the id of the commit that a revision names; empty if there is none."""
    try:
        # What is after --end-of-options is never an option.
        found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except GitFailed:
        return ""
    name = found.decode(errors="replace").strip()
    return name if _COMMIT.fullmatch(name) else ""


def _unknown(git: Git, revision: str) -> str:
    if _is_shallow(git):
        return f"no such revision; {_SHALLOW}"
    refs = git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
    names = refs.decode(errors="replace").split()
    return f"no such revision{similar(revision, names)}; a branch of the remote is fetched with: git fetch"


def _is_shallow(git: Git) -> bool:
    return git("rev-parse", "--is-shallow-repository").strip() == b"true"
