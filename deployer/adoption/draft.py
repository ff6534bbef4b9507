"""LiveJob -> the manifest that describes it, as data: short, without what the service or deployer adds.

What is left out is what the service adds again: defaults, values that it is known to fill in; and ownership metadata.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.adoption.layout import Block, Entry
from deployer.adoption.secret_values import Found, HiddenInKeyError, SecretNames, with_references
from deployer.adoption.settings_text import has_pairs, written
from deployer.adoption.statements import joined
from deployer.documents.reserved import MESSAGE, RESERVED
from deployer.kinds.coerce import as_text
from deployer.kinds.kind import Kind, Nature, may_be_unnamed
from deployer.kinds.ownership import project_of
from deployer.kinds.printed_list import SEPARATOR
from deployer.kinds.tables import Row, json_type
from deployer.model import LiveJob, Phase, State, pointer, utc_time
from deployer.planning.diff import normalize
from deployer.schema.parts import API_VERSION
from deployer.secrets.redact import redacted
from deployer.secrets.references import texts_in

# The states of a definition in transition that ends with a running job.
_STARTING = re.compile("submitting|downloading|recovering|savepointing")
_SIZE = re.compile("[0-9]{1,15}")
_SQL_TYPES = ("HiveSql", "SparkSql")

MAX_PROJECT = 64

_CHECK = "check it before the next run."

_PROTECTED = (
    "Until these lines are removed, apply does not run, stop, restart, replace or delete the job.",
    "Remove them to manage it, but keep adopt until the first change is applied.",
)


class CannotImportError(ValueError):
    """A live job without a manifest; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a target that a manifest depends on: names of clusters by id, and defaults by kind."""

    clusters: Mapping[str, str]
    defaults: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Draft:
    """The manifest of a live job, with `comments` above it, and the secrets that it refers to."""

    live: LiveJob
    manifest: Block
    comments: tuple[str, ...]
    secrets: tuple[Found, ...] = ()


def draft(kind: Kind, live: LiveJob, settings: Settings, names: SecretNames) -> Draft:
    """Return the manifest of a live job. Raises CannotImportError."""
    _require_representable(kind, live)
    defaults = settings.defaults.get(kind.name, {})
    spec, left_out = _minimal(kind, live, defaults.get("spec", {}))
    spec = kind.in_reference_spelling(_with_place(kind, live, spec, settings.clusters))
    try:
        spec, secrets = with_references(kind, live, spec, names)
    except HiddenInKeyError as error:
        path = f"spec{error}"
        message = f"a key in {path} contains a credential, and a manifest cannot refer to a secret in a key"
        raise CannotImportError(message) from None
    comments = {name: [*_secret_comments(name, secrets)] for name in spec}
    for name, listed in live.texts.items():
        if name in spec and isinstance(spec[name], Mapping):
            spec[name], dropped = written(listed, (live.spec or {})[name], spec[name])
            comments[name] += _text_comments(kind.spellings[name], listed, dropped)
    spec = {name: _sendable(kind.spellings[name], value) for name, value in spec.items()}
    spec |= _removals(defaults.get("spec", {}), spec, kind)
    entries = [
        Entry("apiVersion", API_VERSION),
        Entry("kind", kind.name),
        Entry("metadata", {"name": live.identity.name}),
        Entry("spec", Block(tuple(_spec_entries(kind, live, spec, left_out, comments)))),
        Entry("lifecycle", Block(tuple(_lifecycle(kind, live, defaults.get("lifecycle", {}))))),
    ]
    return Draft(live, Block(tuple(entries)), tuple(_origin(kind, live)), tuple(secrets))


def with_waivers(made: Draft, rules: Sequence[str]) -> Draft:
    """Return a draft that waives rules, which the live job violates."""
    if not rules:
        return made
    waived = Entry("waive", dict.fromkeys(rules, "the live job violates it"))
    return replace(made, manifest=Block((*made.manifest.entries, waived)))


def _require_representable(kind: Kind, live: LiveJob) -> None:
    name = live.identity.name
    if not name:
        hidden = "the list does not show its name" if may_be_unnamed(kind, live) else "it has no name"
        raise CannotImportError(f"{hidden}, which a manifest needs")
    if live.spec is None:
        raise CannotImportError("the service does not return its spec, or not with the documented types")
    if kind.place and not live.identity.place:
        raise CannotImportError(f"the list does not show its {kind.place}")
    if any(RESERVED.search(text) for text in texts_in([name, live.identity.place, live.spec])):
        raise CannotImportError(MESSAGE)
    if redacted(name) != name:
        raise CannotImportError("its name contains a credential")


def _minimal(kind: Kind, live: LiveJob, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that a manifest needs, and those with the value that the service fills in."""
    held, spec, left_out = live.spec or {}, dict[str, Any](), dict[str, Any]()
    filled = kind.fills(held)
    for row in kind.rows:
        if row.name not in held or row.name in live.unobserved or row.name in kind.place_fields:
            continue
        if row.same_as and held.get(row.same_as) is not None:
            continue
        value = held[row.name] if row.name in live.texts else _without_nulls(held[row.name])
        has_default = any(name in defaults for name in kind.names_of(row.name))
        if (
            normalize(row, value) is None
            and not row.required
            and not (has_default and value not in (None, ""))
        ):
            continue
        if row.filled and not has_default and value in filled.get(row.name, ()):
            left_out[row.name] = value
        else:
            spec[row.name] = value
    return spec, left_out


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _with_place(
    kind: Kind, live: LiveJob, spec: Mapping[str, Any], clusters: Mapping[str, str]
) -> dict[str, Any]:
    if not kind.place:
        return dict(spec)
    place = live.identity.place
    return {**spec, kind.place: clusters.get(place, place) if kind.place in kind.path_fields else place}


