"""One HTTP request with its retries: rate limit, delays, and the response or the error.

A write is retried only if it cannot have been executed.
"""

from __future__ import annotations

import math
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import requests
from requests.auth import AuthBase

from deployer import __version__
from deployer.clock import Clock
from deployer.cloud.credentials import Credential
from deployer.cloud.hosts import Address, Hosts, is_loopback
from deployer.cloud.rate_limit import Throttle
from deployer.cloud.response_limits import LimitedAdapter
from deployer.cloud.responses import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Failure,
    Reader,
    Response,
    server_date,
    transport_failure,
)
from deployer.cloud.retry import Backoff, Retryable
from deployer.errors import NotSent, ResponseLost, UsageError
from deployer.project.target import Rate, Retry

_REFUSED_LOGIN = {400, 401, 403}
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}


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
    auth: AuthBase
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
    """The only access to the network. Close it, or use it as a context manager.

    Certificates are always verified: against `ca_file`, REQUESTS_CA_BUNDLE or the certificates of certifi.
    """

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
        """Open a session. `scrub` is applied to all text of a service, `note` receives messages about retries.

        `before_write` is called just before each write is sent, and raises NotSent if it must not be.
        Requests are sent to `hosts` only, without them to the vendor's and this machine. Raises UsageError.
        """
        self._hosts = hosts or Hosts()
        self._scrub = scrub
        self._verify = _validated_ca_file(ca_file) if ca_file else True
        self._rate = rate or Rate()
        self._retry = retry or Retry()
        self.clock = clock or Clock()
        self._note = note
        self._before_write = before_write
        self._throttles: dict[str, Throttle] = {}
        self._full_since: dict[str, float] = {}
        self._usage: dict[AuthBase, _Usage] = {}
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, LimitedAdapter(self.clock.monotonic, self._check_write))
        accepted = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        self._session.headers.update({"User-Agent": f"deployer/{__version__}", **accepted})
        self.server_time: datetime | None = None
        self._last = threading.local()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

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

    @contextmanager
    def _sending(self, call: Call) -> Iterator[None]:
        """Note whether this thread sends a write. `auth` may send another request before it, for a token."""
        before = getattr(self._last, "write", False)
        self._last.write = call.write
        try:
            yield
        finally:
            self._last.write = before

    def _check_write(self) -> None:
        if self._last.write:
            self._before_write()

    def is_refused(self, auth: AuthBase) -> bool:
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
        # Not requests' `params`: it encodes a blank as +, which is not valid in a signature.
        query = f"?{urlencode(call.query, quote_via=quote)}" if call.query else ""
        # MRS requires it with every write, also with a kill, which has no body.
        headers = {"Content-Type": "application/json"} if call.write and call.body is None else None
        throttle = self._throttles.setdefault(call.service, Throttle(self._rate, self.clock))
        url = f"{call.base}{call.path}{query}"
        # Before `auth`, which adds the credential or requests a token.
        address = self._hosts.check(call.service, url, own_ca=self._verify is not True)
        # A proxy from the environment must not be used for a server on this machine.
        proxies = {"http": "", "https": ""} if _is_local(address) else None
        try:
            with throttle.acquire(), self._sending(call):
                response = self._session.request(
                    call.method,
                    url,
                    json=call.body,
                    headers=headers,
                    auth=call.auth,  # always set, or requests would look for a password in .netrc
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    allow_redirects=False,
                    proxies=proxies,
                    verify=self._verify,
                )
        except OSError as error:
            outcome: Response | Failure = transport_failure(error, call.request_line)
        else:
            self.server_time = server_date(response.headers) or self.server_time
            outcome = Reader(self._scrub, call.credential).read(
                response, call.request_line, bodiless=call.bodiless
            )
        if isinstance(outcome, Failure) and outcome.error_type is ResponseLost:
            # The rest of a broken response may still arrive: the next request must not read it as its own.
            for adapter in self._session.adapters.values():
                adapter.close()
        return outcome


class _Session(requests.Session):
    """A session that follows no redirects."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def _validated_ca_file(ca_file: Path) -> str:
    """Return the path of a file with certificates; raises UsageError if it has none."""
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        why = "contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(f"invalid caFile {ca_file}: {why}") from None
    return str(ca_file)


def _is_local(address: Address) -> bool:
    """Return whether an address is this machine's. A proxy may stand before its other addresses, but not see http."""
    return address.host in _LOOPBACK or (address.scheme == "http" and is_loopback(address.host))


def _attempts_summary(failure: Failure, backoff: Backoff, retry: Retry) -> str:
    """Describe the attempts at the end of a message."""
    if failure.retryable is Retryable.FULL:
        minutes = retry.capacity_seconds / 60
        waited = f"; no capacity within {minutes:.0f} minutes" if minutes else ""
        return f"{waited}; retry later"
    if failure.status == 429 and backoff.attempts < retry.attempts and failure.retry_after:
        return f"; the service asked to retry after {failure.retry_after:.0f} s"
    return f"; gave up after {backoff.attempts} attempts" if backoff.attempts > 1 else ""
