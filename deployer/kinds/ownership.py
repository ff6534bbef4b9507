"""Ownership metadata of deployed jobs, where the API allows it: the project, a fingerprint, and where secrets are.

A batch has keys in its `conf`, a Flink job up to three tags; sessions and MRS jobs nothing. The metadata can only
prove "same", never "different": it may be missing, truncated or copied. It is added to the request body, and
removed from the listed spec, so that it is never drift.

A Flink job is updated, and can be changed by others, so its fingerprint has three hashes: of the request without
tags, of the definition as the service showed it afterwards, and of the tags. They name the side that changed.
`LiveJob.ownership` has the keys project, revision, fingerprint and secrets, for a run with parameters `param.NAME` and
sent, and for a Flink job also shown, tags and savepoint: see `deployer.kinds.savepoint_tag`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.kinds import KINDS
from deployer.kinds.coerce import shared
from deployer.kinds.kind import TAGS, Kind
from deployer.kinds.savepoint_tag import SAVEPOINT_TAG
from deployer.model import Cause, FieldChange, Job, LiveJob, Spec

CONF = "conf"
SENT = "sent"  # what has the values of parameters: see is_as_sent
PARAMETER = "param."  # and the name of a parameter; the program can read its value there
CONF_PREFIX = "spark.deployer."  # Spark passes on keys that start with "spark." only
TAG = "deployer"
SECRETS_TAG = "deployer-secrets"
FINGERPRINT_TAG = "deployer-fingerprint"
_RESERVED_TAGS = {TAG, SECRETS_TAG, FINGERPRINT_TAG, SAVEPOINT_TAG}
MAX_TAGS = 20
MAX_TAG = 43  # the shortest maximum length of a tag's value in any edition

# The version of the hashed data: fingerprints of different versions are not comparable.
_VERSION = "v1"

# The lengths of the hashes in a tag: together with the version they fit into a value.
_HASH, _TAGS_HASH = 12, 8
_SENT_HASH = 32
_FINGERPRINT = re.compile(
    rf"(v[0-9]+-[0-9a-f]{{{_HASH}}})-([0-9a-f]{{{_HASH}}}|0)-([0-9a-f]{{{_TAGS_HASH}}})"
)

# In place of the names of fields with secrets in a tag: more than fit into a value, and none any more.
ALL_FIELDS, NO_FIELDS = "all", "none"

# The JSON Pointer of a whole spec.
_WHOLE = ""
_MAX_POINTERS = 1000

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Owner:
    """The deploying project, at a source revision that may be unknown."""

    project: str
    revision: str = ""


def fingerprint(kind: Kind, job: Job) -> str:
    """Hash the request body: with the names of secrets, and without ownership metadata.

    The hash for a tag is short, and without the tags of the job.
    """
    body = kind.body(job.name, job.spec)
    if kind.ownership_field == TAGS:
        return f"{_VERSION}-{_hash({key: value for key, value in body.items() if key != TAGS})[:_HASH]}"
    return f"{_VERSION}-{_hash(body)}"


def _hash(value: Any) -> str:
    canonical = _CANONICAL.encode(value)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


def with_ownership(kind: Kind, job: Job, owner: Owner | None, secrets: Sequence[str] = ()) -> Spec:
    """Return the spec of the request: with ownership metadata, if there is an owner and the API allows it.

    `secrets` are the JSON Pointers of the values with secrets.
    """
    if owner is None or kind.ownership_field not in {CONF, TAGS}:
        return job.spec
    if kind.ownership_field == CONF:
        values = {
            "project": owner.project,
            "revision": owner.revision,
            "fingerprint": fingerprint(kind, job),
            "secrets": _pointer_list(secrets),
            SENT: _sent(kind, job, secrets) if job.values else "",
        }
        keys = {f"{CONF_PREFIX}{key}": value for key, value in values.items() if value}
        keys |= {f"{CONF_PREFIX}{PARAMETER}{name}": value for name, value in job.values.items()}
        return {**job.spec, CONF: {**job.spec.get(CONF, {}), **keys}}
    added = ownership_tags(kind, job, owner, secrets)
    if not added:
        return job.spec
    tags = [{"key": key, "value": value} for key, value in added.items()]
    return {**job.spec, TAGS: [*job.spec.get(TAGS, []), *tags]}


def _pointer_list(secrets: Sequence[str]) -> str:
    listed = json.dumps(list(secrets), separators=(",", ":")) if secrets else ""
    return listed if len(listed) <= _MAX_POINTERS else json.dumps([_WHOLE])


def ownership_tags(
    kind: Kind, job: Job, owner: Owner, secrets: Sequence[str], live: LiveJob | None = None
) -> dict[str, str]:
    """Return the ownership tags of a job, by importance; as many as there is room for.

    `live` is the job as the listing shows it after it was deployed; without it the definition in the fingerprint is
    unknown.
    """
    fields = sorted(
        {pointer.split("/")[1] for pointer in secrets} | (_kept_secrets(job, live) if live else set())
    )
    names = "-".join(fields) if fields else NO_FIELDS if live and live.ownership.get("secrets") else ""
    is_short = len(names) <= MAX_TAG and all(re.fullmatch("[A-Za-z0-9_]+", name) for name in fields)
    tags = {
        TAG: _tag_of(owner),
        SECRETS_TAG: names if is_short else ALL_FIELDS,
        FINGERPRINT_TAG: "-".join(
            (
                fingerprint(kind, job),
                _shown_hash(live, fields) if live else "0",
                _tags_hash(job.spec.get(TAGS)),
            )
        ),
    }
    room = max(0, MAX_TAGS - len(job.spec.get(TAGS, [])))
    return dict([(key, value) for key, value in tags.items() if value][:room])


def _kept_secrets(job: Job, live: LiveJob) -> set[str]:
    """Return the fields that had a secret and that the manifest has no longer: an update leaves their value."""
    recorded, spec = _secret_fields(live), live.spec or {}
    return {
        name for name in (spec if recorded is None else recorded) if name in spec and name not in job.spec
    }


def recorded_tags(live: LiveJob) -> dict[str, str]:
    """Return the ownership tags that a live job has, by importance."""
    held = live.ownership
    fingerprint_parts = [held.get(key, "") for key in ("fingerprint", "shown", "tags")]
    tags = {
        TAG: held.get("project", ""),
        SECRETS_TAG: held.get("secrets", ""),
        FINGERPRINT_TAG: "-".join(fingerprint_parts) if all(fingerprint_parts) else "",
    }
    return {key: value for key, value in tags.items() if value}


def _shown_hash(live: LiveJob, secret_fields: Sequence[str]) -> str:
    """Hash the definition that a listing shows, without tags and without fields that have a secret."""
    omitted = {TAGS, *live.unobserved, *secret_fields}
    spec = {name: value for name, value in (live.spec or {}).items() if name not in omitted}
    return _hash(spec)[:_HASH]


def tag_values(tags: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    """Return the values of the tags in a spec, by key."""
    return {str(tag["key"]): str(tag.get("value", "")) for tag in tags or ()}


def _tags_hash(tags: Sequence[Mapping[str, Any]] | None) -> str:
    return _hash(tag_values(tags))[:_TAGS_HASH]


def ownership_filter(kind: Kind, owner: Owner) -> Mapping[str, str]:
    """Return the query that lists the jobs of an owner; empty if the API has no such filter."""
    return {TAGS: f"{TAG}={_tag_of(owner)}"} if kind.ownership_field == TAGS else {}


def extract_ownership(kind: Kind, live: LiveJob) -> LiveJob:
    """Return a live job with the ownership metadata moved out of its spec."""
    held = live.spec.get(kind.ownership_field) if live.spec and kind.ownership_field else None
    if kind.ownership_field == CONF and isinstance(held, Mapping):
        mine = {key: value for key, value in held.items() if str(key).startswith(CONF_PREFIX)}
        if mine:
            ownership = {shared(key.removeprefix(CONF_PREFIX)): str(value) for key, value in mine.items()}
            return _with(
                live, CONF, {key: value for key, value in held.items() if key not in mine}, ownership
            )
    if kind.ownership_field == TAGS and isinstance(held, list):
        mine_too = [tag for tag in held if _is_ownership_tag(tag)]
        if mine_too:
            others = [tag for tag in held if tag not in mine_too]
            return _with(live, TAGS, others, _from_tags(tag_values(mine_too)))
    return live


def _is_ownership_tag(tag: Any) -> bool:
    return isinstance(tag, Mapping) and tag.get("key") in _RESERVED_TAGS


def _from_tags(values: Mapping[str, str]) -> dict[str, str]:
    """Return the ownership metadata in tags; a damaged fingerprint counts as missing."""
    found = {
        "project": values.get(TAG, ""),
        "secrets": values.get(SECRETS_TAG, ""),
        "savepoint": values.get(SAVEPOINT_TAG, ""),
    }
    if parts := _FINGERPRINT.fullmatch(values.get(FINGERPRINT_TAG, "")):
        found |= dict(zip(("fingerprint", "shown", "tags"), parts.groups(), strict=True))
    return {key: value for key, value in found.items() if value}


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
            if _is_ownership_tag(tag):
                yield (TAGS, index, "key")


def is_owned(live: LiveJob, owner: Owner | None) -> bool:
    """Return whether a live job has the ownership metadata of an owner."""
    if owner is None:
        return False
    is_tag = KINDS[live.identity.kind].ownership_field == TAGS
    return project_of(live) == (_tag_of(owner) if is_tag else owner.project)


def project_of(live: LiveJob) -> str:
    """Return the name of the project that deployed a live job, as recorded: cut off in a tag; empty if unknown."""
    return live.ownership.get("project", "")


def recorded_parameters(live: LiveJob) -> dict[str, str]:
    """Return the values of a run's parameters in its ownership metadata."""
    return {
        key.removeprefix(PARAMETER): value
        for key, value in live.ownership.items()
        if key.startswith(PARAMETER)
    }


