"""The stages that the verbs share: options -> jobs -> client. Plans are made in `planner`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deployer.cli.options import Options, inside, selector
from deployer.documents.budget import Budget
from deployer.errors import DeployerError, InvalidInput, NothingSelected, Problem, UsageError
from deployer.invocation import Invocation
from deployer.kinds import KINDS
from deployer.kinds.ownership import Owner
from deployer.manifests.check import check
from deployer.manifests.read import read as read_manifests
from deployer.model import (
    Document,
    Identity,
    Job,
    Manifest,
)
from deployer.project.load import Project, project_files
from deployer.project.load import find as find_project
from deployer.project.load import load as load_project
from deployer.project.target import Target
from deployer.project.values import template_values, value_layers
from deployer.report import text
from deployer.report.terminal import err
from deployer.secrets.store import Secrets

if TYPE_CHECKING:
    from deployer.apply.history import History
    from deployer.cli.changed_since import Comparison
    from deployer.clock import StopSignal
    from deployer.cloud.client import Client
    from deployer.emulator import Emulator
    from deployer.project.folders import Folders


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """A project as the options select it. `jobs` are all jobs in order, `selected` the selected ones.

    `manifests` are empty unless they were asked for: with their texts and places they take more memory than the jobs.
    `values` are the layers of template values, and `folders` those with values or defaults of their own;
    `target_is_named` is true if the target was set with -t. `invocation` is for the commands that messages advise,
    and `comparison` is that of --changed-since.
    """

    project: Project
    target: Target
    values: tuple[Document, ...]
    manifests: tuple[Manifest, ...]
    jobs: tuple[Job, ...]
    disabled: tuple[Identity, ...]
    selected: frozenset[Identity]
    problems: tuple[Problem, ...]
    target_is_named: bool
    invocation: Invocation
    comparison: Comparison | None = None
    folders: Folders | None = None

    @property
    def selected_jobs(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.identity in self.selected)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The warnings, without those of files that have only jobs that are not selected."""
        selected = {job.source.file for job in self.selected_jobs}
        others = {job.source.file for job in self.jobs} - selected
        warnings = (problem for problem in self.problems if problem.severity != "error")
        return tuple(problem for problem in warnings if problem.location.file not in others)

    @property
    def with_dependencies(self) -> tuple[Job, ...]:
        """Returns the selected jobs and those that they depend on."""
        needed = {dependency.identity for job in self.selected_jobs for dependency in job.depends_on}
        wanted = self.selected | needed
        return tuple(job for job in self.jobs if job.identity in wanted)


@dataclass(frozen=True, slots=True)
class Known:
    """What the journals have about earlier runs. `patience`: the seconds for which a listing may lag behind them.

    `skew`: the seconds by which the clocks of the machines that wrote them may differ. `shared_since` returns the time
    from which the journal of all machines has everything; None without such a journal.
    """

    history: History
    patience: float
    skew: float = 0.0
    shared_since: Callable[[], datetime | None] = lambda: None


def note(words: str) -> None:
    """Print a note."""
    err(text.note(words))


def project_folder(options: Options) -> Path:
    """Return the folder of the project that PATH lies in, or the current folder; raises UsageError."""
    start = Path(options.paths[0]) if options.paths else Path()
    return find_project(start if start.is_dir() else start.parent)


def paths_by_project(options: Options) -> dict[Path, tuple[str, ...]]:
    """Return the PATHs in each project folder, in the order in which they are given. Raises UsageError."""
    found: dict[Path, tuple[str, ...]] = {}
    for path in options.paths:
        folder = project_folder(replace(options, paths=(path,)))
        found[folder] = (*found.get(folder, ()), path)
    return found


def are_several(options: Options) -> bool:
    """Return whether the options name several targets, or PATHs of several projects: see `several`."""
    if options.all_targets or len(options.targets) > 1:
        return True
    return len(options.paths) > 1 and len(paths_by_project(options)) > 1


