"""Links to the vendor's web console.

The vendor documents the address of no single job. The page of a service is as its documentation links to others, with
the region in the query; the page with the log of a batch is as the vendor's DataArts Studio prints it for the batches
that it submits (logs of 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from deployer.kinds import KINDS
from deployer.model import LiveJob
from deployer.project.regions import console_host
from deployer.project.target import Target

_PAGES: Mapping[str, str] = {
    "SparkBatch": "#/main/jobs/spark/submitLog/{id}?type=RUN",
    "MrsJob": "#/mrs/clusterList",
}


def console_url(target: Target, live: LiveJob) -> str:
    """Return the page about a live job, or else that of its service; empty if the target is another cloud's."""
    page = _PAGES.get(live.identity.kind, "").format(id=quote(live.id, safe=""))
    service = service_url(target, KINDS[live.identity.kind].service)
    return f"{service}{page}" if service else ""


def service_url(target: Target, service: str) -> str:
    """Return the page of a service in the target's region; empty if the target is another cloud's."""
    host = "" if target.emulator or service in target.endpoints else console_host(target.region)
    return f"https://{host}/{service}/?region={target.region}" if host else ""


def service_urls(target: Target, kinds: Iterable[str]) -> str:
    """Return the pages of the services that have the kinds, as a line for the end of a table; empty without any."""
    services = sorted({KINDS[kind].service for kind in kinds})
    found = [url for service in services if (url := service_url(target, service))]
    return f"Console: {', '.join(found)}" if found else ""
