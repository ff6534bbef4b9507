"""The plan for the comment on a pull request: counts first, then a fenced block.

Text from files or from a service appears only inside the fence, and the fence is longer than any sequence of
backticks inside it.
"""

from __future__ import annotations

import re

from deployer.escape import pair, printable
from deployer.model import Action, Change, Impact, LiveJob, Note, Plan
from deployer.report import line_diff, uncompared
from deployer.report.text import MAX_FIELDS

_SIGNS = {Action.BLOCKED: "!", Action.CANCEL: "-", Action.STOP: "-", Action.DELETE: "-"}


def plan(plan: Plan) -> str:
    """Format a heading, a table of counts, and the changes as a diff."""
    counts = {action: count for action, count in plan.summary.items() if count}
    counts |= {"failed to plan": len(plan.errors)} if plan.errors else {}
    what = "changes" if plan.pending else "failed to plan" if plan.errors else "no changes"
    target = re.sub(r"[^A-Za-z0-9._-]", "?", plan.target)
    lines = [f"### deployer plan for `{target}`: {what}", ""]
    if counts:
        lines += [f"| {' | '.join(counts)} |", f"|{' --- |' * len(counts)}"]
        lines += [f"| {' | '.join(map(str, counts.values()))} |", ""]
    body = [line for change in plan.pending for line in _change(change)]
    if plan.warnings:
        body += ["# warnings", *map(_note, plan.warnings), ""]
    if plan.orphans:
        body += [
            "# orphaned: deployed by this project, but no longer in a manifest",
            *map(_orphan, plan.orphans),
            "",
        ]
    if plan.errors:
        body += ["# failed to plan", *map(_note, plan.errors), ""]
    if body:
        lines += _fenced(body[:-1])
    lines.append(f"Digest: `{plan.digest}`")
    return "\n".join(lines)


def _fenced(lines: list[str]) -> list[str]:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}diff", *lines, fence, ""]


def _change(change: Change) -> list[str]:
    sign = _SIGNS.get(change.action, "+")
    impact = f"; impact: {change.impact}" if change.impact is not Impact.NONE else ""
    lines = [
        f"{sign} {change.action} {printable(str(change.job.identity))} ({printable(str(change.job.source))})",
        f"# {printable(change.reason)}{impact}",
    ]
    for field in change.fields[:MAX_FIELDS]:
        path = printable(field.path)
        if field.sensitive:
            lines.append(f"!   {path}: (sensitive value changed)")
            continue
        if line_diff.has_lines(field.live, field.desired):
            lines.append(f"!   {path}:")
            lines += [
                f"{sign:<4}{text}" if text else sign
                for sign, text in line_diff.lines(field.live, field.desired)
            ]
            continue
        live, desired = pair(field.live, field.desired)
        lines += [f"-   {path}: {live}"] if field.live is not None else []
        lines += [f"+   {path}: {desired}"] if field.desired is not None else []
    if len(change.fields) > MAX_FIELDS:
        lines.append(f"#   ... and {len(change.fields) - MAX_FIELDS} more fields")
    lines += [f"#   {line}" for line in uncompared.lines(change)]
    return [*lines, ""]


def _orphan(live: LiveJob) -> str:
    return f"! {printable(str(live.identity))}: {printable(live.id)}, {printable(live.state)}"


def _note(note: Note) -> str:
    return f"! {printable(str(note.identity))} ({printable(str(note.source))}): {printable(note.message)}"
