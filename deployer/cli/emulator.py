"""`deployer emulator`"""

from __future__ import annotations

from pathlib import Path

import click

from deployer.cli import stages
from deployer.errors import Exit
from deployer.report.terminal import out


@click.command("emulator")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0, the default, takes a free one.")
@click.option(
    "--db", type=click.Path(dir_okay=False, path_type=Path), default=Path("emulator.db"), show_default=True
)
@click.option("--token", help="Refuse requests with another X-Auth-Token.")
def command(port: int, db: Path, token: str | None) -> Exit:
    """Run the local DLI and MRS in the foreground, on loopback; Ctrl-C ends it.

    The first line on stdout says where: listening on http://127.0.0.1:PORT
    """
    server = stages.emulator(db, port=port, token=token)
    out(f"listening on {server.url}")
    server.serve_forever()
    return Exit.DONE
