"""`deployer render`"""

from __future__ import annotations

from typing import Any

import click
import yaml

from deployer.check import with_texts
from deployer.cli import stages
from deployer.cli.options import Options, project_command
from deployer.document import resolve
from deployer.errors import Exit
from deployer.report.printable import printable
from deployer.report.terminal import out


class _Dumper(yaml.SafeDumper):
    """Quotes the text that our reader would take for something else: PyYAML goes by YAML 1.1."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if isinstance(resolve(value), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


@click.command("render")
@project_command
def command(options: Options) -> Exit:
    """Print the manifests after templates, as YAML; each with the place where it stands."""
    loaded = stages.load(options)
    stages.require_valid(loaded)
    chosen = {(job.source, job.kind, job.name) for job in loaded.wanted}
    for manifest in loaded.manifests:
        value = with_texts(manifest)
        if (manifest.source, manifest.kind, value["metadata"]["name"]) in chosen:
            out(f"--- # {printable(str(manifest.source))}")
            out(_yaml(value), newline=False)
    return Exit.DONE


def _yaml(value: Any) -> str:
    """As YAML; what a terminal does not show as it is becomes an escape."""
    text = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    if text.replace("\n", "").isprintable():
        return text
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=False, sort_keys=False)
