"""Links to the vendor's web console.

The vendor documents the address of no single job. The page of a service is as its documentation links to others, with
the region in the query; the page with the log of a batch is as the vendor's DataArts Studio prints it for the batches
that it submits (logs of 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from deployer.project.regions import console_host
from deployer.project.target import Target

_PAGES: Mapping[str, str] = {
    "SparkBatch": "#/main/jobs/spark/submitLog/{id}?type=RUN",
    "MrsJob": "#/mrs/clusterList",
}


def console_url(target: Target, kind: str, service: str, job_id: str) -> str:
    """Return the page about a live job, or else that of its service; empty if the target is another cloud's."""
    host = "" if target.emulator or service in target.endpoints else console_host(target.region)
    page = _PAGES.get(kind, "").format(id=quote(job_id, safe=""))
    return f"https://{host}/{service}/?region={target.region}{page}" if host else ""
