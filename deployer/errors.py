"""Everything that can go wrong, and the exit code it ends with.

::

    DeployerError                       1
    +-- UsageError                      3   an option or a PATH makes no sense
    +-- InvalidInput                    4   manifests or the project file; holds every Problem found
    +-- ApiError                        1   one call failed
        +-- NothingArrived                  the request cannot have reached the service
        +-- Refused                         the service answered, and said no
        +-- AnswerLost                      whether it was carried out is not known
            +-- NoAnswer                    nothing came within the time allowed

Errors are raised or collected where they happen; only `cli.main` turns them into exit codes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every verb."""

    DONE = 0
    ERROR = 1
    CHANGES = 2
    USAGE = 3
    INVALID = 4
    BLOCKED = 5
    STALE = 6
    UNKNOWN = 7
    PARTLY = 8
    INTERRUPTED = 130


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One finding about a file: line and column count from 1; 0 where a file as a whole is meant.

    `rule` is the id of the rule that is broken, for findings that a manifest can waive.
    """

    file: str
    line: int
    column: int
    message: str
    severity: str = "error"
    rule: str = ""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def words(self) -> str:
        """The message, with the rule that can be waived."""
        return f"{self.message} [{self.rule}]" if self.rule else self.message

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.words}"


class DeployerError(Exception):
    """An expected failure: its text is one clear line for the user."""

    exit_code: Exit = Exit.ERROR


class UsageError(DeployerError):
    exit_code = Exit.USAGE


class InvalidInput(DeployerError):
    """The files cannot be used; `problems` holds all findings, sorted, warnings included."""

    exit_code = Exit.INVALID

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class ApiError(DeployerError):
    """A call failed. `status` is 0 where there was no answer; `code` is the service's own, or empty."""

    def __init__(self, message: str, *, status: int = 0, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


class NothingArrived(ApiError):
    """The connection was refused or could not be made, so nothing can have been carried out."""


class Refused(ApiError):
    """The service answered with an error of its own."""


class AnswerLost(ApiError):
    """Sent, but the answer was lost, cut off or unreadable: it may have been carried out."""


class NoAnswer(AnswerLost):
    """Sent, but nothing came back within the time allowed."""


def nearest(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?`, or the known words where none is near, for the end of a message."""
    folded = {name.casefold(): name for name in known}
    if close := difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.5):
        return f"; did you mean '{folded[close[0]]}'?"
    return f"; known: {', '.join(known)}" if known else ""
