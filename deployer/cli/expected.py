"""Whether a plan is the one that was approved: --expect and --plan."""

from __future__ import annotations

import os
from dataclasses import dataclass

import click

from deployer.apply.history import History, Intent, unsettled
from deployer.apply.provenance import revision
from deployer.apply.unsettled import FOUND
from deployer.cli.session import LoadedProject
from deployer.clock import utc_text
from deployer.model import Plan, Result
from deployer.planning.saved_plan import SavedPlan
from deployer.report import text
from deployer.report.terminal import err
from deployer.report.text import count


def differences(plan: Plan, expect: str | None, saved: SavedPlan | None) -> list[str]:
    """Return why the plan is not the expected one, and report it; nothing if it is."""
    from deployer.report import stale

    found: list[str] = []
    if expect not in (None, plan.digest):
        message = f"the plan has changed: expected digest {expect}, got {plan.digest}"
        err(text.error(f"{message} (the plan above is the current one)"))
        found.append(message)
    if saved and saved.digest != plan.digest:
        for line in stale.explanation(saved, plan):
            err(line)
            found.append(click.unstyle(line))
    return found


def is_approved(plan: Plan, expect: str | None, saved: SavedPlan | None) -> bool:
    """Return whether the plan is the expected one, or none is expected."""
    return {plan.digest}.issuperset(_approved(expect, saved))


def _approved(expect: str | None, saved: SavedPlan | None) -> set[str]:
    return {*([] if expect is None else [expect]), *([saved.digest] if saved else [])}


@dataclass(frozen=True, slots=True)
class EarlierApply:
    """What earlier runs have applied of the approved plan, from the commit that is checked out.

    `last` is the last request that succeeded. `done` of the `total` changes were applied. `in_doubt`: the outcome
    of a request is unknown.
    """

    last: Intent
    done: int
    total: int
    in_doubt: bool

    def is_complete(self, plan: Plan) -> bool:
        """Return whether all of the approved plan was applied; `plan` is what there is to do now."""
        return self.done == self.total and not (self.in_doubt or plan.pending or plan.errors)

    def is_undone(self, plan: Plan) -> bool:
        """Return whether all of the approved plan was applied, and is to be done again: that was not approved."""
        return self.done == self.total and bool(plan.steps)

    @property
    def undone(self) -> str:
        return (
            f"the expected plan was applied before, by {self._run}, and its jobs were changed back since then, "
            "perhaps a later commit; to apply it again, run apply without --expect and --plan"
        )

    @property
    def words(self) -> str:
        return f"This plan has already been applied, by {self._run}, and nothing is left to do"

    @property
    def _run(self) -> str:
        return f"run {self.last.run} at {utc_text(self.last.ended or self.last.time)}"

    def advice(self, plan: Plan) -> str:
        """Return what to do about the rest."""
        applied = (
            f"{self.done} of {count(self.total, 'change')} of the expected plan {_was(self.done)} applied"
        )
        if not plan.pending:
            return f"{applied}, last by {self._run}; according to the current plan, nothing is left to do"
        return (
            f"{applied}, last by {self._run}; the current plan has what is to be done now: to apply it, run apply "
            "without --expect and --plan"
        )


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def earlier_apply(
    expect: str | None, saved: SavedPlan | None, history: History, loaded: LoadedProject, project_id: str
) -> EarlierApply | None:
    """Return what was applied of the approved plan before; None if that is not recorded, or from another commit.

    Another commit has another plan. Without git, or with files that differ from the commit, it is not known.
    """
    digests = _approved(expect, saved)
    if not digests:
        return None
    here = (loaded.target.name, project_id, loaded.project.name)
    sent = [
        intent
        for intent in history.intents
        if {intent.plan} == digests
        and (intent.target, intent.project_id, intent.project_name) == here
        and intent.result in {Result.DONE, FOUND}
    ]
    if not sent:
        return None
    commits = {intent.revision for intent in sent}
    if commits != {revision(loaded.project.folder, os.environ)} or not all(map(_is_clean, commits)):
        return None
    done = len({intent.identity for intent in sent})
    return EarlierApply(sent[-1], done, sent[-1].plan_changes, bool(unsettled(history, loaded.target.name)))


def _is_clean(commit: str) -> bool:
    return bool(commit) and not commit.endswith(" dirty")
