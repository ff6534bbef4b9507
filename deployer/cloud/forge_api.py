"""Requests to the API of a forge (GitHub, GitLab, Gitee), at one address, to which alone its token is sent.

Redirects are not followed. Not the `Transport` of the services: a forge has no request signing, no error codes of
theirs, and a rate limit of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from urllib3.exceptions import HTTPError

from deployer import __version__
from deployer.clock import Clock
from deployer.cloud.connections import Connections
from deployer.cloud.exchange import RawResponse, Request
from deployer.cloud.hosts import is_loopback, prepared
from deployer.cloud.responses import Failure, retry_after, transport_failure
from deployer.cloud.retry import Backoff, Retryable
from deployer.errors import RequestFailed, ResponseLost, UsageError
from deployer.escape import printable
from deployer.project.target import Retry
from deployer.secrets.redact import redacted
from deployer.secrets.scrub import MASK, encoded_forms

MAX_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful response: its JSON, None without a body, and its headers."""

    value: Any
    headers: Mapping[str, str]


class ForgeApi:
    """The API at `base`. `headers` are sent with each request and contain the token. Close it."""

    def __init__(
        self,
        base: str,
        token: str,
        headers: Mapping[str, str],
        *,
        hints: Mapping[int, str],
        clock: Clock | None = None,
        note: Callable[[str], object] = str,
    ) -> None:
        """Open no connection yet. `hints` say what to do about a status. Raises UsageError."""
        url, self._address = prepared(base)
        if self._address.scheme != "https" and not is_loopback(self._address.host):
            raise UsageError(f"{base} must use https because requests carry a token")
        if not token.isascii() or not token.isprintable() or not token.strip():
            raise UsageError("the token of the forge is empty or contains characters that no token has")
        self._base = url.rstrip("/")
        self._token = token
        self._headers = {
            "User-Agent": f"deployer/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            **headers,
        }
        self._hints = hints
        self._clock = clock or Clock()
        self._note = note
        self._connections = Connections(self._clock.monotonic)

    def close(self) -> None:
        self._connections.drop()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        creates: bool = False,
    ) -> Reply:
        """Send a request and return its successful response. Raises ApiError.

        One that `creates` something is repeated only if it cannot have been executed; ResponseLost says that it may
        have been.
        """
        backoff = Backoff(Retry(), self._clock, write=creates, full_since=None)
        while True:
            outcome = self._once(method, path, query, body)
            if isinstance(outcome, Reply):
                return outcome
            wait = backoff.next_delay(outcome.retryable, outcome.retry_after)
            if wait is None:
                more = f"; gave up after {backoff.attempts} attempts" if backoff.attempts > 1 else ""
                if outcome.retry_after and backoff.attempts == 1:
                    more = f"; it asked to retry after {outcome.retry_after:.0f} s"
                raise outcome.error(more)
            self._note(f"{outcome.text}; retrying in {math.ceil(wait)} s")
            self._clock.sleep(wait)

    def _once(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> Reply | Failure:
        line = f"{method} {self._base}{path}"
        url = f"{self._base}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        content = None if body is None else json.dumps(body).encode()
        headers = dict(self._headers)
        if content is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        try:
            response = self._connections.send(Request(method, url, headers, content), self._address)
        except (OSError, HTTPError) as error:
            self._connections.drop()
            return transport_failure(error, line)
        return self._read(response, line)

    def _read(self, response: RawResponse, line: str) -> Reply | Failure:
        status = response.status
        line = f"{line}: HTTP {status}"
        try:
            value: Any = json.loads(response.content) if response.content.strip() else None
        except (ValueError, RecursionError):
            value = _UNREADABLE
        if 200 <= status < 300:
            if value is _UNREADABLE:
                return Failure(
                    ResponseLost, f"{line}: the response is not JSON", Retryable.READ, status=status
                )
            return Reply(value, response.headers)
        words = self._words(value) or response.reason or "no reason given"
        delay = self._delay(response)
        if 300 <= status < 400:
            words = "redirects are not followed because requests carry a token"
        elif hint := "" if delay is not None else self._hints.get(status, ""):
            words = f"{words}; {hint}"
        error = ResponseLost if status >= 500 else RequestFailed
        return Failure(error, f"{line}: {words}", _retryable(status, delay), delay, status)

    def _words(self, value: Any) -> str:
        """Return the reason in an error response, without the token that it may repeat."""
        if isinstance(value, Mapping):
            value = next(
                (
                    value[key]
                    for key in ("message", "error_description", "error", "messages")
                    if value.get(key)
                ),
                "",
            )
        return self.safe(value if isinstance(value, str) else json.dumps(value)) if value else ""

    def safe(self, text: str) -> str:
        """Return text of the forge on one line, shortened, without the token."""
        text = text[: 20 * MAX_MESSAGE]
        for form in encoded_forms(self._token):
            text = text.replace(form, MASK)
        shown = printable(redacted(text)).rstrip(".")
        return shown if len(shown) <= MAX_MESSAGE else f"{shown[:MAX_MESSAGE]}..."

    def _delay(self, response: RawResponse) -> float | None:
        """Return the seconds to wait for a rate limit; None if the response is about none."""
        headers, status = response.headers, response.status
        if status not in {403, 429, 503}:
            return None
        if (seconds := retry_after(headers)) is not None:
            return seconds
        reset = headers.get("X-RateLimit-Reset", "")
        if headers.get("X-RateLimit-Remaining") == "0" and reset.isascii() and reset.isdecimal():
            return max(0.0, float(reset[:12]) - self._clock.utc())
        return None


_UNREADABLE = object()


def _retryable(status: int, delay: float | None) -> Retryable:
    if status == 429 or (status == 403 and delay is not None):
        return Retryable.REFUSED  # a rate limit
    return Retryable.READ if status >= 500 else Retryable.NEVER
