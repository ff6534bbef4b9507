"""Credentials -> headers of requests, by one class for each authentication method."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deployer.clock import Clock
from deployer.cloud.credentials import AccessKey, Credential, Password, ResolvedCredential, Token
from deployer.cloud.exchange import Auth, Request
from deployer.cloud.signing import DATE_FORMAT, authorization, canonical_query
from deployer.cloud.transport import Transport
from deployer.errors import ApiError, NotSent, RequestFailed, UsageError
from deployer.project.load import PROJECT_FILE
from deployer.project.target import Target

if TYPE_CHECKING:
    from deployer.cloud.iam import Iam, IamToken

# A token is renewed this many seconds before it expires: longer than one request takes.
_BEFORE_END = 600.0

_TOKEN = "X-Auth-Token"  # noqa: S105 - the name of a header


class TokenAuth(Auth):
    """Authentication with a token that was obtained elsewhere."""

    def __init__(self, token: str) -> None:
        self._token = token

    def authenticated(self, request: Request) -> Request:
        return request.with_headers({_TOKEN: self._token})


class PasswordAuth(Auth):
    """Authentication with tokens of `fetch`, renewed before they expire; a rejected one is renewed once.

    Writes are also repeated after a 401: the gateway checks the token before it forwards a request, so
    nothing was executed.
    """

    def __init__(self, fetch: Callable[[], IamToken], clock: Clock | None = None) -> None:
        self._fetch = fetch
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._held: IamToken | None = None
        self._until = 0.0
        self._refusal: NotSent | None = None

    def authenticated(self, request: Request) -> Request:
        return request.with_headers({_TOKEN: self.token().value})

    def renewed(self, request: Request) -> Request:
        return request.with_headers({_TOKEN: self.token(rejected=request.headers[_TOKEN]).value})

    def token(self, *, rejected: str = "") -> IamToken:
        """Return the token; a new one if it is about to expire or is `rejected`. Raises NotSent."""
        with self._lock:
            if self._refusal:
                raise self._refusal  # a wrong password is not retried: that would lock the user
            if not self._held or self._held.value == rejected or self._clock.monotonic() >= self._until:
                self._held = self._fetch_token()
                self._until = self._clock.monotonic() + self._held.seconds - _BEFORE_END
            return self._held

    def _fetch_token(self) -> IamToken:
        try:
            return self._fetch()
        except ApiError as error:
            failure = NotSent(
                f"login failed: {error}",
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            )
            if isinstance(error, RequestFailed) and error.status in {400, 401, 403}:
                self._refusal = failure
        # Raised outside of `except`: the request itself was never sent, so the login error is not its cause.
        raise failure


class SigningAuth(Auth):
    """Authentication by signing."""

    def __init__(self, key: AccessKey, project_id: str = "", clock: Clock | None = None) -> None:
        self._key = key
        self._project_id = project_id
        self._clock = clock or Clock()

    def authenticated(self, request: Request) -> Request:
        parts = urlsplit(request.url)
        url = parts._replace(
            query=canonical_query(parts.query)
        ).geturl()  # the URL that is sent must be the signed one
        body = request.body or b""
        signed = {
            "Host": parts.netloc,
            "X-Sdk-Date": datetime.fromtimestamp(self._clock.utc(), UTC).strftime(DATE_FORMAT),
        }
        if self._project_id:
            signed["X-Project-Id"] = self._project_id
        if self._key.security_token:
            signed["X-Security-Token"] = self._key.security_token
        if body:
            signed["Content-Type"] = request.headers["Content-Type"]
        # The other headers are left unsigned: a proxy may change them.
        signature = authorization(self._key.ak, self._key.sk, request.method, url, signed, body)
        return replace(request, url=url).with_headers({**signed, "Authorization": signature})


@dataclass(frozen=True, slots=True)
class AuthContext:
    """The authentication for a target, its credential and its project."""

    auth: Auth
    project_id: str
    credential: Credential | None = None


# The built-in emulator accepts any token; it is never sent a real one.
LOCAL = TokenAuth("local")


def sign_in(target: Target, found: ResolvedCredential, transport: Transport) -> AuthContext:
    """Prepare a credential for use, and look up the project id if it is not configured.

    Raises ApiError, and UsageError if there is no name to look it up by, or not exactly one project.
    """
    credential = found.credential
    project_id = target.project_id or found.project_id
    # A region's projects begin with its name; the environment may name that of another target.
    name = found.project_name if found.project_name.startswith(target.region) else target.region
    if not project_id and not name:
        raise UsageError(f"target '{target.name}' has no projectId in {PROJECT_FILE}")
    if isinstance(credential, Password):
        iam, scope = _iam(target, found, transport), {"id": project_id} if project_id else {"name": name}
        auth = PasswordAuth(lambda: iam.token(credential, scope), transport.clock)
        return AuthContext(auth, project_id or auth.token().project_id, credential)
    if not project_id:
        auth_for_iam = _auth(credential, "", transport.clock)
        project_id = _iam(target, found, transport).project_id(name, auth_for_iam, credential)
    return AuthContext(_auth(credential, project_id, transport.clock), project_id, credential)


def _auth(credential: Token | AccessKey, project_id: str, clock: Clock) -> Auth:
    if isinstance(credential, Token):
        return TokenAuth(credential.value)
    return SigningAuth(credential, project_id, clock)


def _iam(target: Target, found: ResolvedCredential, transport: Transport) -> Iam:
    from deployer.cloud.iam import Iam  # on use: a token for a known project needs none of it

    return Iam(transport, target.endpoints.get("iam") or found.iam or target.endpoint("iam"))
