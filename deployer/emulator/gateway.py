"""From an HTTP request to an answer: token, route and body, and every error in the shape of its API."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from deployer.emulator.api import ApiError, Request, json_text
from deployer.emulator.checks import ParameterError
from deployer.emulator.routes import find
from deployer.emulator.store import Store

_log = logging.getLogger(__name__)

# API gateway, "Error codes": a larger body is refused with 413.
MOST_BYTES = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request. `headers` has lower-case names; `raw` is None for a body that was too large."""

    id: str
    method: str
    target: str
    headers: Mapping[str, str]
    raw: bytes | None


def gateway_error(status: int, code: str, message: str, request_id: str) -> ApiError:
    """What the gateway in front of the APIs says: unlike theirs, its errors carry the id of the request."""
    return ApiError(status, {"error_code": code, "error_msg": message, "request_id": request_id})


def respond(store: Store, token: str | None, call: Call) -> tuple[int, Any]:
    """Status and JSON value; whatever happens inside, this is an answer."""
    try:
        return 200, _answer(store, token, call)
    except ApiError as refusal:
        return refusal.status, refusal.body


def _answer(store: Store, token: str | None, call: Call) -> Any:
    if token is not None and call.headers.get("x-auth-token") != token:
        raise gateway_error(401, "APIGW.0301", "Incorrect IAM authentication information", call.id)
    if call.raw is None:
        raise gateway_error(413, "APIGW.0201", "Request entity too large", call.id)
    path, _, query = call.target.partition("?")
    found = find(call.method, path)
    if found is None:
        raise gateway_error(404, "APIGW.0101", "The API does not exist or has not been published", call.id)
    route, placeholders = found
    try:
        body = _body(call.headers, call.raw) if call.method == "POST" else None
        return route.call(Request(store, placeholders, dict(parse_qsl(query)), body))
    except ParameterError as refusal:
        raise route.service.refused(str(refusal)) from None
    except ApiError:
        raise
    except Exception:  # noqa: BLE001  a server answers, whatever happens; the log gets the traceback
        _log.exception("%s %s failed", call.method, path)
        raise route.service.broken("Internal service error") from None


def _body(headers: Mapping[str, str], raw: bytes) -> Any:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ParameterError("the Content-Type must be application/json")
    try:
        body = _decode(raw.decode())
        if b"\\u" in raw:
            # Half of a surrogate pair, which no answer could carry.
            json_text(body).encode()
    except (ValueError, RecursionError):
        raise ParameterError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise ParameterError("the body must be a JSON object")
    return body


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(literal)
    return value


# A number that JSON cannot hold would come back in an answer that is not JSON.
_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_finite).decode
