"""The emulator's HTTP server: routes, authentication, bodies and errors."""

import http.client
import logging
import re
import socket
import sqlite3
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests

from deployer.emulator import Emulator

from .conftest import Api, Clock

BATCHES = "/v2.0/p/batches"
JOBS = "/v2/p/clusters/c/job-executions"
TOKEN = "a-token"  # noqa: S105
JSON = {"Content-Type": "application/json"}


def raw(server: Emulator, request: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port(server)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def port(server: Emulator) -> int:
    return int(server.url.rpartition(":")[2])


def gateway(response: requests.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error_code", "error_msg", "request_id"}
    assert body["request_id"] == response.headers["X-Request-Id"]
    return response.status_code, body["error_code"]


def test_headers_of_an_answer(api: Api, clock: Clock) -> None:
    clock.now = 1_720_000_000.9
    first, second = api.call("GET", BATCHES), api.call("GET", BATCHES)
    assert first.headers["Date"] == "Wed, 03 Jul 2024 09:46:40 GMT"
    assert first.headers["Content-Type"] == "application/json;charset=utf-8"
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v2.0/p/batches/"),
        ("GET", "/v2.0/p/batches/a/b"),
        ("GET", "/v2x0/p/batches"),
        ("PUT", "/v2.0/p/batches"),
        ("DELETE", "/v2.0/p/batches"),
        ("HEAD", "/v2.0/p/batches"),
        ("BREW", "/coffee"),
    ],
)
def test_no_such_call(api: Api, method: str, path: str) -> None:
    response = api.call(method, path)
    if method == "HEAD":
        assert (response.status_code, response.content) == (404, b"")
    else:
        assert gateway(response) == (404, "APIGW.0101")
    assert api.call("GET", BATCHES).status_code == 200, "the connection goes on"


def test_token(tmp_path: Path) -> None:
    with Emulator(tmp_path / "e.db", token=TOKEN) as server:
        for headers in ({}, {"X-Auth-Token": "guess"}):
            for path in (BATCHES, "/unknown"):
                response = requests.get(server.url + path, headers=headers, timeout=10)
                assert gateway(response) == (401, "APIGW.0301")
        response = requests.get(server.url + BATCHES, headers={"x-auth-token": TOKEN}, timeout=10)
        assert response.status_code == 200


@pytest.mark.parametrize("path", [BATCHES, "/v2.0/p/sessions", "/v1.0/p/streaming/flink-jobs", JOBS])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b""),
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b'"text"'),
        (JSON, b'{"a": NaN}'),
        (JSON, b'{"a": 1e999}'),
        (JSON, b"\xff"),
        (JSON, rb'{"name": "\ud800"}'),
        (JSON, b"[" * 100_000),
        (JSON, b'{"a": ' + b"1" * 5000 + b"}"),
        ({"Content-Type": "text/plain"}, b"{}"),
        ({}, b"{}"),
    ],
)
def test_a_body_that_is_no_json_object(api: Api, path: str, headers: dict[str, str], body: bytes) -> None:
    code = "MRS.0002" if path == JOBS else "DLI.0001"
    assert api.refusal("POST", path, headers=headers, data=body) == (400, code)


def test_content_type_with_parameters(api: Api) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    body = '{"file": "a.py", "queue": "q", "name": "\\ud83d\\ude00"}'
    assert api.call("POST", BATCHES, headers=headers, data=body).json()["name"] == "\U0001f600"


def test_a_body_that_is_too_large(api: Api) -> None:
    large = b" " * (12 * 1024 * 1024 + 1)
    assert gateway(api.call("POST", BATCHES, data=large, headers=JSON)) == (413, "APIGW.0201")
    fits = b" " * (12 * 1024 * 1024 - 2) + b"{}"
    assert api.refusal("POST", BATCHES, data=fits, headers=JSON) == (400, "DLI.0001")


