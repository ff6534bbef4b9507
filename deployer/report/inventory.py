"""The live jobs of a target as text and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deployer.cloud.inventory import Inventory, Listing
from deployer.kinds.ownership import project_of
from deployer.model import LiveJob
from deployer.planning.inventory import InventoryJob, has_ended
from deployer.planning.ownership import Holder
from deployer.report.review import natural
from deployer.report.status import times, times_data
from deployer.report.table import Column, table

COLUMNS = (
    Column("KIND"),
    Column("NAME", least=14),
    Column("PLACE", least=8),
    Column("STATE", least=10),
    Column("SINCE (UTC)", is_redundant=True),
    Column("FOR"),
    Column("OWNER", least=8),
    Column("ID", least=8),
    Column("MANIFEST", least=12, omit=1),
)

FORMAT_VERSION = "1.0"

# The number of listings or jobs that are named with an error that they share.
MAX_NAMES = 5

# `project` stands before the name of another one, so that no name reads as one of these.
_OWNERS: Mapping[Holder, str] = {
    Holder.OURS: "ours",
    Holder.NOBODY: "nobody",
    Holder.UNKNOWN: "not known",
}
_OWNER_WORDS: Mapping[Holder, str] = {
    Holder.OURS: "ours",
    Holder.OTHER: "other",
    Holder.NOBODY: "nobody",
    Holder.UNKNOWN: "unknown",
}


def text(
    jobs: Iterable[InventoryJob], inventory: Inventory, names: Mapping[str, str], width: int | None
) -> str:
    """Return a line per job. `names` are those of places, by id, and `width` is that of the terminal."""
    return "\n".join(table(COLUMNS, [_cells(job, inventory, names) for job in jobs], width))


def data(
    target: str,
    jobs: Iterable[InventoryJob],
    ended: int,
    inventory: Inventory,
    names: Mapping[str, str],
    link: Callable[[LiveJob], str],
) -> dict[str, Any]:
    """Return the jobs as JSON data, and which listings were read.

    `ended` is the number of runs left out, and `link` returns the page about a live job in the console, or an empty
    string.
    """
    return {
        "format_version": FORMAT_VERSION,
        "target": target,
        "jobs": [_row(job, inventory, names, link) for job in jobs],
        "ended_not_shown": ended,
        "listings": [
            {
                "kind": listing.kind,
                "place": listing.place,
                "place_name": names.get(listing.place),
                "total": inventory.totals.get(listing),
                "error": inventory.failures.get(listing),
            }
            for listing in sorted({*inventory.totals, *inventory.failures})
        ],
    }


def listing_name(listing: Listing, names: Mapping[str, str]) -> str:
    """Return `SparkBatch`, or `MrsJob in reports`."""
    place = names.get(listing.place, listing.place)
    return f"{listing.kind} in {place}" if place else listing.kind


def in_order(jobs: Iterable[InventoryJob], names: Mapping[str, str]) -> list[InventoryJob]:
    """Sort jobs by kind, name and place, with numbers in their order: `job-2` before `job-10`; newest run first."""

    def key(job: InventoryJob) -> tuple[Any, ...]:
        kind, place, name, _ = job.live.identity
        shown = natural(name.casefold()), natural(names.get(place, place).casefold())
        return kind, *shown, -job.live.submitted, job.live.id

    return sorted(jobs, key=key)


def _cells(job: InventoryJob, inventory: Inventory, names: Mapping[str, str]) -> tuple[str, ...]:
    live = job.live
    kind, place, name, _ = live.identity
    return (
        kind,
        name or "-",
        names.get(place, place) or "-",
        live.state or "-",
        *times(live, inventory.now),
        _OWNERS.get(job.holder) or f"project {project_of(live)}",
        live.id or "-",
        str(job.source) if job.source else "not known" if job.has_manifest is None else "-",
    )


def _row(
    job: InventoryJob, inventory: Inventory, names: Mapping[str, str], link: Callable[[LiveJob], str]
) -> dict[str, Any]:
    live = job.live
    kind, place, name, _ = live.identity
    return {
        "kind": kind,
        "name": name or None,
        "place": place,
        "place_name": names.get(place),
        "state": live.state,
        "phase": live.phase,
        "ended": has_ended(live),
        **times_data(live, inventory.now),
        "owner": _OWNER_WORDS[job.holder],
        "owner_project": project_of(live) or None,
        "id": live.id,
        "source": str(job.source) if job.source else None,
        "unmanaged": job.is_unmanaged,
        "orphan": job.is_orphan,
        "console_url": link(live) or None,
    }


def failures(inventory: Inventory, names: Mapping[str, str]) -> list[str]:
    """Return a line for each reason why listings or tags could not be read, with the first of them."""
    together: dict[str, list[str]] = defaultdict(list)
    for listing, message in inventory.failures.items():
        together[f"cannot be listed: {message}"].append(listing_name(listing, names))
    for identity, message in inventory.untagged.items():
        together[f"cannot read its tags, so its owner is not known: {message}"].append(str(identity))
    lines = []
    for message, failed in together.items():
        more = f" and {len(failed) - MAX_NAMES} more" if len(failed) > MAX_NAMES else ""
        lines.append(f"{', '.join(failed[:MAX_NAMES])}{more}: {message}")
    return lines
