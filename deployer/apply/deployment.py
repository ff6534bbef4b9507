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
from deployer.apply.journaled import Setting
from deployer.apply.wait import wait_until
from deployer.cloud.observe import list_beside, look_at
from deployer.errors import AnswerLost, ApiError, DeployerError, Interrupted, Refused
from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS, Kind, Nature
from deployer.kinds.ownership import is_as_sent, stamped
from deployer.kinds.tables import json_type
from deployer.model import RUNNING, Change, Identity, Job, LiveJob, Outcome, Phase, Result, Step
from deployer.planning.diff import compare
from deployer.project.target import seconds


class _Stale(DeployerError):
    """The live job is not what the plan saw."""


class _Unknown(DeployerError):
    """It cannot be told whether a call was carried out."""


@dataclass(slots=True)
class _Progress:
    """How far a change has come. `now` is the last look at its live job that says how it ran before.

    `known` are the ids that the listing showed just before the first write. `sent` is what was carried out of
    the step under way, in words, and `unread` why what was created could not be read back.
    """

    id: str
    now: LiveJob | None
    known: frozenset[str] = frozenset()
    said: list[str] = field(default_factory=list)
    sent: str = ""
    created: LiveJob | None = None
    unread: str = ""


class Deployment:
    """One change under way."""

    def __init__(self, setting: Setting, change: Change, seen: Collection[str]) -> None:
        """`seen` are the ids of the live jobs that the plan knew."""
        self._with = setting
        self._client = setting.client
        self._change = change
        self._job = change.job
        self._kind = KINDS[change.job.kind]
        self._path_values = self._kind.path_values(change.job.spec)
        self._seen = seen
        # A create that failed has made nothing: the job's id is that of the run before.
        self._at = _Progress("" if change.steps[:1] == (Step.CREATE,) else _id(change.live), change.live)

    def carry_out(self) -> Outcome:
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
            self._look_again()
            for step in self._change.steps:
                self._with.halt.check()
                self._at.said.append(steps[step]())
                self._at.sent = ""
        except Interrupted as error:
            begun = [*self._at.said, self._at.sent]
            words = "the rest was not done" if any(begun) else "nothing was done"
            return self._outcome(
                Result.STOPPED, *begun, f"{words}: {error}; the next apply goes on from here"
            )
        except _Stale as error:
            return self._outcome(Result.REFUSED, *self._at.said, str(error))
        except _Unknown as error:
            return self._outcome(Result.UNKNOWN, *self._at.said, str(error))
        except DeployerError as error:
            word = _DONE[self._change.steps[len(self._at.said)]]
            words = f"but not {word}: {error}" if self._at.said else str(error)
            if self._at.sent:
                words = f"{self._at.sent}, but {error}"
            return self._outcome(Result.FAILED, *self._at.said, words)
        except Exception as error:  # noqa: BLE001 - the other changes go on, and this one is told of
            words = f"{type(error).__name__} inside deployer, which is a bug"
            return self._outcome(Result.UNKNOWN, *self._at.said, self._at.sent, words)
        return self._outcome(Result.DONE, *self._at.said, self._read_back())

    def _outcome(self, result: Result, *said: str) -> Outcome:
        message = self._with.secrets.scrubbed(", ".join(filter(None, said)))
        begun = bool(self._at.said or self._at.sent)
        return Outcome(self._change, result, message, self._at.id, begun=begun)

    # --- before the first write

    def _look_again(self) -> None:
        """Raises _Stale where the live job is not what the plan saw: somebody else is at work."""
        planned = self._change.live
        listed = self._beside()
        if planned is None:
            return
        now = next((one for one in listed if one.id == planned.id), None) or self._shown(
            planned.id, planned.identity
        )
        if now is None:
            raise _Stale(f"{planned.id} is not there any more; plan again")
        if self._kind.nature is Nature.DEFINITION:
            moved = now.phase is not planned.phase
        elif Step.CANCEL in self._change.steps:
            moved = False  # what has ended meanwhile need not be cancelled
        else:
            moved = now.phase in RUNNING and planned.phase not in RUNNING
        if moved:
            raise _Stale(
                f"{planned.id} was {planned.state} when the plan was made, and is {now.state} now; plan again"
            )
        if other := _differing(planned, now):
            raise _Stale(f"{planned.id} was changed since the plan was made ({', '.join(other)}); plan again")
        # A savepoint that the plan did not count with is not started from.
        counts = planned.savepoint or now.phase is Phase.ACTIVE
        self._at.now = now if counts else replace(now, savepoint="")

    def _beside(self) -> list[LiveJob]:
        """The live jobs that may be this one; raises _Stale where one has appeared."""
        listed = list_beside(self._client, self._job)
        self._at.known = frozenset(one.id for one in listed)
        for one in listed:
            unnamed = not self._kind.named_in_listing and not one.identity.name and one.phase in RUNNING
            if one.id not in self._seen and (one.identity == self._job.identity or unnamed):
                raise _Stale(f"{one.id} ({one.state}) has appeared since the plan was made; plan again")
        return listed

    def _live(self) -> LiveJob:
        """The live job, for the steps that only changes with one have."""
        if self._at.now is None:
            raise RuntimeError("planned without a live job")
        return self._at.now

    def _shown(self, identifier: str, identity: Identity | None = None) -> LiveJob | None:
        return look_at(self._client, identity or self._job.identity, identifier, self._path_values)

    # --- run once, and the first step of a definition

    def _create(self) -> str:
        if self._change.steps[0] is not Step.CREATE:
            self._beside()  # the run before may have taken long to end
        word = "created" if self._kind.nature is Nature.DEFINITION else "submitted"
        spec = self._with.secrets.filled(stamped(self._kind, self._job, self._with.owner))
        self._at.id, self._at.now = "", None
        said = [word]

        def find(error: AnswerLost) -> str:
            found = self._found(error)
            said.append("(its answer was lost; found in the listing)")
            return found

        def send() -> str:
            try:
                identifier = self._client.create(self._kind, self._job.name, spec)
            except Refused as error:
                if not _may_have_taken(error) or not (found := self._there_all_the_same()):
                    raise
                said.append(f"(found in the listing, although the service said: {error})")
                return found
            if identifier in self._at.known:
                raise AnswerLost(f"the service answered with the id of an earlier job, {identifier}")
            return identifier

        self._at.id = self._recorded(Step.CREATE, send, find)
        try:
            self._at.created = self._shown(self._at.id)
        except ApiError as error:
            self._at.unread = str(error)
        shown = self._at.created
        if shown and shown.identity.name not in {"", self._job.name}:
            self._at.id, other = "", f"{shown.id}, which is {shown.identity.name}"
            self._at.id = find(AnswerLost(f"the service answered with the id of another job, {other}"))
            self._at.created = self._shown(self._at.id)
        return " ".join(said)

    def _there_all_the_same(self) -> str:
        """The id of the job that the service made before it failed; empty where a look shows none.

        One look: errors with a code of their own are answers as a rule, and MRS gives them all as HTTP 500.
        """
        try:
            return self._only_one(self._appeared())
        except ApiError:
            return ""

    def _found(self, error: AnswerLost) -> str:
        """The id of the job whose create got no answer; raises _Unknown where that cannot be told."""
        new: list[LiveJob] = []
        unread = ""
        for pause in self._with.patience.looks():
            try:
                self._with.halt.sleep(pause)
                new = self._appeared()
            except Interrupted:
                break
            except ApiError as again:
                unread = f"; and the listing cannot be read: {again}"
                continue
            unread = ""
            if new:
                break
        if identifier := self._only_one(new):
            return identifier
        found = (
            f"the job may be {' or '.join(one.id for one in new)}" if new else "the job is not listed (yet)"
        )
        raise _Unknown(
            f"{error}; whether it was carried out is not known{unread or f': {found}'}; "
            f"see what is there with: {self._command('plan')}"
        ) from None

    def _appeared(self) -> list[LiveJob]:
        """What is listed that was not there before the create, and may be what it made. Raises ApiError."""
        listed = list_beside(self._client, self._job)
        return [one for one in listed if one.id not in self._at.known and self._may_be_it(one)]

    def _only_one(self, new: Sequence[LiveJob]) -> str:
        """The id of what has appeared, if it is one job, of this name and with this content; else empty."""
        is_it = len(new) == 1 and new[0].identity == self._job.identity and self._is_same(new[0])
        return new[0].id if is_it else ""

    def _may_be_it(self, one: LiveJob) -> bool:
        unnamed = not self._kind.named_in_listing and not one.identity.name
        return one.identity == self._job.identity or (
            unnamed and one.identity.place == self._job.identity.place
        )

    def _is_same(self, live: LiveJob) -> bool:
        return is_as_sent(self._kind, self._job, live) or not _drift(self._kind, self._job, live, unread=True)

    def _command(self, verb: str) -> str:
        return f"deployer {verb} --select kind={self._job.kind},name={self._job.name}"

    def _cancel(self) -> str:
        runs = (self._live(), *self._change.beside)
        said = [self._cancelled(one) for one in runs]
        self._at.id = self._live().id
        if len(runs) == 1:
            return said[0]
        return ", ".join(f"{one.id} {words}" for one, words in zip(runs, said, strict=True))

    def _cancelled(self, live: LiveJob) -> str:
        self._at.id = live.id
        if live.phase not in RUNNING:
            return f"had ended by itself ({live.state})"
        try:
            said = self._sure(
                Step.CANCEL,
                lambda: self._client.cancel(self._kind, live.id, self._path_values),
                _has_ended,
            )
        except Refused as error:
            # What has just ended cannot be cancelled.
            now = self._shown(live.id)
            if not _has_ended(now):
                raise
            how = "has ended" if _may_have_taken(error) else "had ended by itself"
            return f"{how} ({now.state if now else 'gone'})"
        self._wait(_has_ended, "to end")
        return f"cancelled{said}"

    # --- definitions

    def _stop(self) -> str:
        had = self._live()
        wanted = self._job.lifecycle.savepoint
        try:
            said = self._sure(
                Step.STOP,
                lambda: self._client.stop(self._kind, self._at.id, savepoint=wanted),
                lambda now: now is None or now.phase is not Phase.ACTIVE,
            )
        except Refused as error:
            # Only what runs can be stopped. A job in a state that nobody understands may well not.
            if had.phase is Phase.UNKNOWN and error.status == 400:
                return "it does not run"
            raise
        now = self._wait(lambda now: now is None or now.phase is not Phase.PENDING, "to stop", Phase.ACTIVE)
        if now is None:
            raise Refused(f"{self._at.id} is gone after it was stopped")
        if now.phase is Phase.ACTIVE:
            raise Refused(f"it could not be stopped: it is {now.state}")
        self._at.now = now
        if now.phase is not Phase.STOPPED:
            if self._change.steps[-1] is Step.STOP:
                return f"ended ({now.state})"
            raise _Stale(f"it ended by itself ({now.state}) while it was to be stopped; plan again")
        if not wanted:
            return f"stopped without a savepoint{said}"
        if not now.savepoint or (now.savepoint == had.savepoint and now.savepoint != "yes"):
            words = "it was stopped, but left no savepoint"
            # An older savepoint may be there: the next plan must not take it for the state of this run.
            entry = self._with.journal.intent(self._change, journal.SAVEPOINT, self._at.id)
            entry.ended(Result.FAILED, self._at.id, words)
            raise Refused(f"{words}; it stays stopped, and nothing else was done")
        return f"stopped with a savepoint{said}"

    def _update(self) -> str:
        names = list(dict.fromkeys(change.path.split("/")[1] for change in self._change.fields))
        filled = self._with.secrets.filled({name: self._job.spec.get(name) for name in names})
        body = {name: _or_empty(self._kind, name, value) for name, value in filled.items() if name != TAGS}
        if body:
            self._sure(
                Step.UPDATE,
                lambda: self._client.update(self._kind, self._at.id, body),
                lambda now: now is not None and not {*_drift(self._kind, self._job, now)} & {*body},
            )
        if TAGS in names:
            self._update_tags()
        return f"updated {', '.join(names)}"

    def _update_tags(self) -> None:
        planned = self._change.live.spec if self._change.live else None
        live = _tag_map((planned or {}).get(TAGS))
        wanted = _tag_map(self._with.secrets.filled({TAGS: self._job.spec.get(TAGS)})[TAGS])
        gone = {key: value for key, value in live.items() if key not in wanted}
        new = {key: value for key, value in wanted.items() if live.get(key) != value}
        # Either can be sent again: a tag that is gone is no error, and one that is there is replaced.
        if gone:
            self._sure(Step.UPDATE, lambda: self._client.untag(self._kind, self._at.id, gone), _never)
        if new:
            self._sure(Step.UPDATE, lambda: self._client.tag(self._kind, self._at.id, new), _never)

    def _start(self) -> str:
        # What an update has done to the state says nothing about whether the job has run.
        before = self._at.now
        from_savepoint = False
        if before is not None and before.phase not in {Phase.DRAFT, Phase.SUCCEEDED}:
            from_savepoint = bool(before.savepoint)
            if not from_savepoint and self._job.lifecycle.savepoint:
                raise Refused("it has no savepoint: it would start without its state")
        phase = self._phase_before_start()
        said = self._sure(
            Step.START,
            lambda: self._client.start(self._kind, self._at.id, from_savepoint=from_savepoint),
            lambda now: now is not None and now.phase is not phase,
            repeat=False,
        )
        said = f"started{' from its savepoint' if from_savepoint else ''}{said}"
        if self._change.steps[0] is Step.STOP:
            now = self._wait(lambda now: now is None or now.phase is not Phase.PENDING, "to run", phase)
            if now is None or now.phase in {Phase.FAILED, Phase.STOPPED, Phase.DRAFT}:
                raise Refused(f"after its restart it is {now.state if now else 'gone'}")
        return said

    def _phase_before_start(self) -> Phase:
        if Step.UPDATE in self._change.steps and (now := self._shown(self._at.id)):
            return now.phase
        return self._at.now.phase if self._at.now else Phase.DRAFT

    def _delete(self) -> str:
        said = self._sure(
            Step.DELETE, lambda: self._client.delete(self._kind, self._at.id), lambda now: now is None
        )
        return f"deleted{said}"

    # --- what the steps share

    def _recorded(self, step: Step, send: Callable[[], str], find: Callable[[AnswerLost], str]) -> str:
        """Sends a write that gives an id, between two lines of the journal.

        `find` is asked where its answer is lost. Raises what it and `send` raise.
        """
        entry = self._with.journal.intent(self._change, step, self._at.id)
        lost = ""
        try:
            try:
                identifier = send()
            except AnswerLost as error:
                lost = "its answer was lost"
                identifier = find(error)
        except DeployerError as error:
            # What a service did although it says that it failed may be listed late: the next apply waits.
            doubtful = isinstance(error, ApiError) and error.status >= 500
            result = Result.UNKNOWN if doubtful or isinstance(error, _Unknown) else Result.FAILED
            entry.ended(result, self._at.id, str(error), self._client.request_id)
            raise
        entry.ended(Result.DONE, identifier, lost, self._client.request_id)
        return identifier

    def _sure(
        self,
        step: Step,
        send: Callable[[], None],
        took: Callable[[LiveJob | None], bool],
        *,
        repeat: bool = True,
    ) -> str:
        """Sends a write about a job that is there. Where its answer is lost, a look shows whether it took.

        What there is to say about that. Raises ApiError, and _Unknown where it cannot be told.
        """
        identifier = self._at.id
        shown = []

        def sent() -> str:
            try:
                send()
            except Refused as error:
                # One look, as for a create; `_cancelled` looks for itself.
                looks = _may_have_taken(error) and step is not Step.CANCEL
                if not looks or not self._took(took, [0.0]):
                    raise
                shown.append(f" (a look shows that it took, although the service said: {error})")
            return identifier

        def look(error: AnswerLost) -> str:
            if self._took(took, self._with.patience.looks()):
                shown.append(" (its answer was lost; a look shows that it took)")
                return identifier
            raise _Unknown(f"{error}; whether it was {_DONE[step]} is not known")

        try:
            self._recorded(step, sent, look)
        except _Unknown:
            if not repeat or self._with.halt:
                raise
            try:
                self._recorded(step, sent, look)
            except Refused:
                # Perhaps because the first one took, late.
                if not self._took(took, self._with.patience.looks()):
                    raise
        self._at.sent = _SENT.get(step, "")
        return "".join(shown)

    def _took(self, took: Callable[[LiveJob | None], bool], pauses: Iterable[float]) -> bool:
        """Whether a look, after one of the pauses, shows that a write was carried out."""
        for pause in pauses:
            try:
                self._with.halt.sleep(pause)
                if took(self._shown(self._at.id)):
                    return True
            except Interrupted:
                return False
            except ApiError:
                continue
        return False

    def _wait(
        self, there: Callable[[LiveJob | None], bool], what: str, before: Phase | None = None
    ) -> LiveJob | None:
        """Waits for the job as long as its manifest says; raises ApiError where it does not come to that.

        Until the settling delay is over, a look that shows it in the phase `before` may be an old one.
        """
        settled = time.monotonic() + self._with.patience.settle

        def arrived(now: LiveJob | None) -> bool:
            lags = now is not None and now.phase is before and time.monotonic() < settled
            return not lags and there(now)

        longest = self._job.lifecycle.timeout
        identifier = self._at.id or _id(self._change.live)
        self._with.say(f"{self._job.identity}: waiting for {identifier} {what}")
        look: Callable[[], LiveJob | None] = lambda: self._shown(identifier)  # noqa: E731
        now, came = wait_until(look, arrived, self._with.patience, self._with.halt, seconds(longest))
        if not came:
            raise Refused(f"waited {longest} for {identifier} {what}; it is {now.state if now else 'gone'}")
        return now

    def _read_back(self) -> str:
        """Whether what was just sent would plan as changed: then a comparison is wrong, or the service is."""
        if not {Step.CREATE, Step.UPDATE} & {*self._change.steps}:
            return ""
        live, unread = self._at.created, self._at.unread
        if Step.CREATE not in self._change.steps:
            try:
                live = self._shown(self._at.id)
            except ApiError as error:
                unread = str(error)
        if unread:
            return f"it could not be read back: {unread}"
        if live is None or is_as_sent(self._kind, self._job, live):
            return ""
        if live.spec is None:
            return "but what was sent is not shown, so that it cannot be compared"
        if names := _drift(self._kind, self._job, live):
            fields = ", ".join(names)
            return f"but read back it differs ({fields}), as the next plan will show: please report it"
        return ""


