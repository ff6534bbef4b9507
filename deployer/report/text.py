"""Reports as text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from deployer.errors import Problem
from deployer.escape import printable
from deployer.model import Action, FieldChange, Identity, Impact, LiveJob, Note, Outcome, Plan, Result
from deployer.report import line_diff, secrets, uncompared
from deployer.report.field_values import field_values
from deployer.report.paths import path_words
from deployer.report.review import (
    ABOUT,
    Group,
    NoteGroup,
    Part,
    Section,
    count_words,
    identity_words,
    name_in,
    review,
    title,
)
from deployer.report.wrap import wrapped

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
# Whatever the action is.
_SEVERE = {Impact.STATE_LOST, Impact.DELETES, Impact.CANCELS}
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


def plan(plan: Plan, *, verbose: bool = False, hides_others: bool = False, width: int | None = None) -> str:
    """Format the place, the changes with their reasons and fields, then what else there is to know, and the counts.

    `hides_others`: live values are hidden because the project did not deploy the job, and --show-live shows them.
    Lines have at most `width` columns if it is given.
    """
    found = review(plan, verbose=verbose)
    lines: list[str] = heading(plan)
    places = plan.scope.places if plan.scope else {}
    has_titles = len(found.sections) + bool(found.errors) > 1
    for section in (section for section in found.sections if section.part <= Part.BLOCKED):
        lines += _section(section, lines, places, width, has_title=has_titles)
    if found.errors:
        lines += [*_gap(lines), click.style("Failed to plan:", bold=True, fg="red")]
        lines += _wrapped((_note_group(group, places) for group in found.errors), width)
    for section in (section for section in found.sections if section.part > Part.BLOCKED):
        lines += _section(section, lines, places, width, has_title=has_titles)
    if found.warnings:
        lines += [*_gap(lines), click.style("Warnings:", bold=True)]
        lines += _wrapped((_note_group(group, places) for group in found.warnings), width)
    if found.orphans:
        words = "Orphaned (deployed by this project, but no longer in a manifest; left unchanged):"
        lines += [
            *_gap(lines),
            click.style(words, bold=True),
            *_wrapped(_orphans(found.orphans, places), width),
        ]
    if plan.unmanaged and plan.pending:
        lines += [*_gap(lines), f"{count(plan.unmanaged, 'unmanaged live job')}; left unchanged."]
    if plan.secrets:
        lines += [*_gap(lines), click.style("Secrets:", bold=True)]
        lines += _wrapped((f"  {line}" for line in secrets.sources(plan)), width)
    groups = [group for section in found.sections for group in section.groups]
    if hides_others and any(map(_has_hidden, groups)):
        lines += [*_gap(lines), HIDDEN_NOTE]
    if found.impact:
        lines += [*_gap(lines), *_wrapped([f"Impact: {found.impact}."], width)]
        return "\n".join([*lines, counts(plan)])
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
    words = count_words(plan)
    parts = [*([] if plan.pending or plan.errors else ["no changes"]), *([words] if words else [])]
    return f"Plan for {printable(plan.target)}: {'; '.join(parts)}."


def _section(
    section: Section, before: Sequence[str], places: Mapping[str, str], width: int | None, *, has_title: bool
) -> list[str]:
    lines: list[str] = []
    if has_title:
        about = f" ({ABOUT[section.part]})" if section.part in ABOUT else ""
        colour = "red" if section.part is Part.DANGERS else None
        lines += [*_gap(before), click.style(f"{section.part.title}{about}:", bold=True, fg=colour)]
    for number, group in enumerate(section.groups):
        # A blank line separates changes with fields; the others form a block.
        details = [*_details(group, places)]
        above = lines if lines else before
        if details and not (has_title and number == 0):
            lines += _gap(above)
        lines += _head(group, places, width)
        lines += _wrapped((f"    {line}" for line in details), width)
        lines += [""] if details else []
    return lines


def _head(group: Group, places: Mapping[str, str], width: int | None) -> Iterator[str]:
    sign, colour = _SIGNS[group.action]
    colour = "red" if group.impact in _SEVERE else colour
    head = f"{sign} {group.action:<9}"
    words = printable(title(group, places))
    drift = "  (drift)" if group.is_drift else ""
    files = group.files
    source = str(group.first.job.source) if len(group.changes) == 1 else files[0]
    source = printable(source) if len(files) == 1 else f"{len(files)} files"
    first, *others = wrapped(f"{head} {words}{drift}  {source}", width, " " * 12)
    if others:
        yield click.style(head, fg=colour, bold=True) + first[len(head) :]
        yield from others
    else:
        yield f"{click.style(head, fg=colour, bold=True)} {words}{drift}  {click.style(source, dim=True)}"
    impact = f"; impact: {group.impact}" if group.impact is not Impact.NONE else ""
    yield from wrapped(f"    {printable(group.reason)}{impact}", width, " " * 6)


def _details(group: Group, places: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines below the reason: fields, what was not compared, and the names of several jobs."""
    shown = (*group.fields, *(group.own[0] if group.own else ()))
    yield from field_lines(group.fields)
    yield from (f"{path}  {words}" for path, words in secrets.fields(group.first, shown))
    yield from uncompared.lines(group.first)
    if group.own:
        names = [printable(name_in(group, change, places)) for change in group.changes]
        longest = max(map(len, names))
        for name, fields in zip(names, group.own, strict=True):
            lines = [*field_lines(fields)]
            if len(lines) == 1:
                yield f"{name.ljust(longest)}  {lines[0]}"
            else:
                yield name
                yield from (f"  {line}" for line in lines)
    elif len(group.changes) > 1:
        yield ", ".join(printable(name_in(group, change, places)) for change in group.changes)


def _wrapped(lines: Iterable[str], width: int | None) -> Iterator[str]:
    for line in lines:
        yield from wrapped(line, width, " " * (len(line) - len(line.lstrip(" ")) + 2))


def _has_hidden(group: Group) -> bool:
    own = (field for fields in group.own for field in fields)
    return any(field.live_hidden for field in (*group.fields, *own, *group.first.live_only))


def field_lines(fields: Sequence[FieldChange]) -> Iterator[str]:
    """Yield a line per field: `numExecutors  2 -> 4`; paths are aligned."""
    paths = [printable(path_words(field)) for field in fields]
    width = min(max(map(len, paths), default=0), 40)
    for field, path_text in zip(fields, paths, strict=True):
        note = f"  ({printable(field.note)})" if field.note else ""
        path = path_text.ljust(width)
        if field.sensitive:
            yield f"{path}  (sensitive value changed)"
            continue
        if line_diff.has_lines(field.live, field.desired):
            yield f"{path_text}{note}"
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
            yield _many(message, group, {})


def _many(message: str, notes: Sequence[Note], places: Mapping[str, str]) -> str:
    first = ", ".join(printable(identity_words(note.identity, places)) for note in notes[:MAX_NOTES])
    return f"  {len(notes)} jobs ({first}, ...): {printable(message)}"


def _note_group(group: NoteGroup, places: Mapping[str, str]) -> str:
    if len(group.notes) > 1:
        return _many(group.message, group.notes, places)
    [note] = group.notes
    name = printable(identity_words(note.identity, places))
    return f"  {name} ({printable(str(note.source))}): {printable(note.message)}"


def _orphans(orphans: Sequence[LiveJob], places: Mapping[str, str]) -> Iterator[str]:
    for orphan in orphans[:MAX_ORPHANS]:
        name = printable(identity_words(orphan.identity, places))
        yield f"  {name}: {printable(orphan.id)}, {printable(orphan.state)}"
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
