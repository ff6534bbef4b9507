"""Jobs and LiveJobs -> Plan. Pure: no I/O, no clock, no order but that of the jobs.

It finds the current run of each job, looks up the action with `decide`, blocks changes whose dependencies will
not exist, and lists the orphaned jobs: deployed by this project, without a manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind, Nature, may_be_unnamed
from deployer.kinds.ownership import (
    Owner,
    is_owned,
    matches_fingerprint,
    project_of,
    recorded_secret_pointers,
)
from deployer.model import (
    CONDITIONS,
    FAILED_PHASES,
    REACHED_PHASES,
    RUNNING_PHASES,
    UNTIL_WORDS,
    Action,
    Change,
    FieldChange,
    Identity,
    Impact,
    Job,
    Limit,
    Live,
    LiveJob,
    Note,
    Orphan,
    Phase,
    Plan,
    State,
    Step,
    utc_time,
)
from deployer.planning.additional import describe, separated
from deployer.planning.align import aligned, compare_job
from deployer.planning.change_fields import change_fields
from deployer.planning.decide import DEPENDENT_STEPS, Comparison, Decision, cancellation, decide
from deployer.planning.diff import live_only, not_compared
from deployer.planning.earlier import earlier_jobs, with_earlier
from deployer.planning.ownership import OwnershipRules
from deployer.planning.paths import path_words
from deployer.planning.secret_fields import secret_fields
from deployer.secrets.redact import masked
from deployer.secrets.references import texts_with_references

Table = Callable[[Comparison], Decision]

_NOT_SELECTED = "is not deployed, and not selected by PATH or --select"

# Without the name of a project there are no others.
_ALL_OWN = OwnershipRules()


def make_plan(
    target: str,
    scope: Mapping[str, str],
    jobs: Sequence[Job],
    live: Live,
    selected: Container[Identity],
    *,
    named: Collection[Identity] = (),
    former: Collection[Identity] = (),
    ownership: OwnershipRules = _ALL_OWN,
    table: Table = decide,
    submitted: Container[tuple[str, str]] = (),
    is_run: bool = False,
) -> Plan:
    """Plan the changes of the `selected` jobs among `jobs`, which are in dependency order.

    The others are dependencies: they are read, not changed. `scope` identifies the target in the digest.
    `named` are the jobs of all manifests, where `jobs` is a part of them, and `former` what they were before;
    `ownership` are the rules for live jobs of others. `table` decides on the action for each comparison. `submitted`
    are the kinds and ids of the jobs that the journal has as submitted by this project. `is_run`: the table is that of
    `deployer run`, in which several runs of a job may be active.
    """
    owner = ownership.owner
    runs: dict[Identity, list[LiveJob]] = defaultdict(list)
    same_name_elsewhere: dict[tuple[str, str], list[LiveJob]] = defaultdict(list)
    planned = {*named, *(job.identity.of_job for job in jobs)}
    before = {*former, *(identity.of_job for job in jobs for identity in job.renamed_from)} - planned
    managed = planned | before
    for run in live.jobs:
        runs[run.identity].append(run)
        if run.identity.run:
            runs[run.identity.of_job].append(run)
        if run.phase in RUNNING_PHASES and run.identity.of_job not in managed:
            same_name_elsewhere[run.identity.kind, run.identity.name].append(run)
    kinds_with_names = {run.identity.kind for run in live.jobs if run.identity.name}
    extents = _listing_extents(live.jobs) | {
        key: _not_found(total) for key, total in live.asked_by_name.items()
    }
    # The table of `deployer run` has evidence of its own.
    not_told = _not_told([] if is_run else jobs, live)
    earlier = earlier_jobs(live.jobs, planned, owner, before, submitted)
    moved_ids: set[str] = set()
    changes: list[Change] = []
    warnings: list[Note] = []
    errors: list[Note] = []
    dependency_phases: dict[Identity, Phase | str] = {}
    for job in jobs:
        own = present = runs[job.identity]
        failure, unread = live.failures.get(job.identity, ""), ""
        if job.renamed_from:
            from deployer.planning import renames

            own = [*present, *(run for identity in job.renamed_from for run in runs.get(identity, ()))]
            failure, unread = renames.former_failure(job, live.failures, is_found=bool(present))
        if job.identity not in selected:
            current = current_run(own)
            missing = "cannot be read" if failure else _NOT_SELECTED
            dependency_phases[job.identity] = current.phase if current else missing
            continue
        if failure := failure or _rerun_in_future(job, live.now):
            errors.append(Note(job.identity, job.source, failure))
            dependency_phases[job.identity] = "failed to plan"
            continue
        unnamed = _unnamed(job, runs, kinds_with_names)
        lister = (
            "cluster lists no jobs" if KINDS[job.kind].path_fields else "service lists no jobs of this kind"
        )
        listing = extents.get(_listing_key(job.identity), f"the {lister}")
        same_name = same_name_elsewhere[job.kind, job.name]
        elsewhere = [
            run
            for run in same_name
            if (is_owned(run, owner) or _adopts(job, run))
            and (job.is_family or run.identity.run in {"", job.identity.run})
        ]
        moved_ids |= {run.id for run in elsewhere}
        may_be = () if is_run else (*not_told.get(job.identity, ()), *_not_told_in(same_name, job, owner))
        counted = ownership.counted(job, [*own, *elsewhere])
        comparison, row = _decide(job, counted, unnamed, listing, table, ownership, is_run=is_run)
        if job.renamed_from:
            row = renames.name_taken(row, comparison, present, ownership)
            row = renames.allowed(row, comparison, counted, ownership)
            beside = renames.active_elsewhere(job, same_name_elsewhere, ownership)
            moved_ids |= {run.id for run in beside}
            row = renames.beside_active(row, job, beside)
        row = ownership.allowed(row, comparison, [*own, *elsewhere])
        row, doubt = _beside_not_told(row, comparison, may_be, table)
        row, warning = with_earlier(job, row, earlier, _content_differences)
        warnings += [Note(job.identity, job.source, words) for words in (doubt, warning, unread) if words]
        again = _how_to_repeat(job, live=comparison.live, is_run=is_run)
        warnings += _notes(row, comparison, counted, same_name, ownership, again)
        decision = _check_dependencies(job, row, dependency_phases)
        # Tags wait for nothing.
        if table is decide and (taken_over := ownership.taken_over(decision, comparison)):
            decision, job = taken_over, replace(job, depends_on=())
        dependency_phases[job.identity] = _planned_phase(decision, comparison)
        changes.append(_change(job, decision, comparison, counted, ownership, may_be))
    unmanaged = [
        run
        for run in live.jobs
        if run.identity.of_job not in managed and run.id not in moved_ids and counts_as_unmanaged(run)
    ]
    orphans = [
        run
        for run in unmanaged
        if is_owned(run, owner) or ((run.identity.kind, run.id) in submitted and not project_of(run))
    ]
    plan = Plan(
        target,
        tuple(changes),
        tuple(warnings),
        tuple(errors),
        orphans=tuple(map(Orphan, sorted(orphans, key=lambda run: (run.identity, run.id)))),
        unmanaged=len(unmanaged) - len(orphans),
    )
    return replace(plan, digest=digest(scope, plan))


def _change(
    job: Job,
    decision: Decision,
    comparison: Comparison,
    runs: Iterable[LiveJob],
    ownership: OwnershipRules,
    may_be: tuple[LiveJob, ...] = (),
) -> Change:
    # An update of the ownership tags alone sends no field.
    sends_body = Step.CREATE in decision.steps or (
        Step.UPDATE in decision.steps and not comparison.is_unchanged
    )
    shown = _shown_fields(decision, comparison)
    omitted, extra = _not_compared(job, comparison, shown) if sends_body else ((), ())
    is_new = decision.action is Action.CREATE
    differences = ownership.shown(shown, job, comparison.live)
    return Change(
        decision.action,
        job,
        decision.reason,
        decision.impact,
        fields=change_fields(KINDS[job.kind], job, differences, decision.steps, is_new=is_new),
        live=comparison.live,
        steps=decision.steps,
        other_runs=tuple(_other_runs(runs, comparison.live)) if decision.action is Action.CANCEL else (),
        secrets=tuple(secret_fields(job)) if sends_body else (),
        cause=comparison.cause if comparison.fields else None,
        not_compared=omitted,
        live_only=ownership.shown(extra, job, comparison.live),
        blocked_by=tuple(_active(runs)) if decision.awaits_end else (),
        may_be=may_be,
    )


def _adopts(job: Job, run: LiveJob) -> bool:
    """Return whether a manifest takes over a run in another place, whoever deployed it."""
    return job.lifecycle.adopt and bool(KINDS[run.identity.kind].ownership_field)


def _shown_fields(decision: Decision, comparison: Comparison) -> tuple[FieldChange, ...]:
    """Return the differences; for a new run also what the previous one had and the manifest does not."""
    is_new_run = Step.CREATE in decision.steps
    return comparison.fields + (comparison.additional if is_new_run else ())


def _not_compared(
    job: Job, comparison: Comparison, shown: Iterable[FieldChange]
) -> tuple[tuple[str, ...], tuple[FieldChange, ...]]:
    """Return the manifest's fields that the live job does not show, and what only the live job has.

    Without what is in `shown` already.
    """
    kind, live = KINDS[job.kind], comparison.live
    if live is None:
        return (), ()
    matched_by = {*kind.place_fields}
    unobserved = live.unobserved if live.spec else frozenset({row.name for row in kind.rows} - matched_by)
    # With the same fingerprint, the whole body is the same.
    is_same = matches_fingerprint(kind, _as_submitted(job, live), live)
    omitted = () if is_same else not_compared(kind.rows, job.spec, unobserved)
    if live.spec is None:
        return omitted, ()
    extra = live_only(kind.rows, *aligned(kind, live.spec, job.spec), live.unobserved)
    paths = {field.path for field in shown}
    return omitted, tuple(field for field in extra if field.path not in paths)


def _not_told(jobs: Iterable[Job], live: Live) -> Mapping[Identity, tuple[LiveJob, ...]]:
    """Return the runs whose values are not told, by the planned runs that they may be."""
    runs = [job for job in jobs if job.identity.run]
    if not runs:
        return {}
    from deployer.planning.run_evidence import may_be_members

    return may_be_members(runs, live)


def _beside_not_told(
    row: Decision, comparison: Comparison, may_be: Collection[LiveJob], table: Table
) -> tuple[Decision, str]:
    """Return the row of a run of a job beside those that may be it, and a warning."""
    if not may_be:
        return row, ""
    from deployer.planning.decide_run import with_not_told

    return with_not_told(row, comparison, may_be, is_cancel=table is cancellation)


def _not_told_in(same_name: Iterable[LiveJob], job: Job, owner: Owner | None) -> list[LiveJob]:
    """Return the own runs of the same name in other places that may be this one."""
    if not job.identity.run:
        return []
    from deployer.planning.run_keys import NOT_TOLD

    return [run for run in same_name if run.identity.run == NOT_TOLD and is_owned(run, owner)]


def counts_as_unmanaged(live: LiveJob) -> bool:
    """Return whether a live job without a manifest matters: a run that has ended is only a record."""
    return KINDS[live.identity.kind].nature is Nature.DEFINITION or live.phase in RUNNING_PHASES


def _listing_key(identity: Identity) -> tuple[str, str]:
    """Return the key of the listing that shows a job: by cluster for MRS, else by kind."""
    return identity.kind, identity.place if KINDS[identity.kind].path_fields else ""


def _decide(
    job: Job,
    runs: Sequence[LiveJob],
    unnamed: Sequence[LiveJob],
    listing: str,
    table: Table,
    ownership: OwnershipRules,
    *,
    is_run: bool,
) -> tuple[Comparison, Decision]:
    """Return the comparison of one job, and the row of its kind's table that matches it.

    `unnamed` are live jobs of its kind and place without a name, `listing` describes the size of its listing.
    """
    kind = KINDS[job.kind]
    active = _active(runs)
    live = current_run(runs)
    # A job that was renamed is compared as it was submitted: with its former name and place.
    compared = _as_submitted(job, live)
    fields, additional = separated(kind, compared, live, _differences(kind, compared, live))
    comparison = Comparison(job, live, fields, listing, additional, ownership.cause(compared, live, fields))
    if job.renamed_from:
        from deployer.planning import renames

        comparison = renames.with_name(comparison)
        if both := renames.both_exist(job, runs):
            return comparison, both
        table = renames.explaining(table)
    if kind.nature is Nature.DEFINITION:
        if len(runs) > 1:
            cause = f"several live jobs have this name: {_ids(runs)}"
            return comparison, Decision(Action.BLOCKED, cause, "rename or delete all but one")
        return comparison, table(comparison)
    decision = table(comparison)
    if len(active) > 1 and decision.action is Action.CANCEL:
        decision = replace(
            decision, effect=f"several runs are active, will cancel all of them ({_ids(active)})"
        )
    elif len(active) > 1 and comparison.fields and not (is_run or job.is_family or job.runs_on_request):
        cause = f"several runs are active ({_ids(active)}), and the newest one differs from the manifest"
        hint = "wait for them to end, or cancel them"
        return comparison, Decision(Action.BLOCKED, cause, hint, awaits_end=True)
    candidates = _active(unnamed)
    if live is None and candidates:
        place = candidates[0].identity.place or job.identity.place
        cause = f"an unnamed active job in {kind.place} '{place}' may be this job: {_ids(candidates)}"
        if decision.action is Action.CREATE:
            return comparison, Decision(Action.BLOCKED, cause, "wait for it to end, or cancel it")
        decision = replace(decision.and_also(cause), is_warning=True)
    return comparison, decision


def _unnamed(
    job: Job, runs: Mapping[Identity, Sequence[LiveJob]], kinds_with_names: Container[str]
) -> list[LiveJob]:
    """Return the live jobs without a name that may be `job`: in its place, or in an unknown one.

    An entry that has no name although others of its listing have one, or although it shows its whole request, is
    that of a job that was submitted without a name. Every job of a manifest has one.
    """
    kind = KINDS[job.kind]
    if kind.nature is Nature.DEFINITION:
        return []
    places = {job.identity.place, "", *(identity.place for identity in job.renamed_from)}
    found = [run for place in sorted(places) for run in runs.get(Identity(job.kind, place, ""), ())]
    shows_names = kind.name in kinds_with_names
    return [run for run in found if may_be_unnamed(kind, run) or (run.spec is None and not shows_names)]


def _active(runs: Iterable[LiveJob]) -> list[LiveJob]:
    return [run for run in runs if run.phase in RUNNING_PHASES]


def current_run(runs: Sequence[LiveJob]) -> LiveJob | None:
    """Return the current run: the newest active one, or the newest of all if none is active."""
    return max(_active(runs) or runs, key=lambda run: (run.submitted, run.id), default=None)


def _other_runs(runs: Iterable[LiveJob], live: LiveJob | None) -> list[LiveJob]:
    """Return the active runs other than the current one."""
    return [run for run in _active(runs) if live is None or run.id != live.id]


def _ids(runs: Iterable[LiveJob]) -> str:
    return ", ".join(sorted(run.id for run in runs))


def _listing_extents(jobs: Iterable[LiveJob]) -> dict[tuple[str, str], str]:
    """Describe how many jobs each listing has, and its oldest run: older records may have expired."""
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for job in jobs:
        is_run = KINDS[job.identity.kind].nature is Nature.RUN_ONCE
        times[_listing_key(job.identity)].append(job.submitted if is_run else 0)
    return {key: _describe_extent(listed) for key, listed in times.items()}


def _not_found(total: int, oldest: str = "") -> str:
    jobs = f"{total} {'job' if total == 1 else 'jobs'}"
    return f"not in the service's list ({jobs}{oldest})"


def _describe_extent(times: Sequence[int]) -> str:
    oldest = utc_time(min(filter(None, times), default=0))
    return _not_found(len(times), f", going back to {oldest:%Y-%m-%d}" if oldest else "")


def _as_submitted(job: Job, live: LiveJob | None) -> Job:
    """Return a job as it was when a live job with a former name or place was submitted."""
    if job.is_family and live is not None:
        job = _with_values_of(job, live)
    if live is None or live.identity not in job.renamed_from:
        return job
    from deployer.kinds.former import under_identity

    return under_identity(job, live.identity)


def _with_values_of(family: Job, live: LiveJob) -> Job:
    """Return the run of a job with the values of a live run; the job if they are not told."""
    from deployer.parameters.keys import values_of
    from deployer.parameters.runs import with_values
    from deployer.planning.run_keys import NOT_TOLD

    is_told = live.identity.run not in {"", NOT_TOLD}
    return with_values(family, values_of(live.identity.run)) if is_told else family


def _differences(kind: Kind, job: Job, live: LiveJob | None) -> tuple[FieldChange, ...]:
    if live is None or live.spec is None or job.is_family:
        return ()
    has_moved = live.identity.place != job.identity.place
    if kind.nature is Nature.RUN_ONCE and not has_moved and matches_fingerprint(kind, job, live):
        return ()  # submitted with this spec; the service filled in any difference
    fields = compare_job(kind, job, live)
    place_path = f"/{kind.place}"
    if has_moved and all(field.path != place_path for field in fields):
        fields = (FieldChange(place_path, live.identity.place, job.identity.place), *fields)
    return fields


def _content_differences(kind: Kind, job: Job, live: LiveJob) -> tuple[FieldChange, ...]:
    """Return the differences of a live job of another name that count as changes."""
    return separated(kind, job, live, _differences(kind, job, live))[0]


def _rerun_in_future(job: Job, now: datetime | None) -> str:
    rerun = job.lifecycle.rerun
    if rerun and now is None:
        return "cannot evaluate rerun: the service did not report its time"
    if rerun and now and rerun > now:
        return f"rerun must not be in the future: {rerun.isoformat()} (service time: {now.isoformat()})"
    return ""


def _planned_phase(decision: Decision, comparison: Comparison) -> Phase | str:
    """Return the phase that a dependent can rely on, or the reason that it cannot."""
    if decision.action is Action.BLOCKED:
        return "is blocked"
    if {Step.CREATE, Step.START} & {*decision.steps}:
        return Phase.PENDING
    if {Step.CANCEL, Step.STOP, Step.DELETE} & {*decision.steps}:
        return Phase.STOPPED
    return comparison.live.phase if comparison.live else "does not exist"


def _check_dependencies(
    job: Job, decision: Decision, dependency_phases: Mapping[Identity, Phase | str]
) -> Decision:
    """Block a change whose dependency does not exist, and add the dependencies that apply waits for."""
    if not DEPENDENT_STEPS & {*decision.steps}:
        return decision
    waits = []
    for dependency in job.depends_on:
        name = f"dependency '{dependency.identity.label}'"
        phase = dependency_phases[dependency.identity]
        if dependency.identity.run and phase == _NOT_SELECTED:
            phase = f"has no run, and is not selected: add '{dependency.identity.name}', or run it first"
        if not isinstance(phase, Phase):
            return Decision(Action.BLOCKED, f"{name} {phase}")
        enough = REACHED_PHASES[dependency.until]
        if phase in FAILED_PHASES or (phase is Phase.DRAFT and phase not in enough):
            return Decision(Action.BLOCKED, f"{name} {CONDITIONS[phase]}")
        if phase not in enough:
            waits.append(f"{name} {UNTIL_WORDS[dependency.until]}")
    return decision.and_also(f"first waits until {' and '.join(waits)}") if waits else decision


def _notes(
    row: Decision,
    comparison: Comparison,
    runs: Iterable[LiveJob],
    same_name_elsewhere: Sequence[LiveJob],
    ownership: OwnershipRules,
    again: str,
) -> list[Note]:
    """Return the warnings of a job: of its row, and of other active runs.

    `same_name_elsewhere` are active jobs of the same kind and name, in places that no manifest names. `again` says how
    the job is submitted although it has not changed.
    """
    messages = [row.reason] if row.is_warning else []
    if comparison.rerun_undecidable:
        messages.append("rerun ignored: the service does not report the submission time")
    # A new run's changes show them, and a job that ends needs no comparison.
    is_kept = comparison.job.lifecycle.state is not State.ABSENT
    if comparison.additional and is_kept and not {Step.CREATE, Step.CANCEL} & {*row.steps}:
        shown = ownership.shown(comparison.additional, comparison.job, comparison.live)
        messages.append(describe(KINDS[comparison.job.kind], shown, again))
    if kept := _kept_secrets(comparison):
        messages.append(kept)
    if copied := _copied_fingerprint(comparison, again):
        messages.append(copied)
    others = _other_runs(runs, comparison.live)
    if others and row.action is Action.CANCEL:
        messages.append(f"several runs are active; all of them will be cancelled: {_ids(_active(runs))}")
    elif others and row.action is not Action.BLOCKED and not comparison.job.is_family:
        messages.append(
            f"several runs are active: {_ids(_active(runs))}; the newest is compared with the manifest"
        )
    if same_name_elsewhere and comparison.live is None and row.action is Action.CREATE:
        where = ", ".join(f"{run.id} in {run.identity.place}" for run in same_name_elsewhere)
        messages.append(f"a job of the same name is active elsewhere ({where}) and keeps running")
    job = comparison.job
    return [Note(job.identity, job.source, message) for message in messages]


def _kept_secrets(comparison: Comparison) -> str:
    """Return a warning if a stream keeps a field with a secret that the manifest does not have any more.

    The service may have filled in such a field, so its value is not compared; an update does not remove it.
    """
    job, live = comparison.job, comparison.live
    kind = KINDS[job.kind]
    if live is None or kind.nature is not Nature.DEFINITION or job.lifecycle.state is State.ABSENT:
        return ""
    compared = {field.name for field in (*comparison.fields, *comparison.additional)}
    had_secret = {pointer.split("/")[1] for pointer in recorded_secret_pointers(kind, live) if pointer}
    kept = sorted(had_secret & {*(live.spec or {})} - {*job.spec} - compared)
    if not kept:
        return ""
    names = ", ".join(f"/{name}" for name in kept)
    return (
        f"the live job still has {names} with a secret, and the manifest does not; to replace it, set it in the "
        "manifest"
    )


def _how_to_repeat(job: Job, *, live: LiveJob | None, is_run: bool) -> str:
    """Return how a job is submitted although it has not changed: apply has an option, `deployer run` needs none."""
    if not is_run and not job.runs_on_request:
        return "use --rerun"
    from deployer.planning.decide_run import run_command

    flags = " without --missing, --failed and --changed" if is_run else ""
    return f"use '{run_command(job, live)}'{flags}"


def _copied_fingerprint(comparison: Comparison, again: str) -> str:
    """Return a warning if a run has the fingerprint of its manifest, but other values of what the manifest has.

    The service may show what it was sent in another form, so that is no change; but whoever edits a run in the
    console and submits it again copies its fingerprint.
    """
    job, live = comparison.job, comparison.live
    if live is None or live.spec is None:
        return ""
    spec = live.spec
    # First, because it takes less than a fingerprint, and is so for most jobs.
    if all(spec.get(name) == value for name, value in job.spec.items()):
        return ""
    job = _as_submitted(job, live)
    if not matches_fingerprint(KINDS[job.kind], job, live):
        return ""
    differing = [
        path_words(field) for field in compare_job(KINDS[job.kind], job, live) if not field.additional
    ]
    if not differing:
        return ""
    return (
        f"run {live.id} has the fingerprint of this manifest, but the service shows other values of "
        f"{', '.join(differing)}: it may have been submitted again outside deployer; to submit this manifest, {again}"
    )


def digest(scope: Mapping[str, str], plan: Plan) -> str:
    """Hash the planned changes and their target (SHA-256), independent of file layout."""
    changes: list[Any] = [
        [
            change.action,
            # Approving a restart does not approve a loss of state, nor approving a draft its start.
            change.impact,
            [_step_words(change, step) for step in change.steps],
            sorted([*dependency.identity.parts, dependency.until] for dependency in change.job.depends_on),
            *change.job.identity.parts,
            *_shown_body(change.job),
            change.live.id if change.live else None,
            *(
                [[*change.live.identity.parts]]
                if change.live and change.live.identity in change.job.renamed_from
                else []
            ),
            *sorted(run.id for run in change.other_runs),
        ]
        for change in sorted(plan.pending, key=lambda change: change.job.identity)
    ]
    canonical = json.dumps([dict(scope), changes], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _step_words(change: Change, step: Step) -> str:
    keeps = step is not Step.STOP or change.job.lifecycle.savepoint
    return str(step) if keeps else f"{step} without a savepoint"


def _shown_body(job: Job) -> tuple[dict[str, Any], list[str]]:
    """Return a body without its secrets, and the strings in it that refer to secrets, by name."""
    kind = KINDS[job.kind]
    body = kind.body(job.name, job.spec)
    return masked(kind.spellings, body), texts_with_references(body)


def exceeded_limits(limits: Mapping[str, Limit], plan: Plan, *, is_cancel: bool = False) -> list[str]:
    """Return the limits of a target that a plan exceeds, in words; blocked changes do not count.

    `is_cancel`: a stop counts as a deletion too, as it is all that `deployer cancel` does to a Flink job.
    """
    ending = {Action.DELETE, Action.CANCEL} | ({Action.STOP} if is_cancel else set())
    counts = {
        "changes": (sum(change.runs for change in plan.steps), "in all"),
        "replace": (plan.summary[Action.REPLACE], "to replace"),
        "delete": (
            sum(plan.summary[action] for action in ending) + _also_pruned(plan, ending),
            "to cancel or stop" if is_cancel else "to delete or cancel",
        ),
        "stateLoss": (sum(change.impact is Impact.STATE_LOST for change in plan.steps), "losing state"),
    }
    exceeded = []
    # Without a prune, a stop is no deletion.
    if any(change.is_prune for change in plan.changes) and not is_cancel:
        counts["delete"] = (counts["delete"][0], "to delete, cancel or prune")
    for name, limit in limits.items():
        number, counted = counts[name]
        if number > limit.maximum:
            exceeded.append(f"limits.{name} is {limit.maximum}, but the plan has {number} {counted}")
    return exceeded


def _also_pruned(plan: Plan, ending: Container[Action]) -> int:
    """Return how many jobs a prune ends with other actions than those: streams that it stops."""
    return sum(change.is_prune and change.action not in ending for change in plan.changes)
