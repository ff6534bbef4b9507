"""The HTTP side: one loopback port, a thread per connection, answers as the gateway in front of the APIs."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from deployer.emulator.api import ApiError, Request, Service
from deployer.emulator.checks import Refused
from deployer.emulator.routes import find
from deployer.emulator.store import Store

_log = logging.getLogger(__name__)

# API gateway: a larger body is refused with 413.
_MOST_BYTES = 12 * 1024 * 1024


class _Gateway(Exception):
    """An answer that comes from the gateway, in whose shape the answer's request id stands too."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error_code": code, "error_msg": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        raw = self._read_body()
        if raw is None:
            self.close_connection = True
            return
        self._answer(*self._respond(raw))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815
