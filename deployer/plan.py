"""Jobs and LiveJobs -> Plan. Pure: no I/O, no clock, no order but that of the jobs.

The two tables of this module, `_run_once` and `_definition`, are the rules; the first row that matches
counts. What they decide is an `Action`; which of those this version carries out is `APPLICABLE`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from deployer.diff import compare
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind, Nature
from deployer.model import (
    Action,
    Change,
    FieldChange,
    Identity,
    Impact,
    Job,
    Live,
    LiveJob,
    Note,
    OnChange,
    OnFailure,
    OnMissing,
    Phase,
    Plan,
    State,
    Until,
)
from deployer.redact import masked

APPLICABLE = {Action.CREATE, Action.SUBMIT, Action.RESUBMIT, Action.START}

_RUNNING = {Phase.ACTIVE, Phase.PENDING}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a row of a table says. `attention` asks a person to look; a warning counts as that too."""

    action: Action
    reason: str
    impact: Impact = Impact.NONE
    attention: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """One job and what is live of it: `live` is the run that counts, `fields` what differs from it.

    `listing` says how much its listing holds, for the reason of a create.
    """

    job: Job
    live: LiveJob | None
    fields: tuple[FieldChange, ...] = ()
    listing: str = ""

    @property
    def same(self) -> bool:
        return not self.fields

    @property
    def rerun_due(self) -> bool:
        """Whether `rerun` asks for a newer run than the one that counts."""
        rerun = self.job.lifecycle.rerun
        return bool(rerun and self.live and 0 < self.live.submitted < rerun.timestamp() * 1000)

    @property
    def rerun_unclear(self) -> bool:
        """Whether `rerun` cannot be judged: acting on it would run the job again at every apply."""
        return bool(self.job.lifecycle.rerun and self.live and self.live.submitted <= 0)

    @property
    def only_hot(self) -> bool:
        """Whether all that differs can be changed while the job runs."""
        hot = {row.name for row in KINDS[self.job.kind].rows if row.hot}
        return all(field.path.split("/")[1] in hot for field in self.fields)


def make_plan(
    target: str, place: Mapping[str, str], jobs: Sequence[Job], live: Live, selected: Container[Identity]
) -> Plan:
    """What apply would do for the `selected` of `jobs`, which stand with dependencies first.

    The others are there as dependencies: they are looked at, and nothing is done about them. `place`
    identifies the target in the digest.
    """
    runs: dict[Identity, list[LiveJob]] = defaultdict(list)
    for one in live.jobs:
        runs[one.identity].append(one)
    reach = _reach(live.jobs)
    changes: list[Change] = []
    attention: list[Note] = []
    errors: list[Note] = []
    standing: dict[Identity, Phase | str] = {}
    for job in jobs:
        own = runs[job.identity]
        failure = live.failures.get(job.identity)
        if job.identity not in selected:
            counting = _counting(own)
            missing = "could not be looked up" if failure else "is not deployed, and not selected"
            standing[job.identity] = counting.phase if counting else missing
            continue
        if failure := failure or _rerun_in_future(job, live.now):
            errors.append(Note(job.identity, job.source, failure))
            standing[job.identity] = "could not be planned"
            continue
        unnamed = runs[job.identity._replace(name="")]
        listing = reach.get(_listing_key(job.identity), "the listing is empty")
        situation, row = _decide(job, own, unnamed, listing)
        attention += _notes(row, situation, own)
        decision = _available(_await_dependencies(job, row, standing))
        standing[job.identity] = _standing(decision, situation)
        change = Change(
            decision.action, job, decision.reason, decision.impact, situation.fields, situation.live
        )
        changes.append(change)
    plan = Plan(target, tuple(changes), tuple(attention), tuple(errors))
    return replace(plan, digest=digest(place, plan))


def _listing_key(identity: Identity) -> tuple[str, str]:
    """Which listing shows a job: an MRS job its cluster's, the others that of their kind."""
    in_path = any(row.location == "path" for row in KINDS[identity.kind].rows)
    return identity.kind, identity.place if in_path else ""


