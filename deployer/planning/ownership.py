"""The part of a plan that depends on who deployed a live job: which runs count, what is blocked, what is shown.

A job of another project is not changed, nor a running job without ownership metadata although its kind has it,
unless the manifest adopts it. Their live values are not in the plan, so that no report can show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS, Nature
from deployer.kinds.ownership import (
    MAX_TAGS,
    Owner,
    can_be_unowned,
    cause_of,
    is_owned,
    project_of,
    recorded_secret_pointers,
)
from deployer.model import (
    MAY_RUN_PHASES,
    RUNNING_PHASES,
    Action,
    Cause,
    FieldChange,
    Impact,
    Job,
    LiveJob,
    OnChange,
    OnMissing,
    Phase,
    State,
    Step,
)
from deployer.planning.decide import Comparison, Decision
from deployer.secrets.pointers import is_covered
from deployer.secrets.scrub import MASK

# The steps that change the live job, in contrast to a new run beside it.
TOUCHING_STEPS = {Step.CANCEL, Step.STOP, Step.UPDATE, Step.START, Step.DELETE}

_MAX_NAME = 64


class LiveValues(Enum):
    """The live values in a plan: of all jobs, of those that may be shown, or of none."""

    SHOW = "show"
    OWN = "own"
    HIDE = "hide"


class Holder(Enum):
    """The deployer of a live job, as far as its ownership metadata tells. UNKNOWN: it cannot have any."""

    OURS = "ours"
    OTHER = "other project"
    NOBODY = "nobody"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OwnershipRules:
    """The rules of one plan. Without a `project` all jobs count as its own.

    A project that does not record ownership cannot tell its jobs from those without ownership metadata.
    """

    project: str = ""
    is_recorded: bool = True
    live_values: LiveValues = LiveValues.OWN

    @property
    def owner(self) -> Owner | None:
        """The owner in the ownership tags of the project; None if it does not record ownership."""
        return Owner(self.project) if self.project and self.is_recorded else None

    def holder(self, live: LiveJob) -> Holder:
        """Return who deployed a live job."""
        if not self.project or is_owned(live, Owner(self.project)):
            return Holder.OURS
        if project_of(live):
            return Holder.OTHER
        is_known = self.is_recorded and can_be_unowned(KINDS[live.identity.kind], live)
        return Holder.NOBODY if is_known else Holder.UNKNOWN

    def is_other(self, job: Job, live: LiveJob) -> bool:
        """Return whether another project deployed a live job, which the manifest does not adopt."""
        return not job.lifecycle.adopt and self.holder(live) is Holder.OTHER

    def counted(self, job: Job, runs: Sequence[LiveJob]) -> list[LiveJob]:
        """Return the runs that count as those of a job: without another project's, unless there are no others.

        With the same content, a run of another project is not repeated: the project may have been renamed.
        """
        return [run for run in runs if not self.is_other(job, run)] or [*runs]

    def cause(self, job: Job, live: LiveJob | None, fields: Sequence[FieldChange]) -> Cause:
        """Return which side of a job has changed, if `fields` differ."""
        if not fields:
            return Cause.UNKNOWN
        # The manifest of another project is not known, and without records an older fingerprint may be stale.
        if live is None or (self.project and self.holder(live) is not Holder.OURS):
            return Cause.UNKNOWN
        kind = KINDS[job.kind]
        if not self.is_recorded and kind.nature is Nature.DEFINITION:
            return Cause.UNKNOWN
        return cause_of(kind, job, live, fields)

    def allowed(self, decision: Decision, comparison: Comparison, runs: Iterable[LiveJob]) -> Decision:
        """Return a decision, blocked where it would affect a job that the project may not change.

        `runs` are all runs of the job, those of other projects too.
        """
        job, live = comparison.job, comparison.live
        current = [live] if live else []
        others = [run for run in runs if run.phase in RUNNING_PHASES and run is not live]
        affected = current if TOUCHING_STEPS & {*decision.steps} else []
        if decision.action is Action.CANCEL:  # it ends all runs that count
            affected = self.counted(job, [*current, *others])
        foreign = list(dict.fromkeys(words for run in affected if (words := self._foreign(run))))
        if job.lifecycle.adopt:
            causes = [decision.cause, *foreign, *(["adopted because adopt is true"] if foreign else [])]
            return replace(decision, cause="; ".join(causes))
        if foreign:
            return _blocked(decision, foreign[0])
        beside = [run for run in [*current, *others] if self.is_other(job, run)]
        if Step.CREATE in decision.steps and job.lifecycle.on_change is not OnChange.SUBMIT:
            for run in beside:
                if run.phase in RUNNING_PHASES and KINDS[job.kind].nature is Nature.RUN_ONCE:
                    cause = f"{decision.cause}; run {run.id} {run.condition}, and {deployed_by(run)}"
                    return Decision(Action.BLOCKED, cause, "wait for it to end, or choose another name")
        if live and self.is_other(job, live) and job.lifecycle.state is not State.ABSENT:
            is_warning = decision.is_warning or decision.action is Action.UNCHANGED
            cause = f"{decision.cause}; {deployed_by(live)}"
            # How long another project lets its run go on is not known.
            return replace(decision, cause=cause, is_warning=is_warning, awaits_end=False)
        return decision

    def taken_over(self, decision: Decision, comparison: Comparison) -> Decision | None:
        """Return the update that writes the ownership tags of an adopted job that is as its manifest says.

        Without them the project that deployed it would still count it as its own, and end it once it has no manifest
        there. None if there is nothing to write, or the manifest is one of `deployer import`, which changes nothing.
        """
        job, live = comparison.job, comparison.live
        lifecycle = job.lifecycle
        if not lifecycle.adopt or lifecycle.on_missing is OnMissing.KEEP or lifecycle.state is State.ABSENT:
            return None
        if live is None or live.phase is Phase.UNKNOWN or live.spec is None or comparison.fields:
            return None
        if decision.action is not Action.UNCHANGED or not self.can_mark(job, live):
            return None
        effect = f"takes it over{from_project(live)}: writes the ownership tags"
        return Decision(Action.UPDATE, decision.cause, effect, Impact.IN_PLACE, (Step.UPDATE,))

    def can_mark(self, job: Job, live: LiveJob) -> bool:
        """Return whether a live job is not marked as this project's, and tags would mark it without a restart."""
        if not self.is_recorded or KINDS[job.kind].ownership_field != TAGS or TAGS in live.unobserved:
            return False
        has_room = len(job.spec.get(TAGS, [])) < MAX_TAGS
        return has_room and self.holder(live) in {Holder.OTHER, Holder.NOBODY}

    def _foreign(self, run: LiveJob) -> str:
        """Return why a run that would be changed may not be this project's, empty if it is."""
        holder = self.holder(run)
        if holder is Holder.OTHER:
            return deployed_by(run)
        if holder is Holder.NOBODY and run.phase in MAY_RUN_PHASES:
            return f"{_noun(run)} has no ownership tags, so it may not be this project's"
        return ""

    def shown(self, fields: Iterable[FieldChange], job: Job, live: LiveJob | None) -> tuple[FieldChange, ...]:
        """Return field changes as a plan may show them: every list of them in a plan passes through here.

        What was secret when the job was deployed stays masked.
        """
        fields = tuple(fields)
        if live is None or not fields:
            return fields
        pointers = recorded_secret_pointers(KINDS[live.identity.kind], live)
        if not self.hides(job, live):
            return tuple(_masked(field, pointers) for field in fields)
        hidden = [*map(_hidden, fields)]
        paths = [field.path for field in hidden]
        return tuple(field for index, field in enumerate(hidden) if field.path not in paths[:index])

    def hides(self, job: Job, live: LiveJob) -> bool:
        """Return whether no report may show the values of a live job."""
        if self.live_values is not LiveValues.OWN:
            return self.live_values is LiveValues.HIDE
        if job.lifecycle.adopt:
            return False
        holder = self.holder(live)
        has_room = self.is_recorded and bool(KINDS[live.identity.kind].ownership_field)
        return holder is Holder.OTHER or (holder is not Holder.OURS and has_room)


