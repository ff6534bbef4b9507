"""What every service module is made of: requests, routes, and the ways in which an API says no."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from deployer.emulator.store import Store

# Who submitted every job: the emulator knows one user.
OWNER = "emulator"

# JSON text as the services write it: without blanks, and with letters of all languages as they are.
json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Request:
    """A call that a route matched. `path` holds the route's placeholders; `body` is None without one."""

    store: Store
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any


class ApiError(Exception):
    """Anything but HTTP 200; `body` is answered as it is."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def error(status: int, code: str, message: str) -> ApiError:
    """The shape that DLI and MRS share."""
    return ApiError(status, {"error_code": code, "error_msg": message})


@dataclass(frozen=True, slots=True)
class Service:
    """How an API words the errors that any of its calls can end in: a wrong request, and its own failure."""

    refused: Callable[[str], ApiError]
    broken: Callable[[str], ApiError]


# DLI API, "Error codes": 0001 is a parameter check, 0999 the service's own failure.
DLI = Service(partial(error, 400, "DLI.0001"), partial(error, 500, "DLI.0999"))


@dataclass(frozen=True, slots=True)
class Route:
    """One API operation. `path` is a path with `{placeholders}`; the call's value is answered with 200."""

    method: str
    path: str
    service: Service
    call: Callable[[Request], Any]
