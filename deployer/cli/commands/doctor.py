"""`deployer doctor`"""

from __future__ import annotations

import click

from deployer.cli import diagnosis
from deployer.cli.examples import examples
from deployer.cli.options import Options, format_option, project_command
from deployer.doctor.check import exit_code
from deployer.errors import Exit, UsageError
from deployer.escape import json_text
from deployer.report import contract, doctor, text
from deployer.report.terminal import err, out

EXAMPLES = examples(
    ("Check everything that a plan of prod needs", "deployer doctor -t prod"),
    ("Compare what the services return with what deployer knows", "deployer doctor -t prod --contract"),
    (
        "Write that comparison to a file for an issue",
        "deployer doctor -t prod --contract --format markdown > contract.md",
    ),
)


@click.command("doctor", epilog=EXAMPLES)
@click.option(
    "--contract",
    "with_contract",
    is_flag=True,
    help="Compare the responses of the services with the response tables; values are masked.",
)
@format_option("text", "json", "markdown")
@project_command
def command(options: Options, style: str, *, with_contract: bool) -> Exit:
    """Check versions, project, credentials, network and permissions, and say what to do about each problem.

    Sends only reads (and the login of a user with a password), and a credential that is refused only once.
    """
    if style == "markdown" and not with_contract:
        raise UsageError("--format markdown requires --contract")
    if with_contract:
        return _contract(options, style)
    found = diagnosis.project_checks(options)
    with diagnosis.connected(found) as client:
        diagnosis.permission_checks(found, client)
    if style == "json":
        out(json_text(doctor.data(found.checks, found.target.name if found.target else "")))
    else:
        out(doctor.text(found.checks))
    return exit_code(found.checks)


def _contract(options: Options, style: str) -> Exit:
    """Print the comparison with the response tables, or the checks if nothing could be read."""
    found = diagnosis.project_checks(options)
    with diagnosis.connected(found) as client:
        report = diagnosis.contract(found, client) if client else None
    if report is None or not report.coverage:
        err(doctor.text(found.checks))
        err(text.error(_NOTHING_READ))
        return exit_code(found.checks) or Exit.ERROR
    out(json_text(contract.data(report)) if style == "json" else contract.markdown(report))
    return Exit.DONE


_NOTHING_READ = "no response could be compared; deployer doctor without --contract shows why"
