"""The targets of a project, and the kinds, names and labels of its jobs, as far as they can be read quickly.

For shell completion: nothing is checked, and what is invalid is left out. The head of most manifests has no template,
and is read without the rest of the file; the others are rendered, if they are few.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployer.documents.budget import Budget
from deployer.documents.files import read_text
from deployer.documents.folder import Folder
from deployer.documents.parse import PlainText, parse
from deployer.errors import DeployerError, Problem
from deployer.kinds import KINDS
from deployer.manifests.read import read
from deployer.model import Location
from deployer.project.load import PROJECT_FILE, Project, load, project_files
from deployer.project.values import template_values, value_layers
from deployer.templates.sandbox import TEMPLATE

if TYPE_CHECKING:
    from deployer.project.exclude import Excludes

MAX_FILES = 5000
MAX_RENDERED = 100

_DOCUMENT = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class NamedJob:
    """What `--select` can select a job by."""

    kind: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()


def targets(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the targets of a project by name, as deployer.yaml has them; unchecked."""
    text = read_text(folder, PROJECT_FILE)
    if isinstance(text, Problem):
        return {}
    # Whole, as it may have anchors; or at least that part, while the file is written.
    found = _targets(text) or _targets(_block(text, "targets"))
    return {name: target if isinstance(target, dict) else {} for name, target in found.items()}


def _targets(text: str) -> Mapping[str, Any]:
    value = _value(PROJECT_FILE, text)
    found = value.get("targets") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def named_jobs(
    folder: Path, target: str | None, values: Sequence[str] = (), settings: Sequence[str] = ()
) -> Iterator[NamedJob]:
    """Yield the jobs of a project: first those whose names have no template, then those that are rendered.

    Of an invalid project, those of the first kind. `values` are files, relative to the project.
    """
    project = Project(folder, "", "", (), {}, excludes=_excludes(folder))
    in_folder = project_files(project, values)
    files = in_folder.manifests[:MAX_FILES]
    templates = []
    with Folder(folder) as opened:
        for file in files:
            text = opened.read_text(file)
            if isinstance(text, Problem):
                continue
            heads = [
                _block(part, "kind") + _block(part, "metadata") + _block(part, "parameters")
                for part in _DOCUMENT.split(text)
                if part.strip()
            ]
            if any(map(TEMPLATE.search, heads)):
                templates.append(file)
                continue
            for head in heads:
                if job := _job(_value(file, head)):
                    yield job
    if 0 < len(templates) <= MAX_RENDERED:
        yield from _rendered(folder, target, templates, in_folder.of_folders, values, settings)


def _excludes(folder: Path) -> Excludes | None:
    """Return the globs of `exclude` in deployer.yaml; unchecked."""
    text = read_text(folder, PROJECT_FILE)
    if isinstance(text, Problem) or "exclude" not in text:
        return None
    found = _value(PROJECT_FILE, text) or _value(PROJECT_FILE, _block(text, "exclude"))
    globs = found.get("exclude") if isinstance(found, dict) else None
    if not isinstance(globs, list):
        return None
    from deployer.project.exclude import Excludes, glob_of

    return Excludes(glob_of(glob, Location(PROJECT_FILE)) for glob in globs if isinstance(glob, str))


def _rendered(
    folder: Path,
    target: str | None,
    files: Sequence[str],
    of_folders: Sequence[str],
    values: Sequence[str],
    settings: Sequence[str],
) -> Iterator[NamedJob]:
    try:
        project = load(folder)
        selected = project.target(target)
        layers = value_layers(project, selected, values, settings)
        budget, folders = Budget(), None
        if of_folders:
            from deployer.project.folders import read_folders

            folders = read_folders(project, selected, of_folders, layers, budget)
        seen = template_values(project, selected, layers)
        manifests = read(project, selected, files, seen, budget, folders).manifests
    except DeployerError:
        return
    for manifest in manifests:
        if job := _job(manifest.document.value):
            yield job


def _block(text: str, key: str) -> str:
    """Return a key of the document and the lines of its value; empty if the document does not have it."""
    found = re.search(
        rf"^[\"']?{key}[\"']?[ \t]*:.*(?:\n(?:[ \t].*|[ \t]*#.*|[ \t\r]*(?=\n)|[}}\]].*))*", text, re.M
    )
    return f"{found[0]}\n" if found else ""


def _value(file: str, text: str) -> Any:
    """Return the value of a text in YAML; None if there is none."""
    documents, _ = parse(PlainText(file, text))
    return documents[0].value if documents else None


def _job(value: Any) -> NamedJob | None:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict):
        return None
    kind, name, labels = value.get("kind"), metadata.get("name"), metadata.get("labels")
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(name, str):
        return None
    texts = labels.items() if isinstance(labels, dict) else ()
    parameters = value.get("parameters")
    return NamedJob(
        kind,
        name,
        {key: text for key, text in texts if isinstance(text, str)},
        tuple(map(str, parameters)) if isinstance(parameters, dict) else (),
    )
