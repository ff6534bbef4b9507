"""What the services return, compared with the response tables: unknown and missing fields, other types, unknown states.

`collect` sends a limited number of reads, and `compare` looks at their responses. No value leaves this module but as
`masking` shows it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.cloud.client import Client
from deployer.doctor.masking import code, private_values, shape, type_name, word
from deployer.doctor.services import Place
from deployer.errors import ApiError, NotSent, RequestFailed, ResponseLost, ResponseTimeout, UsageError
from deployer.kinds.kind import Kind, get_path, text
from deployer.kinds.tables import Row, json_type, load_table, operations
from deployer.model import Phase

MAX_REQUESTS = 60
MAX_SECONDS = 45.0
MAX_CLUSTERS = 3
MAX_DIFFERENCES = 200
MAX_SHAPES = 3
# Of each kind; a listing is one page.
_DETAILS = 2
_LARGE = 1000


@dataclass(frozen=True, slots=True)
class Sample:
    """One read: which operation of which kind, `what` it was sent for, and the response or the error.

    `place` tells the clusters of a kind apart. `asked` is the value that the read filters by.
    """

    kind: Kind
    operation: str
    what: str
    value: Any = None
    place: int = 0
    asked: str = ""
    status: int = 200
    code: str = ""
    problem: str = ""

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Returns the entries of a listing, or the one of a response about one job."""
        if self.operation == self.kind.listing.table:
            items = get_path(self.value, self.kind.listing.items)
            return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        if self.operation == self.kind.operations.get:
            entry = get_path(self.value, self.kind.entry) if self.kind.entry else self.value
            return [entry] if isinstance(entry, dict) else []
        return []

    @property
    def total(self) -> int | None:
        """Returns the total of a listing."""
        try:
            return int(get_path(self.value, self.kind.listing.total))
        except (TypeError, ValueError, OverflowError):
            return None


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A place where responses are not as the table says, seen `count` times in `of` places. All texts are masked."""

    operation: str
    path: str
    what: str
    expected: str
    seen: str
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was seen of an operation: responses, entries, and how many of the fields of its table."""

    operation: str
    responses: int
    entries: int
    fields_seen: int
    fields: int


@dataclass(slots=True)
class _Limits:
    now: Callable[[], float]
    end: float
    left: int = MAX_REQUESTS
    silent: set[str] = field(default_factory=set)


def collect(
    client: Client,
    places: Sequence[Place],
    silent: Collection[str] = (),
    *,
    now: Callable[[], float] = time.monotonic,
    requests: int = MAX_REQUESTS,
) -> list[Sample]:
    """Read a page of each listing, a few jobs of it, and the variants of it that answer a question.

    Nothing is sent to services that are `silent`.
    """
    limits = _Limits(now, now() + MAX_SECONDS, requests, {*silent})
    samples: list[Sample] = []
    numbers: Counter[str] = Counter()
    # Every listing first: variants are of no use without it.
    pages = []
    for place in places:
        numbers[place.kind.name] += 1
        number = numbers[place.kind.name]
        if number <= MAX_CLUSTERS:
            page = _read(client, limits, place, number, place.kind.listing.table, "page", _query(place.kind))
            samples.append(page)
            pages.append((place, number, page))
    for place, number, page in pages:
        if page.entries:
            samples += _of_jobs(client, limits, place, number, page)
    for place, number, page in pages:
        if page.entries and number == 1:
            samples += _variants(client, limits, place, number, page)
    return samples


def _of_jobs(client: Client, limits: _Limits, place: Place, number: int, page: Sample) -> Iterator[Sample]:
    """Yield reads of a few jobs, of different states where there are some."""
    kind = place.kind
    by_state: dict[str, str] = {}
    for entry in page.entries:
        identifier = text(entry.get(kind.listing.id))
        if identifier:
            by_state.setdefault(kind.observe(entry).state, identifier)
    chosen = [*by_state.values()][:_DETAILS]
    of_states = f"{kind.listing.table.rpartition('.')[0]}.state"
    named = [kind.operations.get, kind.operations.list_tags, of_states if of_states in operations() else ""]
    for operation in filter(None, named):
        for identifier in chosen if operation != of_states else chosen[:1]:
            yield _read(client, limits, place, number, operation, "job", identifier=identifier)


