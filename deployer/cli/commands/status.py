"""`deployer status`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from deployer.cli import session, shared_state
from deployer.cli.examples import examples
from deployer.cli.fail_on import conditions_of, exit_code, fail_on_option
from deployer.cli.options import Options, format_option, project_command
from deployer.errors import Exit
from deployer.escape import json_text
from deployer.report import status
from deployer.report.terminal import out

EXAMPLES = examples(
    ("Show all jobs of the target prod", "deployer status -t prod"),
    ("Print the Flink jobs as JSON", "deployer status --select kind=FlinkJar --format json"),
    ("Fail if a last run has failed", "deployer status --fail-on failed"),
)


@click.command("status", epilog=EXAMPLES)
@format_option("text", "json")
@fail_on_option
@project_command
def command(options: Options, style: str, *, fail_on: Sequence[str]) -> Exit:
    """Show the live state of each job, and whether it matches its manifest."""
    named_conditions = conditions_of(fail_on)
    loaded = session.load(options)
    session.require_valid(loaded)
    with session.connected(loaded) as client:
        plan, live = session.plan(client, loaded, known=shared_state.known(loaded))
    if style == "json":
        out(json_text(status.data(plan, live.now)))
    else:
        out(status.text(plan.changes, live.now))
    session.report_errors(plan)
    return exit_code(plan, named_conditions)
