"""The reports on outcomes: golden files, the order, the limit, and what nobody can do with a name or a message.

`DEPLOYER_REGENERATE=1 pytest tests/unit/report` writes the golden files anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from deployer.kinds.tables import schema_folder
from deployer.model import End, Outcome, Plan, Result
from deployer.report import markdown, outcomes_html, outcomes_json, outcomes_markdown, outcomes_text
from deployer.report.outcomes import Outcomes, Part, order
from testing.hostile_plans import calm, nasty, plans
from testing.outcomes import mixed_outcomes, outcomes_of
from testing.review_plans import ORIGIN, SCOPE, creates, mixed
from testing.workspace import ROOT
from unit.report.test_markdown import TAGS, rendered

GOLDEN = ROOT / "tests" / "cases" / "golden"
FORMATS: dict[str, Callable[[Outcomes], str]] = {
    "md": lambda found: outcomes_markdown.outcomes(found, ORIGIN),
    "txt": outcomes_text.outcomes,
    "json": outcomes_json.outcomes,
}
SCHEMA = Draft202012Validator(json.loads((schema_folder() / "Outcomes.schema.json").read_text("utf-8")))


@pytest.mark.parametrize("style", FORMATS)
def test_golden(style: str) -> None:
    made = FORMATS[style](mixed_outcomes()).rstrip("\n") + "\n"
    golden = GOLDEN / f"outcomes.{style}"
    if os.environ.get("DEPLOYER_REGENERATE"):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def test_what_needs_attention_is_first() -> None:
    shown = order(mixed_outcomes())
    assert [section.part for section in shown.sections] == [*Part]
    statuses = [group.status for section in shown.sections for group in section.groups]
    assert statuses == sorted(
        statuses, key=["unknown", "failed", "refused", "blocked", "not started", "done"].index
    )
    assert shown.attention.startswith("1 outcome unknown, 3 failed, 1 failed to plan, ")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (End.STALE, "Nothing was applied: the plan is stale."),
        (End.REFUSED, "Nothing was applied: the plan was refused."),
        (End.DECLINED, "Nothing was applied: it was not confirmed."),
        (End.INTERRUPTED, "Nothing was applied: interrupted."),
        (End.FAILED, "Nothing was applied: the command failed."),
        (End.NO_CHANGES, "No changes: nothing to apply."),
    ],
)
def test_each_end_is_named(end: End, words: str) -> None:
    plan = None if end is End.FAILED else mixed()
    found = Outcomes("apply", "applied", "shop", "prod", end, 1, plan, messages=("because",))
    assert words in outcomes_text.outcomes(found)
    assert f"**{words}**" in outcomes_markdown.outcomes(found, ORIGIN)
    assert f'<p class="counts">{words}</p>' in outcomes_html.outcomes(found, ORIGIN)
    data = json.loads(outcomes_json.outcomes(found))
    assert (data["result"], data["messages"]) == (end, ["because"])
    SCHEMA.validate(data)


def test_a_marker_of_its_own() -> None:
    found = mixed_outcomes()
    for name in ("apply", "cancel"):
        made = outcomes_markdown.outcomes(replace(found, name=name), ORIGIN)
        assert made.startswith(f"<!-- deployer: shop prod {name} -->\n")


def test_many_outcomes_are_within_the_limit_and_failures_stay() -> None:
    plan = creates(2000)
    ended = [Outcome(change, Result.DONE, f"submitted {at}") for at, change in enumerate(plan.steps)]
    ended[1000] = replace(ended[1000], result=Result.FAILED, message="no quota")
    found = Outcomes("apply", "applied", "shop", "prod", End.INCOMPLETE, 8, plan, tuple(ended))
    made = outcomes_markdown.outcomes(found, ORIGIN)
    assert len(made) <= markdown.LIMIT
    assert "no quota" in made
    assert "\n**Left out, because the limit is 60,000 characters: the details of " in made[:500]


def test_names_are_shown_as_long_as_there_is_room() -> None:
    plan = creates(1200)
    ended = [
        Outcome(change, Result.FAILED, "no quota", str(at)) for at, change in enumerate(plan.steps[:200])
    ]
    ended += [Outcome(change, Result.DONE, "submitted") for change in plan.steps[700:]]
    found = Outcomes("apply", "applied", "shop", "prod", End.INCOMPLETE, 8, plan, tuple(ended))
    names = [change.job.name for change in plan.steps]
    whole = outcomes_markdown.outcomes(found, ORIGIN)
    assert all(name in whole for name in names)
    assert all(f"(id {at})" in whole for at in range(200))
    assert "Left out" not in whole
    short = outcomes_markdown.outcomes(found, ORIGIN, limit=8_000)
    # What failed has its names before what was not started, and that before what is done.
    kept = [sum(name in short for name in some) for some in (names[:200], names[200:700], names[700:])]
    assert kept[0] == 200
    assert 0 < kept[1] + kept[2] < 1000
    assert f"characters: {1200 - sum(kept)} names.**" in short[:500]
    assert f"... and {500 - kept[2]} more" in short
    assert 7_000 < len(short) <= 8_000


@st.composite
def hostile(draw: st.DrawFn) -> Outcomes:
    plan = draw(plans)
    ended = tuple(
        Outcome(change, draw(st.sampled_from(Result)), draw(nasty), draw(nasty), (draw(nasty),))
        for change in plan.steps[: draw(st.integers(0, 3))]
    )
    messages = tuple(draw(st.lists(nasty, max_size=2)))
    return Outcomes(
        "apply", "applied", draw(nasty), plan.target, draw(st.sampled_from(End)), 1, plan, ended, messages
    )


@calm
@given(hostile(), st.integers(markdown.LEAST_LIMIT, 9_000))
def test_nothing_leaves_code_and_the_limit_is_kept(found: Outcomes, limit: int) -> None:
    made = outcomes_markdown.outcomes(found, ORIGIN, limit=limit)
    assert len(made) <= limit
    assert all(line.isprintable() for line in made.split("\n") if line)
    assert made.startswith("<!-- deployer: ")
    assert made.count("<!--") == 1
    page = rendered(made)
    assert {tag.name for tag in page.find_all(True)} <= TAGS
    assert all(str(tag["href"]).startswith(f"{ORIGIN.files}/deploy/") for tag in page.find_all("a"))
    assert all(tag.parent is page for tag in page.find_all("details")), "one ends before the next begins"
    for tag in page.find_all(["code", "pre"]):
        tag.decompose()
    outside = page.get_text()
    assert not any(piece in outside for piece in ("@team", "evil", "alert", "/close", "${{"))


@calm
@given(hostile())
def test_text_json_and_page_are_safe(found: Outcomes) -> None:
    text = outcomes_text.outcomes(found)
    assert all(line.isprintable() for line in text.split("\n") if line)
    assert not any(line.lstrip().startswith(("::", "##")) for line in text.split("\n"))
    assert outcomes_json.outcomes(found).replace("\n", "").isprintable()
    page = BeautifulSoup(outcomes_html.outcomes(found, ORIGIN), "html.parser")
    assert len(page.find_all("script")) == 1
    assert page.find_all("img") == []
    assert all(str(tag["href"]).startswith(f"{ORIGIN.files}/deploy/") for tag in page.find_all("a"))


def test_without_a_plan() -> None:
    found = Outcomes("apply", "applied", "", "", End.FAILED, 3, messages=("no deployer.yaml",))
    assert "no deployer.yaml" in outcomes_markdown.outcomes(found)
    assert json.loads(outcomes_json.outcomes(found))["digest"] is None


def test_outcomes_of_a_plan_of_another_place() -> None:
    plan = Plan("prod", (), scope=SCOPE)
    assert "cn-north-4" in outcomes_markdown.outcomes(outcomes_of(plan, End.NO_CHANGES), ORIGIN)
