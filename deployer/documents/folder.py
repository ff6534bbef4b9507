"""Quick reading of the files in a folder: the content of a file that nothing is special about, or None.

None says nothing but "ask `files.read_text`". A file is opened from the folder on, name by name: none may be a link, be
hidden, or lead elsewhere. So no path has to be resolved, and no link can come between a check and the opening.
"""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from types import TracebackType

from deployer.documents.files import MAX_BYTES, read_text
from deployer.documents.parse import decode
from deployer.errors import Problem

# Windows cannot open a file relative to an open folder.
_IS_POSSIBLE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


class Folder:
    """A folder whose files are read one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._root: int | None = None

    def __enter__(self) -> Folder:
        try:
            self._root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY) if _IS_POSSIBLE else None
        except OSError:
            self._root = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._root is not None:
            os.close(self._root)
            self._root = None

    def read_text(self, file: str) -> str | Problem:
        """Read `file`, whose path and links must stay in the folder, as `files.read_text` does."""
        content = self.content(file)
        return read_text(self._path, file) if content is None else decode(file, content)

    def content(self, file: str) -> bytes | None:
        """Return the content of a file; None if it has anything special."""
        *folders, name = file.split("/")
        if self._root is None or any(not part or part.startswith(".") for part in (*folders, name)):
            return None
        opened: list[int] = []
        try:
            for part in folders:
                opened.append(_opened(part, opened[-1] if opened else self._root, os.O_DIRECTORY))
            # Without waiting: it may be a pipe.
            opened.append(_opened(name, opened[-1] if opened else self._root, os.O_NONBLOCK))
            status = os.fstat(opened[-1])
            if not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                return None
            content = os.read(opened[-1], status.st_size + 1)
            return content if len(content) == status.st_size else None
        except (OSError, ValueError):
            return None
        finally:
            for descriptor in opened:
                os.close(descriptor)


def _opened(name: str, folder: int, flags: int) -> int:
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=folder)
