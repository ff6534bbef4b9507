"""Ownership metadata of deployed jobs, where the API allows it: the project, and a fingerprint of the request.

A batch has three keys in its `conf`, a Flink job one tag; sessions and MRS jobs nothing. The metadata can only
prove "same", never "different": it may be missing, truncated or copied. It is added to the request body, and
removed from the listed spec, so that it is never drift.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployer.kinds.kind import TAGS, Kind
from deployer.kinds.savepoint_tag import SAVEPOINT_TAG, without_savepoint_tag
from deployer.model import Job, LiveJob, Spec

CONF = "conf"
CONF_PREFIX = "spark.deployer."  # Spark passes on keys that start with "spark." only
TAG = "deployer"
MAX_TAGS = 20
MAX_TAG = 43  # the shortest maximum length of a tag's value in any edition

# The version of the hashed data: fingerprints of different versions are not comparable.
_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Owner:
    """The deploying project, at a source revision that may be unknown."""

    project: str
    revision: str = ""


def fingerprint(kind: Kind, job: Job) -> str:
    """Hash the request body: with the names of secrets, and without ownership metadata."""
    body = kind.body(job.name, job.spec)
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return f"{_VERSION}-{hashlib.sha256(canonical.encode(errors='surrogatepass')).hexdigest()}"


def with_ownership(kind: Kind, job: Job, owner: Owner | None) -> Spec:
    """Return the spec of the request: with ownership metadata, if there is an owner and the API allows it."""
    if owner is None or kind.ownership_field not in {CONF, TAGS}:
        return job.spec
    if kind.ownership_field == CONF:
        values = {"project": owner.project, "revision": owner.revision, "fingerprint": fingerprint(kind, job)}
        keys = {f"{CONF_PREFIX}{key}": value for key, value in values.items() if value}
        return {**job.spec, CONF: {**job.spec.get(CONF, {}), **keys}}
    tags = job.spec.get(TAGS, [])
    if len(tags) >= MAX_TAGS:
        return job.spec
    return {**job.spec, TAGS: [*tags, {"key": TAG, "value": _tag_of(owner)}]}


def ownership_filter(kind: Kind, owner: Owner) -> Mapping[str, str]:
    """Return the query that lists the jobs of an owner; empty if the API has no such filter."""
    return {TAGS: f"{TAG}={_tag_of(owner)}"} if kind.ownership_field == TAGS else {}


def extract_ownership(kind: Kind, live: LiveJob) -> LiveJob:
    """Return a live job with the ownership metadata moved out of its spec."""
    live = without_savepoint_tag(kind, live)
    held = live.spec.get(kind.ownership_field) if live.spec and kind.ownership_field else None
    if kind.ownership_field == CONF and isinstance(held, Mapping):
        mine = {key: value for key, value in held.items() if str(key).startswith(CONF_PREFIX)}
        if mine:
            ownership = {key.removeprefix(CONF_PREFIX): str(value) for key, value in mine.items()}
            return _with(
                live, CONF, {key: value for key, value in held.items() if key not in mine}, ownership
            )
    if kind.ownership_field == TAGS and isinstance(held, list):
        mine_too = [tag for tag in held if isinstance(tag, Mapping) and tag.get("key") == TAG]
        if mine_too:
            ownership = {"project": str(mine_too[0].get("value", ""))}
            return _with(live, TAGS, [tag for tag in held if tag not in mine_too], ownership)
    return live


def _with(live: LiveJob, field: str, value: Any, ownership: Mapping[str, str]) -> LiveJob:
    spec = {name: item for name, item in (live.spec or {}).items() if name != field}
    kept = {**live.ownership, **ownership}
    return replace(live, spec={**spec, field: value} if value else spec, ownership=kept)


def reserved(kind: Kind, spec: Spec) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths in a manifest's spec that are reserved for ownership metadata."""
    held = spec.get(kind.ownership_field) if kind.ownership_field else None
    if kind.ownership_field == CONF and isinstance(held, Mapping):
        yield from ((CONF, key) for key in held if str(key).startswith(CONF_PREFIX))
    if kind.ownership_field == TAGS and isinstance(held, list):
        for index, tag in enumerate(held):
            if isinstance(tag, Mapping) and tag.get("key") in {TAG, SAVEPOINT_TAG}:
                yield (TAGS, index, "key")


def is_owned(live: LiveJob, owner: Owner | None) -> bool:
    """Return whether a live job has the ownership metadata of an owner."""
    return owner is not None and live.ownership.get("project") in {owner.project, _tag_of(owner)}


def matches_fingerprint(kind: Kind, job: Job, live: LiveJob) -> bool:
    """Return whether the fingerprint of a live job is that of this request body."""
    return live.ownership.get("fingerprint") == fingerprint(kind, job)


def _tag_of(owner: Owner) -> str:
    return owner.project[:MAX_TAG]
