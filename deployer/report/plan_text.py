"""The changes of a plan as text for a terminal: the order and the groups are those of `review`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import click

from deployer.escape import printable, without_command_at_start
from deployer.model import Action, FieldChange, Impact, Orphan, Plan
from deployer.planning.paths import path_words
from deployer.report import line_diff, secrets, uncompared
from deployer.report.field_values import field_values
from deployer.report.review import (
    ABOUT,
    Group,
    NoteGroup,
    Part,
    Section,
    identity_words,
    names_in,
    review,
    title,
)
from deployer.report.table import columns_of
from deployer.report.text import HIDDEN_NOTE, MAX_ORPHANS, many
from deployer.report.wrap import wrapped

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
_INDENT = "    "
_MAX_PATH = 40  # longer ones are not aligned
_COLOURS = {"-": "red", "+": "green"}
_Line = tuple[str, str]  # and its colour, which may be empty

# Whatever the action is.
_SEVERE = {Impact.STATE_LOST, Impact.DELETES, Impact.CANCELS}


def lines(plan: Plan, *, verbose: bool, hides_others: bool, width: int | None) -> list[str]:
    """Return the lines between the heading of a plan and its counts; `text.plan` documents the arguments."""
    found = review(plan, verbose=verbose)
    lines: list[str] = []
    places = plan.places
    has_titles = len(found.sections) + bool(found.errors) > 1
    for section in (section for section in found.sections if section.part <= Part.BLOCKED):
        lines += _section(section, lines, places, width, has_title=has_titles or section.part is Part.DANGERS)
    if found.errors:
        lines += [*_gap(lines), click.style("Failed to plan:", bold=True, fg="red")]
        lines += _wrapped((_note_group(group, places) for group in found.errors), width)
    for section in (section for section in found.sections if section.part > Part.BLOCKED):
        is_titled = has_titles or section.part is Part.UPCOMING
        lines += _section(section, lines, places, width, has_title=is_titled)
    if found.warnings:
        lines += [*_gap(lines), click.style("Warnings:", bold=True)]
        lines += _wrapped((_note_group(group, places) for group in found.warnings), width)
    for word, about, orphans in found.orphans_by_proof:
        lines += [
            *_gap(lines),
            *_title(f"{word} ({about}):", width),
            *_wrapped(_orphans(orphans, places), width),
        ]
    if found.unmanaged:
        lines += [*_gap(lines), f"{found.unmanaged}."]
    if plan.secrets:
        lines += [*_gap(lines), click.style("Secrets:", bold=True)]
        lines += _wrapped((f"  {line}" for line in secrets.sources(plan)), width)
    groups = [group for section in found.sections for group in section.groups]
    if hides_others and any(map(_has_hidden, groups)):
        lines += [*_gap(lines), HIDDEN_NOTE]
    lines += _gap(lines)
    if found.impact:
        lines += _wrapped([f"Impact: {found.impact}."], width)
    return lines


def _gap(lines: Sequence[str]) -> list[str]:
    return [""] if lines and lines[-1] else []


def _title(words: str, width: int | None, colour: str | None = None) -> Iterator[str]:
    for part in wrapped(words, width, "  "):
        yield click.style(part, bold=True, fg=colour)


def _section(
    section: Section, before: Sequence[str], places: Mapping[str, str], width: int | None, *, has_title: bool
) -> list[str]:
    lines: list[str] = []
    if has_title:
        about = f" ({ABOUT[section.part]})" if section.part in ABOUT else ""
        colour = "red" if section.part is Part.DANGERS else None
        lines += [*_gap(before), *_title(f"{section.part.title}{about}:", width, colour)]
    for number, group in enumerate(section.groups):
        # A blank line separates what is dangerous or has fields; the others form a block.
        details = [*_details(group, places, None if width is None else width - len(_INDENT))]
        above = lines if lines else before
        is_apart = bool(details) or section.part <= Part.BLOCKED
        if is_apart and not (has_title and number == 0):
            lines += _gap(above)
        lines += _head(group, places, width)
        for line, colour in details:
            parts = _wrapped([without_command_at_start(f"{_INDENT}{line}")], width)
            lines += (click.style(part, fg=colour) if colour else part for part in parts)
        lines += [""] if is_apart else []
    return lines


def _head(group: Group, places: Mapping[str, str], width: int | None) -> Iterator[str]:
    sign, colour = _SIGNS[group.action]
    colour = "red" if group.impact in _SEVERE else colour
    head = f"{sign} {group.action:<9}"
    words = printable(title(group, places))
    is_lost = group.impact is Impact.STATE_LOST
    # In capitals: what looks like any other restart without colours must not be overlooked.
    alert = f"  {str(group.impact).upper()}" if is_lost else ""
    drift = "  (drift)" if group.is_drift else ""
    files = group.files
    source = str(group.first.job.source) if len(group.changes) == 1 else files[0]
    source = printable(source) if len(files) == 1 else f"{len(files)} files"
    first, *others = wrapped(f"{head} {words}{alert}{drift}  {source}", width, " " * 12)
    if others:
        yield click.style(head, fg=colour, bold=True) + first[len(head) :]
        yield from others
    else:
        alert = click.style(alert, fg=colour, bold=True) if alert else ""
        yield f"{click.style(head, fg=colour, bold=True)} {words}{alert}{drift}  {click.style(source, dim=True)}"
    impact = f"; impact: {group.impact}" if group.impact is not Impact.NONE and not is_lost else ""
    yield from wrapped(f"    {printable(group.reason)}{impact}", width, " " * 6)


def _details(group: Group, places: Mapping[str, str], width: int | None) -> Iterator[_Line]:
    """Yield the lines below the reason: fields, what was not compared, and the names of several jobs."""
    shown = (*group.fields, *(group.own[0] if group.own else ()))
    yield from field_lines(group.fields, width)
    yield from ((f"{path}  {words}", "") for path, words in secrets.fields(group.first, shown))
    yield from ((line, "") for line in uncompared.lines(group.first))
    if group.own:
        names = [*map(printable, names_in(group, places))]
        longest = max(map(len, names))
        room = None if width is None else width - longest - 2
        for name, fields in zip(names, group.own, strict=True):
            lines = [*field_lines(fields, room)]
            if len(lines) == 1:
                yield f"{name.ljust(longest)}  {lines[0][0]}", lines[0][1]
            else:
                yield name, ""
                inner = field_lines(fields, None if width is None else width - 2)
                yield from ((f"  {line}", colour) for line, colour in inner)
    elif len(group.changes) > 1:
        yield ", ".join(map(printable, names_in(group, places))), ""


def _wrapped(lines: Iterable[str], width: int | None) -> Iterator[str]:
    for line in lines:
        yield from wrapped(line, width, " " * (len(line) - len(line.lstrip(" ")) + 2))


def _has_hidden(group: Group) -> bool:
    own = (field for fields in group.own for field in fields)
    return any(field.live_hidden for field in (*group.fields, *own, *group.first.live_only))


def field_lines(fields: Sequence[FieldChange], width: int | None = None) -> Iterator[_Line]:
    """Yield a line per field: `numExecutors  2 -> 4`; paths are aligned.

    If that is wider than `width`, the path and both values have lines of their own, as texts of several lines do.
    """
    paths = [printable(path_words(field)) for field in fields]
    aligned = max((len(path) for path in paths if len(path) <= _MAX_PATH), default=0)
    for field, path in zip(fields, paths, strict=True):
        note = f"  ({printable(field.note)})" if field.note else ""
        if field.sensitive:
            yield f"{path.ljust(aligned)}  (sensitive value changed)", ""
            continue
        if line_diff.has_lines(field.live, field.desired):
            yield f"{path}{note}", ""
            for sign, text in line_diff.lines(field.live, field.desired):
                yield f"  {sign} {text}".rstrip(), _COLOURS.get(sign, "")
            continue
        live, desired = field_values(field)
        signed = [(sign, side) for sign, side in (("-", live), ("+", desired)) if side is not None]
        words = f"{live} -> {desired}" if len(signed) > 1 else " ".join(signed[0])
        line = f"{path.ljust(aligned)}  {words}{note}"
        if width is None or columns_of(line) <= width:
            yield line, ""
        else:
            yield f"{path}{note}", ""
            yield from ((f"  {sign} {side}", _COLOURS[sign]) for sign, side in signed)


def _note_group(group: NoteGroup, places: Mapping[str, str]) -> str:
    if len(group.notes) > 1:
        return many(group.message, [identity_words(note.identity, places) for note in group.notes])
    [note] = group.notes
    name = printable(identity_words(note.identity, places))
    return f"  {name} ({printable(str(note.source))}): {printable(note.message)}"


def _orphans(orphans: Sequence[Orphan], places: Mapping[str, str]) -> Iterator[str]:
    for orphan in orphans[:MAX_ORPHANS]:
        name = printable(identity_words(orphan.identity, places))
        ending = f"; {printable(orphan.ending)}" if orphan.ending else ""
        yield f"  {name}: {printable(orphan.id)}, {printable(orphan.state)}{ending}"
    if len(orphans) > MAX_ORPHANS:
        yield f"  ... and {len(orphans) - MAX_ORPHANS} more (see --format json)"
