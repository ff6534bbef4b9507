"""What a command does with a loaded project of many jobs."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from deployer.cli.session import LoadedProject
from deployer.invocation import Invocation
from deployer.model import Dependency, Identity, Job, Source


class CountedSet(frozenset[Identity]):
    """A set that counts how often it is united with another one."""

    unions = 0

    def __or__(self, other: Set[Any]) -> frozenset[Any]:
        type(self).unions += 1
        return super().__or__(other)


def test_the_dependencies_are_added_once_for_all_jobs() -> None:
    identities = [Identity("SparkBatch", "q", f"job-{number}") for number in range(50)]
    jobs = tuple(
        Job(identity, Source("a.yaml", 1), {}, depends_on=(Dependency(identities[0]),))
        for identity in identities
    )
    unused: Any = None
    loaded = LoadedProject(
        project=unused,
        target=unused,
        values=(),
        manifests=(),
        jobs=jobs,
        disabled=(),
        selected=CountedSet(identities[10:20]),
        problems=(),
        target_is_named=True,
        invocation=Invocation("test"),
    )
    assert [job.identity for job in loaded.with_dependencies] == [identities[0], *identities[10:20]]
    assert CountedSet.unions == 1