def _sendable(row: Row, value: Any) -> Any:
    """Return a listed value in the format of the request."""
    printed = json_type(row.type)["type"]
    if printed == "string" and isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    if row.memory and isinstance(value, str) and _SIZE.fullmatch(value):
        return f"{value}G"
    if row.text_map and isinstance(value, Mapping):
        return {str(key): as_text(item) for key, item in value.items()}
    return value


def _removals(defaults: Mapping[str, Any], held: Mapping[str, Any], kind: Kind | None) -> dict[str, Any]:
    """Return the nulls that remove the project's defaults where the live job has nothing."""
    removed: dict[str, Any] = {}
    for name, default in defaults.items():
        names = kind.names_of(name) if kind else (name,)
        own = next((other for other in names if other in held), None)
        if own is None:
            removed[name] = None
        elif isinstance(default, Mapping) and isinstance(held[own], Mapping):
            inner = _removals(default, held[own], None)
            if inner:
                removed[own] = {**held[own], **inner}
    return removed


def _spec_entries(
    kind: Kind,
    live: LiveJob,
    spec: Mapping[str, Any],
    left_out: Mapping[str, Any],
    comments: Mapping[str, Sequence[str]],
) -> Iterator[Entry]:
    for row in kind.rows:
        if row.name in left_out:
            shown = redacted(json.dumps(left_out[row.name], ensure_ascii=False))
            words = "the service fills it in; uncomment it to keep it"
            yield Entry("", comments=(f"{row.name}: {shown}  # {words}",))
        if row.name in spec:
            value, more = _joined(kind, row.name, spec)
            own = comments.get(row.name, ())
            yield Entry(row.name, value, (*own, *more, *_job_type_comment(kind, row.name, spec)))
    for name in spec.keys() - {row.name for row in kind.rows}:
        yield Entry(name, spec[name])
    if hidden := _not_shown(kind, live, spec):
        yield Entry(
            "", comments=(f"Not shown by the service: {', '.join(hidden)}; add them if the job has them.",)
        )


def _secret_comments(name: str, secrets: Sequence[Found]) -> Iterator[str]:
    for found in secrets:
        if found.path[0] == name and found.is_masked:
            at = pointer(found.path[1:])
            yield f"{name}{at}: the service does not show this value; {found.name} must be the one of the job."


