"""HTTP/1.1: as much of it as the clients of a JSON API on loopback use, and a thread for each connection.

http.server's handler spends more time on a request's headers than the rest of the emulator on its answer.
"""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from socketserver import StreamRequestHandler, TCPServer, ThreadingMixIn
from typing import Any

from deployer.emulator.api import Call, gateway_error, json_text

_log = logging.getLogger(__name__)
_LONGEST_LINE = 1 << 16
_MOST_HEADERS = 100

# API gateway, "Error codes": a larger body is refused with 413.
_MOST_BYTES = 12 * 1024 * 1024

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Reply:
    """`length` is what Content-Length claims, None for the truth; the connection ends after a lie."""

    status: int
    payload: bytes
    headers: Mapping[str, str]
    length: int | None = None


class _MalformedError(Exception):
    """What came is no request, so nobody knows where the next one begins: the connection ends."""


class _HungUpError(Exception):
    """The client is gone. Half a request is not acted on."""


class Connection(StreamRequestHandler):
    """Answers one request after the other, until either side has enough."""

    # An answer is one write, and leaves at once.
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        with suppress(_HungUpError, ConnectionError):
            try:
                while self._serve():
                    pass
            except _MalformedError as problem:
                request_id = uuid.uuid4().hex
                error = gateway_error(400, "APIGW.0201", str(problem), request_id)
                self._send(request_id, Reply(400, json_text(error.body).encode(), {}), last=True)

    def _serve(self) -> bool:
        """Whether the connection stays open for another request."""
        words = self._line().split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise _MalformedError("Bad request line")
        method, target, version = words
        headers = self._headers()
        last = version != "HTTP/1.1" or headers.get("connection", "").lower() == "close"
        call = Call(uuid.uuid4().hex, method, target, headers, self._body(headers))
        reply = self.server.respond(call)
        if reply is None:
            return False
        last = last or reply.length is not None
        self._send(call.id, reply, last=last, silent=method == "HEAD")
        return not last

    def _line(self) -> str:
        line = self.rfile.readline(_LONGEST_LINE + 1)
        if not line.endswith(b"\n"):
            raise _MalformedError("Line too long") if len(line) > _LONGEST_LINE else _HungUpError
        return line.decode("latin-1").rstrip("\r\n")

    def _headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        while line := self._line():
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip() or len(headers) == _MOST_HEADERS:
                raise _MalformedError("Bad headers")
            headers[name.lower()] = value.strip()
        return headers

    def _body(self, headers: Mapping[str, str]) -> bytes | None:
        """None when it is too large."""
        text = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not (text.isdecimal() and len(text) < 16):
            raise _MalformedError("A body needs its Content-Length")
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(text)
        if left > _MOST_BYTES:
            # Most clients look for an answer only when they have sent everything.
            while left and (part := self.rfile.read(min(left, 1 << 16))):
                left -= len(part)
            return None
        body = self.rfile.read(left)
        if len(body) < left:
            raise _HungUpError
        return body

    def _send(self, request_id: str, reply: Reply, *, last: bool, silent: bool = False) -> None:
        status = reply.status
        payload = b"" if status in (204, 304) else reply.payload
        headers = {
            "Date": formatdate(self.server.clock(), usegmt=True),
            "X-Request-Id": request_id,
            "Connection": "close" if last else "keep-alive",
        }
        if payload:
            headers["Content-Type"] = "application/json;charset=utf-8"
        if status not in (204, 304):
            headers["Content-Length"] = str(len(payload) if reply.length is None else reply.length)
        headers |= reply.headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n{lines}\r\n".encode()
        self.wfile.write(head if silent else head + payload)


class Server(ThreadingMixIn, TCPServer):
    """A thread for each connection; unlike http.server's it asks no name service what it is called."""

    allow_reuse_address = True
    daemon_threads = True
    # With the default of 5 a burst of connections waits for the client's kernel to try again.
    request_queue_size = 128

    def __init__(
        self, port: int, clock: Callable[[], float], respond: Callable[[Call], Reply | None]
    ) -> None:
        self.clock = clock
        self.respond = respond
        self._open: set[Any] = set()
        self._closed = threading.Condition()
        super().__init__(("127.0.0.1", port), Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._closed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._closed:
            self._open.discard(request)
            self._closed.notify()

    def hang_up(self) -> None:
        """Ends the connections that clients keep alive, after the call that each is in."""
        with self._closed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self._closed.wait_for(lambda: not self._open, timeout=10)

    def handle_error(self, *_: Any) -> None:
        _log.exception("a connection failed")
