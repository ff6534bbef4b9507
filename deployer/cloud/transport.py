"""One HTTP request with its retries: rate limit, delays, and the response or the error.

A write is retried only if it cannot have been executed.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from urllib3.exceptions import HTTPError

from deployer import __version__
from deployer.clock import Clock
from deployer.cloud.connections import Connections
from deployer.cloud.credentials import Credential
from deployer.cloud.exchange import Auth, RawResponse, Request, UnfitRequest
from deployer.cloud.hosts import Address, Hosts, prepared
from deployer.cloud.rate_limit import Throttle
from deployer.cloud.responses import (
    Failure,
    Reader,
    Response,
    server_date,
    transport_failure,
)
from deployer.cloud.retry import Backoff, Retryable
from deployer.errors import NotSent, ResponseLost
from deployer.project.target import Rate, Retry

_REFUSED_LOGIN = {400, 401, 403}
_HEADERS = {
    "User-Agent": f"deployer/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a service at its base URL. Unless it is a `write` it can be repeated.

    `credential` is the one that `auth` uses, None for the built-in emulator. `bodiless`: a successful response
    may have no body.
    """

    service: str
    base: str
    method: str
    path: str
    auth: Auth
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    write: bool = False
    bodiless: bool = False
    credential: Credential | None = None

    @property
    def request_line(self) -> str:
        return f"{self.method} {self.base}{self.path}"


@dataclass(slots=True)
class _Usage:
    """What is known of a credential. The first request with it is sent alone, as it shows whether it is refused."""

    first: threading.RLock = field(default_factory=threading.RLock)
    is_tried: bool = False
    refusal: Failure | None = None


