"""What a live job has and its manifest does not: filled in by the service, or removed from the manifest.

A comparison alone cannot tell the two apart. Only the fingerprint of the request can prove that the manifest had
more; without that proof no run is repeated and no stream is restarted for it. That the fingerprint is another one is
no such proof: a default that was written out, or another name of a secret, changes it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from deployer.kinds.kind import TAGS, Kind, Nature
from deployer.kinds.ownership import fingerprint, recorded_secret_pointers, was_requested
from deployer.model import FieldChange, Job, LiveJob, Spec
from deployer.planning.paths import path_words
from deployer.secrets.pointers import is_covered
from deployer.secrets.references import has_reference

Fields = tuple[FieldChange, ...]
_Unit = tuple[str, str | None]

# All selections of so many are tried; of more, only each one and all of them.
MAX_UNITS = 10


def separated(
    kind: Kind, job: Job, live: LiveJob | None, found: Sequence[FieldChange]
) -> tuple[Fields, Fields]:
    """Return the differences that count as changes, and those that only the live job has.

    A new run is submitted with the whole body, so its changes include what the previous run had; a definition is
    updated with the fields of the manifest only. Tags are always a change: removing one restarts nothing.
    """
    additional = [field for field in found if field.additional and not field.path.startswith(f"/{TAGS}")]
    if additional and live is not None:
        removed = _removed(kind, job, live, found, additional)
        additional = [field for field in additional if _unit(field) not in removed]
    changed = tuple(field for field in found if field not in additional)
    if kind.nature is Nature.RUN_ONCE and changed:
        return tuple(found), ()
    return changed, tuple(additional)


def _removed(
    kind: Kind, job: Job, live: LiveJob, found: Sequence[FieldChange], additional: Sequence[FieldChange]
) -> frozenset[_Unit]:
    """Return what the manifest had when the job was deployed and does not have now, if its fingerprint proves it.

    The earlier manifest is the present one with the live values of all other differences, and some of what only the
    live job has. Its fingerprint is that of the live job for what it really had. Where a secret prevents the proof,
    it is enough that the fingerprint is another one.
    """
    if "fingerprint" not in live.ownership:
        return frozenset()
    units = list(dict.fromkeys(_unit(field) for field in additional))
    others = {_unit(field) for field in found} - {*units}
    sizes = range(len(units) + 1) if len(units) <= MAX_UNITS else (0, 1, len(units))
    for size in sizes:
        for chosen in combinations(units, size):
            spec = _with_live_values(job.spec, live.spec or {}, {*others, *chosen})
            if was_requested(kind, replace(job, spec=spec), live):
                return frozenset(chosen)
    pointers = recorded_secret_pointers(kind, live)
    secrets = frozenset(_unit(field) for field in additional if is_covered(field.path, pointers))
    if not _is_comparable(kind, job, live):
        return secrets
    # A fingerprint has the name of a secret and the live job its value: nothing can be proved of these fields.
    return secrets | frozenset(
        _unit(field) for field in additional if field.sensitive or has_reference(job.spec.get(field.name))
    )


def _is_comparable(kind: Kind, job: Job, live: LiveJob) -> bool:
    """Return whether the fingerprint of a live job is of the version of this program."""
    version, _, _ = live.ownership["fingerprint"].partition("-")
    return fingerprint(kind, job).startswith(f"{version}-")


def _unit(field: FieldChange) -> _Unit:
    """Return the field of a difference, with the key in it that differs if it is a mapping."""
    name, *keys = field.parts
    return name, keys[0] if keys else None


def _with_live_values(spec: Spec, live: Spec, units: Iterable[_Unit]) -> Spec:
    values: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in spec.items()
    }
    for name, key in units:
        held, shown = values.get(name), live.get(name)
        if key is None or not isinstance(shown, Mapping) or not isinstance(held, Mapping | None):
            _put(values, name, shown)
        else:
            inner = values[name] = dict(held or {})
            _put(inner, key, shown.get(key))
            _put(values, name, inner or None)
    return values


def _put(holder: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        holder.pop(name, None)
    else:
        holder[name] = value


def describe(kind: Kind, additional: Sequence[FieldChange], again: str = "use --rerun") -> str:
    """Return a warning that names the fields; `again` says how to submit a run all the same."""
    names = ", ".join(map(path_words, additional))
    if kind.nature is Nature.DEFINITION:
        return (
            f"the live job has settings that the manifest does not have: {names}; left unchanged, because the "
            "service may have filled them in; to change them, set them in the manifest"
        )
    return (
        f"the last run has settings that the manifest does not have: {names}; not submitted again for them, "
        f"because the service may have filled them in; to submit a run without them, {again}"
    )
