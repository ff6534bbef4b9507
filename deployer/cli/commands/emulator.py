"""`deployer emulator`"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import yaml

from deployer.cli.examples import examples
from deployer.errors import DeployerError, Exit, UsageError
from deployer.report.terminal import out


def _credential_option(name: str, text: str) -> Callable[[Callable[..., Exit]], Callable[..., Exit]]:
    """Return an option that can also be an environment variable, which the process list does not show."""
    variable = f"DEPLOYER_EMULATOR_{name.upper().replace('-', '_')}"
    return click.option(f"--{name}", envvar=variable, help=f"{text} Or set {variable}.")


EXAMPLES = examples(
    ("Run on a fixed port, and store the jobs in a file", "deployer emulator --port 8080 --db jobs.db"),
    (
        "Accept one token only, and limit each MRS cluster to 2 active jobs",
        "deployer emulator --token test --running 2",
    ),
)


@click.command("emulator", epilog=EXAMPLES)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on (default 0: any free port)."
)
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("emulator.db"),
    show_default=True,
    help="Database file for the jobs.",
)
@_credential_option("token", "Accept only this token and tokens issued by the emulated IAM.")
@_credential_option("ak", "Accept requests signed with this access key.")
@_credential_option("sk", "Secret of the access key.")
@_credential_option("security-token", "Security token of a temporary access key (X-Security-Token).")
@_credential_option("user", "IAM user allowed to log in (default: any user).")
@_credential_option("password", "Password of the IAM user.")
@click.option(
    "--running", type=click.IntRange(1), metavar="N", help="Maximum number of active jobs per cluster."
)
@click.option(
    "--retention",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Remove ended batches, sessions and MRS jobs after this time.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with a list of faults to inject.",
)
def command(port: int, db: Path, faults: Path | None, **options: Any) -> Exit:
    """Run a local emulator of DLI, MRS and IAM on the loopback interface. Press Ctrl-C to stop.

    The first line on stdout is its address: listening on http://127.0.0.1:PORT
    """
    from deployer.emulator import Emulator, ParameterError

    for option, required in (("ak", "sk"), ("user", "password")):
        if (options[option] is None) != (options[required] is None):
            raise UsageError(f"--{option} and --{required} must be given together")
    try:
        server = Emulator(db, port=port, faults=_rules(faults) if faults else (), **options)
    except ParameterError as error:
        raise UsageError(f"{faults}: {error}") from None
    except (OSError, sqlite3.Error) as error:
        raise DeployerError(f"cannot start the emulator (port {port}, {db}): {error}") from None
    with closing(server):
        out(f"listening on {server.url}")
        server.serve_forever()
    return Exit.DONE


def _rules(file: Path) -> list[Any]:
    try:
        rules = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: {error}") from None
    if not isinstance(rules, list):
        raise UsageError(f"{file}: expected a list of faults")
    return rules
