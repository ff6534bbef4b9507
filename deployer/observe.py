"""Listings -> LiveJobs, for the jobs that are to be planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deployer.client import Client
from deployer.errors import ApiError, NoAnswer, NothingArrived
from deployer.kinds import KINDS
from deployer.kinds.kind import Entry, Kind
from deployer.model import Identity, Job, Live, LiveJob
from deployer.ownership import Owner, unmarked
from deployer.tables import Row, load_table


def observe(client: Client, jobs: Iterable[Job], owner: Owner | None = None) -> Live:
    """Reads every listing that one of `jobs` needs, once. A listing that fails does not stop the others."""
    sharing: dict[tuple[str, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        # An MRS job is listed by its cluster; the others of a kind share one listing.
        sharing[(job.kind, *KINDS[job.kind].path_values(job.spec).values())].append(job)
    found: list[LiveJob] = []
    failures: dict[Identity, str] = {}
    unknown: dict[str, set[str]] = defaultdict(set)
    silent: dict[str, ApiError] = {}
    for _, together in sorted(sharing.items()):
        kind = KINDS[together[0].kind]
        try:
            if kind.service in silent:
                raise silent[kind.service]
            entries = client.entries(kind, kind.path_values(together[0].spec))
        except ApiError as error:
            if isinstance(error, NothingArrived | NoAnswer):
                # Waiting for each of its listings would take minutes.
                silent[kind.service] = error
            failures |= dict.fromkeys((job.identity for job in together), str(error))
            continue
        found += _observed(kind, entries, together[0])
        known = _by_name(_entry_rows(kind))
        for entry in entries if known else ():
            unknown[kind.name].update(_unknown_fields(known, entry))
    named = {name: tuple(sorted(fields)) for name, fields in unknown.items() if fields}
    return Live(tuple(found), failures, named, client.server_time)


def list_beside(client: Client, job: Job) -> list[LiveJob]:
    """The live jobs in the listing that would show `job`; raises ApiError."""
    kind = KINDS[job.kind]
    return _observed(kind, client.entries(kind, kind.path_values(job.spec)), job)


def look_at(
    client: Client, identity: Identity, identifier: str, path_values: Mapping[str, str]
) -> LiveJob | None:
    """One live job by its id, None where there is none; raises ApiError. An entry need not say its place."""
    kind = KINDS[identity.kind]
    entry = client.show(kind, identifier, path_values)
    if entry is None:
        return None
    live = unmarked(kind, kind.observe(entry))
    return replace(live, identity=live.identity._replace(place=identity.place)) if path_values else live


def _observed(kind: Kind, entries: Sequence[Entry], job: Job) -> list[LiveJob]:
    live = [unmarked(kind, kind.observe(entry)) for entry in entries]
    if not kind.path_values(job.spec):
        return live
    # An entry does not repeat what its URL said.
    return [replace(one, identity=one.identity._replace(place=job.identity.place)) for one in live]


def _entry_rows(kind: Kind) -> Sequence[Row]:
    """The rows of one entry of a kind's listing; none where its table does not describe them."""
    rows: Sequence[Row] = load_table(kind.listing.table).response
    for step in kind.listing.items.split("."):
        rows = next((row.fields for row in rows if row.name == step), ())
    return rows


# What an entry may hold: a row by its name, with what an object in it may hold.
_Known = Mapping[str, "_Known"]


def _by_name(rows: Sequence[Row]) -> _Known:
    return {row.name: _by_name(row.fields) for row in rows}


def _unknown_fields(known: _Known, entry: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in entry.items():
        if name not in known:
            yield f"{above}{name}"
        elif known[name] and isinstance(value, Mapping):
            yield from _unknown_fields(known[name], value, f"{above}{name}.")
