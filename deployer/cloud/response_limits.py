"""The limits of one response: how long it may take in all, and how large it may be.

A socket's timeout is for each receive, so that one byte a second would never end, and a small compressed body can be
a large one. Both limits hold from the first byte of the status line on, and no more than the limit is kept.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

# The gateway ends a request after about two minutes; the rest is for the transfer.
RESPONSE_SECONDS = 180

# The largest page that is possible: 100 jobs of MRS, each with 150,000 characters of arguments, is half of it.
MAX_MEGABYTES = 32
_MAX_BYTES = MAX_MEGABYTES * 1024 * 1024

# Millions of tiny values take ten times their size in memory. What a text contains is counted too.
_MAX_VALUES = 3_000_000

# Headers and the lines between chunks are received too.
_MAX_RECEIVED = _MAX_BYTES + 1024 * 1024

# The encodings that are decoded piece by piece. A service may use others, or several, although nobody asked for them.
_ENCODINGS = ("", "identity", "gzip", "deflate")
_PIECE = 16 * 1024


class ResponseTooSlow(TimeoutError):
    """A response that was not complete within RESPONSE_SECONDS."""


class ResponseTooLarge(OSError):
    """A response of more than MAX_MEGABYTES, or of far more values than any job list."""


class LimitedAdapter(HTTPAdapter):
    """An adapter of `requests` that reads every response within the limits. `now` counts seconds.

    `before_send` is called just before a request is sent, also before one that is repeated after a login.
    """

    def __init__(self, now: Callable[[], float], before_send: Callable[[], object]) -> None:
        super().__init__()
        self._before_send = before_send
        self._connections = _connections(now)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return the pool for a request, whose connections limit their responses."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = self._connections[pool.scheme]
        return pool

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request and read the whole response. Raises OSError."""
        self._before_send()
        response = super().send(request, *args, **{**options, "stream": True})
        try:
            response._content = _read(response)  # as its own `content` does, but limited
        except BaseException:
            response.close()
            raise
        return response


def _read(response: requests.Response) -> bytes:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise requests.exceptions.ContentDecodingError(f"encoding {encoding!r}")
    content = bytearray()
    for piece in response.iter_content(_PIECE):
        content += piece
        if len(content) > _MAX_BYTES:
            raise ResponseTooLarge
    if sum(map(content.count, (b"{", b"[", b","))) > _MAX_VALUES:
        raise ResponseTooLarge
    return bytes(content)


def _connections(now: Callable[[], float]) -> Mapping[str, type[HTTPConnection]]:
    """Return the classes of connections whose responses are limited, by scheme."""

    class Limited(HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp = io.BufferedReader(_Source(self.fp.detach(), sock, now))

    class Plain(HTTPConnection):
        response_class = Limited

    class Encrypted(HTTPSConnection):
        response_class = Limited

    return {"http": Plain, "https": Encrypted}


class _Source(io.RawIOBase):
    """The bytes of one response from a socket; raises ResponseTooSlow and ResponseTooLarge."""

    def __init__(self, source: Any, sock: Any, now: Callable[[], float]) -> None:
        self._source = source
        self._sock = sock
        self._now = now
        self._until = now() + RESPONSE_SECONDS
        self._left = _MAX_RECEIVED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._until - self._now()
        if seconds <= 0:
            raise ResponseTooSlow
        timeout = self._sock.gettimeout()
        if timeout is None or seconds < timeout:
            self._sock.settimeout(seconds)
        try:
            count: int | None = self._source.readinto(buffer)
        except TimeoutError:
            if self._now() >= self._until:
                raise ResponseTooSlow from None
            raise
        self._left -= count or 0
        if self._left < 0:
            raise ResponseTooLarge
        return count

    def close(self) -> None:
        self._source.close()
        super().close()
