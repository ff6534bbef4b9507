"""The plan of `deployer run`: the runs that are wanted, and what keeps each of them from being submitted now."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace

from deployer.apply.unsettled import FOUND
from deployer.cli.session import Known
from deployer.clock import utc_text
from deployer.model import RUNNING_PHASES, Action, Change, Identity, Impact, Job, Live, Plan, Result, Step
from deployer.parameters.types import in_ranges
from deployer.planning.decide_run import RunTable, Wanted
from deployer.planning.run_evidence import Recorded, evidence


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What `deployer run` wants of its runs. `max_active` runs of a job may be active at once.

    `waits`: those beyond wait for a place, else they are blocked.
    """

    wanted: Wanted
    target: str
    max_active: int = 1
    waits: bool = False

    def table(self, jobs: Sequence[Job], live: Live, known: Known, named: Container[Identity]) -> RunTable:
        """Return the decision table for these runs; `named` are the jobs of all manifests."""
        return RunTable(self.wanted, evidence(jobs, live, self._recorded(known), named))

    def _recorded(self, known: Known) -> Recorded:
        submitted = {
            intent.identity: f"run {intent.run} submitted it as {intent.id} at {utc_text(intent.ended or intent.time)}"
            for intent in known.history.intents
            if (intent.target, intent.call) == (self.target, Step.CREATE)
            and intent.result in {Result.DONE, FOUND}
            and intent.id
        }
        return Recorded(submitted, known.shared_since())

    def in_places(self, plan: Plan, live: Live) -> Plan:
        """Return the plan with the runs that are beyond --max-active waiting or blocked, in order."""
        places = Places.left_by(plan, live, self.max_active)
        blocked: set[Identity] = set()
        changes = []
        for change in plan.changes:
            if Step.CREATE in change.steps:
                needed = next((need for need in change.job.depends_on if need.identity in blocked), None)
                if needed:
                    change = _blocked(change, f"dependency '{needed.identity.label}' is blocked")
                elif not places.take(change):
                    change = self._without_place(change, places)
            if change.action is Action.BLOCKED:
                blocked.add(change.job.identity)
            changes.append(change)
        return replace(plan, changes=tuple(changes))

    def _without_place(self, change: Change, places: Places) -> Change:
        if self.waits:
            return replace(
                change, reason=f"{change.reason}; waits for a place (--max-active {self.max_active})"
            )
        words = f"at most {self.max_active} of its runs are active at once"
        active = places.active.get(change.job.identity.of_job, ())
        ids = f"{', '.join(active)} is active, and " if len(active) == 1 else ""
        return _blocked(change, f"{ids}{words}; use --wait to wait for it, or a higher --max-active")

    def rest(self, left: Sequence[Change]) -> str:
        """Return what an interrupted command says: what continues, what is left, and how to submit that."""
        words = "the runs that were submitted continue"
        if not left:
            return words
        words = f"{words}; not submitted: {'; '.join(_named(left))}"
        if self.wanted.is_selective:
            return f"{words}; the same command submits the rest"
        if all(change.action is Action.CREATE for change in left):
            return f"{words}; with --missing, the same command submits the rest"
        return words


def _named(changes: Sequence[Change]) -> Iterator[str]:
    """Yield each job with its runs: `daily-orders date=2024-07-01..2024-07-03`, or their number."""
    runs: dict[Identity, list[Job]] = {}
    for change in changes:
        runs.setdefault(change.job.identity.of_job, []).append(change.job)
    for identity, jobs in runs.items():
        if not jobs[0].parameters:
            yield identity.name
        elif len(jobs[0].parameters) > 1:
            yield (
                f"{identity.name} {jobs[0].identity.run}"
                if len(jobs) == 1
                else f"{identity.name} ({len(jobs)} runs)"
            )
        else:
            ((name, parameter),) = jobs[0].parameters.items()
            values = in_ranges(parameter, [job.values[name] for job in jobs])
            yield f"{identity.name} {name}={','.join(values)}"


def _blocked(change: Change, words: str) -> Change:
    reason = f"{change.reason.partition('; will submit')[0]}; {words}"
    return Change(Action.BLOCKED, change.job, reason, Impact.NONE, change.fields, change.live)


@dataclass(slots=True)
class Places:
    """The places of runs that may be active at once, `most` of each job."""

    most: int
    active: dict[Identity, list[str]] = field(default_factory=dict)

    @classmethod
    def left_by(cls, plan: Plan, live: Live, most: int) -> Places:
        """Return the places that the active runs leave, also those under former names."""
        names = {
            former.of_job: change.job.identity.of_job
            for change in plan.changes
            for former in change.job.renamed_from
        }
        active: dict[Identity, list[str]] = {}
        for run in live.jobs:
            if run.phase in RUNNING_PHASES:
                name = run.identity.of_job
                active.setdefault(names.get(name, name), []).append(run.id)
        return cls(most, active)

    def take(self, change: Change) -> bool:
        """Take a place for a run, if there is one. A second run beside one of the same values needs none."""
        if change.action is Action.SUBMIT:
            return True
        taken = self.active.setdefault(change.job.identity.of_job, [])
        if len(taken) >= self.most:
            return False
        taken.append(change.job.identity.run)
        return True
