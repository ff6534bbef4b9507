"""Search of jobs by tags, and the tags of all jobs (DLI API, "APIs related to resource tags")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deployer.emulator.api import DLI, Request, Route
from deployer.emulator.checks import boolean, list_of, one_of, record, text
from deployer.emulator.flink_config import MOST_TAGS
from deployer.emulator.flink_family import FAMILY
from deployer.emulator.flink_tags import check_type, page_of, tags_of
from deployer.emulator.store import Job

_wanted = record({"key": text(least=1), "values": list_of(text())}, required=("key", "values"))
_named = record({"key": one_of("resource_name"), "value": text()}, required=("key", "value"))
_check_search = record(
    {"without_any_tag": boolean, "tags": list_of(_wanted, most=MOST_TAGS), "matches": list_of(_named)}
)


def show_all(request: Request) -> Any:
    """All keys in the project, each with all its values."""
    values: dict[str, set[str]] = {}
    for job in _jobs(request):
        for tag in tags_of(job):
            values.setdefault(tag["key"], set()).add(tag["value"])
    tags = [{"key": key, "values": sorted(values[key])} for key in sorted(values)]
    return {"tags": page_of(request, tags), "count": len(tags)}


def search(request: Request) -> Any:
    found = _found(request)
    resources = [
        {
            "resource_id": str(job.number),
            "resource_name": job.name,
            "resource_detail": None,
            "tags": tags_of(job),
        }
        for job in page_of(request, found)
    ]
    return {"resources": resources, "total_count": len(found)}


def count(request: Request) -> Any:
    return {"total_count": len(_found(request))}


def _found(request: Request) -> list[Job]:
    """All tags must be there, each with one of the values; no value means any."""
    _check_search("", request.body)
    untagged = request.body.get("without_any_tag", False)
    wanted = {tag["key"]: tag["values"] for tag in request.body.get("tags", ())}
    names = {tag["value"] for tag in request.body.get("matches", ())}
    found = []
    for job in _jobs(request):
        tags = {tag["key"]: tag["value"] for tag in tags_of(job)}
        if names and job.name not in names:
            continue
        if not tags if untagged else all(_has(tags, key, values) for key, values in wanted.items()):
            found.append(job)
    return found


def _has(tags: dict[str, str], key: str, values: Iterable[str]) -> bool:
    return key in tags and (not values or tags[key] in values)


def _jobs(request: Request) -> list[Job]:
    check_type(request)
    return request.store.find(FAMILY, request.path["project"])[1]


_TYPE = "/v3/{project}/{type}"
ROUTES = (
    Route("GET", f"{_TYPE}/tags", DLI, show_all),
    Route("POST", f"{_TYPE}/resource-instances/filter", DLI, search),
    Route("POST", f"{_TYPE}/resource-instances/count", DLI, count),
)
