"""One page of a listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployer.kinds.kind import Entry


@dataclass(frozen=True, slots=True)
class Page:
    """One page of `size` bytes; `total` is the number of entries on all pages together, as the service reports it."""

    entries: Sequence[Entry]
    total: int
    request_line: str
    size: int = 0

    @property
    def more(self) -> int:
        """Returns the number of pages of this size after the first one."""
        left = max(0, self.total - len(self.entries))
        return -(-left // max(1, len(self.entries)))
