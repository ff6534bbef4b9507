"""The ownership tags of a Flink job, renewed when it is created or updated.

They only explain a later difference and hide a former secret, so a failure is a note in the outcome, not an error:
except where they are all that a change writes, to take the job over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from deployer.apply.context import ChangeContext
from deployer.apply.recheck import drift
from deployer.apply.writes import Write, live_shows, send_write
from deployer.cloud.observe import list_candidates
from deployer.errors import DeployerError
from deployer.kinds.kind import TAGS
from deployer.kinds.ownership import (
    ALL_FIELDS,
    NO_FIELDS,
    SECRETS_TAG,
    is_owned,
    ownership_tags,
    recorded_tags,
    was_requested,
)
from deployer.model import LiveJob, Step
from deployer.secrets.pointers import secret_pointers


def with_ownership_tags(step: Callable[[ChangeContext], str]) -> Callable[[ChangeContext], str]:
    """Return a create or update that also renews the ownership tags of its job."""

    def run(context: ChangeContext) -> str:
        if context.kind.ownership_field != TAGS or context.shared.owner is None:
            return step(context)
        if context.change.takes_over:
            return _take_over(context)
        before = context.change.live  # with its tags; a job that was read by its id has none
        note = _add_secret_fields(context, before) if before else ""
        message = step(context)
        return f"{message}{_renew(context, before) or note}"

    return run


def _take_over(context: ChangeContext) -> str:
    """Write the tags of an adopted job, which are all that changes. Raises ApiError and OutcomeUnknown."""
    live = context.change.live
    recorded = recorded_tags(live) if live else {}
    tags = {key: value for key, value in _tags(context, live).items() if recorded.get(key) != value}
    send = lambda: context.client.tag(context.kind, context.progress.id, tags)  # noqa: E731
    # It can be repeated, and a job that is read by its id shows no tags.
    written = send_write(context, Write(Step.UPDATE, send, live_shows(context, lambda _: False)))
    return f"ownership tags written{written.note}"


def with_missing_tags(step: Callable[[ChangeContext], str]) -> Callable[[ChangeContext], str]:
    """Return a start that also writes ownership tags that are missing or outdated, as after a crash."""

    def run(context: ChangeContext) -> str:
        live, owner = context.change.live, context.shared.owner
        message = step(context)
        if live is None or owner is None or {Step.CREATE, Step.UPDATE} & {*context.change.steps}:
            return message
        is_known = context.kind.ownership_field == TAGS and TAGS not in live.unobserved
        has_ours = is_owned(live, owner) and was_requested(context.kind, context.job, live)
        return f"{message}{_renew(context, live)}" if is_known and not has_ours else message

    return run


def _add_secret_fields(context: ChangeContext, live: LiveJob) -> str:
    """Record the fields that are about to get a secret: the update may succeed and the next tag write fail."""
    secrets = secret_pointers(context.job.spec)
    wanted = _tags(context, None).get(SECRETS_TAG) if secrets else None
    recorded = recorded_tags(live)
    if not wanted or recorded.get(SECRETS_TAG) == wanted:
        return ""
    # Until the update, the fields that had a secret before have it still.
    both = wanted if recorded.get(SECRETS_TAG, NO_FIELDS) == NO_FIELDS else ALL_FIELDS
    return _write(context, {SECRETS_TAG: both})


def _renew(context: ChangeContext, before: LiveJob | None) -> str:
    """Write the tags that changed, with the definition as the listing shows it now."""
    live = _as_deployed(context, _listed(context) if before else _created(context))
    if live is None and before is None:
        return ""  # the tags of the create are all that is known
    known = live
    if live and before:
        # While a field gets its first secret, the tag of the listed job may name more fields than had one.
        secrets = before.ownership.get("secrets", live.ownership.get("secrets", ""))
        known = replace(live, ownership={**live.ownership, "secrets": secrets})
    tags = _tags(context, known)
    if live is None:
        tags |= {key: value for key, value in _tags(context, before).items() if key == SECRETS_TAG}
    # After a create all are written: it takes a request to read which of them the service has kept.
    recorded = recorded_tags(live) if live and before else {}
    changed = {key: value for key, value in tags.items() if recorded.get(key) != value}
    return _write(context, changed) if changed else ""


def _created(context: ChangeContext) -> LiveJob | None:
    """Return the created job if it was read from its listing."""
    return context.progress.created if context.progress.is_listed else None


def _listed(context: ChangeContext) -> LiveJob | None:
    """Return the job as its listing shows it, None if it does not."""
    try:
        listed = list_candidates(context.client, context.job)
    except DeployerError:
        return None
    return next((run for run in listed if run.id == context.progress.id), None)


def _as_deployed(context: ChangeContext, live: LiveJob | None) -> LiveJob | None:
    """Return a live job, None if it does not show what was deployed yet."""
    return live if live and live.spec is not None and not drift(context.kind, context.job, live) else None


def _tags(context: ChangeContext, live: LiveJob | None) -> dict[str, str]:
    owner = context.shared.owner
    if owner is None:
        return {}
    return ownership_tags(context.kind, context.job, owner, secret_pointers(context.job.spec), live)


def _write(context: ChangeContext, tags: Mapping[str, str]) -> str:
    """Add tags, without a line in the journal: they are no part of the change. Return a note if that failed."""
    try:
        context.client.tag(context.kind, context.progress.id, tags)
    except DeployerError as error:
        return f" (cannot write the ownership tags: {error})"
    return ""
