"""Jobs and LiveJobs -> Plan. Pure: no I/O, no clock, no order but that of the jobs.

It finds out which live run counts for each job, has `decide` look it up in the tables, and holds back what
must wait for a dependency. `APPLICABLE` are the actions that this version carries out.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deployer.decide import RUNNING, Decision, Situation, definition, run_once
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
    Phase,
    Plan,
    State,
    Until,
)
from deployer.redact import masked
from deployer.secrets import marked

APPLICABLE = {Action.CREATE, Action.SUBMIT, Action.RESUBMIT, Action.START}


def make_plan(
    target: str, place: Mapping[str, str], jobs: Sequence[Job], live: Live, selected: Container[Identity]
) -> Plan:
    """What apply would do for the `selected` of `jobs`, which stand with dependencies first.

    The others are there as dependencies: they are looked at, and nothing is done about them. `place`
    identifies the target in the digest.
    """
    runs: dict[Identity, list[LiveJob]] = defaultdict(list)
    strays: dict[tuple[str, str], list[LiveJob]] = defaultdict(list)
    planned = {job.identity for job in jobs}
    for one in live.jobs:
        runs[one.identity].append(one)
        if one.phase in RUNNING and one.identity not in planned:
            strays[one.identity.kind, one.identity.name].append(one)
    reach = _reach(live.jobs) | {
        key: f"asked by name, the listing of {total} jobs holds none"
        for key, total in live.asked_by_name.items()
    }
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
        attention += _notes(row, situation, own, strays[job.kind, job.name])
        decision = _available(_await_dependencies(job, row, standing))
        standing[job.identity] = _standing(decision, situation)
        fields = _all_fields(job) if decision.action is Action.CREATE else situation.fields
        changes.append(Change(decision.action, job, decision.reason, decision.impact, fields, situation.live))
    plan = Plan(target, tuple(changes), tuple(attention), tuple(errors))
    return replace(plan, digest=digest(place, plan))


def _listing_key(identity: Identity) -> tuple[str, str]:
    """Which listing shows a job: an MRS job its cluster's, the others that of their kind."""
    return identity.kind, identity.place if KINDS[identity.kind].path_fields else ""


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
        return situation, definition(situation)
    if len(active) > 1 and situation.fields and job.lifecycle.state is not State.ABSENT:
        reason = f"several are active, and the newest differs: {_ids(active)}"
        return situation, Decision(Action.BLOCKED, reason)
    decision = run_once(situation)
    may_be_it = [] if kind.named_in_listing else _active(unnamed)
    if decision.action is Action.CREATE and may_be_it:
        reason = f"an active job without a name in {job.identity.place} may be this one: {_ids(may_be_it)}"
        return situation, Decision(Action.BLOCKED, reason)
    return situation, decision


def _active(runs: Iterable[LiveJob]) -> list[LiveJob]:
    return [run for run in runs if run.phase in RUNNING]


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


def _all_fields(job: Job) -> tuple[FieldChange, ...]:
    """What a new job is made of, with its secrets masked."""
    shown = masked(KINDS[job.kind].spellings, job.spec)
    return tuple(FieldChange(f"/{name}", None, value) for name, value in shown.items())


def _notes(
    row: Decision, situation: Situation, runs: Iterable[LiveJob], strays: Sequence[LiveJob]
) -> list[Note]:
    """What a person should look at: warnings, and active runs beside the one that counts.

    `strays` are active jobs of the same kind and name, in places where no manifest has them.
    """
    messages = [row.reason] if row.attention else []
    if situation.rerun_unclear:
        messages.append("rerun is not acted on: the listing does not say when the job was submitted")
    others = [run for run in _active(runs) if run is not situation.live]
    if others and row.action is not Action.BLOCKED:
        messages.append(f"more than one is active; beside it: {_ids(others)}")
    if strays and row.action is Action.CREATE:
        where = ", ".join(f"{one.id} in {one.identity.place}" for one in strays)
        messages.append(f"a job of this name is active elsewhere ({where}) and goes on beside it")
    job = situation.job
    return [Note(job.identity, job.source, message) for message in messages]


def digest(place: Mapping[str, str], plan: Plan) -> str:
    """SHA-256 over what would be done where: the same for the same changes, whatever the files look like."""
    changes: list[Any] = [
        [
            change.action,
            *change.job.identity,
            *_shown_body(change.job),
            change.live.id if change.live else None,
        ]
        for change in sorted(plan.pending, key=lambda change: change.job.identity)
    ]
    canonical = json.dumps([dict(place), changes], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _shown_body(job: Job) -> tuple[dict[str, Any], list[str]]:
    """A body without what is secret, and the texts in it that hold secrets, by their names."""
    kind = KINDS[job.kind]
    body = kind.body(job.name, job.spec)
    return masked(kind.spellings, body), marked(body)


def beyond(limits: Mapping[str, int], plan: Plan) -> list[str]:
    """Which of a target's limits a plan goes beyond, in words; blocked changes do not count."""
    counts = {
        "changes": len(plan.steps),
        "replace": plan.summary[Action.REPLACE],
        "delete": plan.summary[Action.DELETE],
        "stateLoss": sum(change.impact is Impact.STATE_LOST for change in plan.steps),
    }
    return [
        f"{counts[name]} {name}, where limits.{name} allows {most}"
        for name, most in limits.items()
        if counts[name] > most
    ]
