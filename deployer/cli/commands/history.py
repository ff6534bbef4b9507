"""`deployer history`"""

from __future__ import annotations

from pathlib import Path

import click

from deployer.apply import journal
from deployer.cli import session
from deployer.cli.examples import examples
from deployer.cli.options import Options, format_option, project_command, selector
from deployer.cli.state_folder import require_own_state
from deployer.errors import Exit, UsageError
from deployer.escape import json_text
from deployer.model import Job, Source
from deployer.project.load import STATE_FOLDER
from deployer.report import history, text
from deployer.report.terminal import err, out

EXAMPLES = examples(
    ("Show the last ten requests to prod", "deployer history -t prod --limit 10"),
    ("Print the requests of one job as JSON", "deployer history --select name=daily-orders --format json"),
)


@click.command("history", epilog=EXAMPLES)
@format_option("text", "json")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Number of requests to show.",
)
@project_command
def command(options: Options, style: str, limit: int) -> Exit:
    """Show the requests that apply and cancel sent from this folder, newest last, with their outcomes.

    PATH only selects the project; -t and --select name=GLOB or kind=KIND select among its requests.
    """
    if any("label." in expression for expression in options.select):
        raise UsageError("--select: labels are not recorded in the journal; use kind= or name=")
    is_selected = selector(options.select)
    project = session.project_folder(options)
    require_own_state(project)
    found = journal.read(project / STATE_FOLDER)
    chosen = [
        intent
        for intent in found.intents
        if options.target in {None, intent.target} and is_selected(_as_job(intent))
    ][-limit:]
    if style == "json":
        out(json_text(history.data(chosen)))
    elif chosen:
        out(history.text(chosen))
    else:
        out("No requests recorded.")
    file = Path(STATE_FOLDER) / journal.FILE
    if found.broken:
        err(text.note(f"{file}: {text.count(found.broken, 'unreadable line')}"))
    if found.cut:
        err(text.note(f"{file}: skipped the first {found.cut} bytes"))
    return Exit.DONE


def _as_job(intent: journal.Intent) -> Job:
    """Return a job with the fields that a selector uses."""
    return Job(intent.identity, Source(intent.source, 0), {})
