"""Creating a job. The request is sent once; if its response is lost, the job is looked up in the listing.

A new id with the same name and the same content is the job. Otherwise the outcome is unknown.
"""

from __future__ import annotations

from contextlib import suppress

from deployer.apply.context import ChangeContext, Created
from deployer.apply.recheck import has_this_content, is_other, list_same_name
from deployer.apply.writes import Evidence, Write, find_lost, send_write
from deployer.cloud.observe import list_candidates
from deployer.errors import ApiError, ResponseLost
from deployer.kinds.kind import TAGS, Nature, may_be_unnamed
from deployer.kinds.ownership import is_owned, with_ownership
from deployer.model import LiveJob, Spec, Step
from deployer.planning.run_keys import NOT_TOLD, with_run_keys
from deployer.secrets.pointers import secret_pointers


def create(context: ChangeContext) -> str:
    """Create the job, and read it back. Raises ApiError and OutcomeUnknown."""
    progress = context.progress
    if context.change.steps[0] is not Step.CREATE:
        list_same_name(context)  # the previous run may have taken long to end
    secrets, owner = secret_pointers(context.job.spec), context.shared.owner
    spec = context.shared.secrets.filled(with_ownership(context.kind, context.job, owner, secrets))
    progress.id, progress.live = "", None
    write = Write(
        Step.CREATE,
        lambda: _send(context, spec),
        lambda: _find(context),
        repeatable=False,
        doubt=_doubt,
    )
    written = send_write(context, write)
    progress.id = written.id
    notes = written.note
    looks = context.shared.looks
    if looks and looks.reads_back_later(context.job):
        context.shared.created[progress.id] = _created(context, unread=context)
        return f"{_created_words(context)}{notes}"
    _read_back(context)
    has_other_id = is_other(context.job, progress.created)
    if progress.created and has_other_id:
        other = f"{progress.created.id} ({progress.created.identity.name})"
        progress.id = ""
        lost = ResponseLost(f"the service returned the id of another job: {other}")
        found = find_lost(context, write, lost)
        progress.id = found.id
        notes += found.note
    context.shared.created[progress.id] = _created(context)
    if has_other_id:
        progress.created = context.read_job(progress.id)
    return f"{_created_words(context)}{notes}"


def _read_back(context: ChangeContext) -> None:
    """Read the created job: by its id, unless its listing shows it, for a job whose tags are written after that."""
    progress = context.progress
    if context.kind.ownership_field == TAGS and context.shared.owner:
        with suppress(ApiError):
            listed = list_candidates(context.client, context.job, with_tags=False)
            progress.created = next((run for run in listed if run.id == progress.id), None)
            progress.is_listed = progress.created is not None
    if progress.is_listed:
        return
    try:
        progress.created = context.read_job(progress.id)
    except ApiError as error:
        progress.read_error = str(error)


def _created(context: ChangeContext, unread: ChangeContext | None = None) -> Created:
    return Created(context.job, context.progress.id, context.progress.known_ids, context.planned_ids, unread)


def _created_words(context: ChangeContext) -> str:
    if context.kind.nature is Nature.DEFINITION:
        return "created"
    return "new run submitted" if context.change.steps[0] is Step.CANCEL else "submitted"


def _send(context: ChangeContext, spec: Spec) -> str:
    identifier = context.client.create(context.kind, context.job.name, spec)
    if identifier in context.progress.known_ids or identifier in context.shared.created:
        raise ResponseLost(f"the service returned the id of an existing job, {identifier}")
    return identifier


def _find(context: ChangeContext) -> Evidence:
    """Look for the created job in the listing. Raises ApiError."""
    listed = list_candidates(context.client, context.job)
    known_ids = context.progress.known_ids
    new = [run for run in listed if run.id not in known_ids]
    if context.job.parameters:
        new = [*with_run_keys(new, [context.job], context.shared.owner)]
    new = [run for run in new if _may_be_created(context, run)]
    if len(new) == 1 and _is_created(context, new[0]):
        return Evidence(new[0].id)
    return Evidence(candidates=tuple(run.id for run in new))


def _may_be_created(context: ChangeContext, live: LiveJob) -> bool:
    identity = context.job.identity
    unnamed = may_be_unnamed(context.kind, live) and live.identity.place in {identity.place, ""}
    is_not_told = live.identity == identity._replace(run=NOT_TOLD)
    return live.identity == identity or unnamed or is_not_told


def _is_created(context: ChangeContext, live: LiveJob) -> bool:
    """Return whether a new live job is certainly the created one: with this name, this content and our ownership."""
    kind, job, owner = context.kind, context.job, context.shared.owner
    if live.identity != job.identity or not has_this_content(kind, job, live):
        return False
    # Somebody else may have created the same one at the same time.
    is_recorded = kind.ownership_field not in live.unobserved and with_ownership(kind, job, owner) != job.spec
    return is_owned(live, owner) if is_recorded else True


def _doubt(evidence: Evidence) -> str:
    if evidence.error:
        found = f"the job list cannot be read: {evidence.error}"
    elif evidence.candidates:
        found = f"possible matches: {', '.join(evidence.candidates)}"
    else:
        found = "the job is not listed yet"
    return f"the request may have been executed; {found}"
