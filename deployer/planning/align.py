"""Aligns the fields that a listing returns in a lossy format with those of a manifest, so that a diff can be read."""

from __future__ import annotations

from collections.abc import Sequence

from deployer.kinds.kind import Kind
from deployer.kinds.printed_list import SEPARATOR
from deployer.model import FieldChange, Job, LiveJob, Spec
from deployer.planning.diff import compare
from deployer.secrets.redact import is_secret_option
from deployer.secrets.references import has_reference


def compare_job(kind: Kind, job: Job, live: LiveJob) -> tuple[FieldChange, ...]:
    """Return the differences of a live job from its manifest; none if its spec is not returned."""
    if live.spec is None:
        return ()
    return compare(kind.rows, *aligned(kind, live.spec, job.spec), live.unobserved)


def aligned(kind: Kind, live: Spec, desired: Spec) -> tuple[Spec, Spec]:
    """Return both specs in the format in which they are compared."""
    expected = kind.expect(desired)
    live_fields, desired_fields = {}, {}
    for name, align in kind.align.items():
        # With references the pieces are compared one by one: a reference matches any text of its piece.
        if name not in live or name not in desired or has_reference(desired[name]):
            continue
        live_fields[name], desired_fields[name] = align(live[name], desired[name])
        if _joins_option(live_fields[name]) or _joins_option(desired_fields[name]):
            # The value after an option such as --password is recognized as an item of its own only.
            del live_fields[name], desired_fields[name]
    return {**live, **live_fields}, {**expected, **desired_fields}


def _joins_option(value: Sequence[str] | str) -> bool:
    texts = [value.removeprefix("[")] if isinstance(value, str) else value
    return any(
        is_secret_option(piece) for text in texts if SEPARATOR in text for piece in text.split(SEPARATOR)
    )
