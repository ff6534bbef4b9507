"""Listings -> LiveJobs, for the jobs that are to be planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from deployer.client import Client
from deployer.errors import ApiError
from deployer.kinds import KINDS
from deployer.model import Identity, Job, Live, LiveJob


def observe(client: Client, jobs: Iterable[Job]) -> Live:
    """Reads every listing that one of `jobs` needs, once. A listing that fails does not stop the others."""
    sharing: dict[tuple[str, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        # An MRS job is listed by its cluster; the others of a kind share one listing.
        sharing[(job.kind, *KINDS[job.kind].path_values(job.spec).values())].append(job)
    found: list[LiveJob] = []
    failures: dict[Identity, str] = {}
    for _, together in sorted(sharing.items()):
        try:
            found += list_beside(client, together[0])
        except ApiError as error:
            failures |= dict.fromkeys((job.identity for job in together), str(error))
    return Live(tuple(found), failures, client.server_time)


def list_beside(client: Client, job: Job) -> list[LiveJob]:
    """The live jobs in the listing that would show `job`; raises ApiError."""
    kind = KINDS[job.kind]
    path_values = kind.path_values(job.spec)
    live = [kind.observe(entry) for entry in client.entries(kind, path_values)]
    if not path_values:
        return live
    # An entry does not repeat what its URL said.
    return [replace(one, identity=one.identity._replace(place=job.identity.place)) for one in live]
