"""The decision tables: what is to be done about one job, and why. The first row that matches counts.

`run_once` is the table for jobs that run when they are created, `definition` the one for those that are
started and stopped. What a row decides is an `Action`, whether or not this version can carry it out.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployer.kinds import KINDS
from deployer.model import (
    Action,
    FieldChange,
    Impact,
    Job,
    LiveJob,
    OnChange,
    OnFailure,
    OnMissing,
    Phase,
    State,
)

RUNNING = {Phase.ACTIVE, Phase.PENDING}


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


def run_once(it: Situation) -> Decision:  # noqa: C901 - one branch is one row of the table
    job, live = it.job, it.live
    if job.lifecycle.state is State.ABSENT:
        if live and live.phase in RUNNING:
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
    if live.phase in RUNNING:
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


def definition(it: Situation) -> Decision:  # noqa: C901 - one branch is one row of the table
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
