"""The result of one check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from deployer.errors import Exit


class Status(StrEnum):
    """The result of a check in one word."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `advice` says what to do; `exit_code` is that of a failure.

    `message` may have text of a service or of a file: whoever prints it escapes it.
    """

    group: str
    name: str
    status: Status
    message: str
    advice: str = ""
    exit_code: Exit = Exit.ERROR


def ok(group: str, name: str, message: str) -> Check:
    return Check(group, name, Status.OK, message)


def warning(group: str, name: str, message: str, advice: str) -> Check:
    return Check(group, name, Status.WARNING, message, advice)


def failed(group: str, name: str, message: str, advice: str, exit_code: Exit = Exit.ERROR) -> Check:
    return Check(group, name, Status.FAILED, message, advice, exit_code)


def skipped(group: str, name: str, message: str) -> Check:
    return Check(group, name, Status.SKIPPED, message)


def exit_code(checks: Iterable[Check]) -> Exit:
    """Return the exit code of a report: that of its failures, a wrong command line or file before any other."""
    codes = {check.exit_code for check in checks if check.status is Status.FAILED}
    return next((code for code in (Exit.USAGE, Exit.INVALID, Exit.ERROR) if code in codes), Exit.DONE)
