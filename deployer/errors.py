"""Exceptions, exit codes, and the codes of findings.

::

    DeployerError                       1
    +-- UsageError                      3   invalid option or PATH
    |   +-- NothingSelected                 no job matches PATH and --select
    +-- InvalidInput                    4   invalid manifests or project files; has every Problem found
    +-- BadPlanFile                     4   invalid saved plan
    +-- StalePlan                       6   saved plan whose jobs no longer exist
    +-- Interrupted                   130   stopped before the next request
    +-- ApiError                        1   a request failed
        +-- NotSent                         the request cannot have reached the service
        +-- RequestFailed                   the service responded with an error
        +-- ResponseLost                    outcome unknown: the request may have been executed
            +-- ResponseTimeout             no response in time

Errors are raised or collected where they happen; only `cli.run` turns them into exit codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def documentation_of(code: str) -> str:
    """Return the section of the documentation about the code of a finding, as a path and an anchor."""
    return f"docs/reference/errors.md#{code.lower()}"


class Code(StrEnum):
    """The codes of findings, for programs and for `explain`; `schemas/diagnostics.yaml` describes each.

    The meaning of a code never changes. The codes of the rules are in `schemas/rules.yaml`.
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
    RENAMED_FROM = "E045"
    UNKNOWN_TARGET = "E050"
    RESERVED_VALUE = "E051"
    REQUIRED_VERSION = "E052"
    FOLDER_FILES = "E053"
    PARAMETER_UNREADABLE = "E070"
    PARAMETER_NOT_LISTED = "E071"
    PARAMETER_MISPLACED = "E072"
    PARAMETER_TYPE = "E073"
    PARAMETER_UNKNOWN = "E074"
    PARAMETER_IN_DEFINITION = "E075"
    PARAMETER_UNBOUND = "E076"
    TRIGGER_RERUN = "E077"
    PARAMETER_UNUSED = "E078"
    OLDER_SPELLING = "W060"
    LITERAL_SECRET = "W061"  # noqa: S105 - a code
    UNUSED_WAIVER = "W062"
    UNKNOWN_REGION = "W063"
    UNUSED_EXCLUDE = "W064"
    NEWEST_RUN = "W071"


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One finding about a file.

    `code` is a `Code`, or the code of a rule. `rule` is the id of the violated rule, for findings that a manifest
    can waive.
    """

    location: Location
    message: str
    code: str
    severity: str = "error"
    rule: str = ""

    @property
    def words(self) -> str:
        """The message with its code and, if it can be waived, its rule."""
        return f"{self.message} [{' '.join(filter(None, (self.code, self.rule)))}]"

    def __str__(self) -> str:
        return f"{self.location}: {self.severity}: {self.words}"


class DeployerError(Exception):
    """An expected error; its message is one line for the user."""

    exit_code: Exit = Exit.ERROR


class UsageError(DeployerError):
    exit_code = Exit.USAGE


class NothingSelected(UsageError):
    """The project has jobs, but PATH and --select match none of them."""


class BadPlanFile(DeployerError):
    exit_code = Exit.INVALID


class StalePlan(DeployerError):
    exit_code = Exit.STALE


class InvalidInput(DeployerError):
    """Invalid files; `problems` has all findings, sorted, including warnings.

    `folder` is the project's, to which their paths are relative; None if there is no project.
    """

    exit_code = Exit.INVALID

    def __init__(self, problems: Iterable[Problem], folder: Path | None = None) -> None:
        self.problems = tuple(sorted(problems))
        self.folder = folder
        super().__init__("\n".join(map(str, self.problems)))


class Interrupted(DeployerError):
    exit_code = Exit.INTERRUPTED


class ApiError(DeployerError):
    """A failed request. `status` is 0 without a response; `code` is the service's own, or empty.

    `may_be_executed`: the service may have executed the request in spite of the error that it reports.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
        may_be_executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.may_be_executed = may_be_executed


class NotSent(ApiError):
    """A failed connection: the request cannot have been executed."""


class RequestFailed(ApiError):
    """An error response of the service."""


class ResponseLost(ApiError):
    """A request whose response was lost, truncated or unreadable: it may have been executed."""


class ResponseTimeout(ResponseLost):
    """A request without a response in time."""


MAX_SHOWN = 200


def shortened(word: str) -> str:
    """Return a word from a command line in a length that can be shown."""
    return word if len(word) <= MAX_SHOWN else f"{word[:MAX_SHOWN]}... ({len(word) - MAX_SHOWN} more)"


def similar(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` for the end of a message; empty if no known word is similar."""
    from difflib import get_close_matches  # on use: only a mistake needs it

    folded = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=0.5)
    return f"; did you mean '{folded[close[0]]}'?" if close else ""


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the known word that is similar to `word`, or else all of them, for the end of a message."""
    return similar(word, known) or (f"; known: {', '.join(known)}" if known else "")
