"""Reports as text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from deployer.errors import Problem
from deployer.escape import printable
from deployer.model import Action, Identity, Note, Outcome, Plan, Result

if TYPE_CHECKING:
    from deployer.apply.watch import WaitResult

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
    lines = heading(plan, width)
    if (
        verbose
        or plan.warnings
        or plan.errors
        or plan.orphans
        or plan.secrets
        or plan.pending
        or plan.upcoming
    ):
        from deployer.report import plan_text  # on use: most plans change nothing

        lines += plan_text.lines(plan, verbose=verbose, hides_others=hides_others, width=width)
    return "\n".join([*lines, *_lines(counts(plan), width)])


def _lines(words: str, width: int | None, *, bold: bool = False) -> Iterator[str]:
    """Yield words as lines that fit a terminal."""
    if width is None:
        yield click.style(words, bold=True) if bold else words
        return
    from deployer.report.wrap import wrapped  # on use: most output is no terminal

    yield from (click.style(part, bold=True) if bold else part for part in wrapped(words, width, "  "))


def heading(plan: Plan, width: int | None = None) -> list[str]:
    """Return `orders -> prod (cn-north-4, project 48cc, protected)` and a blank line; nothing without a scope."""
    return [*_lines(printable(str(plan.scope)), width, bold=True), ""] if plan.scope else []


def where(plan: Plan) -> str:
    """Return the target of a plan and where it is, for a question."""
    return printable(plan.scope.where if plan.scope else plan.target)


def count_words(plan: Plan) -> str:
    """Return the counts of a plan: `2 to create, 1 blocked, 1 failed to plan, 3 unchanged`; empty without any."""
    numbers = dict(plan.summary)
    unchanged = numbers.pop(Action.UNCHANGED, 0)
    words = [
        f"{number} {'' if action == Action.BLOCKED else 'to '}{action}"
        for action, number in numbers.items()
        if number
    ]
    words += [f"{len(plan.errors)} failed to plan"] if plan.errors else []
    words += [f"{unchanged} unchanged"] if unchanged else []
    return ", ".join(words)


def counts(plan: Plan) -> str:
    """Return `Plan for local: 2 to create, 1 blocked, 3 unchanged.`"""
    words = count_words(plan)
    parts = [*([] if plan.pending or plan.errors else ["no changes"]), *([words] if words else [])]
    return f"Plan for {printable(plan.target)}: {'; '.join(parts)}."


def grouped(notes: Sequence[Note], line: Callable[[Note], str]) -> Iterator[str]:
    """Yield the line of each note, or one for all with the same message if there are many."""
    together: dict[str, list[Note]] = {}
    for note in notes:
        together.setdefault(note.message, []).append(note)
    for message, group in together.items():
        if len(group) <= MAX_NOTES:
            yield from map(line, group)
        else:
            yield many(message, [str(note.identity) for note in group])


def many(message: str, names: Sequence[str]) -> str:
    """Return a line for many jobs with the same message."""
    first = ", ".join(printable(name) for name in names[:MAX_NOTES])
    return f"  {len(names)} jobs ({first}, ...): {printable(message)}"


def outcome(
    outcome: Outcome, places: Mapping[str, str] = MappingProxyType({}), *, is_final: bool = True
) -> str:
    """Return one line for one finished change, and the last lines of the log of a job that failed.

    If it is not final, the job list is still to confirm that only one job was created. `places` are the names that
    deployer.yaml gives to clusters.
    """
    is_accepted = outcome.result is Result.DONE and not is_final
    word = click.style(
        f"{'accepted' if is_accepted else outcome.result:<8}", fg=_RESULT_COLOURS[outcome.result]
    )
    identity, message = _named(outcome.change.job.identity, outcome.message, places)
    line = f"{word} {outcome.change.action} {_with_id(identity, outcome.id)}: {printable(message)}"
    return "\n".join([line, *(f"    | {printable(logged)}" for logged in outcome.log)])


def wait_result(result: WaitResult, places: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return one line for the result of a wait; `places` as in `outcome`."""
    word = click.style(f"{result.result:<9}", fg=_RESULT_COLOURS[result.result])
    identity, message = _named(result.identity, result.message, places)
    return f"{word} {_with_id(identity, result.id)}: {printable(message)}"


def _named(identity: Identity, message: str, places: Mapping[str, str]) -> tuple[Identity, str]:
    """Return a job and a message with the names of places."""
    if not places:
        return identity, message
    from deployer.report.place_names import place_words, with_place_names  # on use: few targets have clusters

    return identity._replace(place=place_words(identity.place, places)), with_place_names(message, places)


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
