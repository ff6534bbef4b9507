"""Which hosts receive credentials: the vendor's, this machine, and those that the environment allows.

`deployer.yaml` names endpoints, and a pull request may change it: what it names alone receives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import NamedTuple

from urllib3.util import parse_url

from deployer.errors import UsageError
from deployer.kinds import KINDS
from deployer.project.regions import is_vendor_host
from deployer.project.target import Target
from deployer.secrets.files import resolve_below
from deployer.secrets.redact import redacted

VARIABLE = "DEPLOYER_ALLOWED_HOSTS"
MAX_CA_BYTES = 1024 * 1024

_PORTS = {"https": 443, "http": 80}
_HOST = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]"
# All parsers read the same host from such a URL: no user, no escapes, no trailing dot.
_URL = re.compile(rf"(https?)://({_HOST})(?::([0-9]{{1,5}}))?(?=[/?]|\Z)")
_ESCAPE = re.compile("%([0-9A-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENTRY = re.compile(rf"(?:(https?)://)?({_HOST})(?::([0-9]{{1,5}}))?/?")


class Address(NamedTuple):
    """The part of a URL that decides where a request goes."""

    scheme: str
    host: str
    port: int

    @property
    def entry(self) -> str:
        """The address as an entry of `VARIABLE`."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{'http://' if self.scheme == 'http' else ''}{self.host}{port}"


class Prepared(NamedTuple):
    """A URL as it is sent, and where it leads."""

    url: str
    address: Address


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts that receive credentials; `allowed` are those of `VARIABLE`."""

    allowed: frozenset[Address] = field(default_factory=frozenset)

    def check_target(self, target: Target) -> None:
        """Check the endpoints of a target, before its credential is read. Raises UsageError."""
        for service in sorted({kind.service for kind in KINDS.values()} | {*target.endpoints}):
            if service in target.endpoints or target.region:
                self.check(service, target.endpoint(service))

    def check(self, service: str, url: str, *, own_ca: bool = False) -> Address:
        """Return where a request to `url` is sent; raises UsageError if it may not be sent there.

        `own_ca`: the server would be verified against certificates of the project.
        """
        address = prepared(url).address
        self.permit(service, address, own_ca=own_ca)
        return address

    def permit(self, service: str, address: Address, *, own_ca: bool = False) -> None:
        """Raise UsageError if nothing may be sent to `address`."""
        if is_loopback(address.host) or address in self.allowed:
            return
        if address.scheme != "https":
            raise UsageError(
                f"http://{address.host} must use https because requests carry credentials; "
                f"to send them without encryption, set {VARIABLE}={address.entry} outside the repository"
            )
        if address.port != _PORTS["https"] or not is_vendor_host(service, address.host):
            raise UsageError(
                f"credentials are not sent to {address.entry}: it is not the vendor's endpoint of {service}; "
                f"to allow it, set {VARIABLE}={address.entry} outside the repository"
            )
        if own_ca:
            raise UsageError(
                f"caFile is not accepted for {address.host}, an endpoint of the vendor; remove it, or set "
                "REQUESTS_CA_BUNDLE outside the repository"
            )


def hosts(environment: Mapping[str, str]) -> Hosts:
    """Return the hosts that an environment allows in addition; raises UsageError for an invalid entry."""
    allowed = set()
    for entry in filter(None, map(str.strip, environment.get(VARIABLE, "").split(","))):
        match = _ENTRY.fullmatch(entry.lower())
        if not match or int(match[3] or 0) > 65535:
            expected = "host, host:port or http://host:port, without wildcards"
            raise UsageError(f"{VARIABLE}: {redacted(entry)!r} is invalid; expected {expected}")
        scheme = match[1] or "https"
        allowed.add(Address(scheme, match[2], int(match[3] or _PORTS[scheme])))
    return Hosts(frozenset(allowed))


def ca_file(folder: Path, target: Target) -> Path | None:
    """Return the `caFile` of a target, a regular file of the project; raises UsageError for any other."""
    if not target.ca_file:
        return None
    try:
        file = resolve_below(folder, target.ca_file)
        why = "" if file.stat().st_size <= MAX_CA_BYTES else f"is longer than {MAX_CA_BYTES // 1024} KiB"
    except OSError as error:
        why = str(error.strerror)
    except ValueError as error:
        why = str(error)
    if why:
        raise UsageError(f"invalid caFile {target.ca_file}: {why}")
    return file


def prepared(url: str) -> Prepared:
    """Return a URL as it is sent, and where it leads; raises UsageError if that is not certain."""
    try:
        normal = _normalized(url)
    except ValueError:
        normal = ""
    match = _URL.match(normal)
    if not match:
        raise UsageError(f"{redacted(url)} is not a URL of the form https://host:port")
    scheme, host, port = match.groups()
    return Prepared(normal, Address(scheme, host, int(port or _PORTS[scheme])))


def _normalized(url: str) -> str:
    """Return a URL with its host in lower case and in ASCII, and nothing escaped that need not be.

    Empty if it has no host. A fragment is left out. Raises ValueError.
    """
    parts = parse_url(url.lstrip())
    if not parts.scheme or not parts.host:
        return ""
    user = f"{parts.auth}@" if parts.auth else ""
    port = f":{parts.port}" if parts.port else ""
    query = "" if parts.query is None else f"?{parts.query}"
    path = _ESCAPE.sub(_unescaped, f"{parts.path or '/'}{query}")
    return f"{parts.scheme}://{user}{parts.host}{port}{path}"


def _unescaped(escape: re.Match[str]) -> str:
    """Return the character of an escape that does not need it, such as %7E, or the escape."""
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0]


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether a host of a URL is this machine; other spellings of these addresses are not recognized."""
    if host in {"localhost", "[::1]"}:
        return True
    try:
        return IPv4Address(host).is_loopback
    except AddressValueError:
        return False
