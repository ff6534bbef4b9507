"""Requests to the services: create, start, update, stop, cancel and delete jobs, and read listings and logs.

The exception states what the failure of a write means for the job: NotSent, RequestFailed, or ResponseLost if
the request may have been executed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from deployer.cloud.auth import AuthContext
from deployer.cloud.error_codes import find_hint
from deployer.cloud.page import Page
from deployer.cloud.paging import entries_of, read_to_end
from deployer.cloud.responses import Response
from deployer.cloud.transport import Call, Transport
from deployer.errors import NotSent, RequestFailed, ResponseLost
from deployer.kinds.kind import Entry, Kind, get_path, text
from deployer.kinds.tables import Table, json_type, load_table
from deployer.model import Spec
from deployer.project.target import Target

# The ids of all services are UUIDs or numbers. An id from a listing could contain anything: a character that a
# server treats as a separator, encoded or not, would make it the path of another request.
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
_DOTS = {"", ".", ".."}


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a log. `start` is the number of the first one, from 0; `total` is the length of the whole log."""

    lines: tuple[str, ...]
    start: int
    total: int


class Client:
    """A client for the services of one target. The caller closes the transport."""

    def __init__(self, target: Target, signed_in: AuthContext, transport: Transport) -> None:
        self._target = target
        self._signed_in = signed_in
        self._transport = transport

    @property
    def project_id(self) -> str:
        """Returns the project id, which may come from the environment or from IAM."""
        return self._signed_in.project_id

    @property
    def server_time(self) -> datetime | None:
        """Returns the time in the latest response; None if there was none."""
        return self._transport.server_time

    @property
    def is_refused(self) -> bool:
        """Returns whether the credential was refused: no further request is sent."""
        return self._transport.is_refused(self._signed_in.auth)

    @property
    def request_id(self) -> str:
        """Returns the request id of the latest response in this thread; empty if it had none."""
        return self._transport.request_id

    def create(self, kind: Kind, name: str, spec: Spec) -> str:
        """Send a new job and return its id. Raises ApiError."""
        body = kind.body(name, spec)
        response = self._call(kind.service, kind.create, kind.path_values(spec), body=body)
        for path, expected in kind.accepted.items():
            actual = get_path(response.value, path)
            if actual is None:
                raise ResponseLost(f"{response.request_line}: the response has no {path}")
            if actual != expected:
                # An error with status 200, as any other.
                raise RequestFailed(f"{response.request_line}: {path} is {actual}", may_be_executed=True)
        identifier = get_path(response.value, kind.id)
        if not isinstance(identifier, str | int) or not identifier:
            raise ResponseLost(f"{response.request_line}: the response has no {kind.id}")
        return str(identifier)

    def start(self, kind: Kind, identifier: str, *, from_savepoint: bool = False) -> None:
        """Start a definition that was created as a draft. Raises ApiError.

        One id per request: the response is a list in the order of the ids, without the ids.
        """
        self._batch_call(kind, kind.operations.start, identifier, {"resume_savepoint": from_savepoint})

    def stop(self, kind: Kind, identifier: str, *, savepoint: bool) -> None:
        """Request a stop of a definition's run; only its state shows when it has ended. Raises ApiError.

        One id per request, as for start. Raises RequestFailed for a job that is not running.
        """
        self._batch_call(kind, kind.operations.stop, identifier, {"trigger_savepoint": savepoint})

    def cancel(self, kind: Kind, identifier: str, path_values: Mapping[str, str]) -> None:
        """Request the cancellation of a run; only its state shows when it has ended. Raises ApiError.

        Raises RequestFailed for a run that has ended, except for a session.
        """
        self._change(kind, kind.operations.cancel, identifier, path_values)

    def update(self, kind: Kind, identifier: str, body: Mapping[str, Any]) -> None:
        """Update the fields in `body` of a definition, and no others. Raises ApiError."""
        self._change(kind, kind.operations.update, identifier, {}, body=body)

    def delete(self, kind: Kind, identifier: str) -> None:
        """Delete a definition in any state. It cannot be restored. Raises ApiError."""
        self._change(kind, kind.operations.delete, identifier, {})

    def tag(self, kind: Kind, identifier: str, tags: Mapping[str, str]) -> None:
        """Add tags; an existing key gets the new value. Raises ApiError."""
        self._change(kind, kind.operations.add_tags, identifier, {}, body=_tags(tags))

    def untag(self, kind: Kind, identifier: str, tags: Mapping[str, str]) -> None:
        """Remove tags; keys and values must be those of the job. Raises ApiError."""
        self._change(kind, kind.operations.remove_tags, identifier, {}, body=_tags(tags))

    def log(
        self, kind: Kind, identifier: str, path_values: Mapping[str, str], *, start: int, size: int
    ) -> LogPage:
        """Return up to `size` lines of a log, beginning with line `start` (from 0). Raises ApiError.

        A negative `start` counts from the end, as in a slice, and takes one more request.
        """
        if start < 0:
            total = self.log(kind, identifier, path_values, start=0, size=1).total
            start = max(0, total + start)
        query = {"from": str(start), "size": str(size)}
        response = self._job_call(kind, kind.operations.log, identifier, path_values, query=query)
        lines, count = get_path(response.value, "log"), _count(get_path(response.value, "total"))
        if not isinstance(lines, list) or count is None:
            raise ResponseLost(f"{response.request_line}: unexpected log response: lines or total missing")
        return LogPage(tuple(map(str, lines)), start, count)

    def show(self, kind: Kind, identifier: str, path_values: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return the entry of one job, None if there is none. Raises ApiError."""
        try:
            response = self._job_call(kind, kind.operations.get, identifier, path_values)
        except RequestFailed as error:
            if find_hint(error.code, "").missing:
                return None
            raise
        entry = get_path(response.value, kind.entry) if kind.entry else response.value
        if not isinstance(entry, dict) or str(entry.get(kind.listing.id)) != identifier:
            raise ResponseLost(f"{response.request_line}: the response does not describe job {identifier}")
        return entry

    def read(
        self,
        kind: Kind,
        operation: str,
        path_values: Mapping[str, str],
        *,
        identifier: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the response of an operation as it is, about one job if it has an `identifier`. Raises ApiError.

        Raises ValueError for an operation that may write.
        """
        table = load_table(operation)
        if not table.call.startswith("GET "):
            raise ValueError(f"{operation} is not a read")
        if identifier:
            return self._job_call(kind, operation, identifier, path_values, query=query)
        return self._call(kind.service, table, path_values, query=query)

    def _batch_call(self, kind: Kind, operation: str, identifier: str, body: Mapping[str, Any]) -> None:
        """Send a request that takes a list of jobs, for one job."""
        table = load_table(operation)
        _check_identifier(table, identifier, number=True)
        _require_success(
            table, self._call(kind.service, table, {}, body={"job_ids": [int(identifier)], **body})
        )

    def _change(
        self,
        kind: Kind,
        operation: str,
        identifier: str,
        path_values: Mapping[str, str],
        *,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        response = self._job_call(kind, operation, identifier, path_values, body=body)
        _require_success(load_table(operation), response)

    def _job_call(
        self,
        kind: Kind,
        operation: str,
        identifier: str,
        path_values: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Response:
        """Send a request about one job. Its id fills the placeholder of the path that has no other value."""
        table = load_table(operation)
        values = dict(path_values)
        for row in table.placeholders:
            if row.name == "project_id" or row.location == "path":
                continue
            if only := row.limits.get("enum"):
                (values[row.name],) = only
                continue
            _check_identifier(table, identifier, number=json_type(row.type)["type"] == "integer")
            values[row.name] = identifier
        return self._call(kind.service, table, values, query=query, body=body)

    def entries(
        self,
        kind: Kind,
        path_values: Mapping[str, str],
        filters: Mapping[str, str] | None = None,
        *,
        first: Page | None = None,
    ) -> list[Entry]:
        """Return all entries of a listing that match `filters`; `first` is its first page, if known.

        Raises ApiError, also if the listing is incomplete. A service may match a filter loosely, or ignore it.
        """
        listing = kind.listing
        return read_to_end(
            lambda offset: self._page(kind, path_values, filters or {}, offset),
            listing.paging,
            listing.id,
            first,
        )

    def first_page(self, kind: Kind, path_values: Mapping[str, str], filters: Mapping[str, str]) -> Page:
        """Return the first page of a listing with its total. Raises ApiError."""
        return self._page(kind, path_values, filters, kind.listing.paging.value)

    def _page(
        self, kind: Kind, path_values: Mapping[str, str], filters: Mapping[str, str], offset: int
    ) -> Page:
        listing = kind.listing
        at = {listing.offset: str(offset), listing.limit: str(listing.size)}
        query = {**listing.only, **listing.query, **filters, **at}
        response = self._call(kind.service, load_table(listing.table), path_values, query=query)
        total = _count(get_path(response.value, listing.total))
        entries = entries_of(get_path(response.value, listing.items))
        if entries is None and total == 0 and isinstance(response.value, dict):
            entries = []  # null instead of an empty list
        if entries is None or total is None:
            raise ResponseLost(
                f"{response.request_line}: unexpected list response: {listing.items} or total missing"
            )
        if not all(isinstance(entry, dict) for entry in entries):
            raise ResponseLost(f"{response.request_line}: the list contains an entry that is not a job")
        return Page(entries, total, response.request_line, response.size)

    def tags(self, kind: Kind, identifier: str) -> list[dict[str, str]]:
        """Return the tags of one job in the form of its spec: {key, value}. Raises ApiError."""
        response = self._job_call(kind, kind.operations.list_tags, identifier, {})
        tags, count = get_path(response.value, "tags"), _count(get_path(response.value, "count"))
        tags = [] if tags is None and count == 0 else tags
        if not isinstance(tags, list) or not all(isinstance(get_path(tag, "key"), str) for tag in tags):
            raise ResponseLost(f"{response.request_line}: the response has no tags")
        if count is not None and count > len(tags):
            raise ResponseLost(f"{response.request_line}: the response has {len(tags)} of {count} tags")
        return [{"key": tag["key"], "value": text(tag.get("value"))} for tag in tags]

    def _call(
        self,
        service: str,
        table: Table,
        path_values: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Response:
        """Send one request and return its successful response. Raises ApiError."""
        method, _, path = table.call.partition(" ")
        values = {"project_id": self.project_id, **path_values}
        for key, value in values.items():
            if value in _DOTS:
                # Quoted or not, these refer to the parent path.
                raise NotSent(f"{table.call}: '{value}' is not a valid {key}; no request was sent")
        quoted = {key: quote(value, safe="", errors="replace") for key, value in values.items()}
        return self._transport.send(
            Call(
                service,
                self._target.endpoint(service),
                method,
                path.format_map(quoted),
                self._signed_in.auth,
                query or {},
                body,
                write=method != "GET",
                bodiless=table.bodiless,
                credential=self._signed_in.credential,
            )
        )


def _check_identifier(table: Table, identifier: str, *, number: bool) -> None:
    fits = _IDENTIFIER.fullmatch(identifier) and (identifier.isdecimal() or not number)
    if not fits:
        raise NotSent(f"{table.call}: '{identifier}' is not a valid job id; no request was sent")


def _require_success(table: Table, response: Response) -> None:
    """Raise ResponseLost unless a response confirms success; a "false" has raised RequestFailed before."""
    items = response.value if isinstance(response.value, list) else [response.value]
    says = any(row.name == "is_success" for row in table.response)
    if response.value is None and table.bodiless:
        return
    if not items or not all(isinstance(item, dict) for item in items):
        raise ResponseLost(f"{response.request_line}: the response does not confirm success")
    if says and any(item.get("is_success") is None for item in items):
        raise ResponseLost(f"{response.request_line}: the response does not confirm success")


def _tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _count(value: Any) -> int | None:
    """Return a total, which MRS sometimes sends as a string."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
