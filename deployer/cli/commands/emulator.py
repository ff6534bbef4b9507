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
    """Returns an option that can stand in the environment, where the list of processes does not show it."""
    variable = f"DEPLOYER_EMULATOR_{name.upper().replace('-', '_')}"
    return click.option(f"--{name}", envvar=variable, help=f"{text} Or {variable}.")


EXAMPLES = examples(
    ("Run on a fixed port, and keep the jobs in a file", "deployer emulator --port 8080 --db jobs.db"),
    (
        "Accept one token only, and limit each MRS cluster to 2 active jobs",
        "deployer emulator --token test --running 2",
    ),
)


@click.command("emulator", epilog=EXAMPLES)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0, the default, takes a free one.")
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("emulator.db"),
    show_default=True,
    help="The file that keeps the jobs.",
)
@_credential_option("token", "Refuse other tokens in X-Auth-Token, but those that IAM here gave.")
@_credential_option("ak", "Take requests signed with this access key.")
@_credential_option("sk", "Its secret.")
@_credential_option("security-token", "Makes the key a temporary one, to be sent as X-Security-Token.")
@_credential_option("user", "Who can sign in; anybody, when it is not given.")
@_credential_option("password", "And how.")
@click.option("--running", type=click.IntRange(1), metavar="N", help="At most N active jobs on a cluster.")
@click.option(
    "--retention",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Forget batches, sessions and MRS jobs so long after they ended.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file with a list of calls that go wrong.",
)
def command(port: int, db: Path, faults: Path | None, **options: Any) -> Exit:
    """Run the local DLI, MRS and IAM in the foreground, on loopback; Ctrl-C ends it.

    The first line on stdout says where: listening on http://127.0.0.1:PORT
    """
    from deployer.emulator import Emulator, ParameterError

    for option, required in (("ak", "sk"), ("user", "password")):
        if (options[option] is None) != (options[required] is None):
            raise UsageError(f"--{option} and --{required} belong together")
    try:
        server = Emulator(db, port=port, faults=_rules(faults) if faults else (), **options)
    except ParameterError as error:
        raise UsageError(f"{faults}: {error}") from None
    except (OSError, sqlite3.Error) as error:
        raise DeployerError(f"the emulator cannot start (port {port}, {db}): {error}") from None
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
        raise UsageError(f"{file}: a list of faults is expected")
    return rules
