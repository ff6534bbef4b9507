"""`deployer plan`"""

from __future__ import annotations

import click

from deployer.cli import stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit
from deployer.report.terminal import out

FORMATS = ("text", "json", "markdown")


@click.command("plan")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes.")
@click.option("-v", "--verbose", is_flag=True, help="Show unchanged jobs too.")
@project_command
def command(options: Options, style: str, *, detailed_exitcode: bool, verbose: bool) -> Exit:
    """Show what apply would do, and why. Changes nothing."""
    loaded = stages.load(options)
    stages.require_valid(loaded, show_warnings=True)
    with stages.connected(loaded) as client:
        plan, _ = stages.plan(client, loaded)
    from deployer.report import json, markdown, text

    match style:
        case "json":
            out(json.plan(plan))
        case "markdown":
            out(markdown.plan(plan))
        case _:
            out(text.plan(plan, verbose=verbose))
    if plan.errors:
        return Exit.ERROR
    return Exit.CHANGES if detailed_exitcode and plan.pending else Exit.DONE
