"""The line in the journal of a run that did not end: who has taken over or removed its lock."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

FORMAT = 1  # of the lines of a journal
TAKEN_OVER = "taken-over"
UNLOCK = "unlock"  # instead of a run, if a user has removed the lock


def taken_over_line(run: str, by: str) -> bytes:
    """Return the line for the journal of `run`; `by` is a run or UNLOCK."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    record = {"format": FORMAT, "event": TAKEN_OVER, "run": run, "time": time, "by": by}
    return json.dumps(record).encode() + b"\n"


def taken_over_by(content: bytes) -> str:
    """Return by whom the run of a journal was taken over last, in its own words; empty if it was not."""
    for line in reversed(content.splitlines()):
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            record = json.loads(line)
            if record["event"] == TAKEN_OVER:
                return str(record["by"])
    return ""
