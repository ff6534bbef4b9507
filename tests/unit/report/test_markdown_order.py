"""What a comment leaves out if it is too long: what harms most is the last to go, and what is counted is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.model import Action, Change, FieldChange, Impact, Note, Phase, Plan, Step
from deployer.report import markdown
from deployer.report.review import Group, Part, review
from testing.hostile_plans import calm
from testing.review_plans import DIGEST, ORIGIN, SCOPE, create, job, live, restart, resubmit

LIMITS = (4_000, 6_000, 10_000, 60_000)


def changes(kind: str, number: int, length: int) -> list[Change]:
    """Changes of a kind, none like another, with a value of so many characters."""
    made = []
    for at in range(number):
        change = KINDS[kind](at)
        own = FieldChange(
            f"/desc-{at}", None if kind == "create" else f"{at} {'a' * length}", f"{at} {'b' * length}"
        )
        made.append(replace(change, fields=(*change.fields, own)))
    return made


def deleted(at: int) -> Change:
    stream = job(f"gone-{at}", "FlinkJar", "", "flink/gone.yaml", at)
    return Change(
        Action.DELETE,
        stream,
        "state: absent; will delete it",
        Impact.DELETES,
        live=live(stream, "job_stopped", str(at), Phase.STOPPED),
        steps=(Step.DELETE,),
    )


def blocked(at: int) -> Change:
    return Change(
        Action.BLOCKED,
        job(f"stuck-{at}"),
        "manifest changed while it runs; wait",
        fields=(FieldChange("/a", 1, at),),
    )


def updated(at: int) -> Change:
    stream = job(f"calm-{at}", "FlinkJar", "", "flink/calm.yaml", at)
    return Change(
        Action.UPDATE,
        stream,
        "manifest changed; will update it while it runs",
        Impact.IN_PLACE,
        live=live(stream, "job_running", str(at)),
        steps=(Step.UPDATE,),
    )


# From what harms most to what harms least.
KINDS = {
    "lost": lambda at: restart(1_000 + at, keeps_state=False),
    "deleted": deleted,
    "rerun": resubmit,
    "restart": restart,
    "blocked": blocked,
    "updated": updated,
    "create": create,
}


def plan_of(numbers: dict[str, tuple[int, int]], errors: int = 0) -> Plan:
    made = [change for kind in KINDS for change in changes(kind, *numbers.get(kind, (0, 0)))]
    failed = tuple(
        Note(job(f"failed-{at}").identity, job("f").source, f"HTTP 500: reason {at}") for at in range(errors)
    )
    return Plan("prod", tuple(made), errors=failed, digest=DIGEST, scope=SCOPE)


def in_rank(plan: Plan) -> list[Group]:
    parts = (Part.DANGERS, Part.BLOCKED, Part.CHANGES, Part.DRIFT, Part.UPCOMING, Part.CREATES)
    return [group for part in parts for group in review(plan).groups(part)]


def blocks(made: str) -> list[str]:
    """The details of groups: without lists of names and notes."""
    return [
        part
        for part in made.split("<details")[1:]
        if "\n```diff\n" in part and "names" not in part.split("\n")[1]
    ]


def detailed(made: str, groups: Sequence[Group]) -> list[bool]:
    """Whether each group, of which each has one job, has details."""
    found = {re.sub("<[^>]*>", "", block.split("\n")[1]).split(" · ")[0] for block in blocks(made)}
    return [
        any(
            f"{group.kind} {group.first.job.name}" == words.partition(" ")[2].removesuffix(" in general")
            for words in found
        )
        for group in groups
    ]


def left_out(made: str) -> dict[str, int]:
    """The counts of the sentence on what is left out, by what is counted."""
    line = next((line for line in made.split("\n") if line.startswith("**Left out")), "")
    parts = re.search(r"parts of ([0-9]+) field", line)
    line = re.sub(r"parts of [0-9]+ fields?", "", line)
    counts = {noun: int(number) for number, noun in re.findall(r"([0-9]+) ([a-z]+?)s?(?=[,.])", line)}
    if details := re.search(r"the details of ([0-9]+) of ([0-9]+) change", line):
        counts["change"] = int(details[1])
    else:
        counts.pop("change", None)
    if parts:
        counts["value"] = int(parts[1])
    return counts


def check(plan: Plan, limit: int) -> None:
    made = markdown.plan(plan, ORIGIN, limit=limit)
    assert len(made) <= limit
    groups = in_rank(plan)
    assert all(len(group.changes) == 1 for group in groups)
    shown = detailed(made, groups)
    assert shown == sorted(shown, reverse=True), "a later one has details, an earlier one has not"
    counts = left_out(made)
    assert counts.get("change", 0) == shown.count(False)
    # Only the last one with details may lack some of its fields.
    partly = ["left out: " in block for block in blocks(made)]
    order = [group for group, is_shown in zip(groups, shown, strict=True) if is_shown]
    assert sum(partly) <= 1
    if any(partly):
        last = order[-1].first.job.name
        assert [
            bool(re.search(rf" {last}(?: in general)?</code>", block)) for block in blocks(made)
        ] == partly
        assert counts["field"] >= 1
    else:
        assert "field" not in counts
    assert counts.get("value", 0) == sum("characters left out" in block for block in blocks(made))
    # What is not named in the comment is counted.
    names = [group.first.job.name for group in groups]
    details = made[made.find("<details") :]
    unnamed = [name for name in names if not re.search(rf"\b{re.escape(name)}(?![\w-])", details)]
    assert counts.get("name", 0) == len(unnamed)
    failed = [note for note in plan.errors if f"{note.identity.name} " not in details]
    assert counts.get("note", 0) == len(failed)
    if failed:
        is_later = [
            group.action is not Action.BLOCKED and group.impact in {Impact.IN_PLACE, Impact.NONE}
            for group in groups
        ]
        assert not any(later and has for later, has in zip(is_later, shown, strict=True))


numbers = st.dictionaries(
    st.sampled_from([*KINDS]),
    st.tuples(st.integers(2, 40), st.sampled_from([1, 30, 300, 1_500, 8_000])),
    min_size=1,
)


@calm
@given(numbers, st.integers(0, 30), st.sampled_from(LIMITS))
def test_nothing_later_keeps_details_that_something_earlier_lost(
    found: dict[str, tuple[int, int]], errors: int, limit: int
) -> None:
    check(plan_of(found, errors), limit)


@pytest.mark.parametrize("limit", LIMITS)
def test_hundreds_of_each(limit: int) -> None:
    check(plan_of(dict.fromkeys(KINDS, (300, 10)), 300), limit)
