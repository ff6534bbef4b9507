"""`deployer validate`"""

from __future__ import annotations

import click

from deployer.cli import stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit
from deployer.report import text
from deployer.report.printable import printable
from deployer.report.terminal import err, out
from deployer.report.text import count


@click.command("validate")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option("-v", "--verbose", is_flag=True, help="Tell what each job's sc_type amounts to.")
@project_command
def command(options: Options, *, strict: bool, verbose: bool) -> Exit:
    """Check all manifests: templates, YAML, schema and lifecycle. No credentials, no network.

    The whole project is checked, whatever PATH selects.
    """
    loaded = stages.load(options)
    for problem in loaded.problems:
        err(text.problem(problem))
    if verbose:
        from deployer.explain import sizes

        for job in loaded.wanted:
            if words := sizes(job):
                out(f"{printable(str(job.identity))}: {printable(words)}")
    severities = [problem.severity for problem in loaded.problems if problem.severity != "note"]
    errors = len(severities) if strict else severities.count("error")
    found = f"{count(errors, 'error')}, {count(len(severities) - errors, 'warning')}"
    if errors:
        out(f"Not valid: {found}.")
        return Exit.INVALID
    out(f"Valid: {count(len(loaded.jobs), 'job')} for target {loaded.target.name}; {found}.")
    return Exit.DONE