def can_be_unowned(kind: Kind, live: LiveJob) -> bool:
    """Return whether a live job without ownership metadata was not deployed by a project that records it.

    It may be unreadable, or a Flink job has no room for another tag.
    """
    if live.spec is None or not kind.ownership_field or kind.ownership_field in live.unobserved:
        return False
    return kind.ownership_field != TAGS or len(live.spec.get(TAGS, [])) < MAX_TAGS


def matches_fingerprint(kind: Kind, job: Job, live: LiveJob) -> bool:
    """Return whether a run was submitted with this request body; false for a definition, which can be changed."""
    return kind.ownership_field == CONF and was_requested(kind, job, live)


def was_requested(kind: Kind, job: Job, live: LiveJob) -> bool:
    """Return whether this request body is the last one deployer sent for a live job, which may have changed."""
    return live.ownership.get("fingerprint") == fingerprint(kind, job)


def is_as_sent(live: LiveJob) -> bool | None:
    """Return whether what had the values of a run's parameters is listed as deployer sent it; None if unknown.

    That does not depend on the manifest of today. Whoever edits a run in the console and submits it again copies its
    metadata, but not what it is of.
    """
    version, _, rest = live.ownership.get(SENT, "").partition("-")
    recorded, _, names = rest.partition("-")
    if (
        version != _VERSION
        or not names
        or live.spec is None
        or live.unobserved.intersection(names.split("."))
    ):
        return None
    return recorded == _hash({name: live.spec.get(name) for name in names.split(".")})[:_SENT_HASH]


