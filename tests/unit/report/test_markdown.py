"""The comment on a pull request: golden files, its limit, and what nobody can do with a name or a value.

It is rendered by GitHub's own renderer. `DEPLOYER_REGENERATE=1 pytest tests/unit/report` writes the golden files anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

import cmarkgfm
import pytest
from bs4 import BeautifulSoup
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from deployer.errors import Problem
from deployer.forge.marker import marker
from deployer.model import (
    Action,
    Change,
    FieldChange,
    Identity,
    Impact,
    Location,
    Note,
    Plan,
    Scope,
    SecretStatus,
    Source,
)
from deployer.report import markdown
from deployer.report.origin import Origin, files_url
from testing.hostile_plans import calm, plans
from testing.review_plans import ORIGIN, SCOPE, create, creates, job, live, many, mixed, restart, resubmit
from testing.workspace import ROOT

GOLDEN = ROOT / "tests" / "cases" / "golden"
PLANS = {"mixed": mixed(), "creates": creates()}
COMMENT = 65_536  # what GitHub takes


@pytest.mark.parametrize("name", PLANS)
def test_golden(name: str) -> None:
    made = markdown.plan(PLANS[name], ORIGIN) + "\n"
    golden = GOLDEN / f"plan.{name}.md"
    if os.environ.get("DEPLOYER_REGENERATE"):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")
    assert len(made) < COMMENT


def test_the_first_lines_say_what_matters() -> None:
    lines = markdown.plan(mixed(), ORIGIN).split("\n")
    assert lines[:2] == ["<!-- deployer: shop prod -->", "### deployer plan: `shop` → `prod`"]
    assert "1 stream loses its state, 3 batches process data again" in lines[lines.index("> [!CAUTION]") + 1]
    table = [line.split(" | ")[0] for line in lines if line.startswith("| **")]
    assert table == [
        "| **restart**",
        "| **resubmit**",
        "| **restart**",
        "| **blocked**",
        "| **failed to plan**",
        "| **update**",
        "| **create**",
    ]


def test_a_reason_is_seen_whole() -> None:
    """A block of code does not break its lines, and what is right of it has to be scrolled."""
    block = markdown.plan(Plan("p", (restart(1, keeps_state=False),))).split("```")[1]
    reason = [line for line in block.split("\n") if line.startswith("#")]
    assert max(map(len, reason)) <= 100
    assert reason[-1].endswith("job state is lost; impact: state-lost")


def test_the_level_of_the_alert() -> None:
    blocked = Change(Action.BLOCKED, job("stuck"), "it runs")
    note = Note(job("a").identity, Source("x.yaml", 1), "careful")
    for plan, level in (
        (Plan("p", (create(1),)), ""),
        (Plan("p", (create(1),), (note,)), "> [!NOTE]\n> 1 warning: see below."),
        (Plan("p", (blocked,), (note,)), "> [!WARNING]\n> 1 blocked, 1 warning: see below."),
        (Plan("p", (), (), (note,)), "> [!WARNING]\n> 1 failed to plan: see below."),
        (
            Plan("p", (restart(1), blocked)),
            "> [!CAUTION]\n> **1 stream restarts from its savepoint, 0 lose state.**",
        ),
    ):
        shown = markdown.plan(plan)
        assert (level in shown) if level else ("[!" not in shown)


# --- the limit --------------------------------------------------------------------------------------------


def long_plan(number: int, size: int, more: Sequence[Change] = ()) -> Plan:
    """A plan of creates, each in a file of its own and with a reason of its own."""
    changes = [
        Change(
            Action.CREATE,
            job(f"job-{at}", file=f"{at}.yaml"),
            f"not deployed {at}",
            fields=(FieldChange("/file", None, "a.py"), FieldChange("/args", None, ["x" * size])),
        )
        for at in range(number)
    ]
    return Plan("prod", (*changes, *more), digest="5f" * 32, scope=SCOPE)


def test_a_comment_that_fits_is_whole() -> None:
    shown = markdown.plan(long_plan(100, 200))
    assert "Left out" not in shown
    assert shown.count('file: "a.py"') == 100


def test_what_is_left_out_is_counted_and_dangers_stay() -> None:
    dangers = [restart(1, keeps_state=False), *map(restart, range(2, 6))]
    blocked = Change(Action.BLOCKED, job("stuck"), "it runs")
    failed = Note(Identity("MrsJob", "c", "broken"), Source("x.yaml", 1), "HTTP 500")
    plan = replace(long_plan(3000, 100, [*dangers, blocked]), errors=(failed,))
    shown = markdown.plan(plan, limit=20_000)
    assert len(shown) <= 20_000
    [words] = [line for line in shown.split("\n") if "Left out" in line]
    creates_shown = len(re.findall(r"<b>create</b> (?!.*: all names<)", shown))
    assert 0 < creates_shown < 3000
    assert f"the details of {3000 - creates_shown} of 3006 changes" in words
    for words in (
        "FlinkJar clicks-1<",
        "<code>FlinkJar clicks-*",
        "SparkBatch stuck",
        "broken",
        "Digest",
    ):
        assert words.casefold() in shown.casefold()


def test_of_a_long_change_only_the_long_fields_are_cut() -> None:
    shown = markdown.plan(long_plan(2, 70_000))
    assert len(shown) <= markdown.LIMIT
    assert shown.count('file: "a.py"') == 2
    assert "Left out, because the limit is 60,000 characters: parts of 2 fields.**" in shown
    assert (
        len(re.findall(r'\+   args: \["x+ \.\.\. \([0-9,]+ characters left out\) \.\.\. x+"\]', shown)) == 2
    )


def test_what_is_left_out_is_said_below_the_counts() -> None:
    lines = markdown.plan(long_plan(3000, 100, [restart(1)]), ORIGIN).split("\n")
    assert lines[3].startswith("**3000 to create, 1 to restart**")
    assert lines[5].startswith("**Left out, because")
    assert lines[7] == "> [!CAUTION]"


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ("a" * 100_000, "b" * 100_000),
        (
            "\n".join(f"old {at} {'x' * 90}" for at in range(999)),
            "\n".join(f"new {at}" for at in range(9_999)),
        ),
        ("`" * 100_000, "x" * 100_000),
    ],
)
def test_a_danger_keeps_its_fields_and_its_link(live: str, desired: str) -> None:
    lost = restart(1, keeps_state=False)
    lost = replace(lost, fields=(*lost.fields, FieldChange("/sql", live, desired)))
    plan = Plan("prod", (lost, *creates().changes), digest="5f" * 32, scope=SCOPE)
    shown = markdown.plan(plan, ORIGIN)
    assert len(shown) <= markdown.LIMIT
    [details] = [part for part in shown.split("<details") if "<b>restart</b>" in part]
    assert re.search(r"^[-!]   sql:", details, re.MULTILINE)
    assert re.search(r"characters left out|backticks", details)
    assert "-   cu_number: 4" in details
    assert f"[`flink/clicks.yaml:1`]({ORIGIN.files}/deploy/flink/clicks.yaml#L1)" in details
    # Also the first and the last of what differs.
    for text in (live[:20], desired[-20:]):
        assert text.replace("`", "").split("\n")[0] in details
    assert all(f"clicks-{number}`]" in shown for number in range(211))


@pytest.mark.parametrize("number", [0, 50, 600])
def test_a_long_value_of_a_danger_has_the_room_that_is_left(number: int) -> None:
    """Also if the links to all the new jobs would have none, however short the value."""
    lost = restart(1, keeps_state=False)
    lost = replace(lost, fields=(FieldChange("/sql", "a" * 100_000, "b" * 100_000),))
    plan = Plan("prod", (lost, *creates(number).changes), digest="5f" * 32, scope=SCOPE)
    shown = markdown.plan(plan, ORIGIN)
    assert markdown.LIMIT * 0.95 < len(shown) <= markdown.LIMIT
    [details] = [part for part in shown.split("<details") if "<b>restart</b>" in part]
    assert len(details) > markdown.LIMIT * (0.9 if number == 0 else 0.3)


def test_a_field_that_is_shown_in_part_shows_what_differs() -> None:
    """However long its path is, and wherever the values differ."""
    lost = restart(1, keeps_state=False)
    path = f"/{'p' * 3_000}"
    values = [f"{'x' * 50_000}{word}{'y' * 50_000}" for word in ("old", "new")]
    more = (FieldChange(f"/f{at}", "a" * 9_000, "b" * 9_000) for at in range(9))
    lost = replace(lost, fields=(FieldChange(path, values[0], values[1]), *more))
    shown = markdown.plan(Plan("prod", (lost,), digest="5f" * 32), limit=30_000)
    details = shown.split("```")[1].split("\n")
    [old] = [line for line in details if re.match(r"-   p+…: .*xxxold", line)]
    [new] = [line for line in details if re.match(r"\+   p+…: .*xxxnew", line)]
    assert len(re.findall("characters left out", shown)) >= 18
    assert old[1:].replace("old", "new") == new[1:]


def test_the_name_of_each_new_job_is_there() -> None:
    """Also of those that are not alike, of which not all details fit."""
    different = tuple(
        replace(
            change,
            fields=(
                *change.fields,
                *(FieldChange(f"/f{at}", None, f"{number} {'x' * 90}") for at in range(5)),
            ),
        )
        for number, change in enumerate(creates().changes)
    )
    shown = markdown.plan(Plan("prod", different, digest="5f" * 32, scope=SCOPE), ORIGIN)
    assert len(shown) <= markdown.LIMIT
    [names] = [part for part in shown.split("<details") if ": all names</summary>" in part]
    for number in range(211):
        file = f"{ORIGIN.files}/deploy/jobs/clicks-{number % 7}.yaml#L{number + 1}"
        assert f"[`clicks-{number}`]({file})" in names
    details = shown.count("className")
    assert 0 < details < 211
    assert f"the details of {211 - details} of 211 changes" in shown
    # Few of them are listed if dangers need the room.
    lost = [
        replace(restart(n, keeps_state=False), fields=(FieldChange("/x", "a" * n, "b" * 9_000),))
        for n in range(30)
    ]
    shown = markdown.plan(Plan("prod", (*lost, *map(create, range(5))), digest="5f" * 32, scope=SCOPE))
    assert all(f"orders-{number}" in shown for number in range(5))


def test_the_table_shows_what_differs_in_long_values() -> None:
    args = " ".join(f"--option-{number} value" for number in range(40))
    fields = (
        FieldChange("/args", args, args.replace("option-20 value", "option-20 other")),
        FieldChange("/sql", f"{args}\nfrom t\nwhere x", f"{args}\nfrom s\nwhere x"),
        FieldChange("/key", None, None, sensitive=True),
    )
    plan = Plan("prod", (replace(restart(1), fields=fields),), digest="5f" * 32)
    [row] = [line for line in markdown.plan(plan).split("\n") if line.startswith("| **restart")]
    assert "see below" not in row
    assert "`args …option-20 value --op… → …option-20 other --op…`" in row
    assert r"`sql …lue\nfrom t\nwhe… → …lue\nfrom s\nwhe…`" in row
    assert "`key (sensitive value changed)`" in row


def test_what_is_blocked_or_failed_has_its_reason_in_the_table() -> None:
    errors = tuple(
        Note(job(f"j{at}").identity, Source("x.yaml", at), f"HTTP {at} {'x' * 200}") for at in range(30)
    )
    rows = [
        line for line in markdown.plan(replace(mixed(), errors=errors)).split("\n") if line.startswith("| **")
    ]
    [blocked] = [row for row in rows if row.startswith("| **blocked**")]
    assert "`manifest changed while run 1f is active (RUNNING); wait for it to end`" in blocked
    failed = [row for row in rows if row.startswith("| **failed to plan**")]
    assert failed[0].startswith("| **failed to plan** | `SparkBatch j0 in general` |  | `HTTP 0 xxx")
    assert failed[9] == "| **failed to plan** | and 21 \xd7 `jobs` |  |  |"
    assert all(len(row) < 300 for row in failed)


def test_the_reason_of_a_failure_is_not_cut_off_by_what_was_asked() -> None:
    asked = f"GET https://mrs.example.com/v2/{'5f' * 16}/clusters/adhoc/job-executions"
    message = f"{asked}: HTTP 403 (request id {'6e' * 16}): MRS.0011 no permission; check the token"
    remedy = (
        "manifest changed while run 1f is running; wait for it to end, or set lifecycle.onChange: replace"
    )
    remedy += " (cancels the run and submits it again)"
    plan = Plan(
        "prod",
        (Change(Action.BLOCKED, job("stuck"), remedy),),
        errors=(Note(job("daily").identity, Source("x.yaml", 1), message),),
    )
    made = markdown.plan(plan)
    rows = [line for line in made.split("\n") if line.startswith("| **")]
    assert f"`{remedy}`" in rows[0]
    assert "`HTTP 403: MRS.0011 no permission; check the token`" in rows[1]
    assert message in made


def test_the_details_are_in_the_order_of_the_table() -> None:
    again = replace(create(3), impact=Impact.RERUNS)
    different = [
        replace(change, fields=(*change.fields, FieldChange(f"/x{at}", 1, 2)))
        for at, change in enumerate([resubmit(1), resubmit(2), resubmit(30)])
    ]
    made = markdown.plan(
        Plan("prod", (different[2], again, *different[:2], restart(4), create(5)), scope=SCOPE)
    )
    rows = re.findall(r"^\| (?:\*\*)?(\w+).*? \| `(.+?)`", made, re.MULTILINE)
    details = re.findall(r"<summary><b>(\w+)</b> <code>(.+?)</code>", made)
    assert rows == details
    assert [action for action, _ in rows] == ["resubmit"] * 3 + ["create", "restart", "create"]


def test_what_is_known_of_new_jobs_is_left_out_only_if_it_has_no_room() -> None:
    """No group has less room because there are others, and what says which program runs is the last to go."""
    fields = (
        *(FieldChange(f"/checkpoint_{at}", None, at) for at in range(30)),
        FieldChange("/entrypoint", None, "obs://shop/jars/clicks.jar"),
        FieldChange("/entrypoint_args", None, "x" * 700),
        FieldChange("/desc", None, "y" * 9_000),
    )
    streams = tuple(
        replace(restart(at), action=Action.CREATE, impact=Impact.NONE, live=None, fields=fields, reason="new")
        for at in range(2)
    )
    whole = markdown.plan(
        Plan("prod", (*streams, *creates(100).changes), digest="5f" * 32, scope=SCOPE), ORIGIN
    )
    assert "Left out" not in whole
    short = markdown.plan(Plan("prod", streams, digest="5f" * 32, scope=SCOPE), ORIGIN, limit=4_000)
    assert '+   entrypoint: "obs://shop/jars/clicks.jar"' in short
    assert f'+   entrypoint_args: "{"x" * 700}"' in short


def test_findings_of_validate_are_at_the_end() -> None:
    problems = [
        Problem(Location(f"{at}.yaml", at, 1), "the key is `deprecated`", "W101", "warning", "old")
        for at in range(1, 9)
    ]
    problems.append(Problem(Location("a.yaml", 2, 5), "another", "W102", "warning"))
    shown = markdown.plan(mixed(), ORIGIN, problems=problems)
    assert shown.index("4 unmanaged live jobs; left unchanged.") > shown.index(
        "<b>Findings in manifests (2)</b>"
    )
    assert (
        "1.yaml:1:1, 2.yaml:2:1, 3.yaml:3:1, 4.yaml:4:1, 5.yaml:5:1 and 3 more: "
        "warning: the key is `deprecated` [W101 old]\na.yaml:2:5: warning: another [W102]\n```"
    ) in shown
    many_problems = [
        Problem(Location("a.yaml", at, 1), f"{at} {'x' * 300}", "W101", "warning") for at in range(999)
    ]
    shown = markdown.plan(mixed(), ORIGIN, problems=many_problems)
    assert len(shown) <= markdown.LIMIT
    assert re.search(r"\.\.\. and [0-9]+ more\n```", shown)
    assert re.search(r"[0-9]+ findings\.\*\*", shown)


def test_the_names_of_many_jobs_are_listed() -> None:
    plan = Plan("prod", tuple(map(restart, range(300))), digest="5f" * 32)
    assert all(f"clicks-{number}" in markdown.plan(plan) for number in range(300))
    short = markdown.plan(plan, limit=markdown.LEAST_LIMIT)
    [more] = re.findall(r"\.\.\. and ([0-9]+) more", short)
    named = [number for number in range(300) if re.search(rf"clicks-{number}\b", short)]
    assert named == [*range(300 - int(more))]
    assert f": {more} names.**" in short
    assert len(short) > markdown.LEAST_LIMIT * 0.85, "there was room for more"


def test_the_sources_of_secrets_are_not_left_out() -> None:
    """Whoever makes a plan too long cannot hide where its secrets come from."""
    plan = replace(long_plan(3, 70_000), secrets=(SecretStatus("JAR", "variable PATH", "is not allowed"),))
    shown = markdown.plan(plan)
    assert len(shown) <= markdown.LIMIT
    assert "```text\nJAR: variable PATH is not allowed\n```" in shown
    many_secrets = tuple(SecretStatus(f"SECRET-{number}", "variable X" * 50, "set") for number in range(400))
    shown = markdown.plan(replace(plan, secrets=many_secrets))
    assert f"{400 - shown.count(chr(10) + 'SECRET-')} secrets" in shown


def test_thousands_of_changes_fit() -> None:
    made = markdown.plan(many(), ORIGIN)
    assert len(made) <= markdown.LIMIT
    rows = re.findall(r"^\| \*\*(\w+)\*\* \| (?:(and) )?(?:(\d+) )?", made, re.MULTILINE)
    counted = [(action, int(number or 1)) for action, _, number in rows]
    assert sum(number for _, number in counted) == 2000
    assert [row for row in rows if row[1]] == [("resubmit", "and", "651"), ("restart", "and", "650")]
    # Reruns are unfolded before restarts, of which only the names are there, and these before those of new jobs.
    shown = [made.count(f"<summary><b>{action}</b> <code>") for action in ("resubmit", "restart", "create")]
    assert shown[0] > 50
    assert shown[1:] == [0, 0]
    for change in many().changes:
        if change.impact is not Impact.NONE:
            assert re.search(rf"\b{change.job.name}\b", made)


# --- links ------------------------------------------------------------------------------------------------

SHA = "0123456789" * 4


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        (
            {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "a/b", "GITHUB_SHA": SHA},
            f"https://github.com/a/b/blob/{SHA}",
        ),
        (
            {"CI_PROJECT_URL": "https://git.example.com:8443/group/b", "CI_COMMIT_SHA": SHA},
            f"https://git.example.com:8443/group/b/-/blob/{SHA}",
        ),
        ({"CI_PROJECT_URL": "http://git.example.com/b", "CI_COMMIT_SHA": SHA}, ""),
        ({"CI_PROJECT_URL": "https://u:p@git.example.com/b", "CI_COMMIT_SHA": SHA}, ""),
        ({"CI_PROJECT_URL": "https://git.example.com/b)(", "CI_COMMIT_SHA": SHA}, ""),
        ({"CI_PROJECT_URL": "https://git.example.com/../b", "CI_COMMIT_SHA": SHA}, ""),
        ({"CI_PROJECT_URL": "https://git.example.com/b", "CI_COMMIT_SHA": "main"}, ""),
        ({"GITHUB_SERVER_URL": "javascript:x", "GITHUB_REPOSITORY": "a/b", "GITHUB_SHA": SHA}, ""),
        ({}, ""),
    ],
)
def test_the_url_of_the_files(environment: dict[str, str], url: str) -> None:
    assert files_url(environment) == url


@pytest.mark.parametrize(
    ("folder", "file", "path"),
    [
        ("deploy", "a b/ü).yaml", "deploy/a%20b/%C3%BC%29.yaml#L3"),
        ("", "x.yaml", "x.yaml#L3"),
        (".", "?q#f.yaml", "%3Fq%23f.yaml#L3"),
        ("..", "x.yaml", ""),
        ("a", "../../x.yaml", ""),
    ],
)
def test_the_link_to_a_file(folder: str, file: str, path: str) -> None:
    link = Origin("1", files="https://h/r/blob/1", folder=folder).link(Source(file, 3))
    assert link == (f"https://h/r/blob/1/{path}" if path else "")


# --- what nobody can do -----------------------------------------------------------------------------------

TAGS = {
    *("a", "b", "blockquote", "br", "code", "details", "h3", "p", "pre", "strong", "sub", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
OURS = re.compile(r"[A-Za-z0-9 ,.:;!()\[\]\xd7\u2192\xb7\n-]*")


def rendered(text: str) -> BeautifulSoup:
    return BeautifulSoup(
        cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE), "html.parser"
    )


@calm
@given(plans)
def test_nothing_leaves_code(plan: Plan) -> None:
    made = markdown.plan(plan, ORIGIN)
    assert made.isprintable() or all(line.isprintable() for line in made.split("\n") if line)
    assert made.startswith("<!-- deployer: ")
    assert made.count("<!--") == 1
    page = rendered(made)
    assert {tag.name for tag in page.find_all(True)} <= TAGS
    assert all(str(tag["href"]).startswith(f"{ORIGIN.files}/deploy/") for tag in page.find_all("a"))
    assert all(set(tag.attrs) <= {"href", "open", "class", "lang"} for tag in page.find_all(True))
    assert all(tag.parent is page for tag in page.find_all("details")), "one ends before the next begins"
    for tag in page.find_all(["code", "pre"]):
        tag.decompose()
    outside = "".join(
        str(text) for text in page.find_all(string=True) if not str(text).startswith(" deployer: ")
    )
    assert OURS.fullmatch(outside), outside
    assert not re.search(r"GH-|repo|0123abcd|evil|\bbug\b", outside), outside


@calm
@given(plans, st.integers(markdown.LEAST_LIMIT, 9_000), st.integers(1, 300))
def test_the_limit_is_kept(plan: Plan, limit: int, times: int) -> None:
    longer = tuple(
        replace(change, reason=f"{at} {change.reason * times}", fields=change.fields * (times // 30 + 1))
        for at in range(times // 20 + 1)
        for change in plan.changes
    )
    long = replace(plan, changes=longer, warnings=plan.warnings * times, errors=plan.errors * times)
    made = markdown.plan(long, ORIGIN, limit=limit)
    assert len(made) <= limit
    assert made.endswith("</sub>")


@pytest.mark.parametrize("name", ["`" * 50_000, "<!--" * 20_000, "|" * 50_000, "x" * 70_000, "<" * 30_000])
def test_hostile_names_do_not_make_a_comment_too_long(name: str) -> None:
    hostile = job(name, file=name)
    changes = tuple(
        Change(
            action, hostile, name, impact, (FieldChange(f"/{name}", name, "x"),), live(hostile, name, name)
        )
        for action, impact in ((Action.RESTART, Impact.RESTART), (Action.CREATE, Impact.NONE))
    )
    note = Note(hostile.identity, hostile.source, name)
    plan = Plan(
        name, (*changes, create(1)), (note,), (note,), "5f" * 32, scope=Scope(name, name, region=name)
    )
    made = markdown.plan(plan, ORIGIN, limit=markdown.LEAST_LIMIT)
    assert len(made) <= markdown.LEAST_LIMIT
    assert "2 to create" in made


def test_a_marker_names_one_project_and_target() -> None:
    names = ["a", "a b", "a--b", "-->", "ü", "", "x" * 999]
    markers = {marker(project, target) for project in names for target in names}
    assert len(markers) == len(names) ** 2
    form = r"<!-- deployer: (?:(?!--)[A-Za-z0-9%._~-])+ (?:(?!--)[A-Za-z0-9%._~-])+ -->"
    assert all(re.fullmatch(form, line) for line in markers)
    made = markdown.plan(Plan("prod", (), scope=Scope("a b", "prod")))
    assert made.startswith(f"{marker('a b', 'prod')}\n")
