"""The reports on what a command did: written however it ends, and always with why it ended so."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from deployer.cli import session
from deployer.cli.approval import Verb
from deployer.cli.project_names import project_and_target
from deployer.errors import DeployerError, Exit, Interrupted, InvalidInput, StalePlan
from deployer.model import End, Outcome, Plan
from deployer.report import text
from deployer.report.terminal import err
from deployer.secrets.redact import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from deployer.cli.options import Options
    from deployer.cli.report_files import ReportFile
    from deployer.cli.session import LoadedProject
    from deployer.report.outcomes import Outcomes

REPORTS = ("html", "json", "markdown", "text")
_MAX_PROBLEMS = 20
PLAN = Verb("plan", "planned", "changes")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The reports that a command line asks for: `limit` is that of the Markdown, `summary` appends it for the CI."""

    reports: Sequence[str] = ()
    limit: int = 60_000
    summary: bool = False

    def __bool__(self) -> bool:
        return bool(self.reports) or self.summary


class Record:
    """What a command has done so far. `plan` is what `outcomes` are of; `code` is its exit code once it has one."""

    def __init__(self, verb: Verb, options: Options) -> None:
        self.verb = verb
        self.plan: Plan | None = None
        self.outcomes: list[Outcome] = []
        self.code: Exit | None = None
        self.loaded: LoadedProject | None = None
        self.messages: list[str] = []
        self._end: End | None = None
        self._options = options

    def refused(self, end: End | None, code: Exit, *messages: str) -> Exit:
        """Record that nothing was applied, and why. Returns the exit code."""
        self._end, self.code = end, code
        # A comment is read by more people than the log of a job.
        self.messages += (redacted(message) for message in messages if message)
        return code

    def ended(self, code: Exit, *messages: str) -> Exit:
        """Record how the outcomes ended. Returns the exit code."""
        return self.refused(None, code, *messages)

    def fail(self, error: BaseException) -> None:
        """Record an exception that ends the command."""
        match error:
            case click.Abort() | KeyboardInterrupt() | Interrupted():
                self.refused(End.INTERRUPTED, Exit.INTERRUPTED)
            case StalePlan():
                self.refused(End.STALE, error.exit_code, str(error))
            case InvalidInput():
                errors = [str(problem) for problem in error.problems if problem.severity == "error"]
                more = [f"... and {len(errors) - _MAX_PROBLEMS} more"] if len(errors) > _MAX_PROBLEMS else []
                self.refused(End.FAILED, error.exit_code, *errors[:_MAX_PROBLEMS], *more)
            case DeployerError():
                self.refused(End.FAILED, error.exit_code, str(error))
            case _:
                self.refused(End.FAILED, Exit.ERROR, f"internal error: {type(error).__name__}")

    def made(self) -> Outcomes:
        """Return the outcomes, for a report."""
        from deployer.report.outcomes import Outcomes

        code = Exit.ERROR if self.code is None else self.code
        project, target = self._place()
        if self._end:
            end = self._end
        elif code is Exit.INTERRUPTED:
            end = End.INTERRUPTED
        elif code is not Exit.DONE:
            end = End.INCOMPLETE
        else:
            end = End.COMPLETE if self.outcomes else End.NO_CHANGES
        name, past = self.verb.name, self.verb.past
        outcomes, messages = tuple(self.outcomes), tuple(self.messages)
        return Outcomes(name, past, project, target, end, code, self.plan, outcomes, messages)

    def _place(self) -> tuple[str, str]:
        """Return the project and the target, as far as the command came to know them."""
        if self.loaded:
            return self.loaded.project.name, self.loaded.target.name
        try:
            return project_and_target(self._options)
        except DeployerError:
            return "", self._options.target or ""


def reporting(verb: Verb) -> Callable[[Callable[..., Exit]], Callable[..., Exit]]:
    """Give a command a `record`, and write its reports at the end, from the options for them."""

    def decorate(function: Callable[..., Exit]) -> Callable[..., Exit]:
        @functools.wraps(function)
        def command(
            options: Options, /, *, reports: Sequence[str], report_limit: int, summary: bool, **given: Any
        ) -> Exit:
            with recording(verb, options, Outputs(reports, report_limit, summary)) as record:
                return function(options, record=record, **given)

        return command

    return decorate


@contextmanager
def recording(verb: Verb, options: Options, outputs: Outputs) -> Iterator[Record]:
    """Return the record of a command, and write its reports at the end. Raises UsageError."""
    record = Record(verb, options)
    if not outputs:
        yield record
        return
    from deployer.cli.report_files import report_files

    folder = session.project_folder(options)
    files = report_files(outputs.reports, REPORTS, folder)
    write = partial(_write_all, record, files, folder, outputs)
    try:
        yield record
    except BaseException as error:
        record.fail(error)
        _write(write, is_quiet=True)
        raise
    # The exit code of the command counts: it says what happened to the jobs.
    _write(write, is_quiet=record.code is not Exit.DONE)


@contextmanager
def reporting_failure(options: Options, outputs: Outputs) -> Iterator[None]:
    """Write the reports of a plan if an exception ends it: then they say that there is no plan, and why."""
    if not outputs:
        yield
        return
    from deployer.cli.report_files import report_files

    folder = session.project_folder(options)
    files = report_files(outputs.reports, REPORTS, folder)
    try:
        yield
    except BaseException as error:
        record = Record(PLAN, options)
        record.fail(error)
        _write(partial(_write_all, record, files, folder, outputs), is_quiet=True)
        raise


def _write_all(record: Record, files: Iterable[ReportFile], folder: Path, outputs: Outputs) -> None:
    from deployer.cli import report_files, step_summary

    styles = _styles(record.made(), folder, outputs.limit)
    report_files.write(files, styles.formatted)
    if outputs.summary:
        step_summary.append(styles.markdown, os.environ)


def _write(write: Callable[[], None], *, is_quiet: bool) -> None:
    try:
        write()
    except DeployerError as error:
        if not is_quiet:
            raise
        err(text.error(str(error)))


@dataclass(frozen=True, slots=True)
class _Styles:
    """What formats outcomes: by the name of the format, and Markdown with a limit of characters."""

    formatted: Mapping[str, Callable[[], str]]
    markdown: Callable[[int], str]


def _styles(found: Outcomes, folder: Path, limit: int) -> _Styles:
    """Return what formats outcomes; each is loaded on use."""
    from deployer.cli.report_files import origin

    def as_json() -> str:
        from deployer.report import outcomes_json

        return outcomes_json.outcomes(found)

    def as_markdown(most: int) -> str:
        from deployer.report import outcomes_markdown

        return outcomes_markdown.outcomes(found, origin(folder, os.environ), limit=most)

    def as_html() -> str:
        from deployer.report import outcomes_html

        return outcomes_html.outcomes(found, origin(folder, os.environ))

    def as_text() -> str:
        from deployer.report import outcomes_text

        return outcomes_text.outcomes(found)

    formatted = {"html": as_html, "json": as_json, "markdown": lambda: as_markdown(limit), "text": as_text}
    return _Styles(formatted, as_markdown)
