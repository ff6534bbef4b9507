"""Listings -> LiveJobs, for the jobs to plan."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.cloud.client import Client
from deployer.cloud.page import Page
from deployer.cloud.paging import entries_of
from deployer.cloud.parallel import in_parallel
from deployer.errors import ApiError, NotSent, RequestFailed, ResponseTimeout
from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS, Entry, Kind, get_path, may_be_unnamed, text
from deployer.kinds.ownership import Owner, extract_ownership, is_owned, ownership_filter
from deployer.kinds.tables import Row, load_table
from deployer.model import Identity, Job, Live, LiveJob

# The filter by tag may be ignored: then the tags of so many jobs are read one by one, and of more of them none.
_MAX_UNFILTERED = 200

# Names that a filter is certain to match. Its treatment of other characters is not documented.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def observe(client: Client, jobs: Iterable[Job], owner: Owner | None = None) -> Live:
    """Read every listing that one of `jobs` needs, once. A failed listing does not stop the others.

    Kinds with ownership tags are also searched for jobs of `owner` if none of `jobs` is of the kind.
    """
    read_at = time.monotonic()
    sharing = sorted(by_listing(jobs).items())
    silent = SilentServices()
    readings: dict[int, _Reading | ApiError] = {}
    for numbers in rounds([KINDS[kind] for (kind, *_), _ in sharing]):
        read = in_parallel(lambda number: _read(client, sharing[number][1], owner, silent), numbers)
        readings |= zip(numbers, read, strict=True)
    found: list[LiveJob] = []
    failures: dict[Identity, str] = {}
    unknown: dict[str, set[str]] = defaultdict(set)
    asked_by_name: dict[tuple[str, str], int] = {}
    notes: dict[Identity, str] = {}
    without_owners: set[str] = set()
    for number, (_, together) in enumerate(sharing):
        reading = readings[number]
        if isinstance(reading, ApiError):
            failures |= dict.fromkeys((job.identity for job in together), str(reading))
            continue
        kind = KINDS[together[0].kind]
        found += reading.live
        notes |= reading.notes
        without_owners |= set() if reading.knows_owners else {kind.name}
        unknown[kind.name] |= reading.unknown
        if reading.in_all is not None:
            asked_by_name[kind.name, "".join(kind.path_values(together[0].spec).values())] = reading.in_all
    if owner:
        left = {*KINDS} - {name for (name, *_), _ in sharing}
        orphans, unread = _orphans(
            client, [KINDS[name] for name in left if not silent.error(KINDS[name])], owner
        )
        found += orphans
        without_owners |= {*unread}
    named = {name: tuple(sorted(fields)) for name, fields in unknown.items() if fields}
    return Live(
        tuple(found),
        failures,
        named,
        client.server_time,
        asked_by_name,
        notes,
        read_at,
        frozenset(without_owners),
    )


def rounds(kinds: Sequence[Kind]) -> Iterator[list[int]]:
    """Yield the numbers of the listings to read at the same time, given by their kinds.

    The first one shows whether the credential is accepted, and the first of each service whether that answers.
    """
    first = {kind.service: number for number, kind in reversed([*enumerate(kinds)])}
    firsts = sorted(first.values())
    yield from filter(None, (firsts[:1], firsts[1:], [n for n in range(len(kinds)) if n not in firsts]))


class SilentServices:
    """The services that did not answer: waiting for each of their listings would take minutes."""

    def __init__(self) -> None:
        self._errors: dict[str, ApiError] = {}

    def add(self, kind: Kind, error: ApiError) -> None:
        if isinstance(error, NotSent | ResponseTimeout):
            self._errors[kind.service] = error

    def error(self, kind: Kind) -> ApiError | None:
        return self._errors.get(kind.service)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one listing shows. `in_all` is its total if only a part was read, `unknown` are names of fields.

    `knows_owners`: whether it is known which other jobs the project has deployed.
    """

    live: Sequence[LiveJob]
    notes: Mapping[Identity, str]
    unknown: frozenset[str]
    in_all: int | None
    knows_owners: bool = True


