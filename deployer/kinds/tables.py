"""Parameter tables: the request and response of an API operation, one row per parameter.

A table is a YAML file in `schemas/tables/`, named after its operation (`dli.batches.create.yaml`)::

    operation: dli.batches.create
    call: POST /v2.0/{project_id}/batches
    title: Creating a batch processing job     # of the vendor's page about it
    page: "000"                   # which of the pages it was first read from
    edition: D18                  # the edition of that page
    editions:                     # the sources of the rows of other editions, a sentence each
      D21: The reference of 2021 added them.
    bodiless: true                # a successful response may have no body; default false
    request:
      - name: className           # as the API spells it
        type: String              # as the page prints it; JSON_TYPES maps it
        required: false           # default false
        since: D18                # the edition that introduced it
        description: Main class of the program.
        page: {required: true}    # what the page prints where it is wrong
        reasons: {required: A .py program has no main class.}
    response:
      - ...

Other columns of a row: the limits `default enum minLength maxLength minimum maximum excluded
pattern` (excluded: single values inside the range that are not allowed); `example`; `deprecated` (true);
`fields` (rows of an object, or of the objects in an array); and how the parameter behaves:

=========== ==========================================================================================
in          `body` (default), `path` (a spec field, part of the URL) or `target` (not in a manifest)
aliases     deprecated names that a manifest can use; sent under `name`
sameAs      another official name of the field: sent unchanged, compared as that field;
            exactly one of the two is set
listed      its dotted path in a listing entry, or false when it is not read back
filled      the service may fill it in, or add keys to it: unset values are not compared
memory      a string with a memory size, compared as such; in gigabytes without a unit
unordered   the order of the list is not significant
sensitive   true, or for a map the key patterns whose values are secret
hot         can be updated while the job runs
=========== ==========================================================================================

Each key of `page`, and each of the columns of a parameter's behaviour, has its reason in `reasons`. The
keys of `page` are `type`, `required`, `fields` and the limits, its values what the page prints, null for
nothing (`fields: null`: the page has no table of the fields). `reasons` may also explain under `since` why
a row is not on the page of its own edition. `deployer schema check --against PAGE` compares both with the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

# libyaml if available: the pure Python loader is ten times slower.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

LIMITS = ("enum", "minLength", "maxLength", "minimum", "maximum", "pattern", "default")
PAGE_COLUMNS = ("type", "required", "fields", "excluded", *LIMITS)
BEHAVIOUR = ("aliases", "sameAs", "listed", "filled", "memory", "unordered", "sensitive", "hot", "in")

_TEXT_LIST = {"type": "array", "items": {"type": "string"}}
_OBJECT_LIST = {"type": "array", "items": {"type": "object"}}
_TEXT_MAP = {"type": "object", "additionalProperties": {"type": "string"}}

# The types as the pages print them, case-folded.
JSON_TYPES: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "字符串": {"type": "string"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "long": {"type": "integer"},
    "timestamp": {"type": "integer"},
    "double": {"type": "number"},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "bool": {"type": "boolean"},
    "list of string": _TEXT_LIST,
    "list of strings": _TEXT_LIST,
    "array of string": _TEXT_LIST,
    "array of strings": _TEXT_LIST,
    "array": _TEXT_LIST,
    "[long]": {"type": "array", "items": {"type": "integer"}},
    "array of long": {"type": "array", "items": {"type": "integer"}},
    "list of json": _OBJECT_LIST,
    "array of objects": _OBJECT_LIST,
    "object": {"type": "object"},
    "map of key=val": _TEXT_MAP,
    "map<string,string>": _TEXT_MAP,
}


class TableError(ValueError):
    """A parameter table that violates the format in the module docstring; a defect of the package."""


@cache
def json_type(printed: str) -> Mapping[str, Any]:
    """Return the JSON Schema of a type as a page prints it; `JobSubmitResult object` is an Object."""
    text = " ".join(printed.split()).casefold().replace(", ", ",")
    if text.endswith(" object"):
        text = "object"
    elif text.startswith("array of ") and text.endswith(" objects"):
        text = "array of objects"
    try:
        return JSON_TYPES[text]
    except KeyError:
        raise TableError(f"unknown printed type {printed!r}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One parameter. Columns as in the module docstring; `listed` is None when it is not read back.

    A row is equal to itself only, so that what follows from the rows of a table can be cached by them.
    """

    name: str
    type: str
    description: str
    since: str
    required: bool = False
    location: str = "body"
    fields: tuple[Row, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    excluded: tuple[Any, ...] = ()
    example: Any = None
    deprecated: bool = False
    aliases: tuple[str, ...] = ()
    same_as: str | None = None
    listed: str | None = None
    filled: bool = False
    memory: bool = False
    unordered: bool = False
    sensitive: bool | tuple[str, ...] = False
    hot: bool = False
    page: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def default(self) -> Any:
        """The documented default of the service, or None."""
        return self.limits.get("default")

    @property
    def text_map(self) -> bool:
        """Whether this is a map of strings, in which an unquoted scalar is taken as it is written."""
        return json_type(self.type) is _TEXT_MAP


@dataclass(frozen=True, slots=True)
class Table:
    """One API operation: `call` is `METHOD /path` with `{placeholders}`.

    `edition` is that of the page, and `editions` are the sources of the rows of other editions.
    """

    operation: str
    call: str
    title: str
    page: str | None
    request: tuple[Row, ...]
    response: tuple[Row, ...]
    edition: str | None = None
    editions: Mapping[str, str] = field(default_factory=dict)
    bodiless: bool = False

    @property
    def placeholders(self) -> tuple[Row, ...]:
        """The request rows in the path of the URL."""
        return tuple(row for row in self.request if f"{{{row.name}}}" in self.call)

    def spec_rows(self) -> Iterator[Row]:
        """Yield the request rows of a manifest's spec, without path parameters from the target."""
        return (row for row in self.request if row.location != "target")

    def all_rows(self) -> Iterator[Row]:
        """Yield every row, those of fields included."""
        pending = [*self.request, *self.response]
        while pending:
            row = pending.pop()
            yield row
            pending += row.fields


_YAML_TO_ROW = {"in": "location", "sameAs": "same_as"}
_ROW_COLUMNS = {f.name for f in fields(Row)} | {"in", "sameAs", *LIMITS} - {"location", "same_as", "limits"}


def parse_row(raw: Mapping[str, Any], where: str) -> Row:
    """Read a row. Raises TableError for an unknown column, or for a missing reason."""
    where = f"{where}: {raw.get('name', '?')}"
    if unknown := set(raw) - _ROW_COLUMNS:
        raise TableError(f"{where}: unknown columns {sorted(unknown)}")
    if unknown := set(raw.get("page", {})) - set(PAGE_COLUMNS):
        raise TableError(f"{where}: unknown page columns {sorted(unknown)}")
    reasons = raw.get("reasons", {})
    unexplained = {*raw.get("page", {}), *(set(raw) & set(BEHAVIOUR))} - set(reasons)
    if unexplained:
        raise TableError(f"{where}: missing reasons for {sorted(unexplained)}")
    listed = raw.get("listed", raw["name"])
    sensitive = raw.get("sensitive", False)
    columns = {_YAML_TO_ROW.get(key, key): value for key, value in raw.items() if key not in LIMITS}
    columns |= {
        "limits": {key: raw[key] for key in LIMITS if key in raw},
        "fields": tuple(parse_row(child, where) for child in raw.get("fields", ())),
        "excluded": tuple(raw.get("excluded", ())),
        "aliases": tuple(raw.get("aliases", ())),
        "listed": listed or None,
        "sensitive": tuple(sensitive) if isinstance(sensitive, list) else sensitive,
    }
    row = Row(**columns)
    json_type(row.type)
    return row


_TABLE_KEYS = {f.name for f in fields(Table)}


def parse_table(raw: Mapping[str, Any]) -> Table:
    """Read a table. Raises TableError for an unknown key, or for a row of an unknown edition."""
    operation = raw["operation"]
    if unknown := set(raw) - _TABLE_KEYS:
        raise TableError(f"{operation}: unknown keys {sorted(unknown)}")
    table = Table(
        operation=operation,
        call=raw["call"],
        title=raw.get("title", ""),
        page=raw.get("page"),
        request=tuple(parse_row(row, operation) for row in raw.get("request", ())),
        response=tuple(parse_row(row, operation) for row in raw.get("response", ())),
        edition=raw.get("edition"),
        editions=raw.get("editions", {}),
        bodiless=raw.get("bodiless", False),
    )
    known = {table.edition, *table.editions}
    if table.edition and (unknown := {row.since for row in table.all_rows()} - known):
        raise TableError(f"{operation}: unknown editions {', '.join(sorted(unknown))}")
    return table


def schema_folder() -> Path:
    """Return the folder of tables and generated schemas, in a wheel or an editable install."""
    # Not importlib.resources, which takes long to import.
    return Path(import_module("deployer_schemas").__path__[0])


def load_data(name: str) -> Any:
    """Load a YAML file of the folder; raises FileNotFoundError."""
    return load_yaml((schema_folder() / name).read_text(encoding="utf-8"))


def load_yaml(text: str) -> Any:
    """Load YAML that is part of the package; the files of a project are read by `documents.parse`."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader


@cache
def load_table(operation: str) -> Table:
    """Load the table of `operation`; raises TableError when it is missing or malformed."""
    file = schema_folder() / "tables" / f"{operation}.yaml"
    try:
        raw = load_yaml(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TableError(f"parameter table {operation}.yaml not found") from None
    return parse_table(raw)


def operations() -> tuple[str, ...]:
    """Return the operations that have a table, sorted."""
    files = (file.name for file in (schema_folder() / "tables").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml")))
