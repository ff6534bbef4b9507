"""An https service behind a proxy, as a CI runner of a company sees it: both on loopback.

The service listens on an address that is not 127.0.0.1, because no proxy is used for this machine.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from testing.faults import FaultProxy, tls_server
from testing.served import Served
from testing.workspace import ROOT

SERVICE_HOST = "127.0.0.2"

# A certificate for this machine that signed itself, until 2126. Its key guards nothing.
TLS = ROOT / "tests" / "cases" / "tls"
CERTIFICATE = TLS / "cert.pem"


class ConnectProxy(Served):
    """A proxy that opens tunnels, itself with TLS or without.

    `tunnels` has the address of each, `headers` the lines of their headers; `refuses` is the status instead of one.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.refuses = 0
        self.tunnels: list[str] = []
        self.headers: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        if tls:
            self._server.socket = tls_server(TLS).wrap_socket(self._server.socket, server_side=True)


@contextmanager
def behind_proxy(
    monkeypatch: pytest.MonkeyPatch, upstream: str, *, tls: bool = False
) -> Iterator[tuple[FaultProxy, ConnectProxy]]:
    """An https service with faults in front of `upstream`, and the proxy before it that the environment names."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with FaultProxy(upstream, tls=(SERVICE_HOST, TLS)) as service, ConnectProxy(tls=tls) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
        # Otherwise no credential would be sent to such a host.
        monkeypatch.setenv("DEPLOYER_ALLOWED_HOSTS", SERVICE_HOST)
        yield service, proxy


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    proxy: ConnectProxy


class _Handler(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        method, address, _ = self.rfile.readline().decode().split(" ", 2)
        proxy = self.server.proxy
        while line := self.rfile.readline().decode().strip():
            proxy.headers.append(line)
        assert method == "CONNECT"
        proxy.tunnels.append(address)
        if proxy.refuses:
            self.wfile.write(f"HTTP/1.1 {proxy.refuses} No\r\nContent-Length: 0\r\n\r\n".encode())
            return
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as service:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(service, self.connection))
            back.start()
            _pass_on(self.connection, service)
            back.join()


def _pass_on(source: Any, to: Any) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            to.sendall(data)
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)
