"""The order, the groups and the sentences that all formats share."""

from __future__ import annotations

import json
from dataclasses import replace

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.model import Action, Cause, Change, FieldChange, Impact, Note, Orphan, Plan
from deployer.planning.paths import path_words
from deployer.report import html, markdown, text
from deployer.report import json as json_report
from deployer.report.create_fields import NAME, NAME_NOTE
from deployer.report.place_names import with_place_names
from deployer.report.review import (
    Group,
    Part,
    common_name,
    danger_words,
    impact_sentence,
    natural,
    part_of,
    review,
    title,
)
from deployer.report.table import columns_of
from deployer.report.wrap import wrapped
from testing.hostile_plans import calm, plans
from testing.review_plans import CLUSTER, SCOPE, create, creates, drift, job, live, mixed, restart, resubmit


def titles(plan: Plan) -> list[str]:
    return [title(group, SCOPE.places) for group in review(plan).groups()]


def test_the_order_of_a_plan() -> None:
    found = review(mixed())
    assert [section.part.name for section in found.sections] == ["DANGERS", "BLOCKED", "DRIFT", "CREATES"]
    assert [section.number for section in found.sections] == [5, 1, 1, 3]
    assert titles(mixed()) == [
        "FlinkJar clicks-10",
        "3 x SparkBatch hourly-* in general",
        "FlinkJar clicks-2",
        "MrsJob load in reports",
        "FlinkJar clicks-by-page",
        "3 x SparkBatch orders-* in general",
    ]
    assert [live.identity.name for live in found.orphans] == ["old-2", "old-10"]


def test_what_harms_most_is_first() -> None:
    impacts = [*Impact]
    changes = [
        Change(Action.UPDATE, job(f"job-{impact}"), "", impact, cause=Cause.MANIFEST) for impact in impacts
    ]
    shown = [group.impact for group in review(Plan("p", tuple(changes))).groups()]
    assert shown == [
        *(Impact.STATE_LOST, Impact.DELETES, Impact.CANCELS, Impact.RERUNS, Impact.RESTART, Impact.STOPS),
        *(Impact.IN_PLACE, Impact.NONE),
    ]


def test_jobs_with_the_same_difference_are_a_group() -> None:
    plan = Plan("prod", (restart(10), restart(2), restart(1), resubmit(10), resubmit(9)))
    assert titles(plan) == ["2 x SparkBatch hourly-* in general", "3 x FlinkJar clicks-*"]
    [resubmits, restarts] = review(plan).groups()
    assert restarts.names == ("clicks-1", "clicks-2", "clicks-10")
    assert (
        resubmits.reason == "manifest changed; last run <id> has succeeded (success); will submit a new run"
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(restart(2), impact=Impact.STATE_LOST),
        replace(restart(2), cause=Cause.DRIFT),
        replace(restart(2), reason="another"),
        replace(restart(2), fields=(FieldChange("/cu_number", 4, 7),)),
        replace(restart(2), fields=(replace(restart(2).fields[0], note="x"), restart(2).fields[1])),
        replace(restart(2), not_compared=("/x",)),
        replace(restart(2), live_only=(FieldChange("/x", 1, None),)),
    ],
)
def test_what_differs_is_another_group(other: Change) -> None:
    assert len(list(review(Plan("p", (restart(1), other))).groups())) == 2


def test_one_and_true_are_not_the_same_value() -> None:
    one, true = (
        replace(restart(number), fields=(FieldChange("/x", 0, value),))
        for number, value in ((1, 1), (2, True))
    )
    assert len(list(review(Plan("p", (one, true))).groups())) == 2


def test_creates_share_what_they_have_in_common() -> None:
    [group] = review(Plan("p", (create(1), create(2)))).groups()
    assert [field.path for field in group.fields] == ["/file", "/className"]
    assert [[field.desired for field in own] for own in group.own] == [
        [["--region", "r1"]],
        [["--region", "r2"]],
    ]
    # Also those of several files: one for each job is how a project begins.
    [group] = review(creates(70)).groups()
    assert (len(group.changes), len(group.files)) == (70, 7)
    different = [replace(create(number), fields=(FieldChange("/file", None, number),)) for number in (1, 2)]
    assert len(list(review(Plan("p", tuple(different))).groups())) == 2


