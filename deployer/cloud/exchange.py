"""One exchange over HTTP: a request exactly as it is sent, and its response as it arrived."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace


class UnfitRequest(OSError):
    """A request that cannot be sent as it is; raised before anything of it was sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the URL and the bytes that are sent, and so the ones that are signed. It may contain a credential."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A complete response, whatever its status. The names in `headers` have no case."""

    status: int
    reason: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    request: Request


class Auth(ABC):
    """A way to authenticate requests."""

    @abstractmethod
    def authenticated(self, request: Request) -> Request:
        """Return a request with the credential, ready to be sent. Raises NotSent."""

    def renewed(self, request: Request) -> Request | None:  # noqa: ARG002 - for those that can
        """Return a request that was rejected, with a new credential; None if there is no other. Raises NotSent."""
        return None
