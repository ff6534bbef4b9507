"""`deployer destroy`"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.cli import locks, planner, removal, session, shared_state
from deployer.cli.approval import (
    DESTROY,
    approved_by_options,
    exceeded,
    is_within,
    limits_for,
    request_approval,
    require_terminal,
)
from deployer.cli.examples import examples
from deployer.cli.execute import execute
from deployer.cli.options import (
    Options,
    confirm_option,
    confirm_project_option,
    inside,
    known_kinds,
    limit_option,
    lock_timeout_option,
    project_command,
    prune_all_option,
    report_limit_option,
    report_option,
    selector,
    summary_option,
    yes_option,
)
from deployer.cli.outcome_reports import REPORTS, Record, reporting
from deployer.cli.removal import Prune
from deployer.clock import StopSignal
from deployer.errors import Exit, NothingSelected, UsageError, similar
from deployer.model import Action, Dependency, End, Identity, Job, Limit, Live, Plan, State, Step
from deployer.planning.removal import Removal
from deployer.project.load import load as load_project
from deployer.report import text
from deployer.report.terminal import out
from deployer.report.text import count

if TYPE_CHECKING:
    from deployer.cloud.client import Client

PARALLELISM = 4
MAX_NAMES = 5

EXAMPLES = examples(
    ("Cancel the run of a job, or stop and delete its definition", "deployer destroy daily-orders"),
    ("Retire a folder", "deployer destroy streams/ -t prod"),
    ("Retire the project: its jobs, and what is left of earlier ones", "deployer destroy --all -t prod"),
)


@click.command("destroy", epilog=EXAMPLES)
@yes_option
@confirm_option
@limit_option
@lock_timeout_option
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Select all jobs of the project, and orphaned jobs that are proved to be its own.",
)
@confirm_project_option
@prune_all_option
@report_option(*REPORTS)
@report_limit_option
@summary_option
@partial(project_command, metavar="[PATH|NAME]...", completion="names_and_files")
@reporting(DESTROY)
def command(
    options: Options,
    *,
    yes: bool,
    confirm: str | None,
    limits: Sequence[str],
    lock_timeout: float | None,
    everything: bool,
    confirm_project: str | None,
    whole: Sequence[str],
    record: Record,
) -> Exit:
    """Cancel the runs of the selected jobs, stop their Flink jobs with a savepoint, and delete their definitions.

    It does once what lifecycle.state: absent does with each apply: dependents first, and nothing of a job with
    protect: true. The manifests stay, so remove them too, or the next apply may deploy the jobs again. Records of
    runs are kept. Without a terminal and without --yes, it only prints the plan.
    """
    from deployer.apply.scheduler import ApplyOptions

    if bool(options.paths or options.select) is everything:
        if everything:
            raise UsageError("--all cannot be combined with PATH, NAME or --select")
        raise UsageError("no jobs selected: give PATH, NAME or --select, or --all")
    if whole and not everything:
        raise UsageError("--prune-all requires --all")
    prune = (
        Prune(Removal.ABSENT, bool(confirm_project), known_kinds("--prune-all", whole))
        if everything
        else None
    )
    record.loaded = loaded = _selected(options)
    approved = approved_by_options(loaded.target, yes=yes, confirm=confirm)
    removal.require_whole(loaded, prune, confirm_project)
    allowed = removal.with_default(limits_for(loaded.target, limits, os.environ), prune)
    session.require_valid(loaded)
    loaded = _without(loaded)
    secrets = session.secrets(loaded)
    stop_signal = StopSignal()
    if not approved and not sys.stdin.isatty():
        with session.connected(loaded, secrets, stop_signal) as client:
            make = _planner(client, loaded, allowed, prune, is_confirmed=bool(confirm_project))
            plan, _ = make(known=shared_state.known(loaded), note=session.note)
        out(text.plan(plan, verbose=True))
        require_terminal(loaded.target, DESTROY)
    with (
        locks.hold(loaded, secrets, "destroy", lock_timeout, stop_signal) as held,
        session.connected(loaded, secrets, stop_signal, held.require) as client,
    ):
        make = _planner(client, loaded, allowed, prune, is_confirmed=bool(confirm_project))
        plan, live = held.plan(client, make)
        record.plan = plan
        out(text.plan(plan, verbose=True))
        if not removal.is_complete(plan, prune, DESTROY):
            return record.refused(End.REFUSED, Exit.BLOCKED, removal.INCOMPLETE)
        if not is_within(allowed, plan, DESTROY):
            return record.refused(End.REFUSED, Exit.BLOCKED, *exceeded(allowed, plan, DESTROY))
        if plan.steps and not approved and not request_approval(loaded.target, _question(plan)):
            out("No jobs were destroyed.")
            return record.refused(End.DECLINED, Exit.ERROR)
        if not removal.is_consented(plan, prune, DESTROY, loaded.project.name):
            return record.refused(End.DECLINED, Exit.BLOCKED)
        out()
        code = execute(held, client, plan, live, ApplyOptions(PARALLELISM), DESTROY, record)
        if any(not change.is_prune for change in plan.steps):
            session.note(
                "the manifests are unchanged: remove them, or the next apply may deploy the jobs again"
            )
        return code


def _planner(
    client: Client,
    loaded: session.LoadedProject,
    limits: Mapping[str, Limit],
    prune: Prune | None,
    *,
    is_confirmed: bool,
) -> locks.Planner:
    """Return what plans the removal, and blocks that of definitions that are not proved to be the project's."""
    from deployer.planning.removal import with_proved_definitions

    def make(*, known: session.Known, note: Callable[[str], object]) -> tuple[Plan, Live]:
        plan, live = planner.plan(client, loaded, limits=limits, known=known, note=note, prune=prune)
        proofs = removal.proofs(client, loaded, known.history, is_confirmed=is_confirmed)
        plan = with_proved_definitions(plan, proofs)
        # Differences from the manifest do not matter here.
        return replace(plan, changes=tuple(replace(change, fields=()) for change in plan.changes)), live

    return make


