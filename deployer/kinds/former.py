"""A job under the names and in the places that it had before: `metadata.renamedFrom`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deployer.kinds import KINDS
from deployer.model import Identity, Job, LiveJob


def under_identity(job: Job, identity: Identity) -> Job:
    """Return a job as it is, or would have been, with another name and place; it has no former ones."""
    places = {name: identity.place for name in KINDS[job.kind].place_fields if name in job.spec}
    return replace(job, identity=identity, spec={**job.spec, **places}, renamed_from=())


def is_former(job: Job, live: LiveJob | None) -> bool:
    """Return whether a live job is that of a manifest from before it was renamed or moved."""
    return live is not None and live.identity in job.renamed_from


def is_named_otherwise(job: Job, live: LiveJob | None) -> bool:
    """Return whether an update of a live job renames it."""
    return live is not None and is_former(job, live) and live.identity.name != job.name


def with_former(jobs: Iterable[Job]) -> list[Job]:
    """Return jobs, each followed by itself under its former identities: what their listings are asked for."""
    return [
        one
        for job in jobs
        for one in (job, *(under_identity(job, identity) for identity in job.renamed_from))
    ]


def path_values(job: Job, identity: Identity) -> dict[str, str]:
    """Return the parts of the URL for a live job with `identity`: a former one may be in another cluster."""
    kind = KINDS[job.kind]
    return kind.path_values(under_identity(job, identity).spec if kind.path_fields else job.spec)


def former_identities(identity: Identity, entries: Sequence[Mapping[str, Any]]) -> tuple[Identity, ...]:
    """Return the identities in `renamedFrom`: each with a name, a place, or both.

    What an entry leaves out is what it is now, or what another entry has alone.
    """
    names = [identity.name, *(entry["name"] for entry in entries if "place" not in entry)]
    places = [identity.place, *(entry["place"] for entry in entries if "name" not in entry)]
    found = [identity._replace(name=name, place=place) for name in names for place in places]
    found += [identity._replace(**entry) for entry in entries if len(entry) > 1]
    return tuple(one for one in dict.fromkeys(found) if one != identity)
