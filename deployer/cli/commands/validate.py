"""`deployer validate`"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from deployer.cli import session
from deployer.cli.examples import examples
from deployer.cli.options import (
    Options,
    all_targets_option,
    changed_since_option,
    format_option,
    project_command,
    report_option,
)
from deployer.documents.budget import Budget
from deployer.errors import Exit, InvalidInput, Problem, UsageError
from deployer.escape import printable
from deployer.project.load import Project
from deployer.project.load import load as load_project
from deployer.report import findings
from deployer.report.terminal import err, out
from deployer.report.text import SEVERITY_COLOURS, count

FORMATS = ("text", "json", "github")
REPORTS = ("json", "junit", "sarif")


@dataclass(frozen=True, slots=True)
class _TargetResult:
    """The result for one target. `loaded` is None if deployer.yaml or a values file is invalid."""

    problems: tuple[Problem, ...]
    loaded: session.LoadedProject | None = None

    @property
    def jobs(self) -> int:
        return len(self.loaded.jobs) if self.loaded else 0


EXAMPLES = examples(
    ("Validate the project for every target", "deployer validate --all-targets"),
    (
        "Write the findings for a CI that reads JUnit, and for code scanning",
        "deployer validate --report junit=validate.xml --report sarif=validate.sarif",
    ),
    ("Treat warnings as errors, and annotate a pull request", "deployer validate --strict --format github"),
)


@click.command("validate", epilog=EXAMPLES)
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@all_targets_option
@changed_since_option
@format_option(*FORMATS)
@report_option(*REPORTS)
@click.option("-v", "--verbose", is_flag=True, help="Show the resources of each job's sc_type.")
@project_command
def command(options: Options, style: str, *, strict: bool, reports: Sequence[str], verbose: bool) -> Exit:
    """Validate all manifests offline: templates, YAML, schema, rules and lifecycle.

    The whole project is validated, whatever PATH selects.
    """
    one = partial(_validate, style=style, strict=strict, reports=reports, verbose=verbose)
    if len(session.paths_by_project(options)) <= 1:
        return one(options, out)
    if reports:
        raise UsageError("--report writes reports on one project: run validate once for each")
    from deployer.cli import several

    return several.run(options, "validate", style, one, by_target=False)


def _validate(
    options: Options,
    show: Callable[[str], object],
    budget: Budget | None = None,
    *,
    style: str,
    strict: bool,
    reports: Sequence[str],
    verbose: bool,
) -> Exit:
    """Validate one project, for one target or several, and `show` the report."""
    are_several = options.all_targets or len(options.targets) > 1
    folder = session.project_folder(options)
    files = []
    if reports:
        from deployer.cli.report_files import report_files

        files = report_files(reports, REPORTS, folder)
    checked = _targets(folder, options, budget) if are_several else _one_target(options, budget)
    found = findings.for_targets({target: result.problems for target, result in checked.items()})
    errors, warnings = _counts((result.problem for result in found), strict=strict)
    summary = _summaries(checked, strict=strict) if are_several else _summary(checked)

    def as_json() -> str:
        return findings.json(found, valid=not errors, errors=errors, warnings=warnings, **summary)

    if files:
        from deployer.cli.report_files import write

        others = _reports(checked, found, folder, strict=strict)
        write(files, {"json": as_json, **others})
    if style == "json":
        show(as_json())
    else:
        _show(found, folder, show if style == "github" else None)
        if verbose:
            for line in _sizes(checked):
                show(line)
        counted = f"{count(errors, 'error')}, {count(warnings, 'warning')}"
        jobs = ", ".join(
            f"{count(result.jobs, 'job')} for target {printable(target)}"
            for target, result in checked.items()
        )
        show(f"Invalid: {counted}." if errors else f"Valid: {jobs}; {counted}.")
    return Exit.INVALID if errors else Exit.DONE


def _show(found: Sequence[findings.Finding], folder: Path, annotate: Callable[[str], object] | None) -> None:
    """Print findings; with `annotate`, each is given to it as an annotation for GitHub."""
    if annotate:
        for line in findings.github(found, _in_repository(folder)):
            annotate(line)
    elif found:
        from deployer.cli.source_lines import SourceLines

        source_of = SourceLines(folder).at
        for line in findings.text(found, in_full=tuple(SEVERITY_COLOURS), source_of=source_of):
            err(line)


def _reports(
    checked: Mapping[str, _TargetResult], found: Sequence[findings.Finding], folder: Path, *, strict: bool
) -> Mapping[str, Callable[[], str]]:
    """Return what formats the findings for other programs, by the name of the format."""

    def as_junit() -> str:
        from deployer.report.junit import junit

        problems = {target: result.problems for target, result in checked.items()}
        sources = {
            target: [job.source.file for job in result.loaded.jobs] if result.loaded else []
            for target, result in checked.items()
        }
        return junit(problems, sources, strict=strict)

    def as_sarif() -> str:
        from deployer.report.sarif import sarif
        from deployer.schema.explain import diagnostics
        from deployer.schema.rules import rules

        about = {rule.code: rule.reason for rule in rules()}
        about |= {code: entry.title for code, entry in diagnostics().items()}
        return sarif(found, _in_repository(folder), about, strict=strict)

    return {"junit": as_junit, "sarif": as_sarif}


def _one_target(options: Options, budget: Budget | None) -> dict[str, _TargetResult]:
    """Return the result for the selected target by its name; empty if that is unknown."""
    checked = _checked(options, budget)
    name = checked.loaded.target.name if checked.loaded else options.target
    return {name or "": checked}


def _targets(folder: Path, options: Options, budget: Budget | None) -> dict[str, _TargetResult]:
    """Return the result for each target by name. Raises UsageError for an unknown one."""
    try:
        project = load_project(folder)
    except InvalidInput as error:
        return {"": _TargetResult(error.problems)}
    budget, checked = budget or Budget(), {}
    names = (
        project.targets if options.all_targets else [project.target(name).name for name in options.targets]
    )
    for target in dict.fromkeys(names):
        checked[target] = _checked(replace(options, target=target), budget, project)
        if budget.exceeded:
            break
    return checked


def _checked(options: Options, budget: Budget | None = None, project: Project | None = None) -> _TargetResult:
    try:
        loaded = session.load(options, budget, project)
    except InvalidInput as error:
        return _TargetResult(error.problems)
    if loaded.comparison:
        return _TargetResult(tuple(loaded.comparison.findings(loaded.problems, loaded.jobs)), loaded)
    return _TargetResult(loaded.problems, loaded)


def _counts(problems: Iterable[Problem], *, strict: bool) -> tuple[int, int]:
    """Count errors and warnings."""
    severities = [problem.severity for problem in problems if problem.severity != "note"]
    errors = len(severities) if strict else severities.count("error")
    return errors, len(severities) - errors


def _summary(checked: Mapping[str, _TargetResult]) -> dict[str, Any]:
    [(target, result)] = checked.items()
    return {"target": target or None, "jobs": result.jobs}


def _summaries(checked: Mapping[str, _TargetResult], *, strict: bool) -> dict[str, Any]:
    return {
        "targets": {
            target: {"valid": not _counts(result.problems, strict=strict)[0], "jobs": result.jobs}
            for target, result in checked.items()
            if target
        }
    }


def _sizes(checked: Mapping[str, _TargetResult]) -> Iterator[str]:
    from deployer.schema.explain import sizes

    for target, result in checked.items():
        where = f" (target {printable(target)})" if len(checked) > 1 else ""
        for job in result.loaded.selected_jobs if result.loaded else ():
            if words := sizes(job):
                yield f"{printable(str(job.identity))}{where}: {printable(words)}"


def _in_repository(folder: Path) -> str:
    """Return the project's folder relative to the folder that GitHub resolves paths in."""
    from deployer.cli.report_files import in_repository

    return in_repository(folder, os.environ, ("GITHUB_WORKSPACE",))
