"""The source lines of findings: each file is read once; lines with secrets are hidden."""

from __future__ import annotations

from pathlib import Path

from deployer.documents.files import read_text
from deployer.errors import InvalidInput
from deployer.model import Location
from deployer.report import findings
from deployer.report.findings import SourceLine
from deployer.report.terminal import err
from deployer.secrets.excerpt import HIDDEN, sensitive_keys, shown_lines

# Of all files together: the search for secrets is slow.
MAX_CHARACTERS = 400_000


def report_invalid(error: InvalidInput) -> None:
    """Print all findings of an error, with their source lines."""
    source_of = SourceLines(error.folder).at
    for line in findings.text(findings.for_one_target(error.problems), source_of=source_of):
        err(line)


class SourceLines:
    """The lines of the files in a project's `folder`, read on first use; without a folder there are none.

    Files beyond `MAX_CHARACTERS` are omitted.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._left = MAX_CHARACTERS
        self._files: dict[str, list[str]] = {}

    def at(self, location: Location) -> SourceLine | None:
        """Return the line at a location, None if it cannot be shown."""
        if location.file not in self._files:
            self._files[location.file] = self._read(location.file)
        lines = self._files[location.file]
        if not 0 < location.line <= len(lines):
            return None
        line = lines[location.line - 1]
        return SourceLine(line, 0 if line == HIDDEN else max(1, min(location.column, len(line) + 1)))

    def _read(self, file: str) -> list[str]:
        text = read_text(self._folder, file) if self._folder else None
        if not isinstance(text, str) or len(text) > self._left:
            return []
        self._left -= len(text)
        return shown_lines(text, sensitive_keys())