def test_a_word_for_names_is_each_name() -> None:
    changes = tuple(named_create(f'a"\n{number}') for number in range(3))
    [group] = review(Plan("p", changes)).groups()
    for change in changes:
        shown = tuple(with_own_name(field, change.job.name) for field in group.fields)
        assert shown == change.fields


def named_create(name: str, *more: object) -> Change:
    values = ["a.jar", ["--name", name], f"job {name}", f"obs://a/{name}/", {"key": f"x-{name}"}, name, *more]
    fields = tuple(FieldChange(f"/f{at}", None, value) for at, value in enumerate(values))
    return replace(create(1), job=job(name, file=f"{name}.yaml"), fields=fields)


def test_creates_that_differ_in_their_names_are_a_group() -> None:
    """In six fields: they would be too many to be listed for each job."""
    changes = tuple(named_create(f"clicks-{number}") for number in range(120))
    [group] = review(Plan("p", changes)).groups()
    assert (len(group.changes), group.own) == (120, ())
    assert [field.desired for field in group.fields][:3] == ["a.jar", ["--name", "<name>"], "job <name>"]
    assert [field.note for field in group.fields][:2] == ["", "<name>: that of the job"]
    # Whatever others of this kind there are.
    others = tuple(named_create(f"other-{number}", *[number] * 5) for number in range(3))
    mixture = tuple(replace(change, fields=change.fields + others[0].fields[6:]) for change in changes)
    groups = [*review(Plan("p", (*mixture, *others))).groups()]
    assert [(group.names[0], len(group.changes)) for group in groups] == [
        *(("clicks-0", 121), ("other-1", 1), ("other-2", 1))
    ]
    # In the order of their names, whatever fields they have.
    different = [replace(create(at), fields=create(at).fields[: at % 2 + 1]) for at in range(6)]
    different = [
        replace(c, fields=tuple(FieldChange(f.path, None, f.path * (at + 1)) for f in c.fields))
        for at, c in enumerate(different)
    ]
    names = [group.names[0] for group in review(Plan("p", tuple(different))).groups()]
    assert names == sorted(names)
    # Of few jobs with few such fields, the values are there.
    few = [replace(change, fields=change.fields[:2]) for change in changes]
    [group] = review(Plan("p", tuple(few[:5]))).groups()
    assert [own[0].desired for own in group.own] == [["--name", f"clicks-{number}"] for number in range(5)]
    [group] = review(Plan("p", tuple(few[:6]))).groups()
    assert group.own == ()
    # What a name stands for in one value is not guessed from another one.
    literal = replace(
        changes[0], fields=tuple(replace(f, desired=["<name>", f.desired]) for f in changes[0].fields)
    )
    assert len(list(review(Plan("p", (literal, changes[1]))).groups())) == 2


def with_own_name(field: FieldChange, name: str) -> FieldChange:
    """The field of one job of a group, of one in which a word stands for the names of all."""
    if not field.note.endswith(NAME_NOTE):
        return field
    note = field.note.removesuffix(NAME_NOTE).removesuffix("; ")
    desired = json.loads(json.dumps(field.desired).replace(NAME, json.dumps(name)[1:-1]))
    return replace(field, desired=desired, note=note)


@calm
@given(plans)
def test_nothing_is_left_out(plan: Plan) -> None:
    found = review(plan, verbose=True)
    changes = [change for group in found.groups() for change in group.changes]
    assert sorted(map(repr, changes)) == sorted(map(repr, plan.changes))
    for group in found.groups():
        for number, change in enumerate(group.changes):
            fields = [with_own_name(field, change.job.name) for field in group.fields]
            fields += group.own[number] if group.own else ()
            assert sorted(map(repr, fields)) == sorted(map(repr, change.fields))
    for shown, notes in ((found.warnings, plan.warnings), (found.errors, plan.errors)):
        assert sorted(repr(note) for group in shown for note in group.notes) == sorted(map(repr, notes))


