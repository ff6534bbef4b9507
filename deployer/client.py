"""The one door to the network: calls, listings read to their end, and what went wrong as one exception.

A write is sent once. What its failure means for the job is told by the exception: NothingArrived, Refused,
or AnswerLost when it may have been carried out all the same.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.auth import AuthBase
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
)
from urllib3.util import parse_url

from deployer import __version__, redact
from deployer.errors import AnswerLost, ApiError, NoAnswer, NothingArrived, Refused, UsageError
from deployer.kinds.kind import Kind, Paging, dig
from deployer.model import Spec
from deployer.project import Target
from deployer.tables import load_table

CONNECT_SECONDS = 10
READ_SECONDS = 120  # the gateway cuts a call off after about two minutes
MAX_PAGES = 10_000
MAX_MESSAGE = 500
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}

# Statuses that a gateway gives for a backend that may have done the work nevertheless.
_GATEWAY_LOST = {502, 503, 504}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered with, and the words that messages about it begin with."""

    value: Any
    where: str


class Client:
    """Calls the services of one target. Close it, or use it as a context manager."""

    def __init__(self, target: Target, auth: AuthBase, *, hide: Callable[[str], str] | None = None) -> None:
        """`hide` is applied to all that a service says, before it becomes part of an error."""
        self._target = target
        self._hide = hide or str
        self._session = requests.Session()
        self._session.auth = auth
        self._session.headers.update({"User-Agent": f"deployer/{__version__}", "Accept": "application/json"})
        self.server_time: datetime | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

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

    def entries(self, kind: Kind, path_values: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """All entries of a listing, each once. Raises ApiError, also when it cannot be all of them."""
        listing = kind.listing
        call = load_table(listing.table).call
        found: dict[str, Mapping[str, Any]] = {}
        offset = listing.paging.value
        read = 0
        at_first: int | None = None
        for _ in range(MAX_PAGES):
            query = {**listing.query, listing.offset: str(offset), listing.limit: str(listing.size)}
            answer = self._call(kind.service, call, path_values, query=query)
            page, total = dig(answer.value, listing.items), _count(dig(answer.value, listing.total))
            if not isinstance(page, list) or total is None:
                raise AnswerLost(f"{answer.where}: not a listing: {listing.items} or its total is missing")
            if not all(isinstance(entry, dict) for entry in page):
                raise AnswerLost(f"{answer.where}: the listing holds something that is not a job")
            at_first = total if at_first is None else at_first
            for entry in page:
                # An entry that moved to the next page while we read is the same entry.
                found[str(entry.get(listing.id) or f"without id {len(found)}")] = entry
            read += len(page)
            if read >= total:
                # As many as there were at first, or one that we have not seen went by between two pages.
                if len(found) < at_first:
                    message = f"{len(found)} different jobs where {at_first} were announced"
                    raise AnswerLost(f"{answer.where}: the pages of the listing hold {message}; try again")
                return list(found.values())
            if not page:
                raise AnswerLost(f"{answer.where}: the listing ends after {read} of {total} jobs")
            offset += len(page) if listing.paging is Paging.RECORD else 1
        raise AnswerLost(f"{call}: the listing has more than {MAX_PAGES} pages")

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
        base, local = self._base(service)
        method, _, path = call.partition(" ")
        values = {"project_id": self._target.project_id, **path_values}
        quoted = {key: quote(value, safe="", errors="replace") for key, value in values.items()}
        url = base + path.format_map(quoted)
        where = f"{method} {url}"
        try:
            response = self._session.request(
                method,
                url,
                params=query,
                json=body,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                # A proxy from the environment must not come between us and a server on this machine.
                proxies={"http": "", "https": ""} if local else None,
            )
        except requests.RequestException as error:
            raise _failure(error, where) from None
        self._note_time(response)
        return _answer(response, where, self._hide)

    def _base(self, service: str) -> tuple[str, bool]:
        """The URL of a service, and whether it is on this machine; raises UsageError."""
        base = self._target.endpoint(service)
        try:
            # The parser of requests: another one may read another host out of the same text.
            parts = parse_url(base)
        except LocationParseError:
            raise UsageError(f"target '{self._target.name}': {base} is not a URL") from None
        local = parts.host in _LOOPBACK
        if parts.scheme != "https" and not local:
            raise UsageError(
                f"target '{self._target.name}': {base} must be https: credentials travel with it"
            )
        return base, local

    def _note_time(self, response: requests.Response) -> None:
        try:
            date = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return
        self.server_time = date if date.tzinfo else date.replace(tzinfo=UTC)


# What says that the request was never sent, and the words for it.
_NOT_SENT: tuple[tuple[type[BaseException], str], ...] = (
    (ProxyError, "the proxy that the environment names cannot be reached"),
    (NameResolutionError, "the name of the host cannot be resolved"),
    (ConnectionRefusedError, "connection refused; is the server running?"),
    (ConnectTimeoutError, f"no connection within {CONNECT_SECONDS} s"),
    (ssl.SSLCertVerificationError, "the certificate of the server is not trusted: {}"),
    (NewConnectionError, "cannot connect: {}"),
)


def _failure(error: requests.RequestException, where: str) -> ApiError:
    causes = list(_causes(error))
    for sort, words in _NOT_SENT:
        if any(isinstance(cause, sort) for cause in causes):
            details = (getattr(cause, "verify_message", getattr(cause, "strerror", "")) for cause in causes)
            return NothingArrived(f"{where}: {words.format(next(filter(None, details), 'no reason given'))}")
    if isinstance(error, ValueError | requests.exceptions.InvalidJSONError):
        return NothingArrived(f"{where}: it cannot be sent: {error}")
    if isinstance(error, requests.ReadTimeout):
        return NoAnswer(f"{where}: no answer within {READ_SECONDS} s")
    if isinstance(error, requests.exceptions.SSLError):
        return AnswerLost(f"{where}: the TLS connection failed; is this an https server?")
    return AnswerLost(f"{where}: the connection broke before the answer was complete")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it wraps: requests keeps urllib3's in `args`, urllib3 its own in `reason`."""
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop(0)
        if isinstance(item, BaseException) and item not in seen:
            seen.append(item)
            queue += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return iter(seen)


def _answer(response: requests.Response, where: str, hide: Callable[[str], str]) -> Answer:
    """The answer as data; raises what the status and the words in it mean."""
    try:
        value: Any = response.json()
    except (ValueError, RecursionError):
        value = None
    status = response.status_code
    request_id = response.headers.get("X-Request-Id") or dig(value, "request_id")
    token = response.request.headers.get("X-Auth-Token", "")
    where = f"{where}: HTTP {status}"
    if request_id:
        where += f" (request id {_quotable(hide(str(request_id)), token)})"
    code, message = _first_refusal(_refusal(item) for item in (value if isinstance(value, list) else [value]))
    if 200 <= status < 300:
        if value is None:
            raise AnswerLost(f"{where}: the answer is not JSON", status=status)
        if not code:
            return Answer(value, where)
    said = " ".join(filter(None, (code, message))) or response.reason or "no reason given"
    text = f"{where}: {_quotable(hide(said), token)}"
    if 300 <= status < 400:
        text += "; a redirect is not followed, credentials travel with the call"
    if status in {401, 403}:
        text += "; check the token: it is valid for 24 hours and for one project"
    lost = status in _GATEWAY_LOST or (status >= 500 and not code)
    raise (AnswerLost if lost else Refused)(text, status=status, code=code, request_id=str(request_id or ""))


def _quotable(said: str, token: str) -> str:
    """What a service says, without the credentials that it may repeat, and not too long."""
    length, said = len(said), said[: 20 * MAX_MESSAGE]
    said = redact.text(said.replace(token, redact.MASK) if token else said)
    return said if len(said) <= MAX_MESSAGE else f"{said[:MAX_MESSAGE]}... ({length} characters)"


def error_of(answer: Any) -> tuple[str, str]:
    """The code and message of an error answer, whatever its shape; the code is empty where it is none.

    MRS nests them in job_submit_result or not, and some pages spell them errorCode and errorMsg.
    """
    holders = [one for one in (answer, dig(answer, "job_submit_result")) if isinstance(one, Mapping)]
    found = [
        (
            str(one.get("error_code") or one.get("errorCode") or ""),
            str(one.get("error_msg") or one.get("errorMsg") or one.get("message") or ""),
        )
        for one in holders
    ]
    return _first_refusal(found)


def _first_refusal(said: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The first code with its message, or else the first message."""
    said = [*said]
    return next((pair for pair in said if pair[0]), next(filter(any, said), ("", "")))


def _refusal(item: Any) -> tuple[str, str]:
    """HTTP 200 is not success: an error code may be inside, and is_success may be the text "false"."""
    code, message = error_of(item)
    said = dig(item, "is_success")
    # DataArts prints is_success: false beside the id of a batch that was accepted.
    if not code and said is not None and str(said).casefold() != "true" and not dig(item, "id"):
        code = "is_success=false"
    return code, message


def _count(value: Any) -> int | None:
    """A total, which MRS sometimes sends as text."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
