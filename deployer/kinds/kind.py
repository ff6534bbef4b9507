"""The description of a kind: data, and two small pure functions. `README.md` in this folder explains how to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from typing import Any

from deployer.kinds.coerce import ConversionError, by_normalized_name, normalized_name, shared, value_of
from deployer.kinds.tables import Row, Table, load_table
from deployer.model import LiveJob, Phase, Spec

Entry = Mapping[str, Any]
Align = Callable[[Any, Any], tuple[Any, Any]]

# The field of tags, where a kind has them.
TAGS = "tags"

_YEAR_10000 = 253_402_300_800_000


class Nature(Enum):
    """The lifecycle of a kind: run once on creation, or a definition that is started and stopped."""

    RUN_ONCE = "run once"
    DEFINITION = "definition"


class Paging(Enum):
    """The unit of a listing's offset."""

    RECORD = 0  # records to skip, from 0
    PAGE = 1  # pages, from 1


@dataclass(frozen=True, slots=True)
class Listing:
    """The list operation of a kind: `items` and `total` are dotted paths into the response.

    `id` is the field that identifies an entry. `query` is always sent, and so is `only`: an entry with other
    values is not of this kind. `by_name` and `by_place` are the filter parameters, empty if the API has none,
    and `active` are queries that together find every active job: with them a long listing need not be read
    completely. Filters may be fuzzy, so their results are filtered again.
    """

    table: str
    items: str
    total: str
    paging: Paging
    offset: str
    limit: str
    id: str
    query: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, str] = field(default_factory=dict)
    by_name: str = ""
    by_place: str = ""
    active: tuple[Mapping[str, str], ...] = ()
    size: int = 100


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of a kind, by the names of their tables; all but `create` are empty if the API has none.

    `get` returns the entry of one job, `log` lines of its log. `start` runs a draft of `create`. `cancel` ends a
    submitted run, `stop` the run of a definition, which `update` changes and `delete` removes. Entries have no
    tags: `list_tags` returns them.
    """

    create: str
    get: str = ""
    log: str = ""
    start: str = ""
    cancel: str = ""
    stop: str = ""
    update: str = ""
    delete: str = ""
    list_tags: str = ""
    add_tags: str = ""
    remove_tags: str = ""


def expect_as_sent(spec: Spec) -> Spec:
    """Return the spec unchanged: the `expect` of a kind whose listing has the format of the request."""
    return spec


def fills_nothing(_: Spec) -> Mapping[str, Sequence[Any]]:
    """Return no values: the `fills` of a kind for which no value is known."""
    return {}


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    The rows of the create operation's table are the fields of `spec`. `place` is the spec field that is part of
    the job's identity, empty if none is. `id` is a dotted path into the response to create, and `accepted` the
    other values that this response must have. `entry` is the dotted path of the entry in the response to get,
    empty if it is the whole response. `deciding` are the fields that decide what runs, most important first, as
    patterns of JSON Pointers: reports show them before the others. `align` has, for fields that a listing returns in a
    lossy format, how the live and the desired value are compared. `fills` returns, for a live spec, what the service
    is known to fill in for fields that a request leaves out.
    """

    name: str
    title: str
    nature: Nature
    service: str
    operations: Operations
    name_field: str
    place: str
    id: str
    listing: Listing
    observe: Callable[[Entry], LiveJob]
    expect: Callable[[Spec], Spec] = expect_as_sent
    align: Mapping[str, Align] = field(default_factory=dict)
    fills: Callable[[Spec], Mapping[str, Sequence[Any]]] = fills_nothing
    accepted: Mapping[str, str] = field(default_factory=dict)
    entry: str = ""
    ownership_field: str = ""
    starting: frozenset[str] = frozenset()
    deciding: tuple[str, ...] = ()
    named_in_listing: bool = True

    @property
    def noun(self) -> str:
        """The word for one of its live jobs: a run, or the job itself."""
        return "run" if self.nature is Nature.RUN_ONCE else "job"

    @cached_property
    def create(self) -> Table:
        """The table of the operation that creates a job."""
        return load_table(self.operations.create)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows of `spec`, without the name, which is in the manifest's metadata."""
        return tuple(row for row in self.create.spec_rows() if row.name != self.name_field)

    @cached_property
    def name_row(self) -> Row:
        return next(row for row in self.create.request if row.name == self.name_field)

    @cached_property
    def path_fields(self) -> tuple[str, ...]:
        """The spec fields that are part of the URL."""
        return tuple(row.name for row in self.rows if row.location == "path")

    @cached_property
    def place_fields(self) -> tuple[str, ...]:
        """The spec fields that may name the queue or cluster, synonyms included."""
        return tuple(row.name for row in self.rows if self.place and self.place in (row.name, row.same_as))

    @cached_property
    def spellings(self) -> Mapping[str, Row]:
        """The row of each field name that a spec can have, deprecated names included."""
        return {name: row for row in self.rows for name in (row.name, *row.aliases)}

    @cached_property
    def older_names(self) -> Mapping[str, Row]:
        """The row of each deprecated name, in the table's order."""
        return {alias: row for row in self.rows for alias in row.aliases}

    @cached_property
    def text_maps(self) -> frozenset[str]:
        """The names of the fields that are maps of strings, deprecated names included."""
        return frozenset(name for name, row in self.spellings.items() if row.text_map)

    def names_of(self, name: str) -> tuple[str, ...]:
        """Return all names of a field: its deprecated names and its synonym."""
        return self._names.get(name, (name,))

    @cached_property
    def _names(self) -> Mapping[str, tuple[str, ...]]:
        groups: dict[str, list[str]] = {}
        for row in self.rows:
            groups.setdefault(row.same_as or row.name, []).extend((row.name, *row.aliases))
        return {name: tuple(names) for names in groups.values() for name in names}

    def in_reference_spelling(self, spec: Spec) -> dict[str, Any]:
        """Replace each alias by the reference's name, in the table's order; 2.0 is sent as 2."""
        named = {
            self._reference_names.get(key, key): (
                int(value) if isinstance(value, float) and value.is_integer() else value
            )
            for key, value in spec.items()
        }
        ordered = {name: named[name] for name in self._order if name in named}
        # A field without a row is a waived unknown field: it is sent unchanged.
        return ordered if len(ordered) == len(named) else ordered | named

    @cached_property
    def _order(self) -> tuple[str, ...]:
        return tuple(row.name for row in self.rows)

    @cached_property
    def _reference_names(self) -> Mapping[str, str]:
        return {name: row.name for name, row in self.spellings.items()}

    def body(self, name: str, spec: Spec) -> dict[str, Any]:
        """Return the request body that creates the job."""
        in_body = {key: value for key, value in spec.items() if key not in self.path_fields}
        return {self.name_field: name} | in_body

    def path_values(self, spec: Spec) -> dict[str, str]:
        """Return the parts of the URL that the spec fills in."""
        return {name: spec[name] for name in self.path_fields}


