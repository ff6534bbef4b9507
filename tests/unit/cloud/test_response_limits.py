"""Responses that do not end, or are larger than any job list."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from deployer.clock import Clock
from deployer.cloud.client import Client
from deployer.cloud.response_limits import MAX_MEGABYTES, RESPONSE_SECONDS
from deployer.errors import ApiError, ResponseLost, ResponseTimeout
from deployer.kinds import KINDS
from testing.client import Time, connected
from testing.faults import Answer, Call, FaultProxy
from testing.workspace import SPECS, Workspace, manifest

TOKEN = {"HW_AUTH_TOKEN": "hw-token"}
MEGABYTE = b" " * (1 << 20)
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = b'{"sessions": [], "total": 0}'


def listing(client: Client) -> object:
    return client.entries(KINDS["SparkBatch"], {})


def create(client: Client) -> str:
    return client.create(KINDS["SparkBatch"], "alpha", SPECS["SparkBatch"])


CALLS: dict[str, Callable[[Client], object]] = {"GET": listing, "POST": create}


def raw(pieces: Iterable[bytes]) -> Callable[[Call], Answer]:
    return lambda _: Answer(200, b"", raw=pieces)


# --- time -------------------------------------------------------------------------------------------------

ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "another status": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header": (OK + b"X-Header: ", b"x"),
    "headers": (OK, b"X-Header: %b\r\n" % (b"x" * 9000)),
    "body with a length": (OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "body without a length": (OK + b"\r\n", b" "),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "line of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
}


class Slow(Time):
    """Whatever is received takes `each` seconds; no receive alone takes too long."""

    each: float = 60

    @property
    def clock(self) -> Clock:
        return replace(super().clock, monotonic=self._later)

    def _later(self) -> float:
        self.now += self.each
        return self.now


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("part", ENDLESS)
def test_a_response_that_does_not_end(service: FaultProxy, part: str, method: str) -> None:
    start, piece = ENDLESS[part]
    service.rule(method, "batches", raw(itertools.chain([start], itertools.repeat(piece))))
    words = f"the response was not complete within {RESPONSE_SECONDS} s$"
    with pytest.raises(ResponseTimeout, match=words):
        CALLS[method](connected(service, Slow(), TOKEN))
    assert len(service.calls) == 1


def test_a_response_that_is_slow_but_complete(service: FaultProxy) -> None:
    time = Slow()
    time.each = 10
    service.rule("GET", "batches", raw([OK, f"Content-Length: {len(EMPTY)}\r\n\r\n".encode(), EMPTY]))
    assert listing(connected(service, time, TOKEN)) == []


# --- size -------------------------------------------------------------------------------------------------


def bomb() -> bytes:
    """1.4 MB of gzip, which are 1.4 GB."""
    return gzip.compress(MEGABYTE * 50, 9) * 28


def compressed(encoding: str, body: bytes) -> list[bytes]:
    head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return [OK, head.encode(), body]


LARGE: dict[str, Callable[[], Iterable[bytes]]] = {
    "gzip": lambda: compressed("gzip", bomb()),
    "body": lambda: [OK, b"\r\n", *itertools.repeat(MEGABYTE, 2 * MAX_MEGABYTES)],
    "chunk": lambda: [
        OK,
        b"Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n",
        *itertools.repeat(MEGABYTE, 2 * MAX_MEGABYTES),
    ],
    "values": lambda: compressed("gzip", gzip.compress(b'{"sessions": [%b{}]}' % (b"{}," * 10_000_000))),
    "error": lambda: [b"HTTP/1.1 500 No\r\n\r\n", *itertools.repeat(MEGABYTE, 2 * MAX_MEGABYTES)],
    "other status": lambda: itertools.repeat(
        b"HTTP/1.1 100 Continue\r\nX: %b\r\n\r\n" % (b"x" * 60_000), 1000
    ),
}


@pytest.mark.parametrize(
    ("part", "method"), [*((part, "GET") for part in LARGE), ("gzip", "POST"), ("body", "POST")]
)
def test_a_response_that_is_too_large(service: FaultProxy, time: Time, part: str, method: str) -> None:
    service.rule(method, "batches", raw(LARGE[part]()))
    client = connected(service, time, TOKEN)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseLost, match=f"the response is too large \\(more than {MAX_MEGABYTES} MB"):
            CALLS[method](client)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * MAX_MEGABYTES << 20
    assert (len(service.calls), time.slept) == (1, [])


def test_the_response_to_a_login_has_the_same_limit(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "/v3/auth/tokens", raw(LARGE["body"]()))
    user = {"HW_USER_NAME": "ann", "HW_USER_PASSWORD": "secret", "HW_DOMAIN_NAME": "shop"}
    with pytest.raises(
        ApiError, match=f"login failed: .*: the response is too large \\(more than {MAX_MEGABYTES} MB"
    ):
        listing(connected(service, time, user))


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "compress"])
def test_an_encoding_that_nobody_asked_for(service: FaultProxy, time: Time, encoding: str) -> None:
    service.rule("GET", "batches", raw(compressed(encoding, gzip.compress(gzip.compress(EMPTY)))))
    service.rule("POST", "batches", raw(compressed(encoding, gzip.compress(EMPTY))))
    client = connected(service, time, TOKEN)
    for method, call in CALLS.items():
        with pytest.raises(ResponseLost, match="the response cannot be decoded"):
            call(client)
        assert service.count("POST") == (method == "POST")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_usual_encodings(service: FaultProxy, time: Time, encoding: str) -> None:
    body = gzip.compress(EMPTY) if encoding == "gzip" else EMPTY
    service.rule("GET", "batches", raw(compressed(encoding, body)))
    assert listing(connected(service, time, TOKEN)) == []
    assert service.calls[0].headers["Accept-Encoding"] == "gzip, deflate"


def test_plan_and_apply_end(workspace: Workspace, proxy: FaultProxy) -> None:
    """A read fails for its jobs only, and the outcome of a write is unknown."""
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    workspace.write("b.yaml", manifest("MrsJob", "beta", SPECS["MrsJob"]))
    large: Any = lambda: raw([OK, b"\r\n", *itertools.repeat(MEGABYTE, MAX_MEGABYTES + 1)])  # noqa: E731
    proxy.rule("GET", "batches", large())
    planned = workspace.run("plan", "--format", "json")
    assert (planned.code, [change["name"] for change in planned.json["changes"]]) == (1, ["beta"])
    proxy.clear()
    proxy.rule("POST", "batches", large())
    applied = workspace.apply()
    assert (applied.code, proxy.count("POST", "batches")) == (7, 1), applied
    assert "Apply incomplete: 1 applied, 1 outcome unknown." in applied.out


# --- what a server says is no proof -----------------------------------------------------------------------


@pytest.mark.parametrize("words", ["Tunnel connection failed: 503 x", "Connection refused"])
def test_the_words_of_a_server_do_not_prove_that_nothing_arrived(
    service: FaultProxy, time: Time, words: str
) -> None:
    service.rule("POST", "batches", raw([f"{words}\r\n\r\n".encode()]))
    with pytest.raises(ResponseLost):
        create(connected(service, time, TOKEN))
    assert len(service.calls) == 1


def test_a_header_of_the_response_that_is_invalid(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "batches", raw([OK, b"Content-Length: 1, 2\r\n\r\n{}"]))
    with pytest.raises(ResponseLost):
        create(connected(service, time, TOKEN))
    assert len(service.calls) == 1
