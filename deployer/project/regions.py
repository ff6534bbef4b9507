"""Region -> the base URL of a service."""

from __future__ import annotations

from collections.abc import Mapping

# Regions outside myhuaweicloud.com, and services with another domain in a region inside it. Sources: the region
# files of the vendor's SDK, and for eu-de the endpoint page of the Open Telekom Cloud.
_CLOUDS: Mapping[str, str] = {"eu-west-101": "myhuaweicloud.eu", "eu-de": "otc.t-systems.com"}
_ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("mrs", "ap-southeast-1"): "myhuaweicloud.cn",
    ("mrs", "ap-southeast-4"): "myhuaweicloud.cn",
    ("mrs", "ru-northwest-2"): "myhuaweicloud.cn",
}


def of_region(service: str, region: str) -> str:
    """Return the base URL of a service in a region."""
    cloud = _ELSEWHERE.get((service, region)) or _CLOUDS.get(region, "myhuaweicloud.com")
    return f"https://{service}.{region}.{cloud}"