def load(
    options: Options,
    budget: Budget | None = None,
    project: Project | None = None,
    *,
    with_manifests: bool = False,
    report: Callable[[str], object] = note,
) -> LoadedProject:
    """Read and check the whole project; problems of manifests are collected, not raised.

    A project without manifests is reported with `report`. `budget` is shared by the targets of a command
    that reads several, and `project` is the one that it has loaded.

    Raises UsageError, and InvalidInput if deployer.yaml or a values file is invalid.
    """
    budget = budget or Budget()
    found = project or load_project(project_folder(options), budget)
    target = found.target(options.target)
    _refuse_excluded(options, found)
    values_files = in_project(options.values, found)
    layers = value_layers(found, target, values_files, options.settings, budget)
    in_folder = project_files(found, values_files)
    files = in_folder.manifests
    folders = None
    if in_folder.of_folders:
        from deployer.project.folders import read_folders  # on use: most projects have none

        folders = read_folders(found, target, in_folder.of_folders, layers, budget)
    read = read_manifests(found, target, files, template_values(found, target, layers), budget, folders)
    checked = check(read.manifests, target.clusters)
    services = {KINDS[job.kind].service for job in checked.jobs}
    region = [problem] if (problem := target.region_problem(services)) else []
    problems = tuple(sorted({*region, *in_folder.problems, *read.problems, *checked.problems}))
    is_named, is_selected = inside(options.paths, found.folder, checked.jobs), selector(options.select)
    selected = frozenset(job.identity for job in checked.jobs if is_named(job) and is_selected(job))
    if not files:
        report(f"no manifests found in {found.folder}")
    if checked.jobs and not selected and not _errors(problems):
        raise NothingSelected("PATH and --select match no jobs")
    comparison = None
    if options.changed_since is not None and not _errors(problems):
        from deployer.cli.changed_since import compare

        comparison = compare(options, found, target, checked.jobs)
        comparison.report(checked.disabled)
        selected &= comparison.selected
    return LoadedProject(
        project=found,
        target=target,
        values=tuple(layers),
        manifests=read.manifests if with_manifests else (),
        jobs=checked.jobs,
        disabled=checked.disabled,
        selected=selected,
        problems=problems,
        target_is_named=options.target is not None,
        invocation=_invocation(options, found, target),
        comparison=comparison,
        folders=folders,
    )


def _refuse_excluded(options: Options, found: Project) -> None:
    """Raise UsageError for a PATH that deployer.yaml excludes."""
    for path in options.paths if found.excludes else ():
        real, folder = Path(path).resolve(), found.folder.resolve()
        if not real.is_relative_to(folder) or real == folder:
            continue
        relative = real.relative_to(folder).as_posix()
        if found.excludes and (glob := found.excludes.of(relative, is_folder=real.is_dir())):
            raise UsageError(f"{path} is excluded by '{glob.text}' ({glob.location})")


def without_manifests(options: Options, found: Project, problems: Sequence[Problem]) -> LoadedProject:
    """Return a project whose manifests cannot be read at all, for a verb that does not need them."""
    target = found.target(options.target)
    return LoadedProject(
        project=found,
        target=target,
        values=(),
        manifests=(),
        jobs=(),
        disabled=(),
        selected=frozenset(),
        problems=tuple(problems),
        target_is_named=options.target is not None,
        invocation=_invocation(options, found, target),
    )


def _invocation(options: Options, found: Project, target: Target) -> Invocation:
    """Return how a command that starts in the same folder reaches the project and the target."""
    start = options.started_in or str(found.folder)
    try:
        is_found = find_project(Path(start)).samefile(found.folder)
    except (UsageError, OSError):
        is_found = False
    folder = "" if is_found else _folder_to_name(options, found, start)
    names = sorted({setting.partition("=")[0] for setting in options.settings})
    reached = Invocation(target.name, folder, settings=tuple(names), started_in=start)
    return replace(reached, values=tuple(reached.path(Path(file)) for file in options.values))


def _folder_to_name(options: Options, found: Project, start: str) -> str:
    """Return the project's folder as -C can name it: an absolute path if it was given as one."""
    if not options.folder.is_absolute():
        return os.path.relpath(found.folder, start)
    return str(options.folder if options.folder.samefile(found.folder) else found.folder.absolute())


def in_project(files: Sequence[str], found: Project) -> list[str]:
    """Return values files of the command line relative to the project's folder."""
    return [os.path.relpath(Path(file).absolute(), found.folder) for file in files]


