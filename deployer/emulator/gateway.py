"""HTTP request -> response: faults, credentials, route, body, and errors in the format of each API."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from deployer.emulator import admin
from deployer.emulator.access import Access
from deployer.emulator.api import ApiError, Call, Request, Response, gateway_error, json_text
from deployer.emulator.checks import ParameterError
from deployer.emulator.entries import changed
from deployer.emulator.faults import Faults, Rule
from deployer.emulator.http1 import Reply
from deployer.emulator.routes import Router
from deployer.emulator.store import Store

_log = logging.getLogger(__name__)

# API gateway, "Error codes". Other statuses are errors of a service.
_GATEWAY_CODES = {
    401: "APIGW.0301",
    403: "APIGW.0302",
    404: "APIGW.0101",
    413: "APIGW.0201",
    429: "APIGW.0308",
    502: "APIGW.0201",
    504: "APIGW.0201",
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway. `wait` takes seconds, and may return earlier when the emulator ends."""

    store: Store
    access: Access
    faults: Faults
    router: Router
    wait: Callable[[float], object]

    def respond(self, call: Call) -> Reply | None:
        """Return the response, None to close the connection. Never raises."""
        rule = None if call.target.startswith(admin.PREFIX) else self.faults.meets(call)
        if rule is None:
            return _reply(self._response(call, self.store))
        return self._faulty(call, rule)

    def _faulty(self, call: Call, rule: Rule) -> Reply | None:
        store = self.store
        if call.method == "GET":
            store = store.glimpse(ago=rule.stale, shift=rule.shift, repeats=rule.repeat)
        response = self._response(call, store) if rule.after else None
        if rule.delay:
            self.wait(rule.delay)
        if rule.drop and not rule.truncate:
            return None
        if rule.status is not None:
            response = self._fault_response(call, rule, rule.status, response)
        response = response or self._response(call, store)
        if (rule.omit or rule.fill) and response.status < 300:
            response = replace(response, body=changed(response.body, rule.omit, rule.fill))
        reply = _reply(response)
        if rule.truncate:
            half = reply.payload[: len(reply.payload) // 2]
            return replace(reply, payload=half, length=len(reply.payload) if rule.drop else None)
        return reply

    def _fault_response(self, call: Call, rule: Rule, status: int, response: Response | None) -> Response:
        """Return the response of a rule. Without a body it is the real one, or that of the gateway or service."""
        body, headers = rule.body, rule.headers
        if response is not None:
            return Response(status, response.body if body is None else body, {**response.headers, **headers})
        if body is None and (code := _GATEWAY_CODES.get(status)):
            body = gateway_error(status, code, HTTPStatus(status).phrase, call.id).body
        elif body is None and (found := self.router.find(call.method, call.target.partition("?")[0])):
            service = found[0].service
            body = (service.broken if status >= 500 else service.refused)("A fault was asked for").body
        return Response(status, body, headers)

    def _response(self, call: Call, store: Store) -> Response:
        try:
            return self._execute(call, store)
        except ApiError as refusal:
            return Response(refusal.status, refusal.body)

    def _execute(self, call: Call, store: Store) -> Response:
        path, _, query = call.target.partition("?")
        found = self.router.find(call.method, path)
        if found is None or not found[0].open:
            self.access.check(call)
        if call.raw is None:
            raise gateway_error(413, "APIGW.0201", "Request entity too large", call.id)
        if found is None:
            raise gateway_error(
                404, "APIGW.0101", "The API does not exist or has not been published", call.id
            )
        route, placeholders = found
        try:
            reads = call.method in ("POST", "PUT") and not route.bodiless
            body = _body(call.headers, call.raw) if reads else None
            origin = f"http://{call.headers.get('host', '127.0.0.1')}"
            value = route.call(Request(store, placeholders, dict(parse_qsl(query)), body, origin))
        except ParameterError as refusal:
            raise route.service.refused(str(refusal)) from None
        except ApiError:
            raise
        except Exception:  # noqa: BLE001  a server always responds; the log gets the traceback
            _log.exception("%s %s failed", call.method, path)
            raise route.service.broken("Internal service error") from None
        return value if isinstance(value, Response) else Response(route.status, value)


def _reply(response: Response) -> Reply:
    body = response.body
    if body is None:
        return Reply(response.status, b"", response.headers)
    return Reply(
        response.status, (body if isinstance(body, str) else json_text(body)).encode(), response.headers
    )


def _body(headers: Mapping[str, str], raw: bytes) -> Any:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ParameterError("the Content-Type must be application/json")
    try:
        body = _decode(raw.decode())
        if b"\\u" in raw:
            # An unpaired surrogate, which a response cannot contain.
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


# A number that is not valid in JSON would make the response invalid.
_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_finite).decode
