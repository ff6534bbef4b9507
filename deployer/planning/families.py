"""The jobs of a project -> those that are planned: a job with parameters is a family of runs, one for each value.

A family itself is planned where no run of it is meant: its newest run counts, whatever its values are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deployer.model import Dependency, Identity, Job, State
from deployer.parameters.runs import defaults, with_values

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Planned:
    """The jobs to plan, dependencies first; the others than the `selected` ones are only read."""

    jobs: tuple[Job, ...]
    selected: frozenset[Identity]


Members = Callable[[Sequence[Job], Collection[Identity]], Planned]


def as_families(jobs: Sequence[Job], selected: Collection[Identity]) -> Planned:
    """Plan each job with all its runs."""
    return Planned(tuple(jobs), frozenset(selected))


def for_apply(jobs: Sequence[Job], selected: Collection[Identity]) -> Planned:
    """Plan the runs with the default values; jobs that only `deployer run` submits, and absent ones, as families."""
    if not any(job.parameters for job in jobs):
        return as_families(jobs, selected)
    chosen: dict[Identity, list[Values]] = {}
    for job in jobs:
        given = defaults(job.parameters) if job.parameters else None
        is_absent = job.lifecycle.state is State.ABSENT
        if given and job.identity in selected and not (job.runs_on_request or is_absent):
            chosen[job.identity] = [given]
    return with_chosen(jobs, selected, chosen)


def with_chosen(
    jobs: Sequence[Job], selected: Collection[Identity], chosen: Mapping[Identity, Sequence[Values]]
) -> Planned:
    """Plan the runs with the `chosen` values, and read those that they depend on."""
    by_identity = {job.identity: job for job in jobs}
    members: dict[Identity, dict[Identity, Job]] = {job.identity: {} for job in jobs}
    needed: dict[Identity, dict[Identity, Job]] = {job.identity: {} for job in jobs}
    picked: set[Identity] = set()
    for job in reversed(jobs):  # dependents first
        is_selected = job.identity in selected
        for run in _runs(job, chosen) if is_selected else ():
            bound = []
            for dependency in run.depends_on:
                other = by_identity.get(dependency.identity)
                found = _bound(run, dependency, other, chosen) if other else [dependency]
                bound += found
                if other:
                    needed[other.identity] |= {
                        one.identity: _member(other, one.identity, found) for one in found
                    }
            members[job.identity][run.identity] = replace(run, depends_on=tuple(bound))
            picked.add(run.identity)
    in_order: list[Job] = []
    for job in jobs:
        own = members[job.identity]
        others = [other for identity, other in needed[job.identity].items() if identity not in own]
        if not own and not others:
            others = [job]
        in_order += [*own.values(), *others]
    return Planned(tuple(in_order), frozenset(picked))


def _runs(job: Job, chosen: Mapping[Identity, Sequence[Values]]) -> Iterable[Job]:
    return [with_values(job, values) for values in chosen[job.identity]] if job.identity in chosen else [job]


def _bound(
    run: Job, dependency: Dependency, other: Job, chosen: Mapping[Identity, Sequence[Values]]
) -> list[Dependency]:
    """Return a dependency of a run as those on runs of the other job: with the same values, by their names."""
    if not other.parameters:
        return [dependency]
    lists: dict[str, Sequence[str]] = {}
    for name, parameter in other.parameters.items():
        if name in dependency.parameters:
            lists[name] = [dependency.parameters[name]]
        elif name in run.values:
            lists[name] = [run.values[name]]
        elif parameter.values:
            lists[name] = parameter.values
    if lists.keys() != other.parameters.keys():
        # The newest run counts, or those that are planned with this one.
        values = list(chosen.get(other.identity, ()))
        return [_on(dependency, other, one) for one in values] or [dependency]
    combined = itertools.product(*lists.values())
    return [_on(dependency, other, dict(zip(lists, values, strict=True))) for values in combined]


def _on(dependency: Dependency, other: Job, values: Values) -> Dependency:
    return replace(dependency, identity=with_values(other, values).identity, parameters=values)


def _member(other: Job, identity: Identity, found: Iterable[Dependency]) -> Job:
    """Return the run of a job that a dependency is on; the job if it is on that."""
    if not identity.run:
        return other
    return next(with_values(other, one.parameters) for one in found if one.identity == identity)
