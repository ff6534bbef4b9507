"""The findings of validate at the end of the reports of a plan: those with the same message are one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deployer.errors import Problem
from deployer.escape import printable

_MAX_PLACES = 5
_MAX_MESSAGE = 1_000


def lines(problems: Iterable[Problem]) -> Iterator[str]:
    """Yield a line for each message, with the first locations of those that have it; the most frequent ones first."""
    together: dict[tuple[str, str], dict[str, None]] = {}
    for problem in sorted(problems):
        found = together.setdefault((problem.severity, problem.words), {})
        found[str(problem.location)] = None
    for (severity, words), found in sorted(together.items(), key=lambda item: -len(item[1])):
        places = [printable(place) for place in found]
        shown = ", ".join(places[:_MAX_PLACES])
        more = f" and {len(places) - _MAX_PLACES} more" if len(places) > _MAX_PLACES else ""
        message = printable(words)
        message = message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"
        yield f"{shown}{more}: {severity}: {message}"
