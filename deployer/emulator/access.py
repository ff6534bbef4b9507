"""Authentication: tokens, and requests that are signed with an access key.

Rejections are those of the vendor's gateway ("API Request Signing Guide", "Error codes" and
"Common Errors Related to IAM Authentication Information").
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deployer.emulator.api import ApiError, Call, gateway_error
from deployer.emulator.signature import canonical_request, claim, signature

_LIFE = timedelta(hours=24)
_MOST_SKEW = timedelta(minutes=15)
_DATE = "%Y%m%dT%H%M%SZ"

# After this many invalid signatures in a row the key is locked for a while, for valid ones too.
_MOST_FAILURES = 5
_LOCKED = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that the emulator accepts. Without any, every request is accepted.

    `token` never expires; without it and a `password` every token is accepted, and every user and password can
    log in. A key with a `security_token` is a temporary one.
    """

    token: str | None = None
    ak: str | None = None
    sk: str | None = None
    security_token: str | None = None
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    issued: datetime
    expires: datetime


class Access:
    """A thread-safe check of credentials. Tokens and failures are kept in memory only."""

    def __init__(self, credentials: Credentials, clock: Callable[[], float]) -> None:
        self._credentials = credentials
        self._is_guarded = any((credentials.token, credentials.ak, credentials.password))
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: dict[str, Token] = {}
        self._failures = 0
        self._locked_until = datetime.min.replace(tzinfo=UTC)

    def check(self, call: Call) -> None:
        """Raise an ApiError unless the request is authenticated."""
        token, signed = call.headers.get("x-auth-token"), call.headers.get("authorization")
        if signed is not None and self._is_guarded:
            self._check_signature(call, signed)
        elif token is not None:
            self._check_token(call, token)
        elif self._is_guarded:
            raise _refused(call, "x-auth-token not found")

    def sign_in(self, user: str, password: str) -> Token | None:
        """Return a new token, or None if user or password is wrong."""
        credentials = self._credentials
        if credentials.user is None or credentials.password is None:
            # If every token is accepted, everyone can get one.
            return self._issue() if credentials.token is None else None
        is_valid = _equal(credentials.user, user) and _equal(credentials.password, password)
        return self._issue() if is_valid else None

    def renew(self, token: str) -> Token | None:
        """Return a new token for a valid one, otherwise None."""
        issued = self._issued.get(token)
        valid = self._now() < issued.expires if issued else self._is_accepted(token)
        return self._issue() if valid else None

    def _issue(self) -> Token:
        now = self._now()
        # As long as real ones, which clients and proxies must be able to send.
        token = Token(f"MII{secrets.token_urlsafe(1500)}", now, now + _LIFE)
        with self._lock:
            self._issued = {text: held for text, held in self._issued.items() if now < held.expires + _LIFE}
            self._issued[token.text] = token
        return token

    def _check_token(self, call: Call, token: str) -> None:
        issued = self._issued.get(token)
        if issued is not None and self._now() >= issued.expires:
            raise gateway_error(401, "APIGW.0307", "The token must be updated.", call.id)
        if issued is None and not self._is_accepted(token):
            raise _refused(call, "decrypt token fail")

    def _is_accepted(self, token: str) -> bool:
        if self._credentials.token is None:
            return self._credentials.password is None
        return _equal(self._credentials.token, token)

    def _check_signature(self, call: Call, header: str) -> None:
        claimed, credentials = claim(header), self._credentials
        if claimed is None:
            raise _refused(call, "authorization format is incorrect")
        if credentials.ak is None or credentials.sk is None or not _equal(credentials.ak, claimed.access):
            raise _refused(call, f"Get secretKey failed,ak:{claimed.access},err:ak not exist")
        date, now = call.headers.get("x-sdk-date", ""), self._now()
        if now < self._locked_until:
            raise _refused(call, "AK access failed to reach the limit,forbidden.")
        needed = {"host", "x-sdk-date"} | {"x-security-token"} & call.headers.keys()
        if not needed <= {*claimed.signed} <= call.headers.keys():
            raise _refused(call, f"the signed headers must be there, and {', '.join(sorted(needed))} signed")
        if abs(_time(call, date) - now) > _MOST_SKEW:
            times = f"signature time:{date},server time:{now.strftime(_DATE)}"
            raise _refused(call, f"signature expired, {times}")
        canonical = canonical_request(call.method, call.target, call.headers, claimed.signed, call.raw or b"")
        is_valid = hmac.compare_digest(signature(credentials.sk, date, canonical), claimed.signature)
        self._count(is_valid, now)
        if not is_valid:
            shown = canonical.replace("\n", "|")
            raise _refused(call, f"verify aksk signature fail, canonicalRequest:{shown}")
        if call.headers.get("x-security-token") != credentials.security_token:
            raise _refused(call, "the security token is invalid")

    def _count(self, is_valid: bool, now: datetime) -> None:
        with self._lock:
            self._failures = 0 if is_valid else self._failures + 1
            if self._failures >= _MOST_FAILURES:
                self._failures, self._locked_until = 0, now + _LOCKED

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _refused(call: Call, why: str) -> ApiError:
    return gateway_error(401, "APIGW.0301", f"Incorrect IAM authentication information: {why}", call.id)


def _time(call: Call, date: str) -> datetime:
    try:
        return datetime.strptime(date, _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise _refused(call, f"x-sdk-date {date!r} is not in the format YYYYMMDDTHHMMSSZ") from None


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
