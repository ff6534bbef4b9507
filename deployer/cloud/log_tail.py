"""The log of one run: its last lines, or its new lines while it is followed.

A log does not only grow at its end: the service lists the output of the run before its errors, and these before
the messages of the cluster manager, and keeps only the last lines of each. So a followed log is read completely
each time, and the lines that are new are shown.
"""

from __future__ import annotations

from collections import Counter

from deployer.cloud.client import Client
from deployer.kinds.former import path_values
from deployer.kinds.kind import Kind
from deployer.model import Job, LiveJob

PAGE = 1000
# The number of last lines that are followed in a longer log.
MAX_LINES = 20_000


class Log:
    """A log of one run. `kind` must have a log API."""

    def __init__(self, client: Client, kind: Kind, job: Job, live: LiveJob) -> None:
        self._client = client
        self._kind = kind
        self._path_values = path_values(job, live.identity)
        self._id = live.id
        self._total = 0
        self._shown: Counter[str] = Counter()

    def last(self, lines: int) -> list[str]:
        """Return the last lines. Raises ApiError."""
        return self._from(max(0, self._length() - lines))

    def first_lines(self, lines: int) -> list[str]:
        """Return the last lines, before `new_lines` returns the later ones. Raises ApiError."""
        whole = self._whole()
        self._shown = Counter(whole)
        return whole[max(0, len(whole) - lines) :]

    def new_lines(self) -> list[str]:
        """Return the lines that are new since the last read; all lines if the log got shorter. Raises ApiError."""
        before = self._total
        whole = self._whole()
        known = Counter() if self._total < before else self._shown
        self._shown = Counter(whole)
        fresh = []
        for line in whole:
            if known[line]:
                known[line] -= 1
            else:
                fresh.append(line)
        return fresh

    def _whole(self) -> list[str]:
        self._total = self._length()
        return self._from(max(0, self._total - MAX_LINES))

    def _length(self) -> int:
        return self._client.log(self._kind, self._id, self._path_values, start=0, size=1).total

    def _from(self, start: int) -> list[str]:
        """Return the lines from `start` to the end, page by page."""
        lines: list[str] = []
        while True:
            at = start + len(lines)
            page = self._client.log(self._kind, self._id, self._path_values, start=at, size=PAGE)
            lines += page.lines
            if not page.lines or start + len(lines) >= page.total:
                return lines
