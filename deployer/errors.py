"""Everything that can go wrong, and the exit code it ends with.

::

    DeployerError                       1
    +-- UsageError                      3   an option or a PATH makes no sense
    |   +-- NothingSelected                 there are jobs, and none of them is meant
    +-- InvalidInput                    4   manifests or the project file; holds every Problem found
    +-- BadPlanFile                     4   a saved plan that cannot be used
    +-- StalePlan                       6   a saved plan that can no longer be made
    +-- Interrupted                   130   asked to stop, before the next call
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
from enum import IntEnum, StrEnum
from pathlib import Path

from deployer.model import Location


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


class Code(StrEnum):
    """The sorts of findings, for machines and for `explain`; `schemas/diagnostics.yaml` tells more of each.

    A code keeps its meaning for ever. The rules between fields have theirs in `schemas/rules.yaml`.
    """

    UNREADABLE_FILE = "E001"
    OUTSIDE_PROJECT = "E002"
    ENCODING = "E003"
    TOO_LARGE = "E004"
    YAML_SYNTAX = "E010"
    YAML_CHARACTER = "E011"
    DUPLICATE_KEY = "E012"
    YAML_TAG = "E013"
    YAML_KEY = "E014"
    YAML_ALIAS = "E015"
    YAML_LIMIT = "E016"
    ONE_MAPPING = "E017"
    RESERVED_CHARACTER = "E018"
    TEMPLATE_SYNTAX = "E020"
    UNDEFINED = "E021"
    TEMPLATE_ERROR = "E022"
    NOT_DATA = "E023"
    INCLUDE = "E024"
    TEMPLATE_LIMIT = "E025"
    SECRET_USE = "E026"  # noqa: S105 - a code
    SECRET_NAME = "E027"  # noqa: S105 - a code
    NO_MANIFEST = "E030"
    UNKNOWN_KIND = "E031"
    UNKNOWN_FIELD = "E032"
    MISSING_FIELD = "E033"
    WRONG_TYPE = "E034"
    WRONG_VALUE = "E035"
    NAME_IN_SPEC = "E036"
    ONE_SPELLING = "E037"
    MEMORY_UNIT = "E038"
    DUPLICATE_JOB = "E040"
    UNKNOWN_DEPENDENCY = "E041"
    AMBIGUOUS_DEPENDENCY = "E042"
    DEPENDENCY_CYCLE = "E043"
    FOR_EACH = "E044"
    UNKNOWN_TARGET = "E050"
    RESERVED_VALUE = "E051"
    REQUIRED_VERSION = "E052"
    OLDER_SPELLING = "W060"
    LITERAL_SECRET = "W061"  # noqa: S105 - a code
    UNUSED_WAIVER = "W062"


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One finding about a file.

    `code` is that of its sort: a `Code`, or that of a rule. `rule` is the id of the rule that is broken, for
    findings that a manifest can waive.
    """

    location: Location
    message: str
    code: str
    severity: str = "error"
    rule: str = ""

    @property
    def words(self) -> str:
        """Returns the message, with its code and the rule that can be waived."""
        return f"{self.message} [{' '.join(filter(None, (self.code, self.rule)))}]"

    def __str__(self) -> str:
        return f"{self.location}: {self.severity}: {self.words}"


class DeployerError(Exception):
    """An expected failure: its text is one clear line for the user."""

    exit_code: Exit = Exit.ERROR


class UsageError(DeployerError):
    exit_code = Exit.USAGE


class NothingSelected(UsageError):
    """There are jobs, and PATH and --select leave none of them."""


class BadPlanFile(DeployerError):
    exit_code = Exit.INVALID


class StalePlan(DeployerError):
    exit_code = Exit.STALE


class InvalidInput(DeployerError):
    """The files cannot be used; `problems` holds all findings, sorted, warnings included.

    `folder` is that of the project, from which their files are told; None where there is none.
    """

    exit_code = Exit.INVALID

    def __init__(self, problems: Iterable[Problem], folder: Path | None = None) -> None:
        self.problems = tuple(sorted(problems))
        self.folder = folder
        super().__init__("\n".join(map(str, self.problems)))


class Interrupted(DeployerError):
    exit_code = Exit.INTERRUPTED


class ApiError(DeployerError):
    """A call failed. `status` is 0 where there was no answer; `code` is the service's own, or empty."""

    def __init__(self, message: str, *, status: int = 0, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


class NotSent(ApiError):
    """The connection was refused or could not be made, so nothing can have been carried out."""


class RequestFailed(ApiError):
    """The service answered with an error of its own."""


class ResponseLost(ApiError):
    """Sent, but the answer was lost, cut off or unreadable: it may have been carried out."""


class ResponseTimeout(ResponseLost):
    """Sent, but nothing came back within the time allowed."""


def nearest(word: str, known: Sequence[str]) -> str:
    """Returns `; did you mean 'x'?`, or the known words where none is near, for the end of a message."""
    folded = {name.casefold(): name for name in known}
    if close := difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.5):
        return f"; did you mean '{folded[close[0]]}'?"
    return f"; known: {', '.join(known)}" if known else ""
