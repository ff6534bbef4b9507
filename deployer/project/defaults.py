"""Merges the defaults of `deployer.yaml` into every manifest of their kind; the manifest takes precedence, and
null removes a default.

A default keeps its location in deployer.yaml, so that its problems are reported there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from deployer.kinds.kind import Kind
from deployer.model import Document, Location, Path, Places, Tables

_T = TypeVar("_T")


def default_layers(project: Document, target: str, kind: Kind) -> tuple[Document | None, Document | None]:
    """Return the defaults for `kind` of the project, and of the target; each is None without any."""
    return part(project, ("defaults", kind.name)), part(project, ("targets", target, "defaults", kind.name))


def stacked(layers: Iterable[Document | None], kind: Kind) -> Document | None:
    """Merge the defaults for `kind`, later ones over earlier ones; None without any."""
    found: Document | None = None
    for layer in layers:
        if layer:
            found = merged(layer, found, kind) if found else layer
    return found and replace(found, value=without_nulls(found.value))


def all_defaults(project: Document, kind: Kind) -> tuple[Mapping[str, Any], ...]:
    """Return the keys of the defaults for `kind` of the project and of all targets, as one mapping if there are any."""
    layers = (project.value, *(project.value.get("targets") or {}).values())
    return united(((layer or {}).get("defaults") or {}).get(kind.name) for layer in layers)


def united(layers: Iterable[Mapping[str, Any] | None]) -> tuple[Mapping[str, Any], ...]:
    """Return the keys of all layers as one mapping, if there are any."""
    union: dict[str, Any] = {}
    for layer in layers:
        _unite(union, layer or {})
    return (union,) if union else ()


def _unite(union: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Add the keys of `layer`, at any depth."""
    for key, item in layer.items():
        if not isinstance(item, Mapping):
            union.setdefault(key, item)
            continue
        if not isinstance(union.get(key), dict):
            union[key] = {}
        _unite(union[key], item)


def part(document: Document, path: Path) -> Document | None:
    """Return the part of a document at `path` as a document; None if it is missing or empty."""
    value = document.value
    for step in path:
        if not isinstance(value, Mapping) or not value.get(step):
            return None
        value = value[step]
    tables = Tables(_below(document.keys, path), _below(document.values, path))
    return Document(value, document.location(path), _below(document.texts, path), Places(tables))


def _below(locations: Mapping[Path, _T], path: Path) -> dict[Path, _T]:
    return {
        key_path[len(path) :]: location
        for key_path, location in locations.items()
        if key_path[: len(path)] == path
    }


def without_nulls(value: Any) -> Any:
    """Return mappings without null values, at any depth."""
    if not isinstance(value, Mapping):
        return value
    return {key: without_nulls(item) for key, item in value.items() if item is not None}


def merged(document: Document, default: Document, kind: Kind) -> Document:
    """Merge `document`, a manifest or a layer, over `default`: mappings are merged, lists replaced.

    In a spec the synonyms of a field count as one: a manifest's `cluster_name` overrides a default `queue`.
    """
    adopted: list[tuple[Path, Any]] = []
    value = _merged(document.value, default.value, kind, (), adopted)
    texts = document.texts
    if default.texts:
        texts = {**texts, **{path: default.texts[path] for path in _paths(adopted) if path in default.texts}}
    # Found when asked for, as those of a document are.
    places = Places(_Merged(document.places, default.places, tuple(adopted), document.start))
    return replace(document, value=value, texts=texts, places=places)


def without_removals(document: Document, layers: Iterable[Mapping[str, Any]], kind: Kind) -> Document:
    """Return `document` without the nulls that remove a default of one of the `layers`.

    A manifest applies to every target: its null is valid even if only another target has that default.
    """
    value = document.value
    for layer in layers:
        value = _without_removals(value, layer, kind, ())
    return document if value is document.value else replace(document, value=value)


def _without_removals(
    over: Mapping[str, Any], under: Mapping[str, Any], kind: Kind, path: Path
) -> dict[str, Any]:
    result = {}
    for key, item in over.items():
        names = kind.names_of(key) if path == ("spec",) else (key,)
        if item is None and any(name in under for name in names):
            continue
        below = under.get(key)
        if isinstance(item, Mapping) and isinstance(below, Mapping):
            item = _without_removals(item, below, kind, (*path, key))
        result[key] = item
    return result


def _merged(
    over: Mapping[str, Any],
    under: Mapping[str, Any],
    kind: Kind,
    path: Path,
    adopted: list[tuple[Path, Any]],
) -> dict[str, Any]:
    """Merge `over` over `under`; add to `adopted` the paths and values that come from `under`."""
    result = dict(over)
    for key, item in under.items():
        names = kind.names_of(key) if path == ("spec",) else (key,)
        written = next((name for name in names if name in over), None)
        if written is None:
            result[key] = item
            adopted.append(((*path, key), item))
        elif over[written] is None:
            del result[written]
        elif written == key and isinstance(item, Mapping) and isinstance(over[key], Mapping):
            result[key] = _merged(over[key], item, kind, (*path, key), adopted)
    return result


def _paths(adopted: Iterable[tuple[Path, Any]]) -> Iterator[Path]:
    """Yield the path of each value, and those of everything below it."""
    for path, item in adopted:
        yield path
        inner = (
            item.items() if isinstance(item, Mapping) else enumerate(item if isinstance(item, list) else ())
        )
        yield from _paths(((*path, step), value) for step, value in inner)


class _Merged(NamedTuple):
    """The locations of a merged document: those of `over`, and those of `under` for what was adopted from it."""

    over: Places
    under: Places
    adopted: Sequence[tuple[Path, Any]]
    start: Location

    def tables(self) -> Tables:
        over, under, via = self.over.tables, self.under.tables, self._via
        keys, values = dict(over.keys), dict(over.values)
        for path in _paths(self.adopted):
            for mine, theirs in ((keys, under.keys), (values, under.values)):
                if location := theirs.get(path):
                    mine[path] = location._replace(via=via)
        return Tables(keys, values, over.names, over.typed)

    def location(self, path: Path, *, of_key: bool) -> Location | None:
        if any(path[: len(prefix)] == prefix for prefix, _ in self.adopted):
            location = self.under.location(path, of_key=of_key)
            return location and location._replace(via=self._via)
        return self.over.location(path, of_key=of_key)

    @property
    def _via(self) -> tuple[str, ...]:
        return (f"default for the manifest at {self.start.file}:{self.start.line}", *self.start.via)
