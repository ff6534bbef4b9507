"""The services' calls: what is created and started, and listings read to their end.

What the failure of a write means for the job is told by the exception: NothingArrived, Refused, or AnswerLost
when it may have been carried out all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from deployer.answers import Answer
from deployer.auth import SignedIn
from deployer.errors import AnswerLost, NothingArrived, Refused
from deployer.kinds.kind import Entry, Kind, dig, text
from deployer.listings import Page, entries_of, read_to_end
from deployer.model import Spec
from deployer.project import Target
from deployer.tables import load_table
from deployer.transport import Call, Transport


class Client:
    """Calls the services of one target. The transport is the caller's to close."""

    def __init__(self, target: Target, signed_in: SignedIn, transport: Transport) -> None:
        self._target = target
        self._signed_in = signed_in
        self._transport = transport

    @property
    def project_id(self) -> str:
        """The project, which the target need not name."""
        return self._signed_in.project_id

    @property
    def server_time(self) -> datetime | None:
        """The services' clock at their last answer; None where it was not told."""
        return self._transport.server_time

    def create(self, kind: Kind, name: str, spec: Spec) -> str:
        """Sends a new job and returns its id. Raises ApiError."""
        body = kind.body(name, spec)
        answer = self._call(kind.service, kind.create.call, kind.path_values(spec), body=body)
        for path, word in kind.accepted.items():
            said = dig(answer.value, path)
            if said is None:
                raise AnswerLost(f"{answer.where}: the answer holds no {path}")
            if said != word:
                raise Refused(f"{answer.where}: {path} is {said}")
        identifier = dig(answer.value, kind.id)
        if not isinstance(identifier, str | int) or not identifier:
            raise AnswerLost(f"{answer.where}: the answer holds no {kind.id}")
        return str(identifier)

    def start(self, kind: Kind, identifier: str, *, from_savepoint: bool = False) -> None:
        """Runs what create only drafted. Raises ApiError.

        One id per call: the answer is a list in the order of the ids, and names none.
        """
        call = load_table(kind.start).call
        if not identifier.isdecimal():
            raise NothingArrived(f"{call}: '{identifier}' is not the id of such a job; nothing was sent")
        body = {"job_ids": [int(identifier)], "resume_savepoint": from_savepoint}
        answer = self._call(kind.service, call, {}, body=body)
        items = answer.value if isinstance(answer.value, list) else [answer.value]
        if not items or any(dig(item, "is_success") is None for item in items):
            raise AnswerLost(f"{answer.where}: the answer does not say whether it was started")

    def entries(
        self,
        kind: Kind,
        path_values: Mapping[str, str],
        filters: Mapping[str, str] | None = None,
        *,
        first: Page | None = None,
    ) -> list[Entry]:
        """All entries of a listing that match `filters`, each once; `first` is its first page, if known.

        Raises ApiError, also when it cannot be all of them. A filter may be fuzzy, or ignored.
        """
        listing = kind.listing
        return read_to_end(
            lambda offset: self._page(kind, path_values, filters or {}, offset),
            listing.paging,
            listing.id,
            first,
        )

    def first_page(self, kind: Kind, path_values: Mapping[str, str], filters: Mapping[str, str]) -> Page:
        """What a listing begins with, and how much it holds. Raises ApiError."""
        return self._page(kind, path_values, filters, kind.listing.paging.value)

    def _page(
        self, kind: Kind, path_values: Mapping[str, str], filters: Mapping[str, str], offset: int
    ) -> Page:
        listing = kind.listing
        at = {listing.offset: str(offset), listing.limit: str(listing.size)}
        query = {**listing.only, **listing.query, **filters, **at}
        answer = self._call(kind.service, load_table(listing.table).call, path_values, query=query)
        total = _count(dig(answer.value, listing.total))
        entries = entries_of(dig(answer.value, listing.items))
        if entries is None and total == 0 and isinstance(answer.value, dict):
            entries = []  # null, where there is nothing
        if entries is None or total is None:
            raise AnswerLost(f"{answer.where}: not a listing: {listing.items} or its total is missing")
        if not all(isinstance(entry, dict) for entry in entries):
            raise AnswerLost(f"{answer.where}: the listing holds something that is not a job")
        return Page(entries, total, answer.where)

    def tags(self, kind: Kind, identifier: str) -> list[dict[str, str]]:
        """The tags of one job, as its spec has them: {key, value}. Raises ApiError."""
        table = load_table(kind.tags)
        fixed = {row.name: row.limits["enum"][0] for row in table.request if "enum" in row.limits}
        answer = self._call(kind.service, table.call, {**fixed, "resource_id": identifier})
        tags, count = dig(answer.value, "tags"), _count(dig(answer.value, "count"))
        tags = [] if tags is None and count == 0 else tags
        if not isinstance(tags, list) or not all(isinstance(dig(tag, "key"), str) for tag in tags):
            raise AnswerLost(f"{answer.where}: the answer holds no tags")
        if count is not None and count > len(tags):
            raise AnswerLost(f"{answer.where}: the answer holds {len(tags)} of {count} tags")
        return [{"key": tag["key"], "value": text(tag.get("value"))} for tag in tags]

    def _call(
        self,
        service: str,
        call: str,
        path_values: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The answer of one call that was not refused; `call` is `METHOD /path` with placeholders."""
        method, _, path = call.partition(" ")
        values = {"project_id": self.project_id, **path_values}
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
                credential=self._signed_in.credential,
            )
        )


def _count(value: Any) -> int | None:
    """A total, which MRS sometimes sends as text."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
