"""Region -> the base URL of a service; which hosts are the vendor's, and which regions are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from deployer.errors import Code, Problem, UsageError, similar
from deployer.model import Location

_VENDOR, _OTC = "myhuaweicloud.com", "otc.t-systems.com"
_GLOBAL_IAM = f"iam.{_VENDOR}"
# Regions outside myhuaweicloud.com, and services with another domain in a region inside it. Sources: the region
# files of the vendor's SDK, and for eu-de the endpoint page of the Open Telekom Cloud.
_CLOUDS: Mapping[str, str] = {"eu-west-101": "myhuaweicloud.eu", "eu-de": _OTC}
_ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("mrs", "ap-southeast-1"): "myhuaweicloud.cn",
    ("mrs", "ap-southeast-4"): "myhuaweicloud.cn",
    ("mrs", "ru-northwest-2"): "myhuaweicloud.cn",
}
# Any region may be the name of a private cloud's. Those of the vendor's domains are recognized more strictly: other
# names there are those of services, such as obs, and their customers name the hosts below them.
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_REGIONS_OF: Mapping[str, re.Pattern[str]] = {
    _VENDOR: re.compile(r"[a-z]{2}-[a-z]{2,16}-[0-9]{1,3}"),
    _OTC: re.compile(r"[a-z]{2}-[a-z]{2}[0-9]?"),
}

# The regions that have a service. Sources: the region files of the vendor's SDK, version 3.1.219, and for eu-de the
# endpoint page of the Open Telekom Cloud. There are others: private clouds, and regions that are newer than this list.
_WITH_DLI = """
    ae-ad-1 af-north-1 af-south-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 cn-east-2 cn-east-3
    cn-east-4 cn-east-5 cn-north-1 cn-north-2 cn-north-4 cn-north-9 cn-south-1 cn-southwest-2 eu-de eu-west-0
    eu-west-101 la-north-2 la-south-2 me-east-1 my-kualalumpur-1 na-mexico-1 ru-moscow-1 ru-northwest-2 sa-brazil-1
    tr-west-1
"""
_WITH_MRS_ONLY = "ap-southeast-5 cn-north-11 cn-north-12 cn-south-4 cn-southwest-3"
KNOWN: Mapping[str, frozenset[str]] = {
    "dli": frozenset(_WITH_DLI.split()),
    "mrs": frozenset(f"{_WITH_DLI} {_WITH_MRS_ONLY}".split()),
}


def of_region(service: str, region: str) -> str:
    """Return the base URL of a service in a region; raises UsageError for what is no name of a region."""
    if not _REGION.fullmatch(region):
        raise UsageError(f"invalid region {region!r} in deployer.yaml")
    cloud = _ELSEWHERE.get((service, region)) or _CLOUDS.get(region, _VENDOR)
    return f"https://{service}.{region}.{cloud}"


def console_host(region: str) -> str:
    """Return the host of the web console for a region; empty for a region of another cloud."""
    if region in _CLOUDS or not any(region in regions for regions in KNOWN.values()):
        return ""
    return "console.huaweicloud.com" if region.startswith("cn-") else "console-intl.huaweicloud.com"


def is_vendor_host(service: str, host: str) -> bool:
    """Return whether `host` is an endpoint of a service by its construction from service, region and domain."""
    if host == _GLOBAL_IAM:
        return service == "iam"
    prefix, _, rest = host.partition(".")
    region, _, domain = rest.partition(".")
    if prefix != service or not _REGION.fullmatch(region):
        return False
    if regions := _REGIONS_OF.get(domain):
        return bool(regions.fullmatch(region))
    return of_region(service, region) == f"https://{host}"


def unknown_region(region: str, services: Iterable[str], location: Location) -> Problem | None:
    """Return a warning if one of the services is not known to be in a region.

    No error: private clouds and new regions are unknown too. The nearest name is one of a region with all of them.
    """
    missing = [service for service in sorted({*services} & {*KNOWN}) if region not in KNOWN[service]]
    if not missing:
        return None
    names = " and ".join(map(str.upper, missing))
    found = f"region '{region}' is not known to have {names}"
    if not any(region in regions for regions in KNOWN.values()):
        found = f"unknown region '{region}'"
    url = of_region(missing[0], region)
    suitable = frozenset.intersection(*(KNOWN[service] for service in missing))
    hint = similar(region, sorted(suitable))
    message = f"{found}: requests go to {url}, unless 'endpoints' has others{hint}"
    return Problem(location, message, Code.UNKNOWN_REGION, "warning")
