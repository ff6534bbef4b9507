"""Every live job of a target, whether a manifest names it or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from deployer.cloud.client import Client
from deployer.cloud.observe import read_tags
from deployer.cloud.parallel import in_parallel
from deployer.errors import ApiError
from deployer.kinds.kind import Kind, text
from deployer.kinds.ownership import extract_ownership
from deployer.model import Identity, LiveJob


@dataclass(frozen=True, slots=True)
class Inventory:
    """The jobs of the listings that were read; `failures` has the others, in words, with the error.

    `notes` are about jobs of which only a part is known.
    """

    jobs: tuple[LiveJob, ...]
    failures: Mapping[str, ApiError] = field(default_factory=dict)
    notes: Mapping[Identity, str] = field(default_factory=dict)


def read_inventory(client: Client, kinds: Iterable[Kind], clusters: Sequence[str]) -> Inventory:
    """Read the whole listing of each kind; of a kind that is listed by cluster, those of `clusters`."""
    listings = [
        (kind, dict.fromkeys(kind.path_fields, place))
        for kind in kinds
        for place in (clusters if kind.path_fields else ("",))
    ]
    # The first one shows whether the credential is accepted: several refusals lock it.
    read = [_read(client, *listing) for listing in listings[:1]]
    read += in_parallel(lambda listing: _read(client, *listing), listings[1:])
    jobs: list[LiveJob] = []
    failures: dict[str, ApiError] = {}
    notes: dict[Identity, str] = {}
    for (kind, path_values), found in zip(listings, read, strict=True):
        if isinstance(found, ApiError):
            place = "".join(path_values.values())
            failures[f"{kind.name} jobs{f' of cluster {place}' if place else ''}"] = found
        else:
            jobs += found[0]
            notes |= found[1]
    return Inventory(tuple(jobs), failures, notes)


def _read(
    client: Client, kind: Kind, path_values: Mapping[str, str]
) -> tuple[list[LiveJob], dict[Identity, str]] | ApiError:
    try:
        entries = client.entries(kind, path_values)
    except ApiError as error:
        return error
    only = kind.listing.only
    live = [
        extract_ownership(kind, kind.observe(entry))
        for entry in entries
        if all(text(entry.get(key)).casefold() in {"", value} for key, value in only.items())
    ]
    if place := "".join(path_values.values()):
        # An entry does not repeat the values in its URL.
        live = [replace(job, identity=job.identity._replace(place=place)) for job in live]
    return read_tags(client, kind, live, {job.identity for job in live})
