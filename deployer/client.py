"""The one door to the network: calls, listings read to their end, and what went wrong as one exception.

A write is sent once. What its failure means for the job is told by the exception: NothingArrived, Refused,
or AnswerLost when it may have been carried out all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from deployer import __version__
from deployer.errors import AnswerLost, ApiError, NothingArrived, Refused, UsageError
from deployer.kinds.kind import Kind, Paging, dig
from deployer.model import Spec
from deployer.project import Target
from deployer.tables import load_table

CONNECT_SECONDS = 10
READ_SECONDS = 120  # the gateway cuts a call off after about two minutes
MAX_PAGES = 10_000
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# Statuses that a gateway gives for a backend that may have done the work nevertheless.
_GATEWAY_LOST = {502, 503, 504}


class Client:
    """Calls the services of one target. Close it, or use it as a context manager."""

    def __init__(self, target: Target, auth: AuthBase) -> None:
        self._target = target
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
        call = kind.create.call
        answer = self._call(kind.service, call, kind.path_values(spec), body=kind.body(name, spec))
        _raise_if_refused(answer, call)
        wrong = {path: dig(answer, path) for path, word in kind.accepted.items() if dig(answer, path) != word}
        if wrong:
            raise Refused(f"{call}: the service did not accept it: {wrong}")
        identifier = dig(answer, kind.id)
        if not identifier:
            raise AnswerLost(f"{call}: the answer holds no {kind.id}")
        return str(identifier)

    def start(self, kind: Kind, identifier: str, *, from_savepoint: bool = False) -> None:
        """Runs what create only drafted. Raises ApiError.

        One id per call: the answer is a list in the order of the ids, and names none.
        """
        call = load_table(kind.start).call
        body = {"job_ids": [int(identifier)], "resume_savepoint": from_savepoint}
        answer = self._call(kind.service, call, {}, body=body)
        for item in answer if isinstance(answer, list) else [answer]:
            _raise_if_refused(item, call)

    def entries(self, kind: Kind, path_values: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """All entries of a listing, each once. Raises ApiError, also when the listing ends too early."""
        listing = kind.listing
        call = load_table(listing.table).call
        found: dict[str, Mapping[str, Any]] = {}
        offset = listing.paging.value
        read = 0
        for _ in range(MAX_PAGES):
            query = {**listing.query, listing.offset: str(offset), listing.limit: str(listing.size)}
            answer = self._call(kind.service, call, path_values, query=query)
            _raise_if_refused(answer, call)
            page, total = dig(answer, listing.items), _count(dig(answer, listing.total))
            if not isinstance(page, list) or total is None:
                raise AnswerLost(
                    f"{call}: the answer is not a listing: {listing.items} or its total is missing"
                )
            for entry in page:
                if not isinstance(entry, dict):
                    raise AnswerLost(f"{call}: the listing holds something that is not a job")
                # An entry that moved to the next page while we read is the same entry.
                found[kind.observe(entry).id or f"without id {len(found)}"] = entry
            read += len(page)
            if read >= total:
                return list(found.values())
            if not page:
                raise AnswerLost(f"{call}: the listing ends after {read} of {total} jobs")
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
    ) -> Any:
        """The JSON answer of one call; `call` is `METHOD /path` with placeholders."""
        base = self._target.endpoint(service)
        parts = urlsplit(base)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise UsageError(
                f"target '{self._target.name}': {base} must be https: credentials travel with it"
            )
        method, _, path = call.partition(" ")
        values = {"project_id": self._target.project_id, **path_values}
        url = base + path.format_map({key: quote(value, safe="") for key, value in values.items()})
        where = f"{method} {url}"
        # A proxy from the environment must not come between us and a server on this machine.
        proxies = {"http": "", "https": ""} if parts.hostname in _LOOPBACK else None
        try:
            response = self._session.request(
                method,
                url,
                params=query,
                json=body,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                proxies=proxies,
            )
        except requests.RequestException as error:
            raise _failure(error, where) from None
        self._note_time(response)
        return _json(response, where)

    def _note_time(self, response: requests.Response) -> None:
        if date := response.headers.get("Date"):
            try:
                self.server_time = parsedate_to_datetime(date)
            except ValueError:
                return


def _failure(error: requests.RequestException, where: str) -> ApiError:
    causes = list(_causes(error))
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return NothingArrived(f"{where}: there is no such host")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return NothingArrived(f"{where}: connection refused; is the server running?")
    if any(isinstance(cause, ConnectTimeoutError) for cause in causes):
        return NothingArrived(f"{where}: no connection within {CONNECT_SECONDS} s")
    if isinstance(error, requests.exceptions.SSLError):
        return NothingArrived(f"{where}: the server's certificate is not trusted: {error}")
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        return NothingArrived(f"{where}: cannot connect: {causes[-1]}")
    if isinstance(error, requests.ReadTimeout):
        return AnswerLost(f"{where}: no answer within {READ_SECONDS} s")
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


def _json(response: requests.Response, where: str) -> Any:
    """The answer as data; raises what the status and the error codes in it mean."""
    request_id = response.headers.get("X-Request-Id", "")
    try:
        answer: Any = response.json()
    except (ValueError, RecursionError):
        answer = None
    code, message = error_of(answer)
    status = response.status_code
    if 200 <= status < 300:
        if answer is None:
            raise AnswerLost(f"{where}: HTTP {status}, but the answer is not JSON", status=status)
        return answer
    said = " ".join(filter(None, (code, message))) or response.reason or "no reason given"
    text = f"{where}: HTTP {status}: {said}{f' (request id {request_id})' if request_id else ''}"
    if status in {401, 403}:
        text += "; check the token: it is valid for 24 hours and for one project"
    lost = status in _GATEWAY_LOST or (status >= 500 and not code)
    kind = AnswerLost if lost else Refused
    raise kind(text, status=status, code=code, request_id=request_id)


def error_of(answer: Any) -> tuple[str, str]:
    """The code and message of an error answer, whatever its shape; empty where it is none.

    MRS nests them in job_submit_result or not, and some pages spell them errorCode and errorMsg.
    """
    for holder in (answer, dig(answer, "job_submit_result")):
        if isinstance(holder, Mapping):
            code = holder.get("error_code") or holder.get("errorCode")
            message = holder.get("error_msg") or holder.get("errorMsg") or holder.get("message")
            if code:
                return str(code), str(message or "")
    return "", ""


def _raise_if_refused(answer: Any, call: str) -> None:
    """HTTP 200 is not success: an error code may be inside, and is_success may be the text "false"."""
    code, message = error_of(answer)
    if (
        isinstance(answer, Mapping)
        and str(answer.get("is_success", "true")).casefold() != "true"
        and not code
    ):
        # DataArts prints is_success: false beside the id of a batch that was accepted.
        if answer.get("id"):
            return
        code, message = "is_success=false", str(answer.get("message", ""))
    if code:
        raise Refused(f"{call}: {code} {message}".rstrip(), code=code)


def _count(value: Any) -> int | None:
    """A total, which MRS sometimes sends as text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
