"""The limits of one response: how long it may take in all, and how large it may be.

A socket's timeout is for each receive, so that one byte a second would never end, and a small compressed body can be
a large one. Both limits hold from the first byte of the status line on, and no more than the limit is kept.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import DecodeError

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


def read_limited(response: BaseHTTPResponse) -> bytes:
    """Return the decoded body of a response. Raises HTTPError, and OSError for one beyond the limits."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise DecodeError(f"encoding {encoding!r}")
    content = bytearray()
    for piece in response.stream(_PIECE, decode_content=True):
        content += piece
        if len(content) > _MAX_BYTES:
            raise ResponseTooLarge
    if sum(map(content.count, (b"{", b"[", b","))) > _MAX_VALUES:
        raise ResponseTooLarge
    return bytes(content)


def limited_pools(now: Callable[[], float]) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return the classes of pools whose connections limit their responses, by scheme. `now` counts seconds."""

    class Limited(HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp = io.BufferedReader(_Source(self.fp.detach(), sock, now))

    class Plain(HTTPConnection):
        response_class = Limited

    class Encrypted(HTTPSConnection):
        response_class = Limited

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


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
