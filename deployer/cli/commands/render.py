"""`deployer render`"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import click

from deployer.cli import session
from deployer.cli.examples import examples
from deployer.cli.options import (
    Options,
    all_targets_option,
    changed_since_option,
    format_option,
    project_command,
)
from deployer.documents.budget import Budget
from deployer.documents.dump import dump
from deployer.errors import Exit
from deployer.escape import is_visible, json_text, printable
from deployer.kinds import KINDS
from deployer.manifests.check import with_texts
from deployer.model import Document, Manifest, Path, pointer
from deployer.project.values import origins
from deployer.report.terminal import out
from deployer.secrets.redact import masked

MAX_VALUE = 48


EXAMPLES = examples(
    ("Print one rendered file", "deployer render spark/daily-orders.yaml"),
    ("Show where each value comes from", "deployer render -t prod --origins --select name=daily-orders"),
    ("Print all of it for a program", "deployer render --origins --format json"),
)
FORMAT_VERSION = "1.0"


@click.command("render", epilog=EXAMPLES)
@click.option("--origins", "show_origins", is_flag=True, help="Show the source of each value.")
@all_targets_option
@changed_since_option
@format_option("yaml", "json")
@project_command
def command(options: Options, style: str, *, show_origins: bool) -> Exit:
    """Print the rendered manifests, each with its source location.

    --origins prints a line for each value instead: the file and line that it comes from, and those of the template
    values in it. Secrets and credentials are masked.
    """
    one = partial(_render, style=style, show_origins=show_origins)
    if not session.are_several(options):
        return one(options, out)
    from deployer.cli import several

    return several.run(options, "render", style, one)


def _render(
    options: Options,
    show: Callable[[str], object],
    budget: Budget | None = None,
    *,
    style: str,
    show_origins: bool,
) -> Exit:
    """Render one target, and `show` each manifest."""
    loaded = session.load(options, budget, with_manifests=True)
    session.require_valid(loaded)
    chosen = {(job.source, job.kind, job.name) for job in loaded.selected_jobs}
    values = _Values(loaded) if show_origins else None
    listed = []
    for manifest in loaded.manifests:
        value = _shown(manifest)
        if (manifest.source, manifest.kind, value["metadata"]["name"]) not in chosen:
            continue
        if style == "json":
            listed.append(_entry(manifest, value, values))
            continue
        show(f"--- # {printable(str(manifest.source))}")
        if values:
            show("\n".join(_table(_origins(manifest.document, value, values.of(manifest)))))
        else:
            show(_yaml(value).removesuffix("\n"))
    if style == "json":
        show(json_text({"format_version": FORMAT_VERSION, "target": loaded.target.name, "manifests": listed}))
    return Exit.DONE


class _Values:
    """The sources of the template values that each manifest sees."""

    def __init__(self, loaded: session.LoadedProject) -> None:
        self._loaded = loaded
        self._found: dict[tuple[int, ...], Mapping[str, str]] = {}

    def of(self, manifest: Manifest) -> Mapping[str, str]:
        folders = self._loaded.folders
        own = folders.of(manifest.file) if folders else None
        layers = own.layers if own else self._loaded.values
        key = tuple(map(id, layers))
        if key not in self._found:
            self._found[key] = origins(layers)
        return self._found[key]


class _Origin(NamedTuple):
    """A leaf of a manifest, and the sources of it and of the template values in it."""

    path: Path
    value: Any
    source: str
    values: Mapping[str, str]
    via: tuple[str, ...]


def _entry(manifest: Manifest, value: Any, values: _Values | None) -> dict[str, Any]:
    """Return a manifest for JSON; with its origins, if there are `values`."""
    entry = {"source": str(manifest.source), "manifest": value}
    if values is None:
        return entry
    found = [
        {
            "path": pointer(origin.path),
            "value": origin.value,
            "source": origin.source,
            "values": dict(origin.values),
            "via": list(origin.via),
        }
        for origin in _origins(manifest.document, value, values.of(manifest))
    ]
    return {**entry, "origins": found}


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


def _origins(document: Document, value: Any, values: Mapping[str, str]) -> Iterator[_Origin]:
    """Yield every leaf with its sources."""
    for path, leaf in _leaves(value, ()):
        known = path
        while known not in document.values and known[:-1]:
            known = known[:-1]
        location = document.location(known)
        used = {name: where for name in document.names.get(known, ()) if (where := _origin_of(name, values))}
        yield _Origin(path, leaf, str(location), used, location.via)


def _table(found: Iterable[_Origin]) -> Iterator[str]:
    """Yield a line for each origin: `/spec/queue  "q"  spark/a.yaml:3:9; queue: values/prod.yaml:2:8`."""
    rows = [
        (
            "/" + "/".join(map(str, origin.path)),
            _cut(json.dumps(origin.value, ensure_ascii=False)),
            "; ".join(
                [origin.source, *(f"{name}: {where}" for name, where in origin.values.items()), *origin.via]
            ),
        )
        for origin in found
    ]
    clean = [tuple(map(printable, row)) for row in rows]
    first, second = (max(len(row[column]) for row in clean) for column in (0, 1))
    for name, leaf, origin in clean:
        yield f"{name:<{first}}  {leaf:<{second}}  {origin}"


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    if not value or not children:
        yield path, value
    for step, item in children:
        yield from _leaves(item, (*path, step))


def _origin_of(name: str, values: Mapping[str, str]) -> str:
    """Return the source of a value, or of the mapping around it."""
    while name and name not in values:
        name = name.rpartition(".")[0]
    return values.get(name, "")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."
