"""`deployer schema`"""

from __future__ import annotations

from pathlib import Path

import click

from deployer import schema
from deployer.errors import DeployerError, Exit, UsageError, nearest
from deployer.kinds import KINDS
from deployer.report.terminal import err, out
from deployer.tables import schema_folder


@click.group("schema")
def command() -> None:
    """The JSON Schemas (draft 2020-12) that are generated from the parameter tables."""


@command.command("generate")
def generate() -> Exit:
    """Write the schemas from the tables, into the folder of the tables."""
    for name, text in schema.generate().items():
        file = Path(str(schema_folder() / name))
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DeployerError(f"{file} cannot be written: {error.strerror}") from None
        out(f"wrote {name}")
    return Exit.DONE


@command.command("check")
def check() -> Exit:
    """Fail when a generated schema is missing or not what the tables say."""
    if stale := schema.stale():
        for name in stale:
            err(f"{name} is stale; run 'deployer schema generate'")
        return Exit.ERROR
    out(f"The {len(schema.generate())} schemas are current.")
    return Exit.DONE


@command.command("show")
@click.argument("kind")
def show(kind: str) -> Exit:
    """Print the schema of KIND (or of Project, for deployer.yaml)."""
    known = [*KINDS, "Project"]
    if kind not in known:
        raise UsageError(f"there is no kind '{kind}'{nearest(kind, known)}")
    out((schema_folder() / f"{kind}.schema.json").read_text(encoding="utf-8"), newline=False)
    return Exit.DONE
