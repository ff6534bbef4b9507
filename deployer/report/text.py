"""Reports as text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from deployer.errors import Problem
from deployer.escape import printable
from deployer.model import Action, Change, FieldChange, Identity, Impact, Note, Orphan, Outcome, Plan, Result
from deployer.report import line_diff, secrets, uncompared
from deployer.report.field_values import field_values

if TYPE_CHECKING:
    from deployer.apply.watch import WaitResult

_SIGNS: Mapping[Action, tuple[str, str]] = {
    Action.CREATE: ("+", "green"),
    Action.SUBMIT: ("+", "green"),
    Action.RESUBMIT: ("~", "yellow"),
    Action.REPLACE: ("~", "red"),
    Action.CANCEL: ("-", "red"),
    Action.UPDATE: ("~", "yellow"),
    Action.RESTART: ("~", "yellow"),
    Action.START: (">", "green"),
    Action.STOP: ("-", "red"),
    Action.DELETE: ("-", "red"),
    Action.BLOCKED: ("!", "magenta"),
    Action.UNCHANGED: ("=", "white"),
}
_RESULT_COLOURS = {
    Result.DONE: "green",
    Result.SKIPPED: "yellow",
    Result.TIMED_OUT: "yellow",
    Result.DIFFERS: "red",
    Result.STOPPED: "yellow",
    Result.REFUSED: "magenta",
    Result.FAILED: "red",
    Result.UNKNOWN: "magenta",
}

_RESULT_WORDS = {Result.UNKNOWN: "outcome unknown"}

SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
MAX_ORPHANS = 40
MAX_NOTES = 5
HIDDEN_NOTE = "Live values of jobs that this project did not deploy are hidden; --show-live shows them."


def plan(plan: Plan, *, verbose: bool = False, hides_others: bool = False) -> str:
    """Format the place, the changes with their reasons and fields, then what else there is to know, and the counts.

    `hides_others`: live values are hidden because the project did not deploy the job, and --show-live shows them.
    """
    lines: list[str] = heading(plan)
    shown = plan.changes if verbose else plan.pending
    for change in shown:
        # A blank line separates changes with fields; the others form a block.
        held = (f"{path}  {words}" for path, words in secrets.fields(change, change.fields))
        details = [*field_lines(change.fields), *held, *uncompared.lines(change)]
        if details and lines and lines[-1]:
            lines.append("")
        lines += [
            *_change(change),
            *(f"    {line}" for line in details),
            *([""] if details else []),
        ]
    if plan.warnings:
        lines += [*_gap(lines), click.style("Warnings:", bold=True), *map(_note, plan.warnings)]
    if plan.orphans:
        title = "Orphaned (deployed by this project, but no longer in a manifest; left unchanged):"
        lines += [*_gap(lines), click.style(title, bold=True), *_orphans(plan.orphans)]
    if plan.unmanaged and plan.pending:
        lines += [*_gap(lines), f"{count(plan.unmanaged, 'unmanaged live job')}; left unchanged."]
    if plan.errors:
        lines += [
            *_gap(lines),
            click.style("Failed to plan:", bold=True, fg="red"),
            *grouped(plan.errors, _note),
        ]
    if plan.secrets:
        lines += [*_gap(lines), click.style("Secrets:", bold=True)]
        lines += [f"  {line}" for line in secrets.sources(plan)]
    listed = (field for change in shown for field in (*change.fields, *change.live_only))
    if hides_others and any(field.live_hidden for field in listed):
        lines += [*_gap(lines), HIDDEN_NOTE]
    return "\n".join([*lines, *_gap(lines), counts(plan)])


def heading(plan: Plan) -> list[str]:
    """Return `orders -> prod (cn-north-4, project 48cc, protected)` and a blank line; nothing without a scope."""
    return [click.style(printable(str(plan.scope)), bold=True), ""] if plan.scope else []


def where(plan: Plan) -> str:
    """Return the target of a plan and where it is, for a question."""
    return printable(plan.scope.where if plan.scope else plan.target)


def _gap(lines: Sequence[str]) -> list[str]:
    return [""] if lines and lines[-1] else []


def counts(plan: Plan) -> str:
    """Return `Plan for local: 2 to create, 1 blocked, 3 unchanged.`"""
    words = [
        f"{count} {'' if action in (Action.BLOCKED, Action.UNCHANGED) else 'to '}{action}"
        for action, count in plan.summary.items()
        if count
    ]
    words += [f"{len(plan.errors)} failed to plan"] if plan.errors else []
    parts = [] if plan.pending or plan.errors else ["no changes"]
    parts += [", ".join(words)] if words else []
    return f"Plan for {printable(plan.target)}: {'; '.join(parts)}."


def _change(change: Change) -> list[str]:
    sign, colour = _SIGNS[change.action]
    head = click.style(f"{sign} {change.action:<9}", fg=colour, bold=True)
    source = click.style(printable(str(change.job.source)), dim=True)
    impact = f"; impact: {change.impact}" if change.impact is not Impact.NONE else ""
    return [
        f"{head} {printable(str(change.job.identity))}  {source}",
        f"    {printable(change.reason)}{impact}",
    ]


def field_lines(fields: Sequence[FieldChange]) -> Iterator[str]:
    """Yield a line per field: `/numExecutors  2 -> 4`; paths are aligned."""
    width = min(max((len(printable(field.path)) for field in fields), default=0), 40)
    for field in fields:
        note = f"  ({printable(field.note)})" if field.note else ""
        path = printable(field.path).ljust(width)
        if field.sensitive:
            yield f"{path}  (sensitive value changed)"
            continue
        if line_diff.has_lines(field.live, field.desired):
            yield f"{path.rstrip()}{note}"
            yield from (
                f"  {sign} {text}" if text else f"  {sign}"
                for sign, text in line_diff.lines(field.live, field.desired)
            )
            continue
        live, desired = field_values(field)
        if live is None:
            yield f"{path}  + {desired}{note}"
        elif desired is None:
            yield f"{path}  - {live}{note}"
        else:
            yield f"{path}  {live} -> {desired}{note}"


def grouped(notes: Sequence[Note], line: Callable[[Note], str]) -> Iterator[str]:
    """Yield the line of each note, or one for all with the same message if there are many."""
    together: dict[str, list[Note]] = {}
    for note in notes:
        together.setdefault(note.message, []).append(note)
    for message, group in together.items():
        if len(group) <= MAX_NOTES:
            yield from map(line, group)
        else:
            first = ", ".join(printable(str(note.identity)) for note in group[:MAX_NOTES])
            yield f"  {len(group)} jobs ({first}, ...): {printable(message)}"


def _note(note: Note) -> str:
    return f"  {printable(str(note.identity))} ({printable(str(note.source))}): {printable(note.message)}"


def _orphans(orphans: Sequence[Orphan]) -> Iterator[str]:
    for orphan in orphans[:MAX_ORPHANS]:
        ending = f"; {printable(orphan.ending)}" if orphan.ending else ""
        yield f"  {printable(str(orphan.identity))}: {printable(orphan.id)}, {printable(orphan.state)}{ending}"
    if len(orphans) > MAX_ORPHANS:
        yield f"  ... and {len(orphans) - MAX_ORPHANS} more (see --format json)"


def outcome(outcome: Outcome, *, is_final: bool = True) -> str:
    """Return one line for one finished change, and the last lines of the log of a job that failed.

    If it is not final, the job list is still to confirm that only one job was created.
    """
    is_accepted = outcome.result is Result.DONE and not is_final
    word = click.style(
        f"{'accepted' if is_accepted else outcome.result:<8}", fg=_RESULT_COLOURS[outcome.result]
    )
    job = _with_id(outcome.change.job.identity, outcome.id)
    line = f"{word} {outcome.change.action} {job}: {printable(outcome.message)}"
    return "\n".join([line, *(f"    | {printable(logged)}" for logged in outcome.log)])


def wait_result(result: WaitResult) -> str:
    """Return one line for the result of a wait."""
    word = click.style(f"{result.result:<9}", fg=_RESULT_COLOURS[result.result])
    return f"{word} {_with_id(result.identity, result.id)}: {printable(result.message)}"


def _with_id(identity: Identity, identifier: str) -> str:
    return printable(str(identity) + (f" (id {identifier})" if identifier else ""))


def outcomes(
    results: Iterable[Result],
    verb: str = "apply",
    past: str = "applied",
    *,
    blocked: int,
    errors: int,
    not_started: int,
) -> str:
    """Return the counts at the end of an apply or a cancel: `Apply complete: 2 applied, 1 blocked.`"""
    ended = Counter(results)
    words = [f"{ended.pop(Result.DONE, 0)} {past}"]
    words += [f"{ended[result]} {_RESULT_WORDS.get(result, result)}" for result in Result if ended[result]]
    words += [f"{blocked} blocked"] if blocked else []
    words += [f"{errors} failed to plan"] if errors else []
    words += [f"{not_started} not started"] if not_started else []
    # What was blocked is no part of the apply: the plan said so.
    end = "incomplete" if +ended or errors or not_started else "complete"
    return f"{verb.capitalize()} {end}: {', '.join(words)}."


def count(number: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`"""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def problem(problem: Problem) -> str:
    """Return `file:line:col: error: message [E032 rule]`"""
    word = click.style(problem.severity, fg=SEVERITY_COLOURS[problem.severity], bold=True)
    # A GitHub runner also interprets a line that begins with :: as a command, and a file can have such a name.
    here = "./" if problem.location.file.lstrip().startswith("::") else ""
    return f"{here}{printable(str(problem.location))}: {word}: {printable(problem.words)}"


def error(message: str) -> str:
    """Return one line for an error without a location."""
    return f"{click.style('error', fg='red', bold=True)}: {printable(message)}"


def note(message: str) -> str:
    """Return one line for an informational message."""
    return f"note: {printable(message)}"
