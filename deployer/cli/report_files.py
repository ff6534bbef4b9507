"""`--report FORMAT=FILE`: reports in files, each written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from deployer import __version__
from deployer.documents.atomic import replace_file
from deployer.errors import DeployerError, UsageError, nearest
from deployer.planning.saved_plan import destination
from deployer.report.origin import Origin, files_url

SUFFIXES = {
    "html": ".html",
    "json": ".json",
    "junit": ".xml",
    "markdown": ".md",
    "sarif": ".sarif",
    "text": ".txt",
}

# The variables of a CI with the folder of its checkout.
WORKSPACES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file for a report; `named` is the path as it was given."""

    format: str
    named: str
    path: Path


def report_files(reports: Sequence[str], formats: Sequence[str], folder: Path) -> list[ReportFile]:
    """Return the files of `--report FORMAT=FILE` for a project in `folder`. Raises UsageError.

    A committed symbolic link must not redirect a report to a file outside the project.
    """
    files: list[ReportFile] = []
    for report in reports:
        style, equals, named = report.partition("=")
        if style not in formats:
            raise UsageError(f"--report {report}: unknown format '{style}'{nearest(style, formats)}")
        if not equals or not named:
            raise UsageError(
                f"--report {report}: expected FORMAT=FILE, for example {style}=report{SUFFIXES[style]}"
            )
        path = destination(named, folder, f"--report {style}=", SUFFIXES[style])
        if path in {file.path for file in files}:
            raise UsageError(f"--report {report}: another report is written to this file")
        files.append(ReportFile(style, named, path))
    return files


def write(files: Iterable[ReportFile], formatted: Mapping[str, Callable[[], str]]) -> None:
    """Write each file atomically, in its format. Raises DeployerError."""
    for file in files:
        text = formatted[file.format]()
        content = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "backslashreplace")
        try:
            replace_file(file.path, content, prefix=".report-", mode=_mode(file.path))
        except OSError as error:
            raise DeployerError(f"cannot write the report {file.named}: {error.strerror}") from None


def _mode(path: Path) -> int:
    """Return the permissions of a file: those that it has, or those of a new one."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def origin(folder: Path, environment: Mapping[str, str]) -> Origin:
    """Return the origin of a report on the project in `folder`."""
    from deployer.apply.provenance import revision

    return Origin(
        __version__,
        revision(folder, environment),
        datetime.now(UTC),
        files_url(environment),
        in_repository(folder, environment),
    )


def in_repository(folder: Path, environment: Mapping[str, str], variables: Sequence[str] = WORKSPACES) -> str:
    """Return the project's folder relative to the top of the repository, which one of `variables` may name.

    Outside of a CI or of its checkout, that is the folder where the command was started.
    """
    real = Path(os.path.realpath(folder))
    for variable in variables:
        workspace = environment.get(variable, "")
        if workspace and real.is_relative_to(os.path.realpath(workspace)):
            return Path(os.path.relpath(real, os.path.realpath(workspace))).as_posix()
    started_in = click.get_current_context().obj["started_in"] or str(real)
    return Path(os.path.relpath(real, os.path.realpath(started_in))).as_posix()
