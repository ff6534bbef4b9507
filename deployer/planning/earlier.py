"""Live jobs that may be an earlier deployment of a job that is to be created: in another place, or renamed.

They are not the job's own runs, so nothing of them is changed; the plan says that its data was processed already. No
job is created beside an active one that this project deployed with the same content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind, Nature
from deployer.kinds.ownership import Owner, is_owned, matches_fingerprint, project_of
from deployer.model import (
    MAY_RUN_PHASES,
    RUNNING_PHASES,
    Action,
    FieldChange,
    Identity,
    Impact,
    Job,
    LiveJob,
    OnChange,
    Step,
    utc_time,
)
from deployer.planning.decide import Decision

# Of jobs with the same program, so many of the newest are compared.
MAX_COMPARED = 100


Differences = Callable[[Kind, Job, LiveJob], tuple[FieldChange, ...]]


@dataclass(frozen=True, slots=True)
class Earlier:
    """The live jobs of no manifest, by kind and name, and by what they run; newest first, after those that may run.

    `own` are the kinds and ids of those that this project deployed.
    """

    by_name: Mapping[tuple[str, str], list[LiveJob]]
    by_program: Mapping[tuple[Any, ...], list[LiveJob]]
    own: Container[tuple[str, str]] = frozenset()


def earlier_jobs(
    jobs: Iterable[LiveJob],
    planned: Collection[Identity],
    owner: Owner | None,
    former: Collection[Identity] = (),
    submitted: Container[tuple[str, str]] = (),
) -> Earlier:
    """Return the live jobs that no manifest has: those of `owner`, and those of a kind without ownership tags.

    The `former` identities of manifests are theirs too. `submitted` are the kinds and ids that the journal has: they
    prove who deployed what can have no ownership tags.
    """
    names = {(identity.kind, identity.name) for identity in planned}
    by_name: dict[tuple[str, str], list[LiveJob]] = defaultdict(list)
    by_program: dict[tuple[Any, ...], list[LiveJob]] = defaultdict(list)
    own: set[tuple[str, str]] = set()
    order = sorted(
        jobs, key=lambda live: (live.phase in MAY_RUN_PHASES, live.submitted, live.id), reverse=True
    )
    for live in order:
        identity = live.identity.of_job
        kind = KINDS[identity.kind]
        if identity in planned or identity in former:
            continue
        key = identity.kind, live.id
        has_tags = owner is not None and kind.ownership_field
        if is_owned(live, owner) or (not has_tags and key in submitted and not project_of(live)):
            own.add(key)
        elif kind.ownership_field:
            continue
        by_name[identity.kind, identity.name].append(live)
        is_renamed = (identity.kind, identity.name) not in names or kind.path_fields
        if is_renamed and live.spec is not None and identity.name:
            by_program[_program(kind, live.spec, identity.place)].append(live)
    return Earlier(by_name, by_program, own)


def _program(kind: Kind, spec: Mapping[str, Any], place: str) -> tuple[Any, ...]:
    """Return what the jobs of a kind are found by: the program; for MRS also the cluster and the arguments."""
    if kind.path_fields:
        return kind.name, place, spec.get("job_type"), tuple(map(str, spec.get("arguments", ())))
    fields = [row.name for row in kind.rows if row.required and row.name not in kind.place_fields]
    return kind.name, *(str(spec.get(name)) for name in fields)


def with_earlier(job: Job, row: Decision, earlier: Earlier, differences: Differences) -> tuple[Decision, str]:
    """Return the decision on a job, and a warning if it is created although it seems to have run already.

    It is blocked beside an active job that this project deployed with the same content. `onChange: submit` allows a
    second run, and nothing a second definition.
    """
    kind = KINDS[job.kind]
    if row.action is not Action.CREATE:
        return row, ""
    renamed = _same_content(kind, job, earlier, differences)
    is_once = kind.nature is Nature.RUN_ONCE
    may_run_twice = is_once and job.lifecycle.on_change is OnChange.SUBMIT
    if renamed and _is_active(renamed) and not may_run_twice and _key(renamed) in earlier.own:
        return _twice(row, job, renamed), ""
    if is_once and (found := _with_its_name(kind, job, earlier, differences)):
        verb = "runs" if found.phase in RUNNING_PHASES else "ran"
        return _rerunning(row, job, found, f"{verb} already {_where(job, found)} {_details(found)}")
    if renamed is None:
        return row, ""
    name, details = renamed.identity.name, _details(renamed)
    if kind.nature is Nature.DEFINITION:
        words = f"possible rename: {name} (id {renamed.id}, {renamed.state}) has the same definition but no manifest"
        message = f"{words}; both jobs would exist{_advice(job, renamed)}"
        if Step.START not in row.steps:
            return row, message
        return replace(row, cause=f"{row.cause}; {words}", impact=Impact.RERUNS), message
    if not kind.ownership_field:
        # It may be somebody else's, but the data is the same.
        words = f"possible rename: a run with the same content exists as {name} {details}"
        return _rerunning(row, job, renamed, words)
    verb = "runs" if renamed.phase in RUNNING_PHASES else "ran"
    where = f" in {renamed.identity.place}" if renamed.identity.place != job.identity.place else ""
    words = f"possible rename: {verb} already as {name}{where} {details} with the same content"
    return _rerunning(row, job, renamed, words)


def _key(live: LiveJob) -> tuple[str, str]:
    return live.identity.kind, live.id


def _is_active(live: LiveJob) -> bool:
    return live.phase in MAY_RUN_PHASES


def _with_its_name(kind: Kind, job: Job, earlier: Earlier, differences: Differences) -> LiveJob | None:
    """Return the newest live job that has the name of a run-once job, or a former one, in a place of no manifest.

    Without ownership tags it may be somebody else's: then the name must be in renamedFrom, and the content the same.
    """
    from deployer.kinds.former import under_identity

    for name in dict.fromkeys((job.name, *(identity.name for identity in job.renamed_from))):
        for live in earlier.by_name.get((job.kind, name), ()):
            if live.identity.run and job.identity.run and _has_other_values(job, live):
                continue
            if name == job.name:
                if (
                    kind.ownership_field and live.phase not in RUNNING_PHASES
                ):  # an active one has moved: see plan
                    return live
            elif kind.ownership_field or not differences(kind, under_identity(job, live.identity), live):
                return live
    return None


def _has_other_values(run: Job, live: LiveJob) -> bool:
    """Return whether a live job is certainly another run of the same job."""
    from deployer.planning.run_keys import NOT_TOLD

    return live.identity.run not in {run.identity.run, NOT_TOLD}


def _twice(row: Decision, job: Job, live: LiveJob) -> Decision:
    """Return the row, blocked: the live job is active with the same content."""
    name = live.identity.name
    what = "definition" if KINDS[job.kind].nature is Nature.DEFINITION else "content"
    found = (
        f"this project deployed the same {what} as {name} (id {live.id}, {live.state}), which has no manifest"
    )
    end = f"end it first (cancel --id {live.id})"
    hint = f"if it was renamed, set metadata.renamedFrom: {_former(job, live)}; otherwise {end} or keep its manifest"
    return Decision(Action.BLOCKED, f"{row.cause}; {found}", hint)


def _rerunning(row: Decision, job: Job, live: LiveJob, words: str) -> tuple[Decision, str]:
    decision = replace(row, cause=f"{row.cause}; {words}", impact=Impact.RERUNS)
    return decision, f"{words}; its data would be processed again{_advice(job, live)}"


def _advice(job: Job, live: LiveJob) -> str:
    """Return what to write if the live job is this one under an earlier name, or in an earlier place."""
    return f"; if it is this job, set metadata.renamedFrom: {_former(job, live)}"


def _former(job: Job, live: LiveJob) -> str:
    """Return the value of renamedFrom with which a live job is an earlier one of a job."""
    parts = {}
    if live.identity.name != job.name:
        parts["name"] = live.identity.name
    if live.identity.place != job.identity.place:
        parts["place"] = live.identity.place
    written = ", ".join(f"{key}: {value}" for key, value in parts.items())
    return f"{{{written}}}" if "place" in parts else parts["name"]


def _same_content(kind: Kind, job: Job, earlier: Earlier, differences: Differences) -> LiveJob | None:
    """Return the newest live job of another name with the content of `job`; one that may run first."""
    program = _program(kind, kind.expect(job.spec), job.identity.place)
    candidates = earlier.by_program.get(program, ())[:MAX_COMPARED]
    if not candidates:
        return None
    from deployer.kinds.former import under_identity

    for live in candidates:
        same = under_identity(job, live.identity)
        if kind.nature is Nature.DEFINITION:
            is_same = not differences(kind, same, live)
        elif kind.ownership_field:
            is_unmarked = not live.ownership.get("fingerprint")
            is_same = matches_fingerprint(kind, same, live) or (
                is_unmarked and not differences(kind, same, live)
            )
        else:  # sessions show little of their content
            is_shown = live.unobserved <= {*kind.place_fields}
            is_here = live.identity.place == job.identity.place
            is_same = is_shown and is_here and not differences(kind, job, live)
        if is_same:
            return live
    return None


def _where(job: Job, live: LiveJob) -> str:
    """Return `in q`, or `as name in q` for another name."""
    name = f"as {live.identity.name} " if live.identity.name != job.name else ""
    return f"{name}in {live.identity.place}"


def _details(live: LiveJob) -> str:
    """Return `(id b-1, success, 2024-07-03 11:00 UTC)`"""
    when = utc_time(live.submitted)
    return f"(id {live.id}, {live.state}{f', {when:%Y-%m-%d %H:%M} UTC' if when else ''})"