def _errors(problems: Sequence[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]


def require_valid(loaded: LoadedProject, *, show_warnings: bool = False) -> None:
    """Raise InvalidInput when any manifest has an error."""
    if _errors(loaded.problems):
        raise InvalidInput(loaded.problems, loaded.project.folder)
    if show_warnings and (warnings := loaded.warnings):
        from deployer.report import findings

        for line in findings.text(findings.for_one_target(warnings), in_full=()):
            err(line)


@contextmanager
def connected(
    loaded: LoadedProject,
    secrets: Secrets | None = None,
    stop_signal: StopSignal | None = None,
    before_write: Callable[[], object] = lambda: None,
) -> Iterator[Client]:
    """Return a client for the target; with `emulator: true` the emulator runs as long as it is open.

    Values of `secrets` never appear in its errors. `stop_signal` ends its waits. `before_write` is called just
    before each write is sent, and raises NotSent if it must not be.
    """
    from deployer.cli.state_folder import require_own_state, state_folder
    from deployer.clock import Clock
    from deployer.cloud.auth import LOCAL, AuthContext, sign_in
    from deployer.cloud.client import Client
    from deployer.cloud.credentials import find
    from deployer.cloud.hosts import ca_file, hosts
    from deployer.cloud.transport import Transport

    require_own_state(loaded.project.folder)
    target = loaded.target
    if target.emulator and not loaded.target_is_named and in_ci(os.environ):
        raise UsageError(
            f"the default target '{target.name}' is an emulator; in CI, select it explicitly with -t {target.name}"
        )
    scrub = secrets.scrubbed if secrets else str
    clock = Clock(sleep=stop_signal.sleep) if stop_signal else Clock()
    if not target.emulator:
        allowed = hosts(os.environ)
        allowed.check_target(target)
        found = find(target, os.environ)
        without_credential = found.scrubber()
        with Transport(
            hosts=allowed,
            scrub=lambda message: scrub(without_credential(message)),
            ca_file=ca_file(loaded.project.folder, target),
            rate=target.rate,
            retry=target.retry,
            clock=clock,
            note=note,
            before_write=before_write,
        ) as transport:
            yield Client(target, sign_in(target, found, transport), transport)
        return
    with emulator(state_folder(loaded.project.folder) / f"{target.name}.db") as server:
        endpoints = dict.fromkeys((kind.service for kind in KINDS.values()), server.url)
        with Transport(
            scrub=scrub, rate=target.rate, retry=target.retry, clock=clock, before_write=before_write
        ) as transport:
            local = AuthContext(LOCAL, target.project_id)
            yield Client(replace(target, endpoints=endpoints), local, transport)


def in_ci(environment: Mapping[str, str]) -> bool:
    return environment.get("CI", "").strip().casefold() not in {"", "0", "false", "no"}


def with_reruns(loaded: LoadedProject, expressions: Sequence[str]) -> LoadedProject:
    """Return the project with reruns requested for the selected jobs that --rerun matches.

    Raises UsageError if one of the expressions matches none.
    """
    if not expressions:
        return loaded
    for expression in expressions:
        is_named = selector([expression], "--rerun")
        if not any(map(is_named, loaded.selected_jobs)) and not _errors(loaded.problems):
            raise UsageError(f"--rerun {expression}: matches no selected job")
    is_named_by_rerun = selector(expressions, "--rerun")
    jobs = [
        replace(job, rerun_requested=job.identity in loaded.selected and is_named_by_rerun(job))
        for job in loaded.jobs
    ]
    return replace(loaded, jobs=tuple(jobs))


def secrets(loaded: LoadedProject) -> Secrets:
    """Return the secrets of the target; invented values for the built-in emulator, which stores them."""
    target = loaded.target
    return Secrets(target.secrets, os.environ, loaded.project.folder, made_up=target.emulator)


def emulator(database: Path) -> Emulator:
    """Return the built-in emulator; raises DeployerError if its database cannot be opened."""
    import sqlite3

    from deployer.emulator import Emulator

    try:
        return Emulator(database, shared=True)
    except (OSError, sqlite3.Error) as error:
        raise DeployerError(f"cannot start the emulator ({database}): {error}") from None


def owner(loaded: LoadedProject) -> Owner | None:
    """Return the owner to record on deployed jobs; None if ownership is not recorded."""
    from deployer.apply.provenance import revision

    found = loaded.project
    return Owner(found.name, revision(found.folder, os.environ)) if found.records_ownership else None


def without_ordering(loaded: LoadedProject) -> LoadedProject:
    """Return the jobs without `dependsOn` and `rerun`, which matter only to apply."""
    jobs = tuple(
        replace(job, depends_on=(), lifecycle=replace(job.lifecycle, rerun=None)) for job in loaded.jobs
    )
    return replace(loaded, jobs=jobs)
