"""The result of a request -> a Response, or a Failure that states whether to retry.

HTTP 200 does not mean success, errors have several shapes ("Error Codes" in the DLI and MRS API references),
and after a broken connection the request may or may not have been executed. All that is decided here.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    InvalidHeader,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from deployer.cloud.connections import CONNECT_SECONDS, READ_SECONDS
from deployer.cloud.credentials import Credential
from deployer.cloud.error_codes import Hint, find_hint
from deployer.cloud.exchange import RawResponse, UnfitRequest
from deployer.cloud.response_limits import (
    MAX_MEGABYTES,
    RESPONSE_SECONDS,
    ResponseTooLarge,
    ResponseTooSlow,
)
from deployer.cloud.retry import Retryable
from deployer.cloud.signing import DATE_FORMAT
from deployer.errors import ApiError, NotSent, RequestFailed, ResponseLost, ResponseTimeout
from deployer.kinds.kind import get_path
from deployer.secrets import redact
from deployer.secrets.scrub import MASK, clean_request_id

MAX_MESSAGE = 500

# Statuses of a gateway whose backend may have executed the request nevertheless.
_GATEWAY_STATUSES = {502, 503, 504}

# A timeout, and a rate limit that may stand behind the service: definite only with a code of the table.
_DOUBTFUL_STATUSES = {408, 429}

# A signature is valid this long before and after its date ("API Request Signing Guide").
_SIGNATURE_SECONDS = 15 * 60

_REQUEST_IDS = ("X-Request-Id", "X-IAM-Trace-Id")


@dataclass(frozen=True, slots=True)
class Response:
    """A successful response, with the request line that messages about it begin with.

    `value` is None if there was no body, and none was expected. `size` is that of the body in bytes.
    """

    value: Any
    request_line: str
    headers: Mapping[str, str]
    request_id: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that was not raised yet. `retry_after` is the delay in seconds that the service asks for."""

    error_type: type[ApiError]
    text: str
    retryable: Retryable = Retryable.NEVER
    retry_after: float | None = None
    status: int = 0
    code: str = ""
    request_id: str = ""
    may_be_executed: bool = False

    def error(self, more: str = "") -> ApiError:
        return self.error_type(
            self.text + more,
            status=self.status,
            code=self.code,
            request_id=self.request_id,
            may_be_executed=self.may_be_executed,
        )


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of responses. `scrub` is applied to all text of a service; `credential` is the caller's."""

    scrub: Callable[[str], str]
    credential: Credential | None = None

    def read(self, response: RawResponse, request_line: str, *, bodiless: bool = False) -> Response | Failure:
        """Return the response as data, or the failure that its status and error code mean.

        `bodiless`: a successful response may have no body.
        """
        try:
            value: Any = json.loads(response.content)
        except (ValueError, RecursionError):
            value = None
        status, headers = response.status, response.headers
        request_id = next(filter(None, map(headers.get, _REQUEST_IDS)), None) or get_path(value, "request_id")
        request_id = clean_request_id(str(request_id or ""), lambda text: self._safe_message(text, response))
        request_line = f"{request_line}: HTTP {status}" + (
            f" (request id {request_id})" if request_id else ""
        )
        items = value if isinstance(value, list) else [value]
        code, message = _first_error(map(_error_pair, items))
        if 200 <= status < 300:
            if value is None and not (bodiless and not response.content):
                text = f"{request_line}: the response is not JSON"
                return Failure(ResponseLost, text, Retryable.READ, status=status, request_id=request_id)
            if not code:
                return Response(value, request_line, headers, request_id, len(response.content))
        code = "" if code == str(status) else code  # IAM repeats the status as code
        reason = " ".join(filter(None, (code, message))) or response.reason or "no reason given"
        hint = find_hint(code, message)
        more = [words for words in (hint.hint, self._advice(response)) if words]
        shown = self._safe_message(reason.rstrip(".") or reason if more else reason, response)
        text = "; ".join((f"{request_line}: {shown}", *more))
        lost = not hint.full and (status in _GATEWAY_STATUSES or (status >= 500 and not code))
        return Failure(
            ResponseLost if lost else RequestFailed,
            text,
            _retryable(status, hint),
            retry_after(headers),
            status,
            code,
            request_id,
            lost or _may_be_executed(status, hint),
        )

    def _safe_message(self, message: str, response: RawResponse) -> str:
        """Return a message of a service, shortened and without credentials that it may repeat."""
        length = len(message)
        for name in ("X-Auth-Token", "X-Security-Token", "Authorization"):
            if value := response.request.headers.get(name):
                message = message.replace(value, MASK)
        message = redact.redacted(self.scrub(message)[: 20 * MAX_MESSAGE])
        return message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}... ({length} characters)"

    def _advice(self, response: RawResponse) -> str:
        """Return a hint for responses about authentication."""
        status = response.status
        if 300 <= status < 400:
            return "redirects are not followed because requests carry credentials"
        if status not in {401, 403}:
            return ""
        if skew := _clock_skew(response):
            return skew
        if self.credential is None:
            return ""
        if status == 401:
            return f"check {self.credential.source}: {self.credential.check}"
        return f"check that {self.credential.source} has permission and belongs to this project"