def may_be_unnamed(kind: Kind, live: LiveJob) -> bool:
    """Return whether a live job has no name because its entry does not show it."""
    return not live.identity.name and (not kind.named_in_listing or kind.name_field in live.unobserved)


def get_path(value: Any, path: str) -> Any:
    """Return the value at a dotted path of mappings; None if there is no value."""
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


@dataclass(frozen=True, slots=True)
class _Column:
    """A row as it is looked for in an entry: the dotted path of what holds it, and its normalized names there."""

    row: Row
    holder: str
    names: tuple[str, ...]
    has_synonym: bool


@cache
def _columns(rows: tuple[Row, ...]) -> tuple[_Column, ...]:
    """Return the columns of the rows that are listed."""
    synonyms = {row.same_as for row in rows}
    columns = []
    for row in rows:
        if row.listed is not None:
            holder, _, leaf = row.listed.rpartition(".")
            names = tuple({normalized_name(name): None for name in (leaf, row.name, *row.aliases)})
            columns.append(_Column(row, holder, names, row.name in synonyms))
    return tuple(columns)


def read_back(
    rows: tuple[Row, ...], entry: Entry, *, whole: bool
) -> tuple[dict[str, Any] | None, frozenset[str]]:
    """Return the spec that a listing entry shows, in any spelling, and the fields that it does not show.

    With `whole` the entry has the complete request, so that a missing field is an unset one. The spec is None
    and cannot be compared if a value does not match the type of its row, or if such an entry has no value for
    a required field.
    """
    spec: dict[str, Any] = {}
    unobserved = {row.name for row in rows if row.listed is None}
    holders: dict[str, Mapping[str, Any] | None] = {}
    for column in _columns(rows):
        row, path = column.row, column.holder
        if path not in holders:
            holder = get_path(entry, path) if path else entry
            holders[path] = by_normalized_name(holder) if isinstance(holder, Mapping) else None
        held = holders[path]
        if held is None:
            unobserved.add(row.name)
            continue
        given, is_found = None, False
        for name in column.names:
            if given is None and name in held:
                given, is_found = held[name], True
        try:
            value = None if given is None else value_of(row, given)
        except ConversionError:
            return None, frozenset()
        if value is not None:
            spec[row.name] = value
        is_missing = row.required and value in (None, "")
        if is_missing and whole and not column.has_synonym:
            return None, frozenset()
        if not whole and (is_missing or not is_found):
            unobserved.add(row.name)
    return spec, shared(frozenset(unobserved))


def phase_of(states: Mapping[str, Phase], state: Any) -> Phase:
    """Return the phase of a state, ignoring case; UNKNOWN for an unknown state."""
    return states.get(str(state).strip().casefold(), Phase.UNKNOWN)


def milliseconds(value: Any) -> int:
    """Return a time of an entry, which may be a string; 0 if it is missing or out of range."""
    try:
        time = int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0
    return time if 0 <= time < _YEAR_10000 else 0


def text(value: Any) -> str:
    """Return a name or id of an entry as a string; null is empty."""
    return "" if value is None else str(value)