def _selected(options: Options) -> session.LoadedProject:
    """Read the whole project, and select the jobs of PATH, NAME and --select. Raises UsageError."""
    paths = tuple(path for path in options.paths if Path(path).exists())
    names = {path for path in options.paths if path not in paths}
    project = load_project(session.project_folder(replace(options, paths=paths)))
    loaded = session.load(replace(options, paths=(), select=()), project=project)
    is_valid = not any(problem.severity == "error" for problem in loaded.problems)
    for name in sorted(names) if is_valid else ():
        _require_job(name, loaded)
    is_inside, is_selected = inside(paths, project.folder), selector(options.select)

    def is_named(job: Job) -> bool:
        return job.name in names or (is_inside(job) if paths else not names)

    selected = frozenset(job.identity for job in loaded.jobs if is_named(job) and is_selected(job))
    if options.paths and not selected and is_valid:
        raise NothingSelected("PATH, NAME and --select match no jobs")
    if options.select and not selected and is_valid:
        raise NothingSelected("--select matches no jobs")
    return replace(loaded, selected=selected)


def _require_job(name: str, loaded: session.LoadedProject) -> None:
    if any(job.name == name for job in loaded.jobs):
        return
    if any(identity.name == name for identity in loaded.disabled):
        raise UsageError(f"{name}: its manifest is disabled (enabled: false)")
    hint = similar(name, sorted({job.name for job in loaded.jobs}))
    raise UsageError(f"{name}: no such file or folder, and no manifest has this name{hint}")


def _without(loaded: session.LoadedProject) -> session.LoadedProject:
    """Return the project with the selected jobs absent, and their dependents before them."""
    selected = loaded.selected
    dependents: dict[Identity, list[Dependency]] = defaultdict(list)
    for job in loaded.jobs:
        for dependency in job.depends_on:
            if job.identity in selected:
                dependents[dependency.identity].append(Dependency(job.identity))
            elif dependency.identity in selected:
                session.note(f"{job.identity} depends on {dependency.identity} and is not selected")
    jobs = tuple(
        replace(
            job,
            depends_on=tuple(dependents[job.identity]) if job.identity in selected else (),
            lifecycle=replace(job.lifecycle, rerun=None, state=State.ABSENT)
            if job.identity in selected
            else job.lifecycle,
        )
        for job in reversed(loaded.jobs)
    )
    return replace(loaded, jobs=jobs)


def _question(plan: Plan) -> str:
    """Return the question, with what is lost."""
    cancelled = [
        f"{change.job.name} ({count(change.runs, 'run')})" if change.other_runs else change.job.name
        for change in plan.steps
        if change.action is Action.CANCEL
    ]
    stopped = [change.job.name for change in plan.steps if Step.STOP in change.steps]
    deleted = [change.job.name for change in plan.steps if change.action is Action.DELETE]
    lost = [
        f"{words} {_names(names)}"
        for words, names in (
            ("cancel the runs of", cancelled),
            ("stop", stopped),
            ("delete the definitions of", deleted),
        )
        if names
    ]
    jobs = count(sum(change.runs for change in plan.steps), "job")
    return f"This will {', and '.join(lost)}. Destroy {jobs} in {text.where(plan)}?"


def _names(names: Iterable[str]) -> str:
    from deployer.escape import printable

    listed = [printable(name) for name in names]
    more = f" and {len(listed) - MAX_NAMES} more" if len(listed) > MAX_NAMES else ""
    return f"{', '.join(listed[:MAX_NAMES])}{more}"
