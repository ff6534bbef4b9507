"""Checks of this machine: the versions of what is installed, and the configured proxies."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from urllib.parse import urlsplit

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from deployer import __version__
from deployer.cloud.hosts import Address
from deployer.cloud.proxies import proxy_of
from deployer.doctor.check import Check, ok, skipped, warning

VERSIONS = "versions"
PROXY = "proxy"


def versions() -> Iterator[Check]:
    """Check the versions of deployer, Python, libyaml and the required packages."""
    yield ok(VERSIONS, "deployer", __version__)
    yield ok(VERSIONS, "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    if yaml.__with_libyaml__:
        yield ok(VERSIONS, "libyaml", f"used by PyYAML {yaml.__version__}")
    else:
        yield warning(
            VERSIONS,
            "libyaml",
            f"PyYAML {yaml.__version__} has been built without it, so that YAML is read ten times slower",
            "install PyYAML from a wheel, or build it with the headers of libyaml",
        )
    yield _packages()


def _packages() -> Check:
    try:
        required = metadata.requires("deployer") or []
    except metadata.PackageNotFoundError:
        return skipped(VERSIONS, "packages", "deployer runs from a folder and is not installed")
    problems, shown = [], []
    for line in required:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{requirement.name} is not installed")
            continue
        shown.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{requirement.name} {version} does not match {requirement.specifier}")
    if problems:
        return warning(
            VERSIONS, "packages", "; ".join(problems), "reinstall deployer in an environment of its own"
        )
    return ok(VERSIONS, "packages", ", ".join(shown))


def proxies(addresses: Iterable[Address]) -> Iterator[Check]:
    """Name the proxy before each address by its host alone: its URL may have a password."""
    before: dict[str, list[str]] = {}
    for address in sorted(set(addresses)):
        proxy = proxy_of(address)
        before.setdefault(_host(proxy) if proxy else "", []).append(address.host)
    for host, behind in before.items():
        where = ", ".join(behind)
        if not host:
            yield ok(PROXY, "direct", f"no proxy for {where}")
        elif host == _INVALID:
            yield warning(
                PROXY,
                "proxy",
                f"the URL of the proxy for {where} is invalid",
                "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: http://host:port",
            )
        else:
            yield ok(PROXY, "proxy", f"{host} for {where}")


_INVALID = "?"


def _host(proxy: str) -> str:
    try:
        parts = urlsplit(proxy)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname}{port}" if parts.hostname else _INVALID
    except ValueError:
        return _INVALID
