"""Removal of orphaned jobs: what proves that a live job is this project's, and the changes that end it.

A name alone proves nothing. A batch is this project's if its ownership metadata names the project and a commit in the
history of the checkout; any job is, if the journal has its id as submitted by this project. The tag of a Flink job has
only the project's name, which another repository may use too: it needs one more proof.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from deployer.invocation import Invocation
from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS, Kind, Nature, may_be_unnamed
from deployer.kinds.ownership import CONF, Owner, is_owned, project_of
from deployer.model import (
    RUNNING_PHASES,
    Action,
    Change,
    Identity,
    Impact,
    Job,
    Lifecycle,
    LiveJob,
    Orphan,
    Phase,
    Plan,
    Source,
    State,
    Step,
)
from deployer.planning.ownership import Holder, OwnershipRules, short_project

NO_MANIFEST = Source("no manifest", 0)

_ENDING_STEPS = {Step.CANCEL, Step.STOP, Step.DELETE}


class Removal(StrEnum):
    """What is removed of orphaned jobs.

    RUNS: their runs are cancelled, and their streams stopped. DELETE: definitions that do not run are deleted, too.
    ABSENT: both in one change, as with `lifecycle.state: absent`.
    """

    RUNS = "runs"
    DELETE = "delete"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Proofs:
    """What proves that a live job is this project's.

    `submitted` has the names of the jobs that the journal has as submitted, by kind and id. `lineage` returns why a
    commit is not known to be in the history of the checkout, empty if it is, and `namesake` a project of the same
    name in the checkout, empty if there is none. `is_confirmed`: somebody has confirmed
    that no other project has this name. `invocation` is for the commands that messages advise. `commits` has the
    commits from which the jobs were last deployed by the journal, and `has_history` returns whether the checkout has
    any: a checkout that is older than the deployment of a job may lack its manifest.
    """

    ownership: OwnershipRules
    submitted: Mapping[tuple[str, str], frozenset[str]]
    lineage: Callable[[str], str]
    namesake: Callable[[], str] = str
    is_confirmed: bool = False
    invocation: Invocation = field(default_factory=Invocation)
    commits: Mapping[tuple[str, str], str] = field(default_factory=dict)
    has_history: Callable[[], bool] = bool

    def was_submitted(self, live: LiveJob) -> bool:
        """Return whether the journal has a live job, by its id, as one that this project has submitted."""
        names = self.submitted.get((live.identity.kind, live.id))
        # Flink counts its ids: one that was deleted with its service may come again.
        # Of a stream whose tags were not read nobody knows whether another project has taken it over.
        is_known = _kind(live).ownership_field != TAGS or TAGS not in live.unobserved
        return (
            is_known
            and names is not None
            and (live.identity.name in names or may_be_unnamed(_kind(live), live))
        )

    def may_be_ours(self, live: LiveJob) -> bool:
        """Return whether a live job has the ownership metadata of this project, or is in its journal."""
        return is_owned(live, self.ownership.owner) or self.was_submitted(live)

    def judged(self, live: LiveJob) -> Orphan:
        """Return an orphaned job with its proof, or why there is none, and with what ends it."""
        proof, missing = self._proof(live)
        orphan = Orphan(live, proof, missing)
        return replace(orphan, ending=self._ending(orphan))

    def _proof(self, live: LiveJob) -> tuple[str, str]:
        """Return what proves that a live job is this project's, and why nothing does; one is empty."""
        kind = _kind(live)
        is_marked = is_owned(live, Owner(self.ownership.project))
        if project_of(live) and not is_marked:
            return "", f"project '{short_project(live)}' deployed it"
        if kind.ownership_field == TAGS:
            if live.spec is None or TAGS in live.unobserved:
                return "", "its tags are not known"
            if self.ownership.holder(live) is Holder.NOBODY:
                return "", "it has no ownership tags"
        if other := self.namesake():
            return "", f"{other} is a project of the same name"
        commit = live.ownership.get("revision", "").removesuffix(" dirty") if is_marked else ""
        if self.was_submitted(live):
            last = self.commits.get((live.identity.kind, live.id), "") or commit
            problem = self.lineage(last) if last or self.has_history() else ""
            return ("", problem) if problem else ("the journal has its id", "")
        if not is_marked:
            return "", "the journal does not have its id"
        if kind.ownership_field == CONF:
            problem = self.lineage(commit)
            return ("", problem) if problem else (f"deployed from commit {commit[:12]}", "")
        if self.is_confirmed:
            return "its tag names the project, and --confirm-project that there is no other of this name", ""
        return "", "its tag names only the project, and the journal does not have its id"

    def _ending(self, orphan: Orphan) -> str:
        """Return what ends an orphaned job, for a plan that does not."""
        live = orphan.live
        runs = live.phase in RUNNING_PHASES
        if orphan.missing:
            words = f"not proved to be this project's: {orphan.missing}"
            identifier = ("--kind", live.identity.kind, "--id", live.id)
            command = self.invocation.command("cancel", *identifier)
            return f"{words}; to end it: {command}" if runs else f"{words}; delete it in the console"
        if live.phase is Phase.UNKNOWN:
            return "its state is not one that deployer handles; check it in the console"
        if _kind(live).nature is Nature.RUN_ONCE:
            return "'apply --prune' cancels it" if runs else "only its record is left"
        if live.phase is Phase.PENDING:
            return "in transition; run plan again later"
        if runs:
            return "'apply --prune' stops it with a savepoint"
        return "'apply --prune=delete' deletes its definition"


