"""`deployer cancel --id`: one live job of the target, whether it has a manifest or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployer.cli import planner, removal, session
from deployer.cli.options import known_kinds
from deployer.errors import DeployerError, UsageError
from deployer.kinds import KINDS
from deployer.kinds.kind import Nature
from deployer.kinds.ownership import project_of
from deployer.model import Action, Change, Job, Limit, Live, LiveJob, Plan, utc_time
from deployer.planning.ownership import Holder, OwnershipRules
from deployer.planning.removal import NO_MANIFEST, without_manifest

if TYPE_CHECKING:
    from deployer.cli.session import Known, LoadedProject
    from deployer.cloud.client import Client
    from deployer.planning.inventory import InventoryJob

_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class ById:
    """The job to cancel. `kind` is empty if its id alone is known."""

    id: str
    kind: str = ""


def by_id(identifiers: Sequence[str], kind: str | None) -> ById | None:
    """Return the job that --id and --kind name, None without them. Raises UsageError."""
    if not identifiers:
        if kind is not None:
            raise UsageError("--kind requires --id")
        return None
    if len(identifiers) > 1:
        raise UsageError("--id cancels exactly one job; use it once")
    if kind is not None:
        known_kinds("--kind", [kind])
    return ById(identifiers[0], kind or "")


def plan(
    client: Client,
    loaded: LoadedProject,
    wanted: ById,
    limits: Mapping[str, Limit],
    *,
    known: Known,
    note: Callable[[str], object],
) -> tuple[Plan, Live]:
    """Find the job and plan its cancellation. Raises DeployerError if it does not exist, or is not certain."""
    from deployer.cloud.observe import list_same_names
    from deployer.planning.decide import Comparison, cancellation
    from deployer.planning.inventory import with_manifests

    live = _find(client, loaded, wanted, known, note)
    project = loaded.project
    ownership = OwnershipRules(project.name, project.records_ownership)
    [found] = with_manifests([live], loaded.jobs, ownership, are_valid=True)
    job = _job(loaded, found)
    decision = cancellation(Comparison(job, live))
    proofs = removal.proofs(client, loaded, known.history, is_confirmed=False)
    missing = "" if found.source else proofs.judged(live).missing
    facts = [*_since(live), f"owner: {_owner(found)}", f"manifest: {found.source or 'none'}"]
    facts += [f"not proved to be this project's: {missing}"] if missing else []
    if decision.action is Action.UNCHANGED and KINDS[live.identity.kind].nature is Nature.RUN_ONCE:
        facts.append("only its record is left")
    change = Change(
        decision.action,
        job,
        f"{decision.reason} ({'; '.join(facts)})",
        decision.impact,
        live=live,
        steps=decision.steps,
    )
    # A run of the same name that is not listed now was created after this plan.
    others = [other for other in list_same_names(client, [job], {live.id}) if other.id != live.id]
    scope = planner.heading(client, loaded, limits)
    return Plan(loaded.target.name, (change,), scope=scope), Live((live, *others))


def _find(
    client: Client, loaded: LoadedProject, wanted: ById, known: Known, note: Callable[[str], object]
) -> LiveJob:
    """Return the only live job with the id. Raises DeployerError."""
    kinds = [wanted.kind] if wanted.kind else [*KINDS]
    inventory, failures = removal.read_target(
        client, loaded, known.history, note, kinds=kinds, is_wanted=lambda job: job.id == wanted.id
    )
    names = ", ".join(str(job.identity) for job in inventory.jobs)
    if len({job.identity.kind for job in inventory.jobs}) > 1:
        raise UsageError(f"--id {wanted.id}: several jobs have this id ({names}); add --kind")
    if len(inventory.jobs) > 1:
        raise DeployerError(f"--id {wanted.id}: several jobs have this id ({names})")
    if failures:
        unread = "; ".join(f"{failure.identity.kind} {failure.message}" for failure in failures)
        advice = "" if wanted.kind else "; if you know its kind, add --kind"
        raise DeployerError(f"not all jobs could be read: {unread}{advice}")
    if not inventory.jobs:
        read = ", ".join(sorted({listing.kind for listing in inventory.totals})) or "none"
        raise DeployerError(f"no live job has the id '{wanted.id}' (kinds that were read: {read})")
    return inventory.jobs[0]


def _job(loaded: session.LoadedProject, found: InventoryJob) -> Job:
    """Return the job to cancel: with the lifecycle of its manifest, if it has one."""
    job = without_manifest(found.live)
    for manifest in loaded.jobs:
        same_name = (manifest.kind, manifest.name) == (job.kind, job.name)
        if same_name and manifest.source == found.source:
            return replace(job, source=manifest.source, lifecycle=manifest.lifecycle)
    return replace(job, source=NO_MANIFEST)


def _since(live: LiveJob) -> list[str]:
    submitted = utc_time(live.submitted)
    return [f"since {submitted:%Y-%m-%d %H:%M} UTC"] if submitted else []


def _owner(found: InventoryJob) -> str:
    match found.holder:
        case Holder.OURS:
            return "this project"
        case Holder.OTHER:
            return f"project '{project_of(found.live)[:_MAX_NAME]}'"
        case Holder.NOBODY:
            return "nobody"
        case _:
            return "not known"
