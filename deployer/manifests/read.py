"""Files of a project -> Manifests: read, render, parse, and merge the defaults of the kind into each document.

A file with `forEach` is rendered once for each of its items. The value of that key is rendered first, as a
separate template, so the text of the file is split there before it is parsed.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from deployer.documents.budget import MAX_BESIDE, Budget
from deployer.documents.folder import Folder
from deployer.documents.parse import parse
from deployer.errors import Code, Problem, nearest
from deployer.kinds import KINDS
from deployer.model import Document, Location, Manifest
from deployer.project.defaults import merged, without_removals
from deployer.project.load import PROJECT_FILE, Project
from deployer.project.target import Target
from deployer.secrets.references import may_have_marks
from deployer.templates.sandbox import TEMPLATE, Sandbox, Task

if TYPE_CHECKING:
    from deployer.project.folders import Folders, FolderSettings

MAX_INSTANCES = 10_000

_FOR_EACH = re.compile(r"^(?:forEach|\"forEach\"|'forEach')[ \t]*:", re.MULTILINE)
# Lines that continue a key's value: indented lines, list items, and closing brackets.
_GOES_ON = re.compile(r"[ \t]+\S|-[ \t\r\n]|[\]}]|\{%[-+]?\s*end")
_MAY_GO_ON = re.compile(r"\s*(?:#|$)|\{[%#]")


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of a project, and all problems of their files."""

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was read. `head` is the text of its `forEach`, with the lines before it blank."""

    name: str
    text: str
    head: str = ""


def read(
    project: Project,
    target: Target,
    files: Sequence[str],
    values: Mapping[str, Any],
    budget: Budget | None = None,
    folders: Folders | None = None,
) -> Manifests:
    """Return all manifests in `files`. An invalid file or document does not affect the others.

    `folders` are those with values and defaults of their own; None if there are none. If all files together exceed the
    `budget` of the run, nothing is returned but the problems found so far.
    """
    budget = budget or Budget()
    budget.spend(Location(PROJECT_FILE), files=len(files))
    manifests: list[Manifest] = []
    defaults_of = _DefaultsOf(target, folders)
    overlays = folders.overlays if folders else ()
    with Sandbox(
        project.folder, values, frozenset(target.secrets), overlays=overlays, budget=budget
    ) as sandbox:
        readable, problems = _readable(project, files, sandbox)
        tasks, found = _tasks(sandbox, readable, budget, folders)
        problems += found
        for task, rendered in zip(tasks, sandbox.render(tasks), strict=True):
            if budget.exceeded:
                break
            if isinstance(rendered, tuple):
                problems += rendered
                budget.spend(rendered[0].location, problems=len(rendered))
                continue
            documents, found = parse(rendered, budget)
            problems += found
            if task.each is not None and len(documents) > 1:
                message = (
                    "a file with forEach must contain a single document; move the others to separate files"
                )
                problems.append(Problem(documents[1].start, message, Code.FOR_EACH))
                continue
            defaults = defaults_of.file(task.file)
            for document in documents:
                # A default is checked again in each manifest that it is merged into.
                budget.spend(document.start, values=defaults.sizes.get(_kind(document), 0))
                manifest = _manifest(document, defaults, task.file)
                if isinstance(manifest, Problem):
                    problems.append(manifest)
                else:
                    manifests.append(manifest)
    if budget.exceeded:
        return Manifests((), (budget.exceeded, *problems[:MAX_BESIDE]))
    return Manifests(tuple(manifests), tuple(problems))


class _Defaults(NamedTuple):
    """The defaults of a manifest as `Target` has them, and the number of values in each."""

    defaults: Mapping[str, Document]
    removable: Mapping[str, tuple[Mapping[str, Any], ...]]
    sizes: Mapping[str, int]


class _DefaultsOf:
    """The defaults for each file: of its folder, or else of the target."""

    def __init__(self, target: Target, folders: Folders | None) -> None:
        self._folders = folders
        self._of_target = _with_sizes(target)
        self._of_folder: dict[str, _Defaults] = {}

    def file(self, file: str) -> _Defaults:
        if not self._folders:
            return self._of_target
        folder = file.rpartition(os.sep)[0]
        if folder not in self._of_folder:
            own = self._folders.of(file)
            self._of_folder[folder] = _with_sizes(own) if own else self._of_target
        return self._of_folder[folder]


def _with_sizes(found: Target | FolderSettings) -> _Defaults:
    sizes = {kind: _size(default.value) for kind, default in found.defaults.items()}
    return _Defaults(found.defaults, found.removable, sizes)


def _readable(project: Project, files: Iterable[str], sandbox: Sandbox) -> tuple[list[_File], list[Problem]]:
    """Read the files. The renderer starts meanwhile if one of them has a template."""
    readable: list[_File] = []
    problems: list[Problem] = []
    with Folder(project.folder) as folder:
        for name in files:
            text = folder.read_text(name)
            if isinstance(text, Problem):
                problems.append(text)
                continue
            if TEMPLATE.search(text):
                sandbox.start()
            readable.append(_split(name, text))
    return readable, problems


def _kind(document: Document) -> str:
    """Return the kind that a document names; empty if it names none."""
    kind = document.value.get("kind") if isinstance(document.value, dict) else None
    return kind if isinstance(kind, str) else ""


def _size(value: Any) -> int:
    """Return the number of values in a value, itself included."""
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _split(name: str, text: str) -> _File:
    """Split a file into its `forEach` text and the rest; line numbers stay."""
    begin = _FOR_EACH.search(text)
    if not begin:
        return _File(name, text)
    end = text.find("\n", begin.start()) + 1 or len(text)
    at = end
    while at < len(text):
        line_end = text.find("\n", at) + 1 or len(text)
        if _GOES_ON.match(text, at, line_end):
            end = line_end
        elif not _MAY_GO_ON.match(text, at, line_end):
            break
        at = line_end
    before, head, after = text[: begin.start()], text[begin.start() : end], text[end:]
    return _File(name, before + "\n" * head.count("\n") + after, "\n" * before.count("\n") + head)


def _tasks(
    sandbox: Sandbox, files: Iterable[_File], budget: Budget, folders: Folders | None
) -> tuple[list[Task], list[Problem]]:
    """Return the render tasks: each file once, or once per item of its `forEach`; none beyond the budget."""
    tasks: list[Task] = []
    problems: list[Problem] = []
    files = list(files)
    overlays = {file.name: own.overlay for file in files if (own := folders.of(file.name))} if folders else {}
    heads = sandbox.render(
        [Task(file.name, file.head, overlay=overlays.get(file.name, 0)) for file in files if file.head]
    )
    for file in files:
        overlay = overlays.get(file.name, 0)
        if not file.head:
            tasks.append(Task(file.name, file.text, overlay=overlay))
            continue
        rendered = next(heads)
        documents, found = ([], rendered) if isinstance(rendered, tuple) else parse(rendered, budget)
        problems += found
        for document in documents:
            items = _items(document)
            if isinstance(items, Problem):
                problems.append(items)
                continue
            location = document.location(("forEach",), of_key=True)
            if budget.spend(location, instances=len(items)):
                return [], problems
            for item in items:
                via = f"instance {_describe_item(item)} of forEach at {location}"
                tasks.append(Task(file.name, file.text, {"each": item}, (via,), overlay))
    return tasks, problems


def _items(document: Document) -> list[Any] | Problem:
    """Return the items of a `forEach`: those of its list, or all combinations of its mapping."""
    value = document.value.get("forEach")
    location = document.location(("forEach",))
    if may_have_marks(value) and _has_parameter(value):
        message = "a parameter is not allowed in 'forEach', which says which jobs there are"
        return Problem(location, message, Code.PARAMETER_MISPLACED, rule="parameter-misplaced")
    if isinstance(value, list):
        items = value
    elif isinstance(value, dict) and value and all(isinstance(item, list) for item in value.values()):
        count = 1
        for item in value.values():
            count *= len(item)
        if count > MAX_INSTANCES:
            return _too_many(location, count)
        items = [dict(zip(value, row, strict=True)) for row in itertools.product(*value.values())]
    else:
        message = "'forEach' must be a list, or a mapping of lists (all combinations are used)"
        return Problem(location, message, Code.FOR_EACH)
    return items if len(items) <= MAX_INSTANCES else _too_many(location, len(items))


def _has_parameter(value: Any) -> bool:
    from deployer.parameters.references import has_mark  # on use: hardly any forEach has one

    return has_mark(value)


def _too_many(location: Location, count: int) -> Problem:
    return Problem(location, f"'forEach' creates {count} jobs; the maximum is {MAX_INSTANCES}", Code.FOR_EACH)


def _describe_item(item: Any) -> str:
    """Return an item in a few words, for messages."""
    pairs = item.items() if isinstance(item, dict) else [("each", item)]
    return ", ".join(_cut(f"{key} = {value}") for key, value in itertools.islice(pairs, 4))


def _cut(words: str) -> str:
    return words if len(words) <= 60 else f"{words[:57]}..."


def _manifest(document: Document, defaults: _Defaults, file: str) -> Manifest | Problem:
    value = document.value
    if not isinstance(value, dict):
        message = "expected a manifest: a mapping with apiVersion, kind, metadata and spec"
        return Problem(document.start, message, Code.NO_MANIFEST)
    kind = value.get("kind")
    if kind is None:
        message = f"missing required field 'kind'{nearest('', list(KINDS))}"
        return Problem(document.start, message, Code.MISSING_FIELD)
    if not isinstance(kind, str) or kind not in KINDS:
        message = f"unknown kind {kind!r}{nearest(str(kind), list(KINDS))}"
        return Problem(document.location(("kind",)), message, Code.UNKNOWN_KIND)
    if "forEach" in value:
        message = "'forEach' must start a line in a single-document file"
        return Problem(document.location(("forEach",), of_key=True), message, Code.FOR_EACH)
    if kind in defaults.defaults:
        document = merged(document, defaults.defaults[kind], KINDS[kind])
    document = without_removals(document, defaults.removable.get(kind, ()), KINDS[kind])
    return Manifest(document, kind, file)