class Transport:
    """The only access to the network. Close it, or use it as a context manager."""

    def __init__(
        self,
        *,
        hosts: Hosts | None = None,
        scrub: Callable[[str], str] = str,
        ca_file: Path | None = None,
        rate: Rate | None = None,
        retry: Retry | None = None,
        clock: Clock | None = None,
        note: Callable[[str], object] = str,
        before_write: Callable[[], object] = lambda: None,
    ) -> None:
        """Open no connection yet. `scrub` is applied to all text of a service, `note` receives messages about retries.

        `before_write` is called just before each write is sent, and raises NotSent if it must not be.
        Requests are sent to `hosts` only, without them to the vendor's and this machine. Certificates are verified
        against `ca_file`, if it is given. Raises UsageError.
        """
        self._hosts = hosts or Hosts()
        self._scrub = scrub
        self._own_ca = ca_file is not None
        self._rate = rate or Rate()
        self._retry = retry or Retry()
        self.clock = clock or Clock()
        self._note = note
        self._before_write = before_write
        self._throttles: dict[str, Throttle] = {}
        self._full_since: dict[str, float] = {}
        self._usage: dict[Auth, _Usage] = {}
        self._connections = Connections(self.clock.monotonic, ca_file)
        self.server_time: datetime | None = None
        self._last = threading.local()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.drop()

    @property
    def request_id(self) -> str:
        """Returns the request id of the latest response in this thread; empty if it had none."""
        return str(getattr(self._last, "request_id", ""))

    def send(self, call: Call) -> Response:
        """Send a request and return its successful response. Raises ApiError and UsageError."""
        backoff = Backoff(
            self._retry, self.clock, write=call.write, full_since=self._full_since.get(call.request_line)
        )
        while True:
            outcome = self._unless_refused(call)
            self._last.request_id = outcome.request_id
            if isinstance(outcome, Response):
                if call.write:
                    self._full_since.pop(call.request_line, None)
                return outcome
            wait = backoff.next_delay(outcome.retryable, outcome.retry_after)
            if backoff.full_since is not None:
                self._full_since[call.request_line] = backoff.full_since
            if wait is None:
                raise outcome.error(_attempts_summary(outcome, backoff, self._retry))
            self._note(f"{outcome.text}; retrying in {math.ceil(wait)} s")
            self.clock.sleep(wait)

    def is_refused(self, auth: Auth) -> bool:
        """Return whether a service has refused a credential: no further request is sent with it."""
        return auth in self._usage and self._usage[auth].refusal is not None

    def _unless_refused(self, call: Call) -> Response | Failure:
        """Send a request, or return the failure of the one whose credential was refused before.

        Repeating it would change nothing, and several wrong signatures or passwords in a row lock a key or a user.
        """
        usage = self._usage.setdefault(call.auth, _Usage())
        with nullcontext() if usage.is_tried else usage.first:
            if usage.refusal:
                return usage.refusal
            try:
                outcome = self._once(call)
                if isinstance(outcome, Failure) and outcome.status == 401:
                    source = call.credential.source if call.credential else "the credential"
                    text = f"not sent: {source} was rejected in an earlier request"
                    usage.refusal = Failure(NotSent, text, status=401, code=outcome.code)
                return outcome
            except NotSent as error:  # of a login
                if error.status in _REFUSED_LOGIN:
                    usage.refusal = Failure(NotSent, str(error), status=error.status, code=error.code)
                raise
            finally:
                usage.is_tried = True

    def _once(self, call: Call) -> Response | Failure:
        # Not urlencode's own quoting: it encodes a blank as +, which is not valid in a signature.
        query = f"?{urlencode(call.query, quote_via=quote)}" if call.query else ""
        throttle = self._throttles.setdefault(call.service, Throttle(self._rate, self.clock))
        # Before `auth`, which adds the credential or requests a token.
        url, address = prepared(f"{call.base}{call.path}{query}")
        self._hosts.permit(call.service, address, own_ca=self._own_ca)
        try:
            with throttle.acquire():
                response = self._exchange(call, url, address)
        except (OSError, HTTPError) as error:
            outcome: Response | Failure = transport_failure(error, call.request_line)
        else:
            self.server_time = server_date(response.headers) or self.server_time
            outcome = Reader(self._scrub, call.credential).read(
                response, call.request_line, bodiless=call.bodiless
            )
        if isinstance(outcome, Failure) and outcome.error_type is ResponseLost:
            # The rest of a broken response may still arrive: the next request must not read it as its own.
            self._connections.drop()
        return outcome

    def _exchange(self, call: Call, url: str, address: Address) -> RawResponse:
        request = call.auth.authenticated(_request(call, url))
        response = self._sent(call, request, address)
        if response.status == 401 and (renewed := call.auth.renewed(request)):
            response = self._sent(call, renewed, address)
        return response

    def _sent(self, call: Call, request: Request, address: Address) -> RawResponse:
        if call.write:
            self._before_write()
        return self._connections.send(request, address)


def _request(call: Call, url: str) -> Request:
    """Return the request of a call, without a credential. Raises UnfitRequest."""
    try:
        body = None if call.body is None else json.dumps(call.body, allow_nan=False).encode()
    except ValueError as error:
        raise UnfitRequest(str(error)) from error
    headers = dict(_HEADERS)
    # MRS requires it with every write, also with a kill, which has no body.
    if call.write or body is not None:
        headers["Content-Type"] = "application/json"
    if call.method != "GET":
        headers["Content-Length"] = str(len(body or b""))
    return Request(call.method, url, headers, body)


def _attempts_summary(failure: Failure, backoff: Backoff, retry: Retry) -> str:
    """Describe the attempts at the end of a message."""
    if failure.retryable is Retryable.FULL:
        minutes = retry.capacity_seconds / 60
        waited = f"; no capacity within {minutes:.0f} minutes" if minutes else ""
        return f"{waited}; retry later"
    if failure.status == 429 and backoff.attempts < retry.attempts and failure.retry_after:
        return f"; the service asked to retry after {failure.retry_after:.0f} s"
    return f"; gave up after {backoff.attempts} attempts" if backoff.attempts > 1 else ""