def judged(plan: Plan, proofs: Proofs, disabled: Iterable[Identity]) -> Plan:
    """Return the plan with its orphaned jobs judged, without those of `disabled` manifests."""
    named = {(identity.kind, identity.name) for identity in disabled}
    found = [
        orphan
        for orphan in plan.orphans
        if (orphan.identity.kind, orphan.identity.name) not in named and proofs.may_be_ours(orphan.live)
    ]
    others = len(plan.orphans) - len(found)
    orphans = tuple(proofs.judged(orphan.live) for orphan in found)
    return replace(plan, orphans=orphans, unmanaged=plan.unmanaged + others)


def with_prunes(plan: Plan, removal: Removal) -> Plan:
    """Return the plan with the changes that remove the orphaned jobs that are proved to be this project's.

    Its digest is that of the plan without them.
    """
    together: dict[Identity, list[Orphan]] = defaultdict(list)
    for orphan in plan.orphans:
        together[orphan.identity].append(orphan)
    changes: list[Change] = []
    left: list[Orphan] = []
    for orphans in together.values():
        change = _prune(orphans, removal)
        # Runs that are not proved to be ours stay, beside those that are.
        ended = {run.id for run in (change.live, *change.other_runs) if run} if change else set()
        changes += [change] if change else []
        left += [orphan for orphan in orphans if orphan.id not in ended]
    return replace(plan, changes=(*plan.changes, *changes), orphans=tuple(left))


def _prune(orphans: Sequence[Orphan], removal: Removal) -> Change | None:
    """Return the change that removes what is proved of the orphaned jobs of one identity."""
    proved = [orphan for orphan in orphans if orphan.proof and not orphan.missing]
    kind = KINDS[orphans[0].identity.kind]
    if kind.nature is Nature.DEFINITION:
        # Definitions have different names: with the same one, it is not known which of them is meant.
        return _of_definition(proved[0], removal) if proved and len(orphans) == 1 else None
    active = [orphan for orphan in proved if orphan.live.phase in RUNNING_PHASES]
    if not active:
        return None
    newest = max(active, key=lambda orphan: (orphan.live.submitted, orphan.id))
    others = sorted((orphan.live for orphan in active if orphan is not newest), key=lambda run: run.id)
    effect = (
        f"will cancel {len(active)} runs ({', '.join(sorted(orphan.id for orphan in active))})"
        if others
        else "will cancel it"
    )
    cause = f"run {newest.id} {newest.live.condition}"
    change = _change(newest, Action.CANCEL, Impact.CANCELS, (Step.CANCEL,), f"{cause}; {effect}")
    return replace(change, other_runs=tuple(others))


