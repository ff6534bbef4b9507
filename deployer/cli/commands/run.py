"""`deployer run`"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from deployer.cli import planner, saved_plan_options, session, shared_state
from deployer.cli.approval import RUN, is_within, limits_for, preapproved, request_approval
from deployer.cli.examples import examples
from deployer.cli.expected import differences
from deployer.cli.fail_on import exit_code
from deployer.cli.named_jobs import selected_by_name
from deployer.cli.options import (
    Options,
    completed_by,
    confirm_option,
    limit_option,
    lock_timeout_option,
    project_command,
    yes_option,
)
from deployer.cli.param_options import Chosen, chosen, param_option
from deployer.cli.run_plan import RunPlan
from deployer.cli.run_waves import Gate, Requested, Waves
from deployer.clock import StopSignal
from deployer.errors import BadPlanFile, Code, DeployerError, Exit, InvalidInput, Problem, UsageError
from deployer.kinds import KINDS
from deployer.kinds.kind import Nature
from deployer.model import Identity, Location, Plan, State, Until
from deployer.parameters import types
from deployer.parameters.keys import run_key
from deployer.parameters.runs import with_values
from deployer.planning.decide_run import Wanted
from deployer.planning.saved_plan import (
    Inputs,
    RunInputs,
    SavedPlan,
    as_text,
    destination,
    read,
    truncate,
    write,
)
from deployer.report import text
from deployer.report.terminal import err, out, width
from deployer.report.text import count
from deployer.schema.rules import broken
from deployer.secrets.references import referenced_names
from deployer.secrets.store import Secrets

EXAMPLES = examples(
    ("Run a job for one date", "deployer run daily-orders --param date=2024-07-04"),
    (
        "Fill the gaps of June, and wait for each run",
        "deployer run daily-orders --param date=2024-06-01..2024-06-30 --missing --failed --wait=succeeded",
    ),
    (
        "Run again what an older definition has made",
        "deployer run daily-orders --param date=2024-06-01..2024-06-30 --changed --max-active 4 --wait=succeeded",
    ),
)

FLAGS = ("assume_missing", "backwards", "beside", "changed", "failed", "missing")


@click.command("run", epilog=EXAMPLES)
@param_option
@click.option("--missing", is_flag=True, help="Only runs that were never made.")
@click.option("--failed", is_flag=True, help="Only runs that failed or were stopped.")
@click.option(
    "--changed", is_flag=True, help="Only successful runs of another definition than the manifest's."
)
@click.option(
    "--max-active",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of runs of a job that are active at once; more wait, with --wait.",
)
@click.option("--backwards", is_flag=True, help="The last values first.")
@click.option(
    "--beside", is_flag=True, help="Submit a second run although one with the same values is active."
)
@click.option(
    "--assume-missing",
    is_flag=True,
    help="Take runs for missing that the service may have forgotten, or whose values are not told.",
)
@click.option(
    "--wait",
    is_flag=False,
    flag_value="running",
    type=click.Choice(["running", "succeeded"]),
    help="Wait until the runs reach this state (default: running), and for places.",
)
@yes_option
@confirm_option
@limit_option
@lock_timeout_option
@click.option(
    "--out",
    "out_file",
    metavar="FILE",
    help="Save the plan to FILE, and submit nothing.",
    shell_complete=completed_by("files"),
)
@click.option(
    "--plan",
    "saved_file",
    metavar="FILE",
    help="Submit the runs of this saved plan; fail (exit 6) if it is stale.",
    shell_complete=completed_by("files"),
)
@click.option("--expect", metavar="DIGEST", help="Fail (exit 6) unless the plan has this digest.")
@click.option(
    "--parallelism",
    type=click.IntRange(1, 64),
    metavar="N",
    default=4,
    show_default=True,
    help="Number of requests sent concurrently.",
)
@click.option("--fail-fast", is_flag=True, help="Submit no more runs after the first failure.")
@partial(project_command, metavar="[NAME]...", completion="names")
def command(
    options: Options,
    *,
    params: Sequence[str],
    missing: bool,
    failed: bool,
    changed: bool,
    max_active: int,
    backwards: bool,
    beside: bool,
    assume_missing: bool,
    wait: str | None,
    yes: bool,
    confirm: str | None,
    limits: Sequence[str],
    lock_timeout: float | None,
    out_file: str | None,
    saved_file: str | None,
    expect: str | None,
    parallelism: int,
    fail_fast: bool,
) -> Exit:
    """Submit runs of jobs, for each value of their parameters, whatever lifecycle.onChange and onMissing say.

    Without --missing, --failed and --changed all named runs are submitted, also those that were made already. With
    one or more of them only the runs that need it are, so the command can be repeated, also after a crash.
    """
    flags = _flags(
        missing=missing,
        failed=failed,
        changed=changed,
        backwards=backwards,
        beside=beside,
        assume_missing=assume_missing,
    )
    asked = RunInputs(options.paths, tuple(params), flags, max_active)
    saved = read(saved_file) if saved_file is not None else None
    if saved:
        if out_file is not None:
            raise UsageError("--out cannot be combined with --plan")
        options, asked = _from_saved(options, asked, saved)
    loaded = selected_by_name(options, asked.names)
    if saved:
        _require_same(options, loaded, asked, saved)
    session.require_valid(loaded, show_warnings=True)
    _require_runs(loaded)
    values = chosen(loaded.selected_jobs, asked.params)
    _require_valid_values(loaded, values)
    until = Until(wait) if wait else None
    path = destination(out_file, loaded.project.folder) if out_file is not None else None
    requested = Requested(
        loaded,
        _values(loaded, values, is_backwards="backwards" in asked.flags),
        RunPlan(
            _wanted(asked.flags),
            loaded.target.name,
            asked.max_active,
            until is not None or path is not None,
        ),
        limits_for(loaded.target, limits, os.environ),
        until,
        parallelism,
        fail_fast,
        lock_timeout,
    )
    if path is not None:
        return _save(options, requested, asked, path, out_file or "")
    _require_wait(requested)
    approved = preapproved(loaded.target, RUN, yes=yes, confirm=confirm)
    secrets = session.secrets(loaded)
    stop_signal, gate = StopSignal(), Gate()
    approve = partial(_approve, requested, secrets, saved, expect, is_approved=approved)
    with session.connected(loaded, secrets, stop_signal, gate.require) as client:
        return Waves(requested, client, gate, secrets, stop_signal, approve).run()


def _flags(**flags: bool) -> tuple[str, ...]:
    return tuple(sorted(name for name, is_set in flags.items() if is_set))


def _wanted(flags: Sequence[str]) -> Wanted:
    return Wanted(
        missing="missing" in flags,
        failed="failed" in flags,
        changed="changed" in flags,
        beside="beside" in flags,
        assume_missing="assume_missing" in flags,
    )


def _require_runs(loaded: session.LoadedProject) -> None:
    """Raise UsageError for a stream, and InvalidInput for a job whose desired state is absent."""
    for job in loaded.selected_jobs:
        if KINDS[job.kind].nature is Nature.DEFINITION:
            raise UsageError(f"{job.identity}: a stream has no runs; lifecycle.state or --rerun starts it")
    problems = [
        Problem(
            Location(job.source.file, job.source.line, 1),
            f"'{job.name}' has state: absent, so no run of it is submitted",
            Code.WRONG_VALUE,
        )
        for job in loaded.selected_jobs
        if job.lifecycle.state is State.ABSENT
    ]
    if problems:
        raise InvalidInput(problems, loaded.project.folder)


def _require_valid_values(loaded: session.LoadedProject, values: Chosen) -> None:
    """Raise InvalidInput for values with which a rule is violated that holds with the default, or a sample."""
    problems: list[Problem] = []
    for job in loaded.selected_jobs:
        if not job.parameters:
            continue
        rows = KINDS[job.kind].rows
        samples = {name: types.sample(parameter) for name, parameter in job.parameters.items()}
        known = {rule.id for rule in broken(job.kind, {"spec": with_values(job, samples).spec}, rows)}
        location = Location(job.source.file, job.source.line, 1)
        for one in values.of(job):
            try:
                run = with_values(job, one)
            except DeployerError as error:  # a date from which a number of days leads out of the calendar
                raise UsageError(f"{error} (with {run_key(one)})") from None
            problems += [
                Problem(location, f"{run.identity.label}: {rule.message}", rule.code, rule.severity, rule.id)
                for rule in broken(job.kind, {"spec": run.spec}, rows)
                if rule.id not in known and rule.severity == "error"
            ]
    if problems:
        raise InvalidInput(problems, loaded.project.folder)


def _values(
    loaded: session.LoadedProject, values: Chosen, *, is_backwards: bool
) -> Mapping[Identity, Sequence[Mapping[str, str]]]:
    """Return the values of the runs of each job with parameters, in the order in which they are submitted."""
    found = {job.identity: values.of(job) for job in loaded.selected_jobs if job.parameters}
    return {identity: lists[::-1] if is_backwards else lists for identity, lists in found.items()}


def _require_wait(requested: Requested) -> None:
    """Raise UsageError for more runs than may be active, if nothing waits for them to end."""
    most = max(map(len, requested.values.values()), default=1)
    if requested.wait is None and most > requested.plan.max_active:
        raise UsageError(
            f"{most} runs of a job, but at most {requested.plan.max_active} may be active at once: add "
            "--wait=succeeded, or raise --max-active"
        )


def _approve(
    requested: Requested,
    secrets: Secrets,
    saved: SavedPlan | None,
    expect: str | None,
    plan: Plan,
    *,
    is_approved: bool,
) -> Exit | None:
    """Show the plan and ask; return the exit code of a command that submits nothing, else None."""
    target = requested.loaded.target
    out(text.plan(plan, width=width()))
    if differences(plan, expect, saved):
        err("No runs were submitted.")
        return Exit.STALE
    if not is_within(requested.limits, plan, RUN):
        return Exit.BLOCKED
    missing = secrets.missing(referenced_names([change.job.spec for change in plan.steps]))
    for message in missing:
        err(text.error(message))
    if missing:
        err("No runs were submitted.")
        return Exit.ERROR
    question = f"Submit {count(len(plan.steps), 'run')} in {text.where(plan)}?"
    if plan.steps and not is_approved and not request_approval(target, question):
        out("No runs were submitted.")
        return Exit.ERROR
    out()
    return None


# --- saved plans ------------------------------------------------------------------------------------------


def _inputs(options: Options, loaded: session.LoadedProject, asked: RunInputs) -> Inputs:
    found = saved_plan_options.inputs(replace(options, paths=()), loaded, ())
    return replace(found, run=replace(asked, names=tuple(sorted({*asked.names}))))


def _save(options: Options, requested: Requested, asked: RunInputs, path: Path, file: str) -> Exit:
    loaded = requested.loaded
    with session.connected(loaded) as client:
        plan, _ = planner.plan(
            client,
            loaded,
            limits=requested.limits,
            known=shared_state.known(loaded),
            members=requested.members(None),
            run=requested.plan,
        )
    out(text.plan(plan, width=width()))
    write(path, as_text(_inputs(options, loaded, asked), plan))
    session.note(f"plan saved to {file}; submit it with: {loaded.invocation.command('run', '--plan', file)}")
    return exit_code(plan, frozenset())


def _from_saved(options: Options, asked: RunInputs, saved: SavedPlan) -> tuple[Options, RunInputs]:
    """Return the options with what a saved plan selects. Raises UsageError for what is given in another way."""
    planned = saved.inputs.run
    if planned is None:
        raise UsageError(f"{saved.file} is no plan of 'deployer run': use deployer apply --plan {saved.file}")
    unknown = sorted({*planned.flags} - {*FLAGS})
    if unknown:
        raise BadPlanFile(f"{saved.file}: unknown option '{truncate(unknown[0])}'")
    if asked.names or asked.params or asked.flags or asked.max_active != 1 or options.select:
        raise UsageError(
            f"{saved.file}: NAME, --select, --param and the options of the runs are read from the plan"
        )
    return replace(options, select=saved.inputs.select, paths=()), planned


def _require_same(
    options: Options, loaded: session.LoadedProject, asked: RunInputs, saved: SavedPlan
) -> None:
    saved_plan_options.require_same_inputs(_inputs(options, loaded, asked), saved, loaded)
