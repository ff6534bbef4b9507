"""`deployer logs`"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from deployer.cli import planner, session, shared_state
from deployer.cli.examples import examples
from deployer.cli.options import Options, project_command
from deployer.cli.param_options import members, param_option, report_not_told
from deployer.errors import ApiError, Exit
from deployer.escape import log_lines, printable
from deployer.kinds import KINDS
from deployer.model import Change, LiveJob
from deployer.project.console import console_url
from deployer.report import text
from deployer.report.terminal import err, out
from deployer.secrets import redact

if TYPE_CHECKING:
    from deployer.cloud.client import Client
    from deployer.cloud.log_tail import Log
    from deployer.project.target import Target


@dataclass(frozen=True, slots=True)
class _RunLog:
    """A run whose log is shown; `prefix` precedes each line."""

    change: Change
    live: LiveJob
    log: Log
    prefix: str


EXAMPLES = examples(
    ("Show the last 20 lines of one job", "deployer logs spark/daily-orders.yaml --lines 20"),
    ("Follow the logs of the jobs of one team", "deployer logs -f --select label.team=orders"),
)


@click.command("logs", epilog=EXAMPLES)
@click.option(
    "--lines",
    type=click.IntRange(min=0),
    metavar="N",
    default=100,
    show_default=True,
    help="Number of lines to show from the end of each log.",
)
@click.option("-f", "--follow", is_flag=True, help="Follow the logs until the jobs end.")
@param_option
@project_command
def command(options: Options, *, lines: int, follow: bool, params: Sequence[str]) -> Exit:
    """Show the logs of the selected jobs' runs, if the service's API returns them."""
    loaded = session.without_ordering(session.load(options))
    session.require_valid(loaded)
    with session.connected(loaded) as client:
        plan, _ = planner.plan(
            client, loaded, known=shared_state.known(loaded), members=members(loaded, params)
        )
        planner.report_errors(plan)
        report_not_told(plan)
        found = _runs_with_logs(client, loaded.target, plan.changes, named=len(loaded.selected) > 1)
        printed = _LogPrinter()
        try:
            for run_log in found:
                printed.show(run_log, lines, follow=follow)
            if follow:
                _follow(client, found, printed, loaded.target.polling.interval)
        except _OutputClosed:
            return Exit.DONE
    return Exit.ERROR if plan.errors or printed.failed or not printed.lines else Exit.DONE


def _runs_with_logs(
    client: Client, target: Target, changes: Sequence[Change], *, named: bool
) -> list[_RunLog]:
    """Return the runs with logs; reports why the other jobs have none."""
    from deployer.cloud.log_tail import Log

    names = Counter(change.job.name for change in changes)
    found = []
    for change in changes:
        job, live, kind = change.job, change.live, KINDS[change.job.kind]
        if live is None:
            none = "no run with these values is known" if job.identity.run else "not deployed"
            session.note(f"{job.identity}: {none}; no logs available")
        elif not kind.operations.log:
            url = console_url(target, live)
            elsewhere = f"; see {url}" if url else ""
            session.note(f"{job.identity}: logs are not available for this kind of job{elsewhere}")
        else:
            label = job.name if names[job.name] == 1 else str(job.identity)
            prefix = f"{printable(label)} | " if named else ""
            found.append(_RunLog(change, live, Log(client, kind, job, live), prefix))
    return found


class _OutputClosed(Exception):
    """A closed pipe on stdout: `deployer logs -f | head`."""


class _LogPrinter:
    """A printer of logs that counts the printed lines."""

    def __init__(self) -> None:
        self.lines = 0
        self.broken: set[str] = set()

    @property
    def failed(self) -> bool:
        return bool(self.broken)

    def show(self, run_log: _RunLog, lines: int, *, follow: bool) -> None:
        """Print the end of a log."""
        try:
            self._print(run_log, run_log.log.first_lines(lines) if follow else run_log.log.last(lines))
        except ApiError as error:
            self.report_failure(run_log, error)

    def show_new(self, run_log: _RunLog) -> None:
        try:
            self._print(run_log, run_log.log.new_lines())
        except ApiError as error:
            self.report_failure(run_log, error)

    def report_failure(self, run_log: _RunLog, error: ApiError) -> None:
        self.broken.add(run_log.live.id)
        err(text.error(f"{run_log.change.job.identity}: cannot read the log: {error}"))

    def _print(self, run_log: _RunLog, lines: Iterable[str]) -> None:
        for line in lines:
            for shown in log_lines(redact.redacted(line), run_log.prefix):
                self.lines += 1
                if not out(shown):
                    raise _OutputClosed


def _follow(client: Client, found: Sequence[_RunLog], printed: _LogPrinter, interval: float) -> None:
    """Print new lines until all runs have ended."""
    from deployer.apply.watch import get_run
    from deployer.model import RUNNING_PHASES

    left = [
        run_log
        for run_log in found
        if run_log.live.id not in printed.broken and run_log.live.phase in RUNNING_PHASES
    ]
    while left:
        time.sleep(interval)
        still_running = []
        for run_log in left:
            try:
                live = get_run(client, run_log.change.job, run_log.live)
            except ApiError as error:
                printed.report_failure(run_log, error)
                continue
            # The state is read first: everything that the run wrote before its end is then in the last page.
            if live is not None:
                printed.show_new(run_log)
            if live is not None and live.phase in RUNNING_PHASES and run_log.live.id not in printed.broken:
                still_running.append(run_log)
            elif run_log.live.id not in printed.broken:
                err(
                    text.note(
                        f"{run_log.change.job.identity}: the run {f'is {live.state}' if live else 'no longer exists'}"
                    )
                )
        left = still_running
