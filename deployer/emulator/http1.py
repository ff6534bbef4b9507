"""HTTP/1.1 for the clients of a JSON API on loopback, with a thread for each connection."""

from __future__ import annotations

import io
import logging
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, cast

from deployer.emulator.api import Call, gateway_error, json_text

_log = logging.getLogger(__name__)
_LONGEST_LINE = 1 << 16

# API gateway, "Error codes": a larger body is refused with 413.
_MOST_BYTES = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """A response. `length` is the Content-Length if it is wrong; the connection is closed after that."""

    status: int
    payload: bytes
    headers: Mapping[str, str]
    length: int | None = None


class _Lines(io.BufferedReader):
    """The bytes from a client. A partial line raises: http.server would treat it as the end of the headers."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise ConnectionError("the client has closed the connection")
        return line


class Connection(BaseHTTPRequestHandler):
    """A connection, on which requests are served until either side closes it."""

    protocol_version = "HTTP/1.1"
    # With the default, 0.9, a request without a version would be rejected without a status line.
    default_request_version = "HTTP/1.0"
    rbufsize = 0
    # A response is one write, and is sent at once.
    wbufsize = io.DEFAULT_BUFFER_SIZE
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.rfile = _Lines(cast("io.RawIOBase", self.rfile))

    def handle_one_request(self) -> None:
        """Read a request of any method, and respond to it."""
        self.command, self.request_version = "", self.protocol_version
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if len(self.raw_requestline) > _LONGEST_LINE:
            self.send_error(400, "Line too long")
        elif self.parse_request():
            self._respond()
        self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Reject an invalid request. The start of the next one is unknown, so the connection is closed."""
        self.close_connection = True
        request_id = uuid.uuid4().hex
        error = gateway_error(400, "APIGW.0201", message or "Bad request", request_id)
        self._send(request_id, Reply(400, json_text(error.body).encode(), {}))

    def _respond(self) -> None:
        headers = {name.lower(): value.strip() for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if len(self.requestline.split(" ")) != 3:
            self.send_error(400, "Bad request line")
        elif self.headers.defects or any("\n" in value for value in headers.values()):
            self.send_error(400, "Bad headers")
        elif "transfer-encoding" in headers or not (length.isdecimal() and len(length) < 16):
            self.send_error(400, "A body needs its Content-Length")
        else:
            call = Call(uuid.uuid4().hex, self.command, self.path, headers, self._body(int(length)))
            reply = self.server.respond(call)
            if reply is None:
                self.close_connection = True
            else:
                self._send(call.id, reply)

    def _body(self, left: int) -> bytes | None:
        """Return the body, None if it is too large. A partial request is not executed."""
        self.wfile.flush()  # some clients wait for 100 Continue
        if left > _MOST_BYTES:
            # Most clients read the response only after they have sent everything.
            while left and (part := self.rfile.read(min(left, 1 << 16))):
                left -= len(part)
            return None
        body = self.rfile.read(left)
        if len(body) < left:
            raise ConnectionError("the client has closed the connection")
        return body

    def _send(self, request_id: str, reply: Reply) -> None:
        self.close_connection = self.close_connection or reply.length is not None
        has_body = reply.status not in (204, 304)
        payload = reply.payload if has_body else b""
        headers = {
            "Date": formatdate(self.server.clock(), usegmt=True),
            "X-Request-Id": request_id,
            "Connection": "close" if self.close_connection else "keep-alive",
        }
        if payload:
            headers["Content-Type"] = "application/json;charset=utf-8"
        if has_body:
            headers["Content-Length"] = str(len(payload) if reply.length is None else reply.length)
        self.send_response_only(reply.status)
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)


class Server(ThreadingMixIn, TCPServer):
    """A server with a thread for each connection; unlike that of http.server it does not look up its host name."""

    allow_reuse_address = True
    daemon_threads = True
    # With the default of 5 a burst of connections waits until the client's kernel retries.
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
        """Close the connections that clients keep alive, after their current request."""
        with self._closed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self._closed.wait_for(lambda: not self._open, timeout=10)

    def handle_error(self, *_: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            _log.exception("a connection failed")
