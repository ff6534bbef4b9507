"""The saved plans of `deployer run`: what they hold, and what they are bound to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deployer.cli import planner, saved_plan_options, session, shared_state
from deployer.cli.fail_on import exit_code
from deployer.cli.options import Options
from deployer.cli.run_waves import Requested
from deployer.errors import BadPlanFile, Exit, UsageError
from deployer.model import Until
from deployer.planning.saved_plan import Inputs, RunInputs, SavedPlan, as_text, truncate, write
from deployer.report import text
from deployer.report.terminal import out, width

# The options of a run that a saved plan has.
FLAGS = ("assume_missing", "backwards", "beside", "changed", "failed", "missing")


def _inputs(options: Options, loaded: session.LoadedProject, asked: RunInputs) -> Inputs:
    found = saved_plan_options.inputs(replace(options, paths=()), loaded, ())
    return replace(found, run=replace(asked, names=tuple(sorted({*asked.names}))))


def save(options: Options, requested: Requested, asked: RunInputs, path: Path, file: str) -> Exit:
    """Show the plan and write it to a file; return the exit code of the command."""
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
    until = requested.wait or (Until.SUCCEEDED if requested.most > asked.max_active else None)
    command_line = loaded.invocation.command("run", "--plan", file, *([f"--wait={until}"] if until else []))
    session.note(f"plan saved to {file}; submit it with: {command_line}")
    return exit_code(plan, frozenset())


def from_saved(options: Options, asked: RunInputs, saved: SavedPlan) -> tuple[Options, RunInputs]:
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


def require_same(options: Options, loaded: session.LoadedProject, asked: RunInputs, saved: SavedPlan) -> None:
    """Raise StalePlan if the project or the target is not that of a saved plan."""
    saved_plan_options.require_same_inputs(_inputs(options, loaded, asked), saved, loaded)
