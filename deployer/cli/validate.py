"""`deployer validate`"""

from __future__ import annotations

import click

from deployer.cli import stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit
from deployer.report import text


@click.command("validate")
@project_command
def command(options: Options) -> Exit:
    """Check all manifests: templates, YAML, schema and lifecycle. No credentials, no network.

    The whole project is checked, whatever PATH selects.
    """
    loaded = stages.load(options)
    for problem in loaded.problems:
        click.echo(text.problem(problem), err=True)
    errors = sum(problem.severity == "error" for problem in loaded.problems)
    warnings = len(loaded.problems) - errors
    found = f"{errors} errors, {warnings} warnings"
    if errors:
        click.echo(f"Not valid: {found}.")
        return Exit.INVALID
    click.echo(f"Valid: {len(loaded.jobs)} jobs for target {loaded.target.name}; {found}.")
    return Exit.DONE