def _decide(
    job: Job, runs: Sequence[LiveJob], unnamed: Sequence[LiveJob], listing: str
) -> tuple[Situation, Decision]:
    """The situation of one job, and the row of its kind's table that matches it.

    `unnamed` are live jobs of its kind and place without a name, `listing` how much was listed.
    """
    kind = KINDS[job.kind]
    active = _active(runs)
    counting = _counting(runs)
    situation = Situation(job, counting, _differences(kind, job, counting), listing)
    if kind.nature is Nature.DEFINITION:
        if len(runs) > 1:
            return situation, Decision(Action.BLOCKED, f"several jobs have this name: {_ids(runs)}")
        return situation, _definition(situation)
    if len(active) > 1 and situation.fields and job.lifecycle.state is not State.ABSENT:
        reason = f"several are active, and the newest differs: {_ids(active)}"
        return situation, Decision(Action.BLOCKED, reason)
    decision = _run_once(situation)
    may_be_it = [] if kind.named_in_listing else _active(unnamed)
    if decision.action is Action.CREATE and may_be_it:
        reason = f"an active job without a name in {job.identity.place} may be this one: {_ids(may_be_it)}"
        return situation, Decision(Action.BLOCKED, reason)
    return situation, decision


def _active(runs: Iterable[LiveJob]) -> list[LiveJob]:
    return [run for run in runs if run.phase in _RUNNING]


def _counting(runs: Sequence[LiveJob]) -> LiveJob | None:
    """The run that counts: the newest of the active ones, or of all where none is active."""
    return max(_active(runs) or runs, key=lambda run: (run.submitted, run.id), default=None)


def _ids(runs: Iterable[LiveJob]) -> str:
    return ", ".join(sorted(run.id for run in runs))


def _reach(jobs: Iterable[LiveJob]) -> dict[tuple[str, str], str]:
    """How much each listing holds, and how far back: older records may have expired there."""
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in jobs:
        times[_listing_key(one.identity)].append(one.submitted)
    return {key: _reach_words(listed) for key, listed in times.items()}


