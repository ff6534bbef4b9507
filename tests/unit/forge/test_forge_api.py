"""Requests to a forge: when they are repeated, how long is waited, and where the token goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployer.clock import Clock
from deployer.cloud.forge_api import ForgeApi
from deployer.errors import ApiError, ResponseLost, UsageError
from testing.forges import BOT, HANGS_UP, ForgeServer


@pytest.fixture
def server() -> Iterator[ForgeServer]:
    with ForgeServer() as served:
        yield served


class Waits:
    """A client of a server, and how long it has waited."""

    def __init__(self, server: ForgeServer) -> None:
        self.slept: list[float] = []
        clock = Clock(
            monotonic=lambda: sum(self.slept),
            utc=lambda: 1_000.0,
            sleep=self.slept.append,
            chance=lambda: 1.0,
        )
        self.notes: list[str] = []
        self.api = ForgeApi(
            f"{server.url}/api/v4/",
            BOT,
            {"PRIVATE-TOKEN": BOT},
            hints={403: "ask for the scope"},
            clock=clock,
            note=self.notes.append,
        )


@pytest.mark.parametrize(
    ("status", "headers", "slept"),
    [
        (429, {"Retry-After": "7"}, [7.0]),
        (429, {}, [1.0]),
        (403, {"Retry-After": "30"}, [30.0]),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1042"}, [42.0]),
        (503, {"Retry-After": "5"}, [5.0]),
        (500, {}, [1.0]),
    ],
)
def test_what_may_be_repeated_is(
    server: ForgeServer, status: int, headers: dict[str, str], slept: list[float]
) -> None:
    client = Waits(server)
    server.says(status, {"message": "later"}, headers)
    assert client.api.send("GET", "/user").value == {"id": "bot"}
    assert client.slept == slept
    assert len(client.notes) == 1


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (403, {}, "later; ask for the scope"),
        (429, {"Retry-After": "61"}, "it asked to retry after 61 s"),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4600"}, "it asked to retry after 3600 s"),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, "later; ask for the scope"),
    ],
)
def test_what_is_not_repeated(server: ForgeServer, status: int, headers: dict[str, str], words: str) -> None:
    client = Waits(server)
    server.says(status, {"message": "later"}, headers)
    with pytest.raises(ApiError, match=words):
        client.api.send("GET", "/user")
    assert (client.slept, len(server.sent)) == ([], 1)


def test_it_gives_up(server: ForgeServer) -> None:
    client = Waits(server)
    for _ in range(4):
        server.says(502, "no JSON")
    with pytest.raises(ResponseLost, match="gave up after 4 attempts"):
        client.api.send("GET", "/user")
    assert client.slept == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("status", [500, 502, 200])
def test_a_create_that_may_have_been_executed_is_not_repeated(server: ForgeServer, status: int) -> None:
    client = Waits(server)
    if status == 200:
        server.faults.append(HANGS_UP)
    else:
        server.says(status, {})
    with pytest.raises(ResponseLost):
        client.api.send("POST", "/x", body={}, creates=True)
    assert (len(server.sent), client.slept) == (1, [])


def test_a_rate_limit_has_executed_nothing(server: ForgeServer) -> None:
    client = Waits(server)
    server.says(429, {}, {"Retry-After": "1"})
    server.says(201, {"id": 1})
    assert client.api.send("POST", "/x", body={}, creates=True).value == {"id": 1}


def test_a_redirect_is_not_followed(server: ForgeServer) -> None:
    client = Waits(server)
    with ForgeServer() as other:
        server.says(307, None, {"Location": f"{other.url}/api/v4/user"})
        with pytest.raises(ApiError, match="redirects are not followed because requests carry a token"):
            client.api.send("GET", "/user")
        assert other.sent == []


@pytest.mark.parametrize(
    "base", ["http://forge.example", "ftp://forge.example", "https://u:p@forge.example", "x"]
)
def test_addresses_that_get_no_token(base: str) -> None:
    with pytest.raises(UsageError):
        ForgeApi(base, BOT, {}, hints={})


@pytest.mark.parametrize("token", ["", " ", "a\nb", "ä", "a\x00"])
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(UsageError, match="characters that no token has"):
        ForgeApi("https://forge.example", token, {}, hints={})
