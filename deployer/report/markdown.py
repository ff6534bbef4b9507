"""The plan for the comment on a pull request: counts first, then a fenced block.

Text from files or from a service appears only inside the fence, and the fence is longer than any sequence of
backticks inside it. A plan that is too long for a comment says what it leaves out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from deployer.escape import printable
from deployer.model import Action, Change, FieldChange, Impact, Note, Orphan, Plan
from deployer.report import line_diff, secrets, uncompared
from deployer.report.field_values import field_values
from deployer.report.text import count

MAX_COMMENT = 65_536  # characters, on GitHub; other services allow more
_RESERVE = 1_000  # for the fences and the words on what is left out
_MAX_TICKS = 100
_MAX_NAMES, _MAX_NAME = 5, 60  # of fields that are left out

# What harms most comes first where not all can be shown.
_DANGERS = (
    Impact.DELETES,
    Impact.STATE_LOST,
    Impact.CANCELS,
    Impact.STOPS,
    Impact.RESTART,
    Impact.RERUNS,
    Impact.IN_PLACE,
    Impact.NONE,
)
_SIGNS = {Action.BLOCKED: "!", Action.CANCEL: "-", Action.STOP: "-", Action.DELETE: "-"}


def plan(plan: Plan) -> str:
    """Format a heading, a table of counts, and the changes as a diff."""
    counts = {action: count for action, count in plan.summary.items() if count}
    counts |= {"failed to plan": len(plan.errors)} if plan.errors else {}
    what = "changes" if plan.pending else "failed to plan" if plan.errors else "no changes"
    target = re.sub(r"[^A-Za-z0-9._-]", "?", plan.target)
    lines = [f"### deployer plan for `{target}`: {what}", ""]
    lines += _fenced([printable(str(plan.scope))], "text") if plan.scope else []
    if counts:
        lines += [f"| {' | '.join(counts)} |", f"|{' --- |' * len(counts)}"]
        lines += [f"| {' | '.join(map(str, counts.values()))} |", ""]
    heading = [*lines]
    body = [line for change in plan.pending for line in _change(change)]
    if plan.warnings:
        body += ["# warnings", *map(_note, plan.warnings), ""]
    if plan.orphans:
        body += [
            "# orphaned: deployed by this project, but no longer in a manifest",
            *map(_orphan, plan.orphans),
            "",
        ]
    if plan.secrets:
        body += ["# secrets", *(f"! {line}" for line in secrets.sources(plan)), ""]
    if plan.errors:
        body += ["# failed to plan", *map(_note, plan.errors), ""]
    if body:
        lines += _fenced(body[:-1])
    lines.append(f"Digest: `{plan.digest}`")
    whole = "\n".join(lines)
    return whole if len(whole) <= MAX_COMMENT else "\n".join(_shortened(plan, heading, lines[-1]))


class _Room:
    """The room for lines in a comment, and how many items had none."""

    def __init__(self, characters: int) -> None:
        self.characters = characters
        self.left_out: Counter[str] = Counter()

    def fits(self, noun: str, lines: list[str]) -> bool:
        """Take room for the lines of an item, or count it as left out."""
        size = sum(len(line) + 1 for line in lines)
        if size > self.characters or any("`" * _MAX_TICKS in line for line in lines):
            self.left_out[noun] += 1
            return False
        self.characters -= size
        return True


def _shortened(plan: Plan, heading: list[str], last: str) -> list[str]:
    """Return the lines of a plan that is too long: changes with an impact first, then notes, then the others."""
    room = _Room(MAX_COMMENT - _RESERVE - sum(len(line) + 1 for line in (*heading, last)))
    changes = sorted(plan.pending, key=lambda change: _DANGERS.index(change.impact))
    notes = {
        "# failed to plan": [*map(_note, plan.errors)],
        "# warnings": [*map(_note, plan.warnings)],
        "# orphaned: deployed by this project, but no longer in a manifest": [*map(_orphan, plan.orphans)],
    }
    sources = [
        line for line in (f"! {line}" for line in secrets.sources(plan)) if room.fits("secret", [line])
    ]
    body = ["# secrets", *sources, ""] if sources else []
    body += _as_fit([change for change in changes if change.impact is not Impact.NONE], room)
    for title, lines in notes.items():
        shown = [line for line in lines if room.fits("note", [title, line, ""])]
        body += [title, *shown, ""] if shown else []
    body += _as_fit([change for change in changes if change.impact is Impact.NONE], room)
    left_out = ", ".join(count(number, noun) for noun, number in sorted(room.left_out.items()))
    words = (
        f"**Not all of this plan is shown: a comment has at most {MAX_COMMENT:,} characters. "
        f"Left out: {left_out}.** Run `deployer plan` for the target to see all of it."
    )
    return [*heading, words, "", *_fenced(body[:-1]), last]


def _as_fit(changes: list[Change], room: _Room) -> list[str]:
    """Return the lines of as many changes as fit, and then of as many of their fields."""
    body = []
    shown = [
        change
        for change in changes
        if room.fits("change", [*_head(change), *_not_in_fields(change), *_left_out(change.fields), ""])
    ]
    for change in shown:
        shown_lines: list[str] = []
        missing = []
        for field in change.fields:
            if room.fits("field", lines := _field(field)):
                shown_lines += lines
            else:
                missing.append(field)
        body += [*_head(change), *shown_lines, *_not_in_fields(change), *_left_out(missing), ""]
    return body


def _left_out(fields: Sequence[FieldChange]) -> list[str]:
    """Return a line that names the first of the fields, if there are any."""
    if not fields:
        return []
    names = ", ".join(printable(field.path)[:_MAX_NAME] for field in fields[:_MAX_NAMES])
    more = ", ..." if len(fields) > _MAX_NAMES else ""
    return [f"!   left out: {count(len(fields), 'field')} ({names}{more})"]


def _fenced(lines: list[str], language: str = "diff") -> list[str]:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *lines, fence, ""]


def _change(change: Change) -> list[str]:
    return [*_head(change), *_fields(change), ""]


def _head(change: Change) -> list[str]:
    sign = _SIGNS.get(change.action, "+")
    impact = f"; impact: {change.impact}" if change.impact is not Impact.NONE else ""
    return [
        f"{sign} {change.action} {printable(str(change.job.identity))} ({printable(str(change.job.source))})",
        f"# {printable(change.reason)}{impact}",
    ]


def _fields(change: Change) -> list[str]:
    return [*chain(*map(_field, change.fields)), *_not_in_fields(change)]


def _not_in_fields(change: Change) -> list[str]:
    """Return the lines on what no field shows: secrets, and what was not compared."""
    return [
        *(f"!   {path}: {words}" for path, words in secrets.fields(change, change.fields)),
        *(f"#   {line}" for line in uncompared.lines(change)),
    ]


def _field(field: FieldChange) -> list[str]:
    path = printable(field.path)
    if field.sensitive:
        return [f"!   {path}: (sensitive value changed)"]
    note = f"  ({printable(field.note)})" if field.note else ""
    if line_diff.has_lines(field.live, field.desired):
        lines = line_diff.lines(field.live, field.desired)
        return [f"!   {path}:{note}", *(f"{sign:<4}{text}" if text else sign for sign, text in lines)]
    live, desired = field_values(field)
    return [
        *([f"-   {path}: {live}{note}"] if live is not None else []),
        *([f"+   {path}: {desired}{note}"] if desired is not None else []),
    ]


def _orphan(orphan: Orphan) -> str:
    ending = f"; {printable(orphan.ending)}" if orphan.ending else ""
    return f"! {printable(str(orphan.identity))}: {printable(orphan.id)}, {printable(orphan.state)}{ending}"


def _note(note: Note) -> str:
    return f"! {printable(str(note.identity))} ({printable(str(note.source))}): {printable(note.message)}"
