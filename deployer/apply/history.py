"""The journals of one project as they are read: the requests of earlier runs, and what is known of them.

They are those of this folder and, with a shared state, of all machines. `deployer.apply.journal` describes them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployer.apply.journal import FILE, SAVEPOINT
from deployer.errors import DeployerError
from deployer.model import Action, Identity, Result, Step
from deployer.state.takeover import FORMAT, TAKEN_OVER

MAX_READ = 16 * 1024 * 1024  # of the end of the file; the rest is kept, but not read
MAX_LINE = 64 * 1024

# What ends a job, from whatever commit, may write tags too, but does not deploy it.
_ENDING = frozenset({Action.STOP, Action.CANCEL, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that was about to be sent, and its outcome: `result` is empty if none is recorded.

    `project_id` is the cloud project, `project_name` the one in deployer.yaml, empty in lines of older versions.
    `author` is a user or a CI job. `run` is one per apply. `is_planned`: it may have been sent, in a run that died.
    `plan` is the digest of the plan that was applied, and `plan_changes` the number of its changes, the blocked ones
    included; empty in lines of older versions and of `deployer run`.
    """

    run: str
    number: int
    time: datetime
    target: str
    project_id: str
    revision: str
    author: str
    action: str
    call: str
    identity: Identity
    source: str
    reason: str
    id: str = ""
    result: str = ""
    ended: datetime | None = None
    message: str = ""
    request_id: str = ""
    is_planned: bool = False
    project_name: str = ""
    plan: str = ""
    plan_changes: int = 0

    @property
    def settled(self) -> bool:
        """Return whether the outcome is known."""
        return self.result not in {"", Result.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Takeover:
    """The takeover of a lock `by` a run; UNLOCK if a user has removed it."""

    by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class History:
    """The content of a journal, newest last. `broken` counts unreadable lines, `cut` the skipped bytes.

    `taken_over` has the runs that died.
    """

    intents: tuple[Intent, ...] = ()
    broken: int = 0
    cut: int = 0
    taken_over: Mapping[str, Takeover] = field(default_factory=dict)


def read(folder: Path, most: int = MAX_READ, before: Iterable[bytes] = ()) -> History:
    """Read the journal in `folder`; an empty history if there is none. Raises DeployerError.

    Only the last `most` bytes of a long journal are read. `before` are the contents of other journals.
    """
    path = folder / FILE
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise DeployerError(f"journal {path} is not a regular file")
        with path.open("rb") as file:
            cut = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(cut)
            raw = file.read(most)
    except FileNotFoundError:
        return parse(before)
    except OSError as error:
        raise DeployerError(f"cannot read journal {path}: {error.strerror}") from None
    if cut:
        cut += raw.find(b"\n") + 1
        raw = raw[raw.find(b"\n") + 1 :]
    return replace(parse([*before, raw]), cut=cut)


def parse(contents: Iterable[bytes]) -> History:
    """Return the history of several files; what a later one has of a request supplements an earlier one."""
    intents: dict[tuple[str, int], Intent] = {}
    ended: set[str] = set()
    taken_over: dict[str, Takeover] = {}
    broken = 0
    for content in contents:
        for line in filter(None, content.split(b"\n")):
            try:
                _add(line, intents, ended, taken_over)
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                broken += 1
    kept = _without_repeated(
        [intent for intent in intents.values() if not (intent.is_planned and intent.run in ended)]
    )
    begun: dict[str, datetime] = {}
    for intent in kept:
        begun[intent.run] = min(intent.time, begun.get(intent.run, intent.time))
    in_order = tuple(sorted(_in_order(kept), key=lambda intent: begun[intent.run]))
    died = {run: by for run, by in taken_over.items() if run not in ended}
    return History(in_order, broken, taken_over=died)


def _without_repeated(intents: Sequence[Intent]) -> list[Intent]:
    """Return the requests without the planned ones that were sent, whose outcome may be known by now."""
    sent = {(intent.run, intent.identity, intent.call) for intent in intents if not intent.is_planned}
    planned = {
        key: intent
        for intent in intents
        if intent.is_planned and (key := (intent.run, intent.identity, intent.call)) in sent
    }
    kept = []
    for intent in intents:
        other = planned.get((intent.run, intent.identity, intent.call))
        if other is None:
            kept.append(intent)
        elif not intent.is_planned:
            is_found = other.settled and not intent.settled
            found = replace(
                intent, result=other.result, id=other.id, message=other.message, ended=other.ended
            )
            kept.append(found if is_found else intent)
    return kept


def _in_order(intents: Sequence[Intent]) -> list[Intent]:
    """Return requests by their time, then by their line; a planned one after those that were sent for its job.

    A run plans its steps before it sends the first one.
    """
    last: dict[tuple[str, Identity], datetime] = {}
    for intent in intents:
        if not intent.is_planned:
            key = (intent.run, intent.identity)
            last[key] = max(intent.time, last.get(key, intent.time))

    def when(intent: Intent) -> tuple[datetime, bool]:
        sent = last.get((intent.run, intent.identity)) if intent.is_planned else None
        return (intent.time, False) if sent is None else (max(intent.time, sent), True)

    return sorted(intents, key=when)


def renamed(history: History, names: Mapping[Identity, Identity]) -> History:
    """Return the history with what was sent for a job under a former identity as sent for the present one."""
    if not names:
        return history
    intents = (
        replace(intent, identity=names[intent.identity]) if intent.identity in names else intent
        for intent in history.intents
    )
    return replace(history, intents=tuple(intents))


def unsettled(history: History, target: str) -> tuple[Intent, ...]:
    """Return the requests to `target` whose outcome is unknown, newest last.

    Those of a job are dropped if a later run sent a request for the same job with a known outcome.
    """
    open_calls: dict[Identity, list[Intent]] = {}
    for intent in history.intents:
        if intent.target != target:
            continue
        if not intent.settled:
            open_calls.setdefault(intent.identity, []).append(intent)
        elif earlier := open_calls.get(intent.identity):
            open_calls[intent.identity] = [call for call in earlier if call.run == intent.run]
    unknown = {id(call) for calls in open_calls.values() for call in calls}
    return tuple(intent for intent in history.intents if id(intent) in unknown)


def submitted(
    history: History, target: str, since: datetime, until: datetime | None = None
) -> Mapping[str, Identity]:
    """Return the known ids of the jobs that were submitted to `target` from `since` until `until`.

    A delayed listing may not show them yet. A time in the future is not that of a submission. Those that were
    deleted since are left out.
    """
    deleted = deleted_ids(history, target)
    return {
        intent.id: intent.identity
        for intent in history.intents
        if intent.target == target
        and intent.call == Step.CREATE
        and intent.id
        and intent.id not in deleted
        and (intent.settled or not intent.is_planned)
        and (intent.ended or intent.time) >= since
        and (until is None or (intent.ended or intent.time) <= until)
    }


def submitted_names(
    history: History, target: str, project_id: str, project_name: str
) -> Mapping[tuple[str, str], frozenset[str]]:
    """Return the names of the jobs that the project certainly submitted to `target`, by kind and id.

    A job that a later run only found by its name is none of them, nor is one that was deleted since. `project_id` is
    that of the cloud project: the target may have had another one. The journal of a folder that was copied has lines of
    another project, whose jobs are not this one's.
    """
    names: dict[tuple[str, str], set[str]] = {}
    for intent in history.intents:
        if (intent.target, intent.project_id, intent.result) != (target, project_id, Result.DONE):
            continue
        key = (intent.identity.kind, intent.id)
        if intent.call == Step.DELETE:
            names.pop(key, None)
        elif intent.project_name != project_name or not project_name:
            continue
        elif intent.call == Step.CREATE and intent.id:
            names[key] = {intent.identity.name}
        elif key in names:  # an update may have renamed it
            names[key].add(intent.identity.name)
    return {key: frozenset(found) for key, found in names.items()}


def deploying_commits(
    history: History, target: str, project_id: str, project_name: str
) -> Mapping[tuple[str, str], str]:
    """Return the commit from which the project last deployed each job, by kind and id; empty where it is unknown."""
    commits: dict[tuple[str, str], str] = {}
    for intent in history.intents:
        place = (intent.target, intent.project_id, intent.project_name, intent.result)
        if place != (target, project_id, project_name, Result.DONE) or intent.action in _ENDING:
            continue
        if intent.call in {Step.CREATE, Step.UPDATE, Step.START}:
            commits[intent.identity.kind, intent.id] = intent.revision.removesuffix(" dirty")
    return commits


def deleted_ids(history: History, target: str) -> frozenset[str]:
    """Return the ids of the jobs that were deleted in `target`."""
    return frozenset(
        intent.id
        for intent in history.intents
        if intent.target == target and intent.call == Step.DELETE and intent.result == Result.DONE
    )


def without_savepoint(history: History, target: str) -> frozenset[Identity]:
    """Return the jobs whose last stop created no savepoint and that were not started since."""
    lost: set[Identity] = set()
    for intent in history.intents:
        if intent.target == target and intent.call == SAVEPOINT:
            lost.add(intent.identity)
        elif intent.target == target and intent.call == Step.START and intent.result == Result.DONE:
            lost.discard(intent.identity)
    return frozenset(lost)


def _add(
    line: bytes, intents: dict[tuple[str, int], Intent], ended: set[str], taken_over: dict[str, Takeover]
) -> None:
    """Add the record of a line to the others. Raises the errors that an invalid line can cause."""
    if len(line) > MAX_LINE:
        raise ValueError
    record = json.loads(line)
    if record["format"] != FORMAT:
        raise ValueError
    strings = _Strings(record)
    event, run = strings["event"], strings["run"]
    time = datetime.fromisoformat(strings["time"])
    if time.tzinfo is None:
        raise ValueError
    if event == "end":
        ended.add(run)
        return
    if event == TAKEN_OVER:
        taken_over[run] = Takeover(strings["by"], time.astimezone(UTC))
        return
    number = record["number"]
    if type(number) is not int:
        raise TypeError
    key = (run, number)
    if event in {"intent", "planned"}:
        intent = Intent(
            run=run,
            number=number,
            time=time.astimezone(UTC),
            target=strings["target"],
            project_id=strings["project"],
            revision=strings["revision"],
            author=strings["author"],
            action=strings["action"],
            call=strings["call"],
            identity=Identity(strings["kind"], strings["place"], strings["name"], _run_key(record)),
            source=strings["source"],
            reason=strings["reason"],
            id=strings["id"],
            is_planned=event == "planned",
            project_name=strings["project_name"] if "project_name" in record else "",
            plan=strings["plan"] if "plan" in record else "",
            plan_changes=_number(record, "plan_changes"),
        )
        # A second copy of the journal may lack the outcome that the first has.
        intents.setdefault(key, intent)
    elif event == "outcome":
        # The intent of an outcome may be in the part that was skipped.
        before, result = intents.get(key), strings["result"]
        if before is not None and (result != Result.UNKNOWN or not before.result):
            intents[key] = replace(
                before,
                result=result,
                ended=time.astimezone(UTC),
                id=strings["id"] or before.id,
                message=strings["message"],
                request_id=strings["request_id"],
            )
    else:
        raise ValueError


def _number(record: Mapping[str, Any], name: str) -> int:
    """Return a number that older versions do not write, 0 without it; raises TypeError."""
    number = record.get(name, 0)
    if type(number) is not int:
        raise TypeError(name)
    return number


def _run_key(record: Mapping[str, Any]) -> str:
    """Return the values of a run of a job with parameters; raises TypeError."""
    key = record.get("run_key", "")
    if not isinstance(key, str):
        raise TypeError("run_key")
    if key:
        from deployer.parameters.keys import values_of

        values_of(key)  # raises ValueError for what no run has
    return key


@dataclass(frozen=True, slots=True)
class _Strings:
    """The strings of a record; raises TypeError for other types."""

    record: Mapping[str, Any]

    def __getitem__(self, name: str) -> str:
        value = self.record[name]
        if not isinstance(value, str):
            raise TypeError(name)
        return value
