"""The plan as one page of HTML that needs nothing else: it can be searched, filtered and printed.

The page loads nothing. Its policy allows the one style and the one script that it has, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer import __version__
from deployer.errors import Problem
from deployer.model import Action, Change, FieldChange, Impact, Plan
from deployer.planning.paths import path_words
from deployer.report import line_diff, manifest_findings, markup, secrets, uncompared
from deployer.report.field_values import field_values
from deployer.report.origin import Origin
from deployer.report.place_names import place_words
from deployer.report.review import (
    ABOUT,
    Group,
    Part,
    Review,
    identity_words,
    review,
    title,
)
from deployer.report.text import count_words

_MAX_OPEN = 20  # groups that are not folded at first
_LONG = 200  # groups of which the browser lays out those that are seen
_CONTEXT = 2
_SHORT = 80  # characters of two values that are beside each other
_MAX_MARKED = 4_000  # characters of a line in which words are compared


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line; a marked one differs from the other side."""

    text: str
    is_marked: bool = False


Line = Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Row:
    """Lines of both sides that are beside each other. `sort` is same, change or gap."""

    sort: str
    old: Sequence[Line] = ()
    new: Sequence[Line] = ()


def plan(plan: Plan, origin: Origin | None = None, *, problems: Iterable[Problem] = ()) -> str:
    """Format a plan as a page. `problems` are the findings of validate."""
    found = review(plan)
    origin = origin or Origin(__version__)
    environment = markup.html()
    style, script = markup.source("plan.css"), markup.source("plan.js")
    labels = sorted({f"{key}={value}" for change in plan.pending for key, value in change.job.labels.items()})
    page = _Page(found, origin, {label: number for number, label in enumerate(labels)})
    policy = policy_of(style, script)
    return environment.get_template("plan.html.jinja").render(
        page=page,
        plan=plan,
        scope=plan.scope,
        review=found,
        origin=origin,
        policy=policy,
        style=style,
        script=script,
        labels=labels,
        counts=count_words(plan),
        place=_place(plan),
        about=ABOUT,
        sources=[*secrets.sources(plan)],
        findings=[*manifest_findings.lines(problems)],
        time=f"{origin.time:%Y-%m-%d %H:%M:%S} UTC" if origin.time else "",
        before=[section for section in found.sections if section.part <= Part.BLOCKED],
        after=[section for section in found.sections if section.part > Part.BLOCKED],
        actions=[action for action in Action if any(group.action is action for group in found.groups())],
        kinds=sorted({group.kind for group in found.groups()}),
        has_drift=any(group.is_drift for group in found.groups()),
        is_long=sum(1 for _ in found.groups()) > _LONG,
        is_open=sum(1 for _ in found.groups()) <= _MAX_OPEN,
    )


def _place(plan: Plan) -> str:
    """Return where the target is, without its name."""
    words = str(plan.scope).partition(" -> ")[2] if plan.scope else ""
    return words.removeprefix(plan.target).strip().removeprefix("(").removesuffix(")")


def policy_of(style: str, script: str) -> str:
    """Return the Content-Security-Policy of a page with this one style and this one script."""
    return (
        "default-src 'none'; "
        f"style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class _Page:
    """What the template asks for."""

    def __init__(self, found: Review, origin: Origin, labels: Mapping[str, int]) -> None:
        scope = found.plan.scope
        self._places = scope.places if scope else {}
        self._origin = origin
        self._labels = labels

    def title(self, group: Group) -> str:
        return title(group, self._places).removeprefix(f"{len(group.changes)} x ")

    def impact(self, group: Group) -> str:
        return str(group.impact) if group.impact is not Impact.NONE else ""

    def labels(self, group: Group) -> str:
        """Return the numbers of the labels of the jobs."""
        numbers = {
            self._labels[f"{key}={value}"]
            for change in group.changes
            for key, value in change.job.labels.items()
        }
        return " ".join(map(str, sorted(numbers)))

    def identity(self, identity: Any) -> str:
        return identity_words(identity, self._places)

    def place(self, change: Change, group: Group) -> str:
        """Return the place of a job, if the jobs of its group have several."""
        return "" if group.place is not None else place_words(change.job.identity.place, self._places)

    def link(self, change: Change) -> str:
        return self._origin.link(change.job.source)

    def held(self, group: Group) -> Iterator[tuple[str, str]]:
        """Yield paths and words of the fields that hold secrets and are not shown."""
        yield from secrets.fields(group.first, (*group.fields, *(group.own[0] if group.own else ())))

    def remarks(self, group: Group) -> Iterator[str]:
        yield from uncompared.lines(group.first)

    def path(self, field: FieldChange) -> str:
        return path_words(field)

    def short(self, field: FieldChange) -> tuple[str | None, str | None] | None:
        """Return both values if they are short enough for one line."""
        if field.sensitive or line_diff.has_lines(field.live, field.desired):
            return None
        live, desired = field_values(field)
        return (live, desired) if len(live or "") + len(desired or "") <= _SHORT else None

    def rows(self, field: FieldChange) -> Iterator[Row]:
        """Yield the lines of both values, without those that are far from all differences."""
        if line_diff.has_lines(field.live, field.desired):
            yield from _line_rows(field.live, field.desired)
            return
        live, desired = field_values(field)
        if live is None or desired is None or field.live_hidden:
            old, new = ([] if side is None else [[Piece(side)]] for side in (live, desired))
            yield Row("change", old, new)
        else:
            # Whole values, as far as they are to be shown: `pair` has left out what is equal and long.
            yield _changed([live], [desired])


def _line_rows(live: str, desired: str) -> Iterator[Row]:
    from difflib import SequenceMatcher

    old, new = live.split("\n"), desired.split("\n")
    groups = SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT)
    end = 0
    for group in groups:
        if left_out := group[0][1] - end:
            yield _gap(left_out)
        for sort, start, stop, new_start, new_stop in group:
            if sort == "equal":
                lines = [[Piece(line)] for line in old[start:stop]]
                yield Row("same", lines, lines)
            else:
                yield _changed(old[start:stop], new[new_start:new_stop])
            end = stop
    if left_out := len(old) - end:
        yield _gap(left_out)


def _gap(lines: int) -> Row:
    return Row("gap", [[Piece(f"{lines} equal {'line' if lines == 1 else 'lines'}")]])


def _changed(old: Sequence[str], new: Sequence[str]) -> Row:
    """Return lines that differ, with their words compared if there are as many on both sides."""
    if len(old) != len(new):
        return Row("change", [[Piece(line)] for line in old], [[Piece(line)] for line in new])
    pairs = [_compared(one, other) for one, other in zip(old, new, strict=True)]
    return Row("change", [one for one, _ in pairs], [other for _, other in pairs])


def _compared(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    from deployer.hunks import parts_of

    if max(len(one), len(other)) > _MAX_MARKED:
        return [Piece(one)], [Piece(other)]
    parts = list(parts_of(one, other))
    # What has little in common is no clearer if the rest of it is marked.
    if 2 * sum(len(part.live) for part in parts if part.is_equal) < max(len(one), len(other)):
        return [Piece(one)], [Piece(other)]
    return (
        [Piece(part.live, not part.is_equal) for part in parts if part.live],
        [Piece(part.desired, not part.is_equal) for part in parts if part.desired],
    )