def test_drift_is_apart() -> None:
    assert part_of(drift()) is Part.DRIFT
    dangerous = replace(restart(1), cause=Cause.DRIFT)
    [ours, outside] = review(Plan("p", (dangerous, restart(2)))).groups()
    assert (ours.is_drift, outside.is_drift) == (False, True)
    assert part_of(dangerous) is Part.DANGERS


def test_warnings_of_many_jobs_are_one() -> None:
    runs = [replace(resubmit(number), action=Action.UNCHANGED) for number in range(8)]
    notes = [Note(c.job.identity, c.job.source, f"run {c.live.id} failed") for c in runs if c.live]
    [group] = review(Plan("p", tuple(runs), tuple(notes))).warnings
    assert (group.message, len(group.notes)) == ("run <id> failed", 8)
    assert len(review(Plan("p", tuple(runs), tuple(notes[:3]))).warnings) == 3


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["a"], "a"),
        (["clicks-1", "clicks-2"], "clicks-*"),
        (["clicks-1", "clicks-12"], "clicks-*"),
        (["load-eu-daily", "load-us-daily"], "load-*-daily"),
        (["job1", "job12"], "job*"),
        (["a", "b"], "a, b"),
        (["hourly", "weekly", "daily"], "hourly, weekly, daily"),
        (["a", "b", "c", "d"], "*"),
        (["x.a", "x.a.b"], "x.*"),
    ],
)
def test_the_common_part_of_names(names: list[str], common: str) -> None:
    assert common_name(names) == common


def test_natural_order() -> None:
    names = ["job-10", "job-2", "job", "job-02b", "10", "9", "jöb-²"]
    assert sorted(names, key=natural) == ["9", "10", "job", "job-2", "job-02b", "job-10", "jöb-²"]


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("/conf/spark.sql.shuffle.partitions", 'conf."spark.sql.shuffle.partitions"'),
        ("/groups/0/resources/12", "groups[0].resources[12]"),
        ("/conf/a~1b~0c", 'conf."a/b~c"'),
        ("/conf/", 'conf.""'),
        ('/conf/"', 'conf."\\""'),
        ("/cu_number", "cu_number"),
        ("", '""'),
    ],
)
def test_paths_as_people_write_them(pointer: str, words: str) -> None:
    assert path_words(FieldChange(pointer, None, None)) == words


def restarts(number: int, *, keeps_state: bool = True) -> list[Change]:
    return [restart(at, keeps_state=keeps_state) for at in range(number)]


@pytest.mark.parametrize(
    ("changes", "sentence", "asked"),
    [
        ([], "", ""),
        ([create(1), drift()], "", ""),
        (
            [*map(resubmit, range(60)), *restarts(22)],
            "60 batches process data again, 22 streams restart from savepoints, 0 lose state",
            "22 restarts, 60 reruns",
        ),
        (
            [resubmit(1), restart(1), restart(2, keeps_state=False)],
            "1 stream loses its state, 1 batch processes data again, 1 stream restarts from its savepoint",
            "1 of 2 restarts loses state, 1 rerun",
        ),
        (
            [
                Change(Action.DELETE, restart(1).job, "", Impact.DELETES),
                Change(Action.STOP, restart(2).job, "", Impact.STOPS),
                Change(Action.START, restart(3).job, "", Impact.STATE_LOST),
                *restarts(2, keeps_state=False),
            ],
            "3 streams lose their state, 1 stream is deleted, 1 stream stops with a savepoint",
            "1 start loses state, 2 restarts lose state, 1 delete, 1 stop",
        ),
        (restarts(2, keeps_state=False), "2 streams lose their state", "2 restarts, 2 lose state"),
        (
            [Change(Action.DELETE, restart(1).job, "", Impact.DELETES)],
            "1 stream is deleted",
            "1 delete",
        ),
        (
            [
                Change(Action.REPLACE, job("a"), "", Impact.CANCELS),
                Change(Action.CANCEL, job("b", "MrsJob"), "", Impact.CANCELS),
            ],
            "2 jobs are cancelled, 1 of them submitted again",
            "1 cancel, 1 replacement",
        ),
        (
            [Change(Action.REPLACE, job("a"), "", Impact.CANCELS)],
            "1 batch is cancelled and submitted again",
            "1 replacement",
        ),
        (
            [Change(Action.STOP, restart(1).job, "", Impact.STOPS)],
            "1 stream stops with a savepoint, 0 lose state",
            "1 stop",
        ),
        ([Change(Action.BLOCKED, job("a"), "", Impact.RERUNS)], "", ""),
    ],
)
def test_one_sentence_of_impact(changes: list[Change], sentence: str, asked: str) -> None:
    assert impact_sentence(changes) == sentence
    assert danger_words(Plan("p", tuple(changes))) == asked


