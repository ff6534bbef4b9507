"""The checks of `doctor` as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import click

from deployer.doctor.check import Check, Status
from deployer.escape import printable
from deployer.report.text import count

FORMAT_VERSION = "1.0"
MAX_MESSAGE = 700

_COLOURS = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.FAILED: "red",
    Status.SKIPPED: "white",
}


def text(checks: Sequence[Check]) -> str:
    """Return a line for each check, and below it what to do."""
    width = max((len(check.name) for check in checks), default=0)
    lines: list[str] = []
    for group, together in groupby(checks, lambda check: check.group):
        lines += ["", group] if lines else [group]
        for check in together:
            lines += _lines(check, min(width, 32))
    return "\n".join((*lines, "", summary(checks)))


def _lines(check: Check, width: int) -> Iterator[str]:
    status = click.style(f"{check.status.value:<8}", fg=_COLOURS[check.status])
    yield f"  {status} {printable(check.name):<{width}}  {_short(check.message)}"
    if check.advice:
        yield f"           -> {_short(check.advice)}"


def summary(checks: Sequence[Check]) -> str:
    found = Counter(check.status for check in checks)
    parts = [
        f"{found[Status.OK]} ok",
        count(found[Status.WARNING], "warning"),
        f"{found[Status.FAILED]} failed",
        f"{found[Status.SKIPPED]} skipped",
    ]
    return f"Checks: {', '.join(parts)}."


def data(checks: Sequence[Check], target: str) -> dict[str, Any]:
    """Return the checks as JSON data."""
    found = Counter(check.status for check in checks)
    return {
        "format_version": FORMAT_VERSION,
        "target": printable(target),
        "summary": {status.value: found[status] for status in Status},
        "checks": [
            {
                "group": check.group,
                "name": printable(check.name),
                "status": check.status.value,
                "message": _short(check.message),
                "advice": _short(check.advice),
            }
            for check in checks
        ],
    }


def _short(words: str) -> str:
    """Return untrusted words on one line of limited length."""
    line = printable(words[:MAX_MESSAGE])
    return line if len(words) <= MAX_MESSAGE else f"{line}... ({len(words)} characters)"
