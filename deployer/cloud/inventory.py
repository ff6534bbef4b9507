"""All live jobs of a target, whatever the manifests name: every listing that can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deployer.cloud.client import Client
from deployer.cloud.observe import SilentServices, list_all, read_tags, rounds
from deployer.cloud.parallel import in_parallel
from deployer.errors import ApiError
from deployer.kinds import KINDS
from deployer.model import Identity, LiveJob


@dataclass(frozen=True, slots=True, order=True)
class Listing:
    """A listing of the jobs of one kind. `place` is the value in its URL, such as the id of an MRS cluster."""

    kind: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The content of the listings. `totals` are the numbers of jobs in those that were read.

    `failures` has the reason for each listing that could not be read, and `untagged` for each job whose tags could
    not. `now` is the service's own time, None if nothing was read.
    """

    jobs: tuple[LiveJob, ...] = ()
    totals: Mapping[Listing, int] = field(default_factory=dict)
    failures: Mapping[Listing, str] = field(default_factory=dict)
    untagged: Mapping[Identity, str] = field(default_factory=dict)
    now: datetime | None = None


def listings_of(kinds: Iterable[str], clusters: Iterable[str]) -> list[Listing]:
    """Return the listings that show the jobs of some kinds; a kind with clusters in its URL has one for each."""
    wanted = sorted({*clusters})
    return [
        Listing(kind, place)
        for kind in sorted({*kinds})
        for place in (wanted if KINDS[kind].path_fields else [""])
    ]


def read_inventory(
    client: Client, listings: Sequence[Listing], is_wanted: Callable[[LiveJob], bool]
) -> Inventory:
    """Read `listings` to their ends, and keep the wanted jobs. A listing that fails does not stop the others.

    Tags that have an API of their own take a request for each wanted job.
    """
    silent = SilentServices()
    read: dict[Listing, list[LiveJob] | ApiError] = {}
    for numbers in rounds([KINDS[listing.kind] for listing in listings]):
        together = [listings[number] for number in numbers]
        read |= zip(together, in_parallel(lambda one: _read(client, one, silent), together), strict=True)
    found: list[LiveJob] = []
    untagged: dict[Identity, str] = {}
    totals: dict[Listing, int] = {}
    failures: dict[Listing, str] = {}
    for listing in listings:
        jobs = read[listing]
        if isinstance(jobs, ApiError):
            failures[listing] = str(jobs)
            continue
        totals[listing] = len(jobs)
        wanted = [job for job in jobs if is_wanted(job)]
        tagged, errors = read_tags(client, KINDS[listing.kind], wanted, {job.identity for job in wanted})
        found += tagged
        untagged |= {identity: str(error) for identity, error in errors.items()}
    return Inventory(tuple(found), totals, failures, untagged, client.server_time)


def _read(client: Client, listing: Listing, silent: SilentServices) -> list[LiveJob] | ApiError:
    kind = KINDS[listing.kind]
    if error := silent.error(kind):
        return error
    try:
        return list_all(client, kind, dict.fromkeys(kind.path_fields, listing.place))
    except ApiError as error:
        silent.add(kind, error)
        return error
