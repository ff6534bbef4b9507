"""`deployer render`"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from deployer.cli import session
from deployer.cli.examples import examples
from deployer.cli.options import Options, project_command
from deployer.documents.dump import dump
from deployer.errors import Exit
from deployer.escape import is_visible, printable
from deployer.kinds import KINDS
from deployer.manifests.check import with_texts
from deployer.model import Document, Manifest, Path
from deployer.project.values import origins
from deployer.report.terminal import out
from deployer.secrets.redact import masked

MAX_VALUE = 48


EXAMPLES = examples(
    ("Print one rendered file", "deployer render spark/daily-orders.yaml"),
    ("Show where each value comes from", "deployer render -t prod --origins --select name=daily-orders"),
)


@click.command("render", epilog=EXAMPLES)
@click.option("--origins", "show_origins", is_flag=True, help="Show the source of each value.")
@project_command
def command(options: Options, *, show_origins: bool) -> Exit:
    """Print the rendered manifests as YAML, each with its source location.

    Secrets and credentials are masked.
    """
    loaded = session.load(options, with_manifests=True)
    session.require_valid(loaded)
    chosen = {(job.source, job.kind, job.name) for job in loaded.selected_jobs}
    values = origins(loaded.values)
    for manifest in loaded.manifests:
        value = _shown(manifest)
        if (manifest.source, manifest.kind, value["metadata"]["name"]) in chosen:
            out(f"--- # {printable(str(manifest.source))}")
            if show_origins:
                out("\n".join(_origins(manifest.document, value, values)))
            else:
                out(_yaml(value), newline=False)
    return Exit.DONE


def _shown(manifest: Manifest) -> dict[str, Any]:
    value = with_texts(manifest)
    spec = value["spec"]
    if "parameters" in value:
        from deployer.parameters.references import shown

        spec = shown(spec)
    return {**value, "spec": masked(KINDS[manifest.kind].spellings, spec)}


def _yaml(value: Any) -> str:
    """Format as YAML; characters that are not printable become escapes."""
    text = dump(value)
    return text if is_visible(text.replace("\n", "")) else dump(value, allow_unicode=False)


def _origins(document: Document, value: Any, values: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for every leaf: its path, its value, and its sources."""
    rows = [
        (
            "/" + "/".join(map(str, path)),
            _cut(json.dumps(leaf, ensure_ascii=False)),
            _origin(document, path, values),
        )
        for path, leaf in _leaves(value, ())
    ]
    clean = [tuple(map(printable, row)) for row in rows]
    first, second = (max(len(row[column]) for row in clean) for column in (0, 1))
    for pointer, leaf, origin in clean:
        yield f"{pointer:<{first}}  {leaf:<{second}}  {origin}"


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    if not value or not children:
        yield path, value
    for step, item in children:
        yield from _leaves(item, (*path, step))


def _origin(document: Document, path: Path, values: Mapping[str, str]) -> str:
    """Format the sources of a leaf: `spark/a.yaml:3:9; queue: values/prod.yaml:2:8`."""
    while path not in document.values and path[:-1]:
        path = path[:-1]
    location = document.location(path)
    words = [
        str(location),
        *(f"{name}: {where}" for name in document.names.get(path, ()) if (where := _origin_of(name, values))),
    ]
    return "; ".join([*words, *location.via])


def _origin_of(name: str, values: Mapping[str, str]) -> str:
    """Return the source of a value, or of the mapping around it."""
    while name and name not in values:
        name = name.rpartition(".")[0]
    return values.get(name, "")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."