_DONE: Mapping[Step, str] = {
    Step.CREATE: "submitted",
    Step.CANCEL: "cancelled",
    Step.STOP: "stopped",
    Step.UPDATE: "updated",
    Step.START: "started",
    Step.DELETE: "deleted",
}

# What was done, when the rest of the same step fails.
_SENT: Mapping[Step, str] = {
    Step.CANCEL: "told to end",
    Step.STOP: "told to stop",
    Step.UPDATE: "updated in part",
    Step.START: "started",
}


def _has_ended(live: LiveJob | None) -> bool:
    return live is None or live.phase not in RUNNING


def _may_have_taken(error: Refused) -> bool:
    """Whether a service that says no may have done it: it failed inside, or says so with HTTP 200."""
    return error.status >= 500 or 200 <= error.status < 300


def _never(_: LiveJob | None) -> bool:
    """A look does not show tags."""
    return False


def _id(live: LiveJob | None) -> str:
    return live.id if live else ""


def _differing(planned: LiveJob, now: LiveJob) -> list[str]:
    """The fields in which two looks at a job differ; tags are not in each of them."""
    then, spec = planned.spec or {}, now.spec or {}
    names = {*then, *spec} - planned.unlisted - now.unlisted - {TAGS}
    return sorted(name for name in names if then.get(name) != spec.get(name))


def _drift(kind: Kind, job: Job, live: LiveJob, *, unread: bool = False) -> Sequence[str]:
    """The fields in which a live job is not as its manifest says; one that is not shown, if `unread`, is."""
    if live.spec is None:
        return ["spec"] if unread else []
    changes = compare(kind.rows, live.spec, kind.expect(job.spec), live.unlisted)
    return list(dict.fromkeys(change.path.split("/")[1] for change in changes))


def _or_empty(kind: Kind, name: str, value: Any) -> Any:
    """A value to send; one that the manifest no longer has is set back to its default, or emptied."""
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
