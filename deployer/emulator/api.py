"""What every service module is made of: calls, requests, answers, routes, and the ways to say no."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from deployer.emulator.store import Store

# Who submitted every job: the emulator knows one user.
OWNER = "emulator"

# JSON text as the services write it: without blanks, and with letters of all languages as they are.
json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request. `headers` has lower-case names; `raw` is None for a body that was too large."""

    id: str
    method: str
    target: str
    headers: Mapping[str, str]
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Request:
    """A call that a route matched. `path` holds the route's placeholders; `body` is None without one.

    `origin` is the URL that the client reached the emulator by.
    """

    store: Store
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is a JSON value, None for no body at all."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A call that failed; `body` is answered as it is."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def error(status: int, code: str, message: str) -> ApiError:
    """The shape that DLI and MRS share."""
    return ApiError(status, {"error_code": code, "error_msg": message})


def gateway_error(status: int, code: str, message: str, request_id: str) -> ApiError:
    """What the gateway in front of the APIs says: unlike theirs, its errors carry the id of the request."""
    return ApiError(status, {"error_code": code, "error_msg": message, "request_id": request_id})


@dataclass(frozen=True, slots=True)
class Service:
    """How an API words the errors that any of its calls can end in: a wrong request, and its own failure."""

    refused: Callable[[str], ApiError]
    broken: Callable[[str], ApiError]


# DLI API, "Error codes": 0001 is a parameter check, 0999 the service's own failure.
DLI = Service(partial(error, 400, "DLI.0001"), partial(error, 500, "DLI.0999"))


@dataclass(frozen=True, slots=True)
class Route:
    """One API operation. `path` is a path with `{placeholders}`.

    The value of `call` is answered with `status`, unless it is an Answer. A POST or PUT must have a JSON
    body, unless it is `bodiless`; an `open` route asks for no credentials.
    """

    method: str
    path: str
    service: Service
    call: Callable[[Request], Any]
    status: int = 200
    bodiless: bool = False
    open: bool = False
