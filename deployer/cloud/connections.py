"""The connections to the services, direct or through a proxy. Requests are sent once, and redirects not followed.

They are urllib3's: `requests`, which stands on it, takes more than twice the CPU time for each request, and a third
longer to import.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from urllib3 import HTTPConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.util.ssl_ import create_urllib3_context

from deployer.cloud.exchange import RawResponse, Request, UnfitRequest
from deployer.cloud.hosts import Address
from deployer.cloud.proxies import proxy_headers, proxy_of
from deployer.cloud.response_limits import limited_pools, read_limited
from deployer.errors import UsageError

CONNECT_SECONDS = 10
READ_SECONDS = 120  # the gateway ends a request after about two minutes

# As many as there are threads; more connections are opened, but not kept.
_KEPT_CONNECTIONS = 64


class Connections:
    """The connections of one command, for all its threads. `now` counts seconds.

    Certificates are always verified: against `ca_file`, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or those of certifi.
    """

    def __init__(self, now: Callable[[], float], ca_file: Path | None = None) -> None:
        """Raise UsageError if `ca_file` contains no certificates."""
        self._pool_classes = limited_pools(now)
        self._tls = _of_file(ca_file) if ca_file else None
        self._lock = threading.Lock()
        self._proxies: dict[Address, str] = {}
        self._managers: dict[str, PoolManager] = {}
        self._pools: dict[Address, HTTPConnectionPool] = {}

    def send(self, request: Request, address: Address) -> RawResponse:
        """Send a request to an address, which is that of its URL. Raises OSError and urllib3's HTTPError."""
        pool = self.pool(address)
        parts = urlsplit(request.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if address.scheme == "http" and self._proxies[address]:
            target = request.url
        response = pool.urlopen(
            request.method,
            target,
            request.body,
            dict(request.headers),
            retries=False,
            redirect=False,
            assert_same_host=False,  # a proxy for http is told the whole URL
            timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            preload_content=False,
            decode_content=False,
        )
        try:
            content = read_limited(response)
        except BaseException:
            response.close()
            raise
        return RawResponse(response.status, response.reason or "", response.headers, content, request)

    def pool(self, address: Address) -> HTTPConnectionPool:
        """Return the connections to an address. Raises UnfitRequest."""
        if found := self._pools.get(address):
            return found
        with self._lock:
            proxy = self._proxies.setdefault(address, proxy_of(address))
            # Given always, or urllib3 would trust the certificates of this machine.
            tls = {"ssl_context": self._trusted()} if "https" in (address.scheme, proxy[:5].lower()) else {}
            manager = self._managers.get(proxy) or self._managers.setdefault(
                proxy, self._manager(proxy, **tls)
            )
            host = address.host.strip("[]")
            pool = manager.connection_from_host(host, address.port, address.scheme, pool_kwargs=tls)
            return self._pools.setdefault(address, pool)

    def drop(self) -> None:
        """Drop all connections: the next request to each address opens another."""
        with self._lock:
            self._pools.clear()
            for manager in self._managers.values():
                manager.clear()

    def _manager(self, proxy: str, ssl_context: ssl.SSLContext | None = None) -> PoolManager:
        if not proxy:
            manager = PoolManager(maxsize=_KEPT_CONNECTIONS)
        elif proxy.lower().startswith("socks"):
            raise UnfitRequest("the configured proxy is one for SOCKS; only proxies for HTTP are supported")
        else:
            manager = ProxyManager(
                proxy,
                proxy_headers=proxy_headers(proxy),
                proxy_ssl_context=ssl_context,
                maxsize=_KEPT_CONNECTIONS,
            )
        manager.pool_classes_by_scheme = dict(self._pool_classes)
        return manager

    def _trusted(self) -> ssl.SSLContext:
        self._tls = self._tls or _of_environment()
        return self._tls


def _of_file(ca_file: Path) -> ssl.SSLContext:
    try:
        return _context(cafile=str(ca_file))
    except OSError as error:
        why = "contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(f"invalid caFile {ca_file}: {why}") from None


def _of_environment() -> ssl.SSLContext:
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if not bundle:
        import certifi  # on use: http needs no certificates

        bundle = certifi.where()
    try:
        return _context(capath=bundle) if Path(bundle).is_dir() else _context(cafile=bundle)
    except OSError as error:
        why = "contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise UnfitRequest(f"invalid certificates in {bundle}: {why}") from None


def _context(**certificates: Any) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(**certificates)
    return context
