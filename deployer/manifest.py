"""Files of a project -> Manifests: read, render, parse, and find out which kind each document is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.document import parse
from deployer.errors import Code, Problem, nearest
from deployer.files import read_text
from deployer.kinds import KINDS
from deployer.model import Document, Manifest
from deployer.project import Project
from deployer.template import render


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of a project, and everything that is wrong with the files they are in."""

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]


def read(project: Project, files: Sequence[str], values: Mapping[str, Any]) -> Manifests:
    """All manifests in `files`. A broken file or document does not hide the others."""
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for file in files:
        text = read_text(project.folder, file)
        rendered = render(file, text, values) if isinstance(text, str) else text
        if isinstance(rendered, Problem):
            problems.append(rendered)
            continue
        documents, found = parse(rendered)
        problems += found
        for document in documents:
            manifest = _manifest(document)
            if isinstance(manifest, Problem):
                problems.append(manifest)
            else:
                manifests.append(manifest)
    return Manifests(tuple(manifests), tuple(problems))


def _manifest(document: Document) -> Manifest | Problem:
    value = document.value
    if not isinstance(value, dict):
        message = "expected a manifest: a mapping with apiVersion, kind, metadata and spec"
        return Problem(document.start, message, Code.NO_MANIFEST)
    kind = value.get("kind")
    if kind is None:
        message = f"the manifest lacks 'kind'{nearest('', list(KINDS))}"
        return Problem(document.start, message, Code.MISSING_FIELD)
    if not isinstance(kind, str) or kind not in KINDS:
        message = f"there is no kind {kind!r}{nearest(str(kind), list(KINDS))}"
        return Problem(document.place(("kind",)), message, Code.UNKNOWN_KIND)
    return Manifest(document, kind)
