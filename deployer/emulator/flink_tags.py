"""Tags of Flink jobs (DLI API, "APIs related to resource tags"), which neither listing nor detail show."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from deployer.emulator.api import DLI, Request, Route, error, json_text
from deployer.emulator.checks import ParameterError, boolean, list_of, one_of, record, text
from deployer.emulator.filters import option, whole
from deployer.emulator.flink_config import MOST_TAGS, tag
from deployer.emulator.flink_family import FAMILY
from deployer.emulator.store import Job

# The other resource types have no jobs, and nothing of them is here.
_TYPE = "dli_flink_job"
_PAGE = 1000

_check_added = record({"tags": list_of(tag, least=1, most=MOST_TAGS)}, required=("tags",))
_check_removed = record(
    {"tags": list_of(record({"key": text(least=1), "value": text()}, required=("key",)), most=MOST_TAGS)},
    required=("tags",),
)
_wanted = record({"key": text(least=1), "values": list_of(text())}, required=("key", "values"))
_named = record({"key": one_of("resource_name"), "value": text()}, required=("key", "value"))
_check_search = record(
    {"without_any_tag": boolean, "tags": list_of(_wanted, most=MOST_TAGS), "matches": list_of(_named)}
)


def show(request: Request) -> Any:
    tags = _tags(_job(request))
    return {"tags": _page(request, tags), "count": len(tags)}


def add(request: Request) -> None:
    """A key has one value: a new one replaces it."""
    _check_added("", request.body)
    added = {one["key"]: one["value"] for one in request.body["tags"]}
    if len(added) < len(request.body["tags"]):
        raise ParameterError("a key has one value")
    with request.store.together():
        job = _job(request)
        _set(request, job, {**{one["key"]: one["value"] for one in _tags(job)}, **added})


def remove(request: Request) -> None:
    """By their keys; one that is not there is no error."""
    _check_removed("", request.body)
    with request.store.together():
        job = _job(request)
        gone = {one["key"] for one in request.body["tags"]}
        _set(request, job, {one["key"]: one["value"] for one in _tags(job) if one["key"] not in gone})


def show_all(request: Request) -> Any:
    """All keys in the project, each with all its values."""
    values: dict[str, set[str]] = {}
    for job in _jobs(request):
        for one in _tags(job):
            values.setdefault(one["key"], set()).add(one["value"])
    tags = [{"key": key, "values": sorted(values[key])} for key in sorted(values)]
    return {"tags": _page(request, tags), "count": len(tags)}


def search(request: Request) -> Any:
    found = _found(request)
    resources = [
        {
            "resource_id": str(job.number),
            "resource_name": job.name,
            "resource_detail": None,
            "tags": _tags(job),
        }
        for job in _page(request, found)
    ]
    return {"resources": resources, "total_count": len(found)}


def count(request: Request) -> Any:
    return {"total_count": len(_found(request))}


def _found(request: Request) -> list[Job]:
    """All tags must be there, each with one of the values; no value means any."""
    _check_search("", request.body)
    untagged = request.body.get("without_any_tag", False)
    wanted = {one["key"]: one["values"] for one in request.body.get("tags", ())}
    names = {one["value"] for one in request.body.get("matches", ())}
    found = []
    for job in _jobs(request):
        tags = {one["key"]: one["value"] for one in _tags(job)}
        if names and job.name not in names:
            continue
        if not tags if untagged else all(_has(tags, key, values) for key, values in wanted.items()):
            found.append(job)
    return found


def _has(tags: dict[str, str], key: str, values: Iterable[str]) -> bool:
    return key in tags and (not values or tags[key] in values)


def _jobs(request: Request) -> list[Job]:
    _check_type(request)
    return request.store.find(FAMILY, request.path["project"])[1]


def _job(request: Request) -> Job:
    _check_type(request)
    text = request.path["resource"]
    job = request.store.get(FAMILY, request.path["project"], whole()("resource_id", text))
    if job is None:
        raise error(400, "DLI.0002", f"The job {text} does not exist.")
    return job


def _check_type(request: Request) -> None:
    if request.path["type"] != _TYPE:
        raise ParameterError(f"the resource_type must be {_TYPE}")


def _tags(job: Job) -> list[dict[str, str]]:
    tags: list[dict[str, str]] = json.loads(job.body).get("tags", [])
    return tags


def _set(request: Request, job: Job, tags: dict[str, str]) -> None:
    if len(tags) > MOST_TAGS:
        raise ParameterError(f"a job has at most {MOST_TAGS} tags")
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    request.store.set(job, body=json_text({**json.loads(job.body), "tags": listed}))


def _page(request: Request, entries: list[Any]) -> list[Any]:
    start = option(request.query, "offset", whole(), 0)
    return entries[start : start + option(request.query, "limit", whole(), _PAGE)]


_TAGS = "/v3/{project}/{type}/{resource}/tags"
ROUTES = (
    Route("GET", _TAGS, DLI, show),
    # Without a body, as Terraform's provider has it.
    Route("POST", f"{_TAGS}/create", DLI, add, status=204),
    Route("POST", f"{_TAGS}/delete", DLI, remove, status=204),
)
BESIDE = (
    Route("GET", "/v3/{project}/{type}/tags", DLI, show_all),
    Route("POST", "/v3/{project}/{type}/resource-instances/filter", DLI, search),
    Route("POST", "/v3/{project}/{type}/resource-instances/count", DLI, count),
)
