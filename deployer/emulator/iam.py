"""The part of IAM that is used to log in: a token for a password, and the project of a region (IAM API reference)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from deployer.emulator.access import Access
from deployer.emulator.api import OWNER, ApiError, Request, Response, Route, Service
from deployer.emulator.checks import ParameterError, list_of, one_of, record, text


def _error(status: int, title: str, message: str) -> ApiError:
    """Return an error of IAM: another format than that of DLI and MRS, with a number as code."""
    return ApiError(status, {"error": {"code": status, "message": message, "title": title}})


def _id(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()[:32]


_IAM = Service(partial(_error, 400, "Bad Request"), partial(_error, 500, "Internal Server Error"))
_ACCOUNT = {"id": _id("account"), "name": OWNER}

# Every region has one project, with the name of the region.
_REGION = re.compile(r"[a-z]{2}-[a-z]+(-[0-9]+)?")
_SERVICES = {"dli": "v1.0", "mrs": "v1.1"}

_one = {"id": text(least=1), "name": text(least=1)}
_named = record(_one)
_user = record({**_one, "domain": _named, "password": text(least=1)}, required=("password",))
_identity = record(
    {
        "methods": list_of(one_of("password", "token"), least=1, most=1),
        "password": record({"user": _user}, required=("user",)),
        "token": record({"id": text(least=1)}, required=("id",)),
    },
    required=("methods",),
)
_scope = record({"project": record({**_one, "domain": _named}), "domain": _named})
_auth = record({"identity": _identity, "scope": _scope}, required=("identity",))
_check = record({"auth": _auth}, required=("auth",))


def sign_in(access: Access, request: Request) -> Response:
    """Log in. The token is in a header; the body has its scope and expiry."""
    _check("", request.body)
    identity, scope = request.body["auth"]["identity"], request.body["auth"].get("scope", {})
    (method,) = identity["methods"]
    if method not in identity:
        raise ParameterError(f"auth.identity.{method} is missing")
    if method == "password":
        user = identity["password"]["user"]
        name = user.get("name", user.get("id", ""))
        token = access.sign_in(name, user["password"])
    else:
        name, token = OWNER, access.renew(identity["token"]["id"])
    if token is None:
        raise _error(401, "Unauthorized", "The username or password is wrong.")
    body = {
        "methods": [method],
        "issued_at": _time(token.issued),
        "expires_at": _time(token.expires),
        "user": {"domain": _ACCOUNT, "id": _id(name), "name": name, "password_expires_at": ""},
        "roles": [{"id": "0", "name": "te_admin"}],
        **_reach(scope, request),
    }
    return Response(201, {"token": body}, {"X-Subject-Token": token.text})


def list_projects(request: Request) -> Any:
    """List the projects with a name; without one, that of the first region."""
    name = request.query.get("name", "cn-north-4")
    projects = [_project(name, request.origin)] if _REGION.fullmatch(name) else []
    links = {"self": f"{request.origin}/v3/projects", "previous": None, "next": None}
    return {"links": links, "projects": projects}


def _reach(scope: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return the scope. Without a project it is that of the global services, which the emulator does not have."""
    if "project" not in scope:
        return {"domain": _ACCOUNT, "catalog": []}
    name, project = scope["project"].get("name"), scope["project"].get("id")
    if project is None:
        if name is None or not _REGION.fullmatch(name):
            raise _error(404, "Not Found", f"Could not find project: {name}")
        project = _id(name)
    catalog = [
        _service(service, name or "*", f"{request.origin}/{version}/{project}")
        for service, version in _SERVICES.items()
    ]
    reach = {"project": {"domain": _ACCOUNT, "id": project, "name": name or project}}
    return reach if "nocatalog" in request.query else {**reach, "catalog": catalog}


def _service(name: str, region: str, url: str) -> dict[str, Any]:
    endpoint = {"id": _id(f"{name} endpoint"), "interface": "public", "region": region, "region_id": region}
    return {"id": _id(name), "name": name, "type": name, "endpoints": [{**endpoint, "url": url}]}


def _project(name: str, origin: str) -> dict[str, Any]:
    return {
        "id": _id(name),
        "name": name,
        "description": "",
        "domain_id": _ACCOUNT["id"],
        "parent_id": _ACCOUNT["id"],
        "is_domain": False,
        "enabled": True,
        "links": {"self": f"{origin}/v3/projects/{_id(name)}"},
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def routes(access: Access) -> tuple[Route, ...]:
    return (
        Route("POST", "/v3/auth/tokens", _IAM, partial(sign_in, access), open=True),
        Route("GET", "/v3/projects", _IAM, list_projects),
    )