def _retryable(status: int, hint: Hint) -> Retryable:
    if hint.full:
        return Retryable.FULL
    if status == 429 and hint.throttled:
        return Retryable.REFUSED
    # Who else sent a 429 may have executed a write before.
    return Retryable.READ if status == 429 or (status >= 500 and not hint.final) else Retryable.NEVER


def _may_be_executed(status: int, hint: Hint) -> bool:
    """Return whether a request may have been executed in spite of an error: a status alone proves little.

    HTTP 200 with an error contradicts itself. MRS reports also what it certainly refused as HTTP 500, and DLI
    failures on its own side as HTTP 400.
    """
    if hint.full or (status == 429 and hint.throttled):
        return False
    inside = 200 <= status < 300 or (status >= 500 and not hint.final)
    return hint.may_be_executed or inside or status in _DOUBTFUL_STATUSES


def _clock_skew(response: RawResponse) -> str:
    """Describe the clock skew of a signature that was rejected for its date; empty if there is none."""
    signed = response.request.headers.get("X-Sdk-Date")
    date = server_date(response.headers)
    if signed is None or date is None:
        return ""
    ours = datetime.strptime(signed, DATE_FORMAT).replace(tzinfo=UTC)
    seconds = (ours - date).total_seconds()
    if abs(seconds) <= _SIGNATURE_SECONDS:
        return ""
    word = "ahead of" if seconds > 0 else "behind"
    return (
        f"the local clock is {abs(seconds) / 60:.0f} minutes {word} the service; "
        f"signatures are valid for {_SIGNATURE_SECONDS // 60} minutes: correct the clock"
    )


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """Return the time in a response, None if it has none."""
    return _date(headers.get("Date", ""))


