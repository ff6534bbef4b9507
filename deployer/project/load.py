"""`deployer.yaml` -> Project and Target; and which files are manifests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployer import __version__
from deployer.documents.budget import Budget
from deployer.documents.files import read_mapping
from deployer.errors import Code, InvalidInput, Problem, UsageError, nearest
from deployer.kinds import KINDS
from deployer.model import Document, Location
from deployer.project import regions
from deployer.project.defaults import all_defaults, default_layers, stacked, without_nulls
from deployer.project.state import LOCAL, StateSettings, state_settings
from deployer.project.target import EMULATED, UNLIMITED, Polling, Rate, Retry, Target, seconds
from deployer.schema.validate import violations
from deployer.secrets.store import SecretSource

if TYPE_CHECKING:
    from deployer.project.exclude import Excludes

PROJECT_FILE = "deployer.yaml"
STATE_FOLDER = ".deployer"
# Values and defaults for the manifests of a folder, for all targets or for the one that is named.
FOLDER_FILE = re.compile(r"_(values|defaults)(?:\.(.+))?\.ya?ml")


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder and the settings of its `deployer.yaml`. `values_files` are those of all targets too."""

    folder: Path
    name: str
    default_target: str
    values: tuple[str, ...]
    targets: Mapping[str, Target]
    records_ownership: bool = True
    values_files: frozenset[str] = frozenset()
    state: StateSettings = LOCAL
    excludes: Excludes | None = None

    def target(self, name: str | None) -> Target:
        """Return the target `name`, or the default one; raises UsageError if it does not exist."""
        wanted = name or self.default_target or (next(iter(self.targets)) if len(self.targets) == 1 else "")
        if not wanted:
            raise UsageError(f"select a target with -t: {', '.join(self.targets)}")
        if wanted not in self.targets:
            hint = nearest(wanted, list(self.targets))
            raise UsageError(f"unknown target '{wanted}' in {PROJECT_FILE}{hint}")
        return self.targets[wanted]


def find(start: Path) -> Path:
    """Return the nearest folder from `start` upwards with a deployer.yaml; raises UsageError."""
    try:
        start = start.absolute()
    except FileNotFoundError:
        raise UsageError("the current folder has been removed") from None
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise UsageError(f"no {PROJECT_FILE} found in {start} or its parent folders")


def load(folder: Path, budget: Budget | None = None) -> Project:
    """Read `folder`'s deployer.yaml; raises InvalidInput."""
    document = read_mapping(folder, PROJECT_FILE, budget=budget)
    # First: a newer project file may have fields that this version does not know.
    if problems := _wrong_version(document):
        raise InvalidInput(problems, folder)
    if problems := violations(document, _without_removals(document.value), "Project"):
        raise InvalidInput(problems, folder)
    raw = document.value
    targets = _Targets(document)
    default = raw.get("defaultTarget", "")
    if default and default not in targets:
        message = f"unknown target '{default}'{nearest(default, list(targets))}"
        raise InvalidInput(
            [Problem(document.location(("defaultTarget",)), message, Code.UNKNOWN_TARGET)], folder
        )
    values, marks = tuple(raw.get("values", ())), raw.get("marks", True)
    of_targets = (target.get("values", ()) for target in raw["targets"].values() if target)
    every = frozenset(values).union(*of_targets)
    state = state_settings(raw.get("state", "local"))
    name = raw["metadata"]["name"]
    return Project(folder, name, default, values, targets, marks, every, state, _excludes(document))


def _excludes(document: Document) -> Excludes | None:
    if not document.value.get("exclude"):
        return None
    from deployer.project.exclude import excludes  # on use: most projects exclude nothing

    return excludes(document)


def _wrong_version(document: Document) -> list[Problem]:
    """Return a problem if `requiredVersion` excludes this version of deployer, or is invalid."""
    required = document.value.get("requiredVersion")
    if not isinstance(required, str):
        return []
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        if SpecifierSet(required).contains(__version__, prereleases=True):
            return []
    except InvalidSpecifier:
        message = f"'requiredVersion' must be a version specifier, for example >=0.3,<2, got {required!r}"
        return [Problem(document.location(("requiredVersion",)), message, Code.WRONG_VALUE)]
    message = f"this project requires deployer {required}; this is {__version__}"
    return [Problem(document.location(("requiredVersion",)), message, Code.REQUIRED_VERSION)]


