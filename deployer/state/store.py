"""A place that all machines can reach, with the lock and the journal of a project and target.

All that a store has to offer is a compare-and-swap: a write succeeds only if nothing was written since the read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from deployer.errors import DeployerError

LEASE_SECONDS = 180.0
MAX_LEASE_SECONDS = 3600.0
MAX_TEXT = 300
MAX_LOCK_BYTES = 64 * 1024

# journal/DAY/RUN.jsonl
RUN_FILE = re.compile(r"journal/([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9a-f]{12})\.jsonl", re.ASCII)


class StateError(DeployerError):
    """The store cannot be read or written; the message says what to set."""


class Rejected(StateError):
    """Somebody else has written since the read. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as its holder wrote it. `lease` is in seconds, `since` a time in UTC, for messages only.

    `nonce` differs in each write: without it, two equal writes in the same second would both succeed.
    `is_ended`: the run has ended, but a request of it may still take effect, so the lease runs out.
    """

    run: str
    lease: float
    author: str
    since: str
    command: str
    nonce: str = ""
    is_ended: bool = False

    def __str__(self) -> str:
        if self.run == UNREADABLE.run:
            return "a lock that cannot be read: of a newer version, or damaged"
        started = f"run {self.run}, started {self.since} by {self.author}: {self.command}"
        return f"{started} (ended; a request of it may still take effect)" if self.is_ended else started

    def as_json(self) -> bytes:
        """Return the content of `lock.json`."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


# What is assumed of a lock that cannot be read: it may be that of a newer version.
UNREADABLE = Lock("unknown", LEASE_SECONDS, "unknown", "unknown", "unknown")


def lock_from_json(content: bytes) -> Lock:
    """Read `lock.json`, which anybody with access to the store may have written."""
    try:
        record = json.loads(content[:MAX_LOCK_BYTES])
        texts = {name: record[name] for name in ("run", "author", "since", "command", "nonce")}
        lease, is_ended = record["lease"], record.get("is_ended", False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return UNREADABLE
    is_number = type(lease) in {int, float} and 0 < lease <= MAX_LEASE_SECONDS
    if (
        not is_number
        or type(is_ended) is not bool
        or not all(isinstance(text, str) for text in texts.values())
    ):
        return UNREADABLE
    shortened = {name: text[:MAX_TEXT] for name, text in texts.items()}
    return Lock(lease=float(lease), is_ended=is_ended, **shortened)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one moment. `version` is empty if nothing was ever written.

    `runs` has the journal of each run, by its file: `journal/DAY/RUN.jsonl`. `omitted` are the
    files that were not read: they, or all of them together, are too large.
    """

    version: str = ""
    lock: Lock | None = None
    runs: Mapping[str, bytes] = field(default_factory=dict)
    omitted: tuple[str, ...] = ()

    def file_of(self, run: str) -> str:
        """Return the file of a run; empty if it has none."""
        return next((file for file in self.runs if file.endswith(f"/{run}.jsonl")), "")

    def changed(self, version: str, lock: Lock | None, runs: Mapping[str, bytes | None]) -> Snapshot:
        """Return the state after a write. A run without content is removed."""
        kept = {file: content for file, content in self.runs.items() if file not in runs}
        new = {file: content for file, content in runs.items() if content is not None}
        return replace(self, version=version, lock=lock, runs={**kept, **new})


class Store(Protocol):
    """A store of the lock and the journal of one project and target."""

    @property
    def name(self) -> str:
        """The place of the store, for messages; without credentials."""

    def read(self) -> Snapshot:
        """Read the state. Raises StateError."""

    def version(self) -> str:
        """Read only the version of the state. Raises StateError."""

    def swap(self, before: Snapshot, lock: Lock | None, runs: Mapping[str, bytes | None]) -> Snapshot:
        """Write the lock and the journals of `runs`, if the version is still that of `before`.

        Raises Rejected if it is not. Any other StateError leaves open whether the write takes effect later.
        """
