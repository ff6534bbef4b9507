"""The common types of the service modules: requests, responses, routes and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from deployer.emulator.store import Store

# The owner of every job: the emulator has one user.
OWNER = "emulator"

# JSON as the services write it: without blanks, and with unescaped non-ASCII letters.
json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request. `headers` have lower-case names; `raw` is None for a body that is too large."""

    id: str
    method: str
    target: str
    headers: Mapping[str, str]
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request that matches a route. `path` has the values of its placeholders; `body` is None if it has none.

    `origin` is the URL of the emulator in the request.
    """

    store: Store
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Response:
    """A response. `body` is a JSON value, None for no body."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A failed request; `body` is the body of the response."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def error(status: int, code: str, message: str) -> ApiError:
    """Return an error in the format of DLI and MRS."""
    return ApiError(status, {"error_code": code, "error_msg": message})


def gateway_error(status: int, code: str, message: str, request_id: str) -> ApiError:
    """Return an error of the gateway in front of the APIs; it contains the request id, theirs do not."""
    return ApiError(status, {"error_code": code, "error_msg": message, "request_id": request_id})


@dataclass(frozen=True, slots=True)
class Service:
    """The errors that every route of an API can return: for a bad request, and for an internal failure."""

    refused: Callable[[str], ApiError]
    broken: Callable[[str], ApiError]


# DLI API, "Error codes": 0001 is a parameter check, 0999 an internal failure.
DLI = Service(partial(error, 400, "DLI.0001"), partial(error, 500, "DLI.0999"))


@dataclass(frozen=True, slots=True)
class Route:
    """One API operation. `path` is a path with `{placeholders}`.

    The value of `call` is the body of a response with `status`, unless it is a Response. A POST or PUT requires a
    JSON body, unless it is `bodiless`; an `open` route requires no credentials.
    """

    method: str
    path: str
    service: Service
    call: Callable[[Request], Any]
    status: int = 200
    bodiless: bool = False
    open: bool = False