def test_a_cluster_has_the_name_of_the_project_file() -> None:
    load = job("load", "MrsJob", CLUSTER)
    plan = Plan(
        "prod",
        (Change(Action.CREATE, load, "new"),),
        (Note(load.identity, load.source, "careful"),),
        orphans=(Orphan(live(load, "RUNNING", "1f")),),
        scope=SCOPE,
    )
    shown = click.unstyle(text.plan(plan))
    assert shown.count("MrsJob load in reports") == 3
    assert CLUSTER not in shown


def test_a_cluster_has_its_name_in_values_and_reasons_too() -> None:
    fields = (FieldChange("/cluster_id", "1f" * 16, CLUSTER), FieldChange("/x", 1, 2))
    load = job("load", "MrsJob", CLUSTER)
    change = Change(Action.UPDATE, load, f"moves to {CLUSTER}", fields=fields)
    plan = Plan("prod", (change,), (Note(load.identity, load.source, f"{CLUSTER} is old"),), scope=SCOPE)
    for report in (text.plan, markdown.plan, html.plan):
        shown = click.unstyle(report(plan))
        assert CLUSTER not in shown
        assert "moves to reports" in shown
        assert "reports is old" in shown
        assert "1f" * 16 in shown
    assert json.loads(json_report.plan(plan))["changes"][0]["fields"][0]["desired"] == CLUSTER


def test_only_a_whole_id_is_a_place() -> None:
    assert (
        with_place_names("c-1 is not abc-1 nor c-1-2; (c-1)", {"c-1": r"a\1"})
        == r"a\1 is not abc-1 nor c-1-2; (a\1)"
    )


def test_several_places_are_named_with_the_jobs() -> None:
    fields = (FieldChange("/x", 1, 2),)
    changes = tuple(
        Change(Action.UPDATE, job(f"a-{place}", place=place, file=f"{place}.yaml"), "why", fields=fields)
        for place in ("q1", "q2")
    )
    [group] = review(Plan("p", changes)).groups()
    assert isinstance(group, Group)
    lines = click.unstyle(text.plan(Plan("p", changes))).split("\n")
    assert lines[0] == "~ update    2 x SparkBatch a-*  2 files"
    assert lines[3] == "    a-q1 in q1 (q1.yaml:3), a-q2 in q2 (q2.yaml:3)"


# --- lines of a terminal ----------------------------------------------------------------------------------


@calm
@given(st.text(st.sampled_from("ab \u4e2d\u0301-"), max_size=200), st.integers(20, 60), st.integers(0, 8))
def test_a_long_line_is_several_that_fit(line: str, width: int, indent: int) -> None:
    first, *others = wrapped(line, width, " " * indent)
    assert first + "".join(other[indent:] for other in others) == line
    assert all(columns_of(part) <= max(width, indent + 20) for part in (first, *others))


