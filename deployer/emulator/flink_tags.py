"""Tags of Flink jobs (DLI API, "APIs related to resource tags"), in neither the listing nor the detail response."""

from __future__ import annotations

import json
from typing import Any

from deployer.emulator.api import DLI, Request, Route, error, json_text
from deployer.emulator.checks import ParameterError, list_of, record, text
from deployer.emulator.filters import option, whole
from deployer.emulator.flink_config import MOST_TAGS, tag
from deployer.emulator.flink_family import FAMILY
from deployer.emulator.store import Job

# The other resource types are not jobs, and not part of the emulator.
_TYPE = "dli_flink_job"
_PAGE = 1000

_check_added = record({"tags": list_of(tag, least=1, most=MOST_TAGS)}, required=("tags",))
_check_removed = record(
    {"tags": list_of(record({"key": text(least=1), "value": text()}, required=("key",)), most=MOST_TAGS)},
    required=("tags",),
)


def show(request: Request) -> Any:
    tags = tags_of(_job(request))
    return {"tags": page_of(request, tags), "count": len(tags)}


def add(request: Request) -> None:
    """Add tags. A new value of a key replaces the old one."""
    _check_added("", request.body)
    added = {tag["key"]: tag["value"] for tag in request.body["tags"]}
    if len(added) < len(request.body["tags"]):
        raise ParameterError("a key has one value")
    with request.store.together():
        job = _job(request)
        _set(request, job, {**{tag["key"]: tag["value"] for tag in tags_of(job)}, **added})


def remove(request: Request) -> None:
    """Remove tags by their keys; a missing one is not an error."""
    _check_removed("", request.body)
    with request.store.together():
        job = _job(request)
        removed = {tag["key"] for tag in request.body["tags"]}
        _set(request, job, {tag["key"]: tag["value"] for tag in tags_of(job) if tag["key"] not in removed})


def _job(request: Request) -> Job:
    check_type(request)
    text = request.path["resource"]
    job = request.store.get(FAMILY, request.path["project"], whole()("resource_id", text))
    if job is None:
        raise error(400, "DLI.0002", f"The job {text} does not exist.")
    return job


def check_type(request: Request) -> None:
    if request.path["type"] != _TYPE:
        raise ParameterError(f"the resource_type must be {_TYPE}")


def tags_of(job: Job) -> list[dict[str, str]]:
    tags: list[dict[str, str]] = json.loads(job.body).get("tags", [])
    return tags


def _set(request: Request, job: Job, tags: dict[str, str]) -> None:
    if len(tags) > MOST_TAGS:
        raise ParameterError(f"a job has at most {MOST_TAGS} tags")
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    request.store.set(job, body=json_text({**json.loads(job.body), "tags": listed}))


def page_of(request: Request, entries: list[Any]) -> list[Any]:
    start = option(request.query, "offset", whole(), 0)
    return entries[start : start + option(request.query, "limit", whole(), _PAGE)]


_TAGS = "/v3/{project}/{type}/{resource}/tags"
ROUTES = (
    Route("GET", _TAGS, DLI, show),
    # Without a body, as the Terraform provider expects it.
    Route("POST", f"{_TAGS}/create", DLI, add, status=204),
    Route("POST", f"{_TAGS}/delete", DLI, remove, status=204),
)
