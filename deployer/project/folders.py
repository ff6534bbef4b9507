"""`_values.yaml` and `_defaults.yaml` beside manifests -> the values and defaults of the manifests in their folder.

From the least to the most specific, for values and for defaults: the project's, those of the folders from the outermost
on, the target's, those of the folders for the target, and of values those of the command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

from deployer.documents.budget import Budget
from deployer.documents.files import read_mapping
from deployer.errors import Code, InvalidInput, Problem, nearest
from deployer.kinds import KINDS
from deployer.model import Document, Location
from deployer.project.defaults import part, stacked, united, without_nulls
from deployer.project.load import FOLDER_FILE, Project
from deployer.project.target import Target
from deployer.project.values import merge, reserved
from deployer.schema.validate import violations

DEFAULTS = "Defaults"


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """What the manifests of a folder see: the `layers` of their values, and their defaults as `Target` has them.

    `overlay` is the number of their values in `Folders.overlays`, from 1 on; 0 if they are those of the project.
    """

    layers: tuple[Document, ...]
    overlay: int
    defaults: Mapping[str, Document]
    removable: Mapping[str, tuple[Mapping[str, Any], ...]]


@dataclass(frozen=True, slots=True)
class Folders:
    """The settings of the folders with files for them, by folder; `overlays` are values in place of the project's."""

    settings: Mapping[PurePath, FolderSettings]
    overlays: tuple[Mapping[str, Any], ...]

    def of(self, file: str) -> FolderSettings | None:
        """Return the settings for a manifest: those of its folder, or of the nearest one above it that has some."""
        return next(
            (self.settings[above] for above in PurePath(file).parents if above in self.settings), None
        )


class _File(NamedTuple):
    """A file for a folder. `target` is empty if it is for all targets."""

    folder: PurePath
    target: str
    document: Document


def read_folders(
    project: Project, target: Target, files: Iterable[str], layers: Sequence[Document], budget: Budget
) -> Folders:
    """Read the files for folders, and merge them with the `layers` of the project's values.

    Raises InvalidInput with all of their problems.
    """
    values, defaults = _read(project, target, files, budget)
    until_target = len(project.values) + len(target.values)
    parts = layers[: len(project.values)], layers[len(project.values) : until_target], layers[until_target:]
    numbers: dict[str, int] = {}
    overlays: list[Mapping[str, Any]] = []
    settings: dict[PurePath, FolderSettings] = {}
    for folder in sorted({file.folder for file in (*values, *defaults)}):
        common, own = _above(folder, values, target.name)
        ordered = (*parts[0], *common, *parts[1], *own, *parts[2])
        _spend(budget, project, (*common, *own))
        overlay = _overlay(ordered, (*common, *own))
        # Not compared as they are, as 1 == True.
        text = json.dumps(overlay)
        if overlay and text not in numbers:
            overlays.append(overlay)
            numbers[text] = len(overlays)
        common, own = _above(folder, defaults, target.name)
        every = [file.document for file in defaults if folder.is_relative_to(file.folder)]
        _spend(budget, project, every)
        settings[folder] = FolderSettings(
            ordered, numbers.get(text, 0), _defaults(target, common, own), _removable(target, every)
        )
    return Folders(settings, tuple(overlays))


def _read(
    project: Project, target: Target, files: Iterable[str], budget: Budget
) -> tuple[list[_File], list[_File]]:
    """Return the files with values for the target, and those with defaults for all targets."""
    values: list[_File] = []
    defaults: list[_File] = []
    problems: list[Problem] = []
    seen: dict[tuple[PurePath, str, str], str] = {}
    for file in files:
        name = FOLDER_FILE.fullmatch(PurePath(file).name)
        if not name:
            continue
        folder, sort, of_target = PurePath(file).parent, name[1], name[2] or ""
        if of_target and of_target not in project.targets:
            hint = nearest(of_target, list(project.targets))
            problems.append(
                Problem(Location(file), f"unknown target '{of_target}'{hint}", Code.UNKNOWN_TARGET)
            )
            continue
        other = seen.setdefault((folder, sort, of_target), file)
        if other != file:
            message = f"has the same purpose as {other}; keep one of them"
            problems.append(Problem(Location(file), message, Code.FOLDER_FILES))
            continue
        # A null in a manifest may remove a default of another target; values are needed for this one only.
        if sort == "values" and of_target not in ("", target.name):
            continue
        try:
            document = read_mapping(project.folder, file, budget=budget)
        except InvalidInput as error:
            problems += error.problems
            if budget.exceeded:
                break
            continue
        if sort == "values":
            problems += reserved(document)
            values.append(_File(folder, of_target, document))
        else:
            problems += violations(document, without_nulls(document.value), DEFAULTS)
            defaults.append(_File(folder, of_target, document))
    if problems:
        raise InvalidInput(problems, project.folder)
    return values, defaults


def _above(
    folder: PurePath, files: Iterable[_File], target: str
) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Return the documents of a folder and of those above it, outermost first: for all targets, and for this one."""
    found = sorted(
        (file for file in files if folder.is_relative_to(file.folder)),
        key=lambda file: len(file.folder.parts),
    )
    return (
        tuple(file.document for file in found if not file.target),
        tuple(file.document for file in found if file.target == target),
    )


def _overlay(ordered: Iterable[Document], of_folders: Iterable[Document]) -> dict[str, Any]:
    """Return the values of the names that the documents of folders have; the others are those of the project."""
    names = dict.fromkeys(name for document in of_folders for name in document.value)
    merged: dict[str, Any] = {}
    for layer in ordered if names else ():
        merged = merge(merged, {name: layer.value[name] for name in names if name in layer.value})
    return merged


def _defaults(target: Target, common: Sequence[Document], own: Sequence[Document]) -> dict[str, Document]:
    if not common and not own:
        return dict(target.defaults)
    found = {}
    for kind in KINDS.values():
        of_project, of_target = target.default_layers.get(kind.name, (None, None))
        layers = (
            of_project,
            *(part(document, (kind.name,)) for document in common),
            of_target,
            *(part(document, (kind.name,)) for document in own),
        )
        if default := stacked(layers, kind):
            found[kind.name] = default
    return found


def _removable(target: Target, documents: Sequence[Document]) -> dict[str, tuple[Mapping[str, Any], ...]]:
    return {
        kind: (*target.removable.get(kind, ()), *united(document.value.get(kind) for document in documents))
        for kind in KINDS
    }


def _spend(budget: Budget, project: Project, documents: Iterable[Document]) -> None:
    """Count what the merging of documents takes: each is merged for each folder below it."""
    for document in documents:
        if exceeded := budget.spend(document.start, values=_size(document.value)):
            raise InvalidInput([exceeded], project.folder)


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1
