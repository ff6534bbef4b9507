"""`--param NAME=VALUES` of the verbs that work on single runs of jobs with parameters."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from deployer.cli.options import completed_by
from deployer.errors import MAX_SHOWN, UsageError, nearest, shortened
from deployer.model import RUNNING_PHASES, Identity, Job, Plan

if TYPE_CHECKING:
    from deployer.cli.session import LoadedProject
    from deployer.planning.families import Members, Planned

param_option = click.option(
    "--param",
    "params",
    metavar="NAME=VALUES",
    multiple=True,
    help="Values of a parameter: a value, A,B, a range A..B with both ends, or * for all listed ones (repeatable).",
    shell_complete=completed_by("parameters"),
)

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The values that --param gives to the parameters of each job."""

    lists: Mapping[Identity, Mapping[str, Sequence[str]]]

    def of(self, job: Job) -> list[Values]:
        """Return all combinations of the values, with the defaults of the other parameters. Raises UsageError."""
        from deployer.parameters.types import combinations

        try:
            return [*combinations(job.parameters, self.lists.get(job.identity, {}))]
        except ValueError as error:
            raise UsageError(f"{job.identity}: {error}") from None

    def includes(self, job: Job, values: Values) -> bool:
        """Return whether a run with these values is chosen; a parameter without --param may have any."""
        lists = self.lists.get(job.identity, {})
        return all(values.get(name) in given for name, given in lists.items())


def chosen(jobs: Iterable[Job], params: Sequence[str]) -> Chosen:
    """Return the values for the parameters of jobs. Raises UsageError, with all that is wrong."""
    from deployer.parameters import types

    jobs = list(jobs)
    known = sorted({name for job in jobs for name in job.parameters})
    errors: list[str] = []
    given: dict[str, list[str]] = {}
    for param in params:
        name, equals, words = param.partition("=")
        if not equals or not words:
            errors.append(
                f"--param {shortened(param)}: expected NAME=VALUES, such as date=2024-07-01..2024-07-07"
            )
        elif name not in known:
            of = "the job has" if len(jobs) == 1 else "the selected jobs have"
            none = (
                f"{of} no parameters"
                if not known
                else f"{of} no parameter '{shortened(name)}'{nearest(name[:MAX_SHOWN], known)}"
            )
            errors.append(f"--param {shortened(param)}: {none}")
        else:
            given.setdefault(name, []).append(words)
    lists: dict[Identity, dict[str, Sequence[str]]] = {}
    for job in jobs:
        for name, parameter in job.parameters.items():
            for words in given.get(name, ()):
                try:
                    values = types.selected(parameter, words)
                except ValueError as error:
                    errors.append(f"--param {name}={shortened(words)}: {job.name}: {error}")
                    continue
                before = lists.setdefault(job.identity, {}).get(name, ())
                lists[job.identity][name] = [*dict.fromkeys((*before, *values))]
    if errors:
        raise UsageError("; ".join(dict.fromkeys(errors)))
    return Chosen(lists)


def members(loaded: LoadedProject, params: Sequence[str]) -> Members:
    """Return what plans the runs that --param chooses, for verbs that end or read runs.

    Without --param a job stands for all its runs. Raises UsageError.
    """
    from deployer.planning.families import as_families, with_chosen

    if not params:
        return as_families
    values = chosen(loaded.selected_jobs, params)
    runs = {job.identity: values.of(job) for job in loaded.selected_jobs if job.identity in values.lists}

    def planned(jobs: Sequence[Job], selected: Iterable[Identity]) -> Planned:
        # Jobs without such a parameter are not meant, unless others depend on them.
        meant = {identity for identity in selected if identity in runs}
        return with_chosen(_with_dependencies(jobs, meant), meant, runs)

    return planned


def _with_dependencies(jobs: Sequence[Job], meant: Container[Identity]) -> Sequence[Job]:
    """Return the jobs that are named and those that they depend on, in their order: dependencies first."""
    found: list[Job] = []
    needed: set[Identity] = set()
    for job in reversed(jobs):
        if job.identity in meant or job.identity in needed:
            found.append(job)
            needed |= {dependency.identity for dependency in job.depends_on}
    return found[::-1]


def only_with(loaded: LoadedProject, params: Sequence[str]) -> LoadedProject:
    """Return the project with the jobs selected that have the parameters of --param. Raises UsageError."""
    if not params:
        return loaded
    lists = chosen(loaded.selected_jobs, params).lists
    return replace(loaded, selected=frozenset(lists))


def report_not_told(plan: Plan) -> None:
    """Report the runs whose values are not told, and that may be one of those that --param chooses."""
    for change in plan.changes:
        may_be = [run for run in change.may_be if change.live is None or run.phase in RUNNING_PHASES]
        if may_be:
            from deployer.cli.session import note
            from deployer.planning.decide_run import not_told_words

            note(f"{change.job.identity}: {not_told_words(may_be)}; see 'deployer runs {change.job.name}'")