@lru_cache(maxsize=64)  # many responses of the same second
def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return seconds, from a number of seconds or from a date relative to that of the response."""
    header = headers.get("Retry-After", "").strip()
    if header.isascii() and header.isdecimal():
        return float(header[:9])
    until, now = _date(header), server_date(headers) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else None


# The causes that prove that a request was never sent, with their messages and whether to retry. A ProxyError is none:
# urllib3 also raises it for a connection through a proxy that broke after the request was sent.
_NOT_SENT: tuple[tuple[type[BaseException], str, Retryable], ...] = (
    (NameResolutionError, "cannot resolve the host name", Retryable.REFUSED),
    (ConnectionRefusedError, "connection refused; is the server running?", Retryable.REFUSED),
    (ConnectTimeoutError, f"connection timed out after {CONNECT_SECONDS} s", Retryable.REFUSED),
    (ssl.SSLCertVerificationError, "the server certificate is not trusted: {}", Retryable.NEVER),
    (NewConnectionError, "cannot connect: {}", Retryable.REFUSED),
)

# How http.client reports that a proxy refused the tunnel through which the request would have been sent.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")


def transport_failure(error: Exception, request_line: str) -> Failure:
    """Convert an exception of `Connections.send` to a Failure."""
    causes = list(_causes(error))
    error_type, words, retryable = _not_sent(causes) or _lost(causes) or _unfit(error) or _BROKEN
    return Failure(error_type, f"{request_line}: {words}", retryable)


# What an exception means: the error, its message, and whether to retry.
_Meaning = tuple[type[ApiError], str, Retryable]


def _not_sent(causes: Sequence[BaseException]) -> _Meaning | None:
    """Return the meaning of causes that prove that the request was never sent; None for others."""
    for error_type, words, retryable in _NOT_SENT:
        if any(isinstance(cause, error_type) for cause in causes):
            if retryable is Retryable.REFUSED and any(isinstance(cause, ProxyError) for cause in causes):
                return NotSent, "the configured proxy is unreachable", retryable
            details = (getattr(cause, "verify_message", getattr(cause, "strerror", "")) for cause in causes)
            return NotSent, words.format(next(filter(None, details), "no reason given")), retryable
    # The text of other exceptions may be that of a server.
    errors = (str(cause) for cause in causes if type(cause) is OSError)
    if refused := next(filter(None, map(_TUNNEL_REFUSED.match, errors)), None):
        # A wrong password for the proxy, for one, stays wrong.
        retryable = Retryable.REFUSED if refused[1] >= "500" else Retryable.NEVER
        return NotSent, f"the configured proxy refused the connection: HTTP {refused[1]}", retryable
    return None


_TOO_SLOW = f"the response was not complete within {RESPONSE_SECONDS} s"
_TOO_LARGE = f"the response is too large (more than {MAX_MEGABYTES} MB, or too many values)"
_NO_TLS = "the TLS connection failed; is this an https server?"

# The meaning of any other error.
_BROKEN: _Meaning = (ResponseLost, "connection closed before the response was complete", Retryable.READ)

# The causes after which a request may have been executed. The header is one of the response: an error in our own has no
# such cause.
_LOST: tuple[tuple[type[BaseException], type[ApiError], str, Retryable], ...] = (
    (ResponseTooLarge, ResponseLost, _TOO_LARGE, Retryable.NEVER),
    (ResponseTooSlow, ResponseTimeout, _TOO_SLOW, Retryable.NEVER),
    (InvalidHeader, ResponseLost, "invalid response headers", Retryable.READ),
    (DecodeError, ResponseLost, "the response cannot be decoded", Retryable.READ),
    (ReadTimeoutError, ResponseTimeout, f"no response within {READ_SECONDS} s", Retryable.READ),
    (ProxyError, *_BROKEN),
    (SSLError, ResponseLost, _NO_TLS, Retryable.NEVER),
)


def _lost(causes: Sequence[BaseException]) -> _Meaning | None:
    """Return the meaning of causes after which the request may have been executed; None for others."""
    for cause_type, error_type, words, retryable in _LOST:
        if any(isinstance(cause, cause_type) for cause in causes):
            return error_type, words, retryable
    return None


def _unfit(error: Exception) -> _Meaning | None:
    """Return the meaning of an error in the request itself; None for others."""
    if isinstance(error, UnfitRequest | LocationValueError):
        return NotSent, f"cannot send the request: {redact.redacted(str(error))}", Retryable.NEVER
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, which urllib3 keeps in `args`, in `reason` or as `__cause__`.

    What was handled before, the `__context__`, is none of them.
    """
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop(0)
        if isinstance(item, BaseException) and item not in seen:
            seen.append(item)
            queue += [*item.args, getattr(item, "reason", None), item.__cause__]
    return iter(seen)


def parse_error(body: Any) -> tuple[str, str]:
    """Return code and message of an error response, whatever its shape; the code is empty if none.

    MRS may nest them in job_submit_result, some pages spell them errorCode and errorMsg, and IAM has
    code and message inside `error`.
    """
    holders = [
        holder for holder in (body, get_path(body, "job_submit_result")) if isinstance(holder, Mapping)
    ]
    found = [
        (
            str(holder.get("error_code") or holder.get("errorCode") or ""),
            str(holder.get("error_msg") or holder.get("errorMsg") or holder.get("message") or ""),
        )
        for holder in holders
    ]
    if isinstance(inner := get_path(body, "error"), Mapping):
        found.append((str(inner.get("code") or ""), str(inner.get("message") or "")))
    return _first_error(found)


def _first_error(pairs: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the first code with its message, or else the first message."""
    pairs = [*pairs]
    return next((pair for pair in pairs if pair[0]), next(filter(any, pairs), ("", "")))


def _error_pair(item: Any) -> tuple[str, str]:
    """Return code and message of an error. HTTP 200 may contain one: is_success may be "false"."""
    code, message = parse_error(item)
    is_success = get_path(item, "is_success")
    # DataArts logs show is_success: false with the id of a batch that was accepted.
    if (
        not code
        and is_success is not None
        and str(is_success).casefold() != "true"
        and not get_path(item, "id")
    ):
        code = "is_success=false"
    return code, message
