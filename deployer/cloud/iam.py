"""Requests to IAM: a token for a user and password, and the id of a project by its name.

The requests are those of "Making an API Request" and "Authentication" in the API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deployer.cloud.credentials import Credential, Password
from deployer.cloud.exchange import Auth, Request
from deployer.cloud.responses import server_date
from deployer.cloud.transport import Call, Transport
from deployer.errors import ResponseLost, UsageError
from deployer.kinds.kind import get_path

# The lifetime that the documentation states, if a response does not say when its token expires.
_TOKEN_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class IamToken:
    """A token, the seconds for which it remains valid, and its project."""

    value: str = field(repr=False)
    seconds: float
    project_id: str


class NoAuth(Auth):
    """No authentication, for a request whose body has the credential."""

    def authenticated(self, request: Request) -> Request:
        return request


@dataclass(frozen=True, slots=True)
class Iam:
    """The identity service at its URL, with or without the /v3 that OpenStack users append."""

    transport: Transport
    url: str

    @property
    def base(self) -> str:
        return self.url.rstrip("/").removesuffix("/v3").rstrip("/")

    def token(self, password: Password, project: Mapping[str, str]) -> IamToken:
        """Return a token for a project, specified by its `id` or its `name`. Raises ApiError."""
        domain = {"id": password.domain_id} if password.domain_id else {"name": password.domain_name}
        by_name = {"name": password.user_name, "domain": domain}
        user = {"id": password.user_id} if password.user_id else by_name
        identity = {
            "methods": ["password"],
            "password": {"user": {**user, "password": password.password}},
        }
        response = self.transport.send(
            Call(
                "iam",
                self.base,
                "POST",
                "/v3/auth/tokens",
                NoAuth(),
                body={"auth": {"identity": identity, "scope": {"project": dict(project)}}},
                credential=password,
            )
        )
        value, project_id = (
            response.headers.get("X-Subject-Token"),
            get_path(response.value, "token.project.id"),
        )
        if not value or not project_id:
            raise ResponseLost(f"{response.request_line}: the response has no project token")
        return IamToken(value, _seconds(response.value, response.headers), str(project_id))

    def project_id(self, name: str, auth: Auth, credential: Credential) -> str:
        """Return the id of the named project. Raises ApiError; UsageError if there is not exactly one."""
        query = {"name": name}
        call = Call("iam", self.base, "GET", "/v3/projects", auth, query, credential=credential)
        response = self.transport.send(call)
        projects = get_path(response.value, "projects")
        if not isinstance(projects, list):
            raise ResponseLost(f"{response.request_line}: the response has no projects")
        # Filtered again, in case a service ignores the filter.
        ids = [
            str(get_path(project, "id") or "")
            for project in projects
            if get_path(project, "name") in (name, None)
        ]
        if len(ids) != 1 or not ids[0]:
            found = {0: "no project", 1: "1 project without an id"}.get(len(ids), f"{len(ids)} projects")
            raise UsageError(
                f"{response.request_line}: found {found} named {name} for this user; "
                "set projectId in deployer.yaml (console: My Credentials)"
            )
        return ids[0]


def _seconds(value: Any, headers: Mapping[str, str]) -> float:
    """Return how long a token is valid, by the clock of IAM: the local clock may be wrong."""
    try:
        end = datetime.fromisoformat(str(get_path(value, "token.expires_at")))
    except ValueError:
        return _TOKEN_SECONDS
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    return (end - (server_date(headers) or datetime.now(UTC))).total_seconds()
