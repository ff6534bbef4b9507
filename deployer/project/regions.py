"""Region -> the base URL of a service."""

from __future__ import annotations

from collections.abc import Mapping

# Regions of other clouds than myhuaweicloud.com, and services with another domain. From the region files of
# huaweicloudsdkdli and huaweicloudsdkmrs (`dli_region.py`, `mrs_region.py`), for eu-de from the documentation of
# the Open Telekom Cloud.
_CLOUDS: Mapping[str, str] = {"eu-west-101": "myhuaweicloud.eu", "eu-de": "otc.t-systems.com"}
_ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("mrs", "ap-southeast-1"): "myhuaweicloud.cn",
    ("mrs", "ap-southeast-4"): "myhuaweicloud.cn",
    ("mrs", "ru-northwest-2"): "myhuaweicloud.cn",
}


def of_region(service: str, region: str) -> str:
    """Returns the base URL of a service in a region."""
    cloud = _ELSEWHERE.get((service, region)) or _CLOUDS.get(region, "myhuaweicloud.com")
    return f"https://{service}.{region}.{cloud}"
