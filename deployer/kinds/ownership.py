"""Marks that deployed jobs carry where the API has room: whose they are, and what was asked for.

A batch holds three keys in its `conf`, a Flink job one tag; sessions and MRS jobs nothing. A mark can only
say "same", never "different": it may be missing, cut off or copied. It is added to the body as it is sent,
and taken off what the listing shows, so that it is never drift.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployer.kinds.kind import TAGS, Kind
from deployer.model import Job, LiveJob, Spec

CONF = "conf"
CONF_PREFIX = "spark.deployer."  # Spark passes on what begins with "spark." only
TAG = "deployer"
MAX_TAGS = 20
MAX_TAG = 43  # the shortest length that an edition allows for a tag's value

# The version of what is hashed: another one says nothing about this one.
_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Owner:
    """The deploying project, at a source revision that may be unknown."""

    project: str
    revision: str = ""


def fingerprint(kind: Kind, job: Job) -> str:
    """Hash the body as it is sent: secrets by their names, and without a mark."""
    body = kind.body(job.name, job.spec)
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return f"{_VERSION}-{hashlib.sha256(canonical.encode(errors='surrogatepass')).hexdigest()}"


def with_ownership(kind: Kind, job: Job, owner: Owner | None) -> Spec:
    """Return the spec as it is sent: with the mark, if there is an owner and room for it."""
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
    """Return the query that asks a listing for the jobs of an owner; empty where it knows no such filter."""
    return {TAGS: f"{TAG}={_tag_of(owner)}"} if kind.ownership_field == TAGS else {}


def extract_ownership(kind: Kind, live: LiveJob) -> LiveJob:
    """Return a live job with its mark taken off its spec."""
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
    return replace(live, spec={**spec, field: value} if value else spec, ownership=ownership)


def reserved(kind: Kind, spec: Spec) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths in a manifest's spec that stand where a mark of ours would."""
    held = spec.get(kind.ownership_field) if kind.ownership_field else None
    if kind.ownership_field == CONF and isinstance(held, Mapping):
        yield from ((CONF, key) for key in held if str(key).startswith(CONF_PREFIX))
    if kind.ownership_field == TAGS and isinstance(held, list):
        for index, tag in enumerate(held):
            if isinstance(tag, Mapping) and tag.get("key") == TAG:
                yield (TAGS, index, "key")


def is_owned(live: LiveJob, owner: Owner | None) -> bool:
    """Return whether a live job carries the mark of an owner."""
    return owner is not None and live.ownership.get("project") in {owner.project, _tag_of(owner)}


def matches_fingerprint(kind: Kind, job: Job, live: LiveJob) -> bool:
    """Return whether a live job's mark says that it was submitted with just this body."""
    return live.ownership.get("fingerprint") == fingerprint(kind, job)


def _tag_of(owner: Owner) -> str:
    return owner.project[:MAX_TAG]