def _sent(kind: Kind, job: Job, secrets: Sequence[str]) -> str:
    """Return the hash and the names of the fields with parameters; empty if all have secrets or additional settings."""
    hidden = {pointer.split("/")[1] for pointer in secrets if pointer}
    fields = {
        name: value
        for name, value in kind.expect(job.spec).items()
        if job.definition.get(name) != job.spec.get(name)
        and not isinstance(value, Mapping)
        and name not in hidden
    }
    return f"{_VERSION}-{_hash(fields)[:_SENT_HASH]}-{'.'.join(sorted(fields))}" if fields else ""


def cause_of(kind: Kind, job: Job, live: LiveJob, fields: Sequence[FieldChange]) -> Cause:
    """Return which side of a job has changed since it was deployed, from its fingerprint."""
    recorded, now = live.ownership.get("fingerprint", ""), fingerprint(kind, job)
    if recorded.partition("-")[0] != _VERSION:
        return Cause.UNKNOWN
    if kind.ownership_field == CONF:
        return Cause.MANIFEST if recorded != now else Cause.UNKNOWN
    differing = {field.name for field in fields}
    manifest_changed = live_changed = False
    if differing - {TAGS}:
        shown = live.ownership.get("shown", "0")
        if shown == "0" or (fields_with_secrets := _secret_fields(live)) is None:
            return Cause.UNKNOWN
        manifest_changed = recorded != now
        live_changed = shown != _shown_hash(live, fields_with_secrets)
    if TAGS in differing:
        tags = live.ownership.get("tags")
        if TAGS in (_secret_fields(live) or ()):
            return Cause.UNKNOWN  # the hash has the name of the secret, the live job its value
        manifest_changed |= tags != _tags_hash(job.spec.get(TAGS))
        live_changed |= tags != _tags_hash((live.spec or {}).get(TAGS))
    if manifest_changed and live_changed:
        return Cause.BOTH
    if manifest_changed or live_changed:
        return Cause.MANIFEST if manifest_changed else Cause.DRIFT
    return Cause.UNKNOWN  # the service has never shown what was sent


def _secret_fields(live: LiveJob) -> list[str] | None:
    """Return the fields of a Flink job that had a secret when it was deployed; None if unknown."""
    names = live.ownership.get("secrets", NO_FIELDS)
    return None if names == ALL_FIELDS else [] if names == NO_FIELDS else names.split("-")


def recorded_secret_pointers(kind: Kind, live: LiveJob) -> tuple[str, ...]:
    """Return the JSON Pointers of the values that were secret when a live job was deployed."""
    recorded = live.ownership.get("secrets", "")
    if not recorded:
        return ()
    if kind.ownership_field == TAGS:
        names = _secret_fields(live)
        return (_WHOLE,) if names is None else tuple(f"/{name}" for name in names)
    try:
        pointers = json.loads(recorded)
    except (ValueError, RecursionError):
        return (_WHOLE,)
    return tuple(map(str, pointers)) if isinstance(pointers, list) else (_WHOLE,)


def _tag_of(owner: Owner) -> str:
    return owner.project[:MAX_TAG]
