"""Both decision tables, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.model import (
    Action,
    Impact,
    Job,
    LiveJob,
    OnChange,
    OnFailure,
    OnMissing,
    Phase,
    State,
    Step,
)
from testing.plans import AFTER, BEFORE, RUN_ONCE, decided, job, run

# The field that a listing of the kind shows and that two manifests can differ in.
DIFFERS = {"SparkBatch": "className", "SparkSession": "sc_type", "MrsJob": "arguments"}


ABSENT = {"state": State.ABSENT}


KEEP = {"on_change": OnChange.KEEP}


MISSING = {"on_missing": OnMissing.KEEP}


# As `deployer import` writes it.
IMPORTED = MISSING | {"adopt": True}


REVIVE = {"on_failure": OnFailure.RESUBMIT}


REPLACE = {"on_change": OnChange.REPLACE}


BESIDE = {"on_change": OnChange.SUBMIT}


NONE, RERUNS, CANCELS, DELETES = Impact.NONE, Impact.RERUNS, Impact.CANCELS, Impact.DELETES


IN_PLACE, STOPS, RESTART, STATE_LOST = Impact.IN_PLACE, Impact.STOPS, Impact.RESTART, Impact.STATE_LOST


BLOCKED, UNCHANGED, RESUBMIT = Action.BLOCKED, Action.UNCHANGED, Action.RESUBMIT


RUN_ONCE_ROWS: list[tuple[Any, ...]] = [
    # row, lifecycle, live phase, differs, action, impact, gist of the reason, needs attention
    ("absent-none", ABSENT, None, False, UNCHANGED, NONE, "no run is active", False),
    ("absent-active", ABSENT, Phase.ACTIVE, False, Action.CANCEL, CANCELS, "run-1 is active", False),
    ("absent-pending", ABSENT, Phase.PENDING, True, Action.CANCEL, CANCELS, "is in transition (pending-word)", False),
    ("absent-ended", ABSENT, Phase.SUCCEEDED, True, UNCHANGED, NONE, "no run is active", False),
    ("absent-unknown", ABSENT, Phase.UNKNOWN, False, BLOCKED, NONE, "deployer does not handle", False),
    ("unknown", {}, Phase.UNKNOWN, True, UNCHANGED, NONE, "deployer does not handle", True),
    ("none", {}, None, False, Action.CREATE, NONE, "lists no jobs", False),
    ("none-keep", MISSING, None, False, UNCHANGED, NONE, "onMissing is keep", False),
    ("none-keep-rerun", MISSING | {"rerun": AFTER}, None, False, UNCHANGED, NONE, "use --rerun", True),
    ("unknown-rerun", {"rerun": AFTER}, Phase.UNKNOWN, True, BLOCKED, NONE, "rerun is due", False),
    ("active-same", {}, Phase.ACTIVE, False, UNCHANGED, NONE, "run-1 is active", False),
    ("pending-same", {}, Phase.PENDING, False, UNCHANGED, NONE, "is in transition (pending-word)", False),
    ("active-rerun", {"rerun": AFTER}, Phase.ACTIVE, False, BLOCKED, NONE, "rerun is due", False),
    ("active-rerun-done", {"rerun": BEFORE}, Phase.ACTIVE, False, UNCHANGED, NONE, "run-1 is active", False),
    ("active-differs", {}, Phase.ACTIVE, True, BLOCKED, NONE, "set lifecycle.onChange: replace", False),
    ("active-replace", REPLACE, Phase.ACTIVE, True, Action.REPLACE, CANCELS, "will cancel run run-1, then", False),
    ("active-submit", BESIDE, Phase.ACTIVE, True, Action.SUBMIT, RERUNS, "run-1 keeps running", False),
    ("active-keep-rerun", KEEP | {"rerun": AFTER}, Phase.ACTIVE, True, BLOCKED, NONE, "wait for it to end", False),
    ("active-keep", KEEP, Phase.ACTIVE, True, UNCHANGED, NONE, "onChange is keep", False),
    ("ended-differs", {}, Phase.SUCCEEDED, True, RESUBMIT, RERUNS, "manifest and live job differ", False),
    ("failed-differs", {}, Phase.FAILED, True, RESUBMIT, RERUNS, "manifest and live job differ", False),
    ("killed-differs", {}, Phase.STOPPED, True, RESUBMIT, RERUNS, "manifest and live job differ", False),
    ("ended-keep", KEEP, Phase.FAILED, True, UNCHANGED, NONE, "onChange is keep", False),
    ("ended-keep-rerun", KEEP | {"rerun": AFTER}, Phase.SUCCEEDED, True, RESUBMIT, RERUNS, "rerun is due", False),
    ("ended-keep-rerun-done", KEEP | {"rerun": BEFORE}, Phase.FAILED, True, UNCHANGED, NONE, "is keep", False),
    ("ended-rerun", {"rerun": AFTER}, Phase.SUCCEEDED, False, RESUBMIT, RERUNS, "rerun is due", False),
    ("failed-rerun", {"rerun": AFTER}, Phase.FAILED, False, RESUBMIT, RERUNS, "rerun is due", False),
    ("killed-rerun", {"rerun": AFTER}, Phase.STOPPED, False, RESUBMIT, RERUNS, "rerun is due", False),
    ("ended-rerun-done", {"rerun": BEFORE}, Phase.SUCCEEDED, False, UNCHANGED, NONE, "run run-1 has succeeded", False),
    ("succeeded", REVIVE, Phase.SUCCEEDED, False, UNCHANGED, NONE, "run run-1 has succeeded", False),
    ("failed", {}, Phase.FAILED, False, UNCHANGED, NONE, "onFailure is keep", True),
    ("failed-resubmit", REVIVE, Phase.FAILED, False, RESUBMIT, RERUNS, "onFailure is resubmit", False),
    ("killed", REVIVE, Phase.STOPPED, False, UNCHANGED, NONE, "a user stopped it", True),
]  # fmt: skip


@pytest.mark.parametrize("kind", RUN_ONCE)
@pytest.mark.parametrize("row", RUN_ONCE_ROWS, ids=lambda row: row[0])
def test_run_once(kind: str, row: tuple[Any, ...]) -> None:
    _, lifecycle, phase, differs, action, impact, gist, warns = row
    planned = job(kind, **lifecycle)
    runs = [run(planned, phase, differs=DIFFERS[kind] if differs else "")] if phase else []
    change, notes = decided(planned, *runs)
    assert (change.action, change.impact) == (action, impact)
    assert gist in change.reason
    assert notes == ((change.reason,) if warns else ())
    assert change.live == (runs[0] if runs else None)
    assert bool(change.fields) is (differs or action is Action.CREATE)


@pytest.mark.parametrize("phase", [Phase.ACTIVE, Phase.SUCCEEDED, Phase.FAILED])
def test_what_cannot_be_compared_is_left_alone(phase: Phase) -> None:
    batch = job(rerun=AFTER, on_failure=OnFailure.RESUBMIT, on_change=OnChange.SUBMIT)
    change, notes = decided(batch, run(batch, phase, spec=None))
    assert change.action is UNCHANGED
    assert notes == (change.reason,)
    assert "cannot be compared" in change.reason


# --- requested with --rerun -------------------------------------------------------------------------------

NOT_POSSIBLE = "cannot rerun the job as --rerun requests: "


REQUESTED_ROWS: list[tuple[Any, ...]] = [
    # row, lifecycle, live phase, differs, action, impact, gist of the reason
    ("absent", ABSENT, None, False, BLOCKED, NONE, f"{NOT_POSSIBLE}desired state is absent"),
    ("absent-active", ABSENT, Phase.ACTIVE, False, BLOCKED, NONE, f"{NOT_POSSIBLE}desired state is absent"),
    ("unknown", {}, Phase.UNKNOWN, False, BLOCKED, NONE, "rerun requested with --rerun, but run run-1 is in state"),
    ("none", {}, None, False, Action.CREATE, NONE, "not deployed"),
    ("none-keep", MISSING, None, False, Action.CREATE, RERUNS, "rerun requested with --rerun; not deployed: "),
    ("active", {}, Phase.ACTIVE, False, BLOCKED, NONE, "wait for it to end, or cancel it"),
    ("active-differs", {}, Phase.ACTIVE, True, BLOCKED, NONE, "set lifecycle.onChange"),
    ("active-replace", REPLACE, Phase.ACTIVE, True, Action.REPLACE, CANCELS, "then submit a new one"),
    ("active-keep", KEEP, Phase.ACTIVE, True, BLOCKED, NONE, "wait for it to end, or cancel it"),
    ("ended", {}, Phase.SUCCEEDED, False, RESUBMIT, RERUNS, "rerun requested with --rerun; last run"),
    ("ended-keep", KEEP, Phase.SUCCEEDED, True, RESUBMIT, RERUNS, "--rerun; manifest and live job differ"),
    ("failed-keep", KEEP, Phase.FAILED, True, RESUBMIT, RERUNS, "--rerun; manifest and live job differ"),
]  # fmt: skip


@pytest.mark.parametrize("kind", RUN_ONCE)
@pytest.mark.parametrize("row", REQUESTED_ROWS, ids=lambda row: row[0])
def test_a_requested_rerun_submits_or_is_blocked(kind: str, row: tuple[Any, ...]) -> None:
    _, lifecycle, phase, differs, action, impact, gist = row
    planned = replace(job(kind, **lifecycle), rerun_requested=True)
    runs = [run(planned, phase, differs=DIFFERS[kind] if differs else "")] if phase else []
    change, notes = decided(planned, *runs)
    assert (change.action, change.impact) == (action, impact)
    assert gist in change.reason
    assert notes == ()


@pytest.mark.parametrize(("phase", "action"), [(Phase.ACTIVE, BLOCKED), (Phase.FAILED, RESUBMIT)])
def test_a_requested_rerun_needs_no_comparison(phase: Phase, action: Action) -> None:
    batch = replace(job(), rerun_requested=True)
    change, _ = decided(batch, run(batch, phase, spec=None))
    assert (change.action, "rerun requested with --rerun" in change.reason) == (action, True)


HOT = "smn_topic"


OTHER = "main_class"


STOPPED = {"state": State.STOPPED}


SAVED = "stopped-with-savepoint"


LOSE = {"savepoint": False}


CREATE, CANCEL, STOP, UPDATE, START, DELETE = Step


DEFINITION_ROWS: list[tuple[Any, ...]] = [
    # row, lifecycle, live phase, the field that differs, action, its steps, impact, gist of the reason
    ("absent-none", ABSENT, None, "", UNCHANGED, [], NONE, "the job does not exist"),
    ("absent-pending", ABSENT, Phase.PENDING, "", UNCHANGED, [], NONE, "in transition"),
    ("absent-running", ABSENT, Phase.ACTIVE, "", Action.DELETE, [STOP, DELETE], DELETES, "with a savepoint"),
    ("absent-lose", ABSENT | LOSE, Phase.ACTIVE, "", Action.DELETE, [STOP, DELETE], DELETES, "without a"),
    ("absent-draft", ABSENT, Phase.DRAFT, "", Action.DELETE, [DELETE], DELETES, "is a draft (draft-word)"),
    ("absent-stopped", ABSENT, Phase.STOPPED, OTHER, Action.DELETE, [DELETE], DELETES, "was stopped (stopped-word)"),
    ("absent-unknown", ABSENT, Phase.UNKNOWN, "", Action.DELETE, [STOP, DELETE], DELETES, "savepoint, then delete"),
    ("none", {}, None, "", Action.CREATE, [CREATE, START], NONE, "will create it and start it"),
    ("none-stopped", STOPPED, None, "", Action.CREATE, [CREATE], NONE, "as a draft, because the desired"),
    ("none-keep", MISSING, None, "", UNCHANGED, [], NONE, "onMissing is keep"),
    ("none-keep-rerun", MISSING | {"rerun": AFTER}, None, "", UNCHANGED, [], NONE, "use --rerun"),
    ("imported-draft", IMPORTED, Phase.DRAFT, "", UNCHANGED, [], NONE, "not started because adopt is true"),
    ("imported-stopped", IMPORTED, Phase.STOPPED, "", UNCHANGED, [], NONE, "not started because adopt is true"),
    ("imported-differs", IMPORTED, Phase.STOPPED, OTHER, UNCHANGED, [], NONE, "neither updated nor started because"),
    ("imported-failed", IMPORTED | REVIVE, Phase.FAILED, "", UNCHANGED, [], NONE, "because adopt is true"),
    ("imported-rerun", IMPORTED | {"rerun": AFTER}, Phase.SUCCEEDED, "", UNCHANGED, [], NONE, "rerun is due"),
    ("imported-running", IMPORTED, Phase.ACTIVE, "", UNCHANGED, [], NONE, "is active"),
    ("pending", {}, Phase.PENDING, "", UNCHANGED, [], NONE, "in transition"),
    ("differs-pending", {}, Phase.PENDING, OTHER, UNCHANGED, [], NONE, "differ, but the job is in transition"),
    ("unknown", {}, Phase.UNKNOWN, OTHER, UNCHANGED, [], NONE, "deployer does not handle"),
    ("draft", {}, Phase.DRAFT, "", Action.START, [START], NONE, "will start its first run"),
    ("draft-stopped", STOPPED, Phase.DRAFT, "", UNCHANGED, [], NONE, "is a draft (draft-word)"),
    ("stopped", {}, SAVED, "", Action.START, [START], NONE, "from its savepoint"),
    ("stopped-bare", {}, Phase.STOPPED, "", BLOCKED, [], NONE, "no savepoint exists"),
    ("stopped-lose", LOSE, Phase.STOPPED, "", Action.START, [START], STATE_LOST, "job state is lost"),
    ("stopped-lose-saved", LOSE, SAVED, "", Action.START, [START], NONE, "from its savepoint"),
    ("stopped-stopped", STOPPED, Phase.STOPPED, "", UNCHANGED, [], NONE, "was stopped (stopped-word)"),
    ("running", {}, Phase.ACTIVE, "", UNCHANGED, [], NONE, "the job is active (active-word)"),
    ("running-rerun", {"rerun": AFTER}, Phase.ACTIVE, "", BLOCKED, [], NONE, "not restarted for a rerun"),
    ("running-stopped", STOPPED, Phase.ACTIVE, "", Action.STOP, [STOP], STOPS, "with a savepoint"),
    ("running-stopped-lose", STOPPED | LOSE, Phase.ACTIVE, "", Action.STOP, [STOP], STATE_LOST, "job state is lost"),
    ("finished", {}, Phase.SUCCEEDED, "", UNCHANGED, [], NONE, "has succeeded"),
    ("finished-rerun", {"rerun": AFTER}, Phase.SUCCEEDED, "", Action.START, [START], RERUNS, "rerun is due"),
    ("finished-rerun-done", {"rerun": BEFORE}, Phase.SUCCEEDED, "", UNCHANGED, [], NONE, "has succeeded"),
    ("failed", {}, Phase.FAILED, "", UNCHANGED, [], NONE, "onFailure is keep"),
    ("failed-rerun", {"rerun": AFTER}, Phase.FAILED, "", BLOCKED, [], NONE, "rerun is due (lifecycle.rerun); the job"),
    ("failed-rerun-lose", LOSE | {"rerun": AFTER}, Phase.FAILED, "", Action.START, [START], STATE_LOST, "rerun is due"),
    ("failed-stopped", STOPPED, Phase.FAILED, "", UNCHANGED, [], NONE, "the job has failed (failed-word)"),
    ("failed-resubmit", REVIVE, Phase.FAILED, "", BLOCKED, [], NONE, "no savepoint exists"),
    ("failed-resubmit-lose", REVIVE | LOSE, Phase.FAILED, "", Action.START, [START], STATE_LOST, "job state is lost"),
    ("hot-running", {}, Phase.ACTIVE, HOT, Action.UPDATE, [UPDATE], IN_PLACE, "manifest and live job differ"),
    ("hot-tags", {}, Phase.ACTIVE, "tags", Action.UPDATE, [UPDATE], IN_PLACE, "manifest and live job differ"),
    ("hot-to-stop", STOPPED, Phase.ACTIVE, HOT, Action.UPDATE, [UPDATE, STOP], STOPS, "with a savepoint"),
    ("hot-stopped", STOPPED, Phase.STOPPED, HOT, Action.UPDATE, [UPDATE], IN_PLACE, "was stopped (stopped-word)"),
    ("hot-to-run", {}, SAVED, HOT, Action.UPDATE, [UPDATE, START], IN_PLACE, "from its savepoint"),
    ("hot-to-run-bare", {}, Phase.STOPPED, HOT, BLOCKED, [], NONE, "no savepoint exists"),
    ("differs-draft", {}, Phase.DRAFT, OTHER, Action.UPDATE, [UPDATE, START], IN_PLACE, "is a draft (draft-word)"),
    ("differs-draft-stopped", STOPPED, Phase.DRAFT, OTHER, Action.UPDATE, [UPDATE], IN_PLACE, "draft-word"),
    ("differs-saved", {}, SAVED, OTHER, Action.UPDATE, [UPDATE, START], IN_PLACE, "from its savepoint"),
    ("differs-finished", {}, Phase.SUCCEEDED, OTHER, Action.UPDATE, [UPDATE, START], RERUNS, "start a new run"),
    ("differs-failed", {}, Phase.FAILED, OTHER, BLOCKED, [], NONE, "no savepoint exists"),
    ("differs-failed-lose", LOSE, Phase.FAILED, OTHER, Action.UPDATE, [UPDATE, START], STATE_LOST, "job state is lost"),
    ("differs-to-stop", STOPPED, Phase.ACTIVE, OTHER, Action.STOP, [STOP, UPDATE], STOPS, "with a"),
    ("differs-running", {}, Phase.ACTIVE, OTHER, Action.RESTART, [STOP, UPDATE, START], RESTART, "savepoint"),
    ("differs-lose", LOSE, Phase.ACTIVE, OTHER, Action.RESTART, [STOP, UPDATE, START], STATE_LOST, "job state is lost"),
]  # fmt: skip


# Rows that a person is asked to look at.
LOOK = {"absent-pending", "none-keep-rerun", "differs-pending", "unknown", "failed", "failed-stopped"}
LOOK |= {row[0] for row in DEFINITION_ROWS if row[0].startswith("imported") and row[0] != "imported-running"}


def definitions(of: Job, phase: Any, differs: str) -> list[LiveJob]:
    if phase == SAVED:
        return [run(of, Phase.STOPPED, differs=differs, savepoint="obs://b/s")]
    return [run(of, phase, differs=differs)] if phase else []


@pytest.mark.parametrize("row", DEFINITION_ROWS, ids=lambda row: row[0])
def test_definition(row: tuple[Any, ...]) -> None:
    name, lifecycle, phase, differs, action, steps, impact, gist = row
    stream = job("FlinkJar", **lifecycle)
    change, notes = decided(stream, *definitions(stream, phase, differs))
    assert (change.action, list(change.steps), change.impact) == (action, steps, impact)
    assert gist in change.reason
    assert notes == ((change.reason,) if name in LOOK else ())
    if action is not Action.CREATE:
        assert [field.path.split("/")[1] for field in change.fields] == ([differs] if differs else [])


@pytest.mark.parametrize("row", DEFINITION_ROWS, ids=lambda row: row[0])
def test_a_requested_rerun_of_a_definition_starts_it_or_is_blocked(row: tuple[Any, ...]) -> None:
    _, lifecycle, phase, differs, *_ = row
    stream = replace(job("FlinkJar", **lifecycle), rerun_requested=True)
    change, notes = decided(stream, *definitions(stream, phase, differs))
    starts = START in change.steps
    assert starts is (change.action is not BLOCKED)
    assert notes == ()
    if lifecycle.get("state") in {State.ABSENT, State.STOPPED} or phase in {Phase.PENDING, Phase.UNKNOWN}:
        assert not starts
    if phase is Phase.ACTIVE:
        assert starts is (change.action is Action.RESTART)
    if lifecycle == MISSING:
        assert (change.action, change.impact) == (Action.CREATE, RERUNS)


@pytest.mark.parametrize("row", DEFINITION_ROWS, ids=lambda row: row[0])
def test_a_protected_definition_is_not_stopped_nor_deleted(row: tuple[Any, ...]) -> None:
    _, lifecycle, phase, differs, action, steps, _, _ = row
    stream = job("FlinkJar", **lifecycle, protect=True)
    change, _ = decided(stream, *definitions(stream, phase, differs))
    refused = {STOP, DELETE} & {*steps}
    assert change.action is (BLOCKED if refused else action)
    assert ("prevented by lifecycle.protect" in change.reason) is bool(refused)


@pytest.mark.parametrize(("lifecycle", "differs"), [(ABSENT, ""), (REPLACE, "className")])
def test_a_protected_run_is_not_cancelled(lifecycle: dict[str, Any], differs: str) -> None:
    batch = job(**lifecycle, protect=True)
    change, _ = decided(batch, run(batch, Phase.ACTIVE, differs=differs))
    assert change.action is BLOCKED
    assert "prevented by lifecycle.protect" in change.reason


def test_a_create_tells_what_it_is_made_of_without_its_secrets() -> None:
    spec = {"conf": {"fs.obs.secret.key": "hunter2", "spark.x": "1"}, "args": ["--password", "hunter2"]}
    change, _ = decided(job(spec=spec))
    shown = {field.path: field.desired for field in change.fields}
    assert shown["/conf/fs.obs.secret.key"] == "***"
    assert shown["/conf/spark.x"] == "1"
    assert shown["/args"] == ["--password", "***"]
    assert {field.live for field in change.fields} == {None}
