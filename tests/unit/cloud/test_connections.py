"""Connections: what is sent over them, which are kept, and what they trust."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deployer.cloud.auth import LOCAL
from deployer.cloud.connections import Connections
from deployer.cloud.exchange import RawResponse, Request
from deployer.cloud.hosts import hosts, prepared
from deployer.cloud.transport import Call, Transport
from deployer.errors import NotSent
from deployer.project.target import Rate, Retry
from testing.client import Time
from testing.faults import Call as Received
from testing.faults import FaultProxy, says
from testing.tunnel import TLS

THREADS = 32


def call(url: str, method: str = "GET", **more: Any) -> Call:
    return Call("dli", url, method, "/v1/x", LOCAL, **more)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_headers_of_a_request(service: FaultProxy) -> None:
    service.rule("GET", "", says(200, {}))
    service.rule("DELETE", "", says(200, {}))
    service.rule("POST", "", says(200, {}, {"Set-Cookie": "session=1"}))
    with Transport() as transport:
        transport.send(call(service.url, "POST", body={"name": "\u00e4"}, write=True))
        transport.send(call(service.url, "DELETE", write=True))
        transport.send(call(service.url))
    post, delete, get = service.calls
    own = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "X-Auth-Token"}
    assert post.headers.keys() == delete.headers.keys() == own | {"Content-Type", "Content-Length"}
    assert get.headers.keys() == own  # and no cookie
    assert (post.body, delete.headers["Content-Length"]) == (b'{"name": "\\u00e4"}', "0")


def test_a_connection_is_kept_for_each_thread(service: FaultProxy) -> None:
    together = threading.Barrier(THREADS)

    def waits(received: Received) -> Any:
        together.wait(30)
        return says(200, {})(received)

    service.rule("GET", "first", says(200, {}))
    service.rule("GET", "/v1/x", waits)
    with Transport(rate=Rate(1e6, THREADS)) as transport, ThreadPoolExecutor(THREADS) as threads:
        transport.send(Call("dli", service.url, "GET", "/first", LOCAL))  # which is sent alone
        for _ in range(3):
            list(threads.map(lambda _: transport.send(call(service.url)), range(THREADS)))
        pool = transport._connections.pool(prepared(service.url).address)
        assert pool.num_connections == THREADS


def test_a_proxy_for_http_is_told_the_whole_url(service: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    service.rule("GET", "", says(200, {}))
    monkeypatch.setenv("http_proxy", service.url.replace("://", "://ann:pw@"))
    allowed = hosts({"DEPLOYER_ALLOWED_HOSTS": "http://allowed.example:8080"})
    with Transport(hosts=allowed) as transport:
        transport.send(call("http://allowed.example:8080", query={"a": "b c"}))
    [received] = service.calls
    assert received.path == "http://allowed.example:8080/v1/x?a=b%20c"
    assert received.headers["Host"] == "allowed.example:8080"
    assert {name.lower(): value for name, value in received.headers.items()}["proxy-authorization"] == (
        "Basic YW5uOnB3"
    )


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5://one:1080", "cannot send the request: the configured proxy is one for SOCKS"),
        ("ftp://one", "cannot send the request: .*ftp"),
        ("http://ann:pw@one:99999", "cannot send the request: the URL of the configured proxy is invalid"),
        ("http://", "cannot send the request: the URL of the configured proxy is invalid"),
    ],
)
def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, proxy: str, words: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    allowed = hosts({"DEPLOYER_ALLOWED_HOSTS": "allowed.example"})
    with (
        Transport(hosts=allowed, retry=Retry(attempts=1)) as transport,
        pytest.raises(NotSent, match=words) as it,
    ):
        transport.send(call("https://allowed.example"))
    assert "pw" not in str(it.value)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("bundle", "why"),
    [(TLS / "missing.pem", "No such file"), (TLS / "key.pem", "contains no certificate")],
)
def test_a_bundle_of_the_environment_that_is_none(
    monkeypatch: pytest.MonkeyPatch, variable: str, bundle: Path, why: str
) -> None:
    monkeypatch.setenv(variable, str(bundle))
    with (
        Transport(clock=Time().clock) as transport,
        pytest.raises(NotSent, match=f"cannot send the request: invalid certificates in .*: {why}"),
    ):
        transport.send(call("https://127.0.0.1:9"))


def test_a_folder_of_certificates_and_those_of_certifi(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, bundle in (("CURL_CA_BUNDLE", str(TLS)), ("CURL_CA_BUNDLE", "")):
        monkeypatch.setenv(variable, bundle)
        pool: Any = Connections(lambda: 0).pool(prepared("https://127.0.0.1:9").address)
        context = pool.conn_kw["ssl_context"]
        assert context.check_hostname
        assert context.verify_mode.name == "CERT_REQUIRED"
        assert bool(context.get_ca_certs()) == (not bundle)  # those of a folder are read when they are needed


def test_a_request_does_not_show_what_it_contains() -> None:
    request = Request("POST", "https://x", {"X-Auth-Token": "sentinel"}, b"sentinel")
    assert (
        "sentinel"
        not in f"{request!r} {RawResponse(200, '', {'X-Subject-Token': 'sentinel'}, b'', request)!r}"
    )
