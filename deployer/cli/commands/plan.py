"""`deployer plan`"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

import click

from deployer.cli import session, shared_state
from deployer.cli.approval import limits_for
from deployer.cli.examples import examples
from deployer.cli.fail_on import conditions_of, exit_code, fail_on_option
from deployer.cli.options import (
    Options,
    all_targets_option,
    changed_since_option,
    completed_by,
    confirm_project_option,
    format_option,
    hide_live_option,
    live_values,
    project_command,
    prune_all_option,
    prune_option,
    rerun_option,
    show_live_option,
)
from deployer.documents.budget import Budget
from deployer.errors import Exit, UsageError
from deployer.report import text
from deployer.report.terminal import out

FORMATS = ("text", "json", "markdown")


EXAMPLES = examples(
    ("Plan for the target prod", "deployer plan -t prod"),
    (
        "Plan what a branch changes, for every target",
        "deployer plan --all-targets --changed-since origin/main",
    ),
    (
        "Save the plan for a later apply, and print it as Markdown for a pull request",
        "deployer plan -t prod --out plan.json --format markdown",
    ),
)


@click.command("plan", epilog=EXAMPLES)
@format_option(*FORMATS)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with code 2 if there are changes.")
@click.option(
    "--out",
    "out_file",
    metavar="FILE",
    help="Save the plan to FILE (for apply --plan).",
    shell_complete=completed_by("files"),
)
@fail_on_option
@rerun_option
@prune_option
@prune_all_option
@confirm_project_option
@show_live_option
@hide_live_option
@click.option("-v", "--verbose", is_flag=True, help="Also show unchanged jobs.")
@all_targets_option
@changed_since_option
@project_command
def command(
    options: Options,
    style: str,
    *,
    detailed_exitcode: bool,
    fail_on: Sequence[str],
    out_file: str | None,
    rerun: Sequence[str],
    prune: str | None,
    whole: Sequence[str],
    confirm_project: str | None,
    show_live: bool,
    hide_live: bool,
    verbose: bool,
) -> Exit:
    """Show the changes that apply would make, and the reason for each. Read-only.

    With several targets, or PATHs of several projects, there is a report on each, and the exit code is the worst.
    """
    conditions_of(fail_on)
    live_values(show_live=show_live, hide_live=hide_live)
    one = partial(
        _plan,
        style=style,
        detailed_exitcode=detailed_exitcode,
        fail_on=fail_on,
        out_file=out_file,
        rerun=rerun,
        prune=prune,
        whole=whole,
        confirm_project=confirm_project,
        show_live=show_live,
        hide_live=hide_live,
        verbose=verbose,
    )
    if not session.are_several(options):
        return one(options, out)
    if out_file is not None:
        raise UsageError("--out saves the plan of one target: run plan once for each")
    from deployer.cli import several

    return several.run(options, "plan", style, one)


def _plan(
    options: Options,
    show: Callable[[str], object],
    budget: Budget | None = None,
    *,
    style: str,
    detailed_exitcode: bool,
    fail_on: Sequence[str],
    out_file: str | None,
    rerun: Sequence[str],
    prune: str | None,
    whole: Sequence[str],
    confirm_project: str | None,
    show_live: bool,
    hide_live: bool,
    verbose: bool,
) -> Exit:
    """Plan one target, and `show` the report."""
    shown = live_values(show_live=show_live, hide_live=hide_live)
    named_conditions = conditions_of(fail_on)
    pruned = None
    if prune is not None or confirm_project is not None or whole:
        from deployer.cli import removal

        pruned = removal.prune_of(options, prune, confirm_project, whole)
    loaded = session.with_reruns(session.load(options, budget), rerun)
    limits = limits_for(loaded.target, (), os.environ)
    if pruned:
        removal.require_whole(loaded, pruned, confirm_project)
        limits = removal.with_default(limits, pruned)
    session.require_valid(loaded, show_warnings=True)
    path = None
    if out_file is not None:
        from deployer.planning.saved_plan import destination

        path = destination(out_file, loaded.project.folder)
    with session.connected(loaded) as client:
        plan, _ = session.plan(
            client,
            loaded,
            limits=limits,
            live_values=shown,
            known=shared_state.known(loaded),
            prune=pruned,
        )
    from deployer.planning.plan import exceeded_limits

    for words in exceeded_limits(limits, plan):
        session.note(f"apply would fail: {words}")
    if pruned and plan.errors:
        session.note("apply would fail: orphaned jobs are not known where something could not be read")
    match style:
        case "json":
            from deployer.report import json

            show(json.plan(plan))
        case "markdown":
            from deployer.report import markdown

            show(markdown.plan(plan))
        case _:
            show(text.plan(plan, verbose=verbose, hides_others=not hide_live))
    if path and out_file:
        from deployer.cli import saved_plan_options
        from deployer.planning.saved_plan import as_text, write

        inputs = saved_plan_options.inputs(options, loaded, rerun, pruned)
        write(path, as_text(inputs, plan))
        command_line = saved_plan_options.apply_command(out_file, inputs, loaded)
        session.note(f"plan saved to {out_file}; apply it with: {command_line}")
    code = exit_code(plan, named_conditions)
    return Exit.CHANGES if code is Exit.DONE and detailed_exitcode and plan.pending else code
