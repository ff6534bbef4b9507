"""What a live job has and its manifest does not: filled in by the service, or removed from the manifest.

A comparison alone cannot tell the two apart. Only the fingerprint of another request proves that the manifest
had more; without that proof no run is repeated and no stream is restarted for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployer.kinds.kind import TAGS, Kind, Nature
from deployer.kinds.ownership import was_sent_otherwise
from deployer.model import FieldChange, Job, LiveJob

Fields = tuple[FieldChange, ...]


def separated(
    kind: Kind, job: Job, live: LiveJob | None, found: Sequence[FieldChange]
) -> tuple[Fields, Fields]:
    """Return the differences that count as changes, and those that only the live job has.

    A new run is submitted with the whole body, so its changes include what the previous run had; a definition is
    updated with the fields of the manifest only. Tags are always a change: removing one restarts nothing.
    """
    additional = tuple(field for field in found if field.additional and not field.path.startswith(f"/{TAGS}"))
    if not additional or (live is not None and was_sent_otherwise(kind, job, live)):
        return tuple(found), ()
    changed = tuple(field for field in found if field not in additional)
    if kind.nature is Nature.RUN_ONCE and changed:
        return tuple(found), ()
    return changed, additional


def describe(kind: Kind, additional: Sequence[FieldChange]) -> str:
    """Return a warning that names the fields."""
    names = ", ".join(field.path for field in additional)
    if kind.nature is Nature.DEFINITION:
        return (
            f"the live job has settings that the manifest does not have: {names}; left unchanged, because the "
            "service may have filled them in; to change them, set them in the manifest"
        )
    return (
        f"the last run has settings that the manifest does not have: {names}; not submitted again for them, "
        "because the service may have filled them in; to submit a run without them, use --rerun"
    )