def _variants(client: Client, limits: _Limits, place: Place, number: int, page: Sample) -> Iterator[Sample]:
    """Yield other reads of a listing, whose differences from the page answer questions."""
    kind, listing = place.kind, place.kind.listing
    parameters = {row.name for row in load_table(listing.table).request}

    def read(what: str, asked: str = "", **query: str) -> Sample:
        return _read(client, limits, place, number, listing.table, what, _query(kind) | query, asked=asked)

    names = [text(entry.get(kind.name_field)) for entry in page.entries]
    name = next((name for name in names if 4 <= len(name) <= 50 and name[:-1] not in names), "")
    if listing.by_name and name:
        yield read("by name", name, **{listing.by_name: name})
        yield read("by part of a name", name[:-1], **{listing.by_name: name[:-1]})
    if (page.total or 0) > listing.size:
        yield read("large page", **{listing.limit: str(_LARGE)})
    if len(page.entries) >= 3:
        yield read("from the second", **{listing.limit: "2", listing.offset: str(listing.paging.value + 1)})
    if "CREATE_TIME_ASC" in _values_of(kind, "order"):
        yield read("oldest first", order="CREATE_TIME_ASC")
    times = sorted({time for entry in page.entries if isinstance(time := entry.get("create_time"), int)})
    if "start" in parameters and len(times) >= 2:
        yield read("since a time", str(times[-1]), start=str(times[-1]))


def _values_of(kind: Kind, parameter: str) -> Sequence[Any]:
    rows = load_table(kind.listing.table).request
    return next((row.limits.get("enum", ()) for row in rows if row.name == parameter), ())


def _query(kind: Kind) -> dict[str, str]:
    listing = kind.listing
    at = {listing.offset: str(listing.paging.value), listing.limit: str(listing.size)}
    return {**listing.only, **listing.query, **at}


def _read(
    client: Client,
    limits: _Limits,
    place: Place,
    number: int,
    operation: str,
    what: str,
    query: Mapping[str, str] | None = None,
    *,
    identifier: str = "",
    asked: str = "",
) -> Sample:
    def without(problem: str, status: int = 0, error_code: str = "") -> Sample:
        return Sample(place.kind, operation, what, None, number, asked, status, error_code, problem)

    service = place.kind.service
    if client.is_refused:
        return without("not sent: the credential has been refused")
    if service in limits.silent:
        return without(f"not sent: {service} does not answer")
    if limits.left <= 0 or limits.now() > limits.end:
        return without("not sent: the limit of requests or of time is reached")
    limits.left -= 1
    try:
        response = client.read(place.kind, operation, place.path_values, identifier=identifier, query=query)
    except ApiError as error:
        # An id that cannot be sent says nothing about the service.
        if isinstance(error, ResponseTimeout) or (isinstance(error, NotSent) and not identifier):
            limits.silent.add(service)
        return without(_problem(error), error.status, code(error.code))
    except UsageError:
        return without(f"not sent: the target has no endpoint of {service} that may be used")
    return Sample(place.kind, operation, what, response.value, number, asked)


def _problem(error: ApiError) -> str:
    """Return the type of an error: its message may name hosts, jobs and projects."""
    if isinstance(error, ResponseTimeout):
        return "no response in time"
    if isinstance(error, RequestFailed):
        return "refused"
    return "response unreadable" if isinstance(error, ResponseLost) else "not sent"


@dataclass(slots=True)
class _Tally:
    """What was seen at the paths of one operation."""

    private: frozenset[str]
    holders: Counter[str] = field(default_factory=Counter)
    fields: set[str] = field(default_factory=set)
    found: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    holder_of: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, holder: str, path: str, what: str, expected: str, seen: str) -> None:
        key = (path, what, expected)
        if key in self.found or len(self.found) < MAX_DIFFERENCES:
            shapes = self.found.setdefault(key, Counter())
            shapes[seen if seen in shapes or len(shapes) < MAX_SHAPES else "others"] += 1
            self.holder_of[key] = holder


