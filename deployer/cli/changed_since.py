"""The selection of --changed-since: the jobs whose rendered manifests differ from those of an earlier commit.

Both sides are rendered and checked by the same code, so that includes, values and defaults count; secrets are
compared by their names. Where the earlier side cannot be rendered, all jobs count as changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from deployer.cli import session
from deployer.cli.options import Options
from deployer.cloud.credentials import TOKEN_VARIABLES
from deployer.documents.budget import Budget
from deployer.errors import DeployerError, InvalidInput, Problem
from deployer.escape import printable
from deployer.model import Identity, Job, Source
from deployer.project.load import PROJECT_FILE, Project
from deployer.project.load import load as load_project
from deployer.project.target import Target
from deployer.report.terminal import err
from deployer.report.text import SEVERITY_COLOURS, count
from deployer.secrets.store import VARIABLES
from deployer.state.commit import Commit, merge_base

MAX_NAMES = 20
_SHORT = 12

# A job without its place in the files, and its spec as text.
_Content = tuple[Job, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The jobs that differ from those in `commit`, and those that it has and the work tree has not.

    `total` is the number of jobs. `why_all` is why all of them count as changed, if they do.
    """

    revision: str
    commit: str
    total: int
    selected: frozenset[Identity]
    added: frozenset[Identity] = frozenset()
    removed: tuple[Identity, ...] = ()
    why_all: str = ""

    def __str__(self) -> str:
        """Return `3 of 17 jobs changed since origin/main (1a2b3c4d5e6f)`"""
        commit = self.commit[:_SHORT]
        where = commit if self.commit.startswith(self.revision) else f"{self.revision} ({commit})"
        return f"{len(self.selected)} of {count(self.total, 'job')} changed since {where}"

    def report(self, disabled: Iterable[Identity]) -> None:
        """Print which jobs are selected, and which are not because they no longer have a manifest."""
        if self.why_all:
            word = click.style("warning", fg=SEVERITY_COLOURS["warning"], bold=True)
            err(f"{word}: {printable(f'--changed-since: all jobs count as changed: {self.why_all}')}")
        added = f", {len(self.added)} of them new" if self.added and not self.why_all else ""
        session.note(f"{self}{added}")
        if self.removed:
            off = {*disabled}
            names = [f"{each} (disabled)" if each in off else str(each) for each in self.removed[:MAX_NAMES]]
            more = f" and {len(self.removed) - MAX_NAMES} more" if len(self.removed) > MAX_NAMES else ""
            session.note(f"without a manifest since then, and not selected: {', '.join(names)}{more}")

    def findings(self, problems: Iterable[Problem], jobs: Iterable[Job]) -> Iterator[Problem]:
        """Yield the problems, without the warnings about files whose jobs are all unchanged."""
        files = {job.source.file: False for job in jobs}
        files |= {job.source.file: True for job in jobs if job.identity in self.selected}
        return (
            problem
            for problem in problems
            if problem.severity == "error" or files.get(problem.location.file, True)
        )


def compare(options: Options, found: Project, target: Target, jobs: Sequence[Job]) -> Comparison:
    """Compare the jobs of a target with those of the commit. Raises UsageError for --changed-since."""
    revision = options.changed_since or ""
    hidden = [
        name.strip()
        for listed in (VARIABLES, TOKEN_VARIABLES)
        for name in os.environ.get(listed, "").split(",")
    ]
    commit = merge_base(found.folder, revision, os.environ, hidden)
    every = frozenset(job.identity for job in jobs)
    before = _jobs_at(commit, options, found, target)
    if isinstance(before, str):
        return Comparison(revision, commit.id, len(jobs), every, why_all=before)
    added = every - before.keys()
    changed = {job.identity for job in jobs if before.get(job.identity) != _content(job)}
    removed = tuple(sorted(before.keys() - every))
    return Comparison(revision, commit.id, len(jobs), frozenset(changed), added, removed)


def _jobs_at(
    commit: Commit, options: Options, found: Project, target: Target
) -> Mapping[Identity, _Content] | str:
    """Return the jobs of a target in a commit, or why they cannot be compared."""
    short = commit.id[:_SHORT]
    files = {file: _in_repository(commit, Path(file)) for file in options.values}
    extra = {file for file in files.values() if file}
    with commit.project(extra) as folder:
        if not (folder / PROJECT_FILE).is_file():
            return f"{short} does not have this project"
        root = Path(os.path.normpath(folder / os.path.relpath(commit.top, commit.top / commit.prefix)))
        values = [str(root / file) if (file := files[name]) else name for name in options.values]
        then = replace(
            options,
            target=target.name,
            targets=(target.name,),
            paths=(),
            select=(),
            values=tuple(values),
            changed_since=None,
        )
        try:
            project = load_project(folder)
            if _place(project, project.target(target.name)) != _place(found, target):
                return f"the target is another place in {short}, or the project has another name there"
            loaded = session.load(then, Budget(), project, report=lambda _: None)
        except InvalidInput as error:
            return _why(short, error.problems)
        except DeployerError as error:
            return f"{short}: {error}"
        if any(problem.severity == "error" for problem in loaded.problems):
            return _why(short, loaded.problems)
        return {job.identity: _content(job) for job in loaded.jobs}


def _in_repository(commit: Commit, file: Path) -> Path | None:
    """Return the path of a values file in the repository; None if it is not in it, so that both sides use it."""
    real = Path(os.path.realpath(file.parent), file.name)
    top = Path(os.path.realpath(commit.top))
    return real.relative_to(top) if real.is_relative_to(top) else None


def _place(project: Project, target: Target) -> tuple[object, ...]:
    """Return what decides where the jobs of a target are, and whose they are."""
    endpoints = tuple(sorted(target.endpoints.items()))
    return (
        project.name,
        project.records_ownership,
        target.region,
        endpoints,
        target.project_id,
        target.emulator,
    )


def _content(job: Job) -> _Content:
    """Return what is equal for two jobs wherever their manifests stand."""
    # As text: for Python, 1 and true are equal.
    return replace(job, source=Source("", 0), spec={}), json.dumps(job.spec, sort_keys=True, default=repr)


def _why(short: str, problems: Iterable[Problem]) -> str:
    errors = [problem for problem in problems if problem.severity == "error"]
    more = f" and {count(len(errors) - 1, 'other error')}" if len(errors) > 1 else ""
    return f"{short} has invalid manifests ({errors[0].location}: {errors[0].words}{more})"