def test_both_values_begin_in_the_same_column_where_they_do_not_fit_a_line() -> None:
    path = "/conf/spark.hadoop.a.key.that.is.longer.than.others"
    files = [f"obs://bucket-of-the-team/with/a/path/jobs/orders-2024-0{number}.jar" for number in (1, 2)]
    args = [
        ["--region", "cn-north-4", "--date", f"2024-07-0{number}", "--partitions", "200"] for number in (1, 2)
    ]
    fields = (
        FieldChange("/numExecutors", 2, 4),
        FieldChange(path, files[0], files[1]),
        FieldChange("/args", args[0], args[1]),
        FieldChange("/desc", None, "word " * 20),
    )
    change = replace(resubmit(1), fields=fields)
    shown = click.unstyle(text.plan(Plan("p", (change,)), width=80)).split("\n")
    assert shown[4:17] == [
        "    numExecutors  2 -> 4",
        '    conf."spark.hadoop.a.key.that.is.longer.than.others"',
        f'      - "{files[0]}"',
        f'      + "{files[1]}"',
        "    args",
        '      - ["--region", "cn-north-4", "--date", "2024-07-01", "--partitions", ',
        '        "200"]',
        '      + ["--region", "cn-north-4", "--date", "2024-07-02", "--partitions", ',
        '        "200"]',
        "    desc",
        '      + "word word word word word word word word word word word word word word ',
        '        word word word word word word "',
        "",
    ]
    wide = click.unstyle(text.plan(Plan("p", (change,)), width=None))
    assert f'others"  "{files[0]}" -> "{files[1]}"' in wide
    coloured = text.plan(Plan("p", (change,)), width=80).split("\n")
    assert coloured[6] == click.style(shown[6], fg="red")
    assert coloured[7] == click.style(shown[7], fg="green")
    assert coloured[10] == click.style(shown[10], fg="red")


def test_titles_and_counts_fit_the_terminal() -> None:
    lines = click.unstyle(text.plan(mixed(), width=60)).split("\n")
    assert max(map(columns_of, lines)) <= 60
    assert lines[-2:] == [
        "Plan for prod: 3 to create, 3 to resubmit, 1 to update, 2 ",
        "  to restart, 1 blocked, 1 failed to plan, 500 unchanged.",
    ]


def test_lost_state_is_in_capitals_and_said_once() -> None:
    lines = click.unstyle(text.plan(mixed())).split("\n")
    [head] = [number for number, line in enumerate(lines) if "STATE-LOST" in line]
    assert lines[head].startswith("~ restart   FlinkJar clicks-10  STATE-LOST  flink/clicks.yaml:")
    assert lines[head + 1].endswith("job state is lost")
    assert "state-lost" not in "\n".join(lines)


def test_a_blank_line_is_between_dangers() -> None:
    stops = [replace(restart(at), action=Action.DELETE, impact=Impact.DELETES, fields=()) for at in (1, 2)]
    named = [replace(change, reason=f"reason {at}") for at, change in enumerate(stops)]
    lines = click.unstyle(text.plan(Plan("prod", tuple(named)))).split("\n")
    assert lines[3] == ""
    assert "\n".join(lines).count("- delete") == 2
    assert "\n\n\n" not in "\n".join(lines)


def test_lines_end_between_words() -> None:
    assert list(wrapped("    one two three four five six", 24, " " * 6)) == [
        "    one two three four ",
        "      five six",
    ]


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("obs://bucket/with/some/path/of/files.jar", "obs://bucket/with/some/path/of/"),
        ("one,two,three,four,five-six/seven,eight/nine", "one,two,three,four,five-six/seven,"),
        ("spark.sql.adaptive.enabled=the_value_of_it", "spark.sql.adaptive.enabled=the_"),
        ("x" * 50, "x" * 34),
    ],
)
def test_long_words_end_after_a_sign(line: str, first: str) -> None:
    assert next(wrapped(line, 34, "  ")) == first


def test_no_line_becomes_a_command() -> None:
    value = f"{'x' * 70} ::error::y"
    named = Change(Action.CREATE, job("::error::x"), "new", fields=(FieldChange("/a", None, value),))
    other = replace(named, job=job("::error::y"))
    for width in (None, 80, 84, 88):
        shown = click.unstyle(text.plan(Plan("p", (named, other)), width=width))
        assert not [line for line in shown.split("\n") if line.lstrip().startswith("::")]
