"""`deployer.yaml` -> Project and Target; which files are manifests; the values that templates see."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployer.document import MAX_DEPTH, PlainText, parse
from deployer.errors import Code, InvalidInput, Problem, UsageError, nearest
from deployer.files import read_text
from deployer.model import Document, Place
from deployer.violations import violations

PROJECT_FILE = "deployer.yaml"
STATE_FOLDER = ".deployer"
RESERVED_VALUES = ("project", "target")


@dataclass(frozen=True, slots=True)
class Target:
    """Where jobs go. `variable` names the environment variable that holds the token."""

    name: str
    emulator: bool = False
    region: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    project_id: str = ""
    auth: str = "token"
    variable: str = "HW_AUTH_TOKEN"
    values: tuple[str, ...] = ()
    clusters: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    def endpoint(self, service: str) -> str:
        """The base URL of a service; raises UsageError where neither an endpoint nor a region is given."""
        if service in self.endpoints:
            return self.endpoints[service].rstrip("/")
        if not self.region:
            raise UsageError(f"target '{self.name}' has neither a region nor an endpoint for {service}")
        return f"https://{service}.{self.region}.myhuaweicloud.com"


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder and what its `deployer.yaml` says."""

    folder: Path
    name: str
    default_target: str
    values: tuple[str, ...]
    targets: Mapping[str, Target]

    def target(self, name: str | None) -> Target:
        """The target `name`, or the default one; raises UsageError when there is none."""
        wanted = name or self.default_target or (next(iter(self.targets)) if len(self.targets) == 1 else "")
        if not wanted:
            raise UsageError(f"name a target with -t: {', '.join(self.targets)}")
        if wanted not in self.targets:
            hint = nearest(wanted, list(self.targets))
            raise UsageError(f"there is no target '{wanted}' in {PROJECT_FILE}{hint}")
        return self.targets[wanted]


def find(start: Path) -> Path:
    """The nearest folder from `start` upwards that holds a deployer.yaml; raises UsageError."""
    try:
        start = start.absolute()
    except FileNotFoundError:
        raise UsageError("the current folder has been removed") from None
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise UsageError(f"there is no {PROJECT_FILE} in {start} or a folder above it")


def load(folder: Path) -> Project:
    """Reads `folder`'s deployer.yaml; raises InvalidInput."""
    document = _single(folder, PROJECT_FILE) or _empty(PROJECT_FILE)
    if problems := violations(document, document.value, "Project"):
        raise InvalidInput(problems)
    raw = document.value
    targets = {name: _target(name, value or {}) for name, value in raw["targets"].items()}
    default = raw.get("defaultTarget", "")
    if default and default not in targets:
        message = f"there is no target '{default}'{nearest(default, list(targets))}"
        raise InvalidInput([Problem(document.place(("defaultTarget",)), message, Code.UNKNOWN_TARGET)])
    return Project(folder, raw["metadata"]["name"], default, tuple(raw.get("values", ())), targets)


def _target(name: str, raw: Mapping[str, Any]) -> Target:
    auth = raw.get("auth", {})
    return Target(
        name=name,
        emulator=raw.get("emulator", False),
        region=raw.get("region", ""),
        endpoints=raw.get("endpoints", {}),
        project_id=raw.get("projectId", "local" if raw.get("emulator") else ""),
        auth=auth.get("method", "token"),
        variable=auth.get("variable", "HW_AUTH_TOKEN"),
        values=tuple(raw.get("values", ())),
        clusters=raw.get("clusters", {}),
        limits=raw.get("limits", {}),
    )


def _values(folder: Path, file: str, *, inside: bool) -> Document:
    """The document of a values file, which may be empty; raises InvalidInput."""
    return _single(folder, file, inside=inside) or _empty(file)


def _empty(file: str) -> Document:
    return Document({}, Place(file, 1, 1), {}, {}, {})


def _single(folder: Path, file: str, *, inside: bool = True) -> Document | None:
    """The only document of a file, a mapping; None for an empty file. Raises InvalidInput."""
    text = read_text(folder, file, inside=inside)
    if isinstance(text, Problem):
        raise InvalidInput([text])
    documents, problems = parse(PlainText(file, text))
    if problems:
        raise InvalidInput(problems)
    if not documents:
        return None
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        message = "expected one YAML document that is a mapping"
        raise InvalidInput([Problem(Place(file, 1, 1), message, Code.ONE_MAPPING)])
    return documents[0]


def manifest_files(project: Project, values_files: Sequence[str]) -> list[str]:
    """The manifests of a project, relative to its folder and sorted."""
    named = {*project.values, *values_files, PROJECT_FILE}
    named |= {file for target in project.targets.values() for file in target.values}
    named = {os.path.relpath(project.folder / file, project.folder) for file in named}
    return sorted(file for file in _yaml_files(project.folder) if file not in named)


def _yaml_files(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "_")) and not (here / name / PROJECT_FILE).is_file()
        ]
        for name in files:
            if name.endswith((".yaml", ".yml")) and not name.startswith((".", "_")):
                yield str((here / name).relative_to(folder))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def template_values(
    project: Project, target: Target, files: Sequence[str], settings: Sequence[str]
) -> dict[str, Any]:
    """What templates see: the project's values, the target's, `files`, then `settings` (`a.b=c`).

    Raises InvalidInput for a values file, UsageError for a setting.
    """
    values: dict[str, Any] = {}
    named = [*project.values, *target.values]
    for number, file in enumerate([*named, *files]):
        # A file of the command line may stand outside; but one inside may not lead there.
        document = _values(project.folder, file, inside=number < len(named) or not file.startswith(".."))
        for name in RESERVED_VALUES:
            if name in document.value:
                place = document.place((name,), of_key=True)
                message = f"the value '{name}' is set by deployer"
                raise InvalidInput([Problem(place, message, Code.RESERVED_VALUE)])
        values = merge(values, document.value)
    for setting in settings:
        values = merge(values, parse_setting(setting))
    return values | {"project": {"name": project.name}, "target": {"name": target.name}}


def parse_setting(setting: str) -> dict[str, Any]:
    """`a.b=3` as {'a': {'b': 3}}; the value is a YAML scalar. Raises UsageError."""
    key, equals, text = setting.partition("=")
    steps = key.split(".")
    if not equals or not all(steps):
        raise UsageError(f"--set {setting}: expected KEY=VALUE, as in --set executors=4")
    if steps[0] in RESERVED_VALUES:
        raise UsageError(f"--set {key}: '{steps[0]}' is set by deployer")
    if len(steps) > MAX_DEPTH:
        raise UsageError(f"--set: nested deeper than {MAX_DEPTH} levels")
    documents, problems = parse(PlainText("--set", text))
    value = documents[0].value if documents else None
    if problems or len(documents) > 1 or isinstance(value, dict | list):
        raise UsageError(f"--set {key}: the value must be a YAML scalar; put it in quotes")
    nested: Any = value
    for step in reversed(steps):
        nested = {step: nested}
    return dict(nested)
