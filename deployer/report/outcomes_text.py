"""Outcomes as text, for a file: without colours, and with lines of any length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployer.escape import printable, without_command_at_start
from deployer.report.outcomes import EntryGroup, OutcomeReview, Outcomes, Part, Section, order
from deployer.report.review import identity_words, name_in, title


def outcomes(found: Outcomes) -> str:
    """Format outcomes as text."""
    return "\n".join(without_command_at_start(line) for line in _lines(found))


def _lines(found: Outcomes) -> Iterator[str]:
    shown = order(found)
    places = found.scope.places
    yield f"{found.name}: {printable(str(found.scope))}"
    yield ""
    for message in found.messages:
        yield printable(message)
    if found.messages:
        yield ""
    for section in shown.sections:
        if section.part <= Part.FAILED:
            yield from _section(section, places)
    yield from _failed_to_plan(shown, places)
    for section in shown.sections:
        if section.part > Part.FAILED:
            yield from _section(section, places)
    if shown.carried_out:
        yield f"Impact: {shown.carried_out}."
    if shown.in_doubt:
        yield f"Possible impact: {shown.in_doubt}."
    yield shown.counts


def _failed_to_plan(shown: OutcomeReview, places: Mapping[str, str]) -> Iterator[str]:
    if shown.errors:
        yield "Failed to plan:"
        for note in (note for group in shown.errors for note in group.notes):
            name = printable(identity_words(note.identity, places))
            yield f"  {name} ({printable(str(note.source))}): {printable(note.message)}"
        yield ""


def _section(section: Section, places: Mapping[str, str]) -> Iterator[str]:
    yield f"{section.title}:"
    for group in section.groups:
        yield from _group(group, places)
    yield ""


def _group(group: EntryGroup, places: Mapping[str, str]) -> Iterator[str]:
    changes = group.changes
    number = group.first.id if len(group.entries) == 1 else ""
    name = title(changes, places) + (f" (id {number})" if number else "")
    yield f"  {group.words} {printable(name)}: {printable(group.message)}"
    yield from (f"    | {printable(line)}" for line in group.first.log)
    for entry in group.entries if len(group.entries) > 1 else ():
        number = f" (id {entry.id})" if entry.id else ""
        yield f"    {printable(name_in(changes, entry.change, places) + number)}"
