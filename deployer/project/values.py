"""Values files and settings -> the values of templates, and the source of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deployer.documents.budget import Budget
from deployer.documents.files import read_mapping
from deployer.documents.parse import MAX_DEPTH, PlainText, parse
from deployer.errors import Code, InvalidInput, Problem, UsageError
from deployer.model import Document, Location
from deployer.project.load import Project
from deployer.project.target import Target

# The names available in templates in addition to the project's values.
RESERVED_VALUES = ("project", "target", "each", "secret", "param", "dli_var")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base`: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def value_layers(
    project: Project,
    target: Target,
    files: Sequence[str],
    settings: Sequence[str],
    budget: Budget | None = None,
) -> list[Document]:
    """Read the project's values, the target's, `files`, then `settings` (`a.b=c`); later ones take precedence.

    Raises InvalidInput for values files, UsageError for a setting.
    """
    layers: list[Document] = []
    problems: list[Problem] = []
    named = [*project.values, *target.values]
    for number, file in enumerate([*named, *files]):
        try:
            # A file of the command line may be outside the project, but not a link from inside to outside.
            inside = number < len(named) or not file.startswith("..")
            layer = read_mapping(project.folder, file, inside=inside, budget=budget)
        except InvalidInput as error:
            problems += error.problems
            if budget and budget.exceeded:
                break
            continue
        layers.append(layer)
        problems += reserved(layer)
    if problems:
        raise InvalidInput(problems, project.folder)
    return [*layers, *map(parse_assignment, settings)]


def reserved(layer: Document) -> list[Problem]:
    """Return a problem for each value of a file whose name is reserved."""
    return [
        Problem(layer.location((name,), of_key=True), f"value '{name}' is reserved", Code.RESERVED_VALUE)
        for name in RESERVED_VALUES
        if name in layer.value
    ]


def template_values(project: Project, target: Target, layers: Iterable[Document]) -> dict[str, Any]:
    """Merge the layers into the values of templates, with the names of project and target."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(values, layer.value)
    return values | {"project": {"name": project.name}, "target": {"name": target.name}}


def origins(layers: Iterable[Document]) -> dict[str, str]:
    """Return the source of each value, by its name, such as `db.host`."""
    found: dict[str, str] = {}

    def note(layer: Document, value: Any, path: tuple[str, ...]) -> None:
        if path:
            found[".".join(path)] = str(layer.location(path))
        if isinstance(value, Mapping):
            for key, item in value.items():
                note(layer, item, (*path, key))

    for layer in layers:
        note(layer, layer.value, ())
    return found


def parse_assignment(setting: str) -> Document:
    """Parse `a.b=3` as {'a': {'b': 3}}; the value is a YAML scalar. Raises UsageError."""
    key, equals, text = setting.partition("=")
    steps = key.split(".")
    if not equals or not all(steps):
        raise UsageError(f"--set {setting}: expected KEY=VALUE, for example --set executors=4")
    if steps[0] in RESERVED_VALUES:
        raise UsageError(f"--set {key}: value '{steps[0]}' is reserved")
    if len(steps) > MAX_DEPTH:
        raise UsageError(f"--set: nested deeper than {MAX_DEPTH} levels")
    documents, problems = parse(PlainText("--set", text))
    value = documents[0].value if documents else None
    if problems or len(documents) > 1 or isinstance(value, dict | list):
        raise UsageError(f"--set {key}: the value must be a YAML scalar; quote it")
    nested: Any = value
    for step in reversed(steps):
        nested = {step: nested}
    return Document(nested, Location(f"--set {key}"))