def _without_removals(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the project file without the nulls by which the defaults of a target remove the project's."""
    targets = value.get("targets")
    if not isinstance(targets, Mapping):
        return value
    cleaned = {
        name: {**target, "defaults": without_nulls(target["defaults"])}
        if isinstance(target, Mapping) and isinstance(target.get("defaults"), Mapping)
        else target
        for name, target in targets.items()
    }
    return {**value, "targets": cleaned}


class _Targets(Mapping[str, Target]):
    """The targets by name, each resolved when it is asked for: most commands use one of them."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._resolved: dict[str, Target] = {}
        self._removable = {kind.name: all_defaults(document, kind) for kind in KINDS.values()}

    def __contains__(self, name: object) -> bool:
        return name in self._document.value["targets"]

    def __getitem__(self, name: str) -> Target:
        if name not in self:
            raise KeyError(name)
        if name not in self._resolved:
            self._resolved[name] = _target(self._document, name, self._removable)
        return self._resolved[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document.value["targets"])

    def __len__(self) -> int:
        return len(self._document.value["targets"])


def _target(document: Document, name: str, removable: Mapping[str, tuple[Mapping[str, Any], ...]]) -> Target:
    raw = document.value["targets"][name] or {}
    auth = raw.get("auth", {})
    secrets = {**document.value.get("secrets", {}), **raw.get("secrets", {})}
    layers = {kind.name: default_layers(document, name, kind) for kind in KINDS.values()}
    defaults = {kind.name: stacked(layers[kind.name], kind) for kind in KINDS.values()}
    return Target(
        name=name,
        emulator=raw.get("emulator", False),
        region=raw.get("region", ""),
        endpoints=raw.get("endpoints", {}),
        project_id=raw.get("projectId", "local" if raw.get("emulator") else ""),
        auth=auth.get("method", ""),
        variable=auth.get("variable", ""),
        ca_file=raw.get("caFile", ""),
        rate=UNLIMITED if raw.get("emulator") else _rate(raw.get("rate", {})),
        retry=_retry(raw.get("retry", {})),
        polling=EMULATED if raw.get("emulator") else _polling(raw.get("polling", {})),
        values=tuple(raw.get("values", ())),
        clusters=raw.get("clusters", {}),
        limits=raw.get("limits", {}),
        protected=raw.get("protected", False),
        defaults={kind: default for kind, default in defaults.items() if default},
        default_layers=layers,
        removable=removable,
        secrets={secret: _secret(secret, source or {}) for secret, source in secrets.items()},
        region_at=_unknown_region(document, name, raw),
    )


def _unknown_region(document: Document, name: str, raw: Mapping[str, Any]) -> Location | None:
    """Return where a target has a region that is not known to have all services; None if there is none."""
    region = raw.get("region", "")
    if raw.get("emulator") or not region or all(region in known for known in regions.KNOWN.values()):
        return None
    return document.location(("targets", name, "region"))


def _rate(raw: Mapping[str, Any]) -> Rate:
    usual = Rate()
    return Rate(raw.get("requestsPerSecond", usual.per_second), raw.get("concurrent", usual.concurrent))


def _retry(raw: Mapping[str, Any]) -> Retry:
    usual = Retry()
    capacity = _seconds(raw, "capacityTimeout", usual.capacity_seconds)
    return Retry(raw.get("attempts", usual.attempts), capacity)


def _polling(raw: Mapping[str, str]) -> Polling:
    usual = Polling()
    return Polling(
        _seconds(raw, "interval", usual.interval), _seconds(raw, "consistencyDelay", usual.consistency_delay)
    )


def _seconds(raw: Mapping[str, Any], key: str, usual: float) -> float:
    return seconds(raw[key]) if key in raw else usual


def _secret(name: str, raw: Mapping[str, str]) -> SecretSource:
    return SecretSource(name, raw.get("variable", ""), raw.get("file", ""))


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """The files of a project by their use, relative to its folder and sorted; and warnings about `exclude`.

    `of_folders` have values and defaults for the folders that they are in.
    """

    manifests: list[str]
    of_folders: list[str]
    problems: list[Problem]


def manifest_files(project: Project, values_files: Sequence[str]) -> list[str]:
    """Return the manifests of a project, relative to its folder and sorted."""
    return project_files(project, values_files).manifests


def project_files(project: Project, values_files: Sequence[str]) -> ProjectFiles:
    """Find the files of a project, except its values files and `values_files`."""
    named = {*project.values_files, *values_files, PROJECT_FILE}
    named = {os.path.relpath(project.folder / file, project.folder) for file in named}
    excludes = project.excludes
    manifests: list[str] = []
    of_folders: list[str] = []
    for within, name in _yaml_files(project.folder, excludes):
        if (file := within + name) not in named:
            (of_folders if name.startswith("_") else manifests).append(file)
    return ProjectFiles(sorted(manifests), sorted(of_folders), excludes.unused() if excludes else [])


def _yaml_files(folder: Path, excludes: Excludes | None) -> Iterator[tuple[str, str]]:
    """Yield the folder, with a separator at its end, and the name of each file that is read."""
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        within = "" if here == folder else f"{here.relative_to(folder)}{os.sep}"
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "_"))
            and not (excludes and excludes.excluded(_posix(within + name), is_folder=True))
            and not (here / name / PROJECT_FILE).is_file()
        ]
        for name in files:
            if (
                name.endswith((".yaml", ".yml"))
                and not name.startswith(".")
                and (not name.startswith("_") or FOLDER_FILE.fullmatch(name))
                and not (excludes and excludes.excluded(_posix(within + name), is_folder=False))
            ):
                yield within, name


def _posix(path: str) -> str:
    return path.replace(os.sep, "/")