def compare(samples: Sequence[Sample]) -> tuple[list[Difference], list[Coverage]]:
    """Compare the responses with the response tables of their operations."""
    differences: list[Difference] = []
    coverage: list[Coverage] = []
    answered = [sample for sample in samples if not sample.problem]
    private = private_values((sample.value for sample in answered), _state_fields(answered))
    for operation in sorted({sample.operation for sample in answered}):
        own = [sample for sample in answered if sample.operation == operation]
        tally = _Tally(private)
        rows = load_table(operation).response
        for sample in own:
            _walk(rows, sample.value, "", tally)
            _required(sample, tally)
            for entry in sample.entries:
                _state(sample.kind, entry, tally)
        for (path, what, expected), shapes in tally.found.items():
            seen = "; ".join(name for name, _ in shapes.most_common())
            of = tally.holders[tally.holder_of[path, what, expected]]
            differences.append(Difference(operation, path, what, expected, seen, shapes.total(), of))
        entries = sum(len(sample.entries) for sample in own)
        coverage.append(Coverage(operation, len(own), entries, len(tally.fields), _count(rows)))
    return sorted(differences), coverage


def _state_fields(samples: Sequence[Sample]) -> frozenset[str]:
    """Return the names of the fields whose words are the service's own: states, results and types."""
    named = {"state", "status", "job_state", "job_result", "job_type", "kind", "sc_type", "feature"}
    return frozenset(named) if samples else frozenset()


def _count(rows: Sequence[Row]) -> int:
    return sum(1 + _count(row.fields) for row in rows)


def _walk(rows: Sequence[Row], value: Any, path: str, tally: _Tally) -> None:
    """Compare a value with the rows of the object, or of the objects in a list, that it should be."""
    items = value if isinstance(value, list) else [value]
    known = {row.name: row for row in rows}
    for item in items:
        tally.holders[path] += 1
        if not isinstance(item, Mapping):
            tally.add(path, path or "(response)", "other type", "object", shape(item))
            continue
        for name, inner in item.items():
            row = known.get(name)
            if row is None:
                tally.add(path, f"{path}{word(name, tally.private)}", "unknown field", "", shape(inner))
                continue
            inside = f"{path}{name}"
            tally.fields.add(inside)
            if inner is None:
                continue
            if not fits(row, inner):
                tally.add(path, inside, "other type", row.type, shape(inner))
            elif row.fields:
                _walk(row.fields, inner, f"{inside}[]." if isinstance(inner, list) else f"{inside}.", tally)


def fits(row: Row, value: Any) -> bool:
    """Return whether a value has the type of its row."""
    schema = json_type(row.type)
    wanted, actual = schema["type"], type_name(value)
    if wanted == "array":
        items = schema.get("items", {}).get("type", "")
        return isinstance(value, list) and all(type_name(item) == items or item is None for item in value)
    return actual == wanted or (wanted == "number" and actual == "integer")


def _required(sample: Sample, tally: _Tally) -> None:
    """Note what is missing without which a response cannot be used."""
    kind, listing = sample.kind, sample.kind.listing
    if sample.operation == listing.table:
        for path in (listing.items, listing.total):
            if get_path(sample.value, path) is None:
                tally.add("", path, "missing", "required", "missing or null")
    for entry in sample.entries:
        path = _entry_path(sample)
        needed = (listing.id, kind.name_field if kind.named_in_listing else "")
        for name in filter(None, needed):
            if entry.get(name) in (None, ""):
                tally.add(path, f"{path}{name}", "missing", "required", "missing or empty")
        if not kind.observe(entry).state:
            tally.add(path, f"{path}(state)", "missing", "required", "missing or empty")


def _entry_path(sample: Sample) -> str:
    if sample.operation == sample.kind.listing.table:
        return f"{sample.kind.listing.items}[]."
    return f"{sample.kind.entry}." if sample.kind.entry else ""


def _state(kind: Kind, entry: Mapping[str, Any], tally: _Tally) -> None:
    """Note a state whose meaning is not known, and whose word is not in the table either."""
    live = kind.observe(entry)
    documented = {
        str(value).casefold() for name in ("state", "status", "job_state") for value in _values_of(kind, name)
    }
    if live.phase is not Phase.UNKNOWN or not live.state or live.state.strip().casefold() in documented:
        return
    shown = " ".join(word(part, tally.private) for part in live.state[:200].split(" ")[:3])
    path = f"{kind.listing.items}[]." if f"{kind.listing.items}[]." in tally.holders else f"{kind.entry}."
    tally.add(path, "(state)", "unknown state", "a known state", shown)