def _text_comments(row: Row, listed: str, dropped: Sequence[str]) -> Iterator[str]:
    """Yield what is not certain, or not as it was, of the data of a string."""
    if has_pairs(row.example) and not has_pairs(listed):
        yield f"{row.name}: listed in another format than that of the reference, a list of keys and values; {_CHECK}"
    if dropped:
        yield redacted(f"{row.name}: left out: {', '.join(dropped)}.")
    if row.filled:
        yield f"{row.name}: the service adds settings of its own; remove those that you did not set."


def _joined(kind: Kind, name: str, spec: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Return a value that was printed as one text, with statements as one item, and a comment where it is a guess."""
    value = spec[name]
    if isinstance(value, Mapping) and _is_printed_map(kind, name):
        # A value without `=` in it cannot have been read from two keys, nor a part of its key.
        is_certain = len(value) < 2 and not any("=" in str(item) for item in value.values())
        words = f"a value with '{SEPARATOR}' and '=' in it is listed as several keys, and a key may end at another '='"
        return value, () if is_certain else (f"{name}: listed as one text: {words}; {_CHECK}",)
    if name not in kind.align or not isinstance(value, list) or len(value) < 2:
        return value, ()
    if spec.get("job_type") in _SQL_TYPES:
        value = joined([str(item) for item in value])
    words = f"where an item has '{SEPARATOR}' in it, where items begin and end is a guess"
    return value, (f"{name}: listed as one text: {words}; {_CHECK}",)


def _is_printed_map(kind: Kind, name: str) -> bool:
    """Return whether a listing returns a map in a format in which a value may look like two keys."""
    probe = {"a": "1, b=2"}
    return bool(kind.expect({name: probe}).get(name) != probe)


def _job_type_comment(kind: Kind, name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield a comment if the listing shows another value as this one, too."""
    row = kind.spellings[name]
    word = spec[name]
    same = [
        other
        for other in row.limits.get("enum", ())
        if other != word and _is_listed_as(kind, name, other, word)
    ]
    if same:
        yield f"{name}: {' and '.join(map(str, same))} is listed as {word}, too."


def _is_listed_as(kind: Kind, name: str, other: Any, word: Any) -> bool:
    return bool(kind.expect({name: other}).get(name) == word)


def _not_shown(kind: Kind, live: LiveJob, spec: Mapping[str, Any]) -> list[str]:
    """Return the fields that the listing does not show, and that the job may have."""
    return [
        row.name
        for row in kind.rows
        if (row.same_as or row.name) in live.unobserved
        and row.location == "body"
        and not (row.deprecated or row.same_as or row.name in kind.place_fields or row.name in spec)
    ]


def _lifecycle(kind: Kind, live: LiveJob, defaults: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield what keeps the job as it is: with these keys no action of plan runs or ends anything."""
    keys: dict[str, Any] = {"adopt": True}
    if kind.nature is Nature.RUN_ONCE:
        keys |= {"onChange": "keep"}
    else:
        yield Entry("state", _state(live).value)
    keys |= {"onMissing": "keep", "protect": True}
    # A default could run it: on a failure, at an instant, or as it names another state.
    keys |= {
        name: None
        for name in defaults
        if name not in keys and (kind.nature is Nature.RUN_ONCE or name != "state")
    }
    for number, (name, value) in enumerate(keys.items()):
        yield Entry(name, value, comments=_PROTECTED if number == 0 else ())


def _state(live: LiveJob) -> State:
    starts = live.phase is Phase.PENDING and bool(_STARTING.search(live.state.casefold()))
    return State.RUNNING if live.phase is Phase.ACTIVE or starts else State.STOPPED


def _origin(kind: Kind, live: LiveJob) -> Iterator[str]:
    since = utc_time(live.submitted) if kind.nature is Nature.RUN_ONCE else None
    when = f", submitted {since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    yield f"Imported from {kind.noun} {live.id} ({live.state}{when})."
    if project := project_of(live):
        yield f"Project '{project[:MAX_PROJECT]}' deployed it."
