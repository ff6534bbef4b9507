"""The shared state as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from deployer.escape import printable
from deployer.report.text import count
from deployer.state.store import Snapshot

FORMAT_VERSION = "1.0"


def text(name: str, snapshot: Snapshot, written_at: str) -> str:
    """Return where the state is, the holder of its lock, and the number of runs."""
    if not snapshot.version:
        return printable(f"{name}: nothing was written yet")
    days = sorted({file.split("/")[1] for file in snapshot.runs})
    period = f" from {days[0]} to {days[-1]}" if days else ""
    lines = [
        f"{name}, commit {snapshot.version[:12]}",
        f"last written {written_at}",
        f"locked by {snapshot.lock}; lease {snapshot.lock.lease:.0f} s" if snapshot.lock else "not locked",
        f"journal: {count(len(snapshot.runs), 'run')}{period}",
    ]
    return "\n".join(map(printable, lines))


def data(name: str, snapshot: Snapshot, written_at: str) -> dict[str, Any]:
    """Return the state as JSON data; `lock` is null if there is none, `version` the commit, `runs` a number."""
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "version": snapshot.version or None,
        "written_at": written_at or None,
        "lock": asdict(snapshot.lock) if snapshot.lock else None,
        "runs": len(snapshot.runs),
    }
