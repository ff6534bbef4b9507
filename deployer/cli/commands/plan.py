"""`deployer plan`"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import click

from deployer.cli import session, shared_state
from deployer.cli.approval import limits_for
from deployer.cli.examples import examples
from deployer.cli.fail_on import conditions_of, exit_code, fail_on_option
from deployer.cli.options import (
    Options,
    completed_by,
    format_option,
    hide_live_option,
    live_values,
    project_command,
    report_option,
    rerun_option,
    show_live_option,
)
from deployer.errors import Exit, UsageError
from deployer.model import Plan
from deployer.report import text
from deployer.report.terminal import out, width

FORMATS = ("text", "json", "markdown")
REPORTS = ("html", "json", "markdown", "text")


EXAMPLES = examples(
    ("Plan for the target prod", "deployer plan -t prod"),
    ("Plan one folder with another value", "deployer plan spark --set executors=4"),
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
@click.option(
    "--report-limit",
    type=click.IntRange(4_000),
    metavar="N",
    default=60_000,
    show_default=True,
    help="Maximum characters of the Markdown; dangers, blocked jobs and errors are kept.",
)
@fail_on_option
@rerun_option
@show_live_option
@hide_live_option
@click.option("-v", "--verbose", is_flag=True, help="Also show unchanged jobs.")
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
    rerun: Sequence[str],
    show_live: bool,
    hide_live: bool,
    verbose: bool,
) -> Exit:
    """Show the changes that apply would make, and the reason for each. Read-only."""
    shown = live_values(show_live=show_live, hide_live=hide_live)
    named_conditions = conditions_of(fail_on)
    loaded = session.with_reruns(session.load(options), rerun)
    limits = limits_for(loaded.target, (), os.environ)
    session.require_valid(loaded, show_warnings=True)
    path = None
    if out_file is not None:
        from deployer.planning.saved_plan import destination

        path = destination(out_file, loaded.project.folder)
    files = []
    if reports:
        from deployer.cli.report_files import report_files

        files = report_files(reports, REPORTS, loaded.project.folder)
        if path in {file.path for file in files}:
            raise UsageError(f"--out {out_file}: a report is written to this file")
    with session.connected(loaded) as client:
        plan, _ = session.plan(
            client, loaded, limits=limits, live_values=shown, known=shared_state.known(loaded)
        )
    from deployer.planning.plan import exceeded_limits

    for words in exceeded_limits(limits, plan):
        session.note(f"apply would fail: {words}")
    styles = _styles(plan, loaded, report_limit, hides_others=not hide_live)
    if style == "text":
        out(text.plan(plan, verbose=verbose, hides_others=not hide_live, width=width()))
    else:
        out(styles[style]())
    if files:
        from deployer.cli.report_files import write as write_reports

        write_reports(files, styles)
    if path and out_file:
        from deployer.cli import saved_plan_options
        from deployer.planning.saved_plan import as_text, write

        inputs = saved_plan_options.inputs(options, loaded, rerun)
        write(path, as_text(inputs, plan))
        command_line = saved_plan_options.apply_command(out_file, inputs, loaded)
        session.note(f"plan saved to {out_file}; apply it with: {command_line}")
    code = exit_code(plan, named_conditions)
    return Exit.CHANGES if code is Exit.DONE and detailed_exitcode and plan.pending else code


def _styles(
    plan: Plan, loaded: session.LoadedProject, limit: int, *, hides_others: bool
) -> Mapping[str, Callable[[], str]]:
    """Return what formats the plan, by the name of the format; each is loaded on use."""

    def as_json() -> str:
        from deployer.report import json

        return json.plan(plan)

    def as_markdown() -> str:
        from deployer.cli.report_files import origin
        from deployer.report import markdown

        found = origin(loaded.project.folder, os.environ)
        return markdown.plan(plan, found, limit=limit)

    def as_html() -> str:
        from deployer.cli.report_files import origin
        from deployer.report import html

        return html.plan(plan, origin(loaded.project.folder, os.environ))

    def as_text() -> str:
        return click.unstyle(text.plan(plan, hides_others=hides_others))

    return {"html": as_html, "json": as_json, "markdown": as_markdown, "text": as_text}
