"""The emulator's IAM: tokens and projects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from .conftest import Api, Clock

TOKENS = "/v3/auth/tokens"
BATCHES = "/v2.0/p/batches"

Start = Callable[..., Api]


def password(user: str = "somebody", secret: str = "a-password", **scope: Any) -> dict[str, Any]:  # noqa: S107
    who = {"name": user, "password": secret, "domain": {"name": "account"}}
    identity = {"methods": ["password"], "password": {"user": who}}
    return {"auth": {"identity": identity, **({"scope": scope} if scope else {})}}


def sign_in(api: Api, body: Any = None) -> requests.Response:
    return api.call("POST", TOKENS, json=body or password(project={"name": "cn-north-4"}))


def project(api: Api, name: str, **headers: str) -> list[Any]:
    response = api.call("GET", f"/v3/projects?name={name}", headers=headers)
    found: list[Any] = response.json()["projects"]
    return found


def test_a_token_for_a_password(start: Start, clock: Clock) -> None:
    api = start(user="somebody", password="a-password")  # noqa: S106
    response = sign_in(api)
    assert response.status_code == 201
    token = response.json()["token"]
    assert (token["issued_at"], token["expires_at"], token["methods"]) == (
        "2024-07-03T09:46:40.000000Z",
        "2024-07-04T09:46:40.000000Z",
        ["password"],
    )
    assert token["user"]["name"] == "somebody"
    text = response.headers["X-Subject-Token"]
    assert len(text) > 1000
    (region,) = project(api, "cn-north-4", **{"X-Auth-Token": text})
    assert token["project"]["name"] == "cn-north-4"
    assert token["project"]["id"] == region["id"]
    assert [service["endpoints"][0]["url"] for service in token["catalog"]] == [
        f"{api.server.url}/v1.0/{region['id']}",
        f"{api.server.url}/v1.1/{region['id']}",
    ]


def test_a_token_lives_for_a_day(start: Start, clock: Clock) -> None:
    api = start(token="another", user="somebody", password="a-password")  # noqa: S106
    headers = {"X-Auth-Token": sign_in(api).headers["X-Subject-Token"]}
    clock.now += 86_399
    assert api.call("GET", BATCHES, headers=headers).status_code == 200
    clock.now += 1
    late = api.call("GET", BATCHES, headers=headers)
    assert (late.status_code, late.json()["error_code"]) == (401, "APIGW.0307")
    assert api.call("GET", BATCHES, headers={"X-Auth-Token": "another"}).status_code == 200


@pytest.mark.parametrize(("user", "secret"), [("somebody", "wrong"), ("nobody", "a-password")])
def test_a_wrong_password(start: Start, user: str, secret: str) -> None:
    api = start(user="somebody", password="a-password")  # noqa: S106
    response = sign_in(api, password(user, secret))
    assert response.status_code == 401
    message = "The username or password is wrong."
    assert response.json() == {"error": {"code": 401, "message": message, "title": "Unauthorized"}}
    assert "X-Subject-Token" not in response.headers


def test_with_a_password_a_token_must_have_been_given(start: Start) -> None:
    api = start(user="somebody", password="a-password")  # noqa: S106
    for headers in ({}, {"X-Auth-Token": "a-guess"}):
        assert api.call("GET", BATCHES, headers=headers).status_code == 401
    assert api.call("GET", "/v3/projects").status_code == 401


def test_anybody_can_sign_in_where_any_token_is_taken(api: Api) -> None:
    assert sign_in(api, password("anybody", "anything")).status_code == 201


def test_nobody_can_sign_in_where_only_one_token_is_taken(start: Start) -> None:
    assert sign_in(start(token="another")).status_code == 401  # noqa: S106


def test_scopes(api: Api) -> None:
    by_id = sign_in(api, password(project={"id": "pid"})).json()["token"]
    assert by_id["project"]["id"] == "pid"
    account = sign_in(api, password(domain={"name": "account"})).json()["token"]
    assert ("project" in account, account["catalog"]) == (False, [])
    nowhere = sign_in(api, password(project={"name": "nowhere"}))
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, 404)
    short = api.call("POST", f"{TOKENS}?nocatalog=true", json=password(project={"id": "pid"})).json()["token"]
    assert "catalog" not in short


def test_a_token_for_a_token(start: Start, clock: Clock) -> None:
    api = start(token="first")  # noqa: S106

    def renew(token: str) -> requests.Response:
        identity = {"methods": ["token"], "token": {"id": token}}
        return sign_in(api, {"auth": {"identity": identity, "scope": {"project": {"name": "eu-de"}}}})

    second = renew("first").headers["X-Subject-Token"]
    third = renew(second).headers["X-Subject-Token"]
    assert api.call("GET", BATCHES, headers={"X-Auth-Token": third}).status_code == 200
    assert renew("a-guess").status_code == 401
    clock.now += 86_400
    assert renew(second).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"auth": {}},
        {"auth": {"identity": {"methods": []}}},
        {"auth": {"identity": {"methods": ["totp"]}}},
        {"auth": {"identity": {"methods": ["password"]}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a"}}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {}}}},
    ],
)
def test_a_body_that_is_none(api: Api, body: Any) -> None:
    response = api.call("POST", TOKENS, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, 400)


def test_the_project_of_a_region(api: Api) -> None:
    (north,), (east,) = project(api, "cn-north-4"), project(api, "cn-east-3")
    assert (north["name"], north["enabled"], len(north["id"])) == ("cn-north-4", True, 32)
    assert north["id"] != east["id"]
    assert project(api, "nowhere") == []
    assert api.get("/v3/projects")["projects"] == [north]
    assert api.get("/v3/projects")["links"]["self"] == f"{api.server.url}/v3/projects"
