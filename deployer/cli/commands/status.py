"""`deployer status`"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from deployer.cli import planner, session, shared_state
from deployer.cli.examples import examples
from deployer.cli.fail_on import conditions_of, exit_code, fail_on_option
from deployer.cli.options import Options, all_targets_option, format_option, project_command, report_option
from deployer.cli.param_options import members, param_option
from deployer.clock import utc_text
from deployer.documents.budget import Budget
from deployer.errors import Exit, UsageError
from deployer.escape import json_text, printable, without_commands
from deployer.model import Condition, Live, LiveJob, Plan
from deployer.project.console import console_url, service_urls
from deployer.project.target import seconds
from deployer.report import status, text
from deployer.report.screen import Reading, Screen
from deployer.report.terminal import out, width

if TYPE_CHECKING:
    from deployer.cli.report_files import ReportFile
    from deployer.planning.families import Members

EXAMPLES = examples(
    ("Show all jobs of the target prod", "deployer status -t prod"),
    ("Watch the Flink jobs, read every 10 seconds", "deployer status --watch=10 --select kind=FlinkJar"),
    ("Fail if a last run has failed", "deployer status --fail-on failed"),
)

REPORTS = ("html", "json", "markdown")
_TARGETS_INTERVAL = ""  # the value of --watch without a value


def _interval(ctx: click.Context, param: click.Parameter, value: str | None) -> float | str | None:
    """Convert the value of --watch: a number of seconds, or a time such as 30s or 5m."""
    if value in {None, _TARGETS_INTERVAL}:
        return value
    try:
        interval = seconds(f"{value}s" if value.isdecimal() else value)
    except ValueError:
        interval = 0
    if interval < 1:
        raise click.BadParameter(
            f"expected seconds from 1, or a time such as 30s or 5m, got '{value}' (PATH stands before --watch)",
            ctx,
            param,
        )
    return interval


@click.command("status", epilog=EXAMPLES)
@format_option("text", "json")
@fail_on_option
@click.option(
    "--watch",
    metavar="SECONDS",
    is_flag=False,
    flag_value=_TARGETS_INTERVAL,
    default=None,
    callback=_interval,
    help="Read again after so many seconds, until Ctrl-C (default: polling.interval of the target).",
)
@report_option(*REPORTS)
@all_targets_option
@param_option
@project_command
def command(
    options: Options,
    style: str,
    *,
    fail_on: Sequence[str],
    watch: float | str | None,
    reports: Sequence[str],
    params: Sequence[str],
) -> Exit:
    """Show the live state of each job, and whether it matches its manifest.

    With --watch, a terminal is redrawn after each reading; other output gets a new table, or a JSON document on one
    line, when something other than a duration has changed.
    """
    named_conditions = conditions_of(fail_on)
    if watch is not None and fail_on:
        raise UsageError("--watch ends with Ctrl-C only and cannot be combined with --fail-on")
    if watch is not None and reports:
        raise UsageError("--watch ends with Ctrl-C only and cannot be combined with --report")
    if session.are_several(options):
        if reports:
            raise UsageError("--report writes reports of one target: run status once for each")
        if watch is not None:
            raise UsageError("--watch shows one target at a time")
        from deployer.cli import several

        one = partial(_status, style=style, fail_on=named_conditions, params=params)
        return several.run(options, "status", style, one)
    if watch is None:
        return _status(options, out, style=style, fail_on=named_conditions, reports=reports, params=params)
    loaded = session.load(options)
    session.require_valid(loaded)
    interval = loaded.target.polling.interval if watch == _TARGETS_INTERVAL else float(watch)
    return _watch(loaded, style, interval, params)


def _status(
    options: Options,
    show: Callable[[str], object],
    budget: Budget | None = None,
    *,
    style: str,
    fail_on: frozenset[Condition],
    reports: Sequence[str] = (),
    params: Sequence[str] = (),
) -> Exit:
    """Read one target, and `show` the report; `reports` are those of --report."""
    loaded = session.load(options, budget)
    session.require_valid(loaded)
    files: list[ReportFile] = []
    if reports:
        from deployer.cli.report_files import report_files

        files = report_files(reports, REPORTS, loaded.project.folder)
    with session.connected(loaded) as client:
        plan, live = planner.plan(
            client, loaded, known=shared_state.known(loaded), members=_members(loaded, params)
        )
    if style == "json":
        show(json_text(status.data(plan, live.now, partial(console_url, loaded.target))))
    else:
        show(status.text(plan.changes, live.now, width(), plan.places))
        if console := service_urls(loaded.target, (change.job.kind for change in plan.changes)):
            show(console)
    planner.report_errors(plan)
    if files:
        _write(files, loaded, plan, live)
    return exit_code(plan, fail_on)


def _write(files: Sequence[ReportFile], loaded: session.LoadedProject, plan: Plan, live: Live) -> None:
    from deployer.cli.report_files import origin, write
    from deployer.report import status_page

    found = origin(loaded.project.folder, os.environ)
    link = partial(console_url, loaded.target)
    write(
        files,
        {
            "html": lambda: status_page.html(plan, live.now, found),
            "json": lambda: json_text(status.data(plan, live.now, link)),
            "markdown": lambda: status_page.markdown(plan, live.now, found),
        },
    )


def _watch(loaded: session.LoadedProject, style: str, interval: float, params: Sequence[str]) -> Exit:
    """Show the status after each interval. Ends with Ctrl-C, a closed pipe or a refused credential."""
    known = shared_state.known(loaded)
    screen = Screen(can_be_redrawn=style == "text")
    with session.connected(loaded) as client:
        while True:
            notes: list[str] = []
            plan, live = planner.plan(
                client, loaded, known=known, note=notes.append, members=_members(loaded, params)
            )
            # Only the first reading waits for what was just submitted: a later one finds it in its turn.
            known = replace(known, patience=0.0)
            if not screen.show(_reading(plan, live, notes, style, partial(console_url, loaded.target))):
                return Exit.DONE
            if client.is_refused:
                return Exit.ERROR
            time.sleep(interval)


def _members(loaded: session.LoadedProject, params: Sequence[str]) -> Members | None:
    """Return what plans the runs of --param; without it they are those of apply."""
    return members(loaded, params) if params else None


def _reading(
    plan: Plan, live: Live, notes: Sequence[str], style: str, link: Callable[[LiveJob], str]
) -> Reading:
    problems = (*map(text.error, planner.errors_of(plan)), *map(text.note, notes))
    # Without a time now, no job has a duration that grows; and each message has another request id.
    steady = status.text(plan.changes, None), *(error.identity for error in plan.errors), len(notes)
    if style == "json":
        line, steady_line = (
            without_commands(json.dumps(status.data(plan, now, link))) for now in (live.now, None)
        )
        return Reading("", line, problems, (*steady, steady_line))
    read = utc_text(live.now) if live.now else "time not known"
    table = status.text(plan.changes, live.now, width(), plan.places)
    return Reading(printable(f"{read}: {plan.scope or plan.target}"), table, problems, steady)
