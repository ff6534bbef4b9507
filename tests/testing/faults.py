"""A proxy on loopback between the client and the emulator that makes requests fail.

A fault takes a `Call` and says what is answered, None for a connection that breaks. Whether the emulator sees
the call is the fault's affair: `call.forward()` carries it out.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from testing.served import Served
from testing.workspace import SPECS, TOKEN, Workspace


@dataclass(frozen=True)
class Answer:
    """`length` is what Content-Length claims, None for the truth; `then` is done when it has been sent.

    `raw` is sent in place of all that, as it is and piece by piece, before the connection is closed.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    then: Callable[[], object] | None = None
    raw: bytes | Iterable[bytes] | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    upstream: str
    wait_for_hang_up: Callable[[], object]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def forward(self) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc)
        try:
            kept = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            connection.request(self.method, self.path, self.body or None, kept)
            answer = connection.getresponse()
            shown = {
                name: answer.headers[name] for name in ("Date", "X-Request-Id") if name in answer.headers
            }
            return Answer(answer.status, answer.read(), shown)
        finally:
            connection.close()


Fault = Callable[[Call], Answer | None]


def says(
    status: int, body: Any, headers: Mapping[str, str] | None = None, *, after: bool = False
) -> Callable[[Call], Answer]:
    """An answer of our own, `after` the call was carried out or instead of that; data is sent as JSON."""
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    def fault(call: Call) -> Answer:
        passed = call.forward().headers if after else {}
        return Answer(status, sent, {**passed, **(headers or {})})

    return fault


def hangs_up(*, after: bool) -> Fault:
    """The connection breaks, `after` the call was carried out or before it arrived."""

    def fault(call: Call) -> None:
        if after:
            call.forward()

    return fault


