"""One change -> its Outcome: the steps that were planned, in their order, and no other call.

Before the first write the job is looked at again: what is no longer as the plan saw it is refused. A create
is sent once. Where its answer is lost, the listing is read again: an id that was not there before, under the
same name and with the same content, is the job; anything else is an unknown outcome, and is said. The other
writes can be repeated without harm, and are, once, where no look shows that the first one took; but a start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.apply import journal
from deployer.apply.journaled import ApplyContext
from deployer.apply.wait import wait_until
from deployer.cloud.observe import get_live_job, list_candidates
from deployer.errors import ApiError, DeployerError, Interrupted, RequestFailed, ResponseLost
from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS, Kind, Nature
from deployer.kinds.ownership import matches_fingerprint, with_ownership
from deployer.kinds.tables import json_type
from deployer.model import RUNNING_PHASES, Change, Identity, Job, LiveJob, Outcome, Phase, Result, Step
from deployer.planning.diff import compare
from deployer.project.target import seconds


class _StalePlanError(DeployerError):
    """The live job is not what the plan saw."""


class _OutcomeUnknown(DeployerError):
    """It cannot be told whether a call was carried out."""


@dataclass(slots=True)
class _Progress:
    """The progress of a change. `now` is the last state of its live job before this change.

    `known` are the ids that the listing showed just before the first write. `sent` is what was carried out of
    the step under way, in words, and `unread` why what was created could not be read back.
    """

    id: str
    now: LiveJob | None
    known_ids: frozenset[str] = frozenset()
    said: list[str] = field(default_factory=list)
    sent: str = ""
    created: LiveJob | None = None
    read_error: str = ""


class Deployment:
    """One change under way."""

    def __init__(self, context: ApplyContext, change: Change, seen: Collection[str]) -> None:
        """`seen` are the ids of the live jobs that the plan knew."""
        self._context = context
        self._client = context.client
        self._change = change
        self._job = change.job
        self._kind = KINDS[change.job.kind]
        self._path_values = self._kind.path_values(change.job.spec)
        self._seen = seen
        # A create that failed has made nothing: the job's id is that of the run before.
        self._progress = _Progress(
            "" if change.steps[:1] == (Step.CREATE,) else _id(change.live), change.live
        )

    def execute(self) -> Outcome:
        """Does what was planned. Never raises: what went wrong is in the outcome."""
        steps: Mapping[Step, Callable[[], str]] = {
            Step.CREATE: self._create,
            Step.CANCEL: self._cancel,
            Step.STOP: self._stop,
            Step.UPDATE: self._update,
            Step.START: self._start,
            Step.DELETE: self._delete,
        }
        try:
            self._recheck()
            for step in self._change.steps:
                self._context.stop_signal.check()
                self._progress.said.append(steps[step]())
                self._progress.sent = ""
        except Interrupted as error:
            begun = [*self._progress.said, self._progress.sent]
            words = "the rest was not done" if any(begun) else "nothing was done"
            return self._outcome(
                Result.STOPPED, *begun, f"{words}: {error}; the next apply goes on from here"
            )
        except _StalePlanError as error:
            return self._outcome(Result.REFUSED, *self._progress.said, str(error))
        except _OutcomeUnknown as error:
            return self._outcome(Result.UNKNOWN, *self._progress.said, str(error))
        except DeployerError as error:
            word = _PAST_PARTICIPLES[self._change.steps[len(self._progress.said)]]
            words = f"but not {word}: {error}" if self._progress.said else str(error)
            if self._progress.sent:
                words = f"{self._progress.sent}, but {error}"
            return self._outcome(Result.FAILED, *self._progress.said, words)
        except Exception as error:  # noqa: BLE001 - the other changes go on, and this one is told of
            words = f"{type(error).__name__} inside deployer, which is a bug"
            return self._outcome(Result.UNKNOWN, *self._progress.said, self._progress.sent, words)
        return self._outcome(Result.DONE, *self._progress.said, self._read_back())

    def _outcome(self, result: Result, *said: str) -> Outcome:
        message = self._context.secrets.scrubbed(", ".join(filter(None, said)))
        begun = bool(self._progress.said or self._progress.sent)
        return Outcome(self._change, result, message, self._progress.id, begun=begun)

    # --- before the first write

    def _recheck(self) -> None:
        """Raises _Stale if the live job changed since the plan."""
        planned = self._change.live
        listed = self._list_candidates()
        if planned is None:
            return
        now = next((job for job in listed if job.id == planned.id), None) or self._get_live(
            planned.id, planned.identity
        )
        if now is None:
            raise _StalePlanError(f"{planned.id} is not there any more; plan again")
        if self._kind.nature is Nature.DEFINITION:
            moved = now.phase is not planned.phase
        elif Step.CANCEL in self._change.steps:
            moved = False  # what has ended meanwhile need not be cancelled
        else:
            moved = now.phase in RUNNING_PHASES and planned.phase not in RUNNING_PHASES
        if moved:
            raise _StalePlanError(
                f"{planned.id} was {planned.state} when the plan was made, and is {now.state} now; plan again"
            )
        if other := _changed_fields(planned, now):
            raise _StalePlanError(
                f"{planned.id} was changed since the plan was made ({', '.join(other)}); plan again"
            )
        # A savepoint that the plan did not count with is not started from.
        counts = planned.savepoint or now.phase is Phase.ACTIVE
        self._progress.now = now if counts else replace(now, savepoint="")

    def _list_candidates(self) -> list[LiveJob]:
        """Returns the live jobs that may be this one; raises _Stale where one has appeared."""
        listed = list_candidates(self._client, self._job)
        self._progress.known_ids = frozenset(job.id for job in listed)
        for job in listed:
            unnamed = (
                not self._kind.named_in_listing and not job.identity.name and job.phase in RUNNING_PHASES
            )
            if job.id not in self._seen and (job.identity == self._job.identity or unnamed):
                raise _StalePlanError(
                    f"{job.id} ({job.state}) has appeared since the plan was made; plan again"
                )
        return listed

    def _live(self) -> LiveJob:
        """Returns the live job, for the steps that only changes with one have."""
        if self._progress.now is None:
            raise RuntimeError("planned without a live job")
        return self._progress.now

    def _get_live(self, identifier: str, identity: Identity | None = None) -> LiveJob | None:
        return get_live_job(self._client, identity or self._job.identity, identifier, self._path_values)

    # --- run once, and the first step of a definition

    def _create(self) -> str:
        if self._change.steps[0] is not Step.CREATE:
            self._list_candidates()  # the run before may have taken long to end
        word = "created" if self._kind.nature is Nature.DEFINITION else "submitted"
        spec = self._context.secrets.filled(with_ownership(self._kind, self._job, self._context.owner))
        self._progress.id, self._progress.now = "", None
        said = [word]

        def find(error: ResponseLost) -> str:
            found = self._find_created(error)
            said.append("(its answer was lost; found in the listing)")
            return found

        def send() -> str:
            try:
                identifier = self._client.create(self._kind, self._job.name, spec)
            except RequestFailed as error:
                if not _may_have_executed(error) or not (found := self._created_despite_error()):
                    raise
                said.append(f"(found in the listing, although the service said: {error})")
                return found
            if identifier in self._progress.known_ids:
                raise ResponseLost(f"the service answered with the id of an earlier job, {identifier}")
            return identifier

        self._progress.id = self._send_recorded(Step.CREATE, send, find)
        try:
            self._progress.created = self._get_live(self._progress.id)
        except ApiError as error:
            self._progress.read_error = str(error)
        shown = self._progress.created
        if shown and shown.identity.name not in {"", self._job.name}:
            self._progress.id, other = "", f"{shown.id}, which is {shown.identity.name}"
            self._progress.id = find(
                ResponseLost(f"the service answered with the id of another job, {other}")
            )
            self._progress.created = self._get_live(self._progress.id)
        return " ".join(said)

    def _created_despite_error(self) -> str:
        """Returns the id of a job created despite an error; empty if a look shows none.

        One look: errors with a code of their own are answers as a rule, and MRS gives them all as HTTP 500.
        """
        try:
            return self._single_match(self._new_candidates())
        except ApiError:
            return ""

    def _find_created(self, error: ResponseLost) -> str:
        """Returns the id of the job whose create got no answer; raises _Unknown where that cannot be told."""
        new: list[LiveJob] = []
        read_error = ""
        for pause in self._context.polling.confirm_delays():
            try:
                self._context.stop_signal.sleep(pause)
                new = self._new_candidates()
            except Interrupted:
                break
            except ApiError as again:
                read_error = f"; and the listing cannot be read: {again}"
                continue
            read_error = ""
            if new:
                break
        if identifier := self._single_match(new):
            return identifier
        found = (
            f"the job may be {' or '.join(job.id for job in new)}" if new else "the job is not listed (yet)"
        )
        raise _OutcomeUnknown(
            f"{error}; whether it was carried out is not known{read_error or f': {found}'}; "
            f"see what is there with: {self._command('plan')}"
        ) from None

    def _new_candidates(self) -> list[LiveJob]:
        """Returns new listed jobs that the create may have made. Raises ApiError."""
        listed = list_candidates(self._client, self._job)
        return [job for job in listed if job.id not in self._progress.known_ids and self._is_candidate(job)]

    def _single_match(self, new: Sequence[LiveJob]) -> str:
        """Returns the id of the new job if it is the only one and matches; else an empty string."""
        is_it = len(new) == 1 and new[0].identity == self._job.identity and self._has_same_content(new[0])
        return new[0].id if is_it else ""

    def _is_candidate(self, job: LiveJob) -> bool:
        unnamed = not self._kind.named_in_listing and not job.identity.name
        return job.identity == self._job.identity or (
            unnamed and job.identity.place == self._job.identity.place
        )

    def _has_same_content(self, live: LiveJob) -> bool:
        return matches_fingerprint(self._kind, self._job, live) or not _drift(
            self._kind, self._job, live, read_error=True
        )

    def _command(self, verb: str) -> str:
        return f"deployer {verb} --select kind={self._job.kind},name={self._job.name}"

    def _cancel(self) -> str:
        runs = (self._live(), *self._change.other_runs)
        said = [self._cancel_run(run) for run in runs]
        self._progress.id = self._live().id
        if len(runs) == 1:
            return said[0]
        return ", ".join(f"{run.id} {words}" for run, words in zip(runs, said, strict=True))

    def _cancel_run(self, live: LiveJob) -> str:
        self._progress.id = live.id
        if live.phase not in RUNNING_PHASES:
            return f"had ended by itself ({live.state})"
        try:
            said = self._send_confirmed(
                Step.CANCEL,
                lambda: self._client.cancel(self._kind, live.id, self._path_values),
                _has_ended,
            )
        except RequestFailed as error:
            # What has just ended cannot be cancelled.
            now = self._get_live(live.id)
            if not _has_ended(now):
                raise
            how = "has ended" if _may_have_executed(error) else "had ended by itself"
            return f"{how} ({now.state if now else 'gone'})"
        self._wait(_has_ended, "to end")
        return f"cancelled{said}"

    # --- definitions

    def _stop(self) -> str:
        had = self._live()
        wanted = self._job.lifecycle.savepoint
        try:
            said = self._send_confirmed(
                Step.STOP,
                lambda: self._client.stop(self._kind, self._progress.id, savepoint=wanted),
                lambda now: now is None or now.phase is not Phase.ACTIVE,
            )
        except RequestFailed as error:
            # Only what runs can be stopped. A job in a state that nobody understands may well not.
            if had.phase is Phase.UNKNOWN and error.status == 400:
                return "it does not run"
            raise
        now = self._wait(lambda now: now is None or now.phase is not Phase.PENDING, "to stop", Phase.ACTIVE)
        if now is None:
            raise RequestFailed(f"{self._progress.id} is gone after it was stopped")
        if now.phase is Phase.ACTIVE:
            raise RequestFailed(f"it could not be stopped: it is {now.state}")
        self._progress.now = now
        if now.phase is not Phase.STOPPED:
            if self._change.steps[-1] is Step.STOP:
                return f"ended ({now.state})"
            raise _StalePlanError(f"it ended by itself ({now.state}) while it was to be stopped; plan again")
        if not wanted:
            return f"stopped without a savepoint{said}"
        if not now.savepoint or (now.savepoint == had.savepoint and now.savepoint != "yes"):
            words = "it was stopped, but left no savepoint"
            # An older savepoint may be there: the next plan must not take it for the state of this run.
            entry = self._context.journal.intent(self._change, journal.SAVEPOINT, self._progress.id)
            entry.ended(Result.FAILED, self._progress.id, words)
            raise RequestFailed(f"{words}; it stays stopped, and nothing else was done")
        return f"stopped with a savepoint{said}"

    def _update(self) -> str:
        names = list(dict.fromkeys(change.path.split("/")[1] for change in self._change.fields))
        filled = self._context.secrets.filled({name: self._job.spec.get(name) for name in names})
        body = {
            name: _value_or_empty(self._kind, name, value) for name, value in filled.items() if name != TAGS
        }
        if body:
            self._send_confirmed(
                Step.UPDATE,
                lambda: self._client.update(self._kind, self._progress.id, body),
                lambda now: now is not None and not {*_drift(self._kind, self._job, now)} & {*body},
            )
        if TAGS in names:
            self._update_tags()
        return f"updated {', '.join(names)}"

    def _update_tags(self) -> None:
        planned = self._change.live.spec if self._change.live else None
        live = _tag_map((planned or {}).get(TAGS))
        wanted = _tag_map(self._context.secrets.filled({TAGS: self._job.spec.get(TAGS)})[TAGS])
        gone = {key: value for key, value in live.items() if key not in wanted}
        new = {key: value for key, value in wanted.items() if live.get(key) != value}
        # Either can be sent again: a tag that is gone is no error, and one that is there is replaced.
        if gone:
            self._send_confirmed(
                Step.UPDATE, lambda: self._client.untag(self._kind, self._progress.id, gone), _never_confirmed
            )
        if new:
            self._send_confirmed(
                Step.UPDATE, lambda: self._client.tag(self._kind, self._progress.id, new), _never_confirmed
            )

    def _start(self) -> str:
        # What an update has done to the state says nothing about whether the job has run.
        before = self._progress.now
        from_savepoint = False
        if before is not None and before.phase not in {Phase.DRAFT, Phase.SUCCEEDED}:
            from_savepoint = bool(before.savepoint)
            if not from_savepoint and self._job.lifecycle.savepoint:
                raise RequestFailed("it has no savepoint: it would start without its state")
        phase = self._phase_before_start()
        said = self._send_confirmed(
            Step.START,
            lambda: self._client.start(self._kind, self._progress.id, from_savepoint=from_savepoint),
            lambda now: now is not None and now.phase is not phase,
            repeat=False,
        )
        said = f"started{' from its savepoint' if from_savepoint else ''}{said}"
        if self._change.steps[0] is Step.STOP:
            now = self._wait(lambda now: now is None or now.phase is not Phase.PENDING, "to run", phase)
            if now is None or now.phase in {Phase.FAILED, Phase.STOPPED, Phase.DRAFT}:
                raise RequestFailed(f"after its restart it is {now.state if now else 'gone'}")
        return said

    def _phase_before_start(self) -> Phase:
        if Step.UPDATE in self._change.steps and (now := self._get_live(self._progress.id)):
            return now.phase
        return self._progress.now.phase if self._progress.now else Phase.DRAFT

    def _delete(self) -> str:
        said = self._send_confirmed(
            Step.DELETE, lambda: self._client.delete(self._kind, self._progress.id), lambda now: now is None
        )
        return f"deleted{said}"

    # --- what the steps share

    def _send_recorded(self, step: Step, send: Callable[[], str], find: Callable[[ResponseLost], str]) -> str:
        """Sends a write that gives an id, between two lines of the journal.

        `find` is asked where its answer is lost. Raises what it and `send` raise.
        """
        entry = self._context.journal.intent(self._change, step, self._progress.id)
        lost = ""
        try:
            try:
                identifier = send()
            except ResponseLost as error:
                lost = "its answer was lost"
                identifier = find(error)
        except DeployerError as error:
            # What a service did although it says that it failed may be listed late: the next apply waits.
            doubtful = isinstance(error, ApiError) and error.status >= 500
            result = Result.UNKNOWN if doubtful or isinstance(error, _OutcomeUnknown) else Result.FAILED
            entry.ended(result, self._progress.id, str(error), self._client.request_id)
            raise
        entry.ended(Result.DONE, identifier, lost, self._client.request_id)
        return identifier

    def _send_confirmed(
        self,
        step: Step,
        send: Callable[[], None],
        is_confirmed: Callable[[LiveJob | None], bool],
        *,
        repeat: bool = True,
    ) -> str:
        """Sends a write about a job that is there. Where its answer is lost, a look shows whether it took.

        What there is to say about that. Raises ApiError, and _Unknown where it cannot be told.
        """
        identifier = self._progress.id
        shown = []

        def sent() -> str:
            try:
                send()
            except RequestFailed as error:
                # One look, as for a create; `_cancelled` looks for itself.
                looks = _may_have_executed(error) and step is not Step.CANCEL
                if not looks or not self._confirm(is_confirmed, [0.0]):
                    raise
                shown.append(f" (a look shows that it took, although the service said: {error})")
            return identifier

        def look(error: ResponseLost) -> str:
            if self._confirm(is_confirmed, self._context.polling.confirm_delays()):
                shown.append(" (its answer was lost; a look shows that it took)")
                return identifier
            raise _OutcomeUnknown(f"{error}; whether it was {_PAST_PARTICIPLES[step]} is not known")

        try:
            self._send_recorded(step, sent, look)
        except _OutcomeUnknown:
            if not repeat or self._context.stop_signal:
                raise
            try:
                self._send_recorded(step, sent, look)
            except RequestFailed:
                # Perhaps because the first one took, late.
                if not self._confirm(is_confirmed, self._context.polling.confirm_delays()):
                    raise
        self._progress.sent = _PARTLY_DONE.get(step, "")
        return "".join(shown)

    def _confirm(self, is_confirmed: Callable[[LiveJob | None], bool], pauses: Iterable[float]) -> bool:
        """Returns whether a look, after one of the pauses, shows that a write was carried out."""
        for pause in pauses:
            try:
                self._context.stop_signal.sleep(pause)
                if is_confirmed(self._get_live(self._progress.id)):
                    return True
            except Interrupted:
                return False
            except ApiError:
                continue
        return False

    def _wait(
        self, is_done: Callable[[LiveJob | None], bool], what: str, before: Phase | None = None
    ) -> LiveJob | None:
        """Waits for the job as long as its manifest says; raises ApiError where it does not come to that.

        Until the settling delay is over, a look that shows it in the phase `before` may be an old one.
        """
        settled = time.monotonic() + self._context.polling.consistency_delay

        def is_reached(now: LiveJob | None) -> bool:
            lags = now is not None and now.phase is before and time.monotonic() < settled
            return not lags and is_done(now)

        timeout = self._job.lifecycle.timeout
        identifier = self._progress.id or _id(self._change.live)
        self._context.say(f"{self._job.identity}: waiting for {identifier} {what}")
        look: Callable[[], LiveJob | None] = lambda: self._get_live(identifier)  # noqa: E731
        now, reached = wait_until(
            look, is_reached, self._context.polling, self._context.stop_signal, seconds(timeout)
        )
        if not reached:
            raise RequestFailed(
                f"waited {timeout} for {identifier} {what}; it is {now.state if now else 'gone'}"
            )
        return now

    def _read_back(self) -> str:
        """Returns a message if what was just sent would plan as changed: a bug here or in the service."""
        if not {Step.CREATE, Step.UPDATE} & {*self._change.steps}:
            return ""
        live, read_error = self._progress.created, self._progress.read_error
        if Step.CREATE not in self._change.steps:
            try:
                live = self._get_live(self._progress.id)
            except ApiError as error:
                read_error = str(error)
        if read_error:
            return f"it could not be read back: {read_error}"
        if live is None or matches_fingerprint(self._kind, self._job, live):
            return ""
        if live.spec is None:
            return "but what was sent is not shown, so that it cannot be compared"
        if names := _drift(self._kind, self._job, live):
            fields = ", ".join(names)
            return f"but read back it differs ({fields}), as the next plan will show: please report it"
        return ""


_PAST_PARTICIPLES: Mapping[Step, str] = {
    Step.CREATE: "submitted",
    Step.CANCEL: "cancelled",
    Step.STOP: "stopped",
    Step.UPDATE: "updated",
    Step.START: "started",
    Step.DELETE: "deleted",
}

# What was done, when the rest of the same step fails.
_PARTLY_DONE: Mapping[Step, str] = {
    Step.CANCEL: "told to end",
    Step.STOP: "told to stop",
    Step.UPDATE: "updated in part",
    Step.START: "started",
}


def _has_ended(live: LiveJob | None) -> bool:
    return live is None or live.phase not in RUNNING_PHASES


def _may_have_executed(error: RequestFailed) -> bool:
    """Returns whether a service that says no may have done it: it failed inside, or says so with HTTP 200."""
    return error.status >= 500 or 200 <= error.status < 300


def _never_confirmed(_: LiveJob | None) -> bool:
    """Returns False: reading a job does not show its tags."""
    return False


def _id(live: LiveJob | None) -> str:
    return live.id if live else ""


def _changed_fields(planned: LiveJob, now: LiveJob) -> list[str]:
    """Returns the fields in which two looks at a job differ; tags are not in each of them."""
    then, spec = planned.spec or {}, now.spec or {}
    names = {*then, *spec} - planned.unobserved - now.unobserved - {TAGS}
    return sorted(name for name in names if then.get(name) != spec.get(name))


def _drift(kind: Kind, job: Job, live: LiveJob, *, read_error: bool = False) -> Sequence[str]:
    """Returns the fields in which a live job differs from its manifest; with `unread` also hidden ones."""
    if live.spec is None:
        return ["spec"] if read_error else []
    changes = compare(kind.rows, live.spec, kind.expect(job.spec), live.unobserved)
    return list(dict.fromkeys(change.path.split("/")[1] for change in changes))


def _value_or_empty(kind: Kind, name: str, value: Any) -> Any:
    """Returns a value to send; one that the manifest no longer has is set back to its default, or emptied."""
    if value is not None:
        return value
    row = kind.spellings[name]
    if row.default is not None:
        return row.default
    return {"array": [], "object": {}, "boolean": False, "integer": 0, "number": 0}.get(
        json_type(row.type)["type"], ""
    )


def _tag_map(tags: Any) -> dict[str, str]:
    return {str(tag["key"]): str(tag.get("value", "")) for tag in tags or ()}