def _of_definition(orphan: Orphan, removal: Removal) -> Change | None:
    live = orphan.live
    cause = f"the job {live.condition}"
    if live.phase in {Phase.PENDING, Phase.UNKNOWN}:
        return None
    if live.phase is Phase.ACTIVE:
        if removal is Removal.ABSENT:
            steps = (Step.STOP, Step.DELETE)
            effect = "will stop it with a savepoint, then delete it"
            return _change(orphan, Action.DELETE, Impact.DELETES, steps, f"{cause}; {effect}")
        reason = f"{cause}; will stop it with a savepoint"
        return _change(orphan, Action.STOP, Impact.STOPS, (Step.STOP,), reason)
    if removal is Removal.RUNS:
        return None
    return _change(orphan, Action.DELETE, Impact.DELETES, (Step.DELETE,), f"{cause}; will delete it")


def _change(orphan: Orphan, action: Action, impact: Impact, steps: tuple[Step, ...], reason: str) -> Change:
    job = without_manifest(orphan.live)
    words = f"orphaned ({orphan.proof}); {reason}"
    return Change(action, job, words, impact, live=orphan.live, steps=steps, is_prune=True)


def without_manifest(live: LiveJob) -> Job:
    """Return a job for a live job that has no manifest, to end it."""
    spec = dict.fromkeys(_kind(live).path_fields, live.identity.place)
    return Job(live.identity, NO_MANIFEST, spec, Lifecycle(state=State.ABSENT))


def whole_kinds(plan: Plan, kept: Collection[str] = (), *, with_manifests: bool = False) -> dict[str, int]:
    """Return the number of pruned jobs of the kinds of which no live job with a manifest remains.

    `kept` are kinds of which one remains that is not in the plan. `with_manifests`: jobs that have one are removed.
    """
    counts: dict[str, int] = defaultdict(int)
    remaining = {*kept}
    for change in plan.changes:
        if change.is_prune or (with_manifests and ends(change)):
            counts[change.job.kind] += change.runs
        elif change.live and not (with_manifests and _is_record(change.live)):
            remaining.add(change.job.kind)
    return {kind: count for kind, count in counts.items() if kind not in remaining}


def ends(change: Change) -> bool:
    """Return whether a change ends a live job, and starts nothing in its place."""
    return bool(_ENDING_STEPS & {*change.steps}) and not {Step.START, Step.CREATE} & {*change.steps}


def _is_record(live: LiveJob) -> bool:
    return _kind(live).nature is Nature.RUN_ONCE and live.phase not in RUNNING_PHASES


def with_proved_definitions(plan: Plan, proofs: Proofs) -> Plan:
    """Return the plan of a destroy, where a definition with a manifest is removed only if it is proved to be ours.

    A stream is deleted with its state, and a manifest of the same name is in any copy of a repository.
    """
    return replace(plan, changes=tuple(_if_proved(change, proofs) for change in plan.changes))


def _if_proved(change: Change, proofs: Proofs) -> Change:
    live = change.live
    if live is None or change.is_prune or not ends(change) or _kind(live).nature is Nature.RUN_ONCE:
        return change
    missing = proofs.judged(live).missing
    if not missing:
        return change
    confirmed = replace(proofs, is_confirmed=True, namesake=str)
    name = proofs.ownership.project
    hint = (
        f"if no other project has the name '{name}', use --confirm-project {name}"
        if not confirmed.judged(live).missing
        else "to remove it all the same, set lifecycle.state to absent and apply"
    )
    reason = f"the job {live.condition}; not proved to be this project's: {missing}; {hint}"
    return replace(
        change, action=Action.BLOCKED, reason=reason, impact=Impact.NONE, fields=(), steps=(), other_runs=()
    )


def _kind(live: LiveJob) -> Kind:
    return KINDS[live.identity.kind]
