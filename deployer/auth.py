"""Credentials -> requests' AuthBase."""

from __future__ import annotations

from collections.abc import Mapping

from requests import PreparedRequest
from requests.auth import AuthBase

from deployer.errors import DeployerError
from deployer.project import Target


class TokenAuth(AuthBase):
    """Sends a token that somebody else has fetched from IAM, good for 24 hours."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = self._token
        return request


def credentials(target: Target, environment: Mapping[str, str]) -> AuthBase:
    """The credentials of a target; raises DeployerError saying which variable is missing."""
    if target.auth != "token":
        raise DeployerError(
            f"target '{target.name}': this version signs in with a token only; set auth.method to token"
        )
    token = environment.get(target.variable, "").strip()
    if not token and target.emulator:
        token = "local"  # noqa: S105 - the embedded emulator takes any
    if not token:
        raise DeployerError(
            f"target '{target.name}': the environment variable {target.variable} holds no token"
        )
    if not token.isascii() or not token.isprintable():
        raise DeployerError(
            f"{target.variable} does not hold a token: it has characters that no header may have"
        )
    return TokenAuth(token)