def _read(
    client: Client, jobs: Sequence[Job], owner: Owner | None, silent: SilentServices
) -> _Reading | ApiError:
    """Read the listing that `jobs` share."""
    kind = KINDS[jobs[0].kind]
    if error := silent.error(kind):
        return error
    try:
        listed = _read_listing(client, kind, jobs)
    except ApiError as error:
        silent.add(kind, error)
        return error
    known = _known_fields(kind)
    unknown = frozenset(name for entry in listed.entries if known for name in _unknown_fields(known, entry))
    live = _live_jobs(kind, _released(listed.entries), jobs[0])
    wanted = {job.identity for job in jobs}
    others = _maybe_owned(client, kind, owner, live, wanted) if owner else set[Identity]()
    live, errors = read_tags(client, kind, live, wanted | (others or set()))
    notes = {job: f"cannot read tags; tags are not compared: {error}" for job, error in errors.items()}
    return _Reading(live, notes, unknown, listed.in_all, knows_owners=others is not None)


def _released(entries: list[Entry]) -> Iterator[Entry]:
    """Yield the entries in their order, and keep none of them: the live jobs take as much memory again."""
    entries.reverse()
    while entries:
        yield entries.pop()


def by_listing(jobs: Iterable[Job]) -> dict[tuple[str, ...], list[Job]]:
    """Group jobs by the listing that shows them: an MRS job's is that of its cluster, the others' of their kind."""
    sharing: dict[tuple[str, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        sharing[(job.kind, *KINDS[job.kind].path_values(job.spec).values())].append(job)
    return sharing


def read_whole(client: Client, jobs: Sequence[Job]) -> tuple[list[LiveJob], int] | None:
    """Return all live jobs in the listing that `jobs` share, and the number of its pages. Raises ApiError.

    Without the tags that have an API of their own. None if it takes fewer requests to look up each job by its name.
    """
    kind = KINDS[jobs[0].kind]
    path_values = kind.path_values(jobs[0].spec)
    first = client.first_page(kind, path_values, {})
    if first.more >= len(jobs) and all(map(can_be_looked_up, jobs)):
        return None
    return _live_jobs(kind, client.entries(kind, path_values, first=first), jobs[0]), 1 + first.more


def list_all(client: Client, kind: Kind, path_values: Mapping[str, str]) -> list[LiveJob]:
    """Return all live jobs in one listing, without the tags that have an API of their own. Raises ApiError."""
    live = _live(kind, _released(client.entries(kind, path_values)))
    # An entry does not repeat the value in its URL.
    return [
        replace(job, identity=job.identity._replace(place=place))
        for job in live
        for place in [path_values.get(kind.place, job.identity.place)]
    ]


def list_same_names(client: Client, jobs: Iterable[Job], ids: Container[str] = ()) -> list[LiveJob]:
    """Read every listing that shows one of `jobs`, once, and return the live jobs that may be one of them.

    Those with `ids` are returned whatever their name. Without the tags that have an API of their own. Raises ApiError.
    """
    found: list[LiveJob] = []
    for together in by_listing(jobs).values():
        kind = KINDS[together[0].kind]
        names = {"", *(job.name for job in together)}
        live = _live_jobs(kind, _read_listing(client, kind, together).entries, together[0])
        found += [live_job for live_job in live if live_job.identity.name in names or live_job.id in ids]
    return found


def list_candidates(client: Client, job: Job, *, with_tags: bool = True) -> list[LiveJob]:
    """Return the live jobs that may be `job`, in any place: those with its name. Raises ApiError.

    Takes one request if the listing can be filtered by name, and one more for each job with its own tags.
    """
    kind = KINDS[job.kind]
    path_values, filters = kind.path_values(job.spec), _filters(kind, job)
    try:
        entries = client.entries(kind, path_values, filters)
    except RequestFailed as error:
        if not filters or error.status != 400:
            raise
        entries = client.entries(kind, path_values)
    live = [
        live_job
        for live_job in _live_jobs(kind, entries, job)
        if live_job.identity.name == job.name or may_be_unnamed(kind, live_job)
    ]
    return read_tags(client, kind, live, {job.identity})[0] if with_tags else live


def names_in_use(client: Client, kind: Kind, name: str) -> set[str]:
    """Return the ids of the jobs with a name, in a service that allows each name once: of all its kinds.

    Raises ApiError.
    """
    listing = kind.listing
    first = {listing.offset: str(listing.paging.value), listing.limit: str(listing.size)}
    response = client.read(kind, listing.table, {}, query={listing.by_name: name, **first})
    entries = entries_of(get_path(response.value, listing.items)) or []
    # A filter may match loosely.
    return {
        text(entry.get(listing.id))
        for entry in entries
        if isinstance(entry, Mapping) and kind.observe(entry).identity.name == name
    }


def can_be_looked_up(job: Job) -> bool:
    """Return whether one request with the name of a job lists what may be it."""
    return bool(KINDS[job.kind].listing.by_name and _PLAIN_NAME.fullmatch(job.name))


def _filters(kind: Kind, job: Job) -> dict[str, str]:
    """Return filters that leave little more than `job` in its listing."""
    if can_be_looked_up(job):
        return {kind.listing.by_name: job.name}
    # A job that moved has another place: if the listing has names, the name is looked up everywhere.
    by_place = kind.listing.by_place if not kind.named_in_listing else ""
    return {by_place: job.identity.place} if by_place else {}


@dataclass(frozen=True, slots=True)
class _ListingResult:
    """The entries read from a listing: all, or the relevant ones out of `in_all`."""

    entries: list[Entry]
    in_all: int | None = None


def _read_listing(client: Client, kind: Kind, jobs: Sequence[Job]) -> _ListingResult:
    """Read the listing that `jobs` share; a long one filtered by their names and for active jobs."""
    path_values = kind.path_values(jobs[0].spec)
    names = sorted({job.name for job in jobs})
    first = client.first_page(kind, path_values, {})
    if _is_cheaper_by_name(kind, names, first):
        try:
            entries = _by_name(client, kind, path_values, names, first)
        except RequestFailed as error:
            if error.status != 400:
                raise
            entries = None
        if entries is not None:
            return _ListingResult(entries, first.total)
    return _ListingResult(client.entries(kind, path_values, first=first))


def _is_cheaper_by_name(kind: Kind, names: Sequence[str], first: Page) -> bool:
    listing = kind.listing
    if not listing.by_name or not listing.active or not all(map(_PLAIN_NAME.fullmatch, names)):
        return False
    return len(names) + len(listing.active) < first.more


def _by_name(
    client: Client, kind: Kind, path_values: Mapping[str, str], names: Sequence[str], first: Page
) -> list[Entry] | None:
    """Read the first page, all `names` and all active jobs; None if filters are not supported."""
    listing = kind.listing
    probe = client.first_page(kind, path_values, {listing.by_name: names[0]})
    if probe.total >= first.total:
        return None

    def named(name: str) -> list[Entry]:
        page = probe if name == names[0] else None
        entries = client.entries(kind, path_values, {listing.by_name: name}, first=page)
        return [entry for entry in entries if kind.observe(entry).identity.name == name]

    def active(state: Mapping[str, str]) -> list[Entry]:
        return client.entries(kind, path_values, state)

    found = [list(first.entries), *in_parallel(active, listing.active), *in_parallel(named, names)]
    # The latest read wins: a job may have ended in between.
    by_id = {text(entry.get(listing.id)) or str(id(entry)): entry for entries in found for entry in entries}
    return list(by_id.values())


def _maybe_owned(
    client: Client, kind: Kind, owner: Owner, live: Sequence[LiveJob], wanted: set[Identity]
) -> set[Identity] | None:
    """Return other jobs that may belong to the owner, by a tag that only a filter reveals; None if that is not known.

    A service that ignores the filter returns all jobs, as one does whose jobs are all the owner's.
    """
    query = ownership_filter(kind, owner)
    others = {job.identity for job in live if TAGS in job.unobserved} - wanted
    if not query or not kind.operations.list_tags or not others:
        return set()
    try:
        named = {kind.observe(entry).identity for entry in client.entries(kind, {}, query)}
    except ApiError:
        return None
    is_filtered = len(named) < len({job.identity for job in live})
    found = named & others if is_filtered else others
    return found if is_filtered or len(found) <= _MAX_UNFILTERED else None


def _orphans(client: Client, kinds: Iterable[Kind], owner: Owner) -> tuple[list[LiveJob], list[str]]:
    """Return the owner's live jobs of kinds without manifests, without tags only active ones.

    Returns the kinds as well of which they are not known.
    """
    found: list[LiveJob] = []
    unknown: list[str] = []
    for kind in kinds:
        query = ownership_filter(kind, owner)
        filters = [query] if query else kind.listing.active if kind.ownership_field else ()
        try:
            entries = [entry for only in filters for entry in client.entries(kind, {}, only)]
        except ApiError:
            unknown.append(kind.name)
            continue
        live = _live(kind, entries)
        if query and len(live) > _MAX_UNFILTERED:
            unknown.append(kind.name)
            continue
        found += read_tags(client, kind, live, {job.identity for job in live})[0]
    # A job whose state changes between these requests is still one job.
    return list({job.id: job for job in found if is_owned(job, owner)}.values()), unknown


def read_tags(
    client: Client, kind: Kind, live: Sequence[LiveJob], wanted: set[Identity]
) -> tuple[list[LiveJob], dict[Identity, ApiError]]:
    """Return the jobs with the tags from their own API, and an error for each whose tags cannot be read."""
    silent: list[ApiError] = []

    def tagged(job: LiveJob) -> LiveJob | ApiError:
        try:
            if silent:
                raise silent[0]
            tags = client.tags(kind, job.id)
        except ApiError as error:
            if isinstance(error, NotSent | ResponseTimeout):
                silent.append(error)
            return error
        with_tags = replace(job, spec={**(job.spec or {}), TAGS: tags}, unobserved=job.unobserved - {TAGS})
        return extract_ownership(kind, with_tags)

    asked = [
        job
        for job in live
        if kind.operations.list_tags
        and job.identity in wanted
        and job.spec is not None
        and TAGS in job.unobserved
    ]
    results = dict(zip(map(id, asked), in_parallel(tagged, asked), strict=True)) if asked else {}
    known: list[LiveJob] = []
    errors: dict[Identity, ApiError] = {}
    for job in live:
        result = results.get(id(job), job)
        if isinstance(result, ApiError):
            errors[job.identity] = result
            result = job
        known.append(result)
    return known, errors


def with_submitted(
    client: Client, live: Live, submitted: Mapping[str, Identity], jobs: Iterable[Job]
) -> tuple[Live, tuple[str, ...]]:
    """Add recently submitted jobs that are not listed yet, and return the ids that do not exist at all.

    A job that cannot be read is treated as one that does not exist.
    """
    # A run that was submitted with other values than those that are planned is one of the same job.
    path_values = {job.identity.of_job: KINDS[job.kind].path_values(job.spec) for job in jobs}
    known = {live_job.id for live_job in live.jobs}
    found: list[LiveJob] = []
    missing: list[str] = []
    for identifier, identity in submitted.items():
        job = identity.of_job
        if identifier in known or job not in path_values or identity in live.failures:
            continue
        try:
            live_job = get_live_job(client, identity, identifier, path_values[job])
        except ApiError:
            live_job = None
        if live_job is None:
            missing.append(identifier)
        else:
            found.append(live_job)
    return replace(live, jobs=(*live.jobs, *found)), tuple(missing)


def get_live_job(
    client: Client, identity: Identity, identifier: str, path_values: Mapping[str, str]
) -> LiveJob | None:
    """Return one live job by id, None if there is none. Raises ApiError."""
    kind = KINDS[identity.kind]
    if kind.operations.get:
        entry = client.show(kind, identifier, path_values)
    else:
        listed = client.entries(kind, path_values)
        entry = next(
            (
                listed_entry
                for listed_entry in listed
                if text(listed_entry.get(kind.listing.id)) == identifier
            ),
            None,
        )
    if entry is None:
        return None
    live = extract_ownership(kind, kind.observe(entry))
    return replace(live, identity=live.identity._replace(place=identity.place)) if path_values else live


def _live_jobs(kind: Kind, entries: Iterable[Entry], job: Job) -> list[LiveJob]:
    live = _live(kind, entries)
    if not kind.path_values(job.spec):
        return live
    # An entry does not repeat the values in its URL.
    return [
        replace(live_job, identity=live_job.identity._replace(place=job.identity.place)) for live_job in live
    ]


def _live(kind: Kind, entries: Iterable[Entry]) -> list[LiveJob]:
    return [extract_ownership(kind, kind.observe(entry)) for entry in entries if _is_of_kind(kind, entry)]


def _is_of_kind(kind: Kind, entry: Entry) -> bool:
    return all(text(entry.get(key)).casefold() in {"", value} for key, value in kind.listing.only.items())


def _known_fields(kind: Kind) -> _Known:
    """Return the fields that an entry may have; empty if the table describes none."""
    rows: Sequence[Row] = load_table(kind.listing.table).response
    for step in kind.listing.items.split("."):
        rows = next((row.fields for row in rows if row.name == step), ())
    tags: _Known = {"tags": {}} if kind.operations.list_tags else {}
    return {**_by_row_name(rows), **tags} if rows else {}


# The fields that an entry may have, by name, each with the fields of an object in it.
_Known = Mapping[str, "_Known"]


def _by_row_name(rows: Sequence[Row]) -> _Known:
    return {row.name: _by_row_name(row.fields) for row in rows}


def _unknown_fields(known: _Known, entry: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name in entry.keys() - known.keys():
        yield f"{above}{name}"
    for name, fields in known.items():
        if fields and isinstance(value := entry.get(name), Mapping):
            yield from _unknown_fields(fields, value, f"{above}{name}.")
