"""The status of each job for a comment and for a browser: what has failed first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from deployer import __version__
from deployer.forge.marker import marker
from deployer.model import Action, Change, Phase, Plan, Scope
from deployer.report import markup
from deployer.report.html import policy_of
from deployer.report.markdown import LEAST_LIMIT, LIMIT
from deployer.report.origin import Origin
from deployer.report.place_names import named_notes
from deployer.report.review import natural
from deployer.report.short_values import cut
from deployer.report.status import HEADER, cells
from deployer.report.text import count, grouped

_MAX_CELL, _MAX_PLACE, _MAX_ERROR, _RESERVE = 120, 400, 1_500, 500


def markdown(plan: Plan, now: datetime | None, origin: Origin | None = None, *, limit: int = LIMIT) -> str:
    """Format the status as Markdown of at most `limit` characters; `now` is the service's clock."""
    origin, scope = origin or Origin(__version__), plan.scope or Scope("", plan.target)
    line = marker(scope.project, plan.target, "status")
    names = cut(scope.project, _MAX_CELL), cut(plan.target, _MAX_CELL)
    top = partial(_macro, "top", line, *names, _place(plan), _counts(plan))
    head, time = _macro("head", [*HEADER]), _time(origin)
    room = max(limit, LEAST_LIMIT) - len(top("")) - len(head) - _RESERVE
    parts: list[str] = []
    left_out: Counter[str] = Counter()
    if plan.errors:
        lines = [markup.without_comment(cut(line, _MAX_ERROR)) for line in _errors(plan)]
        block = _macro("messages", f"Could not be read ({len(plan.errors)})", lines)
        if len(block) <= room // 2:
            parts.append(block)
            room -= len(block)
        else:
            left_out["message"] += len(lines)
    parts.append(head)
    for change in _ordered(plan):
        row = _macro("row", [cut(text, _MAX_CELL) for text in _cells(plan, change, now)], _has_failed(change))
        if len(row) > room:
            left_out["job"] += 1
            continue
        room -= len(row)
        parts.append(row)
    words = ", ".join(count(number, noun) for noun, number in left_out.items())
    notice = f"Left out, because the limit is {limit:,} characters: {words}." if words else ""
    bottom = _macro("bottom", origin.commit, origin.version, time)
    return "".join([top(notice), *parts, bottom]).rstrip("\n")


def html(plan: Plan, now: datetime | None, origin: Origin | None = None) -> str:
    """Format the status as a page."""
    origin, style = origin or Origin(__version__), markup.source("plan.css")
    return (
        markup.html()
        .get_template("status.html.jinja")
        .render(
            policy=policy_of(style, ""),
            style=style,
            scope=plan.scope or Scope("", plan.target),
            place=_place(plan),
            counts=_counts(plan),
            errors=[*_errors(plan)],
            titles=[*HEADER],
            rows=[(_cells(plan, change, now), _has_failed(change)) for change in _ordered(plan)],
            origin=origin,
            time=_time(origin),
        )
    )


def _macro(name: str, *arguments: object) -> str:
    return str(getattr(markup.markdown("status.md.jinja"), name)(*arguments))


def _ordered(plan: Plan) -> list[Change]:
    """Return what has failed first, then what the next apply would change, in natural order of names."""
    return sorted(
        plan.changes,
        key=lambda change: (
            not _has_failed(change),
            change.action is Action.UNCHANGED,
            change.job.kind,
            natural(change.job.name),
            change.job.identity,
        ),
    )


def _cells(plan: Plan, change: Change, now: datetime | None) -> tuple[str, ...]:
    """Return the cells of a job; a cluster has the name that deployer.yaml gives it."""
    return cells(change, now, plan.places)


def _has_failed(change: Change) -> bool:
    return change.live is not None and change.live.phase is Phase.FAILED


def _counts(plan: Plan) -> str:
    """Return `3 jobs: 1 failed, 2 to be changed by the next apply`."""
    numbers = {
        "failed": sum(map(_has_failed, plan.changes)),
        "to be changed by the next apply": len(plan.steps),
        "blocked": plan.summary[Action.BLOCKED],
        "could not be read": len(plan.errors),
    }
    words = ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
    return f"{count(len(plan.changes) + len(plan.errors), 'job')}{f': {words}' if words else ''}"


def _errors(plan: Plan) -> Sequence[str]:
    notes = named_notes(plan.errors, plan.places)
    return [line.strip() for line in grouped(notes, lambda note: f"{note.identity}: {note.message}")]


def _place(plan: Plan) -> str:
    words = str(plan.scope).partition(" -> ")[2] if plan.scope else ""
    return cut(words.removeprefix(plan.target).strip().removeprefix("(").removesuffix(")"), _MAX_PLACE)


def _time(origin: Origin) -> str:
    return f"{origin.time:%Y-%m-%d %H:%M:%S} UTC" if origin.time else ""
