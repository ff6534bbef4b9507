"""What the differences of a change leave open: fields that were not compared, and those of the live job only."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.escape import printable
from deployer.model import Change
from deployer.planning.paths import path_words, pointer_words
from deployer.report.field_values import field_values


def lines(change: Change) -> Iterator[str]:
    """Yield a line for all fields that were not compared, and one for each field of the live job only."""
    if change.not_compared:
        paths = ", ".join(printable(pointer_words(path)) for path in change.not_compared)
        yield f"not compared: {paths} (not returned by the service)"
    for field in change.live_only:
        live, _ = field_values(field)
        yield f"only in the live job: {printable(path_words(field))} {live}"