def _reach_words(times: Sequence[int]) -> str:
    held = f"the listing holds {len(times)} {'job' if len(times) == 1 else 'jobs'}"
    try:
        oldest = datetime.fromtimestamp(min(filter(None, times)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return held  # it tells no time, or none that there is
    return f"{held}, back to {oldest:%Y-%m-%d}"


def _differences(kind: Kind, job: Job, live: LiveJob | None) -> tuple[FieldChange, ...]:
    if live is None or live.spec is None:
        return ()
    return compare(kind.rows, live.spec, kind.expect(job.spec), live.unlisted)


# --- the tables -------------------------------------------------------------------------------------------


def _run_once(it: Situation) -> Decision:  # noqa: C901 - one branch is one row of the table
    job, live = it.job, it.live
    if job.lifecycle.state is State.ABSENT:
        if live and live.phase in _RUNNING:
            return Decision(Action.CANCEL, f"state: absent, and {live.id} is {live.state}", Impact.CANCELS)
        return Decision(Action.UNCHANGED, "state: absent, and nothing is active")
    if live is None:
        if job.lifecycle.on_missing is OnMissing.KEEP:
            return Decision(Action.UNCHANGED, "not in the listing, and onMissing is keep")
        return Decision(Action.CREATE, f"no record of it: {it.listing}")
    if live.phase is Phase.UNKNOWN:
        reason = f"its state '{live.state}' is not known to this version; nothing is done"
        return Decision(Action.UNCHANGED, reason, attention=True)
    if live.spec is None:
        reason = "the listing does not show what was submitted, so it cannot be compared; nothing is done"
        return Decision(Action.UNCHANGED, reason, attention=True)
    if live.phase in _RUNNING:
        return _run_once_active(it, live)
    ended = f"the last run ({live.id}) is {live.state}"
    if not it.same:
        if job.lifecycle.on_change is OnChange.KEEP:
            return Decision(Action.UNCHANGED, f"{ended} and differs, and onChange is keep")
        return Decision(Action.RESUBMIT, f"the manifest changed; {ended}", Impact.RERUNS)
    if it.rerun_due:
        return Decision(Action.RESUBMIT, f"rerun is later than its submission; {ended}", Impact.RERUNS)
    if live.phase is Phase.SUCCEEDED:
        return Decision(Action.UNCHANGED, ended)
    if live.phase is Phase.STOPPED:
        return Decision(Action.UNCHANGED, f"{ended}: somebody stopped it", attention=True)
    if job.lifecycle.on_failure is OnFailure.RESUBMIT:
        return Decision(Action.RESUBMIT, f"{ended}, and onFailure is resubmit", Impact.RERUNS)
    return Decision(Action.UNCHANGED, f"{ended}; onFailure is keep", attention=True)


def _run_once_active(it: Situation, live: LiveJob) -> Decision:
    now = f"{live.id} is {live.state}"
    if it.same:
        if it.rerun_due:
            return Decision(Action.BLOCKED, f"rerun is later than its submission, but {now}")
        return Decision(Action.UNCHANGED, now)
    match it.job.lifecycle.on_change:
        case OnChange.REPLACE:
            return Decision(Action.REPLACE, f"the manifest changed while {now}", Impact.CANCELS)
        case OnChange.SUBMIT:
            return Decision(
                Action.SUBMIT, f"the manifest changed; beside {live.id}, which goes on", Impact.RERUNS
            )
        case OnChange.KEEP:
            return Decision(Action.UNCHANGED, f"{now} and differs, and onChange is keep")
        case OnChange.BLOCK:
            reason = f"the manifest changed while {now}; let it end, or set onChange"
            return Decision(Action.BLOCKED, reason)


def _definition(it: Situation) -> Decision:  # noqa: C901 - one branch is one row of the table
    job, live = it.job, it.live
    wants_run = job.lifecycle.state is State.RUNNING
    if job.lifecycle.state is State.ABSENT:
        if live is None:
            return Decision(Action.UNCHANGED, "state: absent, and there is none")
        if live.phase is Phase.PENDING:
            return Decision(Action.UNCHANGED, f"in transition: {live.state}")
        return Decision(Action.DELETE, f"state: absent, and it is {live.state}", Impact.DELETES)
    if live is None:
        if job.lifecycle.on_missing is OnMissing.KEEP:
            return Decision(Action.UNCHANGED, "not in the listing, and onMissing is keep")
        then = "created, then run" if wants_run else "created as a draft, not run"
        return Decision(Action.CREATE, f"no record of it: {it.listing}; {then}")
    if live.phase is Phase.PENDING:
        return Decision(Action.UNCHANGED, f"in transition: {live.state}; plan again later")
    if live.phase is Phase.UNKNOWN:
        return Decision(Action.UNCHANGED, f"its state '{live.state}' needs a person", attention=True)
    if live.spec is None:
        reason = "the listing does not show its definition, so it cannot be compared; nothing is done"
        return Decision(Action.UNCHANGED, reason, attention=True)
    if it.same:
        return _definition_same(it, live, wants_run=wants_run)
    if it.only_hot or live.phase is not Phase.ACTIVE:
        return Decision(Action.UPDATE, f"the manifest changed; it is {live.state}", Impact.IN_PLACE)
    if not wants_run:
        return Decision(Action.STOP, "state: stopped, and the manifest changed", Impact.RESTART)
    return Decision(Action.RESTART, f"the manifest changed while it is {live.state}", Impact.RESTART)


def _definition_same(it: Situation, live: LiveJob, *, wants_run: bool) -> Decision:
    now = f"it is {live.state}"
    match live.phase:
        case Phase.ACTIVE if not wants_run:
            return Decision(Action.STOP, f"state: stopped, and {now}", Impact.RESTART)
        case _ if not wants_run:
            return Decision(Action.UNCHANGED, now, attention=live.phase is Phase.FAILED)
        case Phase.ACTIVE:
            return Decision(Action.UNCHANGED, now)
        case Phase.DRAFT:
            return Decision(Action.START, "created, but it has never run")
        case Phase.STOPPED:
            # Starting it without its savepoint would lose state.
            return Decision(
                Action.BLOCKED, f"{now}; starting it from its savepoint is not available in this version"
            )
        case Phase.SUCCEEDED:
            if it.rerun_due:
                return Decision(Action.START, f"rerun is later than its last start; {now}", Impact.RERUNS)
            return Decision(Action.UNCHANGED, f"{now}: it ran to its end")
        case _:
            if it.job.lifecycle.on_failure is OnFailure.RESUBMIT:
                reason = f"{now}; starting it again from its savepoint is not available in this version"
                return Decision(Action.BLOCKED, reason)
            return Decision(Action.UNCHANGED, f"{now}; onFailure is keep", attention=True)


# --- around the tables ------------------------------------------------------------------------------------


def _rerun_in_future(job: Job, now: datetime | None) -> str:
    rerun = job.lifecycle.rerun
    if rerun and now is None:
        return "rerun cannot be judged: the service does not say what time it is"
    if rerun and now and rerun > now:
        return f"rerun is in the future: {rerun.isoformat()} (the service's clock says {now.isoformat()})"
    return ""


def _available(decision: Decision) -> Decision:
    if decision.action in {*APPLICABLE, Action.UNCHANGED, Action.BLOCKED}:
        return decision
    return Decision(
        Action.BLOCKED, f"{decision.reason}; '{decision.action}' is not available in this version"
    )


def _standing(decision: Decision, situation: Situation) -> Phase | str:
    """The phase that a dependent may count on, or why it cannot."""
    if decision.action in APPLICABLE:
        return Phase.PENDING
    if decision.action is Action.BLOCKED:
        return "is blocked"
    return situation.live.phase if situation.live else "is not there"


def _await_dependencies(job: Job, decision: Decision, standing: Mapping[Identity, Phase | str]) -> Decision:
    """Blocks what would be sent before a dependency has come as far as `until` says."""
    if decision.action in {Action.UNCHANGED, Action.BLOCKED}:
        return decision
    for dependency in job.depends_on:
        name = dependency.identity.name
        phase = standing[dependency.identity]
        if not isinstance(phase, Phase):
            return Decision(Action.BLOCKED, f"it depends on {name}, which {phase}")
        if phase in {Phase.FAILED, Phase.STOPPED}:
            return Decision(Action.BLOCKED, f"it depends on {name}, which has {phase}")
        enough = {
            Until.SUBMITTED: {*Phase},
            Until.RUNNING: {Phase.ACTIVE, Phase.SUCCEEDED},
            Until.SUCCEEDED: {Phase.SUCCEEDED},
        }[dependency.until]
        if phase not in enough:
            word = "has succeeded" if dependency.until is Until.SUCCEEDED else "is running"
            return Decision(Action.BLOCKED, f"it waits until {name} {word}; apply again then")
    return decision


def _notes(row: Decision, situation: Situation, runs: Iterable[LiveJob]) -> list[Note]:
    """What a person should look at: warnings, and active runs beside the one that counts."""
    messages = [row.reason] if row.attention else []
    if situation.rerun_unclear:
        messages.append("rerun is not acted on: the listing does not say when the job was submitted")
    others = [run for run in _active(runs) if run is not situation.live]
    if others and row.action is not Action.BLOCKED:
        messages.append(f"more than one is active; beside it: {_ids(others)}")
    job = situation.job
    return [Note(job.identity, job.source, message) for message in messages]


def digest(place: Mapping[str, str], plan: Plan) -> str:
    """SHA-256 over what would be done where: the same for the same changes, whatever the files look like."""
    changes: list[Any] = [
        [
            change.action,
            *change.job.identity,
            _shown_body(change.job),
            change.live.id if change.live else None,
        ]
        for change in sorted(plan.pending, key=lambda change: change.job.identity)
    ]
    canonical = json.dumps([dict(place), changes], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _shown_body(job: Job) -> dict[str, Any]:
    kind = KINDS[job.kind]
    return masked(kind.rows, kind.body(job.name, job.spec))


def beyond(limits: Mapping[str, int], plan: Plan) -> list[str]:
    """Which of a target's limits a plan goes beyond, in words; blocked changes do not count."""
    made = [change for change in plan.pending if change.action is not Action.BLOCKED]
    counts = {
        "changes": len(made),
        "replace": plan.summary[Action.REPLACE],
        "delete": plan.summary[Action.DELETE],
        "stateLoss": sum(change.impact is Impact.STATE_LOST for change in made),
    }
    return [
        f"{counts[name]} {name}, where limits.{name} allows {most}"
        for name, most in limits.items()
        if counts[name] > most
    ]