def half(answer: Answer) -> Answer:
    """Half of an answer, under the Content-Length of the whole."""
    return replace(answer, body=answer.body[: len(answer.body) // 2], length=len(answer.body))


def cut(call: Call) -> Answer:
    """Half of the true answer, under the Content-Length of the whole."""
    return half(call.forward())


def truncated(call: Call) -> Answer:
    """Half of the true answer, as if that were all."""
    answer = call.forward()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def changed(change: Callable[[Any], object], status: int | None = None) -> Fault:
    """The true answer after `change`, which edits its JSON or returns another one."""

    def fault(call: Call) -> Answer:
        answer = call.forward()
        value = answer.json
        other = change(value)
        return replace(
            answer,
            status=status or answer.status,
            body=json.dumps(value if other is None else other).encode(),
        )

    return fault


def interrupts(process: Callable[[], int], *signals: signal.Signals, after: bool) -> Fault:
    """Signals to the command while it waits for the answer, which never comes; without any, Ctrl-C."""

    def fault(call: Call) -> None:
        if after:
            call.forward()
        for number in signals or (signal.SIGINT,):
            os.kill(process(), number)
        call.wait_for_hang_up()

    return fault


@dataclass
class Rule:
    method: str
    path: re.Pattern[str]
    fault: Fault
    nth: int | None
    seen: int = 0

    def meets(self, call: Call) -> bool:
        if call.method != self.method or not self.path.search(call.path):
            return False
        self.seen += 1
        return self.nth in (None, self.seen)


class FaultProxy(Served):
    """After `rule("POST", "batches", fault, nth=2)` the second such call goes wrong, without nth each."""

    def __init__(self, upstream: str, *, tls: tuple[str, Path] | None = None) -> None:
        """`tls` is the address to listen on with https, and the folder of the certificate."""
        self.upstream = upstream
        self.calls: list[Call] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        host, folder = tls or ("127.0.0.1", None)
        self._server = _Server((host, 0), _Handler)
        self._server.proxy = self
        self.url = f"http{'s' if tls else ''}://{host}:{self._server.server_address[1]}"
        if folder:
            self._server.socket = tls_server(folder).wrap_socket(self._server.socket, server_side=True)

    def rule(self, method: str, path: str, fault: Fault, *, nth: int | None = None) -> None:
        self._rules.append(Rule(method, re.compile(path), fault, nth))

    def clear(self) -> None:
        self._rules.clear()
        self.calls.clear()

    def count(self, method: str, path: str = "") -> int:
        return sum(call.method == method and path in call.path for call in self.calls)

    def fault_for(self, call: Call) -> Fault:
        with self._lock:
            self.calls.append(call)
            met = [rule.fault for rule in self._rules if rule.meets(call)]
        return met[0] if met else Call.forward


def tls_server(folder: Path) -> ssl.SSLContext:
    """TLS for a server, with the certificate in `folder`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@contextmanager
def proxied(workspace: Workspace, upstream: str, **project: Any) -> Iterator[FaultProxy]:
    """A proxy between a workspace and the service at `upstream`; `project` goes into its deployer.yaml."""
    with FaultProxy(upstream) as proxy:
        workspace.url = proxy.url
        workspace.write_project(**project)
        yield proxy


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: FaultProxy

    def server_bind(self) -> None:
        """Without asking the name service for our own name."""
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the second would wait 40 ms for the first one's ACK
    server: _Server

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client was killed while it sent: no service acts on half a request
            self.close_connection = True
            return
        proxy, headers = self.server.proxy, dict(self.headers)
        call = Call(self.command, self.path, headers, body, proxy.upstream, partial(self.rfile.read, 1))
        answer = proxy.fault_for(call)(call)
        if answer is None:
            self.close_connection = True
            return
        if answer.raw is not None:
            self.close_connection = True
            with suppress(ConnectionError):  # the client need not read it all
                for piece in [answer.raw] if isinstance(answer.raw, bytes) else answer.raw:
                    self.connection.sendall(piece)
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.length is None else answer.length
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = answer.length is not None
        if answer.then:
            self.wfile.flush()
            answer.then()

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing: stderr belongs to the command under test."""


LISTINGS = {
    "SparkBatch": ("/v2.0/pid/batches", "sessions"),
    "SparkSession": ("/v2.0/pid/sessions", "sessions"),
    "FlinkJar": ("/v1.0/pid/streaming/jobs?limit=100", "jobs"),
    "MrsJob": ("/v2/pid/clusters/c-1/job-executions?limit=100", "job_list"),
}

# Where a kind is created, and what its body calls the name.
CREATES = {
    "SparkBatch": ("/v2.0/pid/batches", "name"),
    "SparkSession": ("/v2.0/pid/sessions", "name"),
    "FlinkJar": ("/v1.0/pid/streaming/flink-jobs", "name"),
    "MrsJob": ("/v2/pid/clusters/c-1/job-executions", "job_name"),
}


def listed(url: str, kind: str) -> list[dict[str, Any]]:
    """The jobs of a kind that the service at `url` holds, asked without the code under test."""
    path, items = LISTINGS[kind]
    call = Call("GET", path, {"X-Auth-Token": TOKEN}, b"", url, lambda: None)
    answer = call.forward().json
    jobs: list[dict[str, Any]] = (answer["job_list"] if kind == "FlinkJar" else answer)[items]
    return jobs


def fill(url: str, kind: str, names: Iterable[str]) -> None:
    """Creates jobs without the code under test, the first of `names` first."""
    path, field = CREATES[kind]
    headers = {"X-Auth-Token": TOKEN, "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for name in names:
        spec = {key: value for key, value in SPECS[kind].items() if key != "cluster_id"}
        connection.request("POST", path, json.dumps({**spec, field: name}), headers)
        assert connection.getresponse().read()
    connection.close()


ERROR = {"error_code": "DLI.0001", "error_msg": "The parameter is wrong."}
GATEWAY = {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication", "request_id": "r-1"}
HTML = "<html><body>Bad gateway</body></html>"

# What comes instead of the call being carried out, and says so.
REFUSALS: Mapping[str, Fault] = {
    "400": says(400, ERROR),
    "401": says(401, GATEWAY),
    "403": says(403, {"errorCode": "APIGW.0302", "errorMsg": "not allowed"}),
    "404": says(404, {"error_code": "APIGW.0101", "error_msg": "no such API"}),
    "429": says(429, {"error_code": "APIGW.0308", "error_msg": "too many"}, {"Retry-After": "1"}),
    "500 with the code of a refusal": says(500, {"error_code": "0192", "error_msg": "no such user"}),
    "400 without a body": says(400, ""),
    "302": says(302, "", {"Location": "https://elsewhere.invalid/"}),
}

# What is an error, and comes from a service that may have carried out the call.
DOUBTS: Mapping[str, Callable[[bool], Fault]] = {
    "400 of the server's side": lambda after: says(
        400, {"error_code": "DLI.0999", "error_msg": "broken"}, after=after
    ),
    "400 after a timeout": lambda after: says(
        400, {"error_code": "DLI.0019", "error_msg": "timeout"}, after=after
    ),
    "500 with a code": lambda after: says(
        500, {"error_code": "DLI.0999", "error_msg": "broken"}, after=after
    ),
    "500 with a nested code": lambda after: says(
        500, {"job_submit_result": {"error_code": "0173", "error_msg": "no"}}, after=after
    ),
    "200 with a code": lambda after: says(200, ERROR, after=after),
    "is_success": lambda after: says(200, {"is_success": "false", "message": "no"}, after=after),
    "429 of somebody else": lambda after: says(
        429, {"error_code": "DLI.0012", "error_msg": "busy"}, {"Retry-After": "1"}, after=after
    ),
}

# What tells nothing about whether the call was carried out.
LOSSES: Mapping[str, Callable[[bool], Fault]] = {
    "hangs up": lambda after: hangs_up(after=after),
    "500": lambda after: says(500, "", after=after),
    "502": lambda after: says(502, HTML, after=after),
    "503": lambda after: says(503, {"error_code": "APIGW.0201", "error_msg": "backend down"}, after=after),
    "504": lambda after: says(504, {"error_code": "APIGW.0201", "error_msg": "timeout"}, after=after),
    "html": lambda after: says(200, HTML, after=after),
    "nothing": lambda after: says(200, "", after=after),
    "204": lambda after: says(204, "", after=after),
    "null": lambda after: says(200, "null", after=after),
    "{}": lambda after: says(200, "{}", after=after),
    "[]": lambda after: says(200, "[]", after=after),
    "text": lambda after: says(200, '"ok"', after=after),
}
