"""`deployer status`"""

from __future__ import annotations

import click

from deployer.cli import session
from deployer.cli.examples import examples
from deployer.cli.options import Options, format_option, project_command
from deployer.errors import Exit
from deployer.escape import json_text
from deployer.report import status
from deployer.report.terminal import out

EXAMPLES = examples(
    ("Show all jobs of the target prod", "deployer status -t prod"),
    ("Print the Flink jobs as JSON", "deployer status --select kind=FlinkJar --format json"),
)


@click.command("status", epilog=EXAMPLES)
@format_option("text", "json")
@project_command
def command(options: Options, style: str) -> Exit:
    """Show the live state of each job, and whether it matches its manifest."""
    loaded = session.load(options)
    session.require_valid(loaded)
    with session.connected(loaded) as client:
        plan, live = session.plan(client, loaded)
    if style == "json":
        out(json_text(status.data(plan.changes, live.now)))
    else:
        out(status.text(plan.changes, live.now))
    session.report_errors(plan)
    return Exit.ERROR if plan.errors else Exit.DONE
