"""The page of a plan: it loads nothing, and no name or value becomes a part of it. tests/browser opens it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from hypothesis import given

from deployer.errors import Problem
from deployer.model import Action, Change, FieldChange, Impact, Job, Location, Plan
from deployer.report import html
from deployer.report.html import Piece, Row
from deployer.report.review import review
from testing.hostile_plans import calm, plans
from testing.review_plans import DIGEST, ORIGIN, SCOPE, create, creates, job, many, mixed, restart, resubmit

TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "h1",
        "h2",
        "p",
        "span",
        "div",
        "input",
        "select",
    ),
    *(
        "option",
        "button",
        "main",
        "section",
        "details",
        "summary",
        "ul",
        "li",
        "a",
        "small",
        "mark",
        "del",
        "ins",
    ),
    *("footer", "code", "kbd", "script", "b"),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "role",
        "type",
        "id",
        "placeholder",
        "open",
    ),
    *("aria-label", "aria-pressed", "autocomplete", "value", "href", "rel", "hidden"),
    *("data-action", "data-kind", "data-labels", "data-drift", "data-number"),
}


def parsed(plan: Plan) -> BeautifulSoup:
    return BeautifulSoup(html.plan(plan, ORIGIN), "html.parser")


@pytest.mark.parametrize("plan", [mixed(), creates(), Plan("prod", (), digest=DIGEST)])
def test_the_page_loads_nothing(plan: Plan) -> None:
    page = parsed(plan)
    assert {tag.name for tag in page.find_all(True)} <= TAGS
    assert {name for tag in page.find_all(True) for name in tag.attrs} <= ATTRIBUTES
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|innerHTML|eval\(", str(page))


def test_the_policy_names_the_style_and_the_script() -> None:
    page = parsed(mixed())
    [policy] = [str(tag["content"]) for tag in page.find_all("meta") if tag.get("http-equiv")]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    for name in ("style", "script"):
        [tag] = page.find_all(name)
        digest = base64.b64encode(hashlib.sha256(tag.text.encode()).digest()).decode()
        assert directives.pop(f"{name}-src") == f"'sha256-{digest}'"
    assert directives == dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'")


def test_what_the_page_says() -> None:
    page = parsed(mixed())
    assert page.title
    assert page.title.text.startswith("shop → prod: 3 to create")
    titles = [" ".join(tag.text.split()) for tag in page.find_all("h2")]
    assert titles[:4] == ["Dangers 5", "Blocked 1", "Failed to plan 1", titles[3]]
    assert [tag["data-action"] for tag in page.find_all("details", class_="group")] == [
        *("restart", "resubmit", "restart", "blocked", "update", "create")
    ]
    assert "1 stream loses its state" in page.find(class_="alert").text  # type: ignore[union-attr]
    assert page.find("a", string="hourly.yaml:3")["href"] == f"{ORIGIN.files}/deploy/hourly.yaml#L3"  # type: ignore[index]


def test_the_banner_counts_what_needs_attention() -> None:
    page = parsed(mixed())
    assert page.find(class_="attention").text == "1 blocked, 1 failed to plan, 12 warnings: see below."  # type: ignore[union-attr]
    assert page.find(class_="unmanaged").text == "4 unmanaged live jobs; left unchanged."  # type: ignore[union-attr]
    assert parsed(creates()).find(class_="attention") is None


def test_findings_of_validate_are_in_the_page() -> None:
    problems = [Problem(Location(f"{at}.yaml", at, 1), "<b>old</b>", "W101", "warning") for at in range(3)]
    page = BeautifulSoup(html.plan(mixed(), ORIGIN, problems=problems), "html.parser")
    [line] = page.find(class_="part-findings").find_all("li")  # type: ignore[union-attr]
    assert line.text == "0.yaml, 1.yaml:1:1, 2.yaml:2:1: warning: <b>old</b> [W101]"


def test_thousands_of_changes_fit_a_page() -> None:
    page = html.plan(many(), ORIGIN)
    assert page.count('<span class="name">') == 2000
    assert len(page) < 5_000_000


def test_lost_state_is_unfolded_however_many_changes_there_are() -> None:
    plan = many(300)
    page = parsed(replace(plan, changes=(*plan.changes, restart(1000, keeps_state=False))))
    unfolded = page.find_all("details", class_="group", open=True)
    assert [title.text for tag in unfolded if (title := tag.find(class_="title"))] == ["FlinkJar clicks-1000"]


def test_labels_can_be_filtered() -> None:
    labelled = Job(job("a").identity, job("a").source, {}, labels={"team": "x y", "tier": "1"})
    page = parsed(Plan("prod", (Change(Action.CREATE, labelled, "new"), create(1)), scope=SCOPE))
    options = {tag.text: tag.get("value") for tag in page.find(id="label").find_all("option")}  # type: ignore[union-attr]
    assert options == {"all labels": "", "team=x y": "0", "tier=1": "1"}
    assert [tag["data-labels"] for tag in page.find_all("details", class_="group")] == ["0 1", ""]


# --- differences ------------------------------------------------------------------------------------------


def rows(live: str, desired: str) -> list[Row]:
    [field] = [FieldChange("/sql", live, desired)]
    page = html._Page(review(Plan("p", ())), ORIGIN, {})
    return list(page.rows(field))


def text(row: Row) -> tuple[list[str], list[str]]:
    old, new = (["".join(piece.text for piece in line) for line in side] for side in (row.old, row.new))
    return old, new


def test_every_hunk_of_a_long_text_is_there() -> None:
    before = [f"line {number}" for number in range(100)]
    after = [*before[:10], "ten", *before[11:90], *before[91:]]
    shown = [(row.sort, *text(row)) for row in rows("\n".join(before), "\n".join(after))]
    assert [sort for sort, _, _ in shown] == [
        *("gap", "same", "change", "same", "gap", "same", "change", "same", "gap")
    ]
    assert shown[0][1] == ["8 equal lines"]
    assert shown[2][1:] == (["line 10"], ["ten"])
    assert shown[6][1:] == (["line 90"], [])


def test_words_that_differ_are_marked() -> None:
    [row] = rows("--window 60 --topic clicks", "--window 90 --topic clicks")
    assert [piece for piece in row.old[0] if piece.is_marked] == [Piece("6", is_marked=True)]
    assert [piece for piece in row.new[0] if piece.is_marked] == [Piece("9", is_marked=True)]
    assert text(row) == (['"--window 60 --topic clicks"'], ['"--window 90 --topic clicks"'])


# --- what nobody can do -----------------------------------------------------------------------------------


@calm
@given(plans)
def test_names_and_values_stay_text(plan: Plan) -> None:
    made = html.plan(plan, ORIGIN)
    page = BeautifulSoup(made, "html.parser")
    assert {tag.name for tag in page.find_all(True)} <= TAGS
    assert {name for tag in page.find_all(True) for name in tag.attrs} <= ATTRIBUTES
    assert [len(page.find_all(name)) for name in ("script", "style", "title")] == [1, 1, 1]
    assert all(str(tag["href"]).startswith(f"{ORIGIN.files}/deploy/") for tag in page.find_all("a"))
    assert all(char.isprintable() or char == "\n" for char in made.replace("\xa0", " "))
    assert len(page.find_all("details", class_="group")) <= len(plan.changes)


def test_a_script_in_a_name_is_text() -> None:
    name = "</script><script>alert(1)</script>\"' onload=x\u202e"
    hostile = Job(job(name, file=name).identity, job(name, file=name).source, {}, labels={name: name})
    change = Change(
        Action.RESUBMIT, hostile, name, Impact.RERUNS, (FieldChange(f"/{name}", name, f"{name}\n"),)
    )
    page = parsed(Plan(name, (change, resubmit(1)), scope=SCOPE))
    assert len(page.find_all("script")) == 1
    assert "</script><script>alert(1)</script>\"' onload=x\\u202e" in page.find(class_="title").text  # type: ignore[union-attr]
