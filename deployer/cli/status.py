"""`deployer status`"""

from __future__ import annotations

import json

import click

from deployer.cli import stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit
from deployer.model import Action, Change
from deployer.report import text
from deployer.report.terminal import err, out


@click.command("status")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@project_command
def command(options: Options, style: str) -> Exit:
    """Show the live state of each job that the manifests name, and whether it is as its manifest says."""
    loaded = stages.load(options)
    stages.require_valid(loaded)
    with stages.connected(loaded) as client:
        plan, _ = stages.plan(client, loaded)
    rows = [(change.job, change.live, _word(change)) for change in plan.changes]
    if style == "json":
        out(json.dumps([_row(change) for change in plan.changes], indent=2))
    else:
        out(text.status(rows))
    for note in plan.errors:
        err(text.error(f"{note.identity}: {note.message}"))
    return Exit.ERROR if plan.errors else Exit.DONE


def _word(change: Change) -> str:
    if change.live is None:
        return "not deployed"
    if change.live.spec is None:
        return "cannot be compared"
    return "differs" if change.fields else "same"


def _row(change: Change) -> dict[str, object]:
    job, live = change.job, change.live
    return {
        "kind": job.kind,
        "name": job.name,
        "place": job.identity.place,
        "source": str(job.source),
        "id": live.id if live else None,
        "state": live.state if live else None,
        "phase": live.phase if live else None,
        "submitted": live.submitted if live else None,
        "manifest": _word(change),
        "next": change.action if change.action is not Action.UNCHANGED else None,
    }
