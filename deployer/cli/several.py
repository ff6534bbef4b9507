"""One verb for several targets or projects: one after the other, each as if it were run by itself.

Each has its own client, credentials and secrets. What fails for one does not stop the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from deployer.cli import session
from deployer.cli.options import Options, selector
from deployer.cli.source_lines import report_invalid
from deployer.documents.budget import Budget
from deployer.errors import DeployerError, Exit, Interrupted, InvalidInput, NothingSelected, UsageError
from deployer.escape import json_text, printable
from deployer.planning.plan_json import FORMAT_VERSION
from deployer.project.load import load as load_project
from deployer.report import text
from deployer.report.terminal import err, out

# The exit code of all is the first of these that one of them has: a failure before a finding.
WORST_FIRST = (
    Exit.INTERRUPTED,
    Exit.UNKNOWN,
    Exit.PARTLY,
    Exit.ERROR,
    Exit.INVALID,
    Exit.USAGE,
    Exit.STALE,
    Exit.BLOCKED,
    Exit.CHANGES,
    Exit.DONE,
)
FORMATS = ("text", "json", "markdown", "github", "yaml")

# Runs the verb for one target, and gives its report to the function.
Verb = Callable[[Options, Callable[[str], object], Budget], Exit]


@dataclass(slots=True)
class _Part:
    """A project and target of the command. `error` is why it has no report, `printed` its reports.

    `invalid` is the error of a project file that cannot be used at all.
    """

    folder: str
    target: str
    options: Options
    invalid: InvalidInput | None = None
    code: Exit = Exit.DONE
    error: str = ""
    selects_nothing: bool = False
    printed: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        return " -> ".join(filter(None, (self.folder, self.target)))


def run(options: Options, name: str, style: str, verb: Verb, *, by_target: bool = True) -> Exit:
    """Run a verb for each project and target, and return the worst exit code. Raises UsageError.

    `name` is the verb's, for the key of its documents in JSON. Without `by_target` it is run for each project.
    """
    if style not in FORMATS:
        raise UsageError(f"--format {style} shows one target at a time")
    selector(options.select)
    parts = list(_parts(options) if by_target else _projects(options))
    report = _REPORTS.get(style, _Text)(name)
    budget = Budget()
    for part in parts:
        report.begin(part)
        _run(part, verb, report, budget)
    if parts and all(part.selects_nothing for part in parts):
        raise NothingSelected(parts[0].error)
    code = worst([part.code for part in parts])
    report.end(parts, code)
    return code


def worst(codes: Sequence[Exit]) -> Exit:
    """Return the code that comes first in `WORST_FIRST`; DONE without any."""
    return min(codes, key=WORST_FIRST.index, default=Exit.DONE)


def by_project(options: Options) -> list[Options]:
    """Return the options of each project that PATHs lie in, with its PATHs. Raises UsageError."""
    found = session.paths_by_project(options)
    return [replace(options, paths=paths) for paths in found.values()] if len(found) > 1 else [options]


def _parts(options: Options) -> Iterator[_Part]:
    """Yield the projects and targets in the order in which they are named. Raises UsageError for unknown targets."""
    projects = by_project(options)
    unknown: list[str] = []
    parts: list[_Part] = []
    for of_project in projects:
        folder = session.project_folder(of_project)
        shown = label(folder) if len(projects) > 1 else ""
        try:
            project = load_project(folder)
        except InvalidInput as error:
            if len(projects) == 1:
                raise
            parts.append(_Part(shown, "", of_project, error))
            continue
        names = project.targets if options.all_targets else dict.fromkeys(options.targets or (None,))
        for name in names:
            try:
                target = project.target(name).name
            except UsageError as error:
                unknown.append(f"{shown}: {error}" if shown else str(error))
                continue
            targets = (name,) if name else ()
            one = replace(of_project, target=name, targets=targets, all_targets=False)
            parts.append(_Part(shown, target, one))
    if unknown:
        raise UsageError("; ".join(unknown))
    yield from parts


def _projects(options: Options) -> Iterator[_Part]:
    """Yield the projects in the order in which they are named."""
    for of_project in by_project(options):
        yield _Part(label(session.project_folder(of_project)), "", of_project)


def label(folder: Path) -> str:
    """Return a project's folder as it is shown: from the current folder if it lies in it."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def _run(part: _Part, verb: Verb, report: _Text, budget: Budget) -> None:
    """Run the verb for one part, and report its error."""
    try:
        if part.invalid:
            raise part.invalid
        part.code = verb(part.options, lambda printed: report.show(part, printed), budget)
    except Interrupted:
        raise
    except NothingSelected as error:
        # A job may exist for one of the targets only.
        part.error, part.selects_nothing = str(error), True
        session.note(f"{part.label}: {error}")
    except InvalidInput as error:
        part.code, part.error = error.exit_code, "invalid manifests or project files"
        _report(part)
        report_invalid(error)
    except DeployerError as error:
        part.code, part.error = error.exit_code, str(error)
        _report(part)


def _report(part: _Part) -> None:
    err(text.error(f"{part.label}: {part.error}"))


class _Text:
    """Reports as text, each below a heading, and the exit codes at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_first = True

    def begin(self, part: _Part) -> None:
        if not self.is_first:
            out()
        self.is_first = False
        out(click.style(f"== {printable(part.label)}", bold=True))

    def show(self, part: _Part, printed: str) -> None:
        part.printed.append(printed)
        out(printed)

    def end(self, parts: Sequence[_Part], code: Exit) -> None:  # noqa: ARG002 - as the others
        codes = ", ".join(f"{part.label} {part.code.value}" for part in parts)
        out()
        out(printable(f"Exit codes: {codes}."))


class _Yaml(_Text):
    """Manifests as YAML, with the targets in comments."""

    def begin(self, part: _Part) -> None:
        out(f"# {printable(part.label)}")

    def end(self, parts: Sequence[_Part], code: Exit) -> None:
        pass


class _Json(_Text):
    """One JSON document with those of all."""

    def begin(self, part: _Part) -> None:
        session.note(part.label)

    def show(self, part: _Part, printed: str) -> None:
        part.printed.append(printed)

    def end(self, parts: Sequence[_Part], code: Exit) -> None:
        results = [self._result(part) for part in parts]
        out(json_text({"format_version": FORMAT_VERSION, "exit_code": code.value, "results": results}))

    def _result(self, part: _Part) -> dict[str, Any]:
        return {
            "folder": part.folder or None,
            "target": part.target or None,
            "exit_code": part.code.value,
            "error": part.error or None,
            self.name: json.loads(part.printed[0]) if part.printed else None,
        }


class _Markdown(_Text):
    """Reports for one comment on a pull request: those that have no room are named."""

    def begin(self, part: _Part) -> None:
        session.note(part.label)

    def show(self, part: _Part, printed: str) -> None:
        part.printed.append(printed)

    def end(self, parts: Sequence[_Part], code: Exit) -> None:  # noqa: ARG002 - as the others
        from deployer.report.sections import Section, markdown

        sections = [
            Section(part.label, part.code.value, part.error, "\n".join(part.printed)) for part in parts
        ]
        out(markdown(sections))


_REPORTS: dict[str, type[_Text]] = {"json": _Json, "markdown": _Markdown, "yaml": _Yaml}
