"""`deployer history`"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from deployer.apply.history import Intent
from deployer.apply.journal import FILE
from deployer.cli import session, shared_state
from deployer.cli.examples import examples
from deployer.cli.options import Options, completed_by, format_option, project_command, selector
from deployer.cli.state_folder import require_own_state
from deployer.errors import Exit, UsageError
from deployer.escape import json_text
from deployer.model import Job, Source
from deployer.project.load import STATE_FOLDER, Project
from deployer.project.load import load as load_project
from deployer.project.target import Target
from deployer.report import history, text
from deployer.report.terminal import out

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
@click.option(
    "--param",
    "params",
    metavar="NAME=VALUE",
    multiple=True,
    help="Only requests for runs with this value, or one of A,B (repeatable: and).",
    shell_complete=completed_by("parameters"),
)
@project_command
def command(options: Options, style: str, limit: int, params: Sequence[str]) -> Exit:
    """Show the requests that apply and cancel sent, newest last, with their outcomes.

    They are those sent from this folder and, with a shared state, from all machines during the last 30 days. PATH
    only selects the project; -t and --select name=GLOB or kind=KIND select among its requests.
    """
    if any("label." in expression for expression in options.select):
        raise UsageError("--select: labels are not recorded in the journal; use kind= or name=")
    is_selected, has_values = selector(options.select), _with_values(params)
    project = load_project(session.project_folder(options))
    require_own_state(project.folder)
    found = shared_state.history(project, *_targets(project, options.target))
    of_target = [intent for intent in found.intents if options.target in {None, intent.target}]
    # A job that was renamed keeps its id: its requests under all of its names belong together.
    jobs = {_job_of(intent) for intent in of_target if intent.id and is_selected(_as_job(intent))}
    chosen = [
        intent
        for intent in of_target
        if (is_selected(_as_job(intent)) or _job_of(intent) in jobs) and has_values(intent)
    ][-limit:]
    if style == "json":
        out(json_text(history.data(chosen, found.taken_over)))
    elif chosen:
        out(history.text(chosen, found.taken_over))
    else:
        out("No requests recorded.")
    file = Path(STATE_FOLDER) / FILE
    if found.broken:
        where = f"{file} or the shared state" if project.state.uses_git else file
        session.note(f"{where}: {text.count(found.broken, 'unreadable line')}")
    if found.cut:
        session.note(f"{file}: skipped the first {found.cut} bytes")
    return Exit.DONE


def _with_values(params: Sequence[str]) -> Callable[[Intent], bool]:
    """Return a test for requests of runs with values. Raises UsageError."""
    wanted: dict[str, list[str]] = {}
    for param in params:
        name, equals, values = param.partition("=")
        if not equals:
            raise UsageError(f"--param {param}: expected NAME=VALUE")
        wanted[name] = values.split(",")
    if not wanted:
        return lambda _: True
    from deployer.parameters.keys import values_of

    def has_values(intent: Intent) -> bool:
        found = values_of(intent.identity.run)
        return all(found.get(name) in values for name, values in wanted.items())

    return has_values


def _targets(project: Project, name: str | None) -> list[Target]:
    """Return the targets whose state is read: a journal may have one that deployer.yaml no longer has."""
    return [project.targets[target] for target in project.targets if name in {None, target}]


def _job_of(intent: Intent) -> tuple[str, str, str]:
    return intent.target, intent.identity.kind, intent.id


def _as_job(intent: Intent) -> Job:
    """Return a job with the fields that a selector uses."""
    return Job(intent.identity, Source(intent.source, 0), {})
