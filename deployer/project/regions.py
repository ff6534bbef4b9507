"""Region -> the base URL of a service, and which hosts are the vendor's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deployer.errors import UsageError

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


def of_region(service: str, region: str) -> str:
    """Return the base URL of a service in a region; raises UsageError for what is no name of a region."""
    if not _REGION.fullmatch(region):
        raise UsageError(f"invalid region {region!r} in deployer.yaml")
    cloud = _ELSEWHERE.get((service, region)) or _CLOUDS.get(region, _VENDOR)
    return f"https://{service}.{region}.{cloud}"


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
