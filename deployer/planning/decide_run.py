"""The decision tables of jobs that `deployer run` submits: that of the verb itself, and what apply does about them.

Rows are tried in order, as in docs/runs.md. A run that may have been made is never made again without consent.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from deployer.model import MAY_RUN_PHASES, RUNNING_PHASES, Action, Identity, Impact, Job, LiveJob, Phase, Step
from deployer.planning.decide import Comparison, Decision

ASSUME = "--assume-missing"

_MOST_IDS = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `deployer run` is to submit: all named runs, or with one of the first three only those that need it.

    `beside`: also beside an active run of the same values. `assume_missing`: what is not known to exist does not.
    """

    missing: bool = False
    failed: bool = False
    changed: bool = False
    beside: bool = False
    assume_missing: bool = False

    @property
    def is_selective(self) -> bool:
        return self.missing or self.failed or self.changed


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one run besides its listed ones.

    `not_told` are runs of its job that may be it. `doubt` says why a run that is not listed may have been made all the
    same; empty if it was not.
    """

    not_told: tuple[LiveJob, ...] = ()
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class RunTable:
    """The table of `deployer run`, with the evidence for each run by its identity."""

    wanted: Wanted
    evidence: Mapping[Identity, Evidence] = field(default_factory=dict)

    def __call__(self, comparison: Comparison) -> Decision:
        evidence = self.evidence.get(comparison.job.identity, Evidence())
        row = self._row(comparison)
        is_asked = Step.CREATE in row.steps or self._asks_for_newest(comparison)
        if not is_asked or self.wanted.assume_missing:
            return row
        return _not_told(row, comparison, evidence, self.wanted) or _doubted(row, evidence, self.wanted)

    def _asks_for_newest(self, comparison: Comparison) -> bool:
        """Return whether the state of the newest run is what matters, and none that has not ended is known."""
        live, wanted = comparison.live, self.wanted
        is_over = live is None or (live.phase not in MAY_RUN_PHASES and live.spec is not None)
        return is_over and (wanted.failed or wanted.changed)

    def _row(self, comparison: Comparison) -> Decision:
        live, wanted = comparison.live, self.wanted
        if live is None:
            return _none(wanted)
        now = f"run {live.id} {live.condition}"
        if live.phase is Phase.UNKNOWN:
            return Decision(Action.UNCHANGED, now, "not submitted; check it in the console", is_warning=True)
        if live.spec is None:
            cause = f"the service does not return the submitted spec of run {live.id}"
            return Decision(Action.UNCHANGED, cause, "not submitted; it cannot be compared", is_warning=True)
        if live.phase in RUNNING_PHASES:
            if wanted.is_selective:
                return Decision(Action.UNCHANGED, now)
            if wanted.beside:
                effect = f"will submit a second run; run {live.id} keeps running"
                return Decision(Action.SUBMIT, now, effect, Impact.RERUNS, (Step.CREATE,))
            return Decision(
                Action.BLOCKED, now, "wait for it to end, cancel it, or use --beside for a second run"
            )
        if live.phase is Phase.SUCCEEDED:
            return self._succeeded(comparison, now)
        if wanted.failed or not wanted.is_selective:
            return _again(now)
        return Decision(Action.UNCHANGED, now, "not submitted again without --failed", is_warning=True)

    def _succeeded(self, comparison: Comparison, now: str) -> Decision:
        wanted = self.wanted
        if comparison.is_unchanged:
            return Decision(Action.UNCHANGED, now) if wanted.is_selective else _again(now)
        older = f"{now}, of another definition"
        if wanted.changed or not wanted.is_selective:
            return _again(older)
        return Decision(Action.UNCHANGED, older, "not submitted again without --changed")


def _again(cause: str) -> Decision:
    return Decision(Action.RESUBMIT, cause, "will submit a new run", Impact.RERUNS, (Step.CREATE,))


def _none(wanted: Wanted) -> Decision:
    none = "no run of it is listed"
    if wanted.is_selective and not wanted.missing:
        return Decision(Action.UNCHANGED, none, "not submitted without --missing")
    return Decision(Action.CREATE, none, "will submit a run", steps=(Step.CREATE,))


def _not_told(row: Decision, comparison: Comparison, evidence: Evidence, wanted: Wanted) -> Decision | None:
    """Return the row, blocked if a run whose values are not told may be the one that it would make again."""
    may_be = _may_be(comparison, evidence.not_told)
    if not wanted.is_selective:
        may_be = [run for run in may_be if run.phase in MAY_RUN_PHASES]
    if not may_be:
        return None
    ids = ", ".join(sorted(run.id for run in may_be))
    cause = f"{row.cause}; the values of {ids} are not told, so it may be one of them"
    runs = shlex.join(["deployer", "runs", comparison.job.name])
    consent = "submits it all the same" if Step.CREATE in row.steps else "takes them for other runs"
    return Decision(Action.BLOCKED, cause, f"check them with '{runs}'; {ASSUME} {consent}")


def _may_be(comparison: Comparison, not_told: Iterable[LiveJob]) -> list[LiveJob]:
    """Return the runs whose values are not told that may be newer than the newest one whose values are."""
    since = comparison.live.submitted if comparison.live else 0
    return [
        run for run in not_told if run.phase in MAY_RUN_PHASES or not run.submitted or run.submitted >= since
    ]


def _doubted(row: Decision, evidence: Evidence, wanted: Wanted) -> Decision:
    """Return the row, blocked if its run may be forgotten and only missing ones are wanted."""
    if row.action is not Action.CREATE or not evidence.doubt or not wanted.is_selective:
        return row
    return Decision(Action.BLOCKED, f"{row.cause}; {evidence.doubt}", f"{ASSUME} submits it")


# --- apply --------------------------------------------------------------------------------------------------


def with_not_told(
    row: Decision, comparison: Comparison, not_told: Iterable[LiveJob], *, is_cancel: bool = False
) -> tuple[Decision, str]:
    """Return apply's row of a run, and a warning; `not_told` are the runs of its job that may be it.

    It is blocked beside one that is active. After one that has ended it is submitted with a warning. `is_cancel`: the
    row is that of `deployer cancel`, which ends nothing that may be another run.
    """
    may_be = _may_be(comparison, not_told)
    active = [run for run in may_be if run.phase in MAY_RUN_PHASES]
    if is_cancel:
        is_unknown = active and comparison.live is None
        return replace(row, cause=_UNKNOWN) if is_unknown else row, _not_cancelled(active)
    if not may_be or row.action is Action.SUBMIT:
        return row, ""
    if Step.CREATE not in row.steps:
        return _with_unknown_cause(row, comparison, may_be), ""
    if active:
        cause = row.cause if comparison.live else _UNKNOWN
        runs = shlex.join(["deployer", "runs", comparison.job.name])
        hint = f"wait for it to end, or end it with '{_cancel_command(active)}'; '{runs}' shows why"
        return Decision(Action.BLOCKED, f"{cause}; {not_told_words(active)}", hint), ""
    row = _with_unknown_cause(row, comparison, may_be)
    if comparison.live:
        row = replace(row, cause=f"{row.cause}; {not_told_words(may_be)}")
    return (
        replace(row, impact=Impact.RERUNS),
        f"{not_told_words(may_be)}; its data would be processed again",
    )


_UNKNOWN = "no run with these values is known"


def _with_unknown_cause(row: Decision, comparison: Comparison, may_be: Sequence[LiveJob]) -> Decision:
    """Return the row without the words that there is no run, where one may be it."""
    if comparison.live or row.action is Action.BLOCKED:
        return row
    return replace(row, cause=f"{_UNKNOWN}; {not_told_words(may_be)}")


def not_told_words(runs: Sequence[LiveJob]) -> str:
    """Return why runs may be the one that is meant: `run b-1 (running) may be it, because its values are not told`"""
    shown = [f"{run.id} ({run.state})" for run in sorted(runs, key=lambda run: run.id)[:_MOST_IDS]]
    more = f" and {len(runs) - _MOST_IDS} more" if len(runs) > _MOST_IDS else ""
    if len(runs) == 1:
        return f"run {shown[0]} may be it, because its values are not told"
    return f"runs {', '.join(shown)}{more} may be it, because their values are not told"


def _not_cancelled(active: list[LiveJob]) -> str:
    if not active:
        return ""
    return f"{not_told_words(active)}; not cancelled: to end it, use '{_cancel_command(active)}'"


def _cancel_command(active: list[LiveJob]) -> str:
    return shlex.join(["deployer", "cancel", "--id", min(run.id for run in active)])


def not_applied(comparison: Comparison) -> Decision:
    """Decide for apply on a job that only `deployer run` submits, unless it is absent: no change."""
    job, live = comparison.job, comparison.live
    only = "submitted by 'deployer run' only"
    if live is None:
        return Decision(Action.UNCHANGED, "no run is listed", only)
    run = f" ({live.identity.run})" if live.identity.run and not job.identity.run else ""
    newest = f"run {live.id}{run} {live.condition}"
    if live.phase in {Phase.FAILED, Phase.STOPPED}:
        return Decision(
            Action.UNCHANGED, newest, f"{only}: {run_command(job, live, '--failed')}", is_warning=True
        )
    if live.phase is Phase.UNKNOWN:
        return Decision(Action.UNCHANGED, newest, only, is_warning=True)
    return Decision(Action.UNCHANGED, newest, only)


def run_command(job: Job, live: LiveJob | None, *flags: str) -> str:
    """Return the command that makes a run of a job again: that of the job's values, or of a live run's."""
    from deployer.parameters.keys import values_of
    from deployer.planning.run_keys import NOT_TOLD

    key = job.identity.run or (live.identity.run if live else "")
    values = values_of(key) if key and key != NOT_TOLD else dict.fromkeys(job.parameters, "...")
    words = [word for name, value in values.items() for word in ("--param", f"{name}={value}")]
    return shlex.join(["deployer", "run", job.name, *words, *flags])