def test_path_and_query_are_decoded(api: Api) -> None:
    api.post("/v2.0/a%2Fb/batches", {"file": "a.py", "queue": "my queue"})
    assert api.get("/v2.0/a%2fb/batches?queue_name=my+queue")["total"] == 1
    assert api.get("/v2.0/a%2fb/batches?queue_name=my%20queue")["total"] == 1


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", BATCHES, "DLI.0999"), ("GET", "/v1.0/p/streaming/jobs", "DLI.0999"), ("GET", JOBS, "0167")],
)
def test_a_failure_of_its_own_is_an_answer_and_a_log_line(
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    code: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret place")

    monkeypatch.setattr(api.server.store, "find", fail)
    response = api.call(method, path)
    assert response.json() == {"error_code": code, "error_msg": "Internal service error"}
    assert response.status_code == 500
    assert "secret place" in caplog.text


def test_one_connection_serves_many_calls(server: Emulator) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port(server), timeout=10)
    sockets = set()
    for _ in range(3):
        connection.request("GET", BATCHES)
        connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


@pytest.mark.parametrize(
    "request_",
    [b"GET %s HTTP/1.0\r\n\r\n", b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n"],
)
def test_a_client_can_ask_for_the_end(server: Emulator, request_: bytes) -> None:
    answer = raw(server, 2 * (request_ % BATCHES.encode()))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"GET / FTP/1.1\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1 more\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: line\r\n\r\n",
        b"GET / HTTP/1.1\r\n: nothing\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\r\n folded: line\r\n\r\n",
        b"GET / HTTP/1.1\r\na : b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % index for index in range(101)) + b"\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_the_connection(server: Emulator, request_: bytes) -> None:
    answer = raw(server, request_)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"error_code":"APIGW.0201"' in answer
    assert b"Traceback" not in answer


def test_half_a_request_is_not_acted_on(api: Api) -> None:
    body = b'{"file": "a.py", "queue": "q"}'
    head = b"POST %s HTTP/1.1\r\nContent-Type: application/json\r\n" % BATCHES.encode()
    assert raw(api.server, head) == b""
    assert raw(api.server, head + b"Content-Length: %d\r\n\r\n%s" % (len(body) + 1, body)) == b""
    assert api.get(BATCHES)["total"] == 0


def test_a_client_that_waits_before_it_sends_is_told_to_go_on(server: Emulator) -> None:
    with socket.create_connection(("127.0.0.1", port(server)), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")


def test_a_client_that_goes_away_leaves_no_trace(server: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", port(server)), timeout=10) as connection:
        # Closing with linger 0 resets the connection.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(b"GET / HTTP/1.1\r\n")
    requests.get(server.url, timeout=10)
    assert caplog.records == []


def test_a_defect_of_the_server_is_logged(server: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_call: object) -> NoReturn:
        raise RuntimeError("defect")

    server._http.respond = fail
    with caplog.at_level(logging.ERROR):
        assert raw(server, b"GET / HTTP/1.1\r\n\r\n") == b""
    assert re.search("RuntimeError: defect", caplog.text)


def test_leaving_ends_idle_connections_and_frees_the_port(tmp_path: Path) -> None:
    with requests.Session() as session:
        with Emulator(tmp_path / "e.db") as first:
            session.get(first.url + BATCHES, timeout=10)
            taken = port(first)
        with Emulator(tmp_path / "e.db", port=taken) as second:
            assert second.url == first.url
            assert session.get(second.url + BATCHES, timeout=10).status_code == 200


def test_a_port_that_is_taken(tmp_path: Path, server: Emulator) -> None:
    with pytest.raises(OSError, match="in use"):
        Emulator(tmp_path / "other.db", port=port(server))


def test_serving_in_the_foreground(tmp_path: Path) -> None:
    server = Emulator(tmp_path / "e.db")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert requests.get(server.url + BATCHES, timeout=10).json()["total"] == 0
    server.shutdown()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(sqlite3.ProgrammingError):
        server.store.end("job", "dead")


def test_many_clients_at_once(api: Api) -> None:
    def client() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(20):
                session.post(api.server.url + BATCHES, json={"file": "a.py", "queue": "q"}, timeout=10)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = api.get(BATCHES, size=1000)["sessions"]
    assert len({entry["id"] for entry in entries}) == 160
