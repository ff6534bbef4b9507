"""The globs of `exclude` in deployer.yaml: the files and folders that are no part of the project.

A glob is compared with a whole path, name by name: matching takes no longer than the product of both, whatever a pull
request writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate

from deployer.errors import Code, Problem
from deployer.model import Document, Location

# Any number of folders, none too.
_ANY_FOLDERS = "**"


@dataclass(frozen=True, slots=True)
class Glob:
    """A glob as it is written, and where. `parts` are the patterns of the names in a path; None is `**`."""

    text: str
    location: Location
    parts: tuple[re.Pattern[str] | None, ...]

    @property
    def is_of_folders(self) -> bool:
        return self.text.endswith("/")

    def matches(self, names: Sequence[str]) -> bool:
        """Return whether the path of these names matches, from the project's folder on."""
        reached = self._with_skipped({0})
        for name in names:
            followed = set()
            for at in reached:
                part = self.parts[at] if at < len(self.parts) else _NOTHING
                if part is None:
                    followed.add(at)
                elif part.match(name):
                    followed.add(at + 1)
            reached = self._with_skipped(followed)
        return len(self.parts) in reached

    def _with_skipped(self, reached: set[int]) -> set[int]:
        """Add the positions after each `**`, which may stand for no folder."""
        for at, part in enumerate(self.parts):
            if part is None and at in reached:
                reached.add(at + 1)
        return reached


_NOTHING = re.compile(r"(?!)")


class Excludes:
    """The globs of a project, and which of them have matched a path."""

    def __init__(self, globs: Iterable[Glob]) -> None:
        self._globs = tuple(globs)
        self._used: set[int] = set()

    def excluded(self, path: str, *, is_folder: bool) -> bool:
        """Return whether the globs exclude a file or folder whose own folder they do not exclude."""
        names = path.split("/")
        used = {number for number, _ in self._matching(names, is_folder=is_folder)}
        self._used |= used
        return bool(used)

    def of(self, path: str, *, is_folder: bool) -> Glob | None:
        """Return the glob that excludes a path, or one of the folders that it is in; None if there is none."""
        names = path.split("/")
        for end in range(1, len(names) + 1):
            for _, glob in self._matching(names[:end], is_folder=is_folder or end < len(names)):
                return glob
        return None

    def unused(self) -> list[Problem]:
        """Return a warning for each glob that has matched nothing in all calls of `excluded`."""
        return [
            Problem(
                glob.location,
                f"'{glob.text}' excludes no YAML file and no folder that would be read",
                Code.UNUSED_EXCLUDE,
                "warning",
            )
            for number, glob in enumerate(self._globs)
            if number not in self._used
        ]

    def _matching(self, names: Sequence[str], *, is_folder: bool) -> Iterator[tuple[int, Glob]]:
        for number, glob in enumerate(self._globs):
            if (is_folder or not glob.is_of_folders) and glob.matches(names):
                yield number, glob


def excludes(document: Document) -> Excludes | None:
    """Return the globs of a valid deployer.yaml; None without any."""
    texts = document.value.get("exclude")
    if not texts:
        return None
    return Excludes(
        glob_of(text, document.location(("exclude", number))) for number, text in enumerate(texts)
    )


def glob_of(text: str, location: Location) -> Glob:
    names = text.removesuffix("/").split("/")
    return Glob(
        text,
        location,
        tuple(None if name == _ANY_FOLDERS else re.compile(translate(name)) for name in names),
    )
