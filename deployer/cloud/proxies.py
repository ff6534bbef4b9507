"""The proxy that the environment names for an address: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

They mean what they mean to the package requests, and to most other tools: in lower case they go first.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import unquote

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, make_headers, parse_url

from deployer.cloud.exchange import UnfitRequest
from deployer.cloud.hosts import Address, is_loopback

_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}


def proxy_of(address: Address) -> str:
    """Return the URL of the proxy before an address; empty if there is none."""
    if _is_local(address):
        return ""
    # On use: an emulator on this machine needs none of it.
    from urllib.request import getproxies, proxy_bypass

    host = address.host.strip("[]")
    if _is_exempt(host, address.port) or proxy_bypass(host):
        return ""
    proxies = getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all", "")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def proxy_headers(proxy: str) -> dict[str, str]:
    """Return the headers for the proxy itself: its user and password. Raises UnfitRequest."""
    try:
        parts = parse_url(proxy)
        user, _, password = (parts.auth or "").partition(":")
        headers = make_headers(proxy_basic_auth=f"{unquote(user)}:{unquote(password)}")
    except (LocationParseError, UnicodeError):  # whose messages have the password
        parts, headers = Url(), {}
    if not parts.host:
        raise UnfitRequest("the URL of the configured proxy is invalid")
    return dict(headers) if user and password else {}


def _is_local(address: Address) -> bool:
    """Return whether an address is this machine's. A proxy may stand before its other addresses, but not see http."""
    return address.host in _LOOPBACK or (address.scheme == "http" and is_loopback(address.host))


def _is_exempt(host: str, port: int) -> bool:
    """Return whether NO_PROXY names a host: by a network, or itself or a domain above it, with its port or without."""
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    entries = [entry for entry in no_proxy.replace(" ", "").split(",") if entry]
    try:
        address = IPv4Address(host)
    except ValueError:
        names = (f".{host}", f".{host}:{port}")
        return any(name.endswith(f".{entry.lstrip('.')}") for entry in entries for name in names)
    return any(entry == host or _contains(entry, address) for entry in entries)


def _contains(entry: str, address: IPv4Address) -> bool:
    if not entry.partition("/")[2].lstrip("0").isdecimal():  # 0 is no network, as it would be all of them
        return False
    try:
        return address in IPv4Network(entry, strict=False)
    except ValueError:
        return False
