"""`deployer render`"""

from __future__ import annotations

import click
import yaml

from deployer.cli import stages
from deployer.cli.options import Options, project_command
from deployer.errors import Exit
from deployer.report.printable import printable
from deployer.report.terminal import out


@click.command("render")
@project_command
def command(options: Options) -> Exit:
    """Print the manifests after templates, as YAML; each with the place where it stands."""
    loaded = stages.load(options)
    stages.require_valid(loaded)
    chosen = {job.source: job for job in loaded.wanted}
    for manifest in loaded.manifests:
        if manifest.source in chosen:
            out(f"--- # {printable(str(manifest.source))}")
            out(yaml.safe_dump(manifest.document.value, allow_unicode=True, sort_keys=False), newline=False)
    return Exit.DONE
