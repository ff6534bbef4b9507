"""One plan in every format, as golden files; and untrusted text in reports.

`DEPLOYER_REGENERATE=1 pytest tests/unit/report` writes the golden files anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.errors import Problem
from deployer.escape import MAX_VALUE, is_visible, pair, printable, value
from deployer.model import (
    Action,
    Change,
    FieldChange,
    Identity,
    Impact,
    Job,
    LiveJob,
    Location,
    Note,
    Outcome,
    Phase,
    Plan,
    Result,
    Source,
    utc_time,
)
from deployer.planning.plan_json import as_data
from deployer.planning.saved_plan import Inputs, SavedPlan
from deployer.report import json as json_report
from deployer.report import markdown, stale, status, text
from deployer.report.review import Part, review
from deployer.report.table import columns_of
from testing.review_plans import CLUSTER, SCOPE
from testing.workspace import ROOT, SPECS

GOLDEN = ROOT / "tests" / "cases" / "golden"
FORMATS: dict[str, Callable[[Plan], str]] = {
    "plan.txt": lambda plan: click.unstyle(text.plan(plan, verbose=True)),
    "plan.json": json_report.plan,
    "plan.md": markdown.plan,
}

HOSTILE = "a`b``` c\r\n~~~\n\x1b[31mred\x1b[0m \u202egnirts\u202c \u200b\u2028\x00\x7f | </details>"


def job(name: str, kind: str = "SparkBatch", place: str = "spark", file: str = "jobs/spark.yaml") -> Job:
    return Job(Identity(kind, place, name), Source(file, 3), SPECS[kind])


def run(of: Job, state: str = "running", identifier: str = "0f9c2c48-7658") -> LiveJob:
    return LiveJob(identifier, of.identity, state, Phase.ACTIVE, 1_720_000_000_000, {})


def rich_plan() -> Plan:
    new, changed, busy, same = job("daily"), job("weekly"), job("hourly"), job("yearly")
    hostile = job(HOSTILE, "MrsJob", "c-1", HOSTILE)
    long = " ".join(f"--option-{number}" for number in range(99))
    differs = (
        FieldChange("/args/1", "2024-07-03", "2024-07-04"),
        FieldChange("/args/2", None, "--now"),
        FieldChange("/conf/spark.hadoop.fs.obs.secret.key", None, None, sensitive=True),
        FieldChange("/conf/spark.sql.shuffle.partitions", "200", None),
        FieldChange("/args/9", long, long.replace("--option-70", "--another")),
        FieldChange("/numExecutors", 2, 4),
        FieldChange("/groups/0", None, {"name": "orders", "resources": [{"name": "größe.jar"}]}),
    )
    spill = (FieldChange(f"/properties/{HOSTILE}", HOSTILE, f"````{HOSTILE}````"),)
    failed = Note(busy.identity, busy.source, "the last run is dead; onFailure is keep")
    return Plan(
        "prod",
        (
            Change(Action.CREATE, new, "not deployed: the service lists no jobs of this kind"),
            Change(Action.RESUBMIT, changed, "the manifest changed", Impact.RERUNS, differs, run(changed)),
            Change(Action.BLOCKED, busy, "the manifest changed while it runs", live=run(busy)),
            Change(Action.SUBMIT, hostile, HOSTILE, Impact.RERUNS, spill, run(hostile, HOSTILE, HOSTILE)),
            Change(Action.START, job("clicks", "FlinkJar", "", "jobs/flink.yaml"), "it has never run"),
            Change(Action.UNCHANGED, same, "the last run is success", live=run(same, "success")),
        ),
        (failed, Note(hostile.identity, hostile.source, HOSTILE)),
        (Note(hostile.identity, hostile.source, f"HTTP 500: {HOSTILE}"),),
        "5f" * 32,
    )


@pytest.mark.parametrize("file", FORMATS)
def test_golden(file: str) -> None:
    made = FORMATS[file](rich_plan()) + "\n"
    golden = GOLDEN / file
    if os.environ.get("DEPLOYER_REGENERATE"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def test_nothing_to_do() -> None:
    empty = Plan("prod", (), digest="5f" * 32)
    assert text.plan(empty) == "Plan for prod: no changes."
    assert "### deployer plan: `prod`: no changes\n" in markdown.plan(empty)
    assert json.loads(json_report.plan(empty))["changes"] == []


def test_sensitive_values_are_null_in_json() -> None:
    fields = json.loads(json_report.plan(rich_plan()))["changes"][1]["fields"]
    [secret] = [field for field in fields if field["sensitive"]]
    assert (secret["live"], secret["desired"]) == (None, None)


# --- what nobody can do -----------------------------------------------------------------------------------

# A busy machine is no failure.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Characters that have a meaning somewhere, beside all the others.
nasty = st.text(
    st.sampled_from("`~\n\r\x1b\x07\x9b\u202e\u2066\u200b\u2028\x00\x7f|<>#-+!*[ \ud800\U000e0001")
    | st.characters()
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | nasty,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(nasty, inner, max_size=3),
    max_leaves=5,
)
identities = st.builds(Identity, st.sampled_from(sorted(SPECS)), nasty, nasty)
sources = st.builds(Source, nasty, st.integers(0, 9))
jobs = st.builds(Job, identities, sources, st.just({}))
runs = st.builds(LiveJob, nasty, identities, nasty, st.sampled_from(Phase), st.integers(), st.none())
fields = st.builds(FieldChange, nasty, json_values, json_values, st.booleans())
changes = st.builds(
    Change,
    st.sampled_from(Action),
    jobs,
    nasty,
    st.sampled_from(Impact),
    st.lists(fields, max_size=2).map(tuple),
    st.none() | runs,
)
notes = st.lists(st.builds(Note, identities, sources, nasty), max_size=2).map(tuple)
plans = st.builds(Plan, nasty, st.lists(changes, max_size=2).map(tuple), notes, notes, st.just("5f" * 32))


def without_style(styled: str) -> str:
    """Takes out the colours that click put in, and nothing else."""
    return re.sub(r"\x1b\[(?:[0-9]{1,2})(?:;[0-9]{1,2})*m", "", styled)


def is_plain(line: str) -> bool:
    return line.isprintable() or not line


@calm
@given(plans)
def test_nothing_but_text_comes_to_the_terminal(plan: Plan) -> None:
    lines = without_style(text.plan(plan, verbose=True)).split("\n")
    assert all(map(is_plain, lines))
    # Each group has a line, one for its reason and one per field; dangers, each section if there are several, and the
    # notes have a title, and the impact is a line.
    found = review(plan, verbose=True)
    expected = 1 + bool(found.impact)
    expected += sum(2 + len(group.fields) for group in found.groups())
    # Several jobs have a line with their names, or one each with its own fields.
    expected += sum(len(group.changes) > 1 for group in found.groups() if not group.own)
    expected += sum(1 + (len(own) if len(own) > 1 else 0) for group in found.groups() for own in group.own)
    has_dangers = any(section.part is Part.DANGERS for section in found.sections)
    expected += len(found.sections) if len(found.sections) + bool(found.errors) > 1 else has_dangers
    expected += sum(1 + len(notes) for notes in (plan.warnings, plan.errors) if notes)
    assert len(list(filter(None, lines))) == expected


@calm
@given(plans, st.integers(40, 120))
def test_text_fits_the_terminal(plan: Plan, width: int) -> None:
    lines = without_style(text.plan(plan, width=width)).split("\n")
    assert all(columns_of(line) <= width for line in lines)


@calm
@given(st.lists(changes, max_size=3), st.none() | st.datetimes(timezones=st.just(UTC)))
def test_nothing_but_text_comes_to_the_terminal_from_status(rows: list[Change], now: datetime | None) -> None:
    lines = status.text(rows, now).split("\n")
    assert len(lines) == 1 + len(rows)
    assert all(map(is_plain, lines))
    assert len(json.loads(json.dumps(status.data(Plan("test", tuple(rows)), now)))["jobs"]) == len(rows)


def test_status_has_names_of_clusters_in_natural_order() -> None:
    jobs = [job(f"load-{at}", "MrsJob", CLUSTER) for at in (10, 2)]
    rows = [Change(Action.UNCHANGED, one, "the same") for one in jobs]
    cells = [line.split()[1:3] for line in status.text(rows, None, None, SCOPE.places).split("\n")]
    assert cells == [["NAME", "PLACE"], ["load-2", "reports"], ["load-10", "reports"]]
    data = status.data(Plan("prod", tuple(rows), scope=SCOPE), None)
    assert [row["place"] for row in data["jobs"]] == [CLUSTER, CLUSTER]


def test_an_outcome_has_names_of_clusters_but_urls_have_ids() -> None:
    change = Change(Action.CREATE, job("load", "MrsJob", CLUSTER), "new")
    outcome = Outcome(
        change, Result.FAILED, f"cluster {CLUSTER}: POST https://mrs/clusters/{CLUSTER}/jobs: HTTP 400"
    )
    shown = without_style(text.outcome(outcome, SCOPE.places))
    assert shown == (
        "failed   create MrsJob load in reports: cluster reports: "
        f"POST https://mrs/clusters/{CLUSTER}/jobs: HTTP 400"
    )


@calm
@given(st.builds(Outcome, changes, st.sampled_from(Result), nasty, nasty))
def test_an_outcome_is_one_plain_line(outcome: Outcome) -> None:
    assert is_plain(without_style(text.outcome(outcome)))


places = st.builds(Location, nasty, st.integers(0, 9), st.integers(0, 9))


@calm
@given(st.builds(Problem, places, nasty, st.just("E001"), st.sampled_from(["error", "warning", "note"])))
def test_a_problem_is_one_plain_line(problem: Problem) -> None:
    assert is_plain(without_style(text.problem(problem)))


@calm
@given(plans)
def test_json_is_ascii_and_comes_back(plan: Plan) -> None:
    made = json_report.plan(plan)
    assert made.isascii()
    again = json.loads(made)
    assert len(again["changes"]) == len(plan.pending)
    assert [note["message"] for note in again["errors"]] == [note.message for note in plan.errors]


# --- values -----------------------------------------------------------------------------------------------


@calm
@given(nasty)
def test_printable_is_one_line_and_keeps_what_can_be_shown(string: str) -> None:
    shown = printable(string)
    assert shown.isprintable()
    plain = string.replace("\\", "")
    unescaped = re.sub(r"\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\[nrtbf]", "", printable(plain))
    assert unescaped == "".join(filter(is_visible, plain))


@calm
@given(json_values)
def test_a_value_is_one_line(data: Any) -> None:
    assert value(data).isprintable()


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ("x" * 500 + "A" + "y" * 500, "x" * 500 + "B" + "y" * 500),
        ("x" * 500, "x" * 500 + "B"),
        ("A" + "x" * 500, "B" + "x" * 500),
        (["x"] * 100 + ["A"], ["x"] * 100 + ["B"]),
        ({"a": "x" * 300, "z": "A"}, {"z": "B", "a": "x" * 300}),
    ],
)
def test_a_pair_shows_the_first_difference(live: Any, desired: Any) -> None:
    shown = pair(live, desired)
    assert shown[0] != shown[1]
    assert all(len(side) < MAX_VALUE + 60 for side in shown)


@calm
@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_two_values_never_look_the_same(before: str, first: str, second: str) -> None:
    live, desired = before + first, before + second
    shown = pair(live, desired)
    assert (shown[0] == shown[1]) is (live == desired)


@pytest.mark.parametrize(
    ("milliseconds", "time"),
    [
        (0, None),
        (1_720_000_000_000, datetime(2024, 7, 3, 9, 46, 40, tzinfo=UTC)),
        (10**18, None),
        (-(10**18), None),
    ],
)
def test_time(milliseconds: int, time: datetime | None) -> None:
    assert utc_time(milliseconds) == time


@pytest.mark.parametrize("live", [None, run(job("daily"))])
def test_no_change_hides_fields(live: LiveJob | None) -> None:
    fields = tuple(FieldChange(f"/args/{n}", None, f"x{n}" * 50) for n in range(200))
    plan = Plan("prod", (Change(Action.CREATE, job("daily"), "why", fields=fields, live=live),))
    for shown in (text.plan(plan), markdown.plan(plan)):
        assert [field.path for field in fields if f'"{field.desired}"' not in shown] == []


def test_a_field_has_its_note() -> None:
    fields = (FieldChange("/priority", None, 3, note="not in the API reference"),)
    plan = Plan("prod", (Change(Action.CREATE, job("daily"), "why", fields=fields),))
    assert "priority  + 3  (not in the API reference)" in text.plan(plan)
    assert "+   priority: 3  (not in the API reference)" in markdown.plan(plan)
    assert json.loads(json_report.plan(plan))["changes"][0]["fields"][0]["note"] == "not in the API reference"


# --- a saved plan that is stale ---------------------------------------------------------------------------


def test_values_that_differ_late_do_not_look_equal_in_a_stale_plan() -> None:
    def of(value: str) -> Plan:
        fields = (FieldChange("/args/0", None, "x" * 1000 + value),)
        return Plan("prod", (Change(Action.CREATE, job("daily"), "why", fields=fields),), digest=value * 64)

    saved = SavedPlan(
        "plan.json", Inputs("p", "prod", (), (), (), (), ()), "a" * 64, as_data(of("a"))["changes"], "1"
    )
    [line] = [line for line in stale.explanation(saved, of("b")) if "/args/0" in line]
    then, now = line.split(", now ")
    assert 'xa"' in then
    assert 'xb"' in now
    assert len(line) < 1000


@pytest.mark.parametrize("report", [text.plan, markdown.plan])
def test_a_null_that_is_sent_is_shown(report: Callable[[Plan], str]) -> None:
    note = "not in the API reference"
    change = Change(
        Action.CREATE, job("daily"), "not deployed", fields=(FieldChange("/x", None, None, note=note),)
    )
    assert re.search(r" x:? +(\+ )?null  \(not in the API reference\)", report(Plan("prod", (change,))))
