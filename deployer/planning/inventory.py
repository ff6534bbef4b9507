"""Live jobs and the manifests of a project: which live job has a manifest here, and who deployed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deployer.kinds import KINDS
from deployer.kinds.kind import Nature, may_be_unnamed
from deployer.kinds.ownership import project_of
from deployer.model import RUNNING_PHASES, Identity, Job, LiveJob, Phase, Source
from deployer.planning.ownership import Holder, OwnershipRules

_ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED})


@dataclass(frozen=True, slots=True)
class InventoryJob:
    """A live job with its deployer and its manifest.

    `has_manifest` is None if it cannot be told: the manifest may be invalid, or the listing does not show the name.
    """

    live: LiveJob
    holder: Holder
    source: Source | None
    has_manifest: bool | None

    @property
    def is_orphan(self) -> bool | None:
        """Whether this project deployed the job and has no manifest for it; None if it cannot be told."""
        if self.has_manifest or self.holder in {Holder.OTHER, Holder.NOBODY}:
            return False
        return None if self.has_manifest is None or self.holder is Holder.UNKNOWN else True

    @property
    def is_unmanaged(self) -> bool | None:
        """Whether the job has no manifest and is not known to be this project's; None if it cannot be told."""
        if self.has_manifest or self.holder is Holder.OURS:
            return False
        return None if self.has_manifest is None else True


def has_ended(live: LiveJob) -> bool:
    """Return whether a live job is only the record of a run. A definition can be started again."""
    return KINDS[live.identity.kind].nature is Nature.RUN_ONCE and live.phase in _ENDED


def with_manifests(
    live_jobs: Iterable[LiveJob],
    jobs: Iterable[Job],
    ownership: OwnershipRules,
    *,
    are_valid: bool,
    disabled: Collection[Identity] = (),
    submitted: Container[tuple[str, str]] = (),
) -> list[InventoryJob]:
    """Return live jobs with their manifests among `jobs`. `are_valid`: the project has no invalid manifest.

    `disabled` are the jobs of manifests with `enabled: false`. `submitted` are the kinds and ids of the jobs that the
    journal has as submitted by this project, which are ours unless another project has taken them over.
    """
    jobs = list(jobs)
    manifests = {former: job for job in jobs for former in job.renamed_from}
    manifests |= {job.identity: job for job in jobs}
    same_name: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in jobs:
        same_name[job.kind, job.name].append(job)
    places = {(identity.kind, identity.place) for identity in manifests}

    def joined(live: LiveJob) -> InventoryJob:
        holder = ownership.holder(live)
        if (live.identity.kind, live.id) in submitted and not project_of(live):
            holder = Holder.OURS
        job = manifests.get(live.identity) or _moved(live, holder, same_name)
        is_unclear = not are_valid or _may_be_any(live, places)
        is_named = bool(job) or live.identity in disabled
        has_manifest = True if is_named else None if is_unclear else False
        return InventoryJob(live, holder, job.source if job else None, has_manifest)

    return [joined(live) for live in live_jobs]


def _moved(live: LiveJob, holder: Holder, same_name: Mapping[tuple[str, str], Sequence[Job]]) -> Job | None:
    """Return the manifest of a running job that is in another place: it has its name, and is ours or adopted."""
    if live.phase not in RUNNING_PHASES:
        return None
    candidates = same_name.get((live.identity.kind, live.identity.name), [])
    return next((job for job in candidates if holder is Holder.OURS or job.lifecycle.adopt), None)


def _may_be_any(live: LiveJob, places: set[tuple[str, str]]) -> bool:
    """Return whether a live job without a name may be that of a manifest for its place."""
    kind = live.identity.kind
    return may_be_unnamed(KINDS[kind], live) and (
        (kind, live.identity.place) in places or not live.identity.place
    )


def known_clusters(jobs: Iterable[Job], named: Iterable[str]) -> set[str]:
    """Return the ids of the clusters that a target names and that manifests use."""
    return {
        *named,
        *(
            identity.place
            for job in jobs
            if KINDS[job.kind].path_fields
            for identity in (job.identity, *job.renamed_from)
        ),
    }


def place_names(clusters: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each cluster id in `clusters`, by name; the first of several names."""
    return {identifier: name for name, identifier in sorted(clusters.items(), reverse=True)}