def _blocked(decision: Decision, whose: str) -> Decision:
    cause = f"{decision.cause}; {whose}"
    return Decision(Action.BLOCKED, cause, "to take it over, set lifecycle.adopt to true")


def deployed_by(run: LiveJob) -> str:
    """Return `project 'other' deployed the job`"""
    return f"project '{short_project(run)}' deployed {_noun(run)}"


def from_project(run: LiveJob) -> str:
    """Return ` from project 'other'`, empty if the job names none."""
    return f" from project '{short_project(run)}'" if project_of(run) else ""


def short_project(run: LiveJob) -> str:
    """Return the project that a live job names, shortened."""
    project = project_of(run)
    return project if len(project) <= _MAX_NAME else f"{project[:_MAX_NAME]}..."


def _noun(run: LiveJob) -> str:
    return "the job" if KINDS[run.identity.kind].nature is Nature.DEFINITION else f"run {run.id}"


def _hidden(field: FieldChange) -> FieldChange:
    if field.desired is None and not field.sensitive:
        # The keys that only the live job has are its values, too.
        return replace(field, path=f"/{field.name}", live=None, live_hidden=True)
    return field if field.sensitive else replace(field, live=None, live_hidden=True)


def _masked(field: FieldChange, pointers: tuple[str, ...]) -> FieldChange:
    if field.sensitive or field.live is None or not is_covered(field.path, pointers):
        return field
    return replace(field, live=MASK)
