"""`deployer plan`"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.cli import planner, session, shared_state
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
    report_limit_option,
    report_option,
    rerun_option,
    show_live_option,
    summary_option,
)
from deployer.documents.budget import Budget
from deployer.errors import Exit, UsageError
from deployer.model import Condition, Limit, Plan
from deployer.report import text
from deployer.report.terminal import out, width

if TYPE_CHECKING:
    from deployer.cli.report_files import ReportFile
    from deployer.planning.ownership import LiveValues

FORMATS = ("text", "json", "markdown")
REPORTS = ("html", "json", "markdown", "text")
_ONCE_FOR_EACH = "run plan -t TARGET once for each, in a loop or a matrix of the CI"


EXAMPLES = examples(
    ("Plan for the target prod", "deployer plan -t prod"),
    (
        "Plan what a branch changes, for every target",
        "deployer plan --all-targets --changed-since origin/main",
    ),
    (
        "Save the plan for a later apply, and write reports for a pull request and a browser",
        "deployer plan -t prod --out plan.json --report markdown=plan.md --report html=plan.html",
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
@report_option(*REPORTS)
@report_limit_option
@summary_option
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
    reports: Sequence[str],
    report_limit: int,
    summary: bool,
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
    named_conditions = conditions_of(fail_on)
    output = _Output(style, reports, report_limit, summary, out_file, verbose, hides_others=not hide_live)
    one = partial(
        _plan,
        output=output,
        shown=live_values(show_live=show_live, hide_live=hide_live),
        rerun=rerun,
        prune=(prune, confirm_project, whole),
        ends=partial(_ends, named_conditions, is_detailed=detailed_exitcode),
    )
    if not session.are_several(options):
        if not (reports or summary):
            return one(options, out)
        from deployer.cli.outcome_reports import Outputs, reporting_failure

        with reporting_failure(options, Outputs(reports, report_limit, summary)):
            return one(options, out)
    if out_file is not None:
        raise UsageError(f"--out saves the plan of one target: {_ONCE_FOR_EACH}")
    if reports:
        raise UsageError(f"--report writes reports of one target: {_ONCE_FOR_EACH}")
    if summary:
        raise UsageError(f"--summary is of one target: {_ONCE_FOR_EACH}")
    from deployer.cli import several

    return several.run(options, "plan", style, one)


@dataclass(frozen=True, slots=True)
class _Output:
    """What is printed and written: `reports` are those of --report, `limit` the maximum size of the Markdown.

    `summary`: also append it to the step summary of the CI.
    `hides_others`: live values of other jobs are hidden unless --show-live shows them.
    """

    style: str
    reports: Sequence[str]
    limit: int
    summary: bool
    out_file: str | None
    verbose: bool
    hides_others: bool

    def files(self, folder: Path) -> tuple[Path | None, list[ReportFile]]:
        """Return where the plan and the reports on a project in `folder` are written. Raises UsageError."""
        path, files = None, []
        if self.out_file is not None:
            from deployer.planning.saved_plan import destination

            path = destination(self.out_file, folder)
        if self.reports:
            from deployer.cli.report_files import report_files

            files = report_files(self.reports, REPORTS, folder)
            if path in {file.path for file in files}:
                raise UsageError(f"--out {self.out_file}: a report is written to this file")
        return path, files


def _plan(
    options: Options,
    show: Callable[[str], object],
    budget: Budget | None = None,
    *,
    output: _Output,
    shown: LiveValues,
    rerun: Sequence[str],
    prune: tuple[str | None, str | None, Sequence[str]],
    ends: Callable[[Plan], Exit],
) -> Exit:
    """Plan one target, and `show` the report. `prune` are the values of --prune and its options."""
    mode, confirm_project, whole = prune
    pruned = None
    if mode is not None or confirm_project is not None or whole:
        from deployer.cli import removal

        pruned = removal.prune_of(options, mode, confirm_project, whole)
    loaded = session.with_reruns(session.load(options, budget), rerun)
    limits = limits_for(loaded.target, (), os.environ)
    if pruned:
        removal.require_whole(loaded, pruned, confirm_project)
        limits = removal.with_default(limits, pruned)
    session.require_valid(loaded, show_warnings=True)
    path, files = output.files(loaded.project.folder)
    with session.connected(loaded) as client:
        plan, _ = planner.plan(
            client,
            loaded,
            limits=limits,
            live_values=shown,
            known=shared_state.known(loaded),
            prune=pruned,
        )
    _note_refusals(plan, limits, is_prune=pruned is not None)
    styles = _styles(plan, loaded, output.limit, hides_others=output.hides_others)
    if output.style == "text":
        show(text.plan(plan, verbose=output.verbose, hides_others=output.hides_others, width=width()))
    else:
        show(styles[output.style]())
    if files:
        from deployer.cli.report_files import write as write_reports

        write_reports(files, styles)
    if output.summary:
        from deployer.cli.step_summary import append

        append(lambda limit: _as_markdown(plan, loaded, limit), os.environ)
    if path and output.out_file:
        from deployer.cli import saved_plan_options
        from deployer.planning.saved_plan import as_text, write

        inputs = saved_plan_options.inputs(options, loaded, rerun, pruned)
        write(path, as_text(inputs, plan))
        command_line = saved_plan_options.apply_command(output.out_file, inputs, loaded)
        session.note(f"plan saved to {output.out_file}; apply it with: {command_line}")
    return ends(plan)


def _ends(conditions: frozenset[Condition], plan: Plan, *, is_detailed: bool) -> Exit:
    """Return the exit code for a plan."""
    code = exit_code(plan, conditions)
    return Exit.CHANGES if code is Exit.DONE and is_detailed and plan.pending else code


def _note_refusals(plan: Plan, limits: Mapping[str, Limit], *, is_prune: bool) -> None:
    """Report why apply would refuse the plan as a whole."""
    from deployer.planning.plan import exceeded_limits

    for words in exceeded_limits(limits, plan):
        session.note(f"apply would fail: {words}")
    if is_prune and plan.errors:
        session.note("apply would fail: orphaned jobs are not known where something could not be read")


def _styles(
    plan: Plan, loaded: session.LoadedProject, limit: int, *, hides_others: bool
) -> Mapping[str, Callable[[], str]]:
    """Return what formats the plan, by the name of the format; each is loaded on use."""

    def as_json() -> str:
        from deployer.report import json

        return json.plan(plan)

    def as_html() -> str:
        from deployer.cli.report_files import origin
        from deployer.report import html

        return html.plan(plan, origin(loaded.project.folder, os.environ), problems=loaded.warnings)

    def as_text() -> str:
        return click.unstyle(text.plan(plan, hides_others=hides_others))

    return {
        "html": as_html,
        "json": as_json,
        "markdown": partial(_as_markdown, plan, loaded, limit),
        "text": as_text,
    }


def _as_markdown(plan: Plan, loaded: session.LoadedProject, limit: int) -> str:
    from deployer.cli.report_files import origin
    from deployer.report import markdown

    here = origin(loaded.project.folder, os.environ)
    return markdown.plan(plan, here, limit=limit, problems=loaded.warnings)
