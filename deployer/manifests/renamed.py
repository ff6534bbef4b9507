"""`metadata.renamedFrom` of a manifest: the identities that its job had before, and what contradicts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deployer.errors import Code, Problem
from deployer.kinds import KINDS
from deployer.kinds.former import former_identities
from deployer.model import Identity, Job, Location, Manifest

_KEY = ("metadata", "renamedFrom")


def renamed_from(
    identity: Identity, metadata: Mapping[str, Any], clusters: Mapping[str, str]
) -> tuple[Identity, ...]:
    """Return the former identities of a job. `clusters` gives names to MRS cluster ids."""
    raw = metadata.get("renamedFrom")
    return former_identities(identity, _entries(identity, raw, clusters)) if raw else ()


def _entries(identity: Identity, raw: Any, clusters: Mapping[str, str]) -> list[dict[str, str]]:
    entries = [{"name": entry} if isinstance(entry, str) else dict(entry) for entry in _listed(raw)]
    if KINDS[identity.kind].path_fields:
        for entry in entries:
            if "place" in entry:
                entry["place"] = clusters.get(entry["place"], entry["place"])
    return entries


def _listed(raw: Any) -> Sequence[Any]:
    return raw if isinstance(raw, list) else [raw]


def without_effect(job: Job, manifest: Manifest, clusters: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the entries that say what the job is now: the old name was meant."""
    raw = manifest.document.value["metadata"].get("renamedFrom")
    for index, entry in enumerate(_entries(job.identity, raw, clusters) if raw else ()):
        if job.identity._replace(**entry) != job.identity:
            continue
        words = " and ".join(
            f"its {'name' if key == 'name' else KINDS[job.kind].place} {value!r}"
            for key, value in entry.items()
        )
        message = f"'renamedFrom' is what the job is now, {words}; give what it was before, or remove it"
        yield Problem(_location(manifest, index), message, Code.RENAMED_FROM)


def contradictions(manifests: Iterable[tuple[Job, Manifest]]) -> Iterator[Problem]:
    """Yield the former identities that have a manifest of their own, and those that two manifests claim.

    `manifests` are all of a project, disabled ones too.
    """
    known = list(manifests)
    own = {job.identity: (job, manifest) for job, manifest in known}
    claimed: dict[Identity, tuple[Job, Manifest]] = {}
    for job, manifest in known:
        for former in job.renamed_from:
            if found := own.get(former):
                where = found[1].document.location(("metadata", "name"))
                message = (
                    f"{former} has a manifest of its own, at {where}; remove that manifest if the job was renamed "
                    "to this one, or this 'renamedFrom' if they are two jobs"
                )
            elif first := claimed.get(former):
                message = (
                    f"{former} is a former identity of {first[0].identity} too, at {_of(former, *first)}; "
                    "a job can be renamed to one other only"
                )
            else:
                claimed[former] = (job, manifest)
                continue
            yield Problem(_of(former, job, manifest), message, Code.RENAMED_FROM)


def _of(former: Identity, job: Job, manifest: Manifest) -> Location:
    """Return the location of the entry that names a former identity: by its name, else by its place."""
    entries = _listed(manifest.document.value["metadata"]["renamedFrom"])
    names = {former.name} - {job.name} or {former.place}
    for index, entry in enumerate(entries):
        values = {entry} if isinstance(entry, str) else {*entry.values()}
        if names & values:
            return _location(manifest, index)
    return manifest.document.location(_KEY)


def _location(manifest: Manifest, index: int) -> Location:
    raw = manifest.document.value["metadata"]["renamedFrom"]
    return manifest.document.location((*_KEY, index) if isinstance(raw, list) else _KEY)
